//! SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 §6.3.1, §6.4.2, RFC 3691).

use std::sync::Arc;

use super::condstore::highest_modseq;
use super::context::Contexts;
use super::tell::{Reply, counted, flag_lists};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask, Selected};
use crate::fetch::number;
use crate::object_id;
use crate::parse::{Cursor, Error, Names, condstore};
use crate::types::{Cursor as ChangeCursor, Keyword, MailboxName, ModSeq, UidSet};
use crate::view::View;

/// A SELECT that is being answered.
#[derive(Debug)]
pub(super) struct Opening {
    name: MailboxName,
    /// What the client calls it, where that is another name.
    called: Option<Box<[u8]>>,
}

/// The selected mailbox, as this session knows it.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) name: MailboxName,
    pub(super) view: View,
    pub(super) cursor: ChangeCursor,
    /// Recent messages (RFC 3501 §2.3.2); those that are gone from the view do no harm.
    pub(super) recent: Arc<UidSet>,
    pub(super) keywords: Vec<Keyword>,
    pub(super) read_only: bool,
    /// What SEARCH saved (RFC 5182).
    pub(super) saved: UidSet,
    /// Results that are kept up to date (RFC 5267 §4.3).
    pub(super) contexts: Contexts,
    /// Something may have happened that wasn't asked for.
    pub(super) changed: bool,
    /// Everything up to here is told.
    pub(super) modseq: ModSeq,
    /// HIGHESTMODSEQ is to be told once what happened is (RFC 7162 §3.1).
    pub(super) modseq_due: bool,
    /// Changes were asked for when the view could not shrink: messages may be gone.
    pub(super) shrink_due: bool,
}

impl Mailbox {
    /// The question for what happened.
    pub(super) fn changes(&mut self, may_shrink: bool) -> Ask {
        self.changed = false;
        self.shrink_due = !may_shrink;
        Ask::Changes { cursor: self.cursor, may_shrink }
    }

    pub(super) fn recent_count(&self) -> u32 {
        u32::try_from(self.view.clip(&self.recent).len()).unwrap_or(u32::MAX)
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>()
            + self.view.held()
            + self.recent.held()
            + self.saved.held()
            + self.contexts.held()
            + self.keywords.capacity() * size_of::<Keyword>()
            + self.keywords.iter().map(|keyword| keyword.as_str().len()).sum::<usize>()
    }
}

impl Session {
    pub(super) fn on_select(
        &mut self,
        cursor: &mut Cursor<'_>,
        examine: bool,
    ) -> Result<(), Error> {
        cursor.space()?;
        let wire = cursor.astring()?;
        let condstore = condstore::select_parameters(cursor)?;
        // RFC 3501 §6.3.1: whatever becomes of it, the mailbox that was selected no longer is.
        let was_selected = matches!(self.phase, Phase::Selected(_));
        if was_selected {
            self.phase = Phase::User;
            // RFC 7162 §3.2.11: whether or not mod-sequences or IMAP4rev2 were spoken of.
            self.out.put(b"* OK [CLOSED] Previous mailbox is closed\r\n");
        }
        if condstore {
            self.enable_condstore();
        }
        match crate::parse::mailbox(&wire, self.names) {
            Ok(mailbox) => {
                self.ask(Ask::Select { mailbox: mailbox.clone(), examine });
                let called = super::mailbox::other(&wire, &mailbox).then(|| wire.as_ref().into());
                self.work = Work::Select(Opening { name: mailbox, called });
                Ok(())
            }
            Err(error) => {
                if was_selected {
                    self.order(Ask::Unselect);
                }
                Err(error)
            }
        }
    }

    pub(super) fn on_select_answer(&mut self, opening: Opening, answer: Answer) {
        if let Answer::Selected(selected) = answer {
            self.on_selected(opening, *selected);
        } else {
            self.finish(Reply::refusal(answer));
        }
    }

