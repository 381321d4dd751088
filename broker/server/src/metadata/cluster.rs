//! Immutable snapshot of the cluster's topics, which every change replaces.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avouch_protocol::types::{PartitionIndex, TopicId, TopicPartition};

use avouch_contract::EffectivePolicy;

use super::broker_config::BrokerConfigs;
use super::store::TopicRow;
use super::topic_config::{self, TopicSettings};

/// Name of the topic that holds committed offsets and group metadata.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A topic with its configs and contract resolved.
#[derive(Debug)]
pub(crate) struct Topic {
    /// The stored id, name, configs and decisions.
    pub(crate) row: TopicRow,
    /// The configs that the broker itself uses.
    pub(crate) settings: TopicSettings,
    /// The contract, with `auto` resolved as far as it is decided.
    pub(crate) policy: Arc<EffectivePolicy>,
    /// The current revision of the contract. An append compares it with the revision that the batch
    /// was checked under. All snapshots of the topic share it.
    pub(crate) revision: Arc<AtomicU64>,
}

impl Topic {
    /// Resolves a row with the broker's defaults.
    #[must_use]
    pub(crate) fn new(row: TopicRow, revision: Arc<AtomicU64>, defaults: &BrokerConfigs) -> Self {
        // The configs were checked when they were set. Only data of a newer version has configs
        // that do not parse, and the start rejects it.
        let policy = topic_config::contract(&row.configs, defaults).unwrap_or_default();
        let number = revision.load(Ordering::Acquire);
        let policy = Arc::new(EffectivePolicy::resolve(
            policy,
            &row.key_decision,
            &row.value_decision,
            number,
        ));
        let settings = TopicSettings::resolve(&row.configs, defaults);
        Self {
            row,
            settings,
            policy,
            revision,
        }
    }

    /// Returns the topic with another row or other defaults. If that changes its contract, the
    /// contract's revision increases, which invalidates the results of checks in progress.
    #[must_use]
    pub(crate) fn successor(&self, row: TopicRow, defaults: &BrokerConfigs) -> Self {
        let policy = topic_config::contract(&row.configs, defaults).unwrap_or_default();
        let decided = (&row.key_decision, &row.value_decision);
        // Compared by value: a change of other configs keeps the revision.
        if policy != self.policy.policy
            || decided != (&self.row.key_decision, &self.row.value_decision)
        {
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
        Self::new(row, Arc::clone(&self.revision), defaults)
    }

    /// Returns the topic's id.
    #[must_use]
    pub(crate) fn id(&self) -> TopicId {
        self.row.id
    }

    /// Returns the topic's name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.row.name
    }

    /// Returns whether only the broker writes to the topic.
    #[must_use]
    pub(crate) fn is_internal(&self) -> bool {
        self.row.name == OFFSETS_TOPIC
    }

    /// Returns the partition of this index, if the topic has it.
    #[must_use]
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<TopicPartition> {
        (0..self.row.partition_count)
            .contains(&index.0)
            .then_some(TopicPartition {
                topic: self.row.id,
                partition: index,
            })
    }

    /// Returns all partitions, ascending by index.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = TopicPartition> + use<> {
        let topic = self.row.id;
        (0..self.row.partition_count).map(move |index| TopicPartition {
            topic,
            partition: PartitionIndex(index),
        })
    }
}

/// A topic as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicKey {
    Name(String),
    Id(TopicId),
}

/// All topics, and the broker configs that are the defaults of topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    broker_configs: Arc<BrokerConfigs>,
}

impl Cluster {
    /// Creates a cluster without topics.
    #[must_use]
    pub(crate) fn new(broker_configs: BrokerConfigs) -> Self {
        Self {
            broker_configs: Arc::new(broker_configs),
            ..Self::default()
        }
    }

    /// Returns the broker configs.
    #[must_use]
    pub(crate) fn broker_configs(&self) -> &BrokerConfigs {
        &self.broker_configs
    }

    /// Replaces the broker configs, and with them the defaults of all topics.
    pub(crate) fn set_broker_configs(&mut self, configs: BrokerConfigs) {
        // Collected first: `put` changes the map that `topics` iterates over.
        let topics: Vec<Arc<Topic>> = self.topics().cloned().collect();
        for topic in topics {
            self.put(Arc::new(topic.successor(topic.row.clone(), &configs)));
        }
        self.broker_configs = Arc::new(configs);
    }

    /// Returns the topic of this name.
    #[must_use]
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// Returns the topic of this id.
    #[must_use]
    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// Returns the topic that a request names.
    #[must_use]
    pub(crate) fn find(&self, key: &TopicKey) -> Option<&Arc<Topic>> {
        match key {
            TopicKey::Name(name) => self.topic(name),
            TopicKey::Id(id) => self.topic_by_id(*id),
        }
    }

    /// Returns the partition of this index of the topic of this name, if both exist.
    #[must_use]
    pub(crate) fn partition(&self, topic: &str, index: i32) -> Option<TopicPartition> {
        self.topic(topic)?.partition(PartitionIndex(index))
    }

    /// Returns all topics, ascending by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Returns the number of partitions of all topics.
    #[must_use]
    pub(crate) fn partition_count(&self) -> usize {
        let counts = self.topics().map(|topic| topic.row.partition_count);
        // Stored counts are positive, so the conversion drops none.
        counts.filter_map(|count| usize::try_from(count).ok()).sum()
    }

    /// Returns the name of a topic that differs from `name` only by `.` and `_`, which are equal in
    /// metric names.
    #[must_use]
    pub(crate) fn colliding_name(&self, name: &str) -> Option<&str> {
        // Most names contain neither, which saves comparing all names.
        if !name.contains(['.', '_']) {
            return None;
        }
        let folded = name.replace('.', "_");
        self.by_name
            .keys()
            .find(|other| other.replace('.', "_") == folded)
            .map(String::as_str)
    }

    /// Adds a topic or replaces its earlier snapshot.
    pub(crate) fn put(&mut self, topic: Arc<Topic>) {
        self.by_name
            .insert(topic.name().to_owned(), Arc::clone(&topic));
        self.by_id.insert(topic.id(), topic);
    }

    /// Removes a topic.
    pub(crate) fn remove(&mut self, topic: &Topic) {
        self.by_name.remove(topic.name());
        self.by_id.remove(&topic.id());
    }
}
