//! What a client believes.

use std::collections::{BTreeSet, VecDeque};

use imap_proto::model::{Happening, Model};
use imap_proto::{FlagRow, MailboxName};

use crate::grammar::Checker;
use crate::response::{Row, cut, numbers};

/// A client that keeps what it is told of the selected mailbox.
#[derive(Debug, Default)]
pub(crate) struct Client {
    grammar: Checker,
    ahead: Vec<u8>,
    /// Commands that are not answered yet, with their tags; the first one executes.
    sent: VecDeque<(String, String)>,
    count: u32,
    idles: bool,
    ended: bool,
    /// All it saw, for whoever looks for the reason.
    log: String,
    last_reply: String,
    selected: Option<Selected>,
    /// What was selected before the SELECT that executes, should it be refused as no command.
    before: Option<Selected>,
    /// What `*` is to the command that executes: the highest number, and the highest UID if it is known.
    last: (u32, Option<u32>),
    /// CLOSED was said since.
    closed: bool,
    rev2: bool,
    condstore: bool,
}

#[derive(Clone, Debug)]
struct Selected {
    name: MailboxName,
    messages: Vec<Known>,
    /// The last HIGHESTMODSEQ.
    highest: u64,
}

#[derive(Clone, Debug, Default)]
struct Known {
    uid: Option<u32>,
    flags: Option<BTreeSet<String>>,
    modseq: Option<u64>,
    /// Flags were told since the command that executes began.
    fresh: bool,
}

impl Client {
    /// The bytes of a command; IDLE ends before the next one.
    pub(crate) fn send(&mut self, text: &str) -> Vec<u8> {
        self.count += 1;
        let tag = format!("t{}", self.count);
        let mut bytes = if self.idles { b"DONE\r\n".to_vec() } else { Vec::new() };
        self.idles = text == "IDLE";
        bytes.extend_from_slice(format!("{tag} {text}\r\n").as_bytes());
        self.log += &format!("C: {tag} {}\n", text.escape_debug());
        self.sent.push_back((tag, text.to_owned()));
        if self.sent.len() == 1 {
            self.begin();
        }
        bytes
    }

    pub(crate) fn see(&mut self, happening: Happening) {
        match happening {
            Happening::Sent(bytes) => {
                self.grammar.feed(&bytes).unwrap_or_else(|why| panic!("{why}\n{}", self.log));
                self.ahead.extend_from_slice(&bytes);
                while let Some(response) = cut(&self.ahead).map(<[u8]>::to_vec) {
                    self.ahead.drain(..response.len());
                    self.log += &format!("S: {}\n", response.escape_ascii());
                    self.on_response(&response);
                }
            }
            Happening::Closed => self.ended = true,
            Happening::Asked(what) => self.log += &format!("   {what}\n"),
            Happening::Body(_) | Happening::Cancelled | Happening::Upgrade => {}
        }
    }

    fn executing(&self) -> &str {
        self.sent.front().map_or("", |(_, text)| text)
    }

    fn is(&self, verbs: &[&str]) -> bool {
        let verb = self.executing().split(' ').next().unwrap_or_default();
        verbs.contains(&verb)
    }

    /// The command that is now the first begins.
    fn begin(&mut self) {
        self.closed = false;
        for known in self.selected.iter_mut().flat_map(|selected| &mut selected.messages) {
            known.fresh = false;
        }
        let messages = self.selected.as_ref().map_or(&[][..], |selected| &selected.messages);
        self.last = (messages.len() as u32, messages.last().and_then(|known| known.uid));
        if self.is(&["SELECT", "EXAMINE"]) {
            self.before = self.selected.take();
            let name = self.executing().split(' ').nth(1).unwrap_or_default();
            let name =
                MailboxName::new(name.trim_matches('"')).unwrap_or_else(|_| MailboxName::inbox());
            self.selected = Some(Selected { name, messages: Vec::new(), highest: 0 });
        }
    }

