//! Topics with their configs and contract decisions, broker configs, cluster id and producer ids.
//!
//! Requests read an immutable [`Cluster`] snapshot of the database. A change is durable before it
//! becomes visible in the snapshot. The module does not import the log: its callers create and
//! delete partitions there.

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
pub(crate) use cluster::{Cluster, Topic, TopicKey};
pub(crate) use create::{CreateError, CreateRules, Creation, TopicRequest};
pub use store::StoreError;
use store::{Store, TopicRow};
use topic_config::ConfigError;
pub(crate) use topic_config::{BATCH_DECOMPRESSED_BYTES, RECORD_DECOMPRESSED_BYTES};

/// Number of producer ids that one transaction allocates. A crash loses the rest of a block, so
/// that no id is returned twice.
const PRODUCER_ID_BLOCK: i64 = 1_000;
/// The fact with the next producer id to allocate.
const NEXT_PRODUCER_ID: &str = "next_producer_id";
/// Number of producer ids that a copy of the metadata skips. A broker assigns fewer between its
/// last backup and its loss, so none of them is assigned again.
const PRODUCER_IDS_SKIPPED: i64 = 1_000_000_000;

/// The database in the data directory.
pub const METADATA_FILE: &str = "metadata.sqlite";

/// The scope of the configs of all brokers in the database.
const CLUSTER_SCOPE: &str = "cluster";

/// A change of the metadata that failed.
#[derive(Debug, Error)]
pub(crate) enum MetadataError {
    /// The request breaks a rule.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The change of configs is invalid.
    #[error(transparent)]
    Alter(#[from] AlterError),
    /// The topic does not exist.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// The partition mutation quota is exceeded for a request that does not wait.
    #[error("the partition mutation quota is exceeded; retry in {wait_ms} ms")]
    Throttled {
        /// Time until the quota allows a request, in ms.
        wait_ms: u64,
    },
    /// The partition mutation quota is exceeded for longer than the request may wait.
    #[error("timed out waiting for the partition mutation quota; retry in {wait_ms} ms")]
    QuotaTimeout {
        /// Time until the quota allows a request, in ms.
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
    /// Held during each change, so that check, write and publication are one step.
    change: Mutex<()>,
    producer_ids: Mutex<std::ops::Range<i64>>,
}

impl Metadata {
    /// Opens the database at `path`; creates it with a new cluster id if it does not exist.
    /// `started` are the static broker configs, which dynamic ones override.
    ///
    /// # Errors
    /// If the database cannot be opened or read, or its configs are invalid together with
    /// `started`.
    pub(crate) async fn open(
        path: &Path,
        rules: CreateRules,
        started: BTreeMap<String, String>,
    ) -> Result<Self, StoreError> {
        let store = Store::open(path).await?;
        // Durable before the first client connects: clients compare the id after each reconnect.
        let cluster_id = store
            .fact_or_insert("cluster_id", &new_cluster_id())
            .await?;
        let configs = BrokerConfigs {
            started,
            cluster: store.broker_configs(CLUSTER_SCOPE).await?,
            broker: store.broker_configs(&rules.node_id.to_string()).await?,
        };
        // Both scopes were valid when they were stored, but the static configs may have changed
        // since.
        configs.check()?;
        let mut cluster = Cluster::new(configs.clone());
        for row in store.topics().await? {
            check_contract(&row.name, &row.configs, &configs)?;
            // Revisions start again with the process: no check of an earlier process is in
            // progress.
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

    /// Returns the cluster id: 22 characters, constant for a data directory.
    #[must_use]
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Returns the current snapshot.
    #[must_use]
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the ids of deleted topics, whose data may be on disk still.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn tombstones(&self) -> Result<Vec<TopicId>, StoreError> {
        self.store.tombstones().await
    }

    /// Creates a topic. With `validate_only` the request is checked and nothing is written.
    /// `prepare` creates the partitions: it runs after the row is durable and before the topic is
    /// visible.
    ///
    /// # Errors
    /// If a rule is broken or the database fails.
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
            configs: creation.configs.clone(),
            key_decision: String::new(),
            value_decision: String::new(),
        };
        let revision = Arc::new(AtomicU64::new(1));
        let topic = Arc::new(Topic::new(row, revision, cluster.broker_configs()));
        // The topic of a validation has its effective configs, which CreateTopics returns.
        if validate_only {
            return Ok((topic, creation));
        }
        self.store.insert(&topic.row, now).await?;
        // A crash here leaves a topic without partitions; the next start creates them.
        prepare(&topic);
        self.publish(|cluster| cluster.put(Arc::clone(&topic)));
        Ok((topic, creation))
    }

    /// Deletes a topic and writes a tombstone, by which its data is deleted later.
    ///
    /// # Errors
    /// If the topic does not exist or the database fails.
    pub(crate) async fn delete(
        &self,
        id: TopicId,
        now: TimestampMs,
    ) -> Result<Arc<Topic>, MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic_by_id(id).ok_or(MetadataError::UnknownTopic)?;
        // The tombstone and the deletion are one transaction: data of an id with neither is never
        // deleted.
        self.store.delete(&topic.row, now).await?;
        self.publish(|cluster| cluster.remove(topic));
        Ok(Arc::clone(topic))
    }

    /// Stores the final decisions of `auto` for a topic's keys and values and increases the
    /// contract's revision. Earlier decisions stay.
    ///
    /// # Errors
    /// If the topic does not exist or the database fails.
    pub(crate) async fn decide(
        &self,
        id: TopicId,
        decision: impl Fn() -> (Decision, Decision),
    ) -> Result<Arc<Topic>, MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic_by_id(id).ok_or(MetadataError::UnknownTopic)?;
        if with_decision(&topic.row, decision()) == topic.row {
            // A concurrent request has decided since.
            return Ok(Arc::clone(topic));
        }
        topic.revision.fetch_add(1, Ordering::AcqRel);
        // Evaluated again: from here on the log rejects batches that were checked under the earlier
        // revision, so what it contains now is final.
        let row = with_decision(&topic.row, decision());
        let (key, value) = (&row.key_decision, &row.value_decision);
        let stored = self.store.decide(id, key, value).await;
        let row = if stored.is_ok() {
            row
        } else {
            topic.row.clone()
        };
        // Also after a failure: checks need a snapshot with the increased revision to succeed.
        let decided = self.put_successor(topic, row);
        stored?;
        Ok(decided)
    }

