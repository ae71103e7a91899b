//! The links between messages, kept as messages come and go.
//!
//! RFC 5256 makes them by going through all messages in the order of the mailbox, and what one message says can decide
//! what another's words come to: of two that name different parents for a third the first one counts, and a link that
//! would make a loop is left out. So the links are a function of the messages that are there, in their order.
//!
//! Words: a *node* is a Message-ID, or a message without one of its own. A message *claims* for each node that it refers
//! to that the one before it is its parent, and for its own node that the last is, or that it has none.
//! Messages that share no node, and are not joined by others, have nothing to do with each other: a *component*.
//!
//! - **A message that comes** is the last, so its claims are made as the RFC says: O(its references), and the way up to
//!   the top for a node that had children before its own message came.
//! - **A message that goes** takes its claims away. Where all claims for a node agree, their order is nothing to it: it
//!   keeps its parent as long as there is a claim, and nobody else's link was refused for it. A claim for a node whose own
//!   message came before, and has a parent, never counted. In both cases what is left is what the others make alone, as
//!   long as no link was ever refused for a loop: without some links there are no loops either. O(its references).
//! - **Anything else** (claims that disagree, loops, an ID that several messages have, a message learnt of late) marks its
//!   nodes. [`Forest::settle`] then makes the links of their components anew, in the order of the mailbox, before
//!   anybody looks.

use super::names::Names;
use super::{Fingerprint, Message};
use crate::{Uid, UidSet};

/// No node.
pub const NONE: u32 = u32::MAX;
/// The source of a claim that a node has no parent.
const TOP: u32 = u32::MAX - 1;
/// Steps up that one message may cause: far more than real mail needs, and a millisecond at most.
const STEPS: u32 = 1 << 16;
/// References that a mailbox may have however few its messages are, and more for each of these.
const REFERENCES: usize = 1 << 16;
const REFERENCES_EACH: usize = 32;

/// The links of a mailbox's messages.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    /// By UID; those that went stay for a while.
    rows: Vec<Row>,
    gone: usize,
    references: Vec<u32>,
    /// The names of nodes.
    names: Names,
    nodes: Vec<Node>,
    subjects: Names,
    /// Links that were refused for a loop since all were made anew.
    loops: usize,
    /// Nodes whose components are to be linked anew.
    marked: Vec<u32>,
    overgrown: bool,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    uid: Uid,
    /// Number and 1, 0 for an empty one.
    subject: u32,
    /// The node of its ID.
    id: u32,
    /// A node of its own, where it has no ID, or another message has had that before.
    own: u32,
    first: u32,
    count: u32,
    is_reply: bool,
    is_gone: bool,
    came: i64,
    sent: i64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    /// The message that it is; UID 0 for none.
    owner: Uid,
    /// How many claims there are, and what the first of them says.
    claims: u32,
    source: u32,
    /// The claims have not all said the same.
    mixed: bool,
    /// Its own message says what its parent is.
    settled: bool,
    /// Several messages have this ID.
    shared: bool,
    /// It ever had a child: one that had none can't be above anything.
    had_child: bool,
}

const NODE: Node = Node {
    parent: NONE,
    owner: Uid(0),
    claims: 0,
    source: NONE,
    mixed: false,
    settled: false,
    shared: false,
    had_child: false,
};

/// What a forest does not grow beyond: references without end, or chains that would have to be climbed again and again.
/// It is of no use any more; the messages are to be threaded without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the messages of this mailbox refer to more others than a thread forest is kept of")]
pub struct Overgrown;

/// A message by numbers: equal ones stand for equal texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known<'a> {
    /// Its internal date.
    pub came: i64,
    /// When it was sent.
    pub sent: i64,
    /// Its base subject; 0 for an empty one.
    pub subject: u32,
    /// Whether that says reply or forward.
    pub is_reply: bool,
    /// Its ID, if it has one.
    pub id: Option<u32>,
    /// Those of its ancestors.
    pub references: &'a [u32],
}

/// All messages with their links, in the order of the mailbox.
#[derive(Clone, Debug, Default)]
pub struct Linked {
    /// Which messages.
    pub uids: Vec<Uid>,
    /// Their internal dates.
    pub came: Vec<i64>,
    /// When they were sent.
    pub sent: Vec<i64>,
    /// Their base subjects by number; 0 for an empty one.
    pub subjects: Vec<u32>,
    /// Whether these say reply or forward.
    pub replies: Vec<bool>,
    /// The node of each.
    pub nodes: Vec<u32>,
    /// The node above each node, or [`NONE`]. A node that is not in `nodes` is a message that isn't there.
    pub parents: Vec<u32>,
}

