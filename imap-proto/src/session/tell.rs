//! What is told, and how it is written: bit by bit, as the output has room.

use std::borrow::Cow;
use std::sync::Arc;

use super::{End, Phase, Session, Why, Work};
use crate::ask::{Answer, Code};
use crate::fetch::number;
use crate::mime::charset::Charset;
use crate::parse::Error;
use crate::tag::Tag;
use crate::types::{FlagRow, Keyword, ModSeq, SystemFlags, Time, Uid, UidSet};
use crate::view::View;

/// Something to be told. What may be long keeps its place and goes on when there is room again.
#[derive(Debug)]
pub(super) enum Tell {
    /// `n EXPUNGE` for these sequence numbers, from the highest down, so that none is moved by another.
    Expunged(Vec<(u32, u32)>),
    /// `n EXISTS`, and `n RECENT` in IMAP4rev1.
    Exists,
    /// FLAGS and PERMANENTFLAGS: the mailbox has new keywords.
    Keywords,
    /// `n FETCH (FLAGS …)` for these.
    Flags { rows: std::vec::IntoIter<FlagRow>, shown: Shown },
    /// `SEARCH n n n …`, and the mod-sequence behind it (RFC 7162 §3.1.6).
    Found { uids: UidSet, next: Uid, by_uid: bool, modseq: Option<ModSeq> },
    /// What SORT found, in its order.
    Sorted(Box<super::sort::Sorted>),
    /// What THREAD found.
    Threads(Box<super::thread::Telling>),
    /// A line that is ready.
    Line(Vec<u8>),
    /// The command's end.
    Reply(Reply),
}

/// What is told of a message whose flags changed.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) uid: bool,
    pub(super) modseq: bool,
    pub(super) flags: FlagsOf,
}

/// Whose flags are told; of the others the mod-sequence alone, since the client knows the rest.
#[derive(Debug)]
pub(super) enum FlagsOf {
    All,
    These(UidSet),
}

/// OK, NO or BAD, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    status: &'static str,
    code: Option<Cow<'static, str>>,
    text: Cow<'static, str>,
}

impl Reply {
    pub(super) fn ok(text: &'static str) -> Self {
        Self { status: "OK", code: None, text: text.into() }
    }

    pub(super) fn ok_with(code: impl Into<Cow<'static, str>>, text: &'static str) -> Self {
        Self { status: "OK", code: Some(code.into()), text: text.into() }
    }

    pub(super) fn no(code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: "NO", code: code.map(|code| code.as_str().into()), text: text.into() }
    }

    pub(super) fn no_with(code: impl Into<Cow<'static, str>>, text: &'static str) -> Self {
        Self { status: "NO", code: Some(code.into()), text: text.into() }
    }

    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: "BAD", code: None, text: text.into() }
    }

    /// What is said when the store doesn't do what it was asked.
    pub(super) fn refusal(answer: Answer) -> Self {
        if let Answer::No { code, text } = answer {
            return Self::no(code, text);
        }
        // An answer to another question: the store is confused, and so would the client be.
        Self::no(Some(Code::ServerBug), "Internal error")
    }

    /// The one place where errors of the grammar become replies.
    pub(super) fn of(error: &Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Name(_) => Self::no(Some(Code::Cannot), text),
            // RFC 3501 §7.1: the charsets that are spoken.
            Error::Charset => Self {
                status: "NO",
                code: Some(format!("BADCHARSET ({})", Charset::NAMES).into()),
                text: text.into(),
            },
            Error::Limit(_) => {
                Self { status: "BAD", code: Some("LIMIT".into()), text: text.into() }
            }
            Error::Expected(_) | Error::Unknown(_) | Error::State(_) | Error::NoMessage => {
                Self::bad(text)
            }
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, tag: Tag) {
        out.extend_from_slice(tag.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.status.as_bytes());
        out.push(b' ');
        if let Some(code) = &self.code {
            out.push(b'[');
            out.extend_from_slice(code.as_bytes());
            out.extend_from_slice(b"] ");
        }
        out.extend(
            self.text
                .bytes()
                .map(|byte| if matches!(byte, 0 | b'\r' | b'\n') { b' ' } else { byte }),
        );
        out.extend_from_slice(b"\r\n");
    }

    /// Bytes held beyond the struct.
    pub(super) fn held(&self) -> usize {
        self.text.len() + self.code.as_ref().map_or(0, |code| code.len())
    }
}

