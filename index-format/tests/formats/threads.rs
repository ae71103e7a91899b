//! Threads: a forest that is kept says what RFC 5256 says of the messages that are there, and its file gives it back.

use std::collections::{BTreeMap, HashMap};

use index_format::threads::{Blocks, Fingerprint, Forest, Header, Message, NONE, write_block};
use index_format::{Error, Guid, Uid};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a message says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mail {
    pub(crate) id: Fingerprint,
    pub(crate) references: Vec<Fingerprint>,
    pub(crate) subject: Fingerprint,
    pub(crate) is_reply: bool,
    pub(crate) came: i64,
    pub(crate) sent: i64,
}

impl Mail {
    pub(crate) fn message(&self, uid: u32) -> Message<'_> {
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

/// What is above a message, the nearest first: a message by UID, or one that isn't there by its ID.
type Above = Vec<Result<u32, Fingerprint>>;

/// RFC 5256 §3, step 1 of THREAD=REFERENCES, word by word.
fn naively(mails: &BTreeMap<u32, Mail>) -> BTreeMap<u32, Above> {
    #[derive(Clone, Copy, Eq, Hash, PartialEq)]
    enum Node {
        Id(Fingerprint),
        Unique(u32),
    }
    let mut parents: HashMap<Node, Node> = HashMap::new();
    let mut with_id: HashMap<Fingerprint, u32> = HashMap::new();
    let mut nodes: BTreeMap<u32, Node> = BTreeMap::new();
    fn link(parents: &mut HashMap<Node, Node>, parent: Node, child: Node) {
        let mut above = Some(parent);
        while let Some(node) = above {
            if node == child {
                return; // a loop
            }
            above = parents.get(&node).copied();
        }
        parents.insert(child, parent);
    }
    for (&uid, mail) in mails {
        let mut last = None;
        for &reference in &mail.references {
            let node = Node::Id(reference);
            if let Some(last) = last
                && !parents.contains_key(&node)
            {
                link(&mut parents, last, node);
            }
            last = Some(node);
        }
        let is_first = mail.id != 0 && *with_id.entry(mail.id).or_insert(uid) == uid;
        let node = if is_first { Node::Id(mail.id) } else { Node::Unique(uid) };
        nodes.insert(uid, node);
        parents.remove(&node);
        if let Some(last) = last {
            link(&mut parents, last, node);
        }
    }
    let above = |node: Node| {
        let mut out = Vec::new();
        let mut at = parents.get(&node);
        while let Some(node) = at {
            out.push(match node {
                Node::Unique(uid) => Ok(*uid),
                Node::Id(id) => with_id.get(id).copied().ok_or(*id),
            });
            at = parents.get(node);
        }
        out
    };
    nodes.iter().map(|(uid, node)| (*uid, above(*node))).collect()
}

/// The same of a forest; IDs of messages that aren't there are told by those who refer to them.
fn kept(forest: &mut Forest, mails: &BTreeMap<u32, Mail>) -> BTreeMap<u32, Above> {
    forest.settle().unwrap();
    let linked = forest.linked();
    let mut ids: HashMap<u32, Fingerprint> = HashMap::new();
    for (uid, mail) in mails {
        let known = forest.known(Uid(*uid)).unwrap();
        ids.extend(known.references.iter().copied().zip(mail.references.iter().copied()));
    }
    let places: HashMap<u32, u32> =
        linked.nodes.iter().zip(&linked.uids).map(|(node, uid)| (*node, uid.0)).collect();
    assert_eq!(places.len(), linked.uids.len(), "each message is a node of its own");
    let above = |node: u32| {
        let mut out = Vec::new();
        let mut at = linked.parents[node as usize];
        while at != NONE {
            out.push(places.get(&at).copied().ok_or_else(|| ids[&at]));
            at = linked.parents[at as usize];
            assert!(out.len() <= linked.parents.len(), "a loop");
        }
        out
    };
    linked.nodes.iter().zip(&linked.uids).map(|(node, uid)| (uid.0, above(*node))).collect()
}

#[derive(Clone, Debug)]
enum Step {
    /// At the end of the mailbox; with `true` it is learnt of only later.
    Append(Mail, bool),
    /// The message at this place, of as many as there are.
    Expunge(u16),
    /// What was left out is learnt of now.
    Learn,
    /// Somebody looks.
    Look,
    /// It leaves memory, and is read again.
    Reload,
}

fn mail() -> impl Strategy<Value = Mail> {
    let id = || 1u128..=8;
    (prop::option::weighted(0.9, id()), vec(id(), 0..5), 0u128..4, any::<bool>(), 0i64..9, -3i64..9)
        .prop_map(|(id, references, subject, is_reply, came, sent)| Mail {
            id: id.unwrap_or(0),
            references,
            subject,
            is_reply,
            came,
            sent,
        })
}

/// Mail as it is: each a reply to an earlier one, with the references of that one, now and then shortened.
fn real() -> impl Strategy<Value = Vec<Mail>> {
    vec((any::<u16>(), 0u8..8, 0u8..12), 0..40).prop_map(|all| {
        let mut mails: Vec<Mail> = Vec::new();
        for (number, (to, how, again)) in (1u128..).zip(all) {
            let mut references = Vec::new();
            if how > 2 && !mails.is_empty() {
                let parent = &mails[usize::from(to) % mails.len()];
                references = parent.references.clone();
                references.push(parent.id);
            }
            match how {
                3 if references.len() > 2 => drop(references.drain(1..2)),
                4 if references.len() > 2 => drop(references.drain(..1)),
                _ => {}
            }
            let id = if again == 0 && number > 2 { number / 2 } else { number };
            mails.push(Mail { id, references, ..Mail::default() });
        }
        mails
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (mail(), prop::bool::weighted(0.1)).prop_map(|(mail, later)| Step::Append(mail, later)),
        5 => any::<u16>().prop_map(Step::Expunge),
        1 => Just(Step::Learn),
        2 => Just(Step::Look),
        1 => Just(Step::Reload),
    ]
}

pub(crate) fn header() -> Header {
    Header { owner: Guid([5; 16]), mailbox: Guid([6; 16]) }
}

pub(crate) fn file<'a>(mails: impl IntoIterator<Item = (u32, &'a Mail)>, each: usize) -> Vec<u8> {
    let mut out = Vec::new();
    header().write(&mut out);
    let all: Vec<Message<'_>> = mails.into_iter().map(|(uid, mail)| mail.message(uid)).collect();
    for block in all.chunks(each) {
        write_block(block.iter().copied(), &mut out).unwrap();
    }
    out
}

