//! A size-bounded cache whose entries are current until a change invalidates their keys. A value
//! that is no longer current can still be read while the database is unreachable.
//!
//! Invariant: an entry has the epoch that its key had before the value was read from the database.
//! A change increments the epoch of a key after its commit, so an entry that the change could
//! affect has a lower epoch, whenever it was inserted.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::{Equivalent, Weighter, sync};

/// Maximum total size of the values in bytes. Rarely used ones are evicted.
const CAPACITY_BYTES: u64 = 64 << 20;
/// Expected size of a value in bytes; determines the number of shards.
const EXPECTED_BYTES: u64 = 4 << 10;
/// Number of epochs. Keys with the same epoch are invalidated together, which costs a query each.
const EPOCHS: usize = 4_096;

/// A cache of cheaply cloned values.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: sync::Cache<K, Entry<V>, EntryBytes>,
    epochs: Box<[AtomicU64]>,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    epoch: u64,
    bytes: u64,
    value: V,
}

/// A key, or a borrowed form of it, with an epoch.
pub(crate) trait EpochKey {
    /// Returns a number that equal keys share; the epoch is selected by its remainder.
    fn slot(&self) -> usize;
}

#[derive(Clone, Debug)]
struct EntryBytes;

impl<K, V> Weighter<K, Entry<V>> for EntryBytes {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        entry.bytes
    }
}

impl<K: Eq + Hash + EpochKey, V: Clone> Cache<K, V> {
    /// Creates an empty cache.
    pub(crate) fn new() -> Self {
        let expected = usize::try_from(CAPACITY_BYTES / EXPECTED_BYTES).unwrap_or(usize::MAX);
        Self {
            entries: sync::Cache::with_weighter(expected, CAPACITY_BYTES, EntryBytes),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns the epoch of a key, to be read before its value is read from the database.
    pub(crate) fn epoch<Q: EpochKey + ?Sized>(&self, key: &Q) -> u64 {
        self.epoch_of(key).load(Ordering::Acquire)
    }

    /// Returns the value of a key if it is current.
    pub(crate) fn current<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + EpochKey + ?Sized,
    {
        // The entry before the epoch: a change in between makes a current entry look outdated,
        // never the reverse.
        let entry = self.entries.get(key)?;
        (entry.epoch == self.epoch(key)).then_some(entry.value)
    }

    /// Returns the value of a key even if it is no longer current.
    pub(crate) fn last_known<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.entries.get(key).map(|entry| entry.value)
    }

    /// Inserts a value of `bytes` bytes that was read when the key had `epoch`, unless the cache
    /// has a newer one.
    pub(crate) fn insert(&self, key: K, epoch: u64, bytes: usize, value: V) {
        // Two readers may finish in either order; the older value must not win.
        let newer = self.entries.peek(&key).filter(|entry| entry.epoch > epoch);
        if newer.is_some() {
            return;
        }
        let entry = Entry {
            epoch,
            // An entry of weight 0 would never be evicted.
            bytes: u64::try_from(bytes.max(1)).unwrap_or(u64::MAX),
            value,
        };
        self.entries.insert(key, entry);
    }

    /// Removes the value of a key that no longer exists.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.entries.remove(key);
    }

    /// Invalidates the values of some keys. Their change has been committed.
    pub(crate) fn invalidate<'k, Q: EpochKey + 'k>(&self, keys: impl Iterator<Item = &'k Q>) {
        for key in keys {
            self.epoch_of(key).fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Invalidates all values.
    pub(crate) fn invalidate_all(&self) {
        for epoch in &self.epochs {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn epoch_of<Q: EpochKey + ?Sized>(&self, key: &Q) -> &AtomicU64 {
        &self.epochs[key.slot() % EPOCHS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl EpochKey for usize {
        fn slot(&self) -> usize {
            *self
        }
    }

    // Conformance: registry/stores-6
    #[test]
    fn value_is_current_until_key_changes() {
        let cache: Cache<usize, &str> = Cache::new();
        cache.insert(1, cache.epoch(&1), 10, "one");
        cache.insert(2, cache.epoch(&2), 10, "two");
        cache.invalidate([2, 3].iter());
        assert_eq!(cache.current(&1), Some("one"));
        assert_eq!(cache.current(&2), None);
        assert_eq!(cache.last_known(&2), Some("two"));
        cache.invalidate_all();
        assert_eq!(cache.current(&1), None);
        assert_eq!(cache.last_known(&1), Some("one"));
        cache.remove(&1);
        assert_eq!(cache.last_known(&1), None);
    }

    // Conformance: registry/stores-6
    #[test]
    fn value_read_before_change_is_not_current() {
        let cache: Cache<usize, &str> = Cache::new();
        let epoch = cache.epoch(&1);
        cache.invalidate([1].iter());
        cache.insert(1, epoch, 10, "old");
        assert_eq!(cache.current(&1), None);
        assert_eq!(cache.last_known(&1), Some("old"));
        cache.insert(1, cache.epoch(&1), 10, "new");
        cache.insert(1, epoch, 10, "old");
        assert_eq!(cache.current(&1), Some("new"), "the newer value stays");
    }

    #[test]
    fn total_size_is_bounded() {
        let cache: Cache<usize, usize> = Cache::new();
        let bytes = 1 << 20;
        for key in 0..200 {
            cache.insert(key, 0, bytes, key);
        }
        let kept = (0..200).filter(|key| cache.current(key).is_some()).count();
        // Shards evict on their own, so the cache can be less than full.
        assert!((32..=64).contains(&kept), "{kept}");
    }
}
