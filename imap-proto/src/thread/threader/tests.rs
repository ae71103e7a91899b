//! The same as RFC 5256 says it, word by word, on a tree of lists; and mail that is meant to do harm.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::Written;
use super::*;
use crate::date::DateTime;
use crate::fetch::Keywords;
use crate::mime::{Limits, Mime, Parser};
use crate::sort::base_subject;
use crate::types::{Blob, ModSeq, SystemFlags};

/// A message as it is threaded.
#[derive(Clone, Debug, Default)]
struct Mail {
    id: Option<&'static str>,
    references: Option<Vec<&'static str>>,
    in_reply_to: Option<Vec<&'static str>>,
    subject: &'static str,
    /// Seconds within the hour; without one, when it came counts.
    sent: Option<u32>,
    came: u32,
}

struct Text {
    envelope: Vec<u8>,
    header: Vec<u8>,
}

impl MessageSource for Text {
    fn len(&self) -> u64 {
        0
    }
    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        Ok(&self.envelope)
    }
    fn body_structure(&mut self, _: bool) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }
    fn header(&mut self) -> Result<&[u8], SourceError> {
        Ok(&self.header)
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

fn text(header: &str) -> Text {
    let mut parser = Parser::new(Limits::default());
    parser.feed(header.as_bytes());
    let mut envelope = Vec::new();
    parser.finish().write_envelope(&mut envelope);
    Text { envelope, header: header.as_bytes().to_vec() }
}

impl Mail {
    fn text(&self) -> Text {
        let mut header = format!("Subject: {}\r\n", self.subject);
        let ids = |ids: &[&str]| {
            ids.iter().map(|id| format!("<{id}@x>")).collect::<Vec<_>>().join("\r\n ")
        };
        if let Some(sent) = self.sent {
            header += &format!("Date: 1 Jan 2001 01:{:02}:{:02} +0100\r\n", sent / 60, sent % 60);
        }
        if let Some(id) = self.id {
            header += &format!("Message-ID: <{id}@x>\r\n");
        }
        if let Some(references) = &self.references {
            header += &format!("References: {}\r\n", ids(references));
        }
        if let Some(in_reply_to) = &self.in_reply_to {
            header += &format!("In-Reply-To: yours {}\r\n", ids(in_reply_to));
        }
        text(&(header + "\r\n"))
    }

    fn came(&self) -> i64 {
        MIDNIGHT + i64::from(self.came)
    }
}

/// 1 January 2001
const MIDNIGHT: i64 = 978_307_200;

fn meta(uid: Uid, came: i64) -> Meta<'static> {
    Meta {
        uid,
        flags: SystemFlags::default(),
        recent: false,
        keywords: Keywords::NONE,
        internal_date: DateTime { seconds: came, zone: 0 },
        size: 1,
        modseq: ModSeq(1),
        save_date: None,
        email_id: 0,
        guid: 0,
    }
}

/// What the client is told, in bits of `room` bytes.
fn written(threads: Threads, room: usize) -> String {
    let (mut written, mut out) = (Written::new(std::sync::Arc::new(threads)), Vec::new());
    loop {
        let before = out.len();
        let more = written.write(&mut out, room, |uid| uid.0);
        // Row 47: however many lists end at once, they leave bit by bit.
        assert!(out.len() - before <= room + " (4294967295".len());
        if !more {
            break;
        }
    }
    String::from_utf8(out).unwrap()
}

/// Pausing at every `pause`th look at the time.
fn threaded(mails: &[Mail], algorithm: Algorithm, pause: u32) -> String {
    let uids = UidSet::range(Uid(1), Uid(mails.len() as u32));
    let mut threader = Threader::new(algorithm, &uids);
    let mut looks = 0;
    while !threader.is_done() {
        for uid in threader.wanted().take(3).collect::<Vec<_>>() {
            let mail = &mails[uid.0 as usize - 1];
            threader.give(&meta(uid, mail.came()), &mut mail.text()).unwrap();
        }
        threader.go_on(|| {
            looks += 1;
            looks % pause == 0
        });
    }
    written(threader.into_threads(), pause as usize)
}

