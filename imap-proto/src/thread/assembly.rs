//! From links to threads (RFC 5256 §3, steps 2 to 6 of THREAD=REFERENCES; ORDEREDSUBJECT; REFS).
//!
//! One pass after the other over all messages, each of which can pause between any two. A message is its place in the
//! mailbox; a *group*, whose number is above all places, is a parent that isn't there and holds threads together. After
//! step 3 there is none but at the top.

use super::graph::{Links, NONE};
use super::names::{Fingerprint, Names};
use super::threader::{Facts, NO_SUBJECT};
use super::{Algorithm, Member, Place, Threads};
use crate::sort::Merge;
use crate::types::Uid;

/// Steps of a pass between two looks at the time.
const LOOK: u32 = 1024;
/// Set in a node's place once it is known as a group: the rest is the group's index.
const IS_GROUP: u32 = 1 << 31;

/// Threads in the making.
#[derive(Debug)]
pub(super) struct Assembly {
    algorithm: Algorithm,
    pass: Pass,
    /// How far the pass is.
    at: u32,
    uids: Vec<Uid>,
    sent: Vec<i64>,
    came: Vec<i64>,
    subjects: Vec<Fingerprint>,
    replies: Vec<bool>,
    links: Links,
    groups: Vec<Group>,
    /// What is above each message: a message, a group, or nothing.
    above: Vec<u32>,
    /// Messages by the date they were sent, those of the same in the order of the mailbox.
    by_date: Vec<u32>,
    by_arrival: Vec<u32>,
    sorting: Option<Merge<(i64, u32)>>,
    /// What is at the top, in order.
    roots: Vec<u32>,
    /// The subject table (step 5), and what it leads to.
    table: Names,
    table_roots: Vec<u32>,
    children: Children,
    walk: Walk,
    threads: Threads,
}

/// A parent that isn't there.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Its children, as long as they are counted; more than one is enough to know.
    count: u32,
    /// Its first child by date.
    first: u32,
    /// Its children belong to this one.
    moved_to: u32,
}

const GROUP: Group = Group { count: 0, first: NONE, moved_to: NONE };

/// What is done, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pass {
    /// Steps 2 and 3: what isn't there is taken out, but at the top.
    Above,
    /// Step 3, and there where it has one child alone.
    OnlyChildren,
    SortByDate,
    SortByArrival,
    /// Step 4, and 5.A and B.
    Roots,
    /// ORDEREDSUBJECT: below the first of their subject.
    Subjects,
    /// Step 5.C
    MergeSubjects,
    /// REFS: by the newest message.
    NewestFirst,
    /// Step 6
    Children,
    TopChildren,
    /// All in the order in which they are told.
    Walk,
}

impl Assembly {
    pub(super) fn new(facts: Facts, links: Links) -> Self {
        let Facts { algorithm, uids, sent, came, subjects, replies, graph: _ } = facts;
        let pass = match algorithm {
            Algorithm::OrderedSubject => Pass::SortByDate,
            Algorithm::References | Algorithm::Refs => Pass::Above,
        };
        let mut assembly = Self {
            algorithm,
            pass,
            at: 0,
            uids,
            sent,
            came,
            subjects,
            replies,
            links,
            groups: Vec::new(),
            above: Vec::new(),
            by_date: Vec::new(),
            by_arrival: Vec::new(),
            sorting: None,
            roots: Vec::new(),
            table: Names::default(),
            table_roots: Vec::new(),
            children: Children::default(),
            walk: Walk::default(),
            threads: Threads::default(),
        };
        assembly.begin(pass);
        assembly
    }

    /// The threads; `None` when it was interrupted.
    pub(super) fn go_on(&mut self, mut is_due: impl FnMut() -> bool) -> Option<Threads> {
        loop {
            if matches!(self.pass, Pass::SortByDate | Pass::SortByArrival) {
                if !self.sort(&mut is_due) {
                    return None;
                }
            } else {
                while self.step() {
                    self.at += 1;
                    if self.at.is_multiple_of(LOOK) && is_due() {
                        return None;
                    }
                }
            }
            let Some(next) = self.next_pass() else {
                return Some(std::mem::take(&mut self.threads));
            };
            self.begin(next);
            if is_due() {
                return None;
            }
        }
    }

