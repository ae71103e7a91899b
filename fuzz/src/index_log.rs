//! `index_log`: frames, the prefix rule, and a mailbox's transactions.

use crate::pieces::Pieces;
use index_format::log::{EndKind, Frames, Header, Kind, scan_after, write_frame};
use index_format::mailbox::Mailbox;
use index_format::record::{Names, Transaction};
use index_format::{Guid, list};

/// Input: a log file, or (if the first byte is odd) a seed and payloads to make one of.
pub fn index_log(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 { file(rest) } else { payloads(rest) }
}

/// A file as it was found.
fn file(file: &[u8]) {
    crate::index_files::explained(file);
    let Ok(header) = Header::parse(file) else { return };
    let mut again = Vec::new();
    header.write(&mut again);
    assert_eq!(Header::parse(&again).as_ref(), Ok(&header));
    let mut frames = Frames::new(file, Header::LEN as u64, header.seed);
    let end = frames.end();
    assert!(end.at as usize <= file.len().max(Header::LEN));
    assert!(end.kind != EndKind::Clean || end.at as usize >= file.len());
    assert!(scan_after(file, end.at, header.seed).count() <= file.len());
    let mut frames = Frames::new(file, Header::LEN as u64, header.seed);
    match header.kind {
        Kind::Mailbox => drop(Mailbox::new(1, 0).replay(&mut frames, |_, _| {})),
        Kind::List => drop(list::List::new(0).replay(&mut frames, |_, _| {})),
        Kind::Map => {}
    }
}

fn payloads(data: &[u8]) {
    let mut pieces = Pieces(data);
    let seed = pieces.number();
    let damage = pieces.number();
    let payloads: Vec<&[u8]> = pieces.filter(|payload| !payload.is_empty()).collect();

    let mut file = Vec::new();
    Mailbox::new(1, 0).header(Guid([7; 16]), 1, None, seed).write(&mut file);
    for payload in &payloads {
        write_frame(seed, payload, &mut file).expect("a payload of this size is allowed");
    }
    let read = |file: &[u8]| -> Vec<(u64, Vec<u8>)> {
        let frames = Frames::new(file, Header::LEN as u64, seed);
        frames.map(|frame| (frame.end, frame.payload.to_vec())).collect()
    };
    let frames = read(&file);
    assert!(frames.iter().map(|(_, payload)| payload.as_slice()).eq(payloads.iter().copied()));

    // The prefix rule: what stands before the damage counts, nothing behind it does.
    let at = Header::LEN + damage as usize % (file.len() - Header::LEN + 1);
    let kept = frames.iter().take_while(|(end, _)| *end as usize <= at).count();
    if let Some(byte) = file.get_mut(at) {
        *byte ^= 1 << (damage >> 61);
        assert_eq!(read(&file), frames[..kept]);
    }
    file.truncate(at);
    assert_eq!(read(&file), frames[..kept]);

    let mut mailbox = Mailbox::new(1, 0);
    for payload in payloads {
        transaction(payload, &mut mailbox);
    }
}

/// Decodes, encodes and applies a transaction, if it is one.
pub(crate) fn transaction(payload: &[u8], mailbox: &mut Mailbox) {
    let Ok(transaction) = Transaction::decode(payload, 0) else { return };
    let mut again = Vec::new();
    transaction.encode(&mut Names::default(), &mut again).expect("what was decoded can be encoded");
    assert_eq!(Transaction::decode(&again, 0).as_ref(), Ok(&transaction));
    let before = mailbox.clone();
    if mailbox.apply(&transaction).is_err() {
        assert!(looks(mailbox).eq(looks(&before)), "a refused transaction changes nothing");
    }
    assert_eq!(mailbox.transactions(), before.transactions() + 1, "refused ones are counted too");
    assert_eq!(mailbox.iter().len(), mailbox.len());
    assert_eq!(mailbox.uid_set().len(), mailbox.len() as u64);
    for (index, row) in mailbox.iter().enumerate().take(1_000) {
        assert_eq!(mailbox.find(row.uid), Some(index));
        assert!(row.uid < mailbox.uidnext() && row.modseq <= mailbox.highest_modseq());
    }
}

/// What a client could see of a mailbox, and what decides about later transactions.
fn looks(mailbox: &Mailbox) -> impl Iterator<Item = String> + '_ {
    let state = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        mailbox.uidnext(),
        mailbox.highest_modseq(),
        mailbox.counters(),
        mailbox.keywords(),
        mailbox.tombstones(),
        mailbox.voids(),
    );
    [state].into_iter().chain(mailbox.iter().map(|row| format!("{row:?}")))
}
