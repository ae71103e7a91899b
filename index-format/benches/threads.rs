//! What the threads of a mailbox cost: bytes in the file, and how long it takes to read them, to have a message come, and
//! to have one go.
//!
//! `cargo bench -p loft-index-format --bench threads`

mod common;

use common::{Noise, nanoseconds, print};
use index_format::threads::{Blocks, Fingerprint, Forest, Header, Message, write_block};
use index_format::{Guid, Uid};

const MESSAGES: u32 = 100_000;

/// A mailbox where so many of a hundred messages are replies to one of the last 500, whose references they have.
fn mailbox(replies: u64, noise: &mut Noise) -> Vec<(Uid, u128, Vec<Fingerprint>)> {
    let mut all: Vec<(Uid, u128, Vec<Fingerprint>)> = Vec::with_capacity(MESSAGES as usize);
    for uid in 1..=MESSAGES {
        let mut references = Vec::new();
        if noise.below(100) < replies && !all.is_empty() {
            let back = 1 + noise.below(all.len().min(500) as u64) as usize;
            if let Some((_, id, theirs)) = all.get(all.len() - back) {
                // Programs keep the first and some of the last.
                let last = theirs.len().saturating_sub(20).max(1);
                references.extend(theirs.first());
                references.extend(theirs.get(last..).unwrap_or_default());
                references.push(*id);
            }
        }
        let id = u128::from(noise.next()) << 64 | u128::from(noise.next());
        all.push((Uid(uid), id, references));
    }
    all
}

fn message((uid, id, references): &(Uid, u128, Vec<Fingerprint>)) -> Message<'_> {
    let came = 1_750_000_000 + i64::from(uid.0) * 300;
    let subject = references.first().copied().unwrap_or(*id);
    let (sent, is_reply) = (came - 4, !references.is_empty());
    Message { uid: *uid, came, sent, subject, is_reply, id: *id, references }
}

fn filled(all: &[(Uid, u128, Vec<Fingerprint>)]) -> Forest {
    let mut forest = Forest::default();
    for one in all {
        forest.insert(&message(one)).expect("real mail fits");
    }
    forest
}

fn row(name: &str, replies: u64, noise: &mut Noise) -> Vec<String> {
    let all = mailbox(replies, noise);
    let references: usize = all.iter().map(|(_, _, references)| references.len()).sum();
    let mut file = Vec::new();
    Header { owner: Guid([1; 16]), mailbox: Guid([2; 16]) }.write(&mut file);
    for block in all.chunks(1 << 14) {
        write_block(block.iter().map(message), &mut file).expect("UIDs ascend");
    }
    let count = all.len();
    let load = nanoseconds(1, || {
        let (mut forest, mut blocks) = (Forest::default(), Blocks::new(&file));
        while let Some(block) = blocks.next(&mut |message| {
            forest.insert(message).expect("real mail fits");
        }) {
            block.expect("it was just written");
        }
        forest
    });
    let forest = filled(&all);
    let add = nanoseconds(count, || filled(&all));
    let linked = nanoseconds(1, || forest.linked());
    let gone = |mut forest: Forest| {
        for uid in (1..=MESSAGES).step_by(100) {
            forest.remove(Uid(uid));
        }
        forest
    };
    let copy = nanoseconds(1, || forest.clone());
    let remove = (nanoseconds(1, || gone(forest.clone())) - copy).max(0.0);
    let mut less = gone(forest.clone());
    let copy = nanoseconds(1, || less.clone());
    let settle = nanoseconds(1, || {
        let mut less = less.clone();
        less.settle().expect("real mail fits");
        less
    }) - copy;
    less.settle().expect("real mail fits");
    vec![
        name.to_owned(),
        format!("{:.1}", references as f64 / count as f64),
        format!("{:.1}", file.len() as f64 / count as f64),
        format!("{:.0}", forest.held() as f64 / count as f64),
        format!("{:.1}", load / 1e6),
        format!("{:.2}", linked / 1e6),
        format!("{add:.0}"),
        format!("{:.0}", remove / 1000.0),
        format!("{:.2}", settle.max(0.0) / 1e6),
    ]
}

fn main() {
    let noise = &mut Noise(1);
    let head = [
        "100,000 messages",
        "references each",
        "file, bytes each",
        "memory, bytes each",
        "read, ms",
        "all links, ms",
        "one comes, ns",
        "one of 1,000 goes, ns",
        "links anew behind them, ms",
    ];
    let mut rows = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for (name, replies) in [("no replies", 0), ("half are replies", 50), ("lists: 90 % are", 90)] {
        rows.push(row(name, replies, noise));
    }
    print(&rows);
}
