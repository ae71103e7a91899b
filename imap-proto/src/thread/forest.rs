//! Trees that grow and are cut while they are asked for their roots: link-cut trees (Sleator and Tarjan 1983), all
//! operations in O(log n) amortised.
//!
//! A tree is cut into paths downwards, each of which is a splay tree ordered by depth; the root of a splay tree knows
//! the node above its path.

use super::names::make_room;

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
}

/// A node of a splay tree.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Nodes of the same path nearer to the root of the tree.
    left: u32,
    /// Those farther from it.
    right: u32,
    /// In the splay tree; of its root, the node above the path.
    up: u32,
}

const ALONE: Node = Node { left: NONE, right: NONE, up: NONE };

impl Forest {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { nodes: Vec::with_capacity(count) }
    }

    /// Adds a tree of one node: the one with the next number.
    pub(super) fn add(&mut self) {
        make_room(&mut self.nodes);
        self.nodes.push(ALONE);
    }

    /// Makes the tree with the root `child` a part of that of `parent`, which is another.
    pub(super) fn link(&mut self, child: u32, parent: u32) {
        self.access(child);
        self.set_up(child, parent);
    }

    /// Makes `child` the root of a tree of its own.
    pub(super) fn cut(&mut self, child: u32) {
        self.access(child);
        let above = self.node(child).left;
        self.set_left(child, NONE);
        self.set_up(above, NONE);
    }

    /// The root of the tree that `node` is in.
    pub(super) fn root(&mut self, node: u32) -> u32 {
        self.access(node);
        let mut root = node;
        loop {
            match self.node(root).left {
                NONE => break,
                left => root = left,
            }
        }
        // What was passed is to be near the next time.
        self.splay(root);
        root
    }

    pub(super) fn held(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    /// Makes one path of all from the root of the tree to `node`, and `node` the root of its splay tree.
    fn access(&mut self, node: u32) {
        let (mut below, mut at) = (NONE, node);
        while at != NONE {
            self.splay(at);
            self.set_right(at, below);
            (below, at) = (at, self.node(at).up);
        }
        self.splay(node);
    }

    /// Makes `node` the root of its splay tree.
    fn splay(&mut self, node: u32) {
        while let Some((parent, is_left)) = self.parent(node) {
            if let Some((_, parent_is_left)) = self.parent(parent) {
                self.rotate(if is_left == parent_is_left { parent } else { node });
            }
            self.rotate(node);
        }
    }

    /// Moves `node` above its parent in the splay tree.
    fn rotate(&mut self, node: u32) {
        let Some((parent, is_left)) = self.parent(node) else { return };
        let above = self.node(parent).up;
        match self.parent(parent) {
            Some((_, true)) => self.set_left(above, node),
            Some((_, false)) => self.set_right(above, node),
            None => {}
        }
        let Node { left, right, .. } = self.node(node);
        if is_left {
            self.set_left(parent, right);
            self.set_up(right, parent);
            self.set_right(node, parent);
        } else {
            self.set_right(parent, left);
            self.set_up(left, parent);
            self.set_left(node, parent);
        }
        self.set_up(parent, node);
        self.set_up(node, above);
    }

    /// The parent in the same splay tree, and on which side of it `node` is.
    fn parent(&self, node: u32) -> Option<(u32, bool)> {
        let up = self.node(node).up;
        let Node { left, right, .. } = self.node(up);
        match (left == node, right == node) {
            (true, _) => Some((up, true)),
            (_, true) => Some((up, false)),
            (false, false) => None,
        }
    }

    fn node(&self, node: u32) -> Node {
        self.nodes.get(node as usize).copied().unwrap_or(ALONE)
    }

    fn set_left(&mut self, node: u32, left: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.left = left;
        }
    }

    fn set_right(&mut self, node: u32, right: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.right = right;
        }
    }

    fn set_up(&mut self, node: u32, up: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.up = up;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn knows_the_roots(steps in prop::collection::vec((0u32..20, 0u32..20, 0u8..4), 0..200)) {
            let mut forest = Forest::with_capacity(20);
            (0..20).for_each(|_| forest.add());
            let mut parents = [NONE; 20];
            let root = |parents: &[u32; 20], mut node: u32| {
                while parents[node as usize] != NONE {
                    node = parents[node as usize];
                }
                node
            };
            for (child, parent, what) in steps {
                prop_assert_eq!(forest.root(child), root(&parents, child));
                if what == 0 {
                    forest.cut(child);
                    parents[child as usize] = NONE;
                } else if parents[child as usize] == NONE && root(&parents, parent) != child {
                    forest.link(child, parent);
                    parents[child as usize] = parent;
                }
            }
            for node in 0..20 {
                prop_assert_eq!(forest.root(node), root(&parents, node));
            }
        }
    }

    #[test]
    fn long_chains_and_their_ends() {
        let count = 200_000;
        let mut forest = Forest::with_capacity(count as usize);
        (0..count).for_each(|_| forest.add());
        for node in 1..count {
            forest.link(node, node - 1);
        }
        for node in (0..count).step_by(7).chain([count - 1]) {
            assert_eq!(forest.root(node), 0);
        }
    }
}