    fn next_pass(&self) -> Option<Pass> {
        Some(match (self.pass, self.algorithm) {
            (Pass::Above, _) => Pass::OnlyChildren,
            (Pass::OnlyChildren, _) => Pass::SortByDate,
            (Pass::SortByDate, Algorithm::References) => Pass::Roots,
            (Pass::SortByDate, Algorithm::OrderedSubject) => Pass::Subjects,
            (Pass::SortByDate, Algorithm::Refs) => Pass::SortByArrival,
            (Pass::SortByArrival, _) => Pass::NewestFirst,
            (Pass::Roots, _) => Pass::MergeSubjects,
            (Pass::MergeSubjects | Pass::Subjects | Pass::NewestFirst, _) => Pass::Children,
            (Pass::Children, _) => Pass::TopChildren,
            (Pass::TopChildren, _) => Pass::Walk,
            (Pass::Walk, _) => return None,
        })
    }

    /// Makes room for what a pass leaves, and gives back what none needs any more.
    fn begin(&mut self, pass: Pass) {
        (self.pass, self.at) = (pass, 0);
        let count = self.uids.len();
        match pass {
            Pass::Above => self.above = Vec::with_capacity(count),
            Pass::OnlyChildren => self.links = Links::default(),
            Pass::SortByDate => {
                let sent = std::mem::take(&mut self.sent);
                self.sorting = Some(Merge::new(sent.into_iter().zip(0..).collect()));
                self.by_date = Vec::with_capacity(count);
            }
            Pass::SortByArrival => {
                let came = std::mem::take(&mut self.came);
                self.sorting = Some(Merge::new(came.into_iter().zip(0..).collect()));
                self.by_arrival = Vec::with_capacity(count);
            }
            Pass::Subjects => self.above = vec![NONE; count],
            // What is above a message at the top, on the way to it, is kept in place of its children.
            Pass::NewestFirst => self.children.firsts = vec![NONE; count + self.groups.len()],
            Pass::Roots | Pass::MergeSubjects => {}
            Pass::Children => {
                self.table = Names::default();
                self.table_roots = Vec::new();
                self.subjects = Vec::new();
                self.replies = Vec::new();
                self.by_arrival = Vec::new();
                self.children = Children::new(count + self.groups.len());
            }
            Pass::TopChildren => self.by_date = Vec::new(),
            Pass::Walk => {
                self.roots = Vec::new();
                self.threads.reserve(count + self.groups.len());
            }
        }
    }

    /// Does the step at `self.at`; `false` when there is none.
    fn step(&mut self) -> bool {
        let at = self.at as usize;
        let message = |list: &[u32]| list.get(at).copied();
        let is_place = at < self.uids.len();
        match self.pass {
            Pass::Above if is_place => self.find_above(self.at),
            Pass::OnlyChildren if is_place => self.leave_only_child(self.at),
            Pass::Roots => {
                return message(&self.by_date).map(|place| self.add_root(place)).is_some();
            }
            Pass::Subjects => {
                return message(&self.by_date).map(|place| self.group_by_subject(place)).is_some();
            }
            Pass::MergeSubjects => {
                return message(&self.roots).map(|root| self.merge_subject(root)).is_some();
            }
            Pass::NewestFirst if is_place => {
                let newest = self.by_arrival.len().checked_sub(at + 1);
                if let Some(&place) = newest.and_then(|at| self.by_arrival.get(at)) {
                    self.add_newest(place);
                }
            }
            Pass::Children => {
                return message(&self.by_date).map(|place| self.add_child(place)).is_some();
            }
            Pass::TopChildren => {
                let Some(mut root) = message(&self.roots) else { return false };
                // The newest came first, and is told last.
                if self.algorithm == Algorithm::Refs {
                    let last = self.roots.len() - 1;
                    root = self.roots.get(last - at).copied().unwrap_or(root);
                }
                self.children.add(self.children.top(), root);
            }
            Pass::Walk => return self.walk(),
            Pass::Above
            | Pass::OnlyChildren
            | Pass::NewestFirst
            | Pass::SortByDate
            | Pass::SortByArrival => return false,
        }
        true
    }

    fn sort(&mut self, is_due: impl FnMut() -> bool) -> bool {
        let out =
            if self.pass == Pass::SortByArrival { &mut self.by_arrival } else { &mut self.by_date };
        let Some(merge) = &mut self.sorting else { return true };
        let done = merge.go_on(Ord::cmp, |(_, place)| out.push(place), is_due);
        if done {
            self.sorting = None;
        }
        done
    }

