//! The memory of requests that are read and not yet done with (`queued.max.request.bytes`).
//!
//! Invariants: bytes are counted before there is room for them, as they arrive and never as they
//! are claimed; frames that are not whole yet leave a share of it to smaller ones; somebody can
//! always go on: when frames that are only half there hold all of it, one of them at a time is read
//! to its end without being counted. So all requests together hold at most the limit and one
//! request more. Knows no sockets.

use std::array;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of this many bytes.
pub(crate) const MEMORY_UNIT_BYTES: usize = 1024;

/// Frames above so many bytes may hold so much of the memory, in quarters, before they are whole.
const UNFINISHED: [(usize, usize); 2] = [(64 << 10, 3), (1 << 20, 2)];

/// How many units of counted memory these bytes take.
pub(crate) fn memory_units(bytes: usize) -> usize {
    bytes.div_ceil(MEMORY_UNIT_BYTES)
}

/// What may be counted, and what still is free.
#[derive(Debug)]
pub(crate) struct Intake {
    all: Pool,
    /// One for each of [`UNFINISHED`].
    shares: [Pool; UNFINISHED.len()],
    /// For the one that goes on uncounted.
    last: Arc<Semaphore>,
}

/// What one request, or one connection's buffer, is counted with. Given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    counted: Option<OwnedSemaphorePermit>,
    shares: [Option<OwnedSemaphorePermit>; UNFINISHED.len()],
    /// Held by the one that goes on uncounted.
    uncounted: Option<OwnedSemaphorePermit>,
    /// Of what its connection may have under way.
    own: Option<OwnedSemaphorePermit>,
}

/// What one connection may have under way: as much as its largest request, and one request more.
#[derive(Debug)]
pub(crate) struct OwnMemory(Pool);

impl OwnMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Pool::new(bytes))
    }

    /// Counts a request of `bytes`, when there is room for it.
    pub(crate) async fn count(&self, held: &mut InFlight, bytes: usize) {
        let units = self.0.missing(None, memory_units(bytes));
        held.own = match self.0.try_take(units) {
            None => Some(self.0.take(units).await),
            taken => taken,
        };
    }
}

#[derive(Debug)]
struct Pool {
    free: Arc<Semaphore>,
    units: usize,
}

impl Intake {
    /// Counts up to `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            all: Pool::new(bytes),
            shares: UNFINISHED.map(|(_, quarters)| Pool::new(bytes / 4 * quarters)),
            last: Arc::new(Semaphore::new(1)),
        }
    }

    /// Sees to it that `held` counts `bytes` of a frame of `frame_bytes`, 0 if that is whole or not
    /// known. Waits while there is no room: for as long as it takes if `held` counted nothing
    /// before, else until it is the one that goes on uncounted.
    pub(crate) async fn grow(&self, held: &mut InFlight, bytes: usize, frame_bytes: usize) {
        if held.uncounted.is_some() {
            return;
        }
        let units = memory_units(bytes);
        let is_new = held.counted.is_none();
        let shares = array::from_fn(|at| {
            let (above_bytes, _) = UNFINISHED[at];
            let units = if frame_bytes > above_bytes { units } else { 0 };
            self.shares[at].missing(held.shares[at].as_ref(), units)
        });
        let missing = self.all.missing(held.counted.as_ref(), units);
        if let Some(granted) = self.try_grant(missing, shares) {
            return held.add(granted);
        }
        if is_new {
            let granted = self.grant(missing, shares).await;
            return held.add(granted);
        }
        tokio::select! {
            granted = self.grant(missing, shares) => held.add(granted),
            last = Arc::clone(&self.last).acquire_owned() => held.uncounted = last.ok(),
        }
    }

    /// Bytes that are counted now.
    pub(crate) fn counted_bytes(&self) -> usize {
        let counted = self
            .all
            .units
            .saturating_sub(self.all.free.available_permits());
        counted * MEMORY_UNIT_BYTES
    }

    fn try_grant(&self, missing: u32, shares: [u32; UNFINISHED.len()]) -> Option<InFlight> {
        let mut granted = InFlight {
            counted: Some(self.all.try_take(missing)?),
            ..InFlight::default()
        };
        for (at, missing) in shares
            .into_iter()
            .enumerate()
            .filter(|(_, units)| *units > 0)
        {
            granted.shares[at] = Some(self.shares[at].try_take(missing)?);
        }
        Some(granted)
    }

    async fn grant(&self, missing: u32, shares: [u32; UNFINISHED.len()]) -> InFlight {
        let mut granted = InFlight::default();
        // The shares first: whoever waits for one must not keep from others what is not in it.
        for (at, missing) in shares
            .into_iter()
            .enumerate()
            .filter(|(_, units)| *units > 0)
        {
            granted.shares[at] = Some(self.shares[at].take(missing).await);
        }
        granted.counted = Some(self.all.take(missing).await);
        granted
    }
}

