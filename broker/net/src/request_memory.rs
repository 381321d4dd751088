//! The memory of requests from their first byte until they are handled
//! (`queued.max.request.bytes`).
//!
//! Invariants:
//! - Bytes are reserved before they are read, as they arrive and not as the frame's length claims.
//! - Partially received large frames leave a share of the memory to smaller ones.
//! - Progress is always possible: when partially received frames hold all memory, one of them at a
//!   time is read to its end without a reservation. All requests together therefore hold at most
//!   the limit and one request more.

use std::array;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::memory_pool::{MEMORY_UNIT_BYTES, MemoryPermit, MemoryPool, memory_units};

/// Size in bytes above which partially received frames share a part of the memory, and that part in
/// quarters.
const UNFINISHED: [(usize, usize); 2] = [(64 << 10, 3), (1 << 20, 2)];

/// The memory of all requests of a broker.
#[derive(Debug)]
pub struct RequestMemory {
    all: MemoryPool,
    /// One pool for each of [`UNFINISHED`].
    shares: [MemoryPool; UNFINISHED.len()],
    /// Permits one frame at a time to grow without a reservation.
    unreserved: Arc<Semaphore>,
}

/// The memory of a request or of a connection's buffer, returned on drop. The default reserves
/// nothing.
#[derive(Debug, Default)]
pub struct RequestPermit {
    all: MemoryPermit,
    shares: [MemoryPermit; UNFINISHED.len()],
    /// Present while the frame grows without a reservation.
    unreserved: Option<OwnedSemaphorePermit>,
    /// The request's part of what its connection may have in flight.
    connection: MemoryPermit,
}

impl RequestMemory {
    /// Creates request memory of `bytes`, at least 1 KiB.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        // A pool without a unit would grant every request an empty reservation.
        let pool = |bytes: usize| MemoryPool::new(bytes.max(MEMORY_UNIT_BYTES));
        Self {
            all: pool(bytes),
            shares: UNFINISHED.map(|(_, quarters)| pool(bytes / 4 * quarters)),
            unreserved: Arc::new(Semaphore::new(1)),
        }
    }

    /// Extends `held` to `bytes`. `frame_bytes` is the size of the frame while it is partially
    /// received, else 0. Waits until the memory is free if `held` is empty, otherwise also until
    /// the frame is the one that may grow without a reservation.
    pub async fn grow(&self, held: &mut RequestPermit, bytes: usize, frame_bytes: usize) {
        if held.unreserved.is_some() {
            return;
        }
        let units = memory_units(bytes);
        let is_new = held.all.units() == 0;
        let shares = array::from_fn(|at| {
            let (above_bytes, _) = UNFINISHED[at];
            let units = if frame_bytes > above_bytes { units } else { 0 };
            self.shares[at].missing(&held.shares[at], units)
        });
        let missing = self.all.missing(&held.all, units);
        if let Some(granted) = self.try_grant(missing, shares) {
            return held.add(granted);
        }
        if is_new {
            let granted = self.grant(missing, shares).await;
            return held.add(granted);
        }
        tokio::select! {
            granted = self.grant(missing, shares) => held.add(granted),
            permit = Arc::clone(&self.unreserved).acquire_owned() => held.unreserved = permit.ok(),
        }
    }

    /// Reserves `bytes` outside of a Kafka request, if they are free now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<MemoryPermit> {
        self.all.try_reserve(bytes)
    }

    /// Returns the number of bytes reserved now.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.all.reserved_bytes()
    }

    fn try_grant(&self, missing: u32, shares: [u32; UNFINISHED.len()]) -> Option<RequestPermit> {
        let mut granted = RequestPermit {
            all: self.all.try_reserve_units(missing)?,
            ..RequestPermit::default()
        };
        for (at, missing) in shares
            .into_iter()
            .enumerate()
            .filter(|(_, units)| *units > 0)
        {
            granted.shares[at] = self.shares[at].try_reserve_units(missing)?;
        }
        Some(granted)
    }

    async fn grant(&self, missing: u32, shares: [u32; UNFINISHED.len()]) -> RequestPermit {
        let mut granted = RequestPermit::default();
        // Shares first: a frame that waits for its share must not hold memory that frames outside
        // the share could use.
        for (at, missing) in shares
            .into_iter()
            .enumerate()
            .filter(|(_, units)| *units > 0)
        {
            granted.shares[at] = self.shares[at].reserve_units(missing).await;
        }
        granted.all = self.all.reserve_units(missing).await;
        granted
    }
}

