//! One transaction in a log: sync byte, length, checksum, payload.

use crate::Error;
use crate::checksum::Seeded;
use crate::wire::{Put, Reader};

/// The longest payload of a frame, in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// Writes one frame at the end of `out`. It reaches the file with one `write`, never continued.
///
/// # Errors
/// [`Error::TooLong`] beyond [`MAX_PAYLOAD`], [`Error::Value`] when the payload is empty.
pub fn write_frame(seed: u64, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let len = payload.len() as u64;
    if payload.len() > MAX_PAYLOAD {
        return Err(Error::TooLong { what: "a log frame's payload", len, max: MAX_PAYLOAD as u64 });
    }
    if payload.is_empty() {
        let allowed = "1 to 1048576";
        return Err(Error::Value {
            field: "frame length",
            at: out.len() as u64,
            found: 0,
            allowed,
        });
    }
    let start = out.len();
    out.reserve(HEAD_MAX + payload.len());
    out.push(SYNC);
    out.varint(len);
    let sum = Seeded::new(seed).of(&[out.get(start..).unwrap_or_default(), payload]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Writes the frame that closes a file: nothing behind it counts, whoever wrote it.
pub fn write_seal(seed: u64, out: &mut Vec<u8>) {
    out.push(SEAL);
    out.extend_from_slice(&Seeded::new(seed).of(&[&[SEAL]]).to_le_bytes());
}

/// A frame that checks out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Its first byte in the file.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
    /// What it carries; never empty.
    pub payload: &'a [u8],
}

/// How far a log counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct End {
    /// The first byte that does not count (for a sealed file, the one behind the seal).
    pub at: u64,
    /// Why it ends there.
    pub kind: EndKind,
}

/// Why a log ends where it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndKind {
    /// With the last byte of the last frame. The next frame may be appended here.
    Clean,
    /// With bytes that are not a frame. The log goes on in its next file.
    Torn(Torn),
    /// By a seal. The log goes on in its next file.
    Sealed,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Torn {
    /// The first byte is neither a frame's nor a seal's.
    Sync,
    /// The length is none a frame may have.
    Length,
    /// The bytes end before the frame does.
    Short,
    /// The checksum does not match.
    Checksum,
}

/// The frames of a file that count, in order: an iterator that stops at the first that does not check out.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    base: u64,
    used: usize,
    seed: Seeded,
    end: Option<EndKind>,
}

