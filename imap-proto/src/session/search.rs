//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5).

use std::sync::Arc;

use super::tell::{Reply, Tell, uid_set};
use super::{Phase, Session, Work};
use crate::ask::{Ask, Code, FoundModSeqs};
use crate::fetch::number;
use crate::parse::search::{Return, Search};
use crate::parse::{Cursor, Error, Names};
use crate::search::{Key, Limits, Program};
use crate::types::{ModSeq, Uid, UidSet};

/// A SEARCH that is being answered.
#[derive(Debug)]
pub(super) struct Searching {
    wanted: Return,
    by_uid: bool,
    /// MODSEQ was among the keys: so it is among the results (RFC 7162 §3.1.5).
    modseq: bool,
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
            modseq: false,
            names: self.names,
            charset: None,
        };
        let mut key = match search.parse(cursor) {
            Ok(key) => key,
            Err(error) => {
                // RFC 5182 §2.1: a NO leaves nothing saved.
                if wanted.save && error == Error::Charset {
                    mailbox.saved = UidSet::new();
                }
                return Err(error);
            }
        };
        let modseq = search.modseq;
        let mut bounds = bounds;
        if modseq {
            // The mod-sequence told is that of what is told: not of messages that this session has yet to hear of.
            key = Key::And(vec![Key::Uids(mailbox.view.uids()), key]);
            bounds = Limits { depth: bounds.depth + 1, terms: bounds.terms + 2, ..bounds };
            self.enable_condstore();
        }
        let program = Program::compile(&key, bounds).map_err(|_| Error::Limit("search keys"))?;
        self.ask(Ask::Search { program: Arc::new(program) });
        self.work = Work::Search(Box::new(Searching { wanted, by_uid, modseq }));
        Ok(())
    }

    pub(super) fn on_found(&mut self, searching: Searching, uids: &UidSet, modseqs: FoundModSeqs) {
        let Searching { wanted, by_uid, modseq } = searching;
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        let found = mailbox.view.clip(uids);
        let ends = [
            wanted.min.then(|| found.first()).flatten(),
            wanted.max.then(|| found.last()).flatten(),
        ];
        // RFC 5182 §2.4, RFC 4731 §3.2: with MIN or MAX and neither ALL nor COUNT it is about these alone.
        let only_ends = (wanted.min || wanted.max) && !wanted.all && !wanted.count;
        let modseq = (modseq && !found.is_empty()).then(|| match only_ends {
            true => {
                let first = if wanted.min { modseqs.first } else { ModSeq(0) };
                let last = if wanted.max { modseqs.last } else { ModSeq(0) };
                first.max(last)
            }
            false => modseqs.highest,
        });
        if wanted.save {
            mailbox.saved =
                if only_ends { ends.iter().flatten().copied().collect() } else { found.clone() };
        }
        if !wanted.extended {
            self.out.put(b"* SEARCH");
            self.told.push_back(Tell::Found { uids: found, next: Uid(1), by_uid, modseq });
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
            if let Some(modseq) = modseq {
                line.extend_from_slice(b" MODSEQ ");
                number::write(modseq.0, &mut line);
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