    fn on_response(&mut self, wire: &[u8]) {
        let line = wire.strip_suffix(b"\r\n").expect("a line");
        let text = String::from_utf8_lossy(line).into_owned();
        let words: Vec<&str> = text.splitn(4, ' ').collect();
        match words.as_slice() {
            ["*", "BYE", "[NONEXISTENT]", ..] => {
                assert!(self.selected.is_some(), "what is gone?\n{}", self.log);
                self.ended = true;
            }
            ["*", "BYE", ..] => self.ended = true,
            ["*", "ENABLED", ..] => self.rev2 |= text.contains(" IMAP4rev2"),
            ["*", "OK", "[HIGHESTMODSEQ", rest] => {
                let modseq: u64 = rest.split(']').next().unwrap_or("").parse().expect("a number");
                let fresh = self.is(&["SELECT", "EXAMINE"]);
                let Some(selected) = &mut self.selected else {
                    panic!("nothing selected\n{}", self.log)
                };
                assert!(modseq >= selected.highest, "HIGHESTMODSEQ fell\n{}", self.log);
                selected.highest = modseq;
                self.condstore |= !fresh;
            }
            ["*", "OK", "[CLOSED]", ..] => self.closed = true,
            ["*", number, "EXISTS"] => self.on_exists(number.parse().expect("a number")),
            ["*", number, "EXPUNGE"] => self.on_expunge(number.parse().expect("a number")),
            ["*", number, "FETCH", _] => {
                let at = text.find(" FETCH ").expect("it is there") + 7;
                let number = number.parse().expect("a number");
                self.on_fetch(number, Row::parse(&line[at..]));
            }
            ["*", number, "RECENT"] => assert!(!self.rev2, "RECENT {number}\n{}", self.log),
            ["*" | "+", ..] => {}
            [tag, status, ..] => self.on_reply(tag, status, &text),
            _ => panic!("what is {text}?"),
        }
    }

    fn on_exists(&mut self, exists: usize) {
        let Some(selected) = &mut self.selected else { panic!("EXISTS of what?\n{}", self.log) };
        assert!(exists >= selected.messages.len(), "EXISTS takes messages away\n{}", self.log);
        selected.messages.resize(exists, Known::default());
    }

    fn on_expunge(&mut self, number: usize) {
        // RFC 3501 §7.4.1
        assert!(!self.sent.is_empty(), "EXPUNGE without a command\n{}", self.log);
        assert!(
            !self.is(&["FETCH", "STORE", "SEARCH", "SORT", "THREAD"]),
            "EXPUNGE now\n{}",
            self.log
        );
        let Some(selected) = &mut self.selected else { panic!("EXPUNGE of what?\n{}", self.log) };
        assert!((1..=selected.messages.len()).contains(&number), "EXPUNGE {number}\n{}", self.log);
        selected.messages.remove(number - 1);
    }

    fn on_fetch(&mut self, number: usize, row: Row) {
        let asked = self.is(&["FETCH", "STORE"]) || self.executing().starts_with("UID ");
        if !asked && (self.condstore || self.rev2) {
            // RFC 7162 §3.2.4, RFC 9051 §7.5.2
            assert!(row.uid.is_some(), "flags without UID\n{}", self.log);
            assert!(!self.condstore || row.modseq.is_some(), "without MODSEQ\n{}", self.log);
        }
        let Some(selected) = &mut self.selected else { panic!("FETCH of what?\n{}", self.log) };
        let known = number.checked_sub(1).and_then(|at| selected.messages.get_mut(at));
        let Some(known) = known else { panic!("there is no {number}\n{}", self.log) };
        if let Some(uid) = row.uid {
            assert!(known.uid.is_none_or(|known| known == uid), "another UID\n{}", self.log);
            known.uid = Some(uid);
        }
        if let Some(modseq) = row.modseq {
            assert!(known.modseq.is_none_or(|known| known <= modseq), "MODSEQ fell\n{}", self.log);
            known.modseq = Some(modseq);
        }
        if let Some(flags) = row.flags {
            assert!(!self.rev2 || flags.iter().all(|flag| flag != "\\Recent"), "{}", self.log);
            known.fresh = true;
            known.flags = Some(flags.iter().filter_map(|flag| kept(flag)).collect());
        }
        let uids: Vec<u32> = selected.messages.iter().filter_map(|known| known.uid).collect();
        assert!(uids.is_sorted_by(|a, b| a < b), "UIDs {uids:?}\n{}", self.log);
    }