impl Forest {
    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.rows.len() - self.gone
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its messages.
    pub fn uids(&self) -> UidSet {
        self.live().map(|row| row.uid).collect()
    }

    /// Whether it has this message.
    pub fn contains(&self, uid: Uid) -> bool {
        self.find(uid).is_some()
    }

    /// Adds a message; `false` when it was there already.
    ///
    /// # Errors
    /// The forest is of no use any more.
    pub fn insert(&mut self, message: &Message<'_>) -> Result<bool, Overgrown> {
        let is_last = self.rows.last().is_none_or(|last| last.uid < message.uid);
        if !is_last && self.contains(message.uid) {
            return Ok(false);
        }
        if self.references.len() + message.references.len()
            > REFERENCES + REFERENCES_EACH * self.rows.len()
        {
            self.overgrown = true;
        }
        self.check()?;
        let first = self.references.len() as u32;
        for &reference in message.references {
            let node = self.node(reference);
            self.references.push(node);
        }
        let mut row = Row {
            uid: message.uid,
            subject: self.subject(message.subject),
            id: if message.id == 0 { NONE } else { self.node(message.id) },
            own: NONE,
            first,
            count: message.references.len() as u32,
            is_reply: message.is_reply,
            is_gone: false,
            came: message.came,
            sent: message.sent,
        };
        if row.id == NONE {
            row.own = self.new_node();
        }
        if is_last {
            self.rows.push(row);
            self.link_row(self.rows.len() - 1);
        } else {
            // It is learnt of late: what came behind it was linked without it.
            let at = self.rows.partition_point(|known| known.uid < row.uid);
            self.rows.insert(at, row);
            self.mark(&row);
        }
        self.check()?;
        Ok(true)
    }

    /// Removes a message, if it is there.
    pub fn remove(&mut self, uid: Uid) {
        let Some(at) = self.find(uid) else { return };
        let Some(row) = self.rows.get_mut(at) else { return };
        row.is_gone = true;
        let row = *row;
        self.gone += 1;
        if self.marked.is_empty() && self.loops == 0 && self.is_apart(&row) {
            self.withdraw(&row);
        } else {
            self.mark(&row);
        }
    }

    /// Makes the links anew that a change has touched; to be called before anybody looks at them.
    ///
    /// # Errors
    /// The forest is of no use any more.
    pub fn settle(&mut self) -> Result<(), Overgrown> {
        if self.gone > self.rows.len() / 2 + 64 || (self.loops > 0 && !self.marked.is_empty()) {
            self.renew();
        } else if !self.marked.is_empty() {
            self.link_marked();
        }
        self.check()
    }

    /// All messages with their links; [settled](Self::settle) before.
    pub fn linked(&self) -> Linked {
        let count = self.len();
        let mut all = Linked {
            uids: Vec::with_capacity(count),
            came: Vec::with_capacity(count),
            sent: Vec::with_capacity(count),
            subjects: Vec::with_capacity(count),
            replies: Vec::with_capacity(count),
            nodes: Vec::with_capacity(count),
            parents: self.nodes.iter().map(|node| node.parent).collect(),
        };
        for row in self.live() {
            all.uids.push(row.uid);
            all.came.push(row.came);
            all.sent.push(row.sent);
            all.subjects.push(row.subject);
            all.replies.push(row.is_reply);
            all.nodes.push(self.node_of(row));
        }
        all
    }