impl RequestPermit {
    /// Returns the memory above `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        drop(self.all.split(bytes));
        if bytes == 0 {
            *self = Self::default();
        }
    }

    /// Returns the permit of a completely received frame of `bytes` and keeps the rest.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        // A complete frame counts in no share of partially received ones.
        self.shares = Default::default();
        let rest = self.all.split(bytes);
        let frame = std::mem::take(self);
        self.all = rest;
        frame
    }

    /// Reserves `bytes` from the memory of the request's connection, as soon as they are free.
    pub(crate) async fn reserve_of_connection(&mut self, pool: &MemoryPool, bytes: usize) {
        self.connection = pool.reserve(bytes).await;
    }

    fn add(&mut self, granted: Self) {
        self.all.merge(granted.all);
        for (held, granted) in self.shares.iter_mut().zip(granted.shares) {
            held.merge(granted);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MIB: usize = 1 << 20;

    fn grows(
        memory: &RequestMemory,
        held: &mut RequestPermit,
        bytes: usize,
        frame_bytes: usize,
    ) -> bool {
        memory
            .grow(held, bytes, frame_bytes)
            .now_or_never()
            .is_some()
    }

    // Conformance: broker/input-5
    #[test]
    fn partial_large_frames_leave_half_the_memory() {
        let memory = RequestMemory::new(256 * MIB);
        let mut held: [RequestPermit; 3] = Default::default();
        for held in &mut held {
            let mut bytes = 0;
            while bytes < 60 * MIB && grows(&memory, held, bytes + MIB, 100 * MIB) {
                bytes += MIB;
            }
        }
        assert!(
            held[2].unreserved.is_some(),
            "one of them grows without a reservation"
        );
        let mut small = RequestPermit::default();
        assert!(grows(&memory, &mut small, 100 * MIB, 0));
        let complete = held[0].split(60 * MIB);
        let mut large = RequestPermit::default();
        assert!(
            grows(&memory, &mut large, 20 * MIB, 100 * MIB),
            "a complete frame leaves the share"
        );
        drop(complete);
    }

    // Conformance: broker/input-5
    #[test]
    fn one_frame_grows_when_memory_is_exhausted() {
        let memory = RequestMemory::new(4 * MEMORY_UNIT_BYTES);
        let [mut first, mut second, mut new]: [RequestPermit; 3] = Default::default();
        assert!(grows(&memory, &mut first, 2 * MEMORY_UNIT_BYTES, 0));
        assert!(grows(&memory, &mut second, 2 * MEMORY_UNIT_BYTES, 0));
        assert!(!grows(&memory, &mut new, 1, 0), "a new frame waits");
        assert!(grows(&memory, &mut first, 4 * MEMORY_UNIT_BYTES, 0));
        assert!(!grows(&memory, &mut second, 4 * MEMORY_UNIT_BYTES, 0));
        drop(first);
        assert!(grows(&memory, &mut second, 4 * MEMORY_UNIT_BYTES, 0));
    }

    #[test]
    fn split_keeps_the_rest_reserved() {
        let memory = RequestMemory::new(4 * MEMORY_UNIT_BYTES);
        let mut held = RequestPermit::default();
        assert!(grows(&memory, &mut held, 4 * MEMORY_UNIT_BYTES, 0));
        let frame = held.split(MEMORY_UNIT_BYTES);
        assert_eq!(memory.reserved_bytes(), 4 * MEMORY_UNIT_BYTES);
        drop(frame);
        assert_eq!(memory.reserved_bytes(), 3 * MEMORY_UNIT_BYTES);
        held.shrink(MEMORY_UNIT_BYTES);
        assert_eq!(memory.reserved_bytes(), MEMORY_UNIT_BYTES);
        held.shrink(0);
        assert_eq!(memory.reserved_bytes(), 0);
    }

    #[test]
    fn reservation_above_the_limit_gets_everything() {
        let memory = RequestMemory::new(4 * MEMORY_UNIT_BYTES);
        let mut held = RequestPermit::default();
        assert!(grows(&memory, &mut held, 100 * MIB, 100 * MIB));
        assert!(held.unreserved.is_none());
    }
}