impl InFlight {
    /// Counts no more than `bytes` from now on.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        drop(self.split_above(memory_units(bytes)));
        if bytes == 0 {
            *self = Self::default();
        }
    }

    /// A frame of `bytes` is whole: it takes its part, and what is left stays counted here.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        self.shares = Default::default();
        let rest = self.split_above(memory_units(bytes));
        let whole = std::mem::take(self);
        self.counted = rest;
        whole
    }

    fn split_above(&mut self, units: usize) -> Option<OwnedSemaphorePermit> {
        let counted = self.counted.as_mut()?;
        let above = counted.num_permits().checked_sub(units)?;
        counted.split(above)
    }

    fn add(&mut self, granted: Self) {
        merge(&mut self.counted, granted.counted);
        for (held, granted) in self.shares.iter_mut().zip(granted.shares) {
            merge(held, granted);
        }
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let units = (bytes / MEMORY_UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// What is missing to `units`; whoever wants more than there is gets all of it.
    fn missing(&self, held: Option<&OwnedSemaphorePermit>, units: usize) -> u32 {
        let held = held.map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = units.min(self.units).saturating_sub(held);
        u32::try_from(missing).unwrap_or(u32::MAX)
    }

    fn try_take(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(units).ok()
    }

    async fn take(&self, units: u32) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.free);
        let taken = free.acquire_many_owned(units).await;
        taken.expect("the semaphore is never closed")
    }
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, granted: Option<OwnedSemaphorePermit>) {
    match (held.as_mut(), granted) {
        (Some(held), Some(granted)) => held.merge(granted),
        (None, granted) => *held = granted,
        (Some(_), None) => {}
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MIB: usize = 1 << 20;

    fn at_once(intake: &Intake, held: &mut InFlight, bytes: usize, frame_bytes: usize) -> bool {
        intake
            .grow(held, bytes, frame_bytes)
            .now_or_never()
            .is_some()
    }

    // Conformance: broker/input-5
    #[test]
    fn large_frames_that_are_not_whole_leave_half_of_the_memory_to_others() {
        let intake = Intake::new(256 * MIB);
        let mut held: [InFlight; 3] = Default::default();
        for held in &mut held {
            let mut bytes = 0;
            while bytes < 60 * MIB && at_once(&intake, held, bytes + MIB, 100 * MIB) {
                bytes += MIB;
            }
        }
        assert!(
            held[2].uncounted.is_some(),
            "one of them goes on all the same"
        );
        let mut small = InFlight::default();
        assert!(at_once(&intake, &mut small, 100 * MIB, 0));
        let whole = held[0].split(60 * MIB);
        let mut large = InFlight::default();
        assert!(
            at_once(&intake, &mut large, 20 * MIB, 100 * MIB),
            "a whole one counts as any"
        );
        drop(whole);
    }

    // Conformance: broker/input-5
    #[test]
    fn of_those_that_hold_all_memory_one_at_a_time_goes_on() {
        let intake = Intake::new(4 * MEMORY_UNIT_BYTES);
        let [mut first, mut second, mut new]: [InFlight; 3] = Default::default();
        assert!(at_once(&intake, &mut first, 2 * MEMORY_UNIT_BYTES, 0));
        assert!(at_once(&intake, &mut second, 2 * MEMORY_UNIT_BYTES, 0));
        assert!(!at_once(&intake, &mut new, 1, 0), "nobody new is let in");
        assert!(at_once(&intake, &mut first, 4 * MEMORY_UNIT_BYTES, 0));
        assert!(!at_once(&intake, &mut second, 4 * MEMORY_UNIT_BYTES, 0));
        drop(first);
        assert!(at_once(&intake, &mut second, 4 * MEMORY_UNIT_BYTES, 0));
    }

    #[test]
    fn a_frame_takes_its_part_and_the_rest_stays_counted() {
        let intake = Intake::new(4 * MEMORY_UNIT_BYTES);
        let mut held = InFlight::default();
        assert!(at_once(&intake, &mut held, 4 * MEMORY_UNIT_BYTES, 0));
        let frame = held.split(MEMORY_UNIT_BYTES);
        assert_eq!(intake.all.free.available_permits(), 0);
        drop(frame);
        assert_eq!(intake.all.free.available_permits(), 1);
        held.shrink(MEMORY_UNIT_BYTES);
        assert_eq!(intake.all.free.available_permits(), 3);
        held.shrink(0);
        assert_eq!(intake.all.free.available_permits(), 4);
    }

    #[test]
    fn who_wants_more_than_there_is_gets_all_of_it() {
        let intake = Intake::new(4 * MEMORY_UNIT_BYTES);
        let mut held = InFlight::default();
        assert!(at_once(&intake, &mut held, 100 * MIB, 100 * MIB));
        assert!(held.uncounted.is_none());
    }
}
