//! Who waits for which partition: long-polling fetches, woken by appends and by nothing else.
//!
//! A waiter registers before it reads, so an append between its read and its wait still wakes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use avouch_protocol::types::TopicPartition;
use dashmap::DashMap;
use tokio::sync::Notify;

/// All registered waiters, by partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    partitions: DashMap<TopicPartition, HashMap<u64, Arc<Notify>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
}

/// A place in the queue of some partitions; leaves them all when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    waiters: Arc<Waiters>,
    partitions: Vec<TopicPartition>,
    id: u64,
    wake: Arc<Notify>,
}

impl Waiters {
    /// Registers for every one of `partitions`.
    pub(crate) fn register(self: &Arc<Self>, partitions: Vec<TopicPartition>) -> Registration {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let wake = Arc::new(Notify::new());
        for partition in &partitions {
            self.partitions
                .entry(*partition)
                .or_default()
                .insert(id, Arc::clone(&wake));
        }
        Registration {
            waiters: Arc::clone(self),
            partitions,
            id,
            wake,
        }
    }

    /// Wakes whoever waits for one of `partitions`.
    pub(crate) fn wake(&self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(waiting) = self.partitions.get(partition) {
                waiting.values().for_each(|wake| wake.notify_one());
            }
        }
    }

    /// Wakes everybody, for good: the broker stops.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for waiting in &self.partitions {
            waiting.values().for_each(|wake| wake.notify_one());
        }
    }
}

impl Registration {
    /// Returns at the next append to a partition of the registration, or at once when there was one
    /// since the last return. False when the broker stops and nothing more will come.
    pub(crate) async fn wait(&self) -> bool {
        if !self.waiters.closed.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
        !self.waiters.closed.load(Ordering::Acquire)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for partition in &self.partitions {
            self.waiters
                .partitions
                .remove_if_mut(partition, |_, waiting| {
                    waiting.remove(&self.id);
                    waiting.is_empty()
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::{PartitionIndex, TopicId};
    use uuid::Uuid;

    use super::*;

    fn partition(index: i32) -> TopicPartition {
        TopicPartition {
            topic: TopicId(Uuid::nil()),
            partition: PartitionIndex(index),
        }
    }

    #[tokio::test]
    async fn an_append_between_registering_and_waiting_is_not_missed() {
        let waiters = Arc::new(Waiters::default());
        let registration = waiters.register(vec![partition(0), partition(1)]);
        waiters.wake(&[partition(1)]);
        assert!(registration.wait().await);
    }

    #[tokio::test]
    async fn closing_wakes_everybody_and_later_waits_return_at_once() {
        let waiters = Arc::new(Waiters::default());
        let registration = waiters.register(vec![partition(0)]);
        waiters.close();
        assert!(!registration.wait().await);
        assert!(!registration.wait().await);
    }

    #[test]
    fn a_dropped_registration_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        drop(waiters.register(vec![partition(0), partition(1)]));
        assert!(waiters.partitions.is_empty());
    }
}
