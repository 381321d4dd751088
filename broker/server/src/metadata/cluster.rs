//! The cluster as requests see it: an immutable snapshot of its topics, replaced whole on change.

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

/// A topic with everything requests need, resolved once.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its row: identity, name, configs, decisions.
    pub(crate) row: TopicRow,
    /// Its configs as the broker reads them.
    pub(crate) settings: TopicSettings,
    /// Its contract, `auto` resolved as far as it is decided.
    pub(crate) policy: Arc<EffectivePolicy>,
    /// The revision of the contract in force; append compares it with the one a verdict was
    /// reached under. Shared by every snapshot of the topic.
    pub(crate) revision: Arc<AtomicU64>,
}

impl Topic {
    /// Resolves a row over the broker's defaults. Its configs were checked when they were set, so a
    /// policy that no longer parses can only come from a newer version's data, which start-up
    /// refuses.
    #[must_use]
    pub(crate) fn new(row: TopicRow, revision: Arc<AtomicU64>, defaults: &BrokerConfigs) -> Self {
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

    /// The topic with another row or other defaults. The contract's revision grows when that makes
    /// it another contract, so that verdicts reached under the old one no longer count.
    #[must_use]
    pub(crate) fn successor(&self, row: TopicRow, defaults: &BrokerConfigs) -> Self {
        let policy = topic_config::contract(&row.configs, defaults).unwrap_or_default();
        let decided = (&row.key_decision, &row.value_decision);
        if policy != self.policy.policy
            || decided != (&self.row.key_decision, &self.row.value_decision)
        {
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
        Self::new(row, Arc::clone(&self.revision), defaults)
    }

    /// The topic's id.
    #[must_use]
    pub(crate) fn id(&self) -> TopicId {
        self.row.id
    }

    /// The topic's name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.row.name
    }

    /// Whether the broker alone writes to it.
    #[must_use]
    pub(crate) fn is_internal(&self) -> bool {
        self.row.name == OFFSETS_TOPIC
    }

    /// The partition of this index, if the topic has it.
    #[must_use]
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<TopicPartition> {
        (0..self.row.partition_count)
            .contains(&index.0)
            .then_some(TopicPartition {
                topic: self.row.id,
                partition: index,
            })
    }

    /// Every partition, by index.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = TopicPartition> + use<> {
        let topic = self.row.id;
        (0..self.row.partition_count).map(move |index| TopicPartition {
            topic,
            partition: PartitionIndex(index),
        })
    }
}

/// Every topic there is, and the broker configs that topics fall back to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    broker_configs: Arc<BrokerConfigs>,
}

impl Cluster {
    /// No topics yet, under these broker configs.
    #[must_use]
    pub(crate) fn new(broker_configs: BrokerConfigs) -> Self {
        Self {
            broker_configs: Arc::new(broker_configs),
            ..Self::default()
        }
    }

    /// What was changed of the broker's configs while it ran.
    #[must_use]
    pub(crate) fn broker_configs(&self) -> &BrokerConfigs {
        &self.broker_configs
    }

    /// Puts other broker configs in force, for every topic at once.
    pub(crate) fn set_broker_configs(&mut self, configs: BrokerConfigs) {
        let topics: Vec<Arc<Topic>> = self.topics().cloned().collect();
        for topic in topics {
            self.put(Arc::new(topic.successor(topic.row.clone(), &configs)));
        }
        self.broker_configs = Arc::new(configs);
    }

    /// The topic of this name.
    #[must_use]
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of this id.
    #[must_use]
    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Partitions of all topics together.
    #[must_use]
    pub(crate) fn partition_count(&self) -> usize {
        let counts = self.topics().map(|topic| topic.row.partition_count);
        counts.filter_map(|count| usize::try_from(count).ok()).sum()
    }

    /// A topic whose name differs from `name` only in `.` against `_`, which metric names fold.
    #[must_use]
    pub(crate) fn colliding_name(&self, name: &str) -> Option<&str> {
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

    /// Takes a topic out.
    pub(crate) fn remove(&mut self, topic: &Topic) {
        self.by_name.remove(topic.name());
        self.by_id.remove(&topic.id());
    }
}