fn threads(mails: &[Mail], algorithm: Algorithm) -> Threads {
    let uids = UidSet::range(Uid(1), Uid(mails.len() as u32));
    let mut threader = Threader::new(algorithm, &uids);
    for (uid, mail) in uids.iter().zip(mails) {
        threader.give(&meta(uid, mail.came()), &mut mail.text()).unwrap();
    }
    threader.go_on(|| false);
    threader.into_threads()
}

/// A message, or a dummy, and its children.
#[derive(Clone, Debug)]
struct Node {
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// RFC 5256, literally.
struct Oracle<'a> {
    mails: &'a [Mail],
    nodes: Vec<Node>,
    root: Vec<usize>,
}

impl Oracle<'_> {
    fn sent(&self, message: usize) -> i64 {
        let mail = &self.mails[message];
        mail.sent.map_or(mail.came(), |sent| MIDNIGHT + i64::from(sent))
    }

    fn base(&self, message: usize) -> (String, bool) {
        let mut out = Vec::new();
        let base = base_subject(self.mails[message].subject.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap().to_lowercase(), base.is_reply)
    }

    fn is_above(&self, above: usize, below: usize) -> bool {
        let mut at = Some(below);
        while let Some(node) = at {
            if node == above {
                return true;
            }
            at = self.nodes[node].parent;
        }
        false
    }

    fn link(&mut self, parent: usize, child: usize) {
        if !self.is_above(child, parent) {
            self.nodes[child].parent = Some(parent);
            self.nodes[parent].children.push(child);
        }
    }

    fn unlink(&mut self, child: usize) {
        if let Some(parent) = self.nodes[child].parent.take() {
            self.nodes[parent].children.retain(|other| *other != child);
        }
    }

    fn new_node(&mut self, message: Option<usize>) -> usize {
        self.nodes.push(Node { message, parent: None, children: Vec::new() });
        self.nodes.len() - 1
    }

    /// Steps 1 and 2
    fn links(&mut self) {
        let mut with_id: HashMap<String, usize> = HashMap::new();
        for (message, mail) in self.mails.iter().enumerate() {
            // An ID belongs to the first message that has it, wherever it is referred to before.
            let mut unique = format!("unique {message}");
            if let Some(id) = mail.id
                && !self.mails[..message].iter().any(|earlier| earlier.id == Some(id))
            {
                unique = id.to_owned();
            }
            let references = match (&mail.references, &mail.in_reply_to) {
                (Some(references), _) if !references.is_empty() => references.clone(),
                (_, Some(in_reply_to)) => in_reply_to.iter().take(1).copied().collect(),
                _ => Vec::new(),
            };
            let mut last = None;
            for reference in references {
                let node = match with_id.get(reference) {
                    Some(node) => *node,
                    None => {
                        let node = self.new_node(None);
                        with_id.insert(reference.to_owned(), node);
                        node
                    }
                };
                if let Some(last) = last
                    && self.nodes[node].parent.is_none()
                {
                    self.link(last, node);
                }
                last = Some(node);
            }
            let node = match with_id.get(&unique) {
                Some(node) => *node,
                None => {
                    let node = self.new_node(None);
                    with_id.insert(unique, node);
                    node
                }
            };
            self.nodes[node].message = Some(message);
            self.unlink(node);
            if let Some(last) = last {
                self.link(last, node);
            }
        }
        self.root =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].parent.is_none()).collect();
    }

    /// Step 3, from below
    fn pruned(&mut self, nodes: &[usize], at_root: bool) -> Vec<usize> {
        let mut out = Vec::new();
        for &node in nodes {
            let children = self.nodes[node].children.clone();
            let children = self.pruned(&children, false);
            self.nodes[node].children = children.clone();
            let is_dummy = self.nodes[node].message.is_none();
            if is_dummy && (children.is_empty() || !at_root || children.len() == 1) {
                out.extend(children);
            } else {
                out.push(node);
            }
        }
        out
    }

    fn sort_key(&self, node: usize) -> (i64, usize) {
        match self.nodes[node].message {
            Some(message) => (self.sent(message), message),
            None => {
                self.nodes[node].children.iter().map(|child| self.sort_key(*child)).min().unwrap()
            }
        }
    }

    fn sorted(&self, mut nodes: Vec<usize>) -> Vec<usize> {
        nodes.sort_by_key(|node| self.sort_key(*node));
        nodes
    }

    /// Step 4
    fn sort_root(&mut self) {
        for node in self.root.clone() {
            if self.nodes[node].message.is_none() {
                self.nodes[node].children = self.sorted(self.nodes[node].children.clone());
            }
        }
        self.root = self.sorted(self.root.clone());
    }

    fn subject(&self, node: usize) -> (String, bool) {
        let first = |node: usize| self.nodes[node].children[0];
        let message = self.nodes[node].message.or_else(|| self.nodes[first(node)].message);
        self.base(message.unwrap())
    }

    /// Step 5
    fn merge_subjects(&mut self) {
        let mut table: HashMap<String, usize> = HashMap::new();
        for &node in &self.root {
            let (subject, is_reply) = self.subject(node);
            if subject.is_empty() {
                continue;
            }
            let is_dummy = |node: usize| self.nodes[node].message.is_none();
            match table.get(&subject) {
                None => drop(table.insert(subject, node)),
                Some(&known) => {
                    if !is_dummy(known) && (is_dummy(node) || (self.subject(known).1 && !is_reply))
                    {
                        table.insert(subject, node);
                    }
                }
            }
        }
        for node in self.root.clone() {
            if !self.root.contains(&node) {
                continue;
            }
            let (subject, is_reply) = self.subject(node);
            if subject.is_empty() || table[&subject] == node {
                continue;
            }
            let known = table[&subject];
            let is_dummy = |node: usize| self.nodes[node].message.is_none();
            self.root.retain(|other| *other != node);
            if is_dummy(node) && is_dummy(known) {
                let children = self.nodes[node].children.clone();
                self.nodes[known].children.extend(children);
            } else if is_dummy(known) || (is_reply && !self.subject(known).1) {
                self.nodes[known].children.push(node);
            } else {
                let dummy = self.new_node(None);
                self.nodes[dummy].children = vec![node, known];
                let at = self.root.iter().position(|other| *other == known).unwrap();
                self.root[at] = dummy;
                table.insert(subject, dummy);
            }
        }
    }

    /// Step 6, and the answer
    fn write(&self, nodes: Vec<usize>, sort: bool, out: &mut String) {
        let nodes = if sort { self.sorted(nodes) } else { nodes };
        for node in nodes {
            out.push('(');
            let mut node = node;
            loop {
                let children = self.nodes[node].children.clone();
                let mut space = "";
                if let Some(message) = self.nodes[node].message {
                    *out += &(message + 1).to_string();
                    space = " ";
                }
                match children.as_slice() {
                    [] => break,
                    [only] => {
                        *out += space;
                        node = *only;
                    }
                    _ => {
                        *out += space;
                        self.write(children, true, out);
                        break;
                    }
                }
            }
            out.push(')');
        }
    }

    fn newest(&self, node: usize) -> (i64, usize) {
        let own = self.nodes[node].message.map(|message| (self.mails[message].came(), message));
        let below = self.nodes[node].children.iter().map(|child| self.newest(*child));
        below.chain(own).max().unwrap()
    }
}

