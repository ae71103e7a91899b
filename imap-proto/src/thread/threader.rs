//! Messages being put together into threads.

use super::assembly::Assembly;
use super::graph::{Graph, Links, NONE};
use super::names::{Fingerprint, Fingerprints};
use super::said::{Buffers, Said, Wanted};
use super::{Algorithm, Threads};
use crate::fetch::{MessageSource, Meta, SourceError};
use crate::types::{Uid, UidSet};

/// Stands for an empty subject: such messages have none in common.
pub(super) const NO_SUBJECT: Fingerprint = 0;

/// Messages being put together. As long as it [wants](Threader::wanted) some, give it these; else let it
/// [go on](Threader::go_on), until it [is done](Threader::is_done).
#[derive(Debug)]
pub struct Threader {
    stage: Stage,
    fingerprints: Fingerprints,
    said: Said<Fingerprint>,
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

/// What is known of a message by numbers: equal ones stand for equal texts, and none is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its internal date, in seconds since 1970.
    pub came: i64,
    /// When it was sent.
    pub sent: i64,
    /// Its base subject, unless that is empty.
    pub subject: Option<u64>,
    /// Whether that says reply or forward.
    pub is_reply: bool,
    /// Its Message-ID.
    pub id: Option<u64>,
    /// The IDs of its ancestors, the eldest first.
    pub references: &'a [u64],
}

/// Messages whose links are known (RFC 5256 §3, step 1 of THREAD=REFERENCES), in the order of the mailbox. All lists but
/// the last have an entry for each of them.
#[derive(Clone, Debug, Default)]
pub struct Linked {
    /// Which messages.
    pub uids: Vec<Uid>,
    /// Their internal dates, in seconds since 1970.
    pub came: Vec<i64>,
    /// When they were sent.
    pub sent: Vec<i64>,
    /// Their base subjects by number, 0 for an empty one.
    pub subjects: Vec<u64>,
    /// Whether these say reply or forward.
    pub replies: Vec<bool>,
    /// The node that each of them is.
    pub nodes: Vec<u32>,
    /// The node above each node, `u32::MAX` for none. What is in `nodes` is a message; others aren't there.
    pub parents: Vec<u32>,
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
            said: Said::default(),
            buffers: Buffers::default(),
        }
    }

    /// Will put these messages together; it wants none.
    #[must_use]
    pub fn linked(algorithm: Algorithm, messages: Linked) -> Self {
        let Linked { uids, came, sent, subjects, replies, nodes, parents } = messages;
        let mut places = vec![NONE; parents.len()];
        for (place, node) in (0..).zip(&nodes) {
            if let Some(of) = places.get_mut(*node as usize) {
                *of = place;
            }
        }
        let links = Links { parents, places, nodes };
        let graph = Graph::new(0);
        let facts = Facts { algorithm, uids, sent, came, subjects, replies, graph };
        Self {
            stage: Stage::Assembly(Box::new(Assembly::new(facts, links))),
            fingerprints: Fingerprints::default(),
            said: Said::default(),
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
        let Self { fingerprints, said, buffers, .. } = self;
        let came = meta.internal_date.seconds;
        let wanted = Wanted {
            subject: facts.algorithm != Algorithm::Refs,
            ids: facts.algorithm != Algorithm::OrderedSubject,
        };
        said.read_again(wanted, came, source, buffers, |text| fingerprints.of(text))?;
        facts.add(&Known {
            came,
            sent: said.sent,
            subject: said.subject,
            is_reply: said.is_reply,
            id: said.id,
            references: &said.references,
        });
        Ok(())
    }

    /// Takes the first message wanted by what is known of it. Numbers are not to be mixed with messages that are
    /// [given](Self::give) whole.
    pub fn give_known(&mut self, message: &Known<'_>) {
        if let Stage::Facts(facts) = &mut self.stage {
            facts.add(message);
        }
    }

    /// Takes the first message wanted although its text can't be had, or not even what its mailbox says of it.
    pub fn give_bare(&mut self, meta: Option<&Meta<'_>>) {
        if let Stage::Facts(facts) = &mut self.stage {
            let came = meta.map_or(0, |meta| meta.internal_date.seconds);
            facts.add(&Known { came, sent: came, ..Known::default() });
        }
    }

    /// Puts together what was given; `false` when it was interrupted, and is to be called again.
    pub fn go_on(&mut self, is_due: impl FnMut() -> bool) -> bool {
        if self.wanted().next().is_some() {
            return true;
        }
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done(Threads::default())) {
            Stage::Facts(mut facts) => {
                let links = std::mem::replace(&mut facts.graph, Graph::new(0)).into_links();
                Stage::Assembly(Box::new(Assembly::new(*facts, links)))
            }
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

impl Facts {
    fn add(&mut self, message: &Known<'_>) {
        let &Known { came, sent, subject, is_reply, id, references } = message;
        if self.sent.len() >= self.uids.len() {
            return; // none is wanted
        }
        self.sent.push(sent);
        match self.algorithm {
            Algorithm::OrderedSubject => self.subjects.push(subject.unwrap_or(NO_SUBJECT)),
            Algorithm::References => {
                self.subjects.push(subject.unwrap_or(NO_SUBJECT));
                self.replies.push(is_reply);
                self.graph.add(id, references);
            }
            Algorithm::Refs => {
                self.came.push(came);
                self.graph.add(id, references);
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

#[cfg(test)]
mod tests;
