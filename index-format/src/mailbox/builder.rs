//! Makes transactions for a mailbox: keyword numbers, anchors, the epoch.

use super::Mailbox;
use crate::record::{Append, KEYWORD_NAME_MAX, KEYWORDS_MAX, Names, Prefix, Record, Transaction};
use crate::{Flags, Keywords, MapId, Uid, UidSet};

/// Why a keyword cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeywordError {
    /// All numbers are given.
    #[error("a mailbox has at most {KEYWORDS_MAX} keywords")]
    Full,
    /// The name is empty or too long.
    #[error("a keyword of {len} bytes, allowed are 1 to {KEYWORD_NAME_MAX}")]
    Length {
        /// Its length in bytes.
        len: usize,
    },
}

/// A message to append.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewMessage<'a> {
    /// Its number in the account's map.
    pub map_id: MapId,
    /// INTERNALDATE, seconds since 1970.
    pub internal_date: i64,
    /// When it is saved here, seconds since 1970.
    pub save_date: i64,
    /// RFC822.SIZE in bytes.
    pub size: u64,
    /// Its first system flags.
    pub flags: Flags,
    /// Its first keywords, by name.
    pub keywords: &'a [&'a str],
}

/// Builds one transaction that follows from `mailbox` as it is now. Nothing is applied: give what
/// [`Self::finish`] returns to [`Mailbox::apply`] before the mailbox changes otherwise.
#[derive(Clone, Debug)]
pub struct TransactionBuilder<'m> {
    mailbox: &'m Mailbox,
    names: Names,
    uidnext: u32,
    anchors: bool,
    /// Names defined by this transaction for the first time; they follow the mailbox's table.
    fresh: Vec<Box<str>>,
    defines: Vec<Record>,
    records: Vec<Record>,
    prefix: Prefix,
}

impl<'m> TransactionBuilder<'m> {
    /// Starts a transaction that will stand in the file that has introduced `names`.
    pub fn new(mailbox: &'m Mailbox, names: &Names) -> TransactionBuilder<'m> {
        TransactionBuilder {
            mailbox,
            names: *names,
            uidnext: mailbox.uidnext().0,
            anchors: true,
            fresh: Vec::new(),
            defines: Vec::new(),
            records: Vec::new(),
            prefix: Prefix::default(),
        }
    }

    /// Says that the store is in this epoch; costs bytes only where the mailbox was last written in an older one.
    pub fn epoch(&mut self, epoch: u32) -> &mut Self {
        self.prefix.epoch = (epoch > self.mailbox.epoch()).then_some(epoch);
        self
    }

    /// Leaves out the anchors of appends: for a writer that shares its log with others and learns its UIDs afterwards.
    pub fn without_anchors(&mut self) -> &mut Self {
        self.anchors = false;
        self
    }

    /// A message appears; gives the UID it will have.
    ///
    /// # Errors
    /// A keyword that cannot be used; nothing was added then.
    pub fn append(&mut self, message: &NewMessage<'_>) -> Result<Uid, KeywordError> {
        let mut keywords = Keywords::NONE;
        for name in message.keywords {
            keywords.0 |= Keywords::one(self.keyword(name)?).0;
        }
        let uid = Uid(self.uidnext);
        self.uidnext = self.uidnext.saturating_add(1);
        self.records.push(Record::Append(Append {
            map_id: message.map_id,
            internal_date: message.internal_date,
            save_date: (message.save_date != message.internal_date).then_some(message.save_date),
            size: message.size,
            flags: message.flags,
            keywords,
            anchor: self.anchors.then_some(uid.0 as u8),
            ..Append::default()
        }));
        Ok(uid)
    }

    /// STORE +FLAGS.
    ///
    /// # Errors
    /// A keyword that cannot be used; nothing was added then.
    pub fn flags_add(
        &mut self,
        uids: &UidSet,
        flags: Flags,
        keywords: &[&str],
    ) -> Result<(), KeywordError> {
        let numbers = self.numbers(keywords)?;
        if flags != Flags::NONE {
            self.records.push(Record::FlagsAdd { uids: uids.clone(), flags });
        }
        for number in numbers {
            self.records.push(Record::KeywordAdd { uids: uids.clone(), number });
        }
        Ok(())
    }

    /// STORE -FLAGS. Keywords the mailbox doesn't know are on no message: nothing is recorded for them.
    pub fn flags_remove(&mut self, uids: &UidSet, flags: Flags, keywords: &[&str]) {
        if flags != Flags::NONE {
            self.records.push(Record::FlagsRemove { uids: uids.clone(), flags });
        }
        for name in keywords {
            if self.known(name).is_some()
                && let Ok(number) = self.keyword(name)
            {
                self.records.push(Record::KeywordRemove { uids: uids.clone(), number });
            }
        }
    }

    /// STORE FLAGS.
    ///
    /// # Errors
    /// A keyword that cannot be used; nothing was added then.
    pub fn flags_replace(
        &mut self,
        uids: &UidSet,
        flags: Flags,
        keywords: &[&str],
    ) -> Result<(), KeywordError> {
        let keywords = Keywords(
            self.numbers(keywords)?.into_iter().fold(0, |mask, n| mask | Keywords::one(n).0),
        );
        self.records.push(Record::FlagsReplace { uids: uids.clone(), flags, keywords });
        Ok(())
    }

    /// Messages go.
    pub fn expunge(&mut self, uids: &UidSet) {
        self.records.push(Record::Expunge(uids.clone()));
    }

    /// Any other record, as it is. (Appends with explicit UIDs don't move what [`Self::append`] gives.)
    pub fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Whether nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The transaction: first the keyword names its file lacks, then the records.
    pub fn finish(mut self) -> Transaction {
        self.defines.append(&mut self.records);
        Transaction { prefix: self.prefix, records: self.defines }
    }

    fn numbers(&mut self, names: &[&str]) -> Result<Vec<u8>, KeywordError> {
        names.iter().map(|name| self.keyword(name)).collect()
    }

    fn known(&self, name: &str) -> Option<u8> {
        let fresh = || self.fresh.iter().position(|known| known.eq_ignore_ascii_case(name));
        self.mailbox
            .keywords()
            .number(name)
            .or_else(|| fresh().map(|at| (self.mailbox.keywords().len() + at) as u8))
    }

    /// The number of a keyword, defined first where the mailbox or the file does not know it.
    fn keyword(&mut self, name: &str) -> Result<u8, KeywordError> {
        if name.is_empty() || name.len() > KEYWORD_NAME_MAX {
            return Err(KeywordError::Length { len: name.len() });
        }
        let number = match self.known(name) {
            Some(number) => number,
            None => {
                let number = self.mailbox.keywords().len() + self.fresh.len();
                if number >= KEYWORDS_MAX {
                    return Err(KeywordError::Full);
                }
                self.fresh.push(name.into());
                number as u8
            }
        };
        if !self.names.knows(number) {
            let name: Box<str> = self.mailbox.keywords().name(number).unwrap_or(name).into();
            let define = Record::KeywordDefine { number, name };
            self.names.note_record(&define);
            self.defines.push(define);
        }
        Ok(number)
    }
}
