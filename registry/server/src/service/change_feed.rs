//! The changes of all nodes: invalidation of caches, and the feed that remote brokers poll.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};
use std::time::Duration;

use avouch_registry_api::freshness::{Changed, Freshness};
use avouch_registry_api::rest::ChangesBody;
use avouch_registry_api::types::SchemaId;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::decide::subject::DEFAULT_CONTEXT;
use crate::error::RegistryError;
use crate::service::Service;
use crate::store::changes::{self, Changes};

/// The changes that this node has applied.
#[derive(Debug)]
pub(super) struct ChangeFeed {
    /// The change sequence number up to which changes are applied. Locked while changes are read
    /// and applied, so that they are applied in order.
    applied: Mutex<u64>,
    /// The same number, for those that wait for a change.
    announced: watch::Sender<u64>,
    freshness: Arc<Freshness>,
    /// Identifies this process.
    instance: Uuid,
    /// Number of times that the database may have been replaced since the process started.
    resets: AtomicU64,
}

impl ChangeFeed {
    /// Creates a feed that has applied changes up to `seq`. `is_exclusive` states that only this
    /// process changes the database.
    pub(super) fn new(is_exclusive: bool, seq: u64) -> Self {
        Self {
            applied: Mutex::new(seq),
            announced: watch::Sender::new(seq),
            freshness: Arc::new(Freshness::new(is_exclusive, seq)),
            instance: Uuid::new_v4(),
            resets: AtomicU64::new(0),
        }
    }

    /// Returns the change sequence number once it is above `since`, or when `timeout` has passed.
    async fn changed(&self, since: u64, timeout: Duration) -> u64 {
        // Subscribed before the number is read, so that no change in between is missed.
        let mut announced = self.announced.subscribe();
        let changed = announced.wait_for(|&seq| seq > since);
        // Timeout and change lead to the same response.
        let _either = tokio::time::timeout(timeout, changed).await;
        *self.announced.borrow()
    }
}

impl Service {
    /// Returns the changes that this node has applied.
    pub(crate) fn freshness(&self) -> &Arc<Freshness> {
        &self.feed.freshness
    }

    /// Applies the changes up to at least `seq`, which has been committed.
    pub(super) async fn apply_changes(&self, seq: u64) {
        let mut applied = self.feed.applied.lock().await;
        if *applied >= seq {
            return;
        }
        let changes = self.changes_since(*applied).await;
        // The commit has been made, so an unknown change invalidates everything.
        let changes = changes.unwrap_or(Changes::everything(seq));
        // A snapshot may include later commits than this one; their own calls then return early.
        *applied = changes.seq.max(seq);
        self.announce(*applied, &changes);
    }

    /// Reads and applies the changes of all nodes. `may_be_restored` states that the connection to
    /// the database was lost, so that the database may have been restored from a backup meanwhile.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn catch_up(&self, may_be_restored: bool) -> Result<(), RegistryError> {
        let mut applied = self.feed.applied.lock().await;
        let mut changes = self.changes_since(*applied).await?;
        // The sequence of a database never decreases, except in an older copy of it.
        let is_restored = may_be_restored || changes.seq < *applied;
        if is_restored {
            changes = Changes::everything(changes.seq);
            self.feed.resets.fetch_add(1, atomic::Ordering::AcqRel);
        }
        if is_restored || changes.seq > *applied {
            *applied = changes.seq;
            self.announce(changes.seq, &changes);
        }
        Ok(())
    }

    /// Applies the changes of other nodes, for a response that must not be older.
    pub(crate) async fn catch_up_with_other_nodes(&self) {
        if !self.store.is_exclusive() {
            // Without its database a node serves what is cached; reconnecting invalidates all of
            // it.
            let _unreachable = self.catch_up(false).await;
        }
    }

    /// Invalidates what has changed, in this order: the caches of the registry, those of a broker
    /// in this process, and then the number that lets remote brokers query again.
    fn announce(&self, seq: u64, changes: &Changes) {
        self.cache.invalidate(changes);
        let ids = default_ids(changes);
        let changed = ids.as_deref().map_or(Changed::Any, Changed::Ids);
        self.feed.freshness.record(seq, changed);
        self.feed.announced.send_if_modified(|announced| {
            let is_changed = seq != *announced;
            *announced = seq;
            is_changed
        });
    }

    /// Waits for changes after `since`, at most for `timeout`, and returns them.
    pub(crate) async fn changes(&self, since: u64, timeout: Duration) -> ChangesBody {
        let seq = self.feed.changed(since, timeout).await;
        let ids = match seq.cmp(&since) {
            Ordering::Equal => Some(Vec::new()),
            Ordering::Less => None,
            // The database may be ahead of `seq`. Additional IDs cost a lookup each.
            Ordering::Greater => match self.changes_since(since).await {
                Ok(changes) => default_ids(&changes),
                Err(_unreachable) => None,
            },
        };
        let resets = self.feed.resets.load(atomic::Ordering::Acquire);
        ChangesBody {
            seq,
            instance: Some(format!("{}-{resets}", self.feed.instance)),
            ids,
        }
    }

    async fn changes_since(&self, seq: u64) -> Result<Changes, RegistryError> {
        let mut snapshot = self.store.engine.begin_probe().await?;
        Ok(changes::since(&mut snapshot, seq).await?)
    }
}

/// Returns the changed IDs of the default context, each once; `None` if any ID may have changed.
fn default_ids(changes: &Changes) -> Option<Vec<SchemaId>> {
    let ids = changes.ids.as_ref()?.iter();
    let ids = ids.filter(|(context, _)| context == DEFAULT_CONTEXT);
    let ids: BTreeSet<SchemaId> = ids.map(|(_, id)| *id).collect();
    Some(ids.into_iter().collect())
}
