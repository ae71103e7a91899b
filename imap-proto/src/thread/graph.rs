//! Who replies to whom (RFC 5256 §3, step 1 of THREAD=REFERENCES).

use super::forest::Forest;
use super::names::{Fingerprint, Names, make_room};

/// No node, no message.
pub(super) const NONE: u32 = u32::MAX;

/// IDs that no message has yet are remembered up to this many, or one for each message; others are as if they were not
/// there. More than real mail has, and a bound on what a hostile sender can have us hold.
const MISSING: usize = 1 << 16;

/// Message IDs and the messages that have them, each below the one that it is a reply to.
#[derive(Debug)]
pub(super) struct Graph {
    names: Names,
    /// By node.
    forest: Forest,
    parents: Vec<u32>,
    places: Vec<u32>,
    /// Whether it ever had a child: one that had none can't be above anything.
    had_child: Vec<bool>,
    /// By message: its node.
    nodes: Vec<u32>,
    missing: usize,
    most_missing: usize,
}

/// What is left of a graph when all links are made.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// The node above each node.
    pub(super) parents: Vec<u32>,
    /// The message of each node.
    pub(super) places: Vec<u32>,
    /// The node of each message.
    pub(super) nodes: Vec<u32>,
}

impl Graph {
    /// For this many messages.
    pub(super) fn new(count: usize) -> Self {
        Self {
            names: Names::with_capacity(count),
            forest: Forest::with_capacity(count),
            parents: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            had_child: Vec::with_capacity(count),
            nodes: Vec::with_capacity(count),
            missing: 0,
            most_missing: MISSING.max(count),
        }
    }

    /// Adds the next message of the mailbox: its ID, if it has one, and those of its ancestors, the eldest first.
    pub(super) fn add(&mut self, id: Option<Fingerprint>, references: &[Fingerprint]) {
        // 1.A
        let mut last = NONE;
        for &reference in references {
            let Some(node) = self.referred(reference) else { continue };
            // A message keeps the parent that it has: References may have been shortened.
            if last != NONE && self.parent(node) == NONE {
                self.link(node, last);
            }
            last = node;
        }
        // 1.B
        let node = self.message(id);
        if self.parent(node) != NONE {
            self.unlink(node);
        }
        if last != NONE {
            self.link(node, last);
        }
    }

    pub(super) fn into_links(self) -> Links {
        let Self { parents, places, nodes, .. } = self;
        Links { parents, places, nodes }
    }

    pub(super) fn held(&self) -> usize {
        let nodes = self.parents.capacity() + self.places.capacity() + self.nodes.capacity();
        self.names.held()
            + self.forest.held()
            + nodes * size_of::<u32>()
            + self.had_child.capacity()
    }

    /// The node of the next message.
    fn message(&mut self, id: Option<Fingerprint>) -> u32 {
        let place = self.nodes.len() as u32;
        let known = id.and_then(|id| self.names.get(id));
        let node = match (id, known) {
            (_, Some(node)) if self.place(node) == NONE => {
                self.missing -= 1;
                node
            }
            (Some(id), None) => self.named(id),
            // Without an ID, or with one that an earlier message has: one of its own.
            (_, Some(_)) | (None, None) => {
                let node = self.names.skip(0);
                self.grow();
                node
            }
        };
        if let Some(of) = self.places.get_mut(node as usize) {
            *of = place;
        }
        self.nodes.push(node);
        node
    }

    /// The node of an ID that is referred to.
    fn referred(&mut self, id: Fingerprint) -> Option<u32> {
        let known = self.names.get(id);
        if known.is_none() && self.missing < self.most_missing {
            self.missing += 1;
            return Some(self.named(id));
        }
        known
    }

    /// A new node of this name.
    fn named(&mut self, id: Fingerprint) -> u32 {
        let (node, _) = self.names.add(id);
        self.grow();
        node
    }

    fn grow(&mut self) {
        self.forest.add();
        make_room(&mut self.parents);
        make_room(&mut self.places);
        make_room(&mut self.had_child);
        self.parents.push(NONE);
        self.places.push(NONE);
        self.had_child.push(false);
    }

    /// Links two nodes, of which the child has no parent, unless that would make a loop.
    fn link(&mut self, child: u32, parent: u32) {
        let may_be_above = self.had_child.get(child as usize).copied().unwrap_or_default();
        if child == parent || may_be_above && self.forest.root(parent) == child {
            return;
        }
        self.forest.link(child, parent);
        self.set_parent(child, parent);
        if let Some(had_child) = self.had_child.get_mut(parent as usize) {
            *had_child = true;
        }
    }

    fn unlink(&mut self, child: u32) {
        self.forest.cut(child);
        self.set_parent(child, NONE);
    }

    fn parent(&self, node: u32) -> u32 {
        self.parents.get(node as usize).copied().unwrap_or(NONE)
    }

    fn set_parent(&mut self, node: u32, parent: u32) {
        if let Some(of) = self.parents.get_mut(node as usize) {
            *of = parent;
        }
    }

    fn place(&self, node: u32) -> u32 {
        self.places.get(node as usize).copied().unwrap_or(NONE)
    }
}
