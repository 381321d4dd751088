//! The changes that a source of schemas has received, in a form cheap enough to compare once per
//! batch: one number for the whole registry, and one for each id.
//!
//! A response about an id is current while the id's epoch equals the epoch read before the registry
//! was queried. A source that shares a process with its registry moves the epochs before a change
//! is acknowledged; a remote source moves them when the change feed delivers the change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::types::SchemaId;

/// Number of epochs. Ids that are equal modulo this number share one: a change to one of them costs
/// one needless lookup of the other.
const EPOCHS: usize = 4_096;

/// The ids that a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed<'a> {
    /// Only these ids, of the default context.
    Ids(&'a [SchemaId]),
    /// Any id.
    Any,
}

/// The state of a source's knowledge about its registry.
#[derive(Debug)]
pub struct Freshness {
    seq: AtomicU64,
    epochs: Box<[Arc<AtomicU64>]>,
    is_immediate: bool,
    is_reachable: AtomicBool,
}

impl Freshness {
    /// Creates the state of a source that has received changes up to `seq`. `is_immediate` promises
    /// that [`Self::record`] is called before a change is acknowledged to the client that made it.
    #[must_use]
    pub fn new(is_immediate: bool, seq: u64) -> Self {
        Self {
            seq: AtomicU64::new(seq),
            // Starts at 1, so that 0 can mean that nothing was read yet.
            epochs: (0..EPOCHS).map(|_| Arc::new(AtomicU64::new(1))).collect(),
            is_immediate,
            is_reachable: AtomicBool::new(true),
        }
    }

    /// Returns a number that grows with every change received.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Returns the epoch of an id, 1 or more: it grows with every received change to the id, to its
    /// subject versions, or to a schema that it refers to.
    #[must_use]
    pub fn epoch(&self, id: i32) -> &Arc<AtomicU64> {
        // Any mapping will do, also of a negative id that only a producer invents.
        let slot = id.unsigned_abs() as usize % EPOCHS;
        &self.epochs[slot]
    }

    /// Records changes; `seq` is the new number of the registry, which may have been restored and
    /// count from a lower one. Calls must not overlap.
    pub fn record(&self, seq: u64, changed: Changed<'_>) {
        // Epochs before the number: a thread that reads the new number also reads the new epochs.
        match changed {
            Changed::Ids(ids) => {
                for id in ids {
                    self.epoch(id.get()).fetch_add(1, Ordering::AcqRel);
                }
            }
            Changed::Any => {
                for epoch in &self.epochs {
                    epoch.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
        // The number of a restored registry starts again lower; readers compare for equality, so it
        // must still change.
        let next = self.seq.load(Ordering::Acquire) + 1;
        self.seq.store(seq.max(next), Ordering::Release);
    }

    /// Returns whether changes are recorded before they are acknowledged. Only then is a negative
    /// result current while the numbers stay the same.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.is_immediate
    }

    /// Returns whether the registry responded when it was last queried for changes.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Acquire)
    }

    /// Sets the result of [`Self::is_reachable`].
    pub fn set_reachable(&self, is_reachable: bool) {
        self.is_reachable.store(is_reachable, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: contract/3m
    #[test]
    fn change_moves_only_its_epochs() {
        let freshness = Freshness::new(true, 7);
        let epochs = || [1, 2, 3].map(|id| freshness.epoch(id).load(Ordering::Acquire));
        assert_eq!((freshness.seq(), epochs()), (7, [1, 1, 1]));
        freshness.record(8, Changed::Ids(&[SchemaId::new(2).unwrap()]));
        assert_eq!((freshness.seq(), epochs()), (8, [1, 2, 1]));
        freshness.record(9, Changed::Any);
        assert_eq!((freshness.seq(), epochs()), (9, [2, 3, 2]));
        freshness.record(4, Changed::Ids(&[]));
        assert_eq!((freshness.seq(), epochs()), (10, [2, 3, 2]));
        assert_eq!(freshness.epoch(i32::MIN).load(Ordering::Acquire), 2);
    }
}
