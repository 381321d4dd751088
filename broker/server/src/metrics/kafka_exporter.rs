//! Gauges of topics and groups under the names of kafka_exporter, so that its dashboards work. Each
//! scrape reads them from the broker's state; they cost nothing on the path of a record.

use std::sync::Weak;

use avouch_coordinator::group::GroupSurvey;
use avouch_protocol::types::{Offset, PartitionIndex, TopicPartition};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::metadata::Cluster;
use crate::node::Node;

/// Maximum number of partitions in a scrape, with seven values each. The limits bound the memory of
/// a scrape; what exceeds them is omitted.
const PARTITIONS_MAX: usize = 10_000;
/// Maximum number of committed offsets in a scrape.
const OFFSETS_MAX: usize = 50_000;

/// Collector of a broker's state. Returns nothing once the broker is stopped.
#[derive(Debug)]
pub(crate) struct KafkaExporter {
    node: Weak<Node>,
    /// Without values: the names and labels.
    names: Gauges,
}

impl KafkaExporter {
    /// Creates a collector of `node`.
    ///
    /// # Errors
    /// If Prometheus rejects a name or label.
    pub(crate) fn new(node: Weak<Node>) -> Result<Self, prometheus::Error> {
        let names = Gauges::new()?;
        Ok(Self { node, names })
    }
}