    /// The nearest message above one, through all that isn't there; or the group that all of these are at the top.
    fn find_above(&mut self, place: u32) {
        let Links { parents, places, nodes } = &mut self.links;
        let parent =
            |parents: &[u32], node: u32| parents.get(node as usize).copied().unwrap_or(NONE);
        let start = nodes.get(place as usize).map_or(NONE, |node| parent(parents, *node));
        let mut end = start;
        while let Some(&NONE) = places.get(end as usize)
            && parent(parents, end) != NONE
        {
            end = parent(parents, end);
        }
        // Who comes this way again goes it at once.
        let mut node = start;
        while node != end {
            let next = parent(parents, node);
            if let Some(parent) = parents.get_mut(node as usize) {
                *parent = end;
            }
            node = next;
        }
        let above = match places.get_mut(end as usize) {
            None => NONE,
            Some(of) if *of == NONE || *of & IS_GROUP != 0 => {
                if *of == NONE {
                    *of = IS_GROUP | self.groups.len() as u32;
                    self.groups.push(GROUP);
                }
                let index = *of & !IS_GROUP;
                if let Some(group) = self.groups.get_mut(index as usize) {
                    group.count += 1;
                }
                self.uids.len() as u32 + index
            }
            Some(place) => *place,
        };
        self.above.push(above);
    }

    /// A group of one is none.
    fn leave_only_child(&mut self, place: u32) {
        let above = self.above_of(place);
        if self.group(above).is_some_and(|group| group.count == 1) {
            self.set_above(place, NONE);
        }
    }

    /// Step 4: in the order of dates, what is at the top comes by itself or with the first child of its group. Step 5.B
    /// goes through it in that order.
    fn add_root(&mut self, place: u32) {
        let above = self.above_of(place);
        let root = match self.group_mut(above) {
            Some(group) if group.first == NONE => {
                group.first = place;
                above
            }
            None if above == NONE => place,
            _ => return,
        };
        self.roots.push(root);
        let subject = self.subject(place);
        if subject == NO_SUBJECT {
            return;
        }
        let (number, is_new) = self.table.add(subject);
        if is_new {
            self.table_roots.push(root);
            return;
        }
        let known = self.table_root(number);
        let rather = self.group(root).is_some() || self.is_reply(known) && !self.is_reply(root);
        if self.group(known).is_none() && rather {
            self.set_table_root(number, root);
        }
    }

    /// Step 5.C
    fn merge_subject(&mut self, root: u32) {
        let first = self.group(root).map_or(root, |group| group.first);
        let subject = self.subject(first);
        let Some(number) = self.table.get(subject).filter(|_| subject != NO_SUBJECT) else {
            return;
        };
        let known = self.table_root(number);
        if known == root {
            return;
        }
        if self.group(known).is_some() {
            match self.group_mut(root) {
                Some(group) => group.moved_to = known,
                None => self.set_above(root, known),
            }
        } else if self.is_reply(root) && !self.is_reply(known) {
            self.set_above(root, known);
        } else {
            let group = (self.uids.len() + self.groups.len()) as u32;
            self.groups.push(Group { count: 2, first, moved_to: NONE });
            self.set_above(root, group);
            self.set_above(known, group);
            self.set_table_root(number, group);
        }
    }

    /// ORDEREDSUBJECT: the first of a subject is at the top, the others are its children.
    fn group_by_subject(&mut self, place: u32) {
        let (number, is_new) = self.table.add(self.subject(place));
        if is_new {
            self.table_roots.push(place);
        } else {
            self.set_above(place, self.table_root(number));
        }
    }

    /// REFS: from the newest message down, its thread comes if it hasn't yet.
    fn add_newest(&mut self, place: u32) {
        let mut root = place;
        // A thread that is there is marked on the way to its top.
        loop {
            let seen = self.children.firsts.get_mut(root as usize);
            if let Some(seen) = seen
                && std::mem::replace(seen, 0) == 0
            {
                return;
            }
            match self.above_of(root) {
                NONE => break,
                above => root = above,
            }
        }
        self.roots.push(root);
    }

    /// Step 6: in the order of dates each message comes behind its elder siblings.
    fn add_child(&mut self, place: u32) {
        let above = self.above_of(place);
        let moved = self.group(above).map_or(NONE, |group| group.moved_to);
        let above = if moved == NONE { above } else { moved };
        self.set_above(place, above);
        if above != NONE {
            self.children.add(above, place);
        }
        // What is at the top is in its order already, but for what step 5 made of it.
        if self.algorithm == Algorithm::Refs {
            return;
        }
        if self.at == 0 {
            self.roots.clear();
        }
        let len = self.uids.len() as u32;
        if above == NONE {
            self.roots.push(place);
        } else if above >= len && self.children.first(above) == place {
            self.roots.push(above);
        }
    }