impl Tell {
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Expunged(numbers) => numbers.capacity() * size_of::<(u32, u32)>(),
            Self::Exists | Self::Keywords => 0,
            Self::Flags { rows, shown } => {
                let of = if let FlagsOf::These(uids) = &shown.flags { uids.held() } else { 0 };
                rows.len() * size_of::<FlagRow>() + of
            }
            Self::Found { uids, .. } => uids.held(),
            Self::Sorted(sorted) => sorted.held(),
            Self::Threads(threads) => threads.held(),
            Self::Line(line) => line.capacity(),
            Self::Reply(reply) => reply.held(),
        }
    }
}

impl Session {
    /// The command ends so, once all is told that it has to tell, and what else happened.
    pub(super) fn finish(&mut self, reply: Reply) {
        self.work = Work::Finish(reply);
    }

    /// The command ends so, after the mailbox was looked at, whether or not it is known to have changed.
    pub(super) fn finish_looking(&mut self, reply: Reply) {
        if let Phase::Selected(mailbox) = &mut self.phase {
            mailbox.changed = true;
        }
        self.finish(reply);
    }

    /// Goes on as far as it can: writes what is to be told, then lets work ask.
    pub(super) fn advance(&mut self, now: Time) {
        loop {
            if matches!(self.end, End::Closing | End::Closed) {
                return;
            }
            while self.out.len() < self.limits().unsent as u64 {
                let Some(tell) = self.told.pop_front() else { break };
                if let Some(rest) = self.write(tell, now) {
                    self.told.push_front(rest);
                    break;
                }
            }
            if !self.told.is_empty() || self.waiting.is_some() {
                return;
            }
            if !self.go_on() {
                break;
            }
        }
        self.boundary();
    }

    /// Between commands, or where a command waits for the peer: ends the session if that is due.
    fn boundary(&mut self) {
        let between = matches!(self.work, Work::Nothing | Work::Sasl(_) | Work::Idle(_));
        match self.end {
            End::Bye(Why::Shutdown) if between => {
                self.bye(Some(Code::Unavailable), "Server is shutting down")
            }
            End::Bye(Why::Kick) if between => self.bye(None, "Session ended by the administrator"),
            // RFC 9051 §7.1.5: who is told why comes back, to the account as it is then.
            End::Bye(Why::Reopened) if between => {
                self.bye(Some(Code::Unavailable), "The account is being opened anew, connect again")
            }
            End::Eof if matches!(self.work, Work::Nothing) => {
                if self.out.is_empty() {
                    self.close();
                }
            }
            // The rest of the command will never come.
            End::Eof
                if matches!(
                    self.work,
                    Work::Sasl(_) | Work::Idle(_) | Work::Append(_) | Work::Upgrade
                ) =>
            {
                self.close();
            }
            End::Open | End::Bye(_) | End::Eof | End::Closing | End::Closed => {}
        }
    }

    /// Writes as much as there is room for; what is left comes back.
    fn write(&mut self, tell: Tell, now: Time) -> Option<Tell> {
        let room = (self.limits().unsent as u64).saturating_sub(self.out.len()) as usize;
        match tell {
            Tell::Reply(reply) => {
                let tag = self.tag;
                self.out.write(|out| reply.write(out, tag));
                self.out.replied(tag);
                self.times.command = now;
                None
            }
            Tell::Line(line) => {
                self.out.put(&line);
                None
            }
            Tell::Exists => {
                if let Phase::Selected(mailbox) = &self.phase {
                    let (exists, recent) = (mailbox.view.len(), mailbox.recent_count());
                    let rev1 = self.names == crate::parse::Names::Rev1;
                    self.out.write(|out| {
                        counted(out, exists, "EXISTS");
                        // RFC 9051 appendix E: RECENT is gone.
                        if rev1 {
                            counted(out, recent, "RECENT");
                        }
                    });
                }
                None
            }
            Tell::Keywords => {
                if let Phase::Selected(mailbox) = &self.phase {
                    let writable = !mailbox.read_only;
                    self.out.write(|out| flag_lists(out, &mailbox.keywords, writable));
                }
                None
            }
            Tell::Expunged(mut numbers) => {
                self.out.write(|out| {
                    let full = out.len() + room;
                    while out.len() < full {
                        let Some((first, last)) = numbers.pop() else { break };
                        counted(out, last, "EXPUNGE");
                        if last > first {
                            numbers.push((first, last - 1));
                        }
                    }
                });
                (!numbers.is_empty()).then_some(Tell::Expunged(numbers))
            }
            Tell::Flags { mut rows, shown } => {
                let Phase::Selected(mailbox) = &self.phase else { return None };
                self.out.write(|out| {
                    let full = out.len() + room;
                    while out.len() < full {
                        let Some(row) = rows.next() else { break };
                        flag_row(out, &mailbox.view, &mailbox.recent, &row, &shown);
                    }
                });
                (rows.len() > 0).then_some(Tell::Flags { rows, shown })
            }
            Tell::Sorted(mut sorted) => {
                let Phase::Selected(mailbox) = &self.phase else { return None };
                let mut more = false;
                self.out.write(|out| more = sorted.write(out, &mailbox.view, room));
                more.then_some(Tell::Sorted(sorted))
            }
            Tell::Threads(mut threads) => {
                let Phase::Selected(mailbox) = &self.phase else { return None };
                let mut more = false;
                self.out.write(|out| more = threads.write(out, &mailbox.view, room));
                more.then_some(Tell::Threads(threads))
            }
            Tell::Found { uids, mut next, by_uid, modseq } => {
                let Phase::Selected(mailbox) = &self.phase else { return None };
                let mut more = false;
                self.out.write(|out| {
                    let full = out.len() + room;
                    loop {
                        let runs = mailbox.view.runs(&uids, next);
                        for run in &runs {
                            let first = if by_uid { run.uid.0 } else { run.seq.0 };
                            for found in first..first + run.count {
                                out.push(b' ');
                                number::write(u64::from(found), out);
                            }
                        }
                        let Some(last) = runs.last() else { break };
                        let Some(after) = last.uid.0.checked_add(last.count) else { break };
                        next = Uid(after);
                        if out.len() >= full {
                            more = true;
                            return;
                        }
                    }
                    if let Some(modseq) = modseq {
                        out.extend_from_slice(b" (MODSEQ ");
                        number::write(modseq.0, out);
                        out.push(b')');
                    }
                    out.extend_from_slice(b"\r\n");
                });
                more.then_some(Tell::Found { uids, next, by_uid, modseq })
            }
        }
    }
}

