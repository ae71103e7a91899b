//! What a list of 10,000 mailboxes costs: `cargo bench -p loft-index-format --bench list`.

mod common;

use common::{nanoseconds, print};
use index_format::list::{Counters, List, Record, SpecialUse, Transaction};
use index_format::log::write_frame;
use index_format::mailbox::Counters as Sums;
use index_format::{Guid, ModSeq, Uid};

const MAILBOXES: u32 = 10_000;

fn main() {
    let mut list = List::new(0);
    for number in 0..MAILBOXES {
        list.apply(&Transaction::new(vec![create(number)]));
        list.apply(&Transaction::new(vec![counters(number)]));
    }
    let rename = |from: &str, to: &str| Record::Rename {
        from: from.into(),
        to: to.into(),
        time: 1_800_000_000,
    };
    let records = [
        ("create", create(1)),
        ("counters", counters(1)),
        ("rename a tree of any size", rename("tree", "wood")),
        ("subscribe", Record::Subscribe("tree/x00001".into())),
    ];
    let mut rows = vec![vec!["record".to_owned(), "bytes in the log".to_owned()]];
    for (name, record) in records {
        let (mut payload, mut frame) = (Vec::new(), Vec::new());
        Transaction::new(vec![record]).encode(&mut payload).expect("short names");
        write_frame(1, &payload, &mut frame).expect("a small frame");
        rows.push(vec![name.to_owned(), frame.len().to_string()]);
    }
    print(&rows);

    let count = MAILBOXES as usize;
    let snapshot = list.write(Guid([1; 16]), 1, 88);
    let mut names = ["tree", "wood"];
    let mut renamed = list.clone();
    let to_and_fro = nanoseconds(1, || {
        names.reverse();
        renamed.apply(&Transaction::new(vec![rename(names[1], names[0])]))
    });
    let of_each = [
        ("rename a tree, µs", to_and_fro / 1000.0),
        (
            "find by name, ns",
            nanoseconds(count, || {
                (0..MAILBOXES).filter(|number| list.by_name(&name(*number)).is_some()).count()
            }),
        ),
        (
            "go through all, ns a mailbox",
            nanoseconds(count, || {
                list.iter().map(|entry| entry.counters.sums.messages).sum::<u32>()
            }),
        ),
        ("snapshot, bytes a mailbox", snapshot.len() as f64 / count as f64),
        ("read the snapshot, ns a mailbox", nanoseconds(count, || List::parse(&snapshot).is_ok())),
        ("write it, ns a mailbox", nanoseconds(count, || list.write(Guid([1; 16]), 1, 88))),
    ];
    let mut rows = vec![vec![format!("{MAILBOXES} mailboxes"), String::new()]];
    rows.extend(of_each.map(|(what, cost)| vec![what.to_owned(), format!("{cost:.0}")]));
    print(&rows);
}

fn name(number: u32) -> String {
    format!("tree/x{number:05}")
}

fn guid(number: u32) -> Guid {
    // Far from each other, as random ones are.
    Guid((u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

fn create(number: u32) -> Record {
    let (guid, name) = (guid(number), name(number).into());
    let (uidvalidity, time) = (1_750_000_001 + number, 1_750_000_000);
    Record::Create { guid, name, uidvalidity, special_use: SpecialUse::NONE, time }
}

fn counters(number: u32) -> Record {
    let sums = Sums { messages: 812, unseen: 17, deleted: 0, size: 31_415_926 };
    let counters = Counters { sums, uidnext: Uid(1200), modseq: ModSeq::new(4000, 0) };
    Record::Counters { guid: guid(number), counters }
}
