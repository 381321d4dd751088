//! Answers worth remembering until what they tell changes. One that is fresh is as good as asking
//! again; one that is not may serve as a last resort. Bounded by bytes; knows nothing of what it
//! remembers.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes of answers at most; beyond, all are forgotten.
const MAX_BYTES: usize = 64 << 20;

/// Cheap clones of answers, by key.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    answers: RwLock<Answers<K, V>>,
}

#[derive(Debug)]
struct Answers<K, V> {
    by_key: HashMap<K, Answer<V>>,
    bytes: usize,
    /// How far changes were heard of.
    seq: u64,
}

#[derive(Debug)]
struct Answer<V> {
    is_fresh: bool,
    bytes: usize,
    value: V,
}

/// Whose answers changed.
#[derive(Debug)]
pub(crate) enum Changed<'a, K> {
    /// Those of these keys alone.
    These(&'a [K]),
    /// Perhaps those of any.
    Any,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// Nothing yet, with changes heard of up to `seq`.
    pub(crate) fn new(seq: u64) -> Self {
        Self {
            answers: RwLock::new(Answers {
                by_key: HashMap::new(),
                bytes: 0,
                seq,
            }),
        }
    }

    /// How far changes were heard of: to be asked before an answer is read.
    pub(crate) fn seq(&self) -> u64 {
        self.read().seq
    }

    /// The answer, unless it changed since it was read.
    pub(crate) fn fresh<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let answers = self.read();
        let answer = answers.by_key.get(key).filter(|answer| answer.is_fresh)?;
        Some(answer.value.clone())
    }

    /// The answer, whatever changed since.
    pub(crate) fn stale<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let answers = self.read();
        answers.by_key.get(key).map(|answer| answer.value.clone())
    }

    /// Remembers an answer that was read when changes had been heard of up to `read_at`. When there
    /// were more since, nobody knows whether they were before the reading: it is not fresh.
    pub(crate) fn put(&self, key: K, read_at: u64, bytes: usize, value: V) {
        let mut answers = self.write();
        let is_fresh = answers.seq == read_at;
        let known = answers.by_key.get(&key);
        if !is_fresh && known.is_some_and(|answer| answer.is_fresh) {
            return;
        }
        if answers.bytes.saturating_add(bytes) > MAX_BYTES {
            answers.by_key.clear();
            answers.bytes = 0;
        }
        let answer = Answer {
            is_fresh,
            bytes,
            value,
        };
        let replaced = answers.by_key.insert(key, answer);
        let replaced = replaced.map_or(0, |answer| answer.bytes);
        answers.bytes = answers.bytes.saturating_add(bytes) - replaced;
    }

    /// Hears of changes up to `seq`.
    pub(crate) fn change(&self, seq: u64, changed: &Changed<'_, K>) {
        let mut answers = self.write();
        answers.seq = seq;
        match changed {
            Changed::These(keys) => {
                for key in *keys {
                    if let Some(answer) = answers.by_key.get_mut(key) {
                        answer.is_fresh = false;
                    }
                }
            }
            Changed::Any => {
                for answer in answers.by_key.values_mut() {
                    answer.is_fresh = false;
                }
            }
        }
    }

    /// Forgets an answer that turned out to be none.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut answers = self.write();
        if let Some(removed) = answers.by_key.remove(key) {
            answers.bytes -= removed.bytes;
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Answers<K, V>> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Answers<K, V>> {
        self.answers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_until_its_own_matter_changes() {
        let remembered = Remembered::new(7);
        remembered.put(1, 7, 10, "one");
        remembered.put(2, 7, 10, "two");
        remembered.change(8, &Changed::These(&[2, 3]));
        assert_eq!(remembered.fresh(&1), Some("one"));
        assert_eq!(remembered.fresh(&2), None);
        assert_eq!(remembered.stale(&2), Some("two"));
        remembered.change(9, &Changed::Any);
        assert_eq!(remembered.fresh(&1), None);
        assert_eq!(remembered.stale(&1), Some("one"));
        remembered.remove(&1);
        assert_eq!(remembered.stale(&1), None);
    }

    // Conformance: registry/stores-6
    #[test]
    fn an_answer_that_a_change_overtook_is_not_taken_for_fresh() {
        let remembered = Remembered::new(7);
        remembered.change(8, &Changed::These(&[1]));
        remembered.put(1, 7, 10, "old");
        assert_eq!(remembered.fresh(&1), None);
        assert_eq!(remembered.stale(&1), Some("old"));
        remembered.put(1, 8, 10, "new");
        remembered.put(1, 7, 10, "old");
        assert_eq!(remembered.fresh(&1), Some("new"), "nor does it replace one");
    }

    #[test]
    fn bytes_are_bounded_and_an_answer_read_again_counts_once() {
        let remembered = Remembered::new(0);
        for _ in 0..100 {
            remembered.put(1, 0, MAX_BYTES / 2, "one");
        }
        remembered.put(2, 0, MAX_BYTES / 2, "two");
        assert!(remembered.stale(&1).is_some() && remembered.stale(&2).is_some());
        remembered.put(3, 0, 1, "three");
        assert!(remembered.stale(&1).is_none() && remembered.stale(&3).is_some());
    }
}