    /// The next member, and the lists that end behind it.
    fn walk(&mut self) -> bool {
        let children = &self.children;
        let (node, place) = match self.walk {
            Walk::Start => (children.first(children.top()), Place::Root),
            Walk::At(node, place) => (node, place),
            Walk::End => return false,
        };
        if node == NONE {
            return false;
        }
        let uid = self.uids.get(node as usize).copied();
        self.threads.push(Member::new(uid, place));
        let child = children.first(node);
        if child != NONE {
            let place = match (children.next(child), uid) {
                (NONE, _) => Place::Only,
                (_, Some(_)) => Place::First,
                (_, None) => Place::Next,
            };
            self.walk = Walk::At(child, place);
            return true;
        }
        // Up to the next that has a sibling.
        let mut at = node;
        loop {
            let above = self.above.get(at as usize).copied().unwrap_or(NONE);
            let next = self.children.next(at);
            let is_only = above != NONE && next == NONE && self.children.first(above) == at;
            if !is_only {
                self.threads.end_list();
            }
            if next != NONE {
                let place = if above == NONE { Place::Root } else { Place::Next };
                self.walk = Walk::At(next, place);
                return true;
            }
            if above == NONE {
                self.walk = Walk::End;
                return true;
            }
            at = above;
        }
    }

    fn above_of(&self, place: u32) -> u32 {
        self.above.get(place as usize).copied().unwrap_or(NONE)
    }

    fn set_above(&mut self, place: u32, above: u32) {
        if let Some(of) = self.above.get_mut(place as usize) {
            *of = above;
        }
    }

    fn group(&self, number: u32) -> Option<&Group> {
        self.groups.get((number as usize).checked_sub(self.uids.len())?)
    }

    fn group_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.groups.get_mut((number as usize).checked_sub(self.uids.len())?)
    }

    fn subject(&self, place: u32) -> Fingerprint {
        self.subjects.get(place as usize).copied().unwrap_or(NO_SUBJECT)
    }

    fn is_reply(&self, place: u32) -> bool {
        self.replies.get(place as usize).copied().unwrap_or_default()
    }

    fn table_root(&self, number: u32) -> u32 {
        self.table_roots.get(number as usize).copied().unwrap_or(NONE)
    }

    fn set_table_root(&mut self, number: u32, root: u32) {
        if let Some(of) = self.table_roots.get_mut(number as usize) {
            *of = root;
        }
    }

    /// Bytes held, about.
    pub(super) fn held(&self) -> usize {
        let Links { parents, places, nodes } = &self.links;
        let numbers =
            [&self.above, &self.by_date, &self.by_arrival, &self.roots, &self.table_roots]
                .into_iter()
                .chain([parents, places, nodes])
                .map(Vec::capacity);
        let dates = self.sent.capacity() + self.came.capacity();
        let sorting = self.sorting.as_ref().map_or(0, Merge::len) * size_of::<(i64, u32)>();
        numbers.sum::<usize>() * size_of::<u32>()
            + self.uids.capacity() * size_of::<Uid>()
            + dates * size_of::<i64>()
            + sorting
            + self.subjects.capacity() * size_of::<Fingerprint>()
            + self.replies.capacity()
            + self.groups.capacity() * size_of::<Group>()
            + self.table.held()
            + self.children.held()
            + self.threads.held()
    }
}

/// Where the walk over all threads is.
#[derive(Clone, Copy, Debug, Default)]
enum Walk {
    #[default]
    Start,
    At(u32, Place),
    End,
}

/// The children of messages and groups, and of the top, in order.
#[derive(Debug, Default)]
struct Children {
    firsts: Vec<u32>,
    lasts: Vec<u32>,
    nexts: Vec<u32>,
}

impl Children {
    fn new(count: usize) -> Self {
        let none = vec![NONE; count + 1];
        Self { firsts: none.clone(), lasts: none.clone(), nexts: none }
    }

    /// What has those that nothing is above as its children.
    fn top(&self) -> u32 {
        (self.firsts.len() as u32).saturating_sub(1)
    }

    /// Adds the last child of a parent.
    fn add(&mut self, parent: u32, child: u32) {
        let Some(last) = self.lasts.get_mut(parent as usize) else { return };
        let before = std::mem::replace(last, child);
        let link = match before {
            NONE => self.firsts.get_mut(parent as usize),
            before => self.nexts.get_mut(before as usize),
        };
        if let Some(link) = link {
            *link = child;
        }
    }

    fn first(&self, parent: u32) -> u32 {
        self.firsts.get(parent as usize).copied().unwrap_or(NONE)
    }

    fn next(&self, sibling: u32) -> u32 {
        self.nexts.get(sibling as usize).copied().unwrap_or(NONE)
    }

    fn held(&self) -> usize {
        (self.firsts.capacity() + self.lasts.capacity() + self.nexts.capacity()) * size_of::<u32>()
    }
}
