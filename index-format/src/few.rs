//! A map for few values: a sorted vector.
//!
//! A node of a B-tree has room for eleven values from the first on; most accounts have six mailboxes, and there may be
//! a hundred thousand accounts in memory. Looking up is a binary search; inserting moves what stands behind, which is
//! quick for ten thousand too.

use std::borrow::Borrow;

/// Values by their keys, in the order of the keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Few<K, V> {
    /// Keys ascend and differ.
    pairs: Vec<(K, V)>,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self { pairs: Vec::new() }
    }
}

impl<K: Ord, V> Few<K, V> {
    /// A map without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The map of these pairs, or `None` when two have the same key.
    pub(crate) fn from_pairs(mut pairs: Vec<(K, V)>) -> Option<Self> {
        pairs.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        let ascend = pairs.is_sorted_by(|(left, _), (right, _)| left < right);
        ascend.then_some(Self { pairs })
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.pairs.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.pairs.get(self.find(key).ok()?).map(|(_, value)| value)
    }

    /// The value of `key`, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.pairs.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a value of `key`.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Puts in a value; gives the one that `key` had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => self.pairs.get_mut(at).map(|(_, known)| std::mem::replace(known, value)),
            Err(at) => {
                self.pairs.insert(at, (key, value));
                None
            }
        }
    }

    /// Puts in many at once, under keys that ascend and aren't there.
    pub(crate) fn insert_all(&mut self, pairs: impl ExactSizeIterator<Item = (K, V)>) {
        let mut pairs = pairs.peekable();
        let Some((first, _)) = pairs.peek() else { return };
        let at = self.find(first).unwrap_or_else(|at| at);
        let len = pairs.len();
        self.pairs.splice(at..at, pairs);
        let last = self.pairs.get(at + len - 1).map(|(key, _)| key);
        let behind = self.pairs.get(at + len).map(|(key, _)| key);
        if behind.is_some_and(|behind| last > Some(behind)) {
            // What is there stands among them: two ascending runs, which a stable sort merges.
            self.pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
    }

    /// Takes out all from `least` on and below `behind`.
    pub(crate) fn remove_range<Q: Ord + ?Sized>(&mut self, least: &Q, behind: &Q)
    where
        K: Borrow<Q>,
    {
        let from = self.find(least).unwrap_or_else(|at| at);
        let to = self.find(behind).unwrap_or_else(|at| at);
        self.pairs.drain(from..to.max(from));
    }

    /// Takes out the value of `key`.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| self.pairs.remove(at).1)
    }

    /// Keeps the pairs for which `keep` says so, and gives back room that is not needed any more.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.pairs.retain_mut(|(key, value)| keep(key, value));
        self.pairs.shrink_to_fit();
    }

    /// The pairs whose keys are `least` or behind it.
    pub(crate) fn starting_at<Q: Ord + ?Sized>(
        &self,
        least: &Q,
    ) -> impl Iterator<Item = (&K, &V)> + use<'_, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let at = self.find(least).unwrap_or_else(|at| at);
        self.pairs.get(at..).unwrap_or_default().iter().map(|(key, value)| (key, value))
    }

    /// All pairs.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }

    /// All keys.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.pairs.iter().map(|(key, _)| key)
    }

    /// All values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.pairs.iter().map(|(_, value)| value)
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.pairs.iter_mut().map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn is_a_map(
            steps in prop::collection::vec((0u8..20, any::<Option<u16>>()), 0..60),
            from in 0u8..20,
            least in 0u8..20,
        ) {
            let (mut few, mut map) = (Few::new(), BTreeMap::new());
            for (key, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(few.insert(key, value), map.insert(key, value)),
                    None => prop_assert_eq!(few.remove(&key), map.remove(&key)),
                }
                prop_assert!(few.iter().eq(map.iter()) && few.len() == map.len());
                prop_assert!(few.starting_at(&key).eq(map.range(key..)));
                prop_assert_eq!(few.get(&key), map.get(&key));
            }
            few.retain(|key, _| key % 2 == 0);
            map.retain(|key, _| key % 2 == 0);
            let more: Vec<(u8, u16)> = (from..from + 9).filter(|key| key % 2 == 1).map(|key| (key, 7)).collect();
            few.insert_all(more.clone().into_iter());
            map.extend(more);
            prop_assert!(few.iter().eq(map.iter()));
            few.remove_range(&least, &(least + 5));
            map.retain(|key, _| !(least..least + 5).contains(key));
            prop_assert!(few.keys().eq(map.keys()) && few.values().eq(map.values()));
        }
    }

    #[test]
    fn pairs_with_the_same_key_make_no_map() {
        let made = Few::from_pairs(vec![(2, 'b'), (1, 'a')]).unwrap();
        assert!(made.values().eq(&['a', 'b']));
        assert_eq!(Few::from_pairs(vec![(2, 'b'), (1, 'a'), (2, 'c')]), None);
    }
}
