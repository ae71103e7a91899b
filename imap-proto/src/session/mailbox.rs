//! CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, and what moves messages: COPY, MOVE, EXPUNGE.

use super::tell::{Reply, Tell, uid_set};
use super::{Phase, Session, Work, list};
use crate::ask::{Ask, Code, Status, StatusItems};
use crate::capabilities;
use crate::fetch::number;
use crate::object_id;
use crate::parse::list::status_items;
use crate::parse::set::Numbers;
use crate::parse::{Cursor, Error, Names, mailbox};
use crate::types::{MailboxId, MailboxName, Position, SpecialUse, UidSet, UidValidity};

/// A STATUS that is being answered.
#[derive(Debug)]
pub(super) struct StatusOf {
    pub(super) mailbox: MailboxName,
    pub(super) items: StatusItems,
}

/// A COPY or MOVE that is being answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    moving: bool,
    /// The target is the selected mailbox itself.
    here: bool,
}

impl Session {
    pub(super) fn on_create(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let wire = cursor.astring()?;
        // RFC 3501 §6.3.3: a trailing separator announces children; nothing needs to be done for them.
        let name = mailbox(wire.strip_suffix(b"/").unwrap_or(&wire), self.names)?;
        let mut special_use = Vec::new();
        let mut unknown = false;
        if cursor.skip(b" (USE ") {
            cursor.list(true, |cursor| {
                cursor.expect(b'\\', "a special use")?;
                let wanted = cursor.atom("a special use")?;
                let known = SpecialUse::NAMES.iter().find(|(_, known)| {
                    known
                        .as_bytes()
                        .get(1..)
                        .is_some_and(|known| known.eq_ignore_ascii_case(wanted))
                });
                match known {
                    Some((known, _)) if !special_use.contains(known) => special_use.push(*known),
                    Some(_) => {}
                    None => unknown = true,
                }
                Ok(())
            })?;
            cursor.expect(b')', "the end of the parameters")?;
        }
        cursor.end()?;
        if unknown {
            // RFC 6154 §3: a use that can't be given.
            self.finish(Reply::no(Some(Code::UseAttr), "Special use is not known"));
            return Ok(());
        }
        let wrote = self.other_name(&wire, &name, b"");
        self.ask(Ask::Create { mailbox: name, special_use });
        self.work = Work::Create(wrote);
        Ok(())
    }

    pub(super) fn on_created(&mut self, line: Option<Vec<u8>>, id: MailboxId, position: Position) {
        if self.depends_on(position) {
            self.told.extend(line.map(Tell::Line));
            // RFC 8474 §4.1
            let id = object_id::mailbox(id);
            let code = format!("MAILBOXID ({})", String::from_utf8_lossy(&id));
            self.finish(Reply::ok_with(code, "Created"));
        }
    }

    pub(super) fn on_delete(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let wire = cursor.astring()?;
        let name = mailbox(&wire, self.names)?;
        cursor.end()?;
        if name.is_inbox() {
            // RFC 3501 §6.3.4
            self.finish(Reply::no(Some(Code::Cannot), "INBOX can't be deleted"));
            return Ok(());
        }
        let wrote = self.other_name(&wire, &name, b"\\NonExistent");
        self.ask(Ask::Delete { mailbox: name.clone() });
        self.work = Work::Delete(name, wrote);
        Ok(())
    }

    /// It is gone, and with it the selection; a DELETE that is refused leaves it as it was.
    pub(super) fn on_deleted(&mut self, name: &MailboxName, line: Option<Vec<u8>>, at: Position) {
        if self.depends_on(at) {
            if matches!(&self.phase, Phase::Selected(selected) if selected.name == *name) {
                self.leave();
            }
            self.told.extend(line.map(Tell::Line));
            self.finish(Reply::ok("Deleted"));
        }
    }

