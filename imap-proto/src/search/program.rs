//! Keys turned into code: one test after the other, each saying where to go on.

use std::sync::Arc;

use super::text::{self, Buffers, Needle, Needles, Scan};
use super::{Key, Order};
use crate::date::{DateTime, Day, parse_message_date};
use crate::fetch::{Fixed, MessageSource, Meta, SourceError};
use crate::mime::header::{Initials, RawFields};
use crate::object_id;
use crate::thread::{Algorithm, thread_id};
use crate::types::{Keyword, ModSeq, SystemFlags, UidSet};

/// Bounds on a program (row 45).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Keys inside keys. 32.
    pub depth: usize,
    /// Keys in all. 1,000.
    pub terms: usize,
    /// Bytes of text searched for, in all. 64 KiB.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 32, terms: 1000, text: 64 << 10 }
    }
}

/// A limit that a SEARCH goes beyond.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Keys nest too deep.
    #[error("search keys nest deeper than {allowed}")]
    Depth {
        /// The limit.
        allowed: usize,
    },
    /// Too many keys.
    #[error("the search has more than {allowed} keys")]
    Terms {
        /// The limit.
        allowed: usize,
    },
    /// Too much text to search for.
    #[error("the search has {found} bytes of text, allowed are {allowed}")]
    Text {
        /// Bytes in all keys up to the one that was too much.
        found: usize,
        /// The limit.
        allowed: usize,
    },
}

/// What the columns say about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Columns {
    /// It matches.
    Yes,
    /// It doesn't.
    No,
    /// The message has to be looked at.
    Needs(Reads),
}

/// How much of a message a program may read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reads {
    /// Its header at most.
    Header,
    /// Its body too.
    Body,
}

/// A compiled SEARCH: pure data, to be shared by threads.
#[derive(Clone, Debug)]
pub struct Program {
    /// A step goes on at an earlier one, or at [`YES`] or [`NO`], so every run ends.
    steps: Vec<Step>,
    entry: u32,
    reads: Option<Reads>,
}

/// How far one message was looked at.
#[derive(Debug, Default)]
pub struct Look {
    /// The test being made.
    step: Option<u32>,
    /// Its header has been searched for it, in vain.
    past_header: bool,
    /// How far its body was read for it.
    scan: Option<Box<Scan>>,
    buffers: Buffers,
}

const YES: u32 = u32::MAX;
const NO: u32 = u32::MAX - 1;

#[derive(Clone, Debug)]
struct Step {
    test: Test,
    yes: u32,
    no: u32,
    /// Whether the key stands under an odd number of NOTs.
    negated: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Flags(SystemFlags),
    Keyword(Keyword),
    Recent,
    Internal(Order, Day),
    Saved(Order, Day),
    Larger(u64),
    Smaller(u64),
    Uids(UidSet),
    ModSeq(ModSeq),
    EmailId(Vec<u8>),
    ThreadId(Vec<u8>),
    /// Until it is known what the program finds, and what is around that, no message.
    InThread(Algorithm, Arc<Program>),
    Sent(Order, Day),
    Header(Vec<u8>, Needle),
    Body(Needles),
    Text(Needles),
}

impl Program {
    /// Checks the limits and compiles.
    pub fn compile(key: &Key, limits: Limits) -> Result<Program, ProgramError> {
        check(key, limits)?;
        Ok(Self::checked(key))
    }

    fn checked(key: &Key) -> Program {
        let node = lower(key, false);
        let mut program = Program { steps: Vec::new(), entry: YES, reads: None };
        program.entry = program.emit(node, YES, NO);
        program.reads = program.steps.iter().filter_map(|step| step.test.reads()).max();
        program
    }

    /// What has to be known before messages are looked at: a program, and how messages are to be threaded. With what is
    /// [around](crate::thread::Threads::around) those that it finds, in the threads of the whole mailbox, this one goes
    /// [on](Self::with_threads). That program may ask for the same in its turn.
    #[must_use]
    pub fn needs_threads(&self) -> Option<(Algorithm, &Arc<Program>)> {
        self.steps.iter().find_map(|step| {
            let Test::InThread(algorithm, program) = &step.test else { return None };
            Some((*algorithm, program))
        })
    }

