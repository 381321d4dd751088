//! What the broker does for its data without being asked: retention, compaction, expiry of
//! producers, and the syncs that topics ask for in mode `os`. Decides nothing; the log does.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use avouch_log::{Durability, Log};
use avouch_protocol::types::TopicId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::metadata::Topic;
use crate::node::Node;

/// How often it is looked whether a topic asks for syncs.
const LOOK: Duration = Duration::from_secs(1);

/// Tells the log what a topic's configs say about its partitions. Cheap, and the same as often as
/// it is done.
pub(crate) fn configure(log: &Log, topic: &Topic) {
    for partition in topic.partitions() {
        log.configure(partition, topic.settings.log);
    }
}

/// The same for every topic, after a change of what topics fall back to.
pub(crate) fn configure_all(node: &Node) {
    for topic in node.metadata.cluster().topics() {
        configure(&node.log, topic);
    }
}

/// Begins it; all of it ends with `stopping`.
pub(crate) fn start(node: &Arc<Node>, stopping: &watch::Receiver<bool>) -> [JoinHandle<()>; 2] {
    [
        tokio::spawn(look_after(Arc::clone(node), stopping.clone())),
        tokio::spawn(flush(Arc::clone(node), stopping.clone())),
    ]
}

/// Looks after every partition, again and again.
async fn look_after(node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(node.config.retention_check) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let tombstones = node.metadata.tombstones().await.unwrap_or_else(|error| {
            warn!(%error, "deleted topics not known");
            Vec::new()
        });
        let tombstones = tombstones.into_iter().collect();
        let (round, stop) = (Arc::clone(&node), stop.clone());
        let done = tokio::task::spawn_blocking(move || {
            delete_leftovers(&round.log, &tombstones);
            look_around(&round, &stop);
        });
        if let Err(error) = done.await {
            error!(%error, "maintenance failed");
        }
    }
}

/// Deletes what the log still has of deleted topics: a full disk may have refused that before.
pub(crate) fn delete_leftovers(log: &Log, tombstones: &HashSet<TopicId>) {
    let known = log.known_partitions().into_iter();
    let left: BTreeSet<_> = known
        .map(|partition| partition.topic)
        .filter(|topic| tombstones.contains(topic))
        .collect();
    for topic in left {
        if let Err(error) = log.delete_topic(topic) {
            error!(%topic, %error, "data of a deleted topic not deleted");
        }
    }
}

fn look_around(node: &Node, stop: &watch::Receiver<bool>) {
    for topic in node.metadata.cluster().topics() {
        for partition in topic.partitions() {
            if *stop.borrow() {
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
                Err(error) => {
                    warn!(topic = topic.name(), %partition, %error, "maintenance failed");
                }
            }
        }
    }
}

/// In mode `os`: syncs as often as the topic with the least `flush.ms` asks for.
async fn flush(node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    match node.config.durability {
        Durability::Fsync => return,
        Durability::Os => {}
    }
    loop {
        let asked = least_flush(&node);
        tokio::select! {
            () = tokio::time::sleep(asked.unwrap_or(LOOK).min(LOOK)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if asked.is_some() {
            node.log.sync();
        }
    }
}

fn least_flush(node: &Node) -> Option<Duration> {
    let cluster = node.metadata.cluster();
    let asked = cluster.topics().map(|topic| topic.settings.flush_ms);
    let least = asked.filter(|ms| *ms < i64::MAX).min()?;
    let least = u64::try_from(least).unwrap_or(0).max(1);
    Some(Duration::from_millis(least))
}
