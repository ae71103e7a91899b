//! What FETCH gives, as it goes on the wire.

use super::world::at_once;
use crate::store::imap::{ImapUser, read_blob};
use imap_proto::fetch::{FetchItems, Fixed, Piece, Section};
use imap_proto::{Answer, Ask, FetchAsk, Run, Seq, Uid, UidSet};
use std::io;
use std::sync::Arc;

/// The answer to a FETCH of these items of one message, which is the first of its mailbox.
pub(super) fn fetch(user: &mut ImapUser, uid: u32, fixed: Fixed, sections: Vec<Section>) -> Answer {
    let items = Arc::new(FetchItems { fixed, sections });
    at_once(user.ask(Ask::Fetch(FetchAsk {
        runs: vec![Run { seq: Seq(1), uid: Uid(uid), count: 1 }],
        items: items.clone(),
        also_flags: UidSet::new(),
        seen_items: items,
        budget: 1 << 20,
        by_uid: true,
        recent: Arc::default(),
    })))
}

/// The bytes of all pieces: what is a blob is read in steps, as a connection sends it.
pub(super) fn gathered(pieces: Vec<Piece>) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(&bytes),
            Piece::Blob(blob, range) => {
                let mut at = range.start;
                while at < range.end {
                    let start = out.len();
                    read_blob(&blob, at..range.end.min(at + (64 << 10)), true, &mut out)?;
                    at += (out.len() - start) as u64;
                }
            }
        }
    }
    Ok(out)
}

/// The first literal of a row; none where the row has an empty string.
pub(super) fn literal(row: &[u8]) -> Vec<u8> {
    let Some(open) = row.iter().position(|byte| *byte == b'{') else { return Vec::new() };
    let close = open + row[open..].iter().position(|byte| *byte == b'}').unwrap();
    let len: usize = str::from_utf8(&row[open + 1..close]).unwrap().parse().unwrap();
    row[close + 3..close + 3 + len].to_vec()
}