fn read(file: &[u8]) -> (BTreeMap<u32, Mail>, Option<Error>, u64) {
    let (mut blocks, mut all) = (Blocks::new(file), BTreeMap::new());
    loop {
        let mut block = Vec::new();
        let mut each = |message: &Message<'_>| {
            let &Message { uid, came, sent, subject, is_reply, id, references } = message;
            let references = references.to_vec();
            block.push((uid.0, Mail { id, references, subject, is_reply, came, sent }));
        };
        match blocks.next(&mut each) {
            None => return (all, None, blocks.at()),
            Some(Ok(())) => all.extend(block),
            Some(Err(error)) => return (all, Some(error), blocks.at()),
        }
    }
}

/// The forest of a file.
fn load(file: &[u8]) -> Forest {
    let (mut forest, mut blocks) = (Forest::default(), Blocks::new(file));
    while let Some(result) = blocks.next(&mut |message| {
        forest.insert(message).unwrap();
    }) {
        result.unwrap();
    }
    forest
}

fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut forest, mut mails, mut late) = (Forest::default(), BTreeMap::new(), Vec::new());
    for (uid, step) in (1..).zip(steps.into_iter().chain([Step::Learn, Step::Look])) {
        match step {
            Step::Append(mail, true) => late.push((uid, mail)),
            Step::Append(mail, false) => {
                prop_assert_eq!(forest.insert(&mail.message(uid)), Ok(true));
                prop_assert_eq!(forest.insert(&Mail::default().message(uid)), Ok(false));
                mails.insert(uid, mail);
            }
            Step::Expunge(at) if !mails.is_empty() => {
                let uid = *mails.keys().nth(usize::from(at) % mails.len()).unwrap();
                forest.remove(Uid(uid));
                mails.remove(&uid);
            }
            Step::Learn => {
                for (uid, mail) in late.drain(..) {
                    forest.insert(&mail.message(uid)).unwrap();
                    mails.insert(uid, mail);
                }
            }
            Step::Look => prop_assert_eq!(kept(&mut forest, &mails), naively(&mails)),
            Step::Reload => {
                let mut references = Vec::new();
                for (uid, mail) in &mails {
                    let found = forest.message(Uid(*uid), &mut references);
                    prop_assert_eq!(found, Some(mail.message(*uid)));
                }
                forest = load(&file(mails.iter().map(|(uid, mail)| (*uid, mail)), 3));
            }
            Step::Expunge(_) => {}
        }
        prop_assert!(forest.uids().iter().map(|uid| uid.0).eq(mails.keys().copied()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Loops, IDs of several messages, parents that are not there: there is little else with eight IDs.
    #[test]
    fn row_47_a_forest_that_is_kept_is_that_of_the_messages_that_are_there(
        steps in vec(step(), 0..40),
    ) {
        play(steps)?;
    }

    /// As mailboxes are: most messages leave without anything being linked anew.
    #[test]
    fn messages_of_real_threads_come_and_go_in_any_order(
        mails in real(),
        gone in vec(any::<u16>(), 0..60),
        looks in any::<bool>(),
    ) {
        let steps = mails.into_iter().map(|mail| Step::Append(mail, false));
        let gone = gone.into_iter().flat_map(|at| {
            [Some(Step::Expunge(at)), looks.then_some(Step::Look)].into_iter().flatten()
        });
        play(steps.chain(gone).collect())?;
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(mails in vec(mail(), 0..20), each in 1usize..7) {
        let mails: BTreeMap<u32, Mail> = (3u32..).step_by(2).zip(mails).collect();
        let file = file(mails.iter().map(|(uid, mail)| (*uid, mail)), each);
        prop_assert_eq!(Header::parse(&file), Ok(header()));
        prop_assert_eq!(read(&file), (mails, None, file.len() as u64));
    }

    /// Cut or changed anywhere, a file gives whole blocks as they were written, and says where they end.
    #[test]
    fn damage_costs_the_blocks_from_there_on(
        mails in vec(mail(), 1..12),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        cut in any::<bool>(),
    ) {
        let mails: BTreeMap<u32, Mail> = (1u32..).zip(mails).collect();
        let whole = file(mails.iter().map(|(uid, mail)| (*uid, mail)), 2);
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        if at < Header::LEN {
            prop_assert!(Header::parse(&bytes).is_err());
        } else {
            let (found, error, end) = read(&bytes);
            let end = usize::try_from(end).unwrap();
            prop_assert!(end <= at && end <= bytes.len());
            prop_assert_eq!(&bytes[..end], &whole[..end]);
            prop_assert_eq!(error.is_none(), end == bytes.len());
            prop_assert!(found.iter().eq(mails.iter().take(found.len())));
        }
    }
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let mut out = vec![7];
    let mails = [Mail::default(), Mail { references: vec![0], ..Mail::default() }];
    for uids in [[1, 1], [2, 1], [1, 2]] {
        let messages = uids.into_iter().zip(&mails).map(|(uid, mail)| mail.message(uid));
        assert!(write_block(messages, &mut out).is_err());
        assert_eq!(out, [7]);
    }
}

/// Row 47: a forest has a bound, and says that it is beyond.
#[test]
fn row_47_references_without_end_are_refused() {
    let mut forest = Forest::default();
    let refused = (1u32..).find(|uid| {
        let references = (0..1000).map(|n| u128::from(*uid) << 32 | n).collect();
        forest.insert(&Mail { references, ..Mail::default() }.message(*uid)).is_err()
    });
    assert!((60..80).contains(&refused.unwrap()), "{refused:?}");
    assert!(forest.settle().is_err());
}

/// A chain that has to be climbed for each message is not climbed for ever.
#[test]
fn row_47_a_long_way_up_is_refused() {
    let mut forest = Forest::default();
    let mail = |id: u128, references: Vec<u128>| Mail { id, references, ..Mail::default() };
    for n in 1..=70_000 {
        forest
            .insert(
                &mail(n, vec![n - 1].into_iter().filter(|n| *n > 0).collect()).message(n as u32),
            )
            .unwrap();
    }
    // A child of what isn't there yet, which then comes as a reply to the deepest.
    forest.insert(&mail(80_001, vec![80_000]).message(70_001)).unwrap();
    assert!(forest.insert(&mail(80_000, vec![70_000]).message(70_002)).is_err());
}

/// Removing does not wait for what is linked anew, and what leaves makes room.
#[test]
fn a_mailbox_that_changes_for_long_does_not_grow() {
    let mut forest = Forest::default();
    for uid in 1..200_000u32 {
        let id = u128::from(uid);
        let references = [id / 10 * 10, id - 1];
        forest
            .insert(&Mail { id, references: references.into(), ..Mail::default() }.message(uid))
            .unwrap();
        if uid > 100 {
            forest.remove(Uid(uid - 100));
        }
        if uid % 50 == 0 {
            forest.settle().unwrap();
        }
    }
    assert_eq!(forest.len(), 100);
    assert!(forest.held() < 200_000, "{} bytes", forest.held());
}
