//! What opening a mailbox costs, and what a small change of a large one does: bytes, and processor time.
//!
//! `cargo bench -p loft-index-format --bench open`

mod common;

use common::{Noise, nanoseconds, print};
use index_format::log::write_frame;
use index_format::mailbox::{Mailbox, NewMessage, Parts, TransactionBuilder};
use index_format::record::{Names, Transaction};
use index_format::snapshot::{self, Head, Overlay, Section};
use index_format::{Error, Flags, Guid, MapId, Uid, UidSet};

const OWNER: Guid = Guid([1; 16]);
/// Appends in one transaction.
const AT_ONCE: u32 = 100;

fn main() {
    let head = ["messages", "UIDs", "what", "bytes", "bytes a message", "µs"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for count in [100_000, 1_000_000] {
        for (name, gone) in [("no gaps", 0.0), ("1 % gone", 0.01)] {
            rows.extend(mailbox(count, name, gone));
        }
    }
    print(&rows);
}

fn filled(count: u32, gone: f64) -> Mailbox {
    let noise = &mut Noise(7);
    let (mut mailbox, mut names) = (Mailbox::new(1_750_000_000, 0), Names::default());
    let mut date = 1_600_000_000;
    for first in (0..count).step_by(AT_ONCE as usize) {
        let mut builder = TransactionBuilder::new(&mailbox, &names);
        for n in first..first + AT_ONCE {
            date += noise.below(1_200) as i64;
            let message = NewMessage {
                map_id: MapId(n * 3 + noise.below(3) as u32),
                internal_date: date,
                save_date: date,
                size: 1_500 + noise.below(60_000),
                flags: if noise.chance(0.8) { Flags::SEEN } else { Flags::NONE },
                keywords: if noise.chance(0.05) { &["$Junk"] } else { &[] },
            };
            builder.append(&message).expect("one keyword");
        }
        let transaction = builder.finish();
        commit(&mut mailbox, &mut names, &transaction);
    }
    let gone: UidSet = (1..=count).filter(|_| gone > 0.0 && noise.chance(gone)).map(Uid).collect();
    let mut builder = TransactionBuilder::new(&mailbox, &names);
    builder.expunge(&gone);
    let transaction = builder.finish();
    commit(&mut mailbox, &mut names, &transaction);
    mailbox.renumber();
    mailbox
}

/// Lets a transaction happen and gives the length of its frame.
fn commit(mailbox: &mut Mailbox, names: &mut Names, transaction: &Transaction) -> usize {
    let (mut payload, mut frame) = (Vec::new(), Vec::new());
    transaction.encode(names, &mut payload).expect("a transaction");
    write_frame(1, &payload, &mut frame).expect("a frame");
    mailbox.apply(transaction).expect("it follows");
    frame.len()
}

fn mailbox(count: u32, name: &str, gone: f64) -> Vec<Vec<String>> {
    let mut mailbox = filled(count, gone);
    let file = snapshot::write(&mailbox, OWNER, 1, 0);
    mailbox.rebase(&file).expect("just written");
    let messages = mailbox.len() as f64;
    let row = |what: &str, bytes: usize, nanoseconds: f64| {
        [
            count.to_string(),
            name.to_owned(),
            what.to_owned(),
            bytes.to_string(),
            format!("{:.2}", bytes as f64 / messages),
            format!("{:.0}", nanoseconds / 1000.0),
        ]
        .to_vec()
    };
    let mut rows = Vec::new();
    let mut read = Head::READ;
    open(&file, |section| read += section.len as usize);
    rows.push(row("open, up to SELECT", read, nanoseconds(1, || open(&file, |_| {}))));
    let parts = [
        ("flags, for SEARCH UNSEEN", Parts::FLAGS),
        ("all that FETCH FLAGS shows", Parts::FLAGGED),
        ("all rows", Parts::ROW),
    ];
    for (what, parts) in parts {
        let mut read = 0;
        load(&file, parts, |section| read += section.len as usize);
        rows.push(row(what, read, nanoseconds(1, || load(&file, parts, |_| {}))));
    }
    let whole = || snapshot::write(&mailbox, OWNER, 1, 0);
    rows.push(row("a whole snapshot", file.len(), nanoseconds(1, whole)));

    let ten: UidSet = (1..=10).map(|n| Uid(n * (count / 11) + n * n)).collect();
    let expunge = |mailbox: &mut Mailbox| {
        let names = &mut Names::default();
        let mut builder = TransactionBuilder::new(mailbox, names);
        builder.expunge(&ten);
        let transaction = builder.finish();
        commit(mailbox, names, &transaction)
    };
    // Each run expunges other ones.
    let mut copies: Vec<Mailbox> = (0..9).map(|_| mailbox.clone()).collect();
    let mut next = copies.iter_mut();
    let spent = nanoseconds(1, || expunge(next.next().expect("one for each run")));
    rows.push(row("ten expunged, in the log", expunge(&mut mailbox), spent));
    let overlay = || snapshot::write_overlay(&mailbox, OWNER, 1, 0).expect("it has a snapshot");
    rows.push(row("an overlay that says so", overlay().len(), nanoseconds(1, overlay)));
    let bytes = overlay();
    let laid = || {
        let mut mailbox = open(&file, |_| {});
        mailbox.lay_over(Overlay::parse(&bytes).expect("just written")).expect("it fits");
        mailbox
    };
    rows.push(row("open with that overlay", read + bytes.len(), nanoseconds(1, laid)));
    rows
}

fn open(file: &[u8], mut note: impl FnMut(&Section)) -> Mailbox {
    let head =
        Head::parse(file.get(..Head::READ).unwrap_or(file), file.len() as u64).expect("a snapshot");
    let mailbox = head.open(|section| {
        note(section);
        section_of(file, section)
    });
    mailbox.expect("a whole snapshot")
}

fn load(file: &[u8], parts: Parts, mut note: impl FnMut(&Section)) -> Mailbox {
    let mut mailbox = open(file, |_| {});
    let loaded = mailbox.load(parts, |section| {
        note(section);
        section_of(file, section)
    });
    loaded.expect("a whole snapshot");
    mailbox
}

fn section_of<'a>(file: &'a [u8], section: &Section) -> Result<&'a [u8], Error> {
    let (start, end) = (section.at as usize, (section.at + section.len) as usize);
    Ok(file.get(start..end).unwrap_or_default())
}