    /// Changes a topic's configs. With `validate_only` the change is only checked.
    ///
    /// # Errors
    /// If the topic does not exist, the change is invalid or the database fails.
    pub(crate) async fn alter_topic(
        &self,
        name: &str,
        alteration: &Alteration,
        validate_only: bool,
    ) -> Result<(), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        let topic = cluster.topic(name).ok_or(MetadataError::UnknownTopic)?;
        let current = &topic.row.configs;
        let configs = alteration.apply(current, topic_config::kind_and_default)?;
        let configs = topic_config::check(current, configs, cluster.broker_configs())
            .map_err(AlterError::from)?;
        // Unchanged configs keep the contract's revision, so checks in progress stay valid.
        if validate_only || configs == topic.row.configs {
            return Ok(());
        }
        self.store.set_topic_configs(topic.id(), &configs).await?;
        let mut row = topic.row.clone();
        row.configs = configs;
        self.put_successor(topic, row);
        Ok(())
    }

    /// Changes broker configs, and with them the defaults of topics. With `validate_only` the
    /// change is checked and nothing is written.
    ///
    /// # Errors
    /// If the change is invalid, alone or for a topic's contract, or the database fails.
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

    /// Increases the number of a topic's partitions to `count`. With `validate_only` the request is
    /// checked and nothing is written. `assignments` has the replicas of each new partition.
    /// `prepare` creates the partitions: it runs after the row is durable and before they are
    /// visible.
    ///
    /// # Errors
    /// If the topic does not exist, a rule is broken or the database fails.
    pub(crate) async fn create_partitions(
        &self,
        name: &str,
        count: i32,
        assignments: Option<&[Vec<i32>]>,
        validate_only: bool,
        prepare: impl FnOnce(&Topic),
    ) -> Result<(), MetadataError> {
        let _change = self.change.lock().await;
        let cluster = self.cluster();
        // The count is read under the lock: concurrent requests cannot both add partitions.
        let topic = cluster.topic(name).ok_or(MetadataError::UnknownTopic)?;
        let mut row = topic.row.clone();
        row.partition_count = create::check_count(topic, count, &cluster, self.rules)?;
        if let Some(assignments) = assignments {
            let new = row.partition_count - topic.row.partition_count;
            create::check_new_assignments(assignments, new, self.rules.node_id)?;
        }
        if validate_only {
            return Ok(());
        }
        self.store.set_partition_count(topic.id(), count).await?;
        let successor = Arc::new(topic.successor(row, cluster.broker_configs()));
        prepare(&successor);
        self.publish(|cluster| cluster.put(successor));
        Ok(())
    }

    /// Returns a producer id that was never returned before, not even before a crash.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn next_producer_id(&self) -> Result<ProducerId, StoreError> {
        // The lock spans the transaction, so that concurrent requests allocate one block.
        let mut block = self.producer_ids.lock().await;
        if block.is_empty() {
            let first = self
                .store
                .take_ids(NEXT_PRODUCER_ID, PRODUCER_ID_BLOCK)
                .await?;
            *block = first..first.saturating_add(PRODUCER_ID_BLOCK);
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId(id))
    }

    /// Writes a copy of the database to the file `to`, which must not exist, without a sync. The
    /// copy skips the producer ids that this process may assign later.
    ///
    /// # Errors
    /// If the database cannot be read or the file cannot be written.
    pub(crate) async fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let skipped = (NEXT_PRODUCER_ID, PRODUCER_IDS_SKIPPED);
        self.store.copy(to, skipped).await
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    /// Replaces a topic in the snapshot.
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
        // Copies the snapshot only if a request still reads it.
        change(Arc::make_mut(&mut snapshot));
    }
}