fn naively(mails: &[Mail], algorithm: Algorithm) -> String {
    let mut oracle = Oracle { mails, nodes: Vec::new(), root: Vec::new() };
    let mut out = String::new();
    if algorithm == Algorithm::OrderedSubject {
        let mut messages: Vec<usize> = (0..mails.len()).collect();
        messages.sort_by_key(|message| (oracle.base(*message).0, oracle.sent(*message), *message));
        let mut threads: Vec<Vec<usize>> = messages
            .chunk_by(|left, right| oracle.base(*left).0 == oracle.base(*right).0)
            .map(<[usize]>::to_vec)
            .collect();
        threads.sort_by_key(|thread| (oracle.sent(thread[0]), thread[0]));
        for thread in threads {
            let numbers: Vec<String> =
                thread.iter().map(|message| (message + 1).to_string()).collect();
            out += &match numbers.as_slice() {
                [first, second] => format!("({first} {second})"),
                [first, rest @ ..] if !rest.is_empty() => {
                    format!("({first} ({}))", rest.join(")("))
                }
                _ => format!("({})", numbers[0]),
            };
        }
        return out;
    }
    oracle.links();
    let root = oracle.root.clone();
    oracle.root = oracle.pruned(&root, true);
    if algorithm == Algorithm::Refs {
        let mut root = oracle.root.clone();
        root.sort_by_key(|node| oracle.newest(*node));
        oracle.write(root, false, &mut out);
    } else {
        oracle.sort_root();
        oracle.merge_subjects();
        oracle.write(oracle.root.clone(), true, &mut out);
    }
    out
}

