//! Topics, their configs and decisions, the cluster's identity and its producer ids.
//!
//! The database is the truth; requests read an immutable [`Cluster`] snapshot of it. A change is
//! written first and becomes visible after. Knows nothing of the log: callers create and delete
//! partitions there.

pub(crate) mod alter;
pub(crate) mod broker_config;
pub(crate) mod cluster;
mod config_kind;
pub(crate) mod create;
pub(crate) mod effective_config;
mod store;
pub(crate) mod topic_config;
mod transaction;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use avouch_contract::Decision;
use avouch_protocol::types::{ProducerId, TimestampMs, TopicId};
use thiserror::Error;
use tokio::sync::Mutex;
use uuid::Uuid;

pub(crate) use alter::{AlterError, Alteration};
pub(crate) use broker_config::{BrokerConfigs, Scope};
pub(crate) use cluster::{Cluster, Topic};
pub(crate) use create::{CreateError, CreateRules, Creation, TopicRequest};
pub(crate) use store::StoreError;
use store::{Store, TopicRow};
use topic_config::ConfigError;

/// Producer ids taken from the database at a time. A crash loses the rest of a block: ids are
/// never handed out twice.
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// Under which the configs of all brokers are kept.
const CLUSTER_SCOPE: &str = "cluster";

/// Why a change of the metadata failed.
#[derive(Debug, Error)]
pub(crate) enum MetadataError {
    /// The request breaks a rule.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The configs cannot be changed like that.
    #[error(transparent)]
    Alter(#[from] AlterError),
    /// There is no such topic.
    #[error("there is no such topic")]
    UnknownTopic,
    /// Too many partitions were made and deleted lately; there is room again in `wait_ms`.
    #[error("the limit on partitions made and deleted is exceeded; try again in {wait_ms} ms")]
    Throttled {
        /// How long to wait, in ms.
        wait_ms: u64,
    },
    /// The same, for a request that waited as long as it may.
    #[error("the limit on partitions made and deleted left no room in time, nor in {wait_ms} ms")]
    NotInTime {
        /// How much longer it would have been, in ms.
        wait_ms: u64,
    },
    /// The database failed; nothing changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The metadata of this cluster.
#[derive(Debug)]
pub(crate) struct Metadata {
    store: Store,
    cluster_id: String,
    rules: CreateRules,
    snapshot: RwLock<Arc<Cluster>>,
    /// Held over every change, so that decide, write and publish are one step.
    change: Mutex<()>,
    producer_ids: Mutex<std::ops::Range<i64>>,
}

impl Metadata {
    /// Opens the database at `path`, creating it with a new cluster id when there is none.
    /// `started` is what topics fall back to below whatever was changed while brokers ran.
    ///
    /// # Errors
    /// When the database cannot be opened or read, or holds what `started` contradicts.
    pub(crate) async fn open(
        path: &Path,
        rules: CreateRules,
        started: BTreeMap<String, String>,
    ) -> Result<Self, StoreError> {
        let store = Store::open(path).await?;
        let cluster_id = store
            .fact_or_insert("cluster_id", &new_cluster_id())
            .await?;
        let configs = BrokerConfigs {
            started,
            cluster: store.broker_configs(CLUSTER_SCOPE).await?,
            broker: store.broker_configs(&rules.node_id.to_string()).await?,
        };
        configs.check()?;
        let mut cluster = Cluster::new(configs.clone());
        for row in store.topics().await? {
            check_contract(&row.name, &row.configs, &configs)?;
            let revision = Arc::new(AtomicU64::new(1));
            cluster.put(Arc::new(Topic::new(row, revision, &configs)));
        }
        Ok(Self {
            store,
            cluster_id,
            rules,
            snapshot: RwLock::new(Arc::new(cluster)),
            change: Mutex::new(()),
            producer_ids: Mutex::new(0..0),
        })
    }

    /// The cluster's id: 22 characters, the same for the life of the data directory.
    #[must_use]
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The topics of this moment.
    #[must_use]
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ids of deleted topics, whose data may still lie on disk after a crash.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn tombstones(&self) -> Result<Vec<TopicId>, StoreError> {
        self.store.tombstones().await
    }

    /// Creates a topic; `validate_only` stops before anything is written. `prepare` runs between
    /// the row's write and the topic's appearance: it makes the partitions.
    ///
    /// # Errors
    /// When a rule is broken or the database fails.
    pub(crate) async fn create(
        &self,
        request: &TopicRequest,
        validate_only: bool,
        now: TimestampMs,
        prepare: impl FnOnce(&Topic),
    ) -> Result<(Arc<Topic>, Creation), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let creation = create::decide(request, &cluster, self.rules)?;
        let row = TopicRow {
            id: TopicId(Uuid::new_v4()),
            name: request.name.clone(),
            partition_count: creation.partition_count,
            configs: request.configs.clone(),
            key_decision: String::new(),
            value_decision: String::new(),
        };
        let revision = Arc::new(AtomicU64::new(1));
        let topic = Arc::new(Topic::new(row, revision, cluster.broker_configs()));
        if validate_only {
            return Ok((topic, creation));
        }
        self.store.insert(&topic.row, now).await?;
        prepare(&topic);
        self.publish(|cluster| cluster.put(Arc::clone(&topic)));
        Ok((topic, creation))
    }

    /// Deletes a topic: afterwards nobody finds it, and a tombstone says its data is garbage.
    ///
    /// # Errors
    /// When there is no such topic or the database fails.
    pub(crate) async fn delete(
        &self,
        id: TopicId,
        now: TimestampMs,
    ) -> Result<Arc<Topic>, MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic_by_id(id).ok_or(MetadataError::UnknownTopic)?;
        self.store.delete(&topic.row, now).await?;
        self.publish(|cluster| cluster.remove(topic));
        Ok(Arc::clone(topic))
    }