    pub(super) fn on_rename(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let old = cursor.astring()?;
        cursor.space()?;
        let new = cursor.astring()?;
        cursor.end()?;
        let (from, to) = (mailbox(&old, self.names)?, mailbox(&new, self.names)?);
        if from.is_parent_of(&to) && !from.is_inbox() {
            self.finish(Reply::no(Some(Code::Cannot), "A mailbox can't be put below itself"));
            return Ok(());
        }
        // RFC 9051 §6.3.6: the old name as it was written, with the new one as it is now.
        let other = other(&old, &from) || other(&new, &to);
        let wrote =
            (other && self.names == Names::Rev2).then(|| list::old_name(b"", to.as_str(), &old));
        self.ask(Ask::Rename { from: from.clone(), to: to.clone() });
        self.work = Work::Rename(from, to, wrote);
        Ok(())
    }

    /// What is selected stays so under its new name; what was in INBOX has left it (RFC 3501 §6.3.5).
    pub(super) fn on_renamed(
        &mut self,
        (from, to): (&MailboxName, &MailboxName),
        line: Option<Vec<u8>>,
        at: Position,
    ) {
        if self.depends_on(at) {
            if let Phase::Selected(selected) = &mut self.phase
                && let Some(name) = selected.name.renamed(from, to)
            {
                selected.name = name;
            }
            self.told.extend(line.map(Tell::Line));
            self.finish(Reply::ok("Renamed"));
        }
    }

    pub(super) fn on_subscribe(&mut self, cursor: &mut Cursor<'_>, on: bool) -> Result<(), Error> {
        cursor.space()?;
        let mailbox = cursor.mailbox(self.names)?;
        cursor.end()?;
        self.simply(Ask::Subscribe { mailbox, on }, if on { "Subscribed" } else { "Unsubscribed" });
        Ok(())
    }

    /// The line that tells a client which name is meant by the one it wrote (RFC 9051 §6.3.9.7).
    fn other_name(&self, wire: &[u8], name: &MailboxName, attribute: &[u8]) -> Option<Vec<u8>> {
        (self.names == Names::Rev2 && other(wire, name))
            .then(|| list::old_name(attribute, name.as_str(), wire))
    }

    fn simply(&mut self, ask: Ask, text: &'static str) {
        self.ask(ask);
        self.work = Work::Simple(text);
    }

    pub(super) fn on_status(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let wire = cursor.astring()?;
        cursor.space()?;
        let items = status_items(cursor)?;
        cursor.end()?;
        let mailbox = mailbox(&wire, self.names)?;
        if items.has(StatusItems::HIGHESTMODSEQ) {
            self.enable_condstore();
        }
        self.ask(Ask::Status { mailbox: mailbox.clone(), items });
        self.work = Work::Status(StatusOf { mailbox, items });
        Ok(())
    }

    pub(super) fn on_status_answer(&mut self, of: &StatusOf, status: &Status) {
        self.tell_status(of, status);
        self.finish(Reply::ok("Done"));
    }

    pub(super) fn tell_status(&mut self, of: &StatusOf, status: &Status) {
        let names = self.names;
        let append_limit = capabilities::append_limit(&self.config);
        self.out.write(|out| {
            out.extend_from_slice(b"* STATUS ");
            list::name(out, of.mailbox.as_str(), names);
            out.extend_from_slice(b" (");
            let mut before: &[u8] = b"";
            for (item, name) in StatusItems::NAMES {
                // RFC 9051 appendix E: RECENT is gone; who asks for it nevertheless learns the rest.
                let gone = item == StatusItems::RECENT && names == Names::Rev2;
                if gone || !of.items.has(item) {
                    continue;
                }
                out.extend_from_slice(before);
                before = b" ";
                out.extend_from_slice(name.as_bytes());
                out.push(b' ');
                match item {
                    StatusItems::MAILBOXID => {
                        out.push(b'(');
                        out.extend_from_slice(&object_id::mailbox(status.mailbox_id));
                        out.push(b')');
                    }
                    StatusItems::APPENDLIMIT => number::write(append_limit, out),
                    counter => number::write(status.counter(counter), out),
                }
            }
            out.extend_from_slice(b")\r\n");
        });
    }

