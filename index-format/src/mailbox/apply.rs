//! What a transaction does to the state.
use super::{Applied, ApplyError, Mailbox};
use crate::record::Transaction;

pub(super) fn apply(
    mailbox: &mut Mailbox,
    _transaction: &Transaction,
) -> Result<Applied, ApplyError> {
    mailbox.transactions += 1;
    Ok(Applied::default())
}