    /// Records what `auto` comes to for a topic's keys and values, for good, and raises the
    /// contract's revision. Decisions already made stay.
    ///
    /// `decision` is asked a last time when the revision is raised already: whatever the log holds
    /// then is all that was placed in it under an earlier contract.
    ///
    /// # Errors
    /// When there is no such topic or the database fails.
    pub(crate) async fn decide(
        &self,
        id: TopicId,
        decision: impl Fn() -> (Decision, Decision),
    ) -> Result<Arc<Topic>, MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic_by_id(id).ok_or(MetadataError::UnknownTopic)?;
        if with_decision(&topic.row, decision()) == topic.row {
            // Another request was faster.
            return Ok(Arc::clone(topic));
        }
        topic.revision.fetch_add(1, Ordering::AcqRel);
        let row = with_decision(&topic.row, decision());
        let (key, value) = (&row.key_decision, &row.value_decision);
        let stored = self.store.decide(id, key, value).await;
        let row = if stored.is_ok() {
            row
        } else {
            topic.row.clone()
        };
        // Even if nothing was decided: verdicts have to be reached under the raised revision.
        let decided = self.put_successor(topic, row);
        stored?;
        Ok(decided)
    }

    /// Changes a topic's configs; `validate_only` stops before anything is written.
    ///
    /// # Errors
    /// When there is no such topic, the configs cannot be changed like that, or the database fails.
    pub(crate) async fn alter_topic(
        &self,
        name: &str,
        alteration: &Alteration,
        validate_only: bool,
    ) -> Result<(), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic(name).ok_or(MetadataError::UnknownTopic)?;
        let configs = alteration.apply(&topic.row.configs, topic_config::kind_and_default)?;
        topic_config::check(&configs, cluster.broker_configs()).map_err(AlterError::from)?;
        if validate_only || configs == topic.row.configs {
            return Ok(());
        }
        self.store.set_topic_configs(topic.id(), &configs).await?;
        let mut row = topic.row.clone();
        row.configs = configs;
        self.put_successor(topic, row);
        Ok(())
    }

    /// Changes broker configs, and with them what topics fall back to; `validate_only` stops before
    /// anything is written.
    ///
    /// # Errors
    /// When the configs cannot be changed like that, would contradict a topic's, or the database
    /// fails.
    pub(crate) async fn alter_broker(
        &self,
        scope: Scope,
        alteration: &Alteration,
        validate_only: bool,
    ) -> Result<(), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let configs = decide_broker_configs(&cluster, scope, alteration)?;
        if validate_only || configs == *cluster.broker_configs() {
            return Ok(());
        }
        let scope_name = match scope {
            Scope::Cluster => CLUSTER_SCOPE.to_owned(),
            Scope::Broker => self.rules.node_id.to_string(),
        };
        self.store
            .set_broker_configs(&scope_name, configs.scope(scope))
            .await?;
        self.publish(|cluster| cluster.set_broker_configs(configs));
        Ok(())
    }

    /// Gives a topic more partitions, `count` in all; `validate_only` stops before anything is
    /// written. `assignments` names the replicas of each new one. `prepare` runs between the row's
    /// write and the partitions' appearance: it makes them.
    ///
    /// # Errors
    /// When there is no such topic, a rule is broken or the database fails.
    pub(crate) async fn grow(
        &self,
        name: &str,
        count: i32,
        assignments: Option<&[Vec<i32>]>,
        validate_only: bool,
        prepare: impl FnOnce(&Topic),
    ) -> Result<(), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic(name).ok_or(MetadataError::UnknownTopic)?;
        let mut row = topic.row.clone();
        row.partition_count = create::grown(topic, count, &cluster, self.rules)?;
        if let Some(assignments) = assignments {
            let new = row.partition_count - topic.row.partition_count;
            create::check_new_assignments(assignments, new, self.rules.node_id)?;
        }
        if validate_only {
            return Ok(());
        }
        self.store.set_partition_count(topic.id(), count).await?;
        let grown = Arc::new(topic.successor(row, cluster.broker_configs()));
        prepare(&grown);
        self.publish(|cluster| cluster.put(grown));
        Ok(())
    }

    /// A producer id that was never handed out before, not even before a crash.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn next_producer_id(&self) -> Result<ProducerId, StoreError> {
        const FACT: &str = "next_producer_id";
        let mut block = self.producer_ids.lock().await;
        if block.is_empty() {
            let first = self.store.take_ids(FACT, PRODUCER_ID_BLOCK).await?;
            *block = first..first.saturating_add(PRODUCER_ID_BLOCK);
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId(id))
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    /// Replaces a topic's snapshot by that of its new row.
    fn put_successor(&self, topic: &Topic, row: TopicRow) -> Arc<Topic> {
        let successor = topic.successor(row, self.cluster().broker_configs());
        let successor = Arc::new(successor);
        self.publish(|cluster| cluster.put(Arc::clone(&successor)));
        successor
    }

    fn publish(&self, change: impl FnOnce(&mut Cluster)) {
        let mut snapshot = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut snapshot));
    }
}