/// Returns the changed broker configs, checked together with all topics' contracts.
fn decide_broker_configs(
    cluster: &Cluster,
    scope: Scope,
    alteration: &Alteration,
) -> Result<BrokerConfigs, AlterError> {
    let before = cluster.broker_configs();
    for name in alteration.set_names(before.scope(scope)) {
        if broker_config::changeable(name).is_some() {
            continue;
        }
        return Err(match broker_config::find(name) {
            Some(_) => AlterError::ReadOnly(name.to_owned()),
            None => ConfigError::UnknownBrokerConfig(name.to_owned()).into(),
        });
    }
    let changed = alteration.apply(before.scope(scope), broker_config::changeable)?;
    let configs = before.changed(scope, changed)?;
    // A default can complete or contradict the contract of a topic that sets only a part of it.
    for topic in cluster.topics() {
        check_contract(topic.name(), &topic.row.configs, &configs)?;
    }
    Ok(configs)
}

/// Checks a topic's contract with other defaults.
fn check_contract(
    topic: &str,
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<(), ConfigError> {
    let contract = topic_config::contract(configs, defaults);
    contract.map(|_| ()).map_err(|error| ConfigError::Topic {
        topic: topic.to_owned(),
        error: Box::new(error),
    })
}

/// Returns the row with its open decisions set.
fn with_decision(row: &TopicRow, (key, value): (Decision, Decision)) -> TopicRow {
    let decided = |stored: &String, decision: Decision| match stored.as_str() {
        "" => decision.to_string(),
        stored => stored.to_owned(),
    };
    TopicRow {
        key_decision: decided(&row.key_decision, key),
        value_decision: decided(&row.value_decision, value),
        ..row.clone()
    }
}

/// Returns a random cluster id in Kafka's form: 16 bytes as URL-safe Base64 without padding.
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
    async fn ids_and_topics_survive_restart() {
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

    // Conformance: operation/backup-3
    #[tokio::test]
    async fn copy_skips_producer_ids_issued_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.sqlite");
        let metadata = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        let (topic, _) = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        for name in ["unused", "used"] {
            let path = dir.path().join(name);
            metadata.copy(&path).await.unwrap();
            let mut later = ProducerId(0);
            for _ in 0..3 * PRODUCER_ID_BLOCK {
                later = metadata.next_producer_id().await.unwrap();
            }
            let copy = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
            assert_eq!(copy.cluster_id(), metadata.cluster_id());
            assert_eq!(copy.cluster().topic("t").unwrap().id(), topic.id());
            assert!(copy.next_producer_id().await.unwrap() > later);
        }
    }

    #[tokio::test]
    async fn recreated_topic_has_another_id() {
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
        let (recreated, _) = metadata
            .create(&named("t"), false, TimestampMs(3), |_| ())
            .await
            .unwrap();
        assert_ne!(recreated.id(), topic.id());
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
    async fn auto_is_decided_after_the_revision_increases() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&dir.path().join("m.sqlite"), RULES, BTreeMap::new())
            .await
            .unwrap();
        let (topic, _) = metadata
            .create(&named("t"), false, TimestampMs(1), |_| ())
            .await
            .unwrap();
        let before = topic.revision.load(Ordering::Acquire);
        // A batch is appended just before the revision increases.
        let decision = || match topic.revision.load(Ordering::Acquire) == before {
            true => (Decision::Undecided, Decision::Payload),
            false => (Decision::Undecided, Decision::PayloadShadow),
        };
        let decided = metadata.decide(topic.id(), decision).await.unwrap();
        let shadow = Decision::PayloadShadow.to_string();
        assert_eq!(decided.row.value_decision, shadow);
        let revision = topic.revision.load(Ordering::Acquire);
        assert_eq!(
            decided.policy.revision, revision,
            "checks under it are valid"
        );
    }

    #[tokio::test]
    async fn decision_of_auto_is_final() {
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
            "checks under the decided contract stay valid"
        );
        let reopened = Metadata::open(&path, RULES, BTreeMap::new()).await.unwrap();
        let row = &reopened.cluster().topic("t").unwrap().row.clone();
        assert_eq!(row.value_decision, Decision::Payload.to_string());
        assert_eq!(row.key_decision, "");
    }
}