    /// The program for which [`Self::needs_threads`] is answered by these messages.
    #[must_use]
    pub fn with_threads(&self, uids: UidSet) -> Program {
        let mut program = self.clone();
        let test = program.steps.iter_mut().map(|step| &mut step.test);
        if let Some(test) = test.into_iter().find(|test| matches!(test, Test::InThread(..))) {
            *test = Test::Uids(uids);
        }
        program
    }

    /// How many tests there are: what one message costs at most.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no test: all messages match, or none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether every message matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.entry == YES
    }

    /// The messages that match, when these are told by their UIDs alone: every one, of a set.
    #[must_use]
    pub fn uids(&self) -> Option<&UidSet> {
        match self.steps.as_slice() {
            [Step { test: Test::Uids(uids), yes: YES, no: NO, negated: false }] => Some(uids),
            _ => None,
        }
    }

    /// The most it may read of a message; `None` when columns decide everything.
    #[must_use]
    pub fn reads(&self) -> Option<Reads> {
        self.reads
    }

    /// The names, as they were given, of the header fields it looks at.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.steps.iter().filter_map(|step| match &step.test {
            Test::Header(name, _) => Some(name.as_slice()),
            Test::Sent(..) => Some(b"date"),
            Test::ThreadId(_) => Some(b"references"),
            Test::Flags(_)
            | Test::Keyword(_)
            | Test::Recent
            | Test::Internal(..)
            | Test::Saved(..)
            | Test::Larger(_)
            | Test::Smaller(_)
            | Test::Uids(_)
            | Test::ModSeq(_)
            | Test::EmailId(_)
            | Test::InThread(..)
            | Test::Body(_)
            | Test::Text(_) => None,
        })
    }

    /// Whether [`Self::columns`] looks at [`Meta::email_id`]; otherwise that may be left 0 there.
    #[must_use]
    pub fn reads_email_id(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.test, Test::EmailId(_)))
    }

    /// What it looks at of a message's [`Meta`], as the items of FETCH that show the same; UIDs are not told.
    #[must_use]
    pub fn items(&self) -> Fixed {
        let items = |test: &Test| match test {
            Test::Flags(_) | Test::Keyword(_) => Fixed::FLAGS,
            Test::Internal(..) => Fixed::INTERNALDATE,
            Test::Saved(..) => Fixed::SAVEDATE | Fixed::INTERNALDATE,
            Test::Larger(_) | Test::Smaller(_) => Fixed::SIZE,
            Test::ModSeq(_) => Fixed::MODSEQ,
            Test::EmailId(_) => Fixed::EMAILID,
            Test::ThreadId(_) => Fixed::THREADID,
            Test::Recent
            | Test::Uids(_)
            | Test::InThread(..)
            | Test::Sent(..)
            | Test::Header(..)
            | Test::Body(_)
            | Test::Text(_) => Fixed::default(),
        };
        self.steps.iter().fold(Fixed::default(), |all, step| all | items(&step.test))
    }

    /// What the columns alone say.
    #[must_use]
    pub fn columns(&self, meta: &Meta<'_>) -> Columns {
        // Negation stands at the tests, so truth grows with each of them: what holds when every unknown fails holds.
        if self.run(|step| step.test.column(meta).is_some_and(|found| found != step.negated)) {
            return Columns::Yes;
        }
        let Some(reads) = self.reads else { return Columns::No };
        if self.run(|step| step.test.column(meta).is_none_or(|found| found != step.negated)) {
            Columns::Needs(reads)
        } else {
            Columns::No
        }
    }

    /// Whether the message matches; reads only what is needed to know.
    pub fn message<S: MessageSource + ?Sized>(
        &self,
        meta: &Meta<'_>,
        source: &mut S,
    ) -> Result<bool, SourceError> {
        self.go_on(meta, source, &mut Look::default())
    }

    /// As [`message`](Self::message), for a source that may want pauses ([`MessageSource::is_due`]): asked again for
    /// the same message with what is in `look`, it goes on after [`SourceError::Paused`] or where a read failed. For
    /// another message `look` has to be a new one, as it is after any answer.
    pub fn go_on<S: MessageSource + ?Sized>(
        &self,
        meta: &Meta<'_>,
        source: &mut S,
        look: &mut Look,
    ) -> Result<bool, SourceError> {
        let mut at = look.step.unwrap_or(self.entry);
        while let Some(step) = self.steps.get(at as usize) {
            let found = match step.test.column(meta) {
                Some(found) => found,
                None => {
                    look.step = Some(at);
                    if source.is_due() {
                        return Err(SourceError::Paused);
                    }
                    let found = step.test.look(meta, source, look)?;
                    look.past_header = false;
                    found
                }
            };
            at = if found != step.negated { step.yes } else { step.no };
        }
        look.step = None;
        Ok(at == YES)
    }

    fn run(&self, mut holds: impl FnMut(&Step) -> bool) -> bool {
        let mut at = self.entry;
        while let Some(step) = self.steps.get(at as usize) {
            at = if holds(step) { step.yes } else { step.no };
        }
        at == YES
    }

    /// Adds the steps of `node`, which go on at `yes` or `no`; gives the first. Depth is bounded by [`check`].
    fn emit(&mut self, node: Node, yes: u32, no: u32) -> u32 {
        match node {
            Node::Test { test, negated } => {
                self.steps.push(Step { test, yes, no, negated });
                self.steps.len() as u32 - 1
            }
            Node::All(nodes) => {
                nodes.into_iter().rev().fold(yes, |next, node| self.emit(node, next, no))
            }
            Node::Any(nodes) => {
                nodes.into_iter().rev().fold(no, |next, node| self.emit(node, yes, next))
            }
        }
    }
}