/// What the broker configs become, after everything that rests on them was checked.
fn decide_broker_configs(
    cluster: &Cluster,
    scope: Scope,
    alteration: &Alteration,
) -> Result<BrokerConfigs, AlterError> {
    for name in alteration.names() {
        if broker_config::changeable(name).is_some() {
            continue;
        }
        return Err(if broker_config::exists(name) {
            AlterError::ReadOnly(name.to_owned())
        } else {
            let reason = "there is no such broker config".to_owned();
            let name = name.to_owned();
            AlterError::Config(ConfigError { name, reason })
        });
    }
    let before = cluster.broker_configs();
    let changed = alteration.apply(before.scope(scope), broker_config::changeable)?;
    let configs = before.with(scope, changed);
    configs.check()?;
    for topic in cluster.topics() {
        check_contract(topic.name(), &topic.row.configs, &configs)?;
    }
    Ok(configs)
}

/// Whether a topic's contract still makes sense over other defaults.
fn check_contract(
    topic: &str,
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<(), ConfigError> {
    topic_config::contract(configs, defaults)
        .map(|_| ())
        .map_err(|mut error| {
            error.reason = format!("topic {topic}: {}", error.reason);
            error
        })
}

/// The row with what is open in it decided.
fn with_decision(row: &TopicRow, (key, value): (Decision, Decision)) -> TopicRow {
    let decided = |held: &String, decision: Decision| match held.as_str() {
        "" => decision.to_string(),
        held => held.to_owned(),
    };
    TopicRow {
        key_decision: decided(&row.key_decision, key),
        value_decision: decided(&row.value_decision, value),
        ..row.clone()
    }
}

/// A random cluster id in Kafka's form: 16 bytes as URL-safe Base64 without padding.
fn new_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = Uuid::new_v4().as_u128();
    // 22 digits of 6 bits hold 132 bits: the last digit is padded with four zero bits.
    (0..22)
        .map(|digit| {
            let sextet = if digit < 21 {
                (bits >> (122 - 6 * digit)) & 63
            } else {
                (bits & 3) << 4
            };
            char::from(ALPHABET[usize::try_from(sextet).unwrap_or(0) & 63])
        })
        .collect()
}

