//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182).

use std::sync::Arc;

use super::tell::{Reply, Tell, uid_set};
use super::{Phase, Session, Work};
use crate::ask::{Ask, Code};
use crate::fetch::number;
use crate::parse::search::{Return, Search};
use crate::parse::{Cursor, Error, Names};
use crate::search::{Limits, Program};
use crate::types::{Uid, UidSet};

/// A SEARCH that is being answered.
#[derive(Debug)]
pub(super) struct Searching {
    wanted: Return,
    by_uid: bool,
}

impl Session {
    pub(super) fn on_search(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        let Phase::Selected(mailbox) = &mut self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let mut wanted = Return::parse(cursor)?;
        if self.names == Names::Rev2 && !wanted.extended {
            // RFC 9051 §6.4.4: ESEARCH is the only answer.
            wanted = Return { extended: true, all: true, ..wanted };
        }
        let bounds = Limits::default();
        let mut search = Search {
            view: &mailbox.view,
            saved: &mailbox.saved,
            depth: u32::try_from(bounds.depth).unwrap_or(u32::MAX),
            terms: bounds.terms,
            names: self.names,
            charset: None,
        };
        let key = match search.parse(cursor) {
            Ok(key) => key,
            Err(error) => {
                // RFC 5182 §2.1: a NO leaves nothing saved.
                if wanted.save && error == Error::Charset {
                    mailbox.saved = UidSet::new();
                }
                return Err(error);
            }
        };
        let program = Program::compile(&key, bounds).map_err(|_| Error::Limit("search keys"))?;
        self.ask(Ask::Search { program: Arc::new(program) });
        self.work = Work::Search(Box::new(Searching { wanted, by_uid }));
        Ok(())
    }

    pub(super) fn on_found(&mut self, searching: Searching, uids: &UidSet) {
        let Searching { wanted, by_uid } = searching;
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        let found = mailbox.view.clip(uids);
        let ends = [
            wanted.min.then(|| found.first()).flatten(),
            wanted.max.then(|| found.last()).flatten(),
        ];
        if wanted.save {
            // RFC 5182 §2.4: with MIN or MAX and neither ALL nor COUNT only these are saved.
            let only_ends = (wanted.min || wanted.max) && !wanted.all && !wanted.count;
            mailbox.saved =
                if only_ends { ends.iter().flatten().copied().collect() } else { found.clone() };
        }
        if !wanted.extended {
            self.out.put(b"* SEARCH");
            self.told.push_back(Tell::Found { uids: found, next: Uid(1), by_uid });
            return self.finish(Reply::ok("Done"));
        }
        let shown =
            |uid: Uid| if by_uid { uid.0 } else { mailbox.view.seq(uid).map_or(0, |seq| seq.0) };
        // RFC 4731 §3.1: SAVE alone wants no answer.
        if wanted.min || wanted.max || wanted.all || wanted.count {
            let mut line = b"* ESEARCH (TAG \"".to_vec();
            line.extend_from_slice(self.tag.as_bytes());
            line.extend_from_slice(b"\")");
            if by_uid {
                line.extend_from_slice(b" UID");
            }
            for (name, end) in [(&b" MIN "[..], ends.first()), (&b" MAX "[..], ends.last())] {
                if let Some(Some(uid)) = end {
                    line.extend_from_slice(name);
                    number::write(u64::from(shown(*uid)), &mut line);
                }
            }
            if wanted.all && !found.is_empty() {
                line.extend_from_slice(b" ALL ");
                if by_uid {
                    uid_set(&mut line, &found);
                } else {
                    uid_set(&mut line, &mailbox.view.numbers(&found).into_iter().collect());
                }
            }
            if wanted.count {
                line.extend_from_slice(b" COUNT ");
                number::write(found.len(), &mut line);
            }
            line.extend_from_slice(b"\r\n");
            self.told.push_back(Tell::Line(line));
        }
        self.finish(Reply::ok("Done"));
    }

    /// Calls back a search that is being answered; with `refuse` it ends with a NO.
    pub(super) fn give_up_search(&mut self, refuse: bool) {
        if self.waiting.is_none() || !matches!(self.work, Work::Search(_)) {
            return;
        }
        if let Work::Search(searching) = std::mem::replace(&mut self.work, Work::Nothing) {
            self.on_search_failed(&searching);
        }
        self.drop_work();
        if refuse {
            self.finish(Reply::no(Some(Code::Unavailable), "Server is shutting down"));
        }
    }

    /// RFC 5182 §2.1: a search that was to save and came to nothing leaves nothing saved.
    pub(super) fn on_search_failed(&mut self, searching: &Searching) {
        if let (true, Phase::Selected(mailbox)) = (searching.wanted.save, &mut self.phase) {
            mailbox.saved = UidSet::new();
        }
    }
}
