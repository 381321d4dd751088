//! The life of topics: made, decided about, deleted, each across metadata, log and groups.
//!
//! Invariant: a change that has begun runs to its end, whatever becomes of the connection that
//! asked for it. Half of one would leave database, snapshot and log at odds until the next start.

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::types::TopicId;

use crate::background::maintenance;
use crate::metadata::{CreateError, Creation, MetadataError, Topic, TopicRequest, cluster};
use crate::node::Node;
use crate::quota::controller_mutation::{ThrottleTime, Throttling};

impl Node {
    /// Creates a topic with its partitions within the mutation quota; `validate_only` decides
    /// and changes nothing.
    pub(crate) async fn create_topic(
        self: &Arc<Self>,
        request: TopicRequest,
        validate_only: bool,
        throttling: &mut Throttling,
    ) -> Result<Arc<Topic>, MetadataError> {
        let (topic, _) = self
            .metadata
            .create(&request, true, self.clock.now(), |_: &Topic| {})
            .await?;
        if validate_only {
            return Ok(topic);
        }
        let partitions = topic.partitions().count();
        self.mutation_quota
            .take(self.clock, throttling, partitions)
            .await?;
        self.create_out_of_turn(request).await
    }

    /// The same outside the mutation quota.
    async fn create_out_of_turn(
        self: &Arc<Self>,
        request: TopicRequest,
    ) -> Result<Arc<Topic>, MetadataError> {
        let node = Arc::clone(self);
        to_its_end(async move { node.create(&request).await }).await
    }

    /// The topic of this name, made with the broker's defaults when there is none and room for one.
    pub(crate) async fn topic_or_new(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Arc<Topic>, MetadataError> {
        if name == cluster::OFFSETS_TOPIC {
            return self.offsets_topic().await;
        }
        let request = TopicRequest {
            name: name.to_owned(),
            partition_count: -1,
            replication_factor: -1,
            ..TopicRequest::default()
        };
        let mut throttling = Throttling::reject(ThrottleTime::default());
        self.find_or(name, self.create_topic(request, false, &mut throttling))
            .await
    }

    /// The topic of committed offsets, created on first need.
    pub(crate) async fn offsets_topic(self: &Arc<Self>) -> Result<Arc<Topic>, MetadataError> {
        let segment_bytes = self.config.groups.offsets_segment_bytes;
        let request = TopicRequest {
            name: cluster::OFFSETS_TOPIC.to_owned(),
            partition_count: self.config.groups.offsets_partitions,
            replication_factor: 1,
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("segment.bytes".to_owned(), segment_bytes.to_string()),
            ]),
            ..TopicRequest::default()
        };
        self.find_or(cluster::OFFSETS_TOPIC, self.create_out_of_turn(request))
            .await
    }

    /// Deletes a topic for clients at once, then its data, then what groups committed for it.
    pub(crate) async fn delete_topic(
        self: &Arc<Self>,
        topic: &Topic,
        throttling: &mut Throttling,
    ) -> Result<(), MetadataError> {
        let partitions = topic.partitions().count();
        self.mutation_quota
            .take(self.clock, throttling, partitions)
            .await?;
        let (node, id) = (Arc::clone(self), topic.id());
        to_its_end(async move { node.delete(id).await }).await
    }

    /// Gives a topic more partitions, `count` in all; `validate_only` decides and changes nothing.
    pub(crate) async fn grow_topic(
        self: &Arc<Self>,
        name: String,
        count: i32,
        assignments: Option<Vec<Vec<i32>>>,
        validate_only: bool,
        throttling: &mut Throttling,
    ) -> Result<(), MetadataError> {
        let before = self.metadata.cluster();
        let before = before
            .topic(&name)
            .map_or(0, |topic| topic.row.partition_count);
        let deciding =
            self.metadata
                .grow(&name, count, assignments.as_deref(), true, |_: &Topic| {});
        deciding.await?;
        if validate_only {
            return Ok(());
        }
        let partitions = usize::try_from(count.saturating_sub(before)).unwrap_or(0);
        self.mutation_quota
            .take(self.clock, throttling, partitions)
            .await?;
        let node = Arc::clone(self);
        to_its_end(async move {
            let prepare = |topic: &Topic| node.make_partitions(topic);
            let assignments = assignments.as_deref();
            node.metadata
                .grow(&name, count, assignments, false, prepare)
                .await
        })
        .await
    }

    async fn create(&self, request: &TopicRequest) -> Result<Arc<Topic>, MetadataError> {
        let prepare = |topic: &Topic| {
            self.make_partitions(topic);
            if topic.name() == cluster::OFFSETS_TOPIC {
                self.offsets_topic.open(topic.id());
            }
        };
        let now = self.clock.now();
        let (topic, creation) = self.metadata.create(request, false, now, prepare).await?;
        tell_of_creation(&topic, &creation, request);
        Ok(topic)
    }

    fn make_partitions(&self, topic: &Topic) {
        for partition in topic.partitions() {
            if let Err(error) = self.log.create_partition(partition) {
                tracing::error!(%partition, %error, "partition not created");
            }
        }
        maintenance::configure(&self.log, topic);
    }

    async fn delete(&self, id: TopicId) -> Result<(), MetadataError> {
        let topic = self.metadata.delete(id, self.clock.now()).await?;
        let log = self.log.clone();
        let deleted = tokio::task::spawn_blocking(move || log.delete_topic(id)).await;
        let failed = match deleted {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            // The tombstone is written: maintenance, or the next start, deletes the data.
            tracing::error!(topic = topic.name(), %error, "data not deleted");
        }
        self.purgatory
            .check_and_complete(&topic.partitions().collect::<Vec<_>>());
        self.groups.topic_deleted(&topic.name().into());
        tracing::info!(topic = topic.name(), %id, "topic deleted");
        Ok(())
    }

    async fn find_or(
        &self,
        name: &str,
        creating: impl Future<Output = Result<Arc<Topic>, MetadataError>>,
    ) -> Result<Arc<Topic>, MetadataError> {
        let existing = || self.metadata.cluster().topic(name).cloned();
        if let Some(topic) = existing() {
            return Ok(topic);
        }
        match creating.await {
            // Another request was faster.
            Err(MetadataError::Create(CreateError::Exists(_))) => {
                existing().ok_or(MetadataError::UnknownTopic)
            }
            created => created,
        }
    }
}

fn tell_of_creation(topic: &Topic, creation: &Creation, request: &TopicRequest) {
    tracing::info!(
        topic = topic.name(),
        partitions = topic.row.partition_count,
        id = %topic.id(),
        "topic created"
    );
    if creation.replication_clamped {
        tracing::warn!(
            topic = topic.name(),
            asked = request.replication_factor,
            "replication factor clamped to 1: there is one broker"
        );
    }
}

/// Runs `change` on a task of its own, so that dropping the caller does not stop it half-way.
pub(crate) async fn to_its_end<Outcome: Send + 'static>(
    change: impl Future<Output = Outcome> + Send + 'static,
) -> Outcome {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