impl<'a> Frames<'a> {
    /// The frames of a whole file from offset `from` on, which must be the start of a frame
    /// (the first stands at [`super::Header::LEN`]). Past the end of `file` there is nothing: a clean end at `from`.
    pub fn new(file: &'a [u8], from: u64, seed: u64) -> Frames<'a> {
        let tail = usize::try_from(from).ok().and_then(|from| file.get(from..)).unwrap_or_default();
        Frames::tail(tail, from, seed)
    }

    /// As [`Self::new`], where `bytes` are only the part of the file that starts at `from`.
    pub fn tail(bytes: &'a [u8], from: u64, seed: u64) -> Frames<'a> {
        Frames { bytes, base: from, used: 0, seed: Seeded::new(seed), end: None }
    }

    /// Stops at byte `end` of the file, where the next file's header says that this one ends: frames that landed behind
    /// it later never count.
    #[must_use]
    pub fn until(mut self, end: u64) -> Frames<'a> {
        let len = usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.bytes = self.bytes.get(..len).unwrap_or(self.bytes);
        self
    }

    /// How far the log counts. Reads all frames that are still to come.
    pub fn end(&mut self) -> End {
        while self.next().is_some() {}
        End { at: self.offset(), kind: self.end.unwrap_or(EndKind::Clean) }
    }

    /// Where the next frame starts, or the end is.
    pub fn offset(&self) -> u64 {
        self.base + self.used as u64
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.end.is_some() {
            return None;
        }
        let bytes = self.bytes.get(self.used..).unwrap_or_default();
        let start = self.offset();
        match read(self.seed, bytes) {
            Ok(Some((payload, len))) => {
                self.used += len;
                Some(Frame { start, end: self.offset(), payload })
            }
            Ok(None) => {
                self.used += SEAL_LEN;
                self.end = Some(EndKind::Sealed);
                None
            }
            Err(end) => {
                self.end = Some(end);
                None
            }
        }
    }
}

/// The payload of the frame at the front of `bytes` and the frame's length; `None` for a seal.
fn read(seed: Seeded, bytes: &[u8]) -> Result<Option<(&[u8], usize)>, EndKind> {
    let Some((&sync, rest)) = bytes.split_first() else { return Err(EndKind::Clean) };
    if sync == SEAL {
        let sum = Reader::new(rest, 0).u32("checksum").map_err(|_| EndKind::Torn(Torn::Short))?;
        return match sum == seed.of(&[&[SEAL]]) {
            true => Ok(None),
            false => Err(EndKind::Torn(Torn::Checksum)),
        };
    }
    if sync != SYNC {
        return Err(EndKind::Torn(Torn::Sync));
    }
    let mut reader = Reader::new(rest, 1);
    let len = match reader.varint("frame length") {
        Ok(len) if (1..=MAX_PAYLOAD as u64).contains(&len) => len,
        Ok(_) => return Err(EndKind::Torn(Torn::Length)),
        Err(Error::Truncated { .. }) => return Err(EndKind::Torn(Torn::Short)),
        Err(_) => return Err(EndKind::Torn(Torn::Length)),
    };
    let head = bytes.get(..reader.at() as usize).unwrap_or_default();
    let sum = reader.u32("checksum").map_err(|_| EndKind::Torn(Torn::Short))?;
    let payload = reader.bytes("payload", len).map_err(|_| EndKind::Torn(Torn::Short))?;
    match sum == seed.of(&[head, payload]) {
        true => Ok(Some((payload, reader.at() as usize))),
        false => Err(EndKind::Torn(Torn::Checksum)),
    }
}

/// Looks for frames behind the end of a log, for tools that show damage. **Nothing it finds counts.**
pub fn scan_after(bytes: &[u8], at: u64, seed: u64) -> Scan<'_> {
    let at = usize::try_from(at).unwrap_or(bytes.len());
    Scan { bytes, at, seed: Seeded::new(seed), budget: SCAN_BUDGET }
}

/// Frames that stand where no log counts any more; see [`scan_after`].
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    seed: Seeded,
    /// How many more bytes may be summed: forged lengths must not make a scan quadratic.
    budget: u64,
}

impl<'a> Iterator for Scan<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        while let Some(bytes) = self.bytes.get(self.at..) {
            let skip = bytes.iter().position(|&byte| byte == SYNC)?;
            self.at += skip;
            let bytes = bytes.get(skip..)?;
            let start = self.at as u64;
            self.budget = self.budget.checked_sub(bytes.len().min(MAX_PAYLOAD + HEAD_MAX) as u64)?;
            if let Ok(Some((payload, len))) = read(self.seed, bytes) {
                self.at += len;
                // What was read and found good is paid back: only false starts count.
                self.budget += bytes.len().min(MAX_PAYLOAD + HEAD_MAX) as u64;
                return Some(Frame { start, end: self.at as u64, payload });
            }
            self.at += 1;
        }
        None
    }
}

/// First byte of a frame; unlikely in text, and not zero.
pub const SYNC: u8 = 0xb5;
/// First byte of a seal: no frame, no length, only a checksum of its own.
pub const SEAL: u8 = 0xe9;
const SEAL_LEN: usize = 5;
/// The most bytes of a frame before its payload: sync byte, three bytes of length, checksum.
pub const HEAD_MAX: usize = 8;
const SCAN_BUDGET: u64 = 16 << 30;