fn mail() -> impl Strategy<Value = Mail> {
    let id = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h"]);
    let subject = prop::sample::select(vec![
        "", "Re:", "x", "Re: x", "X (fwd)", "[l] x", "y", "re: Y", "[fwd: y]", "z",
    ]);
    (
        prop::option::weighted(0.9, id.clone()),
        prop::option::weighted(0.7, prop::collection::vec(id.clone(), 0..4)),
        prop::option::weighted(0.3, prop::collection::vec(id, 0..3)),
        subject,
        prop::option::weighted(0.8, 0u32..4),
        0u32..4,
    )
        .prop_map(|(id, references, in_reply_to, subject, sent, came)| Mail {
            id,
            references,
            in_reply_to,
            subject,
            sent,
            came,
        })
}

/// The same by numbers, and by links that were made before: those of a store that keeps threads.
fn threaded_by_numbers(mails: &[Mail], algorithm: Algorithm) -> [String; 2] {
    let mut texts: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut number = |text: &[u8]| {
        let next = texts.len() as u64 + 1;
        *texts.entry(text.to_vec()).or_insert(next)
    };
    let uids = UidSet::range(Uid(1), Uid(mails.len() as u32));
    let mut threader = Threader::new(algorithm, &uids);
    let (mut linked, mut graph) = (Linked::default(), Graph::new(mails.len()));
    for (uid, mail) in uids.iter().zip(mails) {
        let said = Said::read(mail.came(), &mut mail.text(), |text| text.to_vec()).unwrap();
        let references: Vec<u64> = said.references.iter().map(|id| number(id)).collect();
        let known = Known {
            came: mail.came(),
            sent: said.sent,
            subject: said.subject.map(|subject| number(&subject)),
            is_reply: said.is_reply,
            id: said.id.map(|id| number(&id)),
            references: &references,
        };
        assert_eq!(threader.wanted().next(), Some(uid));
        threader.give_known(&known);
        graph.add(known.id, known.references);
        linked.uids.push(uid);
        linked.came.push(known.came);
        linked.sent.push(known.sent);
        linked.subjects.push(known.subject.unwrap_or_default());
        linked.replies.push(known.is_reply);
    }
    let Links { parents, nodes, .. } = graph.into_links();
    let linked = Threader::linked(algorithm, Linked { parents, nodes, ..linked });
    assert!(linked.wanted().next().is_none());
    [threader, linked].map(|mut threader| {
        assert!(threader.go_on(|| false));
        written(threader.into_threads(), 64)
    })
}

