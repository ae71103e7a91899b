//! Checks a record while it streams by, holding no more than its head.

use super::record::{ChunkSizes, at, check_lengths};
use super::{
    CHUNK_WORD_LEN, Codec, FIXED_HEAD_LEN, Head, HeadPrefix, LAST_CHUNK, TRAILER_LEN, Trailer,
    parse_head,
};
use crate::checksum::Summer;
use crate::{Error, Guid, Seed};

/// Checks one record given in pieces of any size: for messages that are not to be held whole.
///
/// Holds the head (at most 64 KiB), then four bytes.
#[derive(Clone, Debug)]
pub struct Verifier {
    seed: Seed,
    state: State,
    gathered: Vec<u8>,
    sizes: ChunkSizes,
    summer: Summer,
    at: u64,
    about: Option<(Guid, Codec)>,
    failed: Option<Error>,
}

/// What a checked record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The message's GUID.
    pub guid: Guid,
    /// Lengths and checksum.
    pub trailer: Trailer,
}

/// Takes what a verifier sees.
pub(super) type Sink<'s> = dyn FnMut(Step<'_>) -> Result<(), Error> + 's;

/// What a verifier sees of a record, in order.
pub(super) enum Step<'a> {
    /// The head, checked.
    Head(&'a Head<'a>),
    /// Some of the bytes of a chunk.
    Bytes(&'a [u8]),
    /// A chunk has ended, at this byte of the record.
    ChunkEnd { last: bool, at: u64 },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head { need: usize },
    Word,
    Chunk { left: u64, last: bool },
    Trailer,
    Done(Trailer),
}

impl Verifier {
    /// Waits for the first byte of a record.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        let state = State::Head { need: FIXED_HEAD_LEN };
        let (gathered, sizes, summer) =
            (Vec::new(), ChunkSizes::new(0, Codec::PLAIN), Summer::new());
        Self { seed, state, gathered, sizes, summer, at: 0, about: None, failed: None }
    }

    /// Looks at the next bytes of the record.
    ///
    /// # Errors
    /// As [`Record::parse`](super::Record::parse), as soon as it is known; the same error again for later calls.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.push_to(bytes, &mut |_| Ok(()))
    }

    /// [`push`](Self::push) for one who wants to see what is looked at; what `sink` refuses is an error that stays.
    pub(super) fn push_to(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let done = self.take(bytes, sink);
        self.failed = done.clone().err();
        done
    }

    /// What the record is, if it has ended.
    ///
    /// # Errors
    /// The error of [`push`](Self::push), or [`Error::Truncated`].
    pub fn finish(self) -> Result<Verified, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let need = match (self.state, self.about) {
            (State::Done(trailer), Some((guid, _))) => return Ok(Verified { guid, trailer }),
            (State::Head { need }, _) => need as u64,
            (State::Word, _) => CHUNK_WORD_LEN as u64,
            (State::Chunk { left, .. }, _) => left,
            (State::Trailer | State::Done(_), _) => TRAILER_LEN as u64,
        };
        let have = self.gathered.len() as u64;
        Err(Error::Truncated { field: "record", at: self.at - have, need, have })
    }

    fn take(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut rest = bytes;
        loop {
            match self.state {
                State::Head { need } => {
                    if !self.gather(need, &mut rest) {
                        return Ok(());
                    }
                    self.on_head(sink)?;
                }
                State::Word => {
                    if !self.gather(CHUNK_WORD_LEN, &mut rest) {
                        return Ok(());
                    }
                    let word =
                        self.gathered.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
                    let left = self.sizes.next(word, self.at - CHUNK_WORD_LEN as u64)?;
                    self.gathered.clear();
                    self.state = State::Chunk { left, last: word & LAST_CHUNK != 0 };
                }
                State::Chunk { left: 0, last } => {
                    sink(Step::ChunkEnd { last, at: self.at })?;
                    self.state = if last { State::Trailer } else { State::Word };
                }
                State::Chunk { left, last } => {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (chunk, later) = rest.split_at(now);
                    self.summer.update(chunk);
                    sink(Step::Bytes(chunk))?;
                    self.at += now as u64;
                    rest = later;
                    self.state = State::Chunk { left: left - now as u64, last };
                }
                State::Trailer => {
                    if !self.gather(TRAILER_LEN, &mut rest) {
                        return Ok(());
                    }
                    self.on_trailer()?;
                }
                State::Done(_) if rest.is_empty() => return Ok(()),
                State::Done(_) => {
                    let count = rest.len() as u64;
                    return Err(Error::Trailing { what: "the record", at: self.at, count });
                }
            }
        }
    }

    /// Moves bytes from `rest` until `need` are gathered; whether they are.
    fn gather(&mut self, need: usize, rest: &mut &[u8]) -> bool {
        let missing = need.saturating_sub(self.gathered.len());
        let (now, later) = rest.split_at(missing.min(rest.len()));
        self.gathered.extend_from_slice(now);
        self.at += now.len() as u64;
        *rest = later;
        self.gathered.len() >= need
    }

    fn on_head(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        match parse_head(&self.gathered, self.seed)? {
            HeadPrefix::Need(need) => self.state = State::Head { need },
            HeadPrefix::Head(head) => {
                self.sizes = ChunkSizes::new(head.chunk_size(), head.codec());
                self.about = Some((head.guid(), head.codec()));
                sink(Step::Head(&head))?;
                self.state = State::Word;
                self.gathered = Vec::new();
            }
        }
        Ok(())
    }

    fn on_trailer(&mut self) -> Result<(), Error> {
        let start = self.at - TRAILER_LEN as u64;
        let bytes = self.gathered.first_chunk().expect("the trailer has been gathered");
        let trailer = Trailer::parse(bytes, self.seed).map_err(|error| at(error, start))?;
        let codec = self.about.map_or(Codec::PLAIN, |(_, codec)| codec);
        check_lengths(&trailer, codec, self.at, self.sizes.total, start)?;
        let (stored, computed) = (trailer.content_crc, self.summer.content().crc());
        if stored != computed {
            return Err(Error::Checksum { what: "message", at: 0, stored, computed });
        }
        self.gathered.clear();
        self.state = State::Done(trailer);
        Ok(())
    }
}
