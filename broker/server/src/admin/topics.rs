//! Topics: creation, more partitions and deletion, each in metadata, log and groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::types::TopicId;

use super::{Admin, AdminError, run_to_completion};
use crate::background::maintenance;
use crate::metadata::{CreateError, Creation, MetadataError, Topic, TopicRequest, cluster};
use crate::quota::controller_mutation::{ThrottleTime, Throttling};

impl Admin {
    /// Creates a topic with its partitions within the mutation quota. With `validate_only` the
    /// request is checked and nothing changes.
    ///
    /// # Errors
    /// If the request breaks a rule, the quota is exceeded or the database fails.
    pub(crate) async fn create_topic(
        self: &Arc<Self>,
        request: TopicRequest,
        validate_only: bool,
        throttling: &mut Throttling,
    ) -> Result<Arc<Topic>, AdminError> {
        if request.name == cluster::OFFSETS_TOPIC {
            return Err(AdminError::InternalTopic(request.name));
        }
        Ok(self
            .create_within_quota(request, validate_only, throttling)
            .await?)
    }

    /// Returns the topic of this name. If there is none, creates it with the broker's defaults
    /// within the mutation quota.
    ///
    /// # Errors
    /// If the topic cannot be created.
    pub(crate) async fn find_or_create_topic(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Arc<Topic>, MetadataError> {
        if name == cluster::OFFSETS_TOPIC {
            return self.find_or_create_offsets_topic().await;
        }
        let request = TopicRequest {
            name: name.to_owned(),
            partition_count: -1,
            replication_factor: -1,
            ..TopicRequest::default()
        };
        // Metadata requests do not wait and have no throttle time of their own: clients retry.
        let mut throttling = Throttling::reject(ThrottleTime::default());
        self.find_or(
            name,
            self.create_within_quota(request, false, &mut throttling),
        )
        .await
    }

    /// Returns the topic of committed offsets, which is created when it is first needed.
    ///
    /// # Errors
    /// If the topic cannot be created.
    pub(crate) async fn find_or_create_offsets_topic(
        self: &Arc<Self>,
    ) -> Result<Arc<Topic>, MetadataError> {
        let segment_bytes = self.config.groups.offsets_segment_bytes;
        // As in Kafka, `offsets.topic.segment.bytes` may be less than the minimum of topics.
        let segment_config = match segment_bytes < 1024 * 1024 {
            true => "internal.segment.bytes",
            false => "segment.bytes",
        };
        let request = TopicRequest {
            name: cluster::OFFSETS_TOPIC.to_owned(),
            partition_count: self.config.groups.offsets_partitions,
            replication_factor: 1,
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                (segment_config.to_owned(), segment_bytes.to_string()),
            ]),
            ..TopicRequest::default()
        };
        self.find_or(cluster::OFFSETS_TOPIC, self.create(request))
            .await
    }

    /// Deletes a topic: first for clients, then its data, then the offsets that groups committed
    /// for it.
    ///
    /// # Errors
    /// If the topic is internal or unknown, the quota is exceeded or the database fails.
    pub(crate) async fn delete_topic(
        self: &Arc<Self>,
        topic: &Topic,
        throttling: &mut Throttling,
    ) -> Result<(), AdminError> {
        if topic.is_internal() {
            return Err(AdminError::InternalTopicDeletion(topic.name().to_owned()));
        }
        self.acquire_quota(throttling, topic.partitions().count())
            .await?;
        let (admin, id) = (Arc::clone(self), topic.id());
        Ok(run_to_completion(async move { admin.delete(id).await }).await?)
    }

    /// Increases the number of a topic's partitions to `count`. With `validate_only` the request is
    /// checked and nothing changes.
    ///
    /// # Errors
    /// If the topic is internal or unknown, a rule is broken, the quota is exceeded or the database
    /// fails.
    pub(crate) async fn create_partitions(
        self: &Arc<Self>,
        name: String,
        count: i32,
        assignments: Option<Vec<Vec<i32>>>,
        validate_only: bool,
        throttling: &mut Throttling,
    ) -> Result<(), AdminError> {
        if name == cluster::OFFSETS_TOPIC {
            // A group's partition is the hash of its id modulo their number.
            return Err(AdminError::InternalTopic(name));
        }
        let cluster = self.metadata.cluster();
        let topic = cluster.topic(&name);
        let before = topic.map_or(0, |topic| topic.row.partition_count);
        // The first pass validates, so that an invalid request does not use the quota.
        let validation = self.metadata.create_partitions(
            &name,
            count,
            assignments.as_deref(),
            true,
            |_: &Topic| {},
        );
        validation.await?;
        if validate_only {
            return Ok(());
        }
        let added = usize::try_from(count.saturating_sub(before)).unwrap_or(0);
        self.acquire_quota(throttling, added).await?;
        let admin = Arc::clone(self);
        let created = run_to_completion(async move {
            let prepare = |topic: &Topic| admin.create_log_partitions(topic);
            let assignments = assignments.as_deref();
            let metadata = &admin.metadata;
            metadata
                .create_partitions(&name, count, assignments, false, prepare)
                .await
        });
        Ok(created.await?)
    }

    async fn acquire_quota(
        &self,
        throttling: &mut Throttling,
        partitions: usize,
    ) -> Result<(), MetadataError> {
        self.mutation_quota
            .acquire(self.clock, throttling, partitions)
            .await
    }

    async fn create_within_quota(
        self: &Arc<Self>,
        request: TopicRequest,
        validate_only: bool,
        throttling: &mut Throttling,
    ) -> Result<Arc<Topic>, MetadataError> {
        // The first pass validates, so that an invalid request does not use the quota.
        let (topic, _) = self
            .metadata
            .create(&request, true, self.clock.now(), |_: &Topic| {})
            .await?;
        if validate_only {
            return Ok(topic);
        }
        self.acquire_quota(throttling, topic.partitions().count())
            .await?;
        self.create(request).await
    }

    async fn create(self: &Arc<Self>, request: TopicRequest) -> Result<Arc<Topic>, MetadataError> {
        let admin = Arc::clone(self);
        run_to_completion(async move {
            let prepare = |topic: &Topic| {
                admin.create_log_partitions(topic);
                if topic.name() == cluster::OFFSETS_TOPIC {
                    admin.offsets_topic.open(topic.id());
                }
            };
            let now = admin.clock.now();
            let created = admin.metadata.create(&request, false, now, prepare);
            let (topic, creation) = created.await?;
            log_creation(&topic, &creation, &request);
            Ok(topic)
        })
        .await
    }

    fn create_log_partitions(&self, topic: &Topic) {
        for partition in topic.partitions() {
            if let Err(error) = self.log.create_partition(partition) {
                tracing::error!(%partition, %error, "cannot create the partition's log");
            }
        }
        maintenance::configure(&self.log, topic);
    }

    async fn delete(&self, id: TopicId) -> Result<(), MetadataError> {
        // First the metadata: a topic that clients can see has its data.
        let topic = self.metadata.delete(id, self.clock.now()).await?;
        let log = self.log.clone();
        let deleted = tokio::task::spawn_blocking(move || log.delete_topic(id)).await;
        let failed = match deleted {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            // The tombstone is durable: background maintenance, or the next start, deletes the
            // data.
            tracing::error!(topic = topic.name(), %error, "cannot delete the topic's data yet");
        }
        // Delayed fetches of the topic return at once, with the error for an unknown topic.
        self.purgatory
            .check_and_complete(&topic.partitions().collect::<Vec<_>>());
        self.groups.topic_deleted(&topic.name().into());
        tracing::info!(topic = topic.name(), %id, "topic deleted");
        Ok(())
    }

    async fn find_or(
        &self,
        name: &str,
        creation: impl Future<Output = Result<Arc<Topic>, MetadataError>>,
    ) -> Result<Arc<Topic>, MetadataError> {
        let existing = || self.metadata.cluster().topic(name).cloned();
        if let Some(topic) = existing() {
            return Ok(topic);
        }
        match creation.await {
            // A concurrent request has created it since.
            Err(MetadataError::Create(CreateError::Exists(_))) => {
                existing().ok_or(MetadataError::UnknownTopic)
            }
            created => created,
        }
    }
}

fn log_creation(topic: &Topic, creation: &Creation, request: &TopicRequest) {
    tracing::info!(
        topic = topic.name(),
        partitions = topic.row.partition_count,
        id = %topic.id(),
        "topic created"
    );
    if creation.replication_clamped {
        tracing::warn!(
            topic = topic.name(),
            requested = request.replication_factor,
            "replication factor reduced to 1: the cluster has one broker"
        );
    }
}
