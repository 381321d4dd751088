//! A bounded memory budget.
//!
//! Invariant: the permits of a pool never hold more than the pool; a dropped permit returns its
//! memory. Memory is reserved before it is allocated.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is reserved in units of this many bytes, because a semaphore has too few permits to count
/// bytes on 32-bit machines and one permit per KiB is precise enough.
pub(crate) const MEMORY_UNIT_BYTES: usize = 1024;

/// Returns the number of units that hold `bytes`.
pub(crate) fn memory_units(bytes: usize) -> usize {
    bytes.div_ceil(MEMORY_UNIT_BYTES)
}

/// A bounded amount of memory, from which permits reserve parts.
#[derive(Debug)]
pub struct MemoryPool {
    free: Arc<Semaphore>,
    units: usize,
}

/// Reserved memory, returned to its pool on drop. The default reserves nothing.
#[derive(Debug, Default)]
pub struct MemoryPermit(Option<OwnedSemaphorePermit>);

impl MemoryPool {
    /// Creates a pool of `bytes`, rounded down to a multiple of 1 KiB.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / MEMORY_UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// Reserves `bytes` if they are free now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<MemoryPermit> {
        self.try_reserve_units(u32::try_from(memory_units(bytes)).ok()?)
    }

    /// Reserves `bytes`, or the whole pool if it is smaller. Waits until they are free; waiting
    /// calls are served in order.
    pub async fn reserve(&self, bytes: usize) -> MemoryPermit {
        // Without the limit a request above the pool's size would wait forever.
        let units = self.missing(&MemoryPermit::default(), memory_units(bytes));
        match self.try_reserve_units(units) {
            Some(permit) => permit,
            None => self.reserve_units(units).await,
        }
    }

    /// Returns the number of bytes reserved now.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        let free = self.free.available_permits();
        self.units.saturating_sub(free) * MEMORY_UNIT_BYTES
    }

    /// Returns how many units `held` lacks to `units` or to the whole pool, whichever is smaller.
    pub(crate) fn missing(&self, held: &MemoryPermit, units: usize) -> u32 {
        let missing = units.min(self.units).saturating_sub(held.units());
        u32::try_from(missing).unwrap_or(u32::MAX)
    }

    pub(crate) fn try_reserve_units(&self, units: u32) -> Option<MemoryPermit> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units);
        permit.ok().map(|permit| MemoryPermit(Some(permit)))
    }

    pub(crate) async fn reserve_units(&self, units: u32) -> MemoryPermit {
        let permit = Arc::clone(&self.free).acquire_many_owned(units).await;
        MemoryPermit(Some(permit.expect("the semaphore is never closed")))
    }
}

impl MemoryPermit {
    /// Keeps at most `bytes` and returns a permit for the rest.
    pub fn split(&mut self, bytes: usize) -> Self {
        let rest = self.0.as_mut().and_then(|permit| {
            let above = permit.num_permits().checked_sub(memory_units(bytes))?;
            permit.split(above)
        });
        Self(rest)
    }

    /// Adds `other`, which is of the same pool.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self.0.as_mut(), other.0) {
            (Some(permit), Some(other)) => permit.merge(other),
            (None, other) => self.0 = other,
            (Some(_), None) => {}
        }
    }

    pub(crate) fn units(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn permits_return_their_memory() {
        let pool = MemoryPool::new(4 << 10);
        let mut permit = pool.try_reserve(3 << 10).unwrap();
        assert!(pool.try_reserve(2 << 10).is_none());
        let rest = permit.split(1);
        assert_eq!((permit.units(), rest.units()), (1, 2));
        assert_eq!(permit.split(1 << 20).units(), 0, "it is smaller than that");
        drop(permit);
        assert_eq!(pool.reserved_bytes(), 2 << 10);
    }

    #[test]
    fn only_waiting_reservations_are_capped() {
        let pool = MemoryPool::new(4 << 10);
        assert!(pool.try_reserve(5 << 10).is_none());
        let all = pool.reserve(5 << 10).now_or_never().unwrap();
        assert_eq!(pool.reserved_bytes(), 4 << 10);
        assert!(pool.reserve(1).now_or_never().is_none());
        drop(all);
        assert!(pool.reserve(1).now_or_never().is_some());
    }
}
