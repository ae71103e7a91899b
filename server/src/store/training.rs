//! What a store's messages have in common is learnt from those that come in, once there are enough of them.
//!
//! Deliveries only note which messages they were; the thread that compacts reads them, makes a dictionary of three fourths,
//! and compresses the last fourth with it. It is taken only if that saves a tenth more than what there was; the next is
//! tried after four times as much mail. Nothing is kept of samples over a restart.

use super::error::StoreError;
use super::message::Message;
use super::store::Store;
use dbox_format::Dictionary;
use dbox_format::compress::Encoder;
use dbox_format::map::MapId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a dictionary: of more there is little gain, and every compressor and decoder holds it.
const CONTENT: usize = 64 << 10;
/// Samples this many times as long as a dictionary are the least to make one of.
const PER_BYTE: usize = 10;
/// What is looked at of a message at most: its header, and where its text begins.
const SAMPLE: usize = 8 << 10;
/// Bytes of mail after which another dictionary is tried for the first time, and how many times more for the next.
const AGAIN: u64 = 64 << 20;
const MORE: u64 = 4;
/// Of so many samples one is not learnt from, but tried with.
const TRIED: usize = 4;

/// Which messages a dictionary is to be learnt from.
pub(crate) struct Training {
    /// Bytes of samples that are wanted; 0 for none.
    wanted: usize,
    state: Mutex<State>,
}

struct State {
    /// Bytes of mail that pass before samples are taken.
    waits: u64,
    /// The same for the next time.
    next: u64,
    samples: Vec<Sample>,
    bytes: usize,
}

/// A message of an account.
struct Sample {
    account: Box<str>,
    id: MapId,
}

/// What came of training.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Learnt {
    /// The number of the dictionary; `None` if it was not good enough.
    pub(crate) number: Option<u32>,
    /// Bytes of the messages it was tried with, compressed as before and with it.
    pub(crate) before: u64,
    pub(crate) with: u64,
}

impl Training {
    /// `wanted` bytes of samples, 0 for none; `again` if there is a dictionary already.
    pub(crate) fn new(wanted: usize, again: bool) -> Self {
        let (waits, next) = if again { (AGAIN, AGAIN * MORE) } else { (0, AGAIN) };
        let state = State { waits, next, samples: Vec::new(), bytes: 0 };
        Self { wanted, state: Mutex::new(state) }
    }

    /// Takes note of a message of `len` bytes that came in.
    pub(crate) fn note(&self, account: &str, id: MapId, len: usize) {
        if self.wanted == 0 {
            return;
        }
        let mut state = self.state();
        if state.waits > 0 {
            state.waits = state.waits.saturating_sub(len as u64);
        } else if state.bytes < self.wanted {
            state.bytes += len.min(SAMPLE);
            state.samples.push(Sample { account: account.into(), id });
        }
    }

    /// The samples, when there are enough of them.
    fn take(&self) -> Option<Vec<Sample>> {
        let mut state = self.state();
        if self.wanted == 0 || state.bytes < self.wanted {
            return None;
        }
        (state.waits, state.next) = (state.next, state.next.saturating_mul(MORE));
        state.bytes = 0;
        Some(std::mem::take(&mut state.samples))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Makes a dictionary, if enough mail has come in to learn from.
    pub(crate) fn learn(&self) -> Option<Learnt> {
        let samples = self.training.take()?;
        match self.learn_from(samples) {
            Ok(Some(learnt @ Learnt { number: Some(number), before, with })) => {
                tracing::info!(
                    number,
                    before,
                    with,
                    "messages are compressed with a dictionary made of them"
                );
                Some(learnt)
            }
            Ok(learnt) => {
                tracing::debug!(?learnt, "no dictionary was made");
                learnt
            }
            Err(error) => {
                tracing::warn!(%error, "no dictionary could be made; messages are compressed as before");
                None
            }
        }
    }

    fn learn_from(&self, samples: Vec<Sample>) -> Result<Option<Learnt>, StoreError> {
        let Some(level) = self.config.compression else { return Ok(None) };
        let texts = self.texts(samples);
        let (tried, learnt): (Vec<_>, Vec<_>) =
            (0..).zip(texts).partition(|(count, _)| count % TRIED == 0);
        let learnt: Vec<Vec<u8>> = learnt.into_iter().map(|(_, text)| text).collect();
        let room = learnt.iter().map(Vec::len).sum::<usize>() / PER_BYTE;
        let Some(content) = Dictionary::train(&learnt, CONTENT.min(room)) else { return Ok(None) };
        drop(learnt);
        let no_encoder = |_| StoreError::Cannot("there is no memory for a compressor");
        let before = match self.packing.dictionaries.current() {
            Some(current) => Encoder::with_dictionary(level, &current),
            None => Encoder::new(level),
        };
        let tried = || tried.iter().map(|(_, text)| text.as_slice());
        let before = sum(&mut before.map_err(no_encoder)?, tried())?;
        let owner = dbox_format::Guid(self.guid().0);
        let made = Dictionary { number: 1, owner, created: 0, content };
        let with = sum(&mut Encoder::with_dictionary(level, &made).map_err(no_encoder)?, tried())?;
        let mut learnt = Learnt { number: None, before, with };
        if with < before - before / 10 {
            let added =
                self.packing.dictionaries.add(&self.files, owner, self.now(), made.content)?;
            learnt.number = Some(added.number);
        }
        Ok(Some(learnt))
    }

    /// What the samples say that are still there.
    fn texts(&self, mut samples: Vec<Sample>) -> Vec<Vec<u8>> {
        // Each account is loaded once.
        samples.sort_by(|one, other| one.account.cmp(&other.account));
        let text = |sample: Sample| {
            let account = self.account(&sample.account).ok()?;
            let message = {
                let state = account.lock().ok()?;
                Message::find(&account, &state, &account.pending(), sample.id)?
            };
            let mut text = Vec::new();
            // What is stored apart is not compressed.
            message.read_text(self, true, &mut text).ok()?;
            text.truncate(SAMPLE);
            text.shrink_to_fit();
            Some(text)
        };
        samples.into_iter().filter_map(text).collect()
    }
}

/// Bytes of the texts as they would be stored.
fn sum<'a>(
    encoder: &mut Encoder,
    texts: impl Iterator<Item = &'a [u8]>,
) -> Result<u64, StoreError> {
    let (mut out, mut sum) = (Vec::new(), 0);
    for text in texts {
        out.clear();
        let frames = encoder
            .frame(text, &mut out)
            .map_err(|_| StoreError::Cannot("there is no memory to compress with"))?;
        sum += if frames.pays() { frames.stored.len() } else { frames.text_len };
    }
    Ok(sum)
}
