use proptest::prelude::*;

use super::super::SortKey;
use super::*;
use crate::date::DateTime;
use crate::fetch::Keywords;
use crate::mime::{Limits, Mime, Parser};
use crate::types::{Blob, ModSeq, SystemFlags};

/// A message as it is sorted.
#[derive(Clone, Debug)]
struct Mail {
    arrival: i64,
    size: u64,
    header: String,
}

impl Mail {
    fn meta(&self, uid: Uid) -> Meta<'static> {
        Meta {
            uid,
            flags: SystemFlags::default(),
            recent: false,
            keywords: Keywords::NONE,
            internal_date: DateTime { seconds: self.arrival, zone: 0 },
            size: self.size,
            modseq: ModSeq(1),
            save_date: None,
            email_id: 0,
            guid: 0,
        }
    }
}

struct Text(Vec<u8>);

impl MessageSource for Text {
    fn len(&self) -> u64 {
        0
    }
    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        Ok(&self.0)
    }
    fn body_structure(&mut self, _: bool) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }
    fn header(&mut self) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }
    fn mime(&mut self) -> Result<&Mime, SourceError> {
        Err(SourceError::Gone)
    }
    fn read(&mut self, _: std::ops::Range<u64>) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }
    fn blob(&mut self) -> Result<Blob, SourceError> {
        Err(SourceError::Gone)
    }
}

fn envelope(header: &str) -> Vec<u8> {
    let mut parser = Parser::new(Limits::default());
    parser.feed(header.as_bytes());
    let mut wire = Vec::new();
    parser.finish().write_envelope(&mut wire);
    wire
}

/// Sorts, pausing at every `pause`th look at the time.
fn sorted(mails: &[Mail], order: &Order, pause: u32) -> Vec<usize> {
    let uids: UidSet = (1..=mails.len() as u32).map(|n| Uid(3 * n)).collect();
    let mut sorter = Sorter::new(Arc::new(order.clone()), &uids);
    let mut looks = 0;
    while !sorter.is_done() {
        let wanted: Vec<Uid> = sorter.wanted().take(7).collect();
        if !sorter.reads() {
            // Some in the one way, the rest in the other.
            let rows = wanted.iter().map(|uid| &mails[uid.0 as usize / 3 - 1]).take(4);
            sorter.give_rows(rows.map(|mail| (mail.arrival, mail.size)));
        }
        for uid in wanted.iter().skip(if sorter.reads() { 0 } else { 4 }) {
            let mail = &mails[uid.0 as usize / 3 - 1];
            sorter.give(&mail.meta(*uid), &mut Text(envelope(&mail.header))).unwrap();
        }
        if wanted.is_empty() {
            sorter.go_on(|| {
                looks += 1;
                looks % pause == 0
            });
        }
    }
    sorter.into_uids().iter().map(|uid| uid.0 as usize / 3 - 1).collect()
}

/// The same by the standard library, on whole keys.
fn naively(mails: &[Mail], order: &Order) -> Vec<usize> {
    let keys: Vec<Vec<Vec<u8>>> = mails
        .iter()
        .map(|mail| {
            let key = |by: &Criterion| {
                let mut buffers = Buffers::default();
                let meta = mail.meta(Uid(1));
                buffers.make(by.key, &meta, &mut Text(envelope(&mail.header))).unwrap();
                buffers.key
            };
            order.0.iter().map(key).collect()
        })
        .collect();
    let mut places: Vec<usize> = (0..mails.len()).collect();
    places.sort_by(|&left, &right| {
        let pairs = keys[left].iter().zip(&keys[right]).zip(&order.0);
        pairs.fold(Ordering::Equal, |so_far, ((left, right), by)| {
            let order = left.cmp(right);
            so_far.then(if by.reverse { order.reverse() } else { order })
        })
    });
    places
}

fn mail() -> impl Strategy<Value = Mail> {
    let long = "x".repeat(47);
    let subjects = prop::sample::select(vec![
        String::new(),
        "a".into(),
        "A".into(),
        "Re: a".into(),
        "b".into(),
        "[l] b (fwd)".into(),
        "abcdefg".into(),
        "abcdefgh".into(),
        "abcdefghi".into(),
        "abcdefg\u{e9}".into(),
        long.clone(),
        format!("{long}x"),
        format!("{long}xx"),
        format!("{long}xx{long}"),
        format!("{long}xx{long}y"),
        format!("{long}y"),
    ]);
    let addresses = prop::sample::select(vec![
        "",
        "a@x",
        "A@y",
        "b@x, a@x",
        "\"Q\" <a@x>",
        "=?utf-8?q?=C3=84?= <z@x>",
        "G: b@x;",
    ]);
    let dates = prop::sample::select(vec![
        "",
        "Date: 1 Jan 2001 00:01:33 +0000\r\n",
        "Date: 31 Dec 2000 16:01:33 -0800\r\n",
        "Date: 31 Dec 2000 16:01:33\r\n",
        "Date: 31 Dec 2000 25:01:33\r\n",
        "Date: soon\r\n",
    ]);
    (0i64..3, 0u64..3, subjects, addresses.clone(), addresses, dates).prop_map(
        |(arrival, size, subject, from, to, date)| Mail {
            arrival: arrival * 500_000_000 - 1,
            size: size * 200,
            header: format!(
                "Subject: {subject}\r\nFrom: {from}\r\nTo: {to}\r\nCc: {to}\r\n{date}\r\n"
            ),
        },
    )
}

fn order() -> impl Strategy<Value = Order> {
    let keys = prop::sample::select(SortKey::NAMES.map(|(key, _)| key).to_vec());
    let criterion = (keys, any::<bool>()).prop_map(|(key, reverse)| Criterion { key, reverse });
    prop::collection::vec(criterion, 1..4).prop_map(Order)
}

proptest! {
    #[test]
    fn is_a_stable_sort_by_the_keys(
        mails in prop::collection::vec(mail(), 0..40),
        order in order(),
        pause in 1u32..4,
    ) {
        prop_assert_eq!(sorted(&mails, &order, pause), naively(&mails, &order));
    }
}

/// Row 47's sister: what is held doesn't grow with what messages are sorted by.
#[test]
fn less_than_100_bytes_are_held_for_each_message() {
    let count = 50_000;
    let uids = UidSet::range(Uid(1), Uid(count));
    let order = Order(vec![Criterion { key: SortKey::Subject, reverse: false }]);
    let mut sorter = Sorter::new(Arc::new(order), &uids);
    let wire = envelope(&format!("Subject: {}\r\n\r\n", "long ".repeat(1000)));
    let mail = Mail { arrival: 0, size: 0, header: String::new() };
    let mut source = Text(wire);
    let mut rounds = 0;
    while !sorter.is_done() && rounds < 3 {
        for uid in sorter.wanted().collect::<Vec<_>>() {
            sorter.give(&mail.meta(uid), &mut source).unwrap();
        }
        let held = sorter.held();
        assert!(held <= 100 * count as usize, "{held} bytes");
        while !sorter.go_on(|| true) {
            assert!(sorter.held() <= 100 * count as usize);
        }
        rounds += 1;
    }
}