    pub(super) fn on_copy(
        &mut self,
        cursor: &mut Cursor<'_>,
        by_uid: bool,
        moving: bool,
    ) -> Result<(), Error> {
        cursor.space()?;
        let numbers = Numbers::parse(cursor)?;
        cursor.space()?;
        let wire = cursor.astring()?;
        cursor.end()?;
        let target = mailbox(&wire, self.names)?;
        let Phase::Selected(selected) = &self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let uids = numbers.resolve(&selected.view, &selected.saved, by_uid)?;
        if moving && selected.read_only {
            self.finish(Reply::no(Some(Code::NoPerm), "Mailbox is read-only"));
        } else if uids.is_empty() {
            // RFC 3501 §6.4.8: a UID without a message is no error.
            self.finish(Reply::ok("Nothing to do"));
        } else {
            let here = selected.name == target;
            self.ask(Ask::Copy { uids, mailbox: target, moving, exact: !by_uid });
            self.work = Work::Copy(Copying { moving, here });
        }
        Ok(())
    }

    pub(super) fn on_copied(
        &mut self,
        copying: Copying,
        uidvalidity: UidValidity,
        from: &UidSet,
        to: &UidSet,
        position: Position,
    ) {
        if !self.depends_on(position) {
            return;
        }
        let mut code = Vec::new();
        if !from.is_empty() {
            // RFC 4315 §3
            code.extend_from_slice(b"COPYUID ");
            number::write(u64::from(uidvalidity.0), &mut code);
            code.push(b' ');
            uid_set(&mut code, from);
            code.push(b' ');
            uid_set(&mut code, to);
        }
        if !copying.moving {
            let code = String::from_utf8(code).unwrap_or_default();
            let reply =
                if code.is_empty() { Reply::ok("Copied") } else { Reply::ok_with(code, "Copied") };
            if copying.here {
                self.finish_looking(reply)
            } else {
                self.finish(reply)
            }
            return;
        }
        if !code.is_empty() {
            // RFC 6851 §4.3: before the EXPUNGEs, hence not with the tagged OK.
            let line = [b"* OK [", &code[..], b"] Moved\r\n"].concat();
            self.told.push_back(Tell::Line(line));
            if let (true, Phase::Selected(mailbox)) = (self.condstore, &mut self.phase) {
                // RFC 6851 §4.4: what it has become by messages that went.
                mailbox.modseq_due = true;
            }
        }
        self.finish_looking(Reply::ok("Moved"));
    }

    /// EXPUNGE, or with a set UID EXPUNGE (RFC 4315 §2.1).
    pub(super) fn on_expunge(&mut self, set: Option<&mut Cursor<'_>>) -> Result<(), Error> {
        let numbers = match set {
            Some(cursor) => {
                cursor.space()?;
                let numbers = Numbers::parse(cursor)?;
                cursor.end()?;
                Some(numbers)
            }
            None => None,
        };
        let Phase::Selected(selected) = &self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let uids = match numbers {
            Some(numbers) => Some(numbers.resolve(&selected.view, &selected.saved, true)?),
            None => None,
        };
        if selected.read_only {
            self.finish(Reply::no(Some(Code::NoPerm), "Mailbox is read-only"));
        } else if uids.as_ref().is_some_and(UidSet::is_empty) {
            self.finish(Reply::ok("Nothing to do"));
        } else {
            self.ask(Ask::Expunge { uids });
            self.work = Work::Expunge;
        }
        Ok(())
    }
}

/// Whether a client wrote another name than the mailbox has: there is one INBOX, however it is written.
pub(super) fn other(wire: &[u8], name: &MailboxName) -> bool {
    wire.strip_suffix(b"/").unwrap_or(wire) != name.as_str().as_bytes()
}

impl Status {
    /// The counter that `item` names.
    fn counter(&self, item: StatusItems) -> u64 {
        match item {
            StatusItems::MESSAGES => u64::from(self.messages),
            StatusItems::RECENT => u64::from(self.recent),
            StatusItems::UIDNEXT => u64::from(self.uidnext.0),
            StatusItems::UIDVALIDITY => u64::from(self.uidvalidity.0),
            StatusItems::UNSEEN => u64::from(self.unseen),
            StatusItems::DELETED => u64::from(self.deleted),
            StatusItems::SIZE => self.size,
            _ => self.highest_modseq.0,
        }
    }
}
