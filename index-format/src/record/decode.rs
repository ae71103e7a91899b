//! Bytes to transactions.
use super::Transaction;
use crate::Error;

pub(super) fn transaction(payload: &[u8], at: u64) -> Result<Transaction, Error> {
    Err(Error::Trailing { what: "transaction", at, count: payload.len() as u64 })
}
