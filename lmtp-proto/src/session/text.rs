//! DATA and BDAT: the text of a message, and its replies.

use super::envelope::Chunks;
use super::{Question, Session, State, Wish};
use crate::answer::{Answer, Code, Outcome, Refusal, printable};
use crate::ask::{Ask, BodyKind, Envelope, Ticket, Trace};
use crate::command;
use crate::dots::{Dots, Piece};
use crate::fault::{Farewell, Fault};
use crate::{Position, Time};
use std::ops::Range;

/// Larger than [`Limits::message`](crate::Limits::message).
const TOO_LARGE: Refusal =
    Refusal::new(Code::TooLarge, (3, 4), "Message is larger than this server takes");

/// Runs of text given for one slice of input, at most: it bounds the memory a slice of nothing but dots costs.
const RUNS: usize = 30;

/// The text of DATA.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    dots: Dots,
    /// Octets of text so far, kept or dropped.
    seen: u64,
    /// What may come until the deadline moves on.
    block: u64,
    /// Who takes it; `None` once it is too large, when the rest is dropped.
    sink: Option<Ticket>,
}

/// The text of one BDAT command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    size: u64,
    left: u64,
    block: u64,
    last: bool,
    sink: Sink,
}

/// Where a chunk goes.
#[derive(Clone, Copy, Debug)]
enum Sink {
    Keep(Ticket),
    /// Nowhere; the transaction's [`Chunks::Refused`] says why.
    Drop,
    /// Nowhere; there is no transaction that it could belong to.
    Stray(Fault),
}

impl Text {
    pub(super) fn is_kept(&self) -> bool {
        self.sink.is_some()
    }
}

impl Session {
    pub(super) fn on_data(&mut self, arguments: &[u8]) -> Result<(), Fault> {
        self.need_lhlo()?;
        if !arguments.is_empty() {
            return Err(Fault::NoArguments);
        }
        let transaction = self.transaction.as_ref().ok_or(Fault::MailFirst)?;
        // RFC 3030 §2 and §3.
        if !matches!(transaction.chunks, Chunks::None) {
            return Err(Fault::NotWithChunks);
        }
        if transaction.body == BodyKind::BinaryMime {
            return Err(Fault::NotBinary);
        }
        // RFC 2033 §4.2: without a recipient no text is taken.
        if transaction.replies == 0 {
            return Err(Fault::RcptFirst);
        }
        self.open_body(None, Question::OpenText);
        Ok(())
    }

    pub(super) fn on_text_opened(&mut self, now: Time, ticket: Ticket, answer: Answer) {
        if let Some(refusal) = refusal_of(answer) {
            self.state = State::Command;
            self.transaction = None;
            return self.refuse(now, &refusal);
        }
        self.put_parts(&["354 Text, then CRLF.CRLF"]);
        self.touch_text(now);
        let block = self.config.limits.text_block;
        self.state =
            State::Text(Text { dots: Dots::default(), seen: 0, block, sink: Some(ticket) });
    }

