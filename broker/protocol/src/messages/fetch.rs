//! Fetch: reads record batches, and waits for them if there are none. Sessions exist from version 7
//! on (KIP-227), topic ids from 13 on (KIP-516).

use uuid::Uuid;

use super::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::message::message;
use crate::primitives::Records;

// Version 6 equals 5, and 8 equals 7. From version 10 on batches can be compressed with zstd
// (KIP-110), and from 14 on tiered storage can be reported (KIP-405).
message! {
    Fetch:
    /// The partitions and offsets to read, and the size to wait for.
    pub struct FetchRequest {
        cluster_id: Option<String> [12.., tag 0, ignorable],
        /// The id of a follower, -1 for a consumer.
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [15.., tag 1, ignorable],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 0 reads all records, 1 reads committed transactions only.
        isolation_level: i8,
        session_id: i32 [7.., ignorable],
        /// -1 fetches without a session, 0 creates a session.
        session_epoch: i32 [7.., ignorable] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: String [11.., ignorable],
    }

    /// The follower; consumers send the default.
    pub struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// Partitions of one topic to read.
    pub struct FetchTopic {
        topic: String [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<FetchPartition>,
    }

    /// The position in one partition.
    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., ignorable] = -1,
        fetch_offset: i64,
        /// Epoch of the last fetched record, sent by followers only.
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        partition_max_bytes: i32,
    }

    /// Partitions to remove from the session.
    pub struct ForgottenTopic {
        topic: String [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<i32>,
    }
}

message! {
    Fetch:
    /// The batches that were read.
    pub struct FetchResponse {
        throttle_time_ms: i32,
        error_code: i16 [7.., ignorable],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0, ignorable],
    }

    /// Batches of one topic.
    pub struct FetchableTopicResponse {
        topic: String [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<PartitionData>,
    }

    /// Batches of one partition.
    pub struct PartitionData {
        partition_index: i32,
        error_code: i16,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        diverging_epoch: EpochEndOffset [12.., tag 0, ignorable],
        current_leader: LeaderIdAndEpoch [12.., tag 1, ignorable],
        snapshot_id: SnapshotId [12.., tag 2, ignorable],
        /// In ascending order of the first offsets; null for isolation level 0.
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()),
        /// -1 if the consumer should read from the leader (KIP-392).
        preferred_read_replica: i32 [11..] = -1,
        /// Can be empty, but not null: librdkafka treats null as an error.
        records: Records,
    }

    /// The end of an epoch.
    pub struct EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// A snapshot to fetch instead; only among controllers.
    pub struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// A transaction whose records read-committed consumers skip.
    pub struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }
}
