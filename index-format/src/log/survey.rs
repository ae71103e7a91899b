//! Reads all there is in a log file, also behind damage: for tools that say what was lost, and bring back what was not.
//!
//! **What stands behind a gap counts for no reader of the log**; whether it may be used is for the caller to show.

use super::{EndKind, Frame, Frames, Header, Torn, scan_after};

/// One log file, read whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Survey<'a> {
    /// The frames that count, in order.
    pub frames: Vec<Frame<'a>>,
    /// Whole frames behind the first gap, in order, up to where the next file says that this one ends.
    pub behind: Vec<Frame<'a>>,
    /// Where frames stood that are damaged, in order; none when the file is as its writer left it.
    pub gaps: Vec<Gap>,
    /// Transactions that are missing in all gaps together; [`None`] when nothing says how many there were.
    pub missing: Option<u64>,
}

/// Bytes in the middle of a log file that were frames once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// The first.
    pub at: u64,
    /// How many.
    pub len: u64,
    /// Why they are none.
    pub why: Torn,
}

impl<'a> Survey<'a> {
    /// Looks at the file whose header is `header`, from the frame at byte `from` on, which is transaction `number`. `next`
    /// is the header of the file behind it: it says where this one ends, and how many transactions there were. Without,
    /// bytes at the end that are no frame are a torn end and no gap, unless a whole frame stands behind them: whoever
    /// writes a log never goes on behind a tear.
    pub fn new(
        file: &'a [u8],
        (header, from, number): (&Header, u64, u64),
        next: Option<&Header>,
    ) -> Survey<'a> {
        let end = next.and_then(|next| next.previous).map(|previous| previous.end);
        let len = end.and_then(|end| usize::try_from(end).ok()).unwrap_or(file.len());
        let missing_bytes = (len as u64).saturating_sub(file.len() as u64);
        let counted = file.get(..len).unwrap_or(file);
        let mut reader = Frames::new(counted, from, header.seed);
        let frames: Vec<Frame<'a>> = reader.by_ref().collect();
        let stop = reader.end();
        let mut survey = Survey { frames, behind: Vec::new(), gaps: Vec::new(), missing: Some(0) };
        let EndKind::Torn(why) = stop.kind else {
            if missing_bytes > 0 && stop.kind == EndKind::Clean {
                // Cut short at a frame: that is as much damage as any.
                survey.gaps.push(Gap { at: stop.at, len: missing_bytes, why: Torn::Short });
                survey.count(number, next);
            }
            return survey;
        };
        survey.behind = scan_after(counted, stop.at, header.seed).collect();
        if survey.behind.is_empty() && end.is_none() {
            return survey;
        }
        let mut at = stop.at;
        let mut why = why;
        for frame in &survey.behind {
            if frame.start > at {
                survey.gaps.push(Gap { at, len: frame.start - at, why });
            }
            (at, why) = (frame.end, Torn::Sync);
        }
        if end.is_some_and(|end| end > at) {
            survey.gaps.push(Gap { at, len: len as u64 - at, why });
        }
        survey.count(number, next);
        survey
    }

    fn count(&mut self, number: u64, next: Option<&Header>) {
        let known = number + (self.frames.len() + self.behind.len()) as u64;
        self.missing = next.and_then(|next| next.first_transaction.checked_sub(known));
    }
}

impl Torn {
    /// In words, of a place: what is there instead of a frame.
    pub fn words(self) -> &'static str {
        match self {
            Torn::Sync => "no frame begins here",
            Torn::Length => "a frame with a length that no frame has",
            Torn::Short => "a frame that is longer than the file",
            Torn::Checksum => "a frame whose checksum differs",
        }
    }
}