    fn on_reply(&mut self, tag: &str, status: &str, text: &str) {
        let Some((expected, command)) = self.sent.front().cloned() else {
            panic!("a reply to nothing: {text}\n{}", self.log)
        };
        assert_eq!(tag, expected, "{}", self.log);
        let words: Vec<&str> = command.split(' ').collect();
        // RFC 7162 §3.1: what enables CONDSTORE is answered with HIGHESTMODSEQ, if anything is selected.
        let enables = ["MODSEQ", "CHANGEDSINCE", "CONDSTORE"];
        if status == "OK" && enables.iter().any(|word| command.contains(word)) {
            let owed = self.selected.is_some() && !self.is(&["SELECT", "EXAMINE"]);
            assert!(!owed || self.condstore, "HIGHESTMODSEQ is owed\n{}", self.log);
            self.condstore = true;
        }
        match (words.as_slice(), status) {
            (["SELECT" | "EXAMINE", ..], _) => {
                let before = self.before.take();
                // RFC 7162 §3.2.11
                let owed = before.is_some() && status != "BAD";
                assert!(!owed || self.closed, "CLOSED is owed\n{}", self.log);
                match status {
                    "OK" => {}
                    "NO" => self.selected = None,
                    _ => self.selected = before,
                }
                self.condstore |= status != "BAD" && command.contains("(CONDSTORE)");
            }
            (["CLOSE" | "UNSELECT"], "OK") => self.selected = None,
            (["DELETE", name], "OK") => {
                let name = MailboxName::new(name.trim_matches('"')).ok();
                if self
                    .selected
                    .as_ref()
                    .is_some_and(|selected| Some(&selected.name) == name.as_ref())
                {
                    self.selected = None;
                }
            }
            (["RENAME", from, to], "OK") => {
                let names = (MailboxName::new(from).ok(), MailboxName::new(to.trim_matches('"')));
                if let (Some(selected), (Some(from), Ok(to))) = (&mut self.selected, names)
                    && selected.name == from
                {
                    selected.name = to;
                }
            }
            (["STORE", ..], "OK" | "NO") => self.on_stored(&words[1..], false, status, text),
            (["UID", "STORE", ..], "OK" | "NO") => self.on_stored(&words[2..], true, status, text),
            _ => {}
        }
        self.last_reply = status.to_owned();
        self.sent.pop_front();
        self.begin();
    }

    /// A client that said `.SILENT` knows what became of the flags: RFC 3501 §6.4.6.
    fn on_stored(&mut self, words: &[&str], by_uid: bool, status: &str, text: &str) {
        let Some(selected) = &mut self.selected else { return };
        let Some((set, rest)) = words.split_first() else { return };
        let rest = rest.join(" ");
        let modified = text.split_once("[MODIFIED ").and_then(|(_, rest)| rest.split_once(']'));
        // RFC 7162 §3.1.3, example 11: with a NO for messages that are gone the others were changed nevertheless.
        let done = status == "OK" || modified.is_some() || text.contains("[EXPUNGEISSUED]");
        if !rest.contains(".SILENT") || !done {
            return;
        }
        let most = if by_uid { self.last.1 } else { Some(self.last.0) };
        let modified = modified.map(|(set, _)| numbers(set, 0)).unwrap_or_default();
        let named = most.filter(|_| *set != "$").map(|most| numbers(set, most));
        let flags = rest.split_once(".SILENT ").map_or("", |(_, flags)| flags);
        let flags: BTreeSet<String> =
            flags.trim_matches(['(', ')']).split(' ').filter_map(kept).collect();
        for (seq, known) in (1..).zip(&mut selected.messages) {
            if known.fresh {
                // Somebody else changed them, too: what is told goes for all.
                continue;
            }
            let number = if by_uid { known.uid } else { Some(seq) };
            let (Some(named), Some(number)) = (&named, number) else {
                known.flags = None;
                continue;
            };
            let Some(mine) = &mut known.flags else { continue };
            if !named.contains(&number) || modified.contains(&number) {
                continue;
            }
            if rest.contains("+FLAGS") {
                mine.extend(flags.iter().cloned());
            } else if rest.contains("-FLAGS") {
                mine.retain(|flag| !flags.contains(flag));
            } else {
                mine.clone_from(&flags);
            }
        }
    }

