//! Background tasks of the log: retention, compaction, expiry of producers, deletion of leftover
//! data, and `flush.ms`. The log makes the decisions.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use avouch_log::{Durability, Log, LogError};
use avouch_protocol::types::TopicId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::metadata::{Metadata, Topic};
use crate::metrics::BackgroundTask;
use crate::node::Node;

/// Interval at which `flush.ms` of all topics is read.
const FLUSH_CHECK: Duration = Duration::from_secs(1);

/// Applies a topic's configs to its partitions in the log. Cheap and idempotent.
pub(crate) fn configure(log: &Log, topic: &Topic) {
    for partition in topic.partitions() {
        log.configure(partition, topic.settings.log);
    }
}

/// Applies the configs of every topic, after the defaults of topics have changed.
pub(crate) fn configure_all(metadata: &Metadata, log: &Log) {
    for topic in metadata.cluster().topics() {
        configure(log, topic);
    }
}

/// Spawns the background tasks. They stop when `stopping` becomes true.
pub(crate) fn start(node: &Arc<Node>, stopping: &watch::Receiver<bool>) -> [JoinHandle<()>; 2] {
    [
        tokio::spawn(maintain(Arc::clone(node), stopping.clone())),
        tokio::spawn(flush(Arc::clone(node), stopping.clone())),
    ]
}

/// Maintains all partitions every `log.retention.check.interval.ms`.
async fn maintain(node: Arc<Node>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(node.config.retention_check) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let tombstones = node.metadata.tombstones().await.unwrap_or_else(|error| {
            warn!(%error, "cannot read deleted topics");
            Vec::new()
        });
        let tombstones = tombstones.into_iter().collect();
        let (maintained, stopping) = (Arc::clone(&node), stopping.clone());
        // Compaction reads and writes files.
        let pass = tokio::task::spawn_blocking(move || {
            delete_leftovers(&maintained.log, &tombstones);
            maintain_partitions(&maintained, &stopping);
        });
        if let Err(error) = pass.await {
            error!(%error, "maintenance failed");
        }
    }
}

/// Deletes the remaining data of deleted topics; an earlier deletion may have failed, such as on a
/// full disk.
pub(crate) fn delete_leftovers(log: &Log, tombstones: &HashSet<TopicId>) {
    let known = log.known_partitions().into_iter();
    let leftovers: BTreeSet<_> = known
        .map(|partition| partition.topic)
        .filter(|topic| tombstones.contains(topic))
        .collect();
    for topic in leftovers {
        if let Err(error) = log.delete_topic(topic) {
            error!(%topic, %error, "cannot delete the data of a deleted topic");
        }
    }
}

fn maintain_partitions(node: &Node, stopping: &watch::Receiver<bool>) {
    let mut failures = 0_u64;
    for topic in node.metadata.cluster().topics() {
        for partition in topic.partitions() {
            // A pass over thousands of partitions would delay the shutdown.
            if *stopping.borrow() {
                return;
            }
            match node.log.maintain(partition, node.clock.now()) {
                Ok(done) => {
                    if let Some(compacted) = done.compacted {
                        let before = compacted.bytes_before;
                        let saved = before.saturating_sub(compacted.bytes_after);
                        node.metrics.compacted_bytes.inc_by(saved);
                    }
                    node.metrics.retired_bytes.inc_by(done.deleted.bytes);
                }
                Err(error) if !is_failure(&error) => {}
                Err(error) => {
                    failures += 1;
                    // A full disk fails for every partition, so one line per pass is enough.
                    if failures == 1 {
                        warn!(topic = topic.name(), %partition, %error, "maintenance failed");
                    }
                }
            }
        }
    }
    if failures > 0 {
        node.metrics
            .count_background_failures(BackgroundTask::Maintenance, failures);
    }
    if failures > 1 {
        warn!(
            failures,
            "maintenance failed for further partitions; the next pass retries"
        );
    }
}

/// Returns false if the partition was deleted during the pass, which needs no warning.
fn is_failure(error: &LogError) -> bool {
    !matches!(error, LogError::UnknownPartition)
}

/// Syncs the log at the interval of the topic with the lowest `flush.ms`, in durability mode `os`.
async fn flush(node: Arc<Node>, mut stopping: watch::Receiver<bool>) {
    match node.config.durability {
        // Every acknowledged batch is synced already.
        Durability::Fsync => return,
        Durability::Os => {}
    }
    loop {
        let interval = min_flush_interval(&node);
        // Shorter than a long `flush.ms`, since a config change may lower it.
        tokio::select! {
            () = tokio::time::sleep(interval.unwrap_or(FLUSH_CHECK).min(FLUSH_CHECK)) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        if interval.is_some() {
            node.log.sync();
        }
    }
}

fn min_flush_interval(node: &Node) -> Option<Duration> {
    let cluster = node.metadata.cluster();
    let flush_ms = cluster.topics().map(|topic| topic.settings.flush_ms);
    // Long.MAX_VALUE is Kafka's default and means never.
    let min = flush_ms.filter(|ms| *ms < i64::MAX).min()?;
    // 0 means after every write; a sync per millisecond is the shortest interval here.
    let min = u64::try_from(min).unwrap_or(0).max(1);
    Some(Duration::from_millis(min))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/12
    #[test]
    fn deleted_partitions_are_no_failures() {
        assert!(!is_failure(&LogError::UnknownPartition));
        assert!(is_failure(&LogError::StorageFailed("full".to_owned())));
    }
}
