//! Messages being put together into threads.

use super::assembly::Assembly;
use super::graph::Graph;
use super::ids::Ids;
use super::names::{Fingerprint, Fingerprints};
use super::{Algorithm, Threads};
use crate::date::parse_sent_date;
use crate::fetch::{MessageSource, Meta, SourceError};
use crate::mime::header::{Initials, RawFields};
use crate::sort::{Envelope, base_subject, casemap};
use crate::types::{Uid, UidSet};

/// Ancestors of one message that count, the nearest ones. References are shortened by those who write them; the others
/// have their own.
const ANCESTORS: usize = 1000;

/// Stands for an empty subject: such messages have none in common.
pub(super) const NO_SUBJECT: Fingerprint = 0;

/// Messages being put together. As long as it [wants](Threader::wanted) some, give it these; else let it
/// [go on](Threader::go_on), until it [is done](Threader::is_done).
#[derive(Debug)]
pub struct Threader {
    stage: Stage,
    fingerprints: Fingerprints,
    buffers: Buffers,
}

#[derive(Debug)]
enum Stage {
    Facts(Box<Facts>),
    Assembly(Box<Assembly>),
    Done(Threads),
}

/// What is known of the messages.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) algorithm: Algorithm,
    /// All messages, ascending; a message's place is its index here, and in the lists below as far as they go.
    pub(super) uids: Vec<Uid>,
    /// When they were sent.
    pub(super) sent: Vec<i64>,
    /// When they came: what THREAD=REFS orders threads by.
    pub(super) came: Vec<i64>,
    /// Their base subjects, and whether these say reply or forward.
    pub(super) subjects: Vec<Fingerprint>,
    pub(super) replies: Vec<bool>,
    pub(super) graph: Graph,
}

/// Memory for one message after the other.
#[derive(Debug, Default)]
struct Buffers {
    subject: Vec<u8>,
    key: Vec<u8>,
    id: Vec<u8>,
    references: Vec<Fingerprint>,
}

impl Threader {
    /// Will put these messages together.
    #[must_use]
    pub fn new(algorithm: Algorithm, uids: &UidSet) -> Self {
        let uids: Vec<Uid> = uids.iter().collect();
        let count = uids.len();
        let of = |wanted: bool| if wanted { count } else { 0 };
        let facts = Facts {
            algorithm,
            sent: Vec::with_capacity(count),
            came: Vec::with_capacity(of(algorithm == Algorithm::Refs)),
            subjects: Vec::with_capacity(of(algorithm != Algorithm::Refs)),
            replies: Vec::with_capacity(of(algorithm == Algorithm::References)),
            graph: Graph::new(of(algorithm != Algorithm::OrderedSubject)),
            uids,
        };
        Self {
            stage: Stage::Facts(Box::new(facts)),
            fingerprints: Fingerprints::default(),
            buffers: Buffers::default(),
        }
    }