    /// A message by numbers.
    pub fn known(&self, uid: Uid) -> Option<Known<'_>> {
        let row = self.rows.get(self.find(uid)?)?;
        Some(Known {
            came: row.came,
            sent: row.sent,
            subject: row.subject,
            is_reply: row.is_reply,
            id: (row.id != NONE).then_some(row.id),
            references: self.references_of(row),
        })
    }

    /// A message as it was added; `references` is made room for its references.
    pub fn message<'a>(
        &self,
        uid: Uid,
        references: &'a mut Vec<Fingerprint>,
    ) -> Option<Message<'a>> {
        let row = self.rows.get(self.find(uid)?)?;
        references.clear();
        references.extend(self.references_of(row).iter().map(|node| self.names.name(*node)));
        Some(Message {
            uid,
            came: row.came,
            sent: row.sent,
            subject: row.subject.checked_sub(1).map_or(0, |number| self.subjects.name(number)),
            is_reply: row.is_reply,
            id: if row.id == NONE { 0 } else { self.names.name(row.id) },
            references,
        })
    }

    /// Bytes of memory, about.
    pub fn held(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.references.capacity() * size_of::<u32>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.names.held()
            + self.subjects.held()
    }

    fn check(&self) -> Result<(), Overgrown> {
        if self.overgrown { Err(Overgrown) } else { Ok(()) }
    }

    fn live(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.is_gone)
    }

    fn find(&self, uid: Uid) -> Option<usize> {
        // Those that went may stand beside one that came back.
        let at = self.rows.partition_point(|row| row.uid < uid);
        let same = self.rows.iter().enumerate().skip(at).take_while(|(_, row)| row.uid == uid);
        same.filter(|(_, row)| !row.is_gone).map(|(at, _)| at).next()
    }

    fn references_of(&self, row: &Row) -> &[u32] {
        let first = row.first as usize;
        self.references.get(first..first + row.count as usize).unwrap_or_default()
    }

    /// The node that a message is.
    fn node_of(&self, row: &Row) -> u32 {
        let is_owner = self.nodes.get(row.id as usize).is_some_and(|node| node.owner == row.uid);
        if is_owner { row.id } else { row.own }
    }

    fn node(&mut self, name: Fingerprint) -> u32 {
        let (node, is_new) = self.names.add(name);
        if is_new {
            self.nodes.push(NODE);
        }
        node
    }

    /// A node without a name.
    fn new_node(&mut self) -> u32 {
        self.nodes.push(NODE);
        self.names.skip(0)
    }

    fn subject(&mut self, subject: Fingerprint) -> u32 {
        if subject == 0 { 0 } else { self.subjects.add(subject).0 + 1 }
    }

    fn at(&mut self, node: u32) -> Option<&mut Node> {
        self.nodes.get_mut(node as usize)
    }

    fn parent(&self, node: u32) -> u32 {
        self.nodes.get(node as usize).map_or(NONE, |node| node.parent)
    }

    /// The message at `at` as the next of the mailbox (RFC 5256 §3, step 1).
    fn link_row(&mut self, at: usize) {
        let Some(&row) = self.rows.get(at) else { return };
        let mut steps = STEPS;
        // 1.A
        let mut last = NONE;
        for index in row.first..row.first + row.count {
            let Some(&node) = self.references.get(index as usize) else { break };
            if last != NONE && last != node {
                self.claim(node, last);
                // A message keeps the parent that it has: References may have been shortened.
                if self.parent(node) == NONE {
                    self.link(node, last, &mut steps);
                }
            }
            last = node;
        }
        // 1.B
        let node = self.own_node(at, &row);
        let source = if last == node { NONE } else { last };
        self.claim(node, if source == NONE { TOP } else { source });
        if let Some(of) = self.at(node) {
            of.parent = NONE;
            of.settled = source != NONE;
        }
        if source != NONE {
            self.link(node, source, &mut steps);
        }
    }

    /// The node of the message that comes next: that of its ID unless another message has it.
    fn own_node(&mut self, at: usize, row: &Row) -> u32 {
        match self.at(row.id) {
            Some(node) if node.owner == Uid(0) => {
                node.owner = row.uid;
                return row.id;
            }
            Some(node) => node.shared = true,
            None => {}
        }
        let own = if row.own == NONE { self.new_node() } else { row.own };
        if let Some(row) = self.rows.get_mut(at) {
            row.own = own;
        }
        if let Some(node) = self.at(own) {
            node.owner = row.uid;
        }
        own
    }

    fn claim(&mut self, node: u32, source: u32) {
        let Some(node) = self.at(node) else { return };
        if node.claims == 0 {
            node.source = source;
        }
        node.mixed |= node.source != source;
        node.claims += 1;
    }

    /// Links two nodes, of which the child has no parent, unless that would make a loop.
    fn link(&mut self, child: u32, parent: u32, steps: &mut u32) {
        if self.nodes.get(child as usize).is_some_and(|node| node.had_child) {
            let mut above = parent;
            while above != NONE {
                if above == child {
                    self.loops += 1;
                    return;
                }
                let Some(left) = steps.checked_sub(1) else {
                    self.overgrown = true;
                    return;
                };
                *steps = left;
                above = self.parent(above);
            }
        }
        if let Some(node) = self.at(child) {
            node.parent = parent;
        }
        if let Some(node) = self.at(parent) {
            node.had_child = true;
        }
    }

    /// The nodes a message makes claims for, each with what it says of it.
    fn claims_of(&self, row: &Row) -> impl Iterator<Item = (u32, u32)> {
        let references = self.references_of(row);
        let node = self.node_of(row);
        let last = references.last().copied().filter(|last| *last != node).unwrap_or(TOP);
        let pairs = references.iter().zip(references.iter().skip(1));
        let pairs = pairs.filter(|(above, below)| above != below);
        pairs.map(|(above, below)| (*below, *above)).chain([(node, last)])
    }

    /// Whether what the others say comes to the same without this message, but for links that nobody else claims.
    fn is_apart(&self, row: &Row) -> bool {
        let shared = |node: u32| self.nodes.get(node as usize).is_some_and(|node| node.shared);
        if self.node_of(row) == row.id && shared(row.id) {
            // Another message gets its ID.
            return false;
        }
        self.claims_of(row).all(|(node, _)| {
            self.nodes.get(node as usize).is_some_and(|node| {
                !node.mixed || node.settled && node.owner != Uid(0) && node.owner < row.uid
            })
        })
    }

    fn withdraw(&mut self, row: &Row) {
        let claims: Vec<(u32, u32)> = self.claims_of(row).collect();
        let own = self.node_of(row);
        for (node, _) in claims {
            let Some(node) = self.at(node) else { continue };
            node.claims = node.claims.saturating_sub(1);
            if node.claims == 0 {
                (node.parent, node.source, node.mixed) = (NONE, NONE, false);
            }
        }
        if let Some(node) = self.at(own) {
            node.owner = Uid(0);
            node.settled = false;
        }
    }

    fn mark(&mut self, row: &Row) {
        let nodes = [row.id, row.own].into_iter().filter(|node| *node != NONE);
        self.marked.extend(nodes);
        let first = row.first as usize;
        let references = self.references.get(first..first + row.count as usize);
        self.marked.extend(references.unwrap_or_default());
    }

    /// Makes the links of the components anew that have a marked node.
    fn link_marked(&mut self) {
        let mut components = Components::new(self.nodes.len());
        for row in self.live() {
            let mut before = NONE;
            let own = [row.id, row.own].into_iter().filter(|node| *node != NONE);
            for node in own.chain(self.references_of(row).iter().copied()) {
                if before != NONE {
                    components.join(before, node);
                }
                before = node;
            }
        }
        let mut touched = vec![false; self.nodes.len()];
        for node in std::mem::take(&mut self.marked) {
            let root = components.root(node);
            if let Some(touched) = touched.get_mut(root as usize) {
                *touched = true;
            }
        }
        let mut is_touched = |node: u32| {
            let root = components.root(node);
            touched.get(root as usize).copied().unwrap_or_default()
        };
        for (number, node) in (0..).zip(&mut self.nodes) {
            if is_touched(number) {
                *node = NODE;
            }
        }
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at).filter(|row| !row.is_gone) else { continue };
            if is_touched(if row.id == NONE { row.own } else { row.id }) {
                self.link_row(at);
            }
        }
    }

    /// Makes all anew, without what went.
    fn renew(&mut self) {
        let before = std::mem::take(self);
        self.rows.reserve_exact(before.len());
        self.names = Names::with_capacity(before.len());
        let mut references = Vec::new();
        for row in before.live() {
            // Nothing is more than it was.
            if let Some(message) = before.message(row.uid, &mut references)
                && self.insert(&message).is_err()
            {
                return;
            }
        }
    }
}

/// Which nodes belong together (union by halving paths).
struct Components(Vec<u32>);

impl Components {
    fn new(count: usize) -> Self {
        Self((0..count as u32).collect())
    }

    fn root(&mut self, mut node: u32) -> u32 {
        loop {
            let above = self.above(node);
            if above == node {
                return node;
            }
            let next = self.above(above);
            if let Some(of) = self.0.get_mut(node as usize) {
                *of = next;
            }
            node = next;
        }
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(of) = self.0.get_mut(one as usize) {
            *of = other;
        }
    }

    fn above(&self, node: u32) -> u32 {
        self.0.get(node as usize).copied().unwrap_or(node)
    }
}
