//! The log directory and the sizes of the partitions in it.

use avouch_protocol::types::TopicPartition;

use super::{Admin, AdminError};
use crate::background::disk_space::{self, DiskSpace};
use crate::metadata::Topic;

/// The broker's only log directory.
#[derive(Debug)]
pub(crate) struct LogDir {
    /// Its path.
    pub(crate) path: String,
    /// The size of its file system; `None` if the system does not report it.
    pub(crate) space: Option<DiskSpace>,
    /// Topics with the index and the bytes of each partition.
    pub(crate) topics: Vec<(String, Vec<(i32, i64)>)>,
}

impl Admin {
    /// Describes the log directory with the given partitions, or with all of them. Unknown topics
    /// and partitions are left out.
    pub(crate) async fn describe_log_dir(
        &self,
        partitions: Option<&[(String, Vec<i32>)]>,
    ) -> LogDir {
        let cluster = self.metadata.cluster();
        let described = |topic: &Topic, partitions: Vec<TopicPartition>| {
            let sizes = partitions.into_iter().map(|partition| {
                let bytes = self.log.stored_bytes(partition).unwrap_or(0);
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                (partition.partition.0, bytes)
            });
            (topic.name().to_owned(), sizes.collect())
        };
        let topics = match partitions {
            None => cluster
                .topics()
                .map(|topic| described(topic, topic.partitions().collect()))
                .collect(),
            Some(topics) => topics
                .iter()
                .filter_map(|(name, indexes)| {
                    // Kafka also omits partitions that are not on the broker.
                    let existing = indexes.iter().filter_map(|i| cluster.partition(name, *i));
                    Some(described(cluster.topic(name)?, existing.collect()))
                })
                .collect(),
        };
        LogDir {
            path: self.config.data_dir.display().to_string(),
            space: disk_space::of(&self.config.data_dir).await,
            topics,
        }
    }

    /// Checks a move of a replica to a log directory. There is one log directory, which has all
    /// replicas, so a valid move has no effect.
    ///
    /// # Errors
    /// If the log directory or the partition does not exist.
    pub(crate) fn alter_replica_log_dir(
        &self,
        path: &str,
        topic: &str,
        index: i32,
    ) -> Result<(), AdminError> {
        if path != self.config.data_dir.display().to_string() {
            return Err(AdminError::UnknownLogDir(path.to_owned()));
        }
        let partition = self.metadata.cluster().partition(topic, index);
        partition.map(|_| ()).ok_or(AdminError::UnknownPartition)
    }
}
