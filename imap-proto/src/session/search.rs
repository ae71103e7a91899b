//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5, RFC 9394), and the search keys of other commands.

use std::sync::Arc;

use super::results::{self, Kept};
use super::tell::{Reply, Tell, uid_set};
use super::{Phase, Session, Work};
use crate::ask::{Ask, Code, FoundModSeqs};
use crate::parse::search::{Return, Search};
use crate::parse::{Cursor, Error, Names, sort};
use crate::search::{Key, Limits, Program};
use crate::types::{Uid, UidSet};

/// A SEARCH that is being answered.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) wanted: Return,
    by_uid: bool,
    /// MODSEQ was among the keys: so it is among the results (RFC 7162 §3.1.5).
    modseq: bool,
    /// With UPDATE.
    kept: Option<Kept>,
}

/// Search keys that were understood.
pub(super) struct Searched {
    pub(super) program: Arc<Program>,
    /// MODSEQ is among them (RFC 7162 §3.1.5).
    pub(super) modseq: bool,
    /// With UPDATE: themselves.
    pub(super) key: Option<Arc<Key>>,
}

/// How text in search keys says what charset it is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Charsets {
    /// By CHARSET and a name, which may be left out.
    Named,
    /// By a name that has to be there (RFC 5256 §3).
    Stated,
}

/// Which messages may match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// Those of the mailbox; what this session has yet to hear of is left out of the answer.
    Mailbox,
    /// Those of the view alone: others would stand among them.
    View,
}

impl Session {
    pub(super) fn on_search(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        let mut wanted = Return::parse(cursor)?;
        if self.names == Names::Rev2 && !wanted.extended {
            // RFC 9051 §6.4.4: ESEARCH is the only answer.
            wanted = Return { extended: true, all: true, ..wanted };
        }
        let Searched { program, modseq, key } =
            self.search_program(cursor, Charsets::Named, Scope::Mailbox, &wanted)?;
        self.ask(Ask::Search { program });
        let kept = key.map(|key| Kept { key, order: None });
        self.work = Work::Search(Box::new(Searching { wanted, by_uid, modseq, kept }));
        Ok(())
    }

    /// Reads search keys to the end of the command.
    pub(super) fn search_program(
        &mut self,
        cursor: &mut Cursor<'_>,
        charsets: Charsets,
        scope: Scope,
        wanted: &Return,
    ) -> Result<Searched, Error> {
        let Phase::Selected(mailbox) = &mut self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        // RFC 5267 §4.3
        if wanted.update && mailbox.contexts.has(self.tag) {
            return Err(Error::State("Tag is in use by results that are kept up to date"));
        }
        let mut bounds = Limits::default();
        let mut search = Search {
            view: &mailbox.view,
            saved: &mailbox.saved,
            depth: u32::try_from(bounds.depth).unwrap_or(u32::MAX),
            terms: bounds.terms,
            ranges: Search::ranges(&mailbox.view),
            modseq: false,
            names: self.names,
            charset: None,
        };
        let parsed = match charsets {
            Charsets::Named => search.parse(cursor),
            Charsets::Stated => cursor.space().and_then(|()| {
                search.charset = Some(sort::charset(cursor)?);
                search.keys(cursor)
            }),
        };
        let modseq = search.modseq;
        let mut key = match parsed {
            Ok(key) => key,
            Err(error) => {
                // RFC 5182 §2.1: a NO leaves nothing saved.
                self.forget_saved(wanted.save && error == Error::Charset);
                return Err(error);
            }
        };
        let kept = wanted.update.then(|| Arc::new(key.clone()));
        if modseq || scope == Scope::View {
            // Also the mod-sequence told is that of what is told: not of messages that this session has yet to hear of.
            key = Key::And(vec![Key::Uids(mailbox.view.uids()), key]);
            bounds = Limits { depth: bounds.depth + 1, terms: bounds.terms + 2, ..bounds };
        }
        if modseq {
            self.enable_condstore();
        }
        let program = Program::compile(&key, bounds).map_err(|_| Error::Limit("search keys"))?;
        Ok(Searched { program: Arc::new(program), modseq, key: kept })
    }

    pub(super) fn on_found(&mut self, searching: Searching, uids: &UidSet, modseqs: FoundModSeqs) {
        let Searching { wanted, by_uid, modseq, kept } = searching;
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        let found = mailbox.view.clip(uids);
        let modseq = (modseq && !found.is_empty()).then(|| wanted.modseq(modseqs));
        let ends = wanted.ends(found.first(), found.last());
        let part = wanted.partial.map(|partial| {
            let count = usize::try_from(found.len()).unwrap_or(usize::MAX);
            found.slice(partial.of(count))
        });
        if wanted.save {
            mailbox.saved = wanted.saved(found.clone(), ends, part.clone());
        }
        if !wanted.extended {
            self.out.put(b"* SEARCH");
            self.told.push_back(Tell::Found { uids: found, next: Uid(1), by_uid, modseq });
            return self.finish(Reply::ok("Done"));
        }
        if wanted.answers() {
            let view = &mailbox.view;
            let shown =
                |uid: Uid| if by_uid { uid.0 } else { view.seq(uid).map_or(0, |seq| seq.0) };
            let mut line = results::head(self.tag, by_uid, &wanted, ends, shown);
            let listed = part.as_ref().unwrap_or(&found);
            if wanted.all && !listed.is_empty() {
                line.extend_from_slice(b" ALL ");
            }
            if wanted.all || part.is_some() {
                if by_uid {
                    uid_set(&mut line, listed);
                } else {
                    uid_set(&mut line, &view.numbers(listed).into_iter().collect());
                }
            }
            line.extend(results::tail(&wanted, listed.is_empty(), found.len(), modseq));
            self.told.push_back(Tell::Line(line));
        }
        if let Some(kept) = kept {
            self.keep_up_to_date(kept, by_uid, found.iter().collect());
        }
        self.finish(Reply::ok("Done"));
    }

    /// Calls back a search of any kind that is being answered; with `refuse` it ends with a NO.
    pub(super) fn give_up_search(&mut self, refuse: bool) {
        if self.waiting.is_none() || self.give_up_updates() {
            return;
        }
        let save = if let Work::Search(searching) = &self.work {
            searching.wanted.save
        } else if let Work::Sort(sorting) = &self.work {
            sorting.wanted.save
        } else if let Work::Thread { .. } = self.work {
            false
        } else {
            return;
        };
        self.forget_saved(save);
        self.drop_work();
        if refuse {
            self.finish(Reply::no(Some(Code::Unavailable), "Server is shutting down"));
        }
    }

    /// RFC 5182 §2.1: a search that was to save and came to nothing leaves nothing saved.
    pub(super) fn forget_saved(&mut self, save: bool) {
        if let (true, Phase::Selected(mailbox)) = (save, &mut self.phase) {
            mailbox.saved = UidSet::new();
        }
    }
}