/// `* STATUS [CODE] text`
pub(super) fn untagged(out: &mut Vec<u8>, status: &str, code: Option<Code>, text: &str) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(status.as_bytes());
    if let Some(code) = code {
        out.extend_from_slice(b" [");
        out.extend_from_slice(code.as_str().as_bytes());
        out.push(b']');
    }
    out.push(b' ');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* n NAME`
pub(super) fn counted(out: &mut Vec<u8>, count: u32, name: &str) {
    out.extend_from_slice(b"* ");
    number::write(u64::from(count), out);
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1).
pub(super) fn flag_lists(out: &mut Vec<u8>, keywords: &[Keyword], writable: bool) {
    out.extend_from_slice(b"* FLAGS (");
    flag_names(out, SystemFlags::ALL, keywords, false);
    out.extend_from_slice(b")\r\n* OK [PERMANENTFLAGS (");
    if writable {
        flag_names(out, SystemFlags::ALL, keywords, false);
        out.extend_from_slice(b" \\*");
    }
    out.extend_from_slice(b")] Flags that are kept\r\n");
}

/// A set as it is written (RFC 3501 §9 `sequence-set`); nothing for an empty one.
pub(super) fn uid_set(out: &mut Vec<u8>, uids: &UidSet) {
    for ((first, last), index) in uids.ranges().zip(0usize..) {
        if index > 0 {
            out.push(b',');
        }
        number::write(u64::from(first.0), out);
        if last > first {
            out.push(b':');
            number::write(u64::from(last.0), out);
        }
    }
}

fn flag_row(out: &mut Vec<u8>, view: &View, recent: &Arc<UidSet>, row: &FlagRow, shown: &Shown) {
    // A message that isn't in the view can't be told of.
    let Some(seq) = view.seq(row.uid) else { return };
    out.extend_from_slice(b"* ");
    number::write(u64::from(seq.0), out);
    out.extend_from_slice(b" FETCH (");
    if shown.uid {
        out.extend_from_slice(b"UID ");
        number::write(u64::from(row.uid.0), out);
        out.push(b' ');
    }
    let flags = match &shown.flags {
        FlagsOf::All => true,
        FlagsOf::These(uids) => uids.contains(row.uid),
    };
    if flags {
        out.extend_from_slice(b"FLAGS (");
        flag_names(out, row.flags.system, &row.flags.keywords, recent.contains(row.uid));
        out.extend_from_slice(if shown.modseq { b") " } else { b")" });
    }
    if shown.modseq {
        out.extend_from_slice(b"MODSEQ (");
        number::write(row.modseq.0, out);
        out.push(b')');
    }
    out.extend_from_slice(b")\r\n");
}

fn flag_names(out: &mut Vec<u8>, system: SystemFlags, keywords: &[Keyword], recent: bool) {
    let start = out.len();
    for (flag, name) in SystemFlags::NAMES {
        if system.contains(flag) {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
    }
    for keyword in keywords {
        out.extend_from_slice(keyword.as_str().as_bytes());
        out.push(b' ');
    }
    if recent {
        out.extend_from_slice(b"\\Recent ");
    }
    if out.len() > start {
        out.pop();
    }
}