    fn on_selected(&mut self, opening: Opening, selected: Selected) {
        let rev1 = self.names == Names::Rev1;
        let mailbox = Mailbox {
            name: opening.name,
            view: View::new(&selected.uids),
            cursor: selected.cursor,
            recent: Arc::new(if rev1 { selected.recent } else { UidSet::new() }),
            keywords: selected.keywords,
            read_only: selected.read_only,
            saved: UidSet::new(),
            contexts: Contexts::default(),
            changed: false,
            modseq: selected.highest_modseq,
            modseq_due: false,
            shrink_due: false,
        };
        let names = self.names;
        self.out.write(|out| {
            flag_lists(out, &mailbox.keywords, !mailbox.read_only);
            counted(out, mailbox.view.len(), "EXISTS");
            if rev1 {
                counted(out, mailbox.recent_count(), "RECENT");
                if let Some(seq) = selected.first_unseen.and_then(|uid| mailbox.view.seq(uid)) {
                    code(out, "UNSEEN", seq.0, "First unseen");
                }
            }
            code(out, "UIDVALIDITY", selected.uidvalidity.0, "UIDs are valid");
            code(out, "UIDNEXT", selected.uidnext.0, "Next UID");
            // RFC 7162 §3.1.2.1: owed to who knows mod-sequences, of use to who is about to say so.
            highest_modseq(out, selected.highest_modseq);
            // RFC 8474 §4.2
            out.extend_from_slice(b"* OK [MAILBOXID (");
            out.extend_from_slice(&object_id::mailbox(selected.mailbox_id));
            out.extend_from_slice(b")] Mailbox's id\r\n");
            if !rev1 {
                // RFC 9051 §6.3.2: the name as it is written now.
                let mut attributes =
                    if selected.has_children { "\\HasChildren" } else { "\\HasNoChildren" }
                        .to_owned();
                if let Some(special) = selected.special_use {
                    attributes = attributes + " " + special.as_str();
                }
                match &opening.called {
                    Some(called) => out.extend(super::list::old_name(
                        attributes.as_bytes(),
                        mailbox.name.as_str(),
                        called,
                    )),
                    None => {
                        out.extend_from_slice(b"* LIST (");
                        out.extend_from_slice(attributes.as_bytes());
                        out.extend_from_slice(b") \"/\" ");
                        super::list::name(out, mailbox.name.as_str(), names);
                        out.extend_from_slice(b"\r\n");
                    }
                }
            }
        });
        let access = if mailbox.read_only { "READ-ONLY" } else { "READ-WRITE" };
        self.phase = Phase::Selected(Box::new(mailbox));
        self.finish(Reply::ok_with(access, "Selected"));
    }

    /// CLOSE expunges first, without telling (RFC 3501 §6.4.2); UNSELECT doesn't.
    pub(super) fn on_close(&mut self, expunge: bool) {
        let writable = matches!(&self.phase, Phase::Selected(mailbox) if !mailbox.read_only);
        if expunge && writable {
            self.ask(Ask::Expunge { uids: None });
            self.work = Work::CloseExpunge;
            return;
        }
        self.leave();
        self.finish(Reply::ok("Closed"));
    }

    pub(super) fn on_close_answer(&mut self, answer: Answer) {
        if let Answer::Done { position } = answer {
            if self.depends_on(position) {
                self.leave();
                self.finish(Reply::ok("Closed"));
            }
        } else {
            // RFC 9051 §3.2: only a CLOSE that succeeds deselects.
            self.finish(Reply::refusal(answer));
        }
    }

    /// No mailbox is selected any more.
    pub(super) fn leave(&mut self) {
        if matches!(self.phase, Phase::Selected(_)) {
            self.phase = Phase::User;
            self.order(Ask::Unselect);
        }
    }
}

/// `* OK [NAME n] text`
fn code(out: &mut Vec<u8>, name: &str, value: u32, text: &str) {
    out.extend_from_slice(b"* OK [");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    number::write(u64::from(value), out);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}
