//! Delayed operations: requests that wait until partitions change, as in Kafka's
//! `DelayedOperationPurgatory`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use avouch_net::MemoryPool;
use avouch_protocol::types::TopicPartition;
use dashmap::DashMap;
use tokio::sync::Notify;

/// An operation that completes once its partitions have changed enough.
pub(crate) trait DelayedOperation {
    /// Returns the partitions whose changes may complete the operation.
    fn partitions(&self) -> Vec<TopicPartition>;

    /// Returns the approximate memory of the operation while it waits, in bytes.
    fn memory_bytes(&self) -> usize;

    /// Attempts to complete the operation; returns true if it is complete.
    fn try_complete(&mut self) -> impl Future<Output = bool> + Send;
}

/// The waiting operations, by partition.
#[derive(Debug)]
pub(crate) struct Purgatory {
    watchers: DashMap<TopicPartition, HashMap<u64, Arc<Notify>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
    memory: MemoryPool,
}

/// An operation's entry below each of its partitions, removed on drop.
#[derive(Debug)]
struct Watcher<'a> {
    purgatory: &'a Purgatory,
    partitions: Vec<TopicPartition>,
    id: u64,
    changed: Arc<Notify>,
}

impl Purgatory {
    /// Creates a purgatory whose operations hold up to `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            watchers: DashMap::default(),
            next_id: AtomicU64::default(),
            closed: AtomicBool::default(),
            memory: MemoryPool::new(bytes_max),
        }
    }

    /// Attempts to complete `operation`, now and after each change of its partitions, and returns
    /// when it is complete, after `timeout`, or when the purgatory is closed. Without memory to
    /// wait, it returns after the first attempt.
    pub(crate) async fn try_complete_else_wait(
        &self,
        operation: &mut (impl DelayedOperation + Send),
        timeout: Duration,
    ) {
        if operation.try_complete().await {
            return;
        }
        let Some(_permit) = self.memory.try_reserve(operation.memory_bytes()) else {
            return;
        };
        let watcher = self.watch(operation.partitions());
        let completed = async {
            // A change between the first attempt and the registration notified no watcher, so the
            // loop starts with another attempt.
            while !operation.try_complete().await && watcher.wait().await {}
        };
        // After the timeout the operation ends with what it has.
        drop(tokio::time::timeout(timeout, completed).await);
    }

    /// Wakes the operations that wait for one of `partitions`.
    pub(crate) fn check_and_complete(&self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(watchers) = self.watchers.get(partition) {
                watchers.values().for_each(|changed| changed.notify_one());
            }
        }
    }

    /// Ends all operations, present and future: the broker stops.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for watchers in &self.watchers {
            watchers.values().for_each(|changed| changed.notify_one());
        }
    }

    fn watch(&self, partitions: Vec<TopicPartition>) -> Watcher<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let changed = Arc::new(Notify::new());
        for partition in &partitions {
            self.watchers
                .entry(*partition)
                .or_default()
                .insert(id, Arc::clone(&changed));
        }
        Watcher {
            purgatory: self,
            partitions,
            id,
            changed,
        }
    }
}

impl Watcher<'_> {
    /// Waits for the next change of a watched partition; returns at once if there was one since the
    /// last return. Returns false when the purgatory is closed.
    async fn wait(&self) -> bool {
        let is_closed = || self.purgatory.closed.load(Ordering::Acquire);
        // `notify_one` stores a permit if the watcher is not waiting, so a change or the closing
        // between this check and the wait is not missed.
        if !is_closed() {
            self.changed.notified().await;
        }
        !is_closed()
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        for partition in &self.partitions {
            // Removing an empty map under its lock: a concurrent `watch` inserts before or after.
            let watchers = &self.purgatory.watchers;
            watchers.remove_if_mut(partition, |_, watchers| {
                watchers.remove(&self.id);
                watchers.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::{PartitionIndex, TopicId};
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn partition(index: i32) -> TopicPartition {
        TopicPartition {
            topic: TopicId(Uuid::nil()),
            partition: PartitionIndex(index),
        }
    }

    fn purgatory() -> Purgatory {
        Purgatory::new(1 << 20)
    }

    /// An operation on two partitions that completes at the attempt of this number.
    struct Attempts(u32);

    impl DelayedOperation for Attempts {
        fn partitions(&self) -> Vec<TopicPartition> {
            vec![partition(0), partition(1)]
        }

        fn memory_bytes(&self) -> usize {
            1
        }

        async fn try_complete(&mut self) -> bool {
            self.0 -= 1;
            self.0 == 0
        }
    }

    #[tokio::test]
    async fn change_before_waiting_is_not_missed() {
        let purgatory = purgatory();
        let watcher = purgatory.watch(vec![partition(0), partition(1)]);
        purgatory.check_and_complete(&[partition(1)]);
        assert!(watcher.wait().await);
    }

    #[tokio::test]
    async fn closing_ends_present_and_later_waits() {
        let purgatory = purgatory();
        let watcher = purgatory.watch(vec![partition(0)]);
        purgatory.close();
        assert!(!watcher.wait().await);
        assert!(!watcher.wait().await);
    }

    #[tokio::test]
    async fn operation_completes_after_a_change() {
        let purgatory = purgatory();
        let mut operation = Attempts(3);
        let mut waiting =
            Box::pin(purgatory.try_complete_else_wait(&mut operation, Duration::from_secs(3_600)));
        assert!(waiting.as_mut().now_or_never().is_none());
        purgatory.check_and_complete(&[partition(1)]);
        waiting.await;
        assert_eq!(operation.0, 0);
        assert!(purgatory.watchers.is_empty(), "the watcher is removed");
    }

    #[tokio::test]
    async fn operation_without_memory_does_not_wait() {
        let purgatory = Purgatory::new(0);
        let mut operation = Attempts(3);
        let waiting = purgatory.try_complete_else_wait(&mut operation, Duration::MAX);
        assert!(waiting.now_or_never().is_some());
        assert_eq!(operation.0, 2, "one attempt");
    }
}