proptest! {
    /// A thread is what stands in a pair of parentheses; all of it is around any part of it.
    #[test]
    fn what_is_around_messages_are_their_threads(
        mails in prop::collection::vec(mail(), 0..14),
        some in prop::collection::vec(1u32..15, 0..5),
    ) {
        let some: UidSet = some.into_iter().map(Uid).collect();
        for (algorithm, _) in Algorithm::NAMES {
            let threads = threads(&mails, algorithm);
            let around = threads.around(&some);
            let (mut wanted, mut depth, mut thread) = (Vec::new(), 0, String::new());
            for c in written(threads, 64).chars() {
                depth += match c { '(' => 1, ')' => -1, _ => 0 };
                thread.push(if c.is_ascii_digit() { c } else { ' ' });
                if depth == 0 {
                    let uids: Vec<Uid> =
                        thread.split_whitespace().map(|uid| Uid(uid.parse().unwrap())).collect();
                    if uids.iter().any(|uid| some.contains(*uid)) {
                        wanted.extend(uids);
                    }
                    thread.clear();
                }
            }
            prop_assert_eq!(around, wanted.into_iter().collect(), "{:?}", algorithm);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// Loops, missing parents, IDs that are used again, odd subjects: there is little else with eight IDs.
    #[test]
    fn row_47_threads_are_those_of_the_rfc(
        mails in prop::collection::vec(mail(), 0..14),
        pause in 1u32..4,
    ) {
        for (algorithm, _) in Algorithm::NAMES {
            let naively = naively(&mails, algorithm);
            prop_assert_eq!(&threaded(&mails, algorithm, pause), &naively, "{:?}", algorithm);
            for by_numbers in threaded_by_numbers(&mails, algorithm) {
                prop_assert_eq!(&by_numbers, &naively, "{:?}", algorithm);
            }
        }
    }
}

/// Threads of as many messages as `of` makes headers for; the most that was held for each of them.
fn many(count: u32, algorithm: Algorithm, of: impl Fn(u32) -> String) -> (String, usize) {
    let uids = UidSet::range(Uid(1), Uid(count));
    let mut threader = Threader::new(algorithm, &uids);
    for uid in uids.iter() {
        threader.give(&meta(uid, i64::from(uid.0)), &mut text(&(of(uid.0) + "\r\n\r\n"))).unwrap();
    }
    let mut held = threader.held();
    while !threader.go_on(|| true) {
        held = held.max(threader.held());
    }
    (written(threader.into_threads(), 64 << 10), held / count as usize)
}

const LONG: u32 = 100_000;

#[test]
fn row_47_a_long_chain_is_one_line() {
    for (algorithm, reversed) in
        [(Algorithm::References, false), (Algorithm::Refs, false), (Algorithm::References, true)]
    {
        let (line, _) = many(LONG, algorithm, |n| {
            let n = if reversed { LONG + 1 - n } else { n };
            format!("Message-ID: <{n}@x>\r\nReferences: <{}@x>", n - 1)
        });
        let mut wanted: Vec<String> = (1..=LONG).map(|n| n.to_string()).collect();
        if reversed {
            wanted.reverse();
        }
        assert!(line == format!("({})", wanted.join(" ")), "{algorithm:?}");
    }
}

/// Each message of a chain has another child: the answer nests as deep as there are messages.
#[test]
fn row_47_a_deep_answer_does_not_recurse() {
    let (line, _) = many(LONG, Algorithm::References, |n| {
        // 2 and 3 below 1, 4 and 5 below 3, and so on.
        let parent = (n - n % 2).saturating_sub(1);
        format!("Message-ID: <{n}@x>\r\nReferences: <{parent}@x>")
    });
    assert!(line.starts_with("(1 (2)(3 (4)(5 (6)(7 "), "{}", &line[..30]);
    let depth = line.bytes().rev().take_while(|byte| *byte == b')').count();
    assert!(depth > LONG as usize / 3, "{depth}");
    let count = |wanted: u8| line.bytes().filter(|byte| *byte == wanted).count();
    assert_eq!(count(b'('), count(b')'));
}

/// References in a ring, and each message the parent of all before it.
#[test]
fn row_47_loops_end() {
    let ring = |n: u32| format!("Message-ID: <{n}@x>\r\nReferences: <{}@x>", n % LONG + 1);
    let (line, _) = many(LONG, Algorithm::References, ring);
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).count();
    assert_eq!(numbers, LONG as usize);
    // 1 is below 2 and so on; only the last link would make a loop.
    assert!(line.starts_with(&format!("({LONG} {} ", LONG - 1)), "{}", &line[..30]);
    assert!(!line[1..line.len() - 1].contains(['(', ')']));
}

/// Whether a message is above another is asked where both are deep: that it is quick, the time this test takes shows.
#[test]
fn row_47_no_question_costs_the_length_of_a_chain() {
    let third = LONG / 3;
    let (line, _) = many(LONG, Algorithm::Refs, |n| match n {
        n if n <= third => format!("Message-ID: <{n}@x>\r\nReferences: <{}@x>", n - 1),
        n if n <= 2 * third => format!("Message-ID: <c{n}@x>\r\nReferences: <p{}@x>", n - third),
        n => format!("Message-ID: <p{}@x>\r\nReferences: <{third}@x>", n - 2 * third),
    });
    assert!(line.len() > LONG as usize);
}

#[test]
fn row_47_what_is_held_does_not_grow_with_references() {
    let real = |n: u32| {
        let parent = n - n % 7;
        format!(
            "Message-ID: <{n}@x>\r\nSubject: Re: s{parent}\r\nReferences: <{parent}@x> <m{}@x>",
            n / 3
        )
    };
    let hostile = |n: u32| {
        let missing: String = (0..10).map(|m| format!("<{n}.{m}@x> ")).collect();
        format!("Message-ID: <{n}@x>\r\nSubject: s{n}\r\nReferences: {missing}")
    };
    for (algorithm, _) in Algorithm::NAMES {
        let (_, held) = many(LONG, algorithm, real);
        assert!(held <= 100, "{held} bytes for each message, {algorithm:?}");
        let (_, held) = many(LONG, algorithm, hostile);
        assert!(held <= 110, "{held} bytes for each message of hostile mail, {algorithm:?}");
    }
}

/// The examples of RFC 5256 §4.
#[test]
fn rfc5256_4_examples() {
    let of = |headers: &[(u32, &str)]| {
        let uids: UidSet = headers.iter().map(|(uid, _)| Uid(*uid)).collect();
        let mut threader = Threader::new(Algorithm::References, &uids);
        for uid in uids.iter() {
            let header = headers.iter().find(|(of, _)| *of == uid.0).unwrap().1;
            let (id, reference) = header.split_once(' ').unwrap_or((header, ""));
            let header = format!("Message-ID: <{id}@x>\r\nReferences: <{reference}@x>\r\n\r\n");
            threader.give(&meta(uid, i64::from(uid.0)), &mut text(&header)).unwrap();
        }
        while !threader.is_done() {
            threader.go_on(|| false);
        }
        written(threader.into_threads(), 1)
    };
    let nested = [
        (2, "2"),
        (3, "3"),
        (4, "4 6"),
        (6, "6 3"),
        (7, "7 44"),
        (23, "23 4"),
        (44, "44 6"),
        (96, "96 7"),
    ];
    assert_eq!(of(&nested), "(2)(3 6 (4 23)(44 7 96))");
    assert_eq!(of(&[(3, "3 0"), (5, "5 0")]), "((3)(5))");
}
