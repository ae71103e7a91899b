//! APPEND (RFC 3501 §6.3.11), several messages at once (RFC 3502), literal8 (RFC 3516).
//!
//! The store is asked before `+` is said, so a message that can't be kept is never sent; the message streams past
//! this session. All messages of a command are saved, or none.

use std::ops::Range;

use super::tell::{Reply, Tell};
use super::{Phase, Session, Wish, Work};
use crate::ask::{Answer, Ask, Code};
use crate::date::DateTime;
use crate::fetch::number;
use crate::frame::{Fault, Literal};
use crate::parse::{Cursor, Error};
use crate::tag::Tag;
use crate::types::{Flags, MailboxName, Ticket};

/// An APPEND that runs.
#[derive(Debug)]
pub(super) struct Append {
    mailbox: MailboxName,
    /// The question under which the current message goes to the store.
    ticket: Ticket,
    stage: Stage,
    /// Messages so far.
    count: u32,
}

#[derive(Debug)]
enum Stage {
    /// The store is asked whether it takes the message; `true`: the client waits for `+`.
    Asking(bool),
    /// Its bytes come.
    Body,
    /// The end of the command or the next message is due.
    Tail,
    /// The rest of the command is thrown away, then this is said.
    Refused(Reply),
    /// The store saves.
    Committing,
}

impl Append {
    pub(super) fn wants_input(&self) -> bool {
        match self.stage {
            Stage::Body | Stage::Tail | Stage::Refused(_) => true,
            Stage::Asking(_) | Stage::Committing => false,
        }
    }

    /// The store refuses a message while it comes.
    pub(super) fn refused_late(&mut self, ticket: Ticket, reply: Reply) -> bool {
        let current = self.ticket == ticket && matches!(self.stage, Stage::Body | Stage::Tail);
        if current {
            self.stage = Stage::Refused(reply);
        }
        current
    }
}

/// What stands before a message.
struct Header {
    flags: Flags,
    date: Option<DateTime>,
}