#[cfg(test)]
mod tests {

    use super::*;

    const RULES: CreateRules = CreateRules {
        default_partition_count: 1,
        partitions_max: 100,
        strict_replication: false,
        node_id: 1,
    };

    fn named(name: &str) -> TopicRequest {
        TopicRequest {
            name: name.to_owned(),
            partition_count: 2,
            replication_factor: 1,
            ..TopicRequest::default()
        }
    }

    #[tokio::test]
    async fn identity_topics_and_producer_ids_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.sqlite");
        let first = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        let (topic, _) = first
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        let (gone, _) = first
            .create(&named("gone"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        first.delete(gone.id(), TimestampMs(2)).await.unwrap();
        let id = first.next_producer_id().await.unwrap();

        // The first is not closed: a crash looks the same.
        let second = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        assert_eq!(second.cluster_id(), first.cluster_id());
        assert_eq!(second.cluster_id().len(), 22);
        assert_eq!(second.cluster().topic("t").unwrap().id(), topic.id());
        assert!(second.cluster().topic("gone").is_none());
        assert_eq!(second.tombstones().await.unwrap(), [gone.id()]);
        assert!(second.next_producer_id().await.unwrap().0 > id.0 + 900);
    }

    #[tokio::test]
    async fn a_name_is_taken_once_and_comes_back_with_another_id() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&dir.path().join("m.sqlite"), RULES, BTreeMap::new())
            .await
            .unwrap();
        let (topic, _) = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        let again = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await;
        assert!(matches!(
            again,
            Err(MetadataError::Create(CreateError::Exists(_)))
        ));
        metadata.delete(topic.id(), TimestampMs(2)).await.unwrap();
        let (reborn, _) = metadata
            .create(&named("t"), false, TimestampMs(3), |_| ())
            .await
            .unwrap();
        assert_ne!(reborn.id(), topic.id());
    }

    #[tokio::test]
    async fn validate_only_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&dir.path().join("m.sqlite"), RULES, BTreeMap::new())
            .await
            .unwrap();
        metadata
            .create(&named("t"), true, TimestampMs(1), |_| ())
            .await
            .unwrap();
        assert!(metadata.cluster().topic("t").is_none());
    }

    // Conformance: log/18
    #[tokio::test]
    async fn auto_is_decided_by_what_the_log_holds_once_no_earlier_verdict_counts() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&dir.path().join("m.sqlite"), RULES, BTreeMap::new())
            .await
            .unwrap();
        let (topic, _) = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        let before = topic.revision.load(Ordering::Acquire);
        // A batch gets its offset just before the revision is raised.
        let decision = || match topic.revision.load(Ordering::Acquire) == before {
            true => (Decision::Undecided, Decision::Payload),
            false => (Decision::Undecided, Decision::PayloadShadow),
        };
        let decided = metadata.decide(topic.id(), decision).await.unwrap();
        let shadow = Decision::PayloadShadow.to_string();
        assert_eq!(decided.row.value_decision, shadow);
        let revision = topic.revision.load(Ordering::Acquire);
        assert_eq!(decided.policy.revision, revision, "verdicts under it count");
    }

    #[tokio::test]
    async fn a_decision_of_auto_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sqlite");
        let metadata = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        let (topic, _) = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        let before = topic.revision.load(Ordering::Acquire);
        metadata
            .decide(topic.id(), || (Decision::Undecided, Decision::Payload))
            .await
            .unwrap();
        let decided = topic.revision.load(Ordering::Acquire);
        let later = metadata
            .decide(topic.id(), || {
                (Decision::Undecided, Decision::PayloadShadow)
            })
            .await
            .unwrap();
        assert_eq!(later.row.value_decision, Decision::Payload.to_string());
        assert!(decided > before);
        let again = later.revision.load(Ordering::Acquire);
        assert_eq!(
            again, decided,
            "verdicts under the decided contract stay good"
        );
        let reopened = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        let row = &reopened.cluster().topic("t").unwrap().row.clone();
        assert_eq!(row.value_decision, Decision::Payload.to_string());
        assert_eq!(row.key_decision, "");
    }
}
