//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9, RFC 5258, RFC 3348, RFC 6154, RFC 5819).

use std::sync::Arc;

use super::tell::Reply;
use super::{Session, Work, mailbox::StatusOf};
use crate::ask::{Answer, Ask, NameEntry, StatusItems};
use crate::parse::list::List;
use crate::parse::{Cursor, Error, Names};
use crate::types::MailboxName;

/// A LIST or LSUB that is being answered; its lines are written as there is room.
#[derive(Debug)]
pub(super) struct Listing {
    list: List,
    lsub: bool,
    /// Options were named, or IMAP4rev2 is enabled: the words of RFC 5258 are understood.
    extended: bool,
    names: Arc<[NameEntry]>,
    /// The next name to look at.
    at: usize,
    /// The last name that was a candidate, whether or not it matched.
    previous: Option<usize>,
    /// The STATUS that is asked for.
    status: Option<StatusOf>,
}

impl Session {
    pub(super) fn on_list(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let line = *cursor;
        let list = List::parse(cursor, self.names, self.limits())?;
        let basic = !line.rest().starts_with(b" (")
            && list.returns == crate::parse::list::Returns::default();
        self.list(list, false, !basic || self.names == Names::Rev2);
        Ok(())
    }

    pub(super) fn on_lsub(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        if cursor.rest().starts_with(b" (") {
            return Err(Error::Expected("a reference"));
        }
        let list = List::parse(cursor, self.names, self.limits())?;
        self.list(list, true, false);
        Ok(())
    }

    fn list(&mut self, list: List, lsub: bool, extended: bool) {
        if list.separator {
            // RFC 3501 §6.3.8: the separator is asked for.
            self.out.put(if lsub {
                b"* LSUB (\\Noselect) \"/\" \"\"\r\n"
            } else {
                b"* LIST (\\Noselect) \"/\" \"\"\r\n"
            });
            return self.finish(Reply::ok("Done"));
        }
        if list.patterns.is_empty() {
            return self.finish(Reply::ok("Done"));
        }
        if list.returns.status.is_some_and(|items| items.has(StatusItems::HIGHESTMODSEQ)) {
            // RFC 7162 §3.1: STATUS by LIST (RFC 5819) is STATUS.
            self.enable_condstore();
        }
        self.ask(Ask::Names);
        let names = Arc::new([]);
        self.work = Work::List(Box::new(Listing {
            list,
            lsub,
            extended,
            names,
            at: 0,
            previous: None,
            status: None,
        }));
    }

    pub(super) fn on_list_answer(&mut self, mut listing: Box<Listing>, answer: Answer) {
        match (answer, listing.status.take()) {
            (Answer::Names(names), None) => {
                listing.names = names;
                self.work = Work::List(listing);
            }
            (Answer::Status(status), Some(of)) => {
                self.tell_status(&of, &status);
                self.work = Work::List(listing);
            }
            // RFC 5819 §2: a mailbox that can't tell its status is listed without.
            (Answer::No { .. }, Some(_)) => self.work = Work::List(listing),
            (answer, _) => self.finish(Reply::refusal(answer)),
        }
    }

    /// Writes the next lines; `false` when the output is full.
    pub(super) fn go_on_list(&mut self) -> bool {
        let Work::List(mut listing) = std::mem::replace(&mut self.work, Work::Nothing) else {
            return false;
        };
        let names = self.names;
        loop {
            if self.out.len() >= self.limits().unsent as u64 {
                self.work = Work::List(listing);
                return false;
            }
            let all = listing.names.clone();
            let Some(entry) = all.get(listing.at) else {
                self.finish(Reply::ok("Done"));
                return true;
            };
            self.out.write(|out| listing.entry(out, entry, names));
            listing.at += 1;
            if let Some(items) = listing.list.returns.status
                && entry.exists
                && listing.selected(entry)
                && listing.matches(entry.name.as_str())
            {
                self.ask(Ask::Status { mailbox: entry.name.clone(), items });
                listing.status = Some(StatusOf { mailbox: entry.name.clone(), items });
                self.work = Work::List(listing);
                return true;
            }
        }
    }
}

impl Listing {
    /// Whether a name is one that this command is about, pattern apart.
    fn selected(&self, entry: &NameEntry) -> bool {
        let list = &self.list;
        if self.lsub {
            return entry.subscribed;
        }
        let wanted = if list.subscribed { entry.subscribed } else { entry.exists };
        wanted && (!list.special_use || entry.special_use.is_some())
    }

