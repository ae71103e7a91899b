//! `index_overlay`: a snapshot with an overlay over it is the state that both were made of.

use crate::index_log::transaction;
use crate::pieces::Pieces;
use index_format::mailbox::{Mailbox, Parts};
use index_format::snapshot::{self, Head, Overlay, Section};
use index_format::{Error, Guid};

const OWNER: Guid = Guid([3; 16]);

/// Input: an overlay, or (if the first byte is odd) two numbers and transactions, some of them before the snapshot.
pub fn index_overlay(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        let Ok(overlay) = Overlay::parse(rest) else { return };
        let (gone, changed, came) = overlay.sums();
        assert!(gone.len() + changed as u64 + came as u64 <= u64::from(u32::MAX) * 3);
        // Over the wrong snapshot: refused, or a state that is of no use but can be looked at.
        let file = snapshot::write(&Mailbox::new(1, 0), OWNER, 1, 88);
        let mut other = opened(&file);
        if other.lay_over(overlay).is_ok() {
            assert_eq!(other.uid_set().len(), other.len() as u64);
        }
        return;
    }
    let mut pieces = Pieces(rest);
    let (damage, before) = (pieces.number(), pieces.number() % 64);
    let mut mailbox = Mailbox::new(1, 0);
    pieces.by_ref().take(before as usize).for_each(|payload| transaction(payload, &mut mailbox));
    mailbox.renumber();
    let file = snapshot::write(&mailbox, OWNER, 2, 99);
    mailbox.rebase(&file).expect("what was written is a snapshot");
    pieces.for_each(|payload| transaction(payload, &mut mailbox));
    let Some(mut overlay) = snapshot::write_overlay(&mailbox, OWNER, 2, 999) else { return };

    let read = Overlay::parse(&overlay).expect("what was written parses");
    assert!(read.is_of(&Head::parse(&file, file.len() as u64).expect("a snapshot")));
    let mut again = opened(&file);
    again.lay_over(read).expect("it fits its snapshot");
    assert_eq!(again.counters(), mailbox.counters());
    again.load(Parts::ALL, |section| bytes(&file, section)).expect("a whole snapshot");
    assert_eq!(snapshot::write_overlay(&again, OWNER, 2, 999).as_ref(), Some(&overlay));
    assert_eq!(again, mailbox);

    let at = damage as usize % overlay.len();
    overlay[at] ^= 1 << (damage >> 61);
    let found = Overlay::parse(&overlay);
    assert!(found.is_err(), "a changed bit at {at} of {} is not noticed", overlay.len());
}

fn opened(file: &[u8]) -> Mailbox {
    let head = Head::parse(file, file.len() as u64).expect("a snapshot");
    head.open(|section| bytes(file, section)).expect("a whole snapshot")
}

fn bytes<'a>(file: &'a [u8], section: &Section) -> Result<&'a [u8], Error> {
    Ok(&file[section.at as usize..(section.at + section.len) as usize])
}
