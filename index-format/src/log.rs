//! The frames all logs share: a header, then one frame for each transaction, appended with one `write` each.
//!
//! **The prefix rule**: a log counts up to its first frame that does not check out. Nobody truncates, nobody skips and
//! nobody searches; who finds a torn or sealed frame goes on in the next file, whose header says where this one ends.
//! The checksums begin with a seed that no protocol shows, so that no mail and no name can be taken for a frame.
//!
//! What a frame carries is not this module's concern: [`crate::record`] for mailboxes, [`crate::list`] for the list.

mod frame;
mod header;
mod survey;

pub use frame::{
    End, EndKind, Frame, Frames, HEAD_MAX, MAX_PAYLOAD, SEAL, SYNC, Scan, Torn, scan_after,
    write_frame, write_seal,
};
pub use header::{Header, Kind, Previous};
pub use survey::{Gap, Survey};