    pub(super) fn take_text<'a>(&mut self, now: Time, input: &'a [u8], rest: &mut &'a [u8]) {
        let State::Text(mut text) = self.state else { return };
        let max = self.message_max();
        let most = max.saturating_add(self.config.limits.discard);
        let start = input.len() - rest.len();
        let mut at = start;
        let mut ended = false;
        while self.wishes.len() < RUNS && text.seen <= most && !ended {
            match text.dots.next(input, &mut at) {
                Some(Piece::Run(run)) => self.give_text(&mut text, max, run.len(), Some(run)),
                Some(Piece::HeldCr) => self.give_text(&mut text, max, 1, None),
                Some(Piece::End) => ended = true,
                None => break,
            }
        }
        *rest = input.get(at..).unwrap_or_default();
        self.pace(now, &mut text.block, octets(at - start));
        self.state = State::Text(text);
        if text.seen > most {
            self.farewell(now, Farewell::Flood);
        } else if ended && text.is_kept() {
            self.ask(Ask::BodyDone, Question::Done);
        } else if ended {
            self.refuse_all(now, &TOO_LARGE);
        }
    }

    /// Gives a run of text, or a CR held back (`None`), as far as the message may grow.
    fn give_text(&mut self, text: &mut Text, max: u64, length: usize, run: Option<Range<usize>>) {
        let room = usize::try_from(max.saturating_sub(text.seen)).unwrap_or(usize::MAX);
        text.seen = text.seen.saturating_add(octets(length));
        let Some(ticket) = text.sink else { return };
        let fits = length.min(room);
        match run {
            Some(run) if fits > 0 => self.push_run(ticket, run.start..run.start + fits),
            None if fits > 0 => self.wishes.push_back(Wish::BodyHeld(ticket, b"\r")),
            Some(_) | None => {}
        }
        if fits < length {
            // RFC 1870 §6.3: read on to the end, then refuse. The store need not wait for that.
            text.sink = None;
            self.wish(Ask::BodyAbort);
        }
    }

    /// BDAT. Whatever becomes of the command, its octets are read before its reply is sent (RFC 3030 §2).
    pub(super) fn on_bdat(&mut self, now: Time, arguments: &[u8]) {
        let Some((size, last)) = command::chunk(arguments) else {
            return self.farewell(now, Farewell::ChunkSize);
        };
        let max = self.message_max();
        let lhlo = self.need_lhlo();
        let sink = match (lhlo, self.transaction.as_mut()) {
            (Err(fault), _) => Sink::Stray(fault),
            (Ok(()), None) => Sink::Stray(Fault::MailFirst),
            (Ok(()), Some(transaction)) if transaction.replies == 0 => {
                Sink::Stray(Fault::RcptFirst)
            }
            (Ok(()), Some(transaction)) => match transaction.chunks {
                Chunks::None if size <= max => {
                    let whole = if last { Some(size) } else { None };
                    return self.open_body(whole, Question::OpenChunk { size, last });
                }
                Chunks::Open { ticket, taken } if size <= max.saturating_sub(taken) => {
                    Sink::Keep(ticket)
                }
                Chunks::Open { .. } => {
                    transaction.chunks = Chunks::Refused(TOO_LARGE);
                    self.wish(Ask::BodyAbort);
                    Sink::Drop
                }
                Chunks::None => {
                    transaction.chunks = Chunks::Refused(TOO_LARGE);
                    Sink::Drop
                }
                Chunks::Refused(_) => Sink::Drop,
            },
        };
        self.begin_chunk(now, size, last, sink);
    }

    pub(super) fn on_chunk_opened(
        &mut self,
        now: Time,
        ticket: Ticket,
        size: u64,
        last: bool,
        answer: Answer,
    ) {
        let (chunks, sink) = match refusal_of(answer) {
            None => (Chunks::Open { ticket, taken: 0 }, Sink::Keep(ticket)),
            Some(refusal) => (Chunks::Refused(refusal), Sink::Drop),
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = chunks;
        }
        self.state = State::Command;
        self.begin_chunk(now, size, last, sink);
    }

    fn begin_chunk(&mut self, now: Time, size: u64, last: bool, sink: Sink) {
        if !matches!(sink, Sink::Keep(_)) && size > self.config.limits.discard {
            return self.farewell(now, Farewell::Flood);
        }
        self.touch_text(now);
        let chunk = Chunk { size, left: size, block: self.config.limits.text_block, last, sink };
        self.state = State::Chunk(chunk);
        if size == 0 {
            self.end_chunk(now, chunk);
        }
    }

    pub(super) fn take_chunk(&mut self, now: Time, input: &[u8], rest: &mut &[u8]) {
        let State::Chunk(mut chunk) = self.state else { return };
        let start = input.len() - rest.len();
        let count = usize::try_from(chunk.left).unwrap_or(usize::MAX).min(rest.len());
        *rest = rest.get(count..).unwrap_or_default();
        chunk.left -= octets(count);
        if let Sink::Keep(ticket) = chunk.sink {
            self.push_run(ticket, start..start + count);
        }
        self.pace(now, &mut chunk.block, octets(count));
        self.state = State::Chunk(chunk);
        if chunk.left == 0 {
            self.end_chunk(now, chunk);
        }
    }

    fn end_chunk(&mut self, now: Time, chunk: Chunk) {
        match (chunk.sink, self.transaction.as_mut()) {
            (Sink::Keep(ticket), Some(transaction)) => {
                if chunk.last {
                    transaction.chunks = Chunks::None;
                    return self.ask(Ask::BodyDone, Question::Done);
                }
                if let Chunks::Open { taken, .. } = transaction.chunks {
                    transaction.chunks =
                        Chunks::Open { ticket, taken: taken.saturating_add(chunk.size) };
                }
                self.say(now, &format!("250 2.0.0 {} octets taken", chunk.size));
            }
            (Sink::Drop, Some(transaction)) => {
                let refusal = match &transaction.chunks {
                    Chunks::Refused(refusal) => refusal.clone(),
                    Chunks::None | Chunks::Open { .. } => Refusal::TROUBLE,
                };
                if chunk.last { self.refuse_all(now, &refusal) } else { self.refuse(now, &refusal) }
            }
            (Sink::Stray(fault), _) => self.refuse_command(now, fault),
            (Sink::Keep(_) | Sink::Drop, None) => self.refuse_command(now, Fault::MailFirst),
        }
    }

    pub(super) fn on_delivered(&mut self, now: Time, answer: Answer) {
        let (outcomes, position, id) = match answer {
            Answer::Delivered { outcomes, position, id } => (outcomes, position, id),
            Answer::Refused(refusal) => return self.refuse_all(now, &refusal),
            Answer::Accepted | Answer::Proceed => return self.refuse_all(now, &Refusal::TROUBLE),
        };
        let stored = stored_line(id.as_deref());
        let replies = self.transaction.take().map_or(0, |transaction| transaction.replies);
        let mut lines = Vec::new();
        let mut position_needed = Position::NONE;
        let missing = std::iter::repeat_with(|| Outcome::Refused(Refusal::TROUBLE));
        for outcome in outcomes.into_iter().chain(missing).take(replies) {
            match outcome {
                Outcome::Stored => {
                    lines.extend_from_slice(&stored);
                    position_needed = position;
                }
                Outcome::Refused(refusal) => lines.extend_from_slice(&refusal.line()),
            }
        }
        self.out.put_held(position_needed, &lines);
        (self.errors, self.refusals) = (0, 0);
        self.end_command(now);
    }

    /// The same reply for each recipient, which ends the transaction.
    fn refuse_all(&mut self, now: Time, refusal: &Refusal) {
        let replies = self.transaction.take().map_or(0, |transaction| transaction.replies);
        let line = refusal.line();
        for _ in 0..replies {
            self.out.put(&line);
        }
        self.count_refusal(now);
    }

    /// Asks for room. `whole` is the size of a text that comes in one chunk, which is better than a declared one.
    fn open_body(&mut self, whole: Option<u64>, question: Question) {
        let (Some(transaction), Some(lhlo)) = (self.transaction.as_mut(), self.lhlo.clone()) else {
            return;
        };
        let envelope = Envelope {
            sender: transaction.sender.take(),
            recipients: std::mem::take(&mut transaction.recipients),
            size: whole.or(transaction.size),
            body: transaction.body,
            trace: Trace { lhlo, tls: self.peer.tls, utf8: transaction.utf8 },
        };
        self.ask(Ask::BodyOpen(Box::new(envelope)), question);
    }

    fn push_run(&mut self, ticket: Ticket, run: Range<usize>) {
        if let Some(Wish::Body(last, before)) = self.wishes.back_mut()
            && *last == ticket
            && before.end == run.start
        {
            before.end = run.end;
        } else {
            self.wishes.push_back(Wish::Body(ticket, run));
        }
    }

    /// Text moves the deadline by blocks: bytes that trickle do not.
    fn pace(&mut self, now: Time, block: &mut u64, count: u64) {
        *block = block.saturating_sub(count);
        if *block == 0 {
            *block = self.config.limits.text_block;
            self.touch_text(now);
        }
    }

    fn touch_text(&mut self, now: Time) {
        // A stray chunk before LHLO does not prolong the time until LHLO.
        if self.lhlo.is_some() {
            self.deadline = now.after(self.config.limits.text_timeout);
        }
    }
}

/// What an answer to [`Ask::BodyOpen`] says against the text.
fn refusal_of(answer: Answer) -> Option<Refusal> {
    match answer {
        Answer::Proceed => None,
        Answer::Refused(refusal) => Some(refusal),
        Answer::Accepted | Answer::Delivered { .. } => Some(Refusal::TROUBLE),
    }
}

fn stored_line(id: Option<&str>) -> Vec<u8> {
    let mut line = b"250 2.0.0 Stored".to_vec();
    if let Some(id) = id {
        line.extend_from_slice(b" as ");
        line.extend(id.chars().take(100).map(printable));
    }
    line.extend_from_slice(b"\r\n");
    line
}

fn octets(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
