//! Compressors and decoders, each used for many messages: what they take to set up is done once.
//!
//! Each holds some hundred KiB, so few are kept when nobody uses them, and none for long.

use super::config::StoreConfig;
use super::dictionaries::Dictionaries;
use super::error::StoreError;
use super::files::Files;
use super::message::ReadError;
use dbox_format::Dictionary;
use dbox_format::compress::{Decoder, Encoder, pays};
use dbox_format::container::Compression;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The level that costs least.
const FAST: i32 = 1;
/// The most of each that are kept.
const KEPT: usize = 4;
/// Milliseconds after which those that nobody has used go.
const IDLE_MS: u64 = 10_000;

/// How messages are compressed, and what that takes.
pub(crate) struct Packing {
    /// zstd's level; `None` for messages as they come.
    level: Option<i32>,
    with_dictionary: bool,
    pub(crate) dictionaries: Dictionaries,
    encoders: Pool<Encoder>,
    stream_encoders: Pool<StreamEncoder>,
    decoders: Pool<Decoder>,
}

/// An encoder without a dictionary, and its level.
pub(super) struct StreamEncoder(pub(super) Encoder, i32);

impl Packing {
    /// # Errors
    /// As [`Dictionaries::open`].
    pub(crate) fn open(
        files: &Files,
        root: &Path,
        config: &StoreConfig,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            level: config.compression,
            with_dictionary: config.dictionaries,
            dictionaries: Dictionaries::open(files, root)?,
            encoders: Pool::default(),
            stream_encoders: Pool::default(),
            decoders: Pool::default(),
        })
    }

    /// One for small messages, with the newest dictionary; `None` if they are stored as they come.
    pub(super) fn encoder(&self) -> Option<Lent<'_, Encoder>> {
        let level = self.level?;
        let dictionary = self.with_dictionary.then(|| self.dictionaries.current()).flatten();
        self.lend_encoder(level, dictionary.as_deref())
    }

    /// How hard to try with a message that streams, of which `sample` is the beginning: as hard as is set if that makes it
    /// smaller by a sixteenth than hardly trying, which is a third of the work. `None` if it is stored as it comes.
    pub(super) fn stream_level(&self, sample: &[u8]) -> Option<i32> {
        let set = self.level?;
        if set <= FAST {
            return Some(set);
        }
        let packed = |level| {
            let frames = self.stream_encoder(level)?.0.frame(sample, &mut Vec::new());
            frames.ok().map(|frames| frames.stored.len())
        };
        let hard = packed(FAST).zip(packed(set)).is_none_or(|(fast, hard)| pays(fast, hard));
        Some(if hard { set } else { FAST })
    }

    /// One for messages that stream, whose chunks gain little from a dictionary and would cost its room.
    pub(super) fn stream_encoder(&self, level: i32) -> Option<Lent<'_, StreamEncoder>> {
        let made = || Encoder::new(level).map(|encoder| StreamEncoder(encoder, level));
        self.stream_encoders.lend(|encoder| encoder.1 == level, made).ok()
    }

    fn lend_encoder(
        &self,
        level: i32,
        dictionary: Option<&Dictionary>,
    ) -> Option<Lent<'_, Encoder>> {
        let number = dictionary.map_or(0, |dictionary| dictionary.number);
        let wanted = Compression::Zstd { dictionary: number };
        let made = || match dictionary {
            Some(dictionary) => Encoder::with_dictionary(level, dictionary),
            None => Encoder::new(level),
        };
        // Without memory for it messages are stored as they come.
        self.encoders.lend(|encoder| encoder.compression() == wanted, made).ok()
    }

    /// One for records that name this dictionary, or none; with `wait` false only if no disk is needed for it.
    pub(super) fn decoder(
        &self,
        files: &Files,
        dictionary: u32,
        wait: bool,
    ) -> Result<Lent<'_, Decoder>, ReadError> {
        self.decoders.lend(
            |decoder| dictionary == 0 || decoder.dictionary() == dictionary,
            || {
                if dictionary == 0 {
                    return Ok(Decoder::new());
                }
                let dictionary = self.dictionaries.get(files, dictionary, wait)?;
                Decoder::with_dictionary(&dictionary)
                    .map_err(|_| ReadError::Store(StoreError::Cannot("a dictionary can't be used")))
            },
        )
    }

    /// Tells the time, in monotonic milliseconds; what nobody has used lately goes.
    pub(crate) fn forget_idle(&self, now: u64) {
        self.encoders.forget_idle(now);
        self.stream_encoders.forget_idle(now);
        self.decoders.forget_idle(now);
    }
}

/// What is used again and again.
struct Pool<T>(Mutex<Idle<T>>);

struct Idle<T> {
    kept: Vec<T>,
    used: bool,
    since: u64,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Idle { kept: Vec::new(), used: false, since: 0 }))
    }
}

impl<T> Pool<T> {
    /// One that fits, or one that is `made`; it comes back when it is dropped.
    fn lend<E>(
        &self,
        fits: impl Fn(&T) -> bool,
        made: impl FnOnce() -> Result<T, E>,
    ) -> Result<Lent<'_, T>, E> {
        let found = {
            let mut idle = self.idle();
            idle.used = true;
            let place = idle.kept.iter().rposition(fits);
            place.map(|place| idle.kept.remove(place))
        };
        let item = found.map_or_else(made, Ok)?;
        Ok(Lent { pool: self, item: Some(item) })
    }

    fn forget_idle(&self, now: u64) {
        let mut idle = self.idle();
        if std::mem::take(&mut idle.used) {
            idle.since = now;
        } else if now.saturating_sub(idle.since) >= IDLE_MS {
            idle.kept = Vec::new();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes back to its pool.
pub(super) struct Lent<'a, T> {
    pool: &'a Pool<T>,
    item: Option<T>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect("it is there until it goes back")
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("it is there until it goes back")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut idle = self.pool.idle();
        // The one kept longest may be of a dictionary that is not used any more.
        let gone = (idle.kept.len() >= KEPT).then(|| idle.kept.remove(0));
        idle.kept.extend(self.item.take());
        drop(idle);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_few_and_none_that_nobody_uses() {
        let pool = Pool::default();
        let lend = |wanted: u32| pool.lend(|it| *it == wanted, || Ok::<_, ()>(wanted)).unwrap();
        let all: Vec<_> = (0..10).map(lend).collect();
        drop(all);
        assert_eq!(pool.idle().kept, [6, 7, 8, 9]);
        drop(lend(7));
        assert_eq!(pool.idle().kept, [6, 8, 9, 7]);
        pool.forget_idle(5);
        pool.forget_idle(IDLE_MS);
        assert_eq!(pool.idle().kept.len(), 4, "used since");
        pool.forget_idle(5 + IDLE_MS);
        assert!(pool.idle().kept.is_empty());
    }
}
