//! Answers worth remembering, each with the change sequence before it was read: it is fresh while
//! that stands, and may serve as a last resort after. Bounded by bytes; knows nothing of what it
//! remembers.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

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
}

#[derive(Debug)]
struct Answer<V> {
    read_at: u64,
    bytes: usize,
    value: V,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self {
            answers: RwLock::new(Answers {
                by_key: HashMap::new(),
                bytes: 0,
            }),
        }
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// The answer, if nothing changed since it was read.
    pub(crate) fn fresh<Q>(&self, key: &Q, seq: u64) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.by_key.get(key)?;
        (answer.read_at == seq).then(|| answer.value.clone())
    }

    /// The answer, whatever changed since.
    pub(crate) fn stale<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.by_key.get(key).map(|answer| answer.value.clone())
    }

    /// Remembers an answer that was read after the change sequence was `seq`.
    pub(crate) fn put(&self, key: K, seq: u64, bytes: usize, value: V) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.bytes.saturating_add(bytes) > MAX_BYTES {
            answers.by_key.clear();
            answers.bytes = 0;
        }
        let answer = Answer {
            read_at: seq,
            bytes,
            value,
        };
        let replaced = answers.by_key.insert(key, answer);
        let replaced = replaced.map_or(0, |answer| answer.bytes);
        answers.bytes = answers.bytes.saturating_add(bytes) - replaced;
    }

    /// Forgets an answer that turned out to be none.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(removed) = answers.by_key.remove(key) {
            answers.bytes -= removed.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_while_its_change_sequence_stands() {
        let remembered = Remembered::default();
        remembered.put(1, 7, 10, "one");
        assert_eq!(remembered.fresh(&1, 7), Some("one"));
        assert_eq!(remembered.fresh(&1, 8), None);
        assert_eq!(remembered.stale(&1), Some("one"));
        remembered.remove(&1);
        assert_eq!(remembered.stale(&1), None);
    }

    #[test]
    fn bytes_are_bounded_and_an_answer_read_again_counts_once() {
        let remembered = Remembered::default();
        for seq in 0..100 {
            remembered.put(1, seq, MAX_BYTES / 2, "one");
        }
        remembered.put(2, 0, MAX_BYTES / 2, "two");
        assert!(remembered.stale(&1).is_some() && remembered.stale(&2).is_some());
        remembered.put(3, 0, 1, "three");
        assert!(remembered.stale(&1).is_none() && remembered.stale(&3).is_some());
    }
}