    /// The messages to be given next, in this order; none when it is to go on.
    pub fn wanted(&self) -> impl Iterator<Item = Uid> + '_ {
        let uids = match &self.stage {
            Stage::Facts(facts) => facts.uids.get(facts.sent.len()..).unwrap_or_default(),
            Stage::Assembly(_) | Stage::Done(_) => &[],
        };
        uids.iter().copied()
    }

    /// Takes the first message wanted. After an error it still wants it.
    pub fn give<S: MessageSource + ?Sized>(
        &mut self,
        meta: &Meta<'_>,
        source: &mut S,
    ) -> Result<(), SourceError> {
        let Stage::Facts(facts) = &mut self.stage else { return Ok(()) };
        let (buffers, fingerprints) = (&mut self.buffers, &self.fingerprints);
        let came = meta.internal_date.seconds;
        let mut envelope = Envelope::new(source.envelope()?);
        let [date, subject] = envelope.date_and_subject();
        let sent = date.and_then(|date| parse_sent_date(&date)).map_or(came, |sent| sent.seconds);
        let mut fact = Fact { came, sent, ..Fact::default() };
        if facts.algorithm != Algorithm::Refs {
            let base = base_subject(&subject.unwrap_or_default(), &mut buffers.subject);
            fact.is_reply = base.is_reply;
            if !buffers.subject.is_empty() {
                buffers.key.clear();
                casemap(&buffers.subject, &mut buffers.key);
                fact.subject = fingerprints.of(&buffers.key);
            }
        }
        buffers.references.clear();
        if facts.algorithm != Algorithm::OrderedSubject {
            let [in_reply_to, message_id] = envelope.ids();
            let mut first = |field: &[u8]| {
                Ids::new(field).next(&mut buffers.id).then(|| fingerprints.of(&buffers.id))
            };
            fact.id = message_id.and_then(|field| first(&field));
            let in_reply_to = in_reply_to.and_then(|field| first(&field));
            let header = source.header_field(b"References")?;
            buffers.references(header, fingerprints);
            // RFC 5256 §3: without a valid ID there, the first of In-Reply-To.
            if buffers.references.is_empty() {
                buffers.references.extend(in_reply_to);
            }
        }
        facts.add(&fact, &buffers.references);
        Ok(())
    }

    /// Takes the first message wanted although its text can't be had, or not even what its mailbox says of it.
    pub fn give_bare(&mut self, meta: Option<&Meta<'_>>) {
        if let Stage::Facts(facts) = &mut self.stage {
            let came = meta.map_or(0, |meta| meta.internal_date.seconds);
            facts.add(&Fact { came, sent: came, ..Fact::default() }, &[]);
        }
    }

    /// Puts together what was given; `false` when it was interrupted, and is to be called again.
    pub fn go_on(&mut self, is_due: impl FnMut() -> bool) -> bool {
        if self.wanted().next().is_some() {
            return true;
        }
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done(Threads::default())) {
            Stage::Facts(facts) => Stage::Assembly(Box::new(Assembly::new(*facts))),
            later @ (Stage::Assembly(_) | Stage::Done(_)) => later,
        };
        if let Stage::Assembly(assembly) = &mut self.stage {
            let Some(threads) = assembly.go_on(is_due) else { return false };
            self.stage = Stage::Done(threads);
        }
        true
    }

    /// Whether all is put together.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    /// The threads, once that is so.
    #[must_use]
    pub fn into_threads(self) -> Threads {
        match self.stage {
            Stage::Done(threads) => threads,
            Stage::Facts(_) | Stage::Assembly(_) => Threads::default(),
        }
    }

    /// Bytes held, about.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.stage {
            Stage::Facts(facts) => facts.held(),
            Stage::Assembly(assembly) => assembly.held(),
            Stage::Done(threads) => threads.held(),
        }
    }
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Fact {
    came: i64,
    sent: i64,
    subject: Fingerprint,
    is_reply: bool,
    id: Option<Fingerprint>,
}

impl Facts {
    fn add(&mut self, fact: &Fact, references: &[Fingerprint]) {
        self.sent.push(fact.sent);
        match self.algorithm {
            Algorithm::OrderedSubject => self.subjects.push(fact.subject),
            Algorithm::References => {
                self.subjects.push(fact.subject);
                self.replies.push(fact.is_reply);
                self.graph.add(fact.id, references);
            }
            Algorithm::Refs => {
                self.came.push(fact.came);
                self.graph.add(fact.id, references);
            }
        }
    }

    pub(super) fn held(&self) -> usize {
        let dates = (self.sent.capacity() + self.came.capacity()) * size_of::<i64>();
        let subjects =
            self.subjects.capacity() * size_of::<Fingerprint>() + self.replies.capacity();
        self.uids.capacity() * size_of::<Uid>() + dates + subjects + self.graph.held()
    }
}

impl Buffers {
    /// Reads the IDs of a header's first References field.
    fn references(&mut self, header: &[u8], fingerprints: &Fingerprints) {
        let name = &b"References"[..];
        let field = RawFields::beginning(header, Initials::of([name]))
            .find(|field| field.name.eq_ignore_ascii_case(name));
        let mut ids = Ids::new(field.map(|field| field.value).unwrap_or_default());
        while ids.next(&mut self.id) {
            if self.references.len() >= 2 * ANCESTORS {
                self.references.drain(..ANCESTORS);
            }
            self.references.push(fingerprints.of(&self.id));
        }
        let farther = self.references.len().saturating_sub(ANCESTORS);
        self.references.drain(..farther);
    }
}

#[cfg(test)]
mod tests;