    /// Whether there are messages in what is selected; `None` when nothing is.
    pub(crate) fn selects_messages(&self) -> Option<bool> {
        self.selected.as_ref().map(|selected| !selected.messages.is_empty())
    }

    /// The last command was one that only works where a mailbox is selected.
    pub(crate) fn check_state_by_last_reply(&self) {
        let expected = if self.selected.is_some() { "OK" } else { "BAD" };
        assert!(self.ended || self.last_reply == expected, "selected or not?\n{}", self.log);
    }

    /// Who has HIGHESTMODSEQ has heard of everything up to it (RFC 7162 §3.1).
    pub(crate) fn check_promises(&self, model: &Model) {
        // While a command is not answered yet, something may be on its way.
        let Some(selected) = &self.selected else { return };
        if self.ended || !self.sent.is_empty() {
            return;
        }
        let rows = model.messages(&selected.name);
        let heard = |row: &&FlagRow| row.modseq.0 <= selected.highest;
        assert!(
            rows.iter().filter(heard).count() <= selected.messages.len(),
            "messages below HIGHESTMODSEQ are not told\n{}",
            self.log
        );
        let Some(highest) = model.highest_modseq(&selected.name) else { return };
        for known in &selected.messages {
            let Some(uid) = known.uid else { continue };
            match rows.iter().find(|row| row.uid.0 == uid) {
                Some(row) if heard(&row) => self.check_message(known, row),
                Some(_) => {}
                None => assert!(
                    selected.highest < highest.0,
                    "{uid} was expunged below HIGHESTMODSEQ\n{}",
                    self.log
                ),
            }
        }
    }

    /// Everything that is believed is so.
    pub(crate) fn check_all(&self, model: &Model) {
        let Some(selected) = &self.selected else { return };
        if self.ended {
            return;
        }
        assert!(self.sent.is_empty(), "{:?} is not answered\n{}", self.sent, self.log);
        let rows = model.messages(&selected.name);
        assert_eq!(rows.len(), selected.messages.len(), "messages\n{}", self.log);
        for (known, row) in selected.messages.iter().zip(&rows) {
            assert!(
                known.uid.is_none_or(|uid| uid == row.uid.0),
                "{known:?} {row:?}\n{}",
                self.log
            );
            self.check_message(known, row);
        }
    }

    fn check_message(&self, known: &Known, row: &FlagRow) {
        if let Some(flags) = &known.flags {
            let system = imap_proto::SystemFlags::NAMES.iter();
            let stored: BTreeSet<String> = system
                .filter(|(flag, _)| row.flags.system.contains(*flag))
                .map(|(_, name)| name.to_ascii_lowercase())
                .chain(
                    row.flags.keywords.iter().map(|keyword| keyword.as_str().to_ascii_lowercase()),
                )
                .collect();
            assert_eq!(*flags, stored, "flags of {:?}\n{}", row.uid, self.log);
        }
        if let Some(modseq) = known.modseq {
            assert_eq!(modseq, row.modseq.0, "MODSEQ of {:?}\n{}", row.uid, self.log);
        }
    }
}

/// A flag as it is compared; `\Recent` is a fact about sessions.
fn kept(flag: &str) -> Option<String> {
    (!flag.is_empty() && flag != "\\Recent").then(|| flag.to_ascii_lowercase())
}