impl Session {
    /// An APPEND up to a message, or its next message. `false`: it is not welcome.
    pub(super) fn on_message(&mut self, line: &[u8], literal: Literal) -> bool {
        let mut cursor = Cursor::new(line);
        let work = std::mem::replace(&mut self.work, Work::Nothing);
        let append = if let Work::Append(append) = work { Some(append) } else { None };
        let parsed = match &append {
            Some(append) => cursor
                .space()
                .and_then(|()| {
                    // IMAPClient for Python puts two spaces between messages.
                    let _ = cursor.skip(b" ");
                    self.message_header(&mut cursor)
                })
                .map(|header| (append.mailbox.clone(), header)),
            None => self.append_header(&mut cursor),
        };
        let before = append.map_or(0, |append| append.count);
        let (mailbox, header) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                if !matches!(error, Error::Name(_) | Error::State(_)) {
                    self.syntax_errors += 1;
                }
                let reply = Reply::of(&error);
                return self.refuse_message(literal, before, reply);
            }
        };
        self.syntax_errors = 0;
        if literal.size > self.limits().append || before >= self.limits().append_count {
            let reply =
                Reply::no(Some(Code::TooBig), "Message is too large, or there are too many");
            if !literal.sync {
                // It comes anyway: more than we care to throw away.
                let tag = self.tag;
                self.out.write(|out| reply.write(out, tag));
                self.bye(Some(Code::TooBig), "Message is too large");
                return false;
            }
            return self.refuse_message(literal, before, reply);
        }
        let ticket = self.ask(Ask::AppendOpen {
            mailbox: mailbox.clone(),
            flags: header.flags,
            date: header.date,
            size: literal.size,
            binary: literal.binary,
            first: before == 0,
        });
        let stage = Stage::Asking(literal.sync);
        self.work = Work::Append(Box::new(Append { mailbox, ticket, stage, count: before + 1 }));
        true
    }

    /// `tag APPEND mailbox` and what precedes the first message.
    fn append_header(&mut self, cursor: &mut Cursor<'_>) -> Result<(MailboxName, Header), Error> {
        let tag = cursor.run(|byte| byte != b' ');
        self.tag = Tag::default();
        self.tag = Tag::new(tag, self.limits().tag).ok_or(Error::Expected("a tag"))?;
        self.may_shrink = true;
        if !cursor.skip(b" APPEND ") {
            return Err(Error::Unknown("command"));
        }
        let wire = cursor.astring()?;
        cursor.space()?;
        let header = self.message_header(cursor)?;
        Ok((crate::parse::mailbox(&wire, self.names)?, header))
    }

    /// `[flags] [date]` up to the literal.
    fn message_header(&self, cursor: &mut Cursor<'_>) -> Result<Header, Error> {
        let mut header = Header { flags: Flags::default(), date: None };
        if cursor.peek() == Some(b'(') {
            header.flags = cursor.flags(self.limits().keywords)?;
            cursor.space()?;
        }
        if cursor.peek() == Some(b'"') {
            let text = cursor.string()?;
            header.date =
                Some(DateTime::parse(&text).map_err(|_| Error::Expected("a date and time"))?);
            cursor.space()?;
        }
        let _ = cursor.skip(b"~");
        match cursor.rest() {
            // Its size was read by the framer; nothing may stand between.
            [b'{', digits @ .., b'}']
                if digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'+') =>
            {
                Ok(header)
            }
            _ => Err(Error::Expected("a message as a literal")),
        }
    }

    /// Says no to a message: at once when the client waits, else once it and its command are over.
    fn refuse_message(&mut self, literal: Literal, before: u32, reply: Reply) -> bool {
        if self.syntax_errors >= self.limits().syntax_errors {
            self.bye(None, "Too many syntax errors");
            return false;
        }
        if literal.sync {
            self.end_append(before > 0, reply);
        } else {
            let ticket = Ticket(0);
            let stage = Stage::Refused(reply);
            self.work = Work::Append(Box::new(Append {
                mailbox: MailboxName::inbox(),
                ticket,
                stage,
                count: before,
            }));
        }
        false
    }

    pub(super) fn on_part(&mut self, range: Range<usize>) {
        if let Work::Append(append) = &self.work
            && matches!(append.stage, Stage::Body)
        {
            self.wishes.push_back(Wish::Body(append.ticket, range));
        }
    }

    pub(super) fn on_parts_end(&mut self) {
        if let Work::Append(append) = &mut self.work
            && matches!(append.stage, Stage::Body)
        {
            append.stage = Stage::Tail;
        }
    }

    /// What follows a message, when it isn't another one.
    pub(super) fn on_append_tail(&mut self, line: &[u8]) {
        if !line.is_empty() {
            self.syntax_errors += 1;
            return self.end_append(true, Reply::of(&Error::Expected("the end of the command")));
        }
        if let Work::Append(append) = &mut self.work {
            append.stage = Stage::Committing;
            self.ask(Ask::AppendCommit);
        }
    }

    /// The command is over, and lost.
    pub(super) fn on_append_lost(&mut self, fault: Fault) {
        let Work::Append(append) = std::mem::replace(&mut self.work, Work::Nothing) else { return };
        let opened = append.count > 0;
        match append.stage {
            Stage::Refused(reply) => self.end_append(opened, reply),
            Stage::Asking(_) | Stage::Body | Stage::Tail | Stage::Committing => {
                self.end_append(opened, Reply::bad(fault.to_string()));
            }
        }
    }

    /// None of the messages is kept.
    fn end_append(&mut self, opened: bool, reply: Reply) {
        if opened {
            self.order(Ask::AppendAbort);
        }
        self.work = Work::Nothing;
        self.told.push_back(Tell::Reply(reply));
    }

    pub(super) fn on_append_answer(&mut self, mut append: Box<Append>, answer: Answer) {
        match (&append.stage, answer) {
            (Stage::Asking(sync), Answer::Proceed) => {
                if *sync {
                    self.out.put(b"+ OK\r\n");
                }
                self.framer.accept();
                append.stage = Stage::Body;
                self.work = Work::Append(append);
            }
            (Stage::Asking(_), answer) => {
                let reply = Reply::refusal(answer);
                if self.framer.refuse() {
                    append.stage = Stage::Refused(reply);
                    self.work = Work::Append(append);
                } else {
                    self.end_append(append.count > 1, reply);
                }
            }
            (Stage::Committing, Answer::Appended { uidvalidity, uids, position }) => {
                if !self.depends_on(position) {
                    return;
                }
                // RFC 4315 §3
                let mut code = b"APPENDUID ".to_vec();
                number::write(u64::from(uidvalidity.0), &mut code);
                code.push(b' ');
                super::tell::uid_set(&mut code, &uids);
                let code = String::from_utf8(code).unwrap_or_default();
                let reply = Reply::ok_with(code, "Appended");
                // RFC 3501 §6.3.11: the new message is told at once where it is selected.
                match &self.phase {
                    Phase::Selected(mailbox) if mailbox.name == append.mailbox => {
                        self.finish_looking(reply)
                    }
                    Phase::Guest | Phase::User | Phase::Selected(_) => self.finish(reply),
                }
            }
            (_, answer) => self.end_append(true, Reply::refusal(answer)),
        }
    }
}
