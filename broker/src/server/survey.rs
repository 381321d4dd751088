//! What a scrape is told of topics and groups, under the names that kafka_exporter made common, so
//! that dashboards for Kafka fit. Read from the broker's state at each scrape; nothing is counted
//! on the way of a record.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::node::Node;
use crate::group::GroupSurvey;
use crate::metadata::Cluster;
use crate::types::{Offset, PartitionIndex, TopicPartition};

/// Partitions, and committed offsets, that a scrape tells of: what is beyond is left out, because
/// one scrape must not take the memory of many.
const SERIES_MAX: usize = 50_000;

/// Gauges over the state of a broker, empty once the broker is gone.
#[derive(Debug)]
pub(crate) struct Survey {
    node: Weak<Node>,
    names: Gauges,
}

impl Survey {
    /// A survey of `node`.
    ///
    /// # Errors
    /// When a metric's name or label is not one that Prometheus takes.
    pub(crate) fn new(node: Weak<Node>) -> Result<Self, prometheus::Error> {
        let names = Gauges::new()?;
        Ok(Self { node, names })
    }
}

impl Collector for Survey {
    fn desc(&self) -> Vec<&Desc> {
        self.names
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Some(node), Ok(gauges)) = (self.node.upgrade(), Gauges::new()) else {
            return Vec::new();
        };
        let cluster = node.metadata.cluster();
        gauges.brokers.with_label_values(&[] as &[&str]).set(1);
        gauges.topics(&cluster, |partition| {
            let bounds = node.log.bounds(partition)?;
            Some((bounds.log_start, bounds.high_watermark))
        });
        gauges.groups(&node.groups.survey(SERIES_MAX), |topic, index| {
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

/// One gauge a name.
#[derive(Debug)]
struct Gauges {
    brokers: IntGaugeVec,
    partitions: IntGaugeVec,
    current_offset: IntGaugeVec,
    oldest_offset: IntGaugeVec,
    group_members: IntGaugeVec,
    group_offset: IntGaugeVec,
    group_lag: IntGaugeVec,
}

impl Gauges {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name, help, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let of_partition = ["topic", "partition"];
        let of_group = ["consumergroup", "topic", "partition"];
        Ok(Self {
            brokers: gauge("kafka_brokers", "Brokers in the cluster.", &[])?,
            partitions: gauge(
                "kafka_topic_partitions",
                "Partitions of a topic.",
                &["topic"],
            )?,
            current_offset: gauge(
                "kafka_topic_partition_current_offset",
                "The offset that the next record of a partition gets: its high watermark.",
                &of_partition,
            )?,
            oldest_offset: gauge(
                "kafka_topic_partition_oldest_offset",
                "The first offset that a partition still has.",
                &of_partition,
            )?,
            group_members: gauge(
                "kafka_consumergroup_members",
                "Members of a consumer group.",
                &["consumergroup"],
            )?,
            group_offset: gauge(
                "kafka_consumergroup_current_offset",
                "The offset a consumer group committed for a partition.",
                &of_group,
            )?,
            group_lag: gauge(
                "kafka_consumergroup_lag",
                "Offsets between what a consumer group committed and the high watermark.",
                &of_group,
            )?,
        })
    }

    fn all(&self) -> [&IntGaugeVec; 7] {
        [
            &self.brokers,
            &self.partitions,
            &self.current_offset,
            &self.oldest_offset,
            &self.group_members,
            &self.group_offset,
            &self.group_lag,
        ]
    }

    fn topics(
        &self,
        cluster: &Cluster,
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
        for (topic, partition) in partitions.take(SERIES_MAX) {
            let Some((oldest, current)) = bounds(partition) else {
                continue;
            };
            let labels = [topic.name(), &partition.partition.0.to_string()];
            self.oldest_offset.with_label_values(&labels).set(oldest.0);
            self.current_offset
                .with_label_values(&labels)
                .set(current.0);
        }
    }

    /// A topic that is gone, or a partition that it no longer has, leaves a group's offset without
    /// a lag.
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
                if let Some(end) = high_watermark(topic.as_str(), *partition) {
                    let lag = end.0.saturating_sub(committed.0).max(0);
                    self.group_lag.with_label_values(&labels).set(lag);
                }
            }
        }
    }
}