impl Collector for KafkaExporter {
    fn desc(&self) -> Vec<&Desc> {
        self.names
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // New gauges for each scrape, so that deleted topics and groups disappear.
        let (Some(node), Ok(gauges)) = (self.node.upgrade(), Gauges::new()) else {
            return Vec::new();
        };
        let cluster = node.metadata.cluster();
        gauges.broker(&node);
        gauges.topics(&cluster, node.config.node_id, |partition| {
            let bounds = node.log.bounds(partition)?;
            Some((bounds.log_start, bounds.high_watermark))
        });
        gauges.groups(&node.groups.survey(OFFSETS_MAX), |topic, index| {
            let partition = cluster.topic(topic)?.partition(index)?;
            Some(node.log.bounds(partition)?.high_watermark)
        });
        gauges
            .all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

/// A row is `field: "name" labels, "help";`.
macro_rules! gauges {
    ($($field:ident: $name:literal $labels:expr, $help:literal;)*) => {
        /// One gauge for each name.
        #[derive(Debug)]
        struct Gauges {
            $($field: IntGaugeVec,)*
        }

        impl Gauges {
            fn new() -> Result<Self, prometheus::Error> {
                Ok(Self {
                    $($field: IntGaugeVec::new(Opts::new($name, $help), $labels)?,)*
                })
            }

            fn all(&self) -> Vec<&IntGaugeVec> {
                vec![$(&self.$field),*]
            }
        }
    };
}

const OF_PARTITION: &[&str] = &["topic", "partition"];
const OF_GROUP: &[&str] = &["consumergroup", "topic", "partition"];
const OF_GROUP_AND_TOPIC: &[&str] = &["consumergroup", "topic"];

gauges! {
    brokers: "kafka_brokers" &[],
        "Brokers in the cluster.";
    broker_info: "kafka_broker_info" &["id", "address"],
        "1 for each broker, with its id and the address that clients receive.";
    partitions: "kafka_topic_partitions" &["topic"],
        "Partitions of a topic.";
    current_offset: "kafka_topic_partition_current_offset" OF_PARTITION,
        "High watermark of a partition: the offset of its next record.";
    oldest_offset: "kafka_topic_partition_oldest_offset" OF_PARTITION,
        "First offset of a partition.";
    leader: "kafka_topic_partition_leader" OF_PARTITION,
        "ID of the broker that leads a partition.";
    leader_is_preferred: "kafka_topic_partition_leader_is_preferred" OF_PARTITION,
        "1 if a partition is led by its preferred broker.";
    replicas: "kafka_topic_partition_replicas" OF_PARTITION,
        "Replicas of a partition.";
    in_sync_replicas: "kafka_topic_partition_in_sync_replica" OF_PARTITION,
        "Replicas of a partition that are in sync.";
    under_replicated: "kafka_topic_partition_under_replicated_partition" OF_PARTITION,
        "1 if a partition has replicas that are not in sync.";
    group_members: "kafka_consumergroup_members" &["consumergroup"],
        "Members of a consumer group.";
    group_offset: "kafka_consumergroup_current_offset" OF_GROUP,
        "Offset that a consumer group committed for a partition.";
    group_offset_sum: "kafka_consumergroup_current_offset_sum" OF_GROUP_AND_TOPIC,
        "Sum of the offsets that a consumer group committed for the partitions of a topic.";
    group_lag: "kafka_consumergroup_lag" OF_GROUP,
        "Distance from the committed offset of a consumer group to the high watermark.";
    group_lag_sum: "kafka_consumergroup_lag_sum" OF_GROUP_AND_TOPIC,
        "Sum of the lags of a consumer group in the partitions of a topic.";
    in_flight_bytes: "avouch_in_flight_bytes" &[],
        "Bytes of requests that are received and not yet handled.";
    group_offsets_bytes: "avouch_group_offsets_bytes" &[],
        "Memory of the committed offsets of all groups, in bytes.";
}

impl Gauges {
    fn broker(&self, node: &Node) {
        let none: [&str; 0] = [];
        self.brokers.with_label_values(&none).set(1);
        let address = match &node.config.advertise {
            Some((host, port)) => format!("{host}:{port}"),
            None => node.kafka_address.to_string(),
        };
        let id = node.config.node_id.to_string();
        self.broker_info
            .with_label_values(&[id.as_str(), &address])
            .set(1);
        let in_flight = i64::try_from(node.request_memory.reserved_bytes()).unwrap_or(i64::MAX);
        self.in_flight_bytes.with_label_values(&none).set(in_flight);
        let offsets = i64::try_from(node.groups.offsets_bytes()).unwrap_or(i64::MAX);
        self.group_offsets_bytes
            .with_label_values(&none)
            .set(offsets);
    }

    fn topics(
        &self,
        cluster: &Cluster,
        node_id: i32,
        bounds: impl Fn(TopicPartition) -> Option<(Offset, Offset)>,
    ) {
        for topic in cluster.topics() {
            self.partitions
                .with_label_values(&[topic.name()])
                .set(i64::from(topic.row.partition_count));
        }
        let partitions = cluster
            .topics()
            .flat_map(|topic| topic.partitions().map(move |partition| (topic, partition)));
        for (topic, partition) in partitions.take(PARTITIONS_MAX) {
            let Some((oldest, current)) = bounds(partition) else {
                continue;
            };
            let labels = [topic.name(), &partition.partition.0.to_string()];
            self.oldest_offset.with_label_values(&labels).set(oldest.0);
            self.current_offset
                .with_label_values(&labels)
                .set(current.0);
            // The only broker has the only replica of every partition.
            for (gauge, value) in [
                (&self.leader, i64::from(node_id)),
                (&self.leader_is_preferred, 1),
                (&self.replicas, 1),
                (&self.in_sync_replicas, 1),
                (&self.under_replicated, 0),
            ] {
                gauge.with_label_values(&labels).set(value);
            }
        }
    }

    /// Sets the gauges of groups. An offset of a deleted topic has no lag.
    fn groups(
        &self,
        groups: &[GroupSurvey],
        high_watermark: impl Fn(&str, PartitionIndex) -> Option<Offset>,
    ) {
        for group in groups {
            let members = i64::try_from(group.members).unwrap_or(i64::MAX);
            self.group_members
                .with_label_values(&[group.group.as_str()])
                .set(members);
            for (topic, partition, committed) in &group.offsets {
                let index = partition.0.to_string();
                let labels = [group.group.as_str(), topic.as_str(), &index];
                self.group_offset
                    .with_label_values(&labels)
                    .set(committed.0);
                let sums = [group.group.as_str(), topic.as_str()];
                self.group_offset_sum
                    .with_label_values(&sums)
                    .add(committed.0);
                if let Some(end) = high_watermark(topic.as_str(), *partition) {
                    // DeleteRecords or a new topic of the same name can leave an offset above the
                    // end.
                    let lag = end.0.saturating_sub(committed.0).max(0);
                    self.group_lag.with_label_values(&labels).set(lag);
                    self.group_lag_sum.with_label_values(&sums).add(lag);
                }
            }
        }
    }
}
