//! The message made whole again, all of it or any part, from its skeleton and its attachments.

use std::ops::Range;

use super::CutOut;

/// The most bytes of base64 in one [`Source`].
const STEP: u64 = 64 * 1024;

/// Why a list and its contents make no message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A part belongs before the one before it, or behind the skeleton's end.
    #[error("part {index} belongs at byte {offset} of the skeleton, allowed are {min} to {max}")]
    Offset {
        /// The part, from 0.
        index: usize,
        /// Its offset.
        offset: u64,
        /// That of the part before.
        min: u64,
        /// The skeleton's length.
        max: u64,
    },
    /// The parts alone are longer than the message.
    #[error("the parts take {parts} bytes, the message has {message}")]
    TooLong {
        /// Bytes of the parts' base64; `u64::MAX` if they are more.
        parts: u64,
        /// Bytes of the message.
        message: u64,
    },
    /// Content of another length than was asked for.
    #[error("part {index}: {need} bytes of content are needed, {have} were given")]
    Content {
        /// The part, from 0.
        index: usize,
        /// Bytes asked for.
        need: u64,
        /// Bytes given.
        have: u64,
    },
}

/// Where the bytes of a message come from whose parts are stored apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assembly {
    list: Vec<CutOut>,
    starts: Vec<u64>, // of each part's base64, in the message
    message_len: u64,
}

/// The next bytes of a message: where to read them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// These bytes of the skeleton.
    Skeleton(Range<u64>),
    /// Read `content` of this attachment, and give it to [`Assembly::encode`].
    Attachment {
        /// Its index in the list.
        index: usize,
        /// Bytes of its content, at most 48 KiB and 3 bytes.
        content: Range<u64>,
        /// Bytes of its base64 that come of it.
        text: Range<u64>,
    },
}

impl Assembly {
    /// Of a message of `message_len` bytes (as the map has it), with parts that stand apart.
    ///
    /// # Errors
    /// [`AssemblyError::Offset`], [`AssemblyError::TooLong`]
    pub fn new(list: &[CutOut], message_len: u64) -> Result<Self, AssemblyError> {
        let parts = list.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.text_len()));
        let skeleton_len = parts.and_then(|parts| message_len.checked_sub(parts)).ok_or(
            AssemblyError::TooLong { parts: parts.unwrap_or(u64::MAX), message: message_len },
        )?;
        let (mut starts, mut before, mut min) = (Vec::with_capacity(list.len()), 0, 0);
        for (index, part) in list.iter().enumerate() {
            let (offset, max) = (part.offset, skeleton_len);
            if !(min..=max).contains(&offset) {
                return Err(AssemblyError::Offset { index, offset, min, max });
            }
            starts.push(offset + before);
            before += part.text_len();
            min = offset;
        }
        Ok(Self { list: list.to_vec(), starts, message_len })
    }

    /// Of a skeleton of `skeleton_len` bytes: for one who has the records alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_skeleton(list: &[CutOut], skeleton_len: u64) -> Result<Self, AssemblyError> {
        let parts =
            list.iter().try_fold(skeleton_len, |sum, part| sum.checked_add(part.text_len()));
        let message = parts.ok_or(AssemblyError::TooLong { parts: u64::MAX, message: u64::MAX })?;
        Self::new(list, message)
    }

    /// Bytes of the message.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.message_len
    }

    /// Whether the message is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.message_len == 0
    }

    /// Bytes of the skeleton.
    #[must_use]
    pub fn skeleton_len(&self) -> u64 {
        self.list.iter().fold(self.message_len, |len, part| len - part.text_len())
    }

    /// The parts that stand apart.
    #[must_use]
    pub fn list(&self) -> &[CutOut] {
        &self.list
    }

    /// Where in the message the base64 of each part stands.
    pub fn texts(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let starts = self.starts.iter().zip(&self.list);
        starts.map(|(start, part)| *start..start + part.text_len())
    }

    /// Where `part` of the message comes from, in order and in steps of at most 64 KiB of base64. What reaches past the
    /// end of the message is cut off.
    pub fn sources(&self, part: Range<u64>) -> impl Iterator<Item = Source> + '_ {
        let (mut at, end) = (part.start, part.end.min(self.message_len));
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (source, next) = self.source(at, end);
            at = next;
            Some(source)
        })
    }

    /// What stands at this byte of the message; and the byte behind it.
    fn source(&self, at: u64, end: u64) -> (Source, u64) {
        // The last part that starts here or before: several may start at one place if all but the last are empty.
        let next = self.starts.partition_point(|start| *start <= at);
        if let Some(index) = next.checked_sub(1)
            && let (Some(start), Some(part)) = (self.starts.get(index), self.list.get(index))
        {
            let text_end = start + part.text_len();
            if at < text_end {
                let stop = end.min(text_end).min(at.saturating_add(STEP));
                let text = at - start..stop - start;
                let content = part.lines.content_range(&text, part.len);
                return (Source::Attachment { index, content, text }, stop);
            }
        }
        let passed = self.list.iter().take(next).map(CutOut::text_len).sum::<u64>();
        let stop = end.min(self.starts.get(next).copied().unwrap_or(u64::MAX));
        (Source::Skeleton(at - passed..stop - passed), stop)
    }

    /// Appends the base64 of a [`Source::Attachment`], given the content that it names; nothing for a skeleton's.
    ///
    /// # Errors
    /// [`AssemblyError::Content`] if that is shorter or longer: the attachment's file is damaged.
    pub fn encode(
        &self,
        source: &Source,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), AssemblyError> {
        let Source::Attachment { index, content, text } = source else { return Ok(()) };
        let (need, have) = (content.end - content.start, bytes.len() as u64);
        match self.list.get(*index) {
            Some(part) if need == have => {
                part.lines.encode(text, bytes, out);
                Ok(())
            }
            Some(_) | None => Err(AssemblyError::Content { index: *index, need, have }),
        }
    }
}