/// Walks the key without recursion, since its depth is the client's.
fn check(key: &Key, limits: Limits) -> Result<(), ProgramError> {
    let mut waiting = vec![(key, 1)];
    let (mut terms, mut bytes) = (0, 0);
    while let Some((key, depth)) = waiting.pop() {
        terms += 1;
        if depth > limits.depth {
            return Err(ProgramError::Depth { allowed: limits.depth });
        }
        if terms > limits.terms {
            return Err(ProgramError::Terms { allowed: limits.terms });
        }
        match key {
            Key::Not(inner) | Key::InThread(_, inner) => waiting.push((inner, depth + 1)),
            Key::Or(left, right) => waiting.extend([(&**left, depth + 1), (&**right, depth + 1)]),
            Key::And(keys) => waiting.extend(keys.iter().map(|key| (key, depth + 1))),
            Key::Header { field, value } => bytes += field.len() + value.len(),
            Key::Body(text) | Key::Text(text) | Key::EmailId(text) | Key::ThreadId(text) => {
                bytes += text.len();
            }
            Key::All
            | Key::Flags(_)
            | Key::Keyword(_)
            | Key::Recent
            | Key::Internal(..)
            | Key::Sent(..)
            | Key::Saved(..)
            | Key::Larger(_)
            | Key::Smaller(_)
            | Key::Uids(_)
            | Key::ModSeq(_) => {}
        }
        if bytes > limits.text {
            return Err(ProgramError::Text { found: bytes, allowed: limits.text });
        }
    }
    Ok(())
}

/// A key with negation moved to its tests and its parts in the order of their cost.
enum Node {
    Test { test: Test, negated: bool },
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl Node {
    fn reads(&self) -> Option<Reads> {
        match self {
            Node::Test { test, .. } => test.reads(),
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().filter_map(Node::reads).max(),
        }
    }
}

/// Depth is bounded by [`check`].
fn lower(key: &Key, negated: bool) -> Node {
    let test = match key {
        // RFC 9051 §6.4.4: juxtaposed keys are ANDed; De Morgan moves NOT inwards.
        Key::All => return group(Vec::new(), !negated),
        Key::Not(inner) => return lower(inner, !negated),
        Key::And(keys) => {
            return group(keys.iter().map(|key| lower(key, negated)).collect(), !negated);
        }
        Key::Or(left, right) => {
            return group(vec![lower(left, negated), lower(right, negated)], negated);
        }
        Key::Flags(flags) => Test::Flags(*flags),
        Key::Keyword(keyword) => Test::Keyword(keyword.clone()),
        Key::Recent => Test::Recent,
        Key::Internal(order, day) => Test::Internal(*order, *day),
        Key::Sent(order, day) => Test::Sent(*order, *day),
        Key::Saved(order, day) => Test::Saved(*order, *day),
        Key::Larger(size) => Test::Larger(*size),
        Key::Smaller(size) => Test::Smaller(*size),
        Key::Header { field, value } => Test::Header(field.clone(), Needle::for_fields(value)),
        Key::Body(text) => Test::Body(Needles::new(text)),
        Key::Text(text) => Test::Text(Needles::new(text)),
        Key::Uids(uids) => Test::Uids(uids.clone()),
        Key::ModSeq(modseq) => Test::ModSeq(*modseq),
        Key::EmailId(id) => Test::EmailId(id.clone()),
        Key::ThreadId(id) => Test::ThreadId(id.clone()),
        Key::InThread(algorithm, inner) => {
            Test::InThread(*algorithm, Arc::new(Program::checked(inner)))
        }
    };
    Node::Test { test, negated }
}

fn group(mut nodes: Vec<Node>, all: bool) -> Node {
    nodes.sort_by_cached_key(Node::reads); // None first: columns; stable, so equals stay as the client ordered them
    if all { Node::All(nodes) } else { Node::Any(nodes) }
}

impl Test {
    fn reads(&self) -> Option<Reads> {
        match self {
            Test::Sent(..) | Test::Header(..) | Test::ThreadId(_) => Some(Reads::Header),
            Test::Body(_) | Test::Text(_) => Some(Reads::Body),
            Test::Flags(_)
            | Test::Keyword(_)
            | Test::Recent
            | Test::Internal(..)
            | Test::Saved(..)
            | Test::Larger(_)
            | Test::Smaller(_)
            | Test::Uids(_)
            | Test::ModSeq(_)
            | Test::EmailId(_)
            | Test::InThread(..) => None,
        }
    }

