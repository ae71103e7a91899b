//! Transactions to bytes.
use super::{Record, Transaction};
use crate::{Error, Keywords};

/// Which keyword names the current log file has introduced; a new file starts with none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Names(Keywords);

impl Names {
    /// Whether the file has said what `number` is called.
    pub fn knows(&self, number: u8) -> bool {
        self.0.contains(number)
    }

    /// Notes what `transaction`, read from the current file, introduces.
    pub fn note(&mut self, transaction: &Transaction) {
        transaction.records.iter().for_each(|record| self.note_record(record));
    }

    pub(crate) fn note_record(&mut self, record: &Record) {
        if let Record::KeywordDefine { number, .. } = record {
            self.0.0 |= Keywords::one(*number).0;
        }
    }
}

pub(super) fn transaction(
    transaction: &Transaction,
    names: &mut Names,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    names.note(transaction);
    Err(Error::TooLong { what: "transaction", len: out.len() as u64, max: 0 })
}