    fn matches(&self, name: &str) -> bool {
        self.list.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Writes the line of one name, and of parents that no name stands for.
    fn entry(&mut self, out: &mut Vec<u8>, entry: &NameEntry, names: Names) {
        if !self.selected(entry) {
            return;
        }
        if entry.name.as_str().contains('/') {
            self.parents(out, &entry.name, names);
        }
        self.previous = Some(self.at);
        if self.matches(entry.name.as_str()) {
            let child = self.list.recursive
                && self.skips_levels()
                && self.has_children(&entry.name, |entry| self.selected(entry));
            self.line(out, entry.name.as_str(), Some(entry), child, names);
        }
    }

    /// Parents of a name that are not listed for themselves, each once: with its first child.
    fn parents(&self, out: &mut Vec<u8>, child: &MailboxName, names: Names) {
        // RFC 5258 §3.4: a selection option lists parents only with RECURSIVEMATCH.
        let special = self.list.subscribed || self.list.special_use;
        if special && !self.list.recursive {
            return;
        }
        // RFC 3501 §6.3.9: with `%` alone are they owed; RFC 5258 §3.5: not where the child itself is listed.
        if (special || self.lsub) && !self.skips_levels() {
            return;
        }
        let previous =
            self.previous.and_then(|at| self.names.get(at)).map_or("", |entry| entry.name.as_str());
        for (end, _) in child.as_str().match_indices('/') {
            let (parent, _) = child.as_str().split_at(end);
            let told = previous.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'));
            if told || !self.matches(parent) {
                continue;
            }
            let known = self.find(parent);
            if !known.is_some_and(|entry| self.selected(entry)) {
                self.line(out, parent, known, special, names);
            }
        }
    }

    /// A pattern has `%`, so that a name can match whose children don't.
    fn skips_levels(&self) -> bool {
        self.list.patterns.iter().any(|pattern| pattern.has_percent())
    }

    fn find(&self, name: &str) -> Option<&NameEntry> {
        let at = self.names.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
        self.names.get(at)
    }

    /// Whether a name below this one is as `wanted`; O(log names) where most are, and O(1) for the name that is looked at
    /// when no other stands between it and its children.
    fn has_children(&self, name: &MailboxName, wanted: impl Fn(&NameEntry) -> bool) -> bool {
        let name = name.as_str();
        let before = |entry: &NameEntry| entry.name.as_str().bytes().lt(name.bytes().chain([b'/']));
        let is_here = self.names.get(self.at).is_some_and(|entry| entry.name.as_str() == name);
        let from = match self.names.get(self.at + 1) {
            None if is_here => return false,
            Some(next) if is_here && !before(next) => self.at + 1,
            _ => self.names.partition_point(before),
        };
        self.names
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|entry| {
                entry.name.as_str().strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
            })
            .any(wanted)
    }

    fn line(
        &self,
        out: &mut Vec<u8>,
        wire: &str,
        entry: Option<&NameEntry>,
        child: bool,
        names: Names,
    ) {
        out.extend_from_slice(if self.lsub { b"* LSUB (" } else { b"* LIST (" });
        let start = out.len();
        let mut attribute = |name: &str| {
            if out.len() > start {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        };
        let exists = entry.is_some_and(|entry| entry.exists);
        // LSUB marks only what is not subscribed itself (RFC 3501 §6.3.9).
        if self.lsub && !entry.is_some_and(|entry| entry.subscribed) || !self.lsub && !exists {
            // RFC 5258 §3: \NonExistent implies \Noselect.
            attribute(if self.extended { "\\NonExistent" } else { "\\Noselect" });
        }
        if !self.lsub {
            match entry {
                Some(entry) if entry.no_inferiors => attribute("\\NoInferiors"),
                Some(entry) if !self.has_children(&entry.name, |child| child.exists) => {
                    attribute("\\HasNoChildren")
                }
                Some(_) | None => attribute("\\HasChildren"),
            }
            if self.list.returns.subscribed && entry.is_some_and(|entry| entry.subscribed) {
                attribute("\\Subscribed");
            }
            if let Some(special) = entry.and_then(|entry| entry.special_use) {
                attribute(special.as_str());
            }
        }
        out.extend_from_slice(b") \"/\" ");
        name(out, wire, names);
        if child {
            // RFC 5258 §4: which option the children match.
            let option: &[u8] = if self.list.subscribed { b"SUBSCRIBED" } else { b"SPECIAL-USE" };
            out.extend_from_slice(b" (\"CHILDINFO\" (\"");
            out.extend_from_slice(option);
            out.extend_from_slice(b"\"))");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The line that tells the name of the mailbox that is called by another one (RFC 9051 §6.3.9.7); `old` is UTF-8.
pub(super) fn old_name(attribute: &[u8], new: &str, old: &[u8]) -> Vec<u8> {
    let mut line = [b"* LIST (", attribute, b") \"/\" "].concat();
    name(&mut line, new, Names::Rev2);
    line.extend_from_slice(b" (\"OLDNAME\" (");
    name(&mut line, &String::from_utf8_lossy(old), Names::Rev2);
    line.extend_from_slice(b"))\r\n");
    line
}

/// A mailbox's name as it is written on this connection. Always quoted: a name has no CR, LF or NUL, so whatever is in
/// it, what is written is one string.
pub(super) fn name(out: &mut Vec<u8>, name: &str, names: Names) {
    out.push(b'"');
    let start = out.len();
    match names {
        Names::Rev1 => crate::mutf7::encode(name, out),
        Names::Rev2 => out.extend_from_slice(name.as_bytes()),
    }
    let special =
        out.get(start..).is_some_and(|wire| wire.iter().any(|byte| matches!(byte, b'"' | b'\\')));
    if special {
        let wire = out.split_off(start);
        for byte in wire {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }
    out.push(b'"');
}