    /// What columns say of this test; `None` when it takes the message.
    fn column(&self, meta: &Meta<'_>) -> Option<bool> {
        Some(match self {
            Test::Flags(flags) => meta.flags.contains(*flags),
            Test::Keyword(keyword) => meta.keywords.iter().any(|name| name.same(keyword)),
            Test::Recent => meta.recent,
            Test::Internal(order, day) => order.holds(meta.internal_date, *day),
            // RFC 8514 §4.3: where no save date is kept, the internal date stands in.
            Test::Saved(order, day) => {
                order.holds(meta.save_date.unwrap_or(meta.internal_date), *day)
            }
            Test::Larger(size) => meta.size > *size,
            Test::Smaller(size) => meta.size < *size,
            Test::Uids(uids) => uids.contains(meta.uid),
            Test::ModSeq(modseq) => meta.modseq >= *modseq,
            Test::EmailId(id) => object_id::email(meta.email_id) == **id,
            Test::InThread(..) => false,
            Test::Sent(..)
            | Test::Header(..)
            | Test::Body(_)
            | Test::Text(_)
            | Test::ThreadId(_) => return None,
        })
    }

    fn look<S: MessageSource + ?Sized>(
        &self,
        meta: &Meta<'_>,
        source: &mut S,
        look: &mut Look,
    ) -> Result<bool, SourceError> {
        let Look { past_header, scan, buffers, .. } = look;
        match self {
            Test::Sent(order, day) => {
                let header = source.header_field(b"Date")?;
                let field = RawFields::beginning(header, Initials::of([&b"Date"[..]]))
                    .find(|field| field.name.eq_ignore_ascii_case(b"Date"));
                let date = field.and_then(|field| parse_message_date(field.value));
                Ok(date.is_some_and(|date| order.holds(date, *day)))
            }
            Test::Header(field, needle) => {
                if let Some(text) = source.search_text(field)? {
                    return Ok(text::in_text(text, needle));
                }
                Ok(text::in_fields(source.header_field(field)?, Some(field), needle, buffers))
            }
            Test::ThreadId(id) => Ok(object_id::thread(thread_id(meta.email_id, source)?) == **id),
            Test::Body(needles) => text::in_body(source, needles, false, scan, buffers),
            Test::Text(needles) => {
                if !*past_header
                    && text::in_fields(source.header()?, None, &needles.fields, buffers)
                {
                    return Ok(true);
                }
                *past_header = true;
                text::in_body(source, needles, true, scan, buffers)
            }
            // Columns have answered these.
            Test::Flags(_)
            | Test::Keyword(_)
            | Test::Recent
            | Test::Internal(..)
            | Test::Saved(..)
            | Test::Larger(_)
            | Test::Smaller(_)
            | Test::Uids(_)
            | Test::ModSeq(_)
            | Test::EmailId(_)
            | Test::InThread(..) => Ok(false),
        }
    }
}

impl Order {
    fn holds(self, date: DateTime, day: Day) -> bool {
        match self {
            Order::Before => date.day() < day,
            Order::On => date.day() == day,
            Order::Since => date.day() >= day,
        }
    }
}
