//! `index_threads`: a file of threads is parsed, written, parsed again; a forest that is kept is that of what is there.

use crate::pieces::Pieces;
use index_format::threads::{Blocks, Forest, Header, Message, write_block};
use index_format::{Guid, Uid};
use std::collections::BTreeMap;

/// A message without its UID.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mail {
    came: i64,
    sent: i64,
    subject: u128,
    is_reply: bool,
    id: u128,
    references: Vec<u128>,
}

impl Mail {
    fn message(&self, uid: u32) -> Message<'_> {
        Message {
            uid: Uid(uid),
            came: self.came,
            sent: self.sent,
            subject: self.subject,
            is_reply: self.is_reply,
            id: self.id,
            references: &self.references,
        }
    }
}

/// Input: a file of threads, or (if the first byte is odd) a number and what happens to a mailbox: a piece of one byte
/// removes a message, one of two has the links looked at, a longer one is a message.
pub fn index_threads(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        if let Ok(header) = Header::parse(rest) {
            let mut again = Vec::new();
            header.write(&mut again);
            assert_eq!(again, rest[..Header::LEN]);
        }
        let (blocks, _) = read(rest);
        assert_eq!(read(&write(&blocks)), (blocks, true));
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let (mut forest, mut mails) = (Forest::default(), BTreeMap::new());
    for (uid, piece) in (1..).zip(pieces.take(300)) {
        match piece {
            [] => {}
            [_] if mails.is_empty() => assert!(forest.is_empty()),
            [at] => {
                let at = usize::from(*at) % mails.len();
                let uid = *mails.keys().nth(at).expect("there are more");
                mails.remove(&uid);
                forest.remove(Uid(uid));
            }
            [_, _] => compare(&mut forest, &mails),
            [flags, id, subject, references @ ..] => {
                // Few IDs, so that they meet; never 0 where that means none.
                let mail = Mail {
                    came: i64::from(*subject),
                    sent: i64::from(*flags) - 99,
                    subject: u128::from(*subject),
                    is_reply: flags & 1 != 0,
                    id: u128::from(*id & 31),
                    references: references.iter().map(|id| u128::from(*id & 31) + 1).collect(),
                };
                match forest.insert(&mail.message(uid)) {
                    Ok(is_new) => assert!(is_new),
                    Err(_) => return,
                }
                mails.insert(uid, mail);
            }
        }
    }
    compare(&mut forest, &mails);
    let half = mails.len() / 2;
    let (first, second) = mails.iter().map(|(uid, mail)| (*uid, mail.clone())).enumerate().fold(
        (Vec::new(), Vec::new()),
        |(mut first, mut second), (place, mail)| {
            if place < half {
                first.push(mail)
            } else {
                second.push(mail)
            }
            (first, second)
        },
    );
    let blocks = [first, second];
    let mut file = write(&blocks);
    assert_eq!(read(&file), (blocks.to_vec(), true));
    let at = damage as usize % file.len();
    file[at] ^= 1 << (damage >> 61);
    let (found, whole) = read(&file);
    let noticed = at < Header::LEN && Header::parse(&file).is_err() || !whole;
    assert!(noticed, "a changed bit at {at} of {} is not noticed", file.len());
    assert!(blocks.starts_with(&found));
}

/// The links are those of a forest that has only ever had what is there.
fn compare(forest: &mut Forest, mails: &BTreeMap<u32, Mail>) {
    let mut fresh = Forest::default();
    for (uid, mail) in mails {
        if fresh.insert(&mail.message(*uid)).is_err() {
            return;
        }
    }
    if forest.settle().is_err() || fresh.settle().is_err() {
        return;
    }
    let parents = |forest: &Forest| {
        let linked = forest.linked();
        let uids: BTreeMap<u32, u32> =
            linked.nodes.iter().zip(&linked.uids).map(|(node, uid)| (*node, uid.0)).collect();
        // The nearest message above each, and how many that aren't there are between.
        let above = |node: &u32| {
            let (mut at, mut missing) = (linked.parents[*node as usize], 0);
            while let Some(above) = linked.parents.get(at as usize)
                && !uids.contains_key(&at)
            {
                (at, missing) = (*above, missing + 1);
            }
            (uids.get(&at).copied(), missing)
        };
        linked.nodes.iter().map(above).collect::<Vec<_>>()
    };
    assert_eq!(parents(forest), parents(&fresh));
    let mut references = Vec::new();
    for (uid, mail) in mails {
        assert_eq!(forest.message(Uid(*uid), &mut references), Some(mail.message(*uid)));
    }
}

type Block = Vec<(u32, Mail)>;

fn write(blocks: &[Block]) -> Vec<u8> {
    let mut file = Vec::new();
    Header { owner: Guid([3; 16]), mailbox: Guid([4; 16]) }.write(&mut file);
    for block in blocks {
        let messages = block.iter().map(|(uid, mail)| mail.message(*uid));
        write_block(messages, &mut file).expect("what was read can be written");
    }
    file
}

/// The blocks of a file, and whether that is all of it.
fn read(file: &[u8]) -> (Vec<Block>, bool) {
    let (mut blocks, mut all) = (Blocks::new(file), Vec::new());
    loop {
        let mut block = Vec::new();
        let mut each = |message: &Message<'_>| {
            let &Message { uid, came, sent, subject, is_reply, id, references } = message;
            let references = references.to_vec();
            block.push((uid.0, Mail { came, sent, subject, is_reply, id, references }));
        };
        match blocks.next(&mut each) {
            None => return (all, true),
            Some(Ok(())) => all.push(block),
            Some(Err(_)) => return (all, false),
        }
    }
}
