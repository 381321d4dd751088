//! Fetch: read record batches, waiting for them if need be. From version 7 on in sessions
//! (KIP-227), from 13 on by topic id.

use uuid::Uuid;

use super::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::message::message;
use crate::primitives::Records;

message! {
    Fetch:
    /// Where to read from, and how much to wait for.
    pub struct FetchRequest {
        cluster_id: Option<String> [12.., tag 0, ignorable],
        /// The follower that asks, -1 for a consumer.
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [15.., tag 1, ignorable],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 0 reads all, 1 reads committed transactions only.
        isolation_level: i8,
        session_id: i32 [7.., ignorable],
        /// -1 asks without a session, 0 for a new one.
        session_epoch: i32 [7.., ignorable] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: String [11.., ignorable],
    }

    /// Which follower asks; consumers leave it at its default.
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

    /// Where to read in one partition.
    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., ignorable] = -1,
        fetch_offset: i64,
        /// Epoch of the last record fetched; only followers know it.
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        partition_max_bytes: i32,
    }

    /// Partitions to take out of the session.
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
        /// In ascending order of their producers' first offsets; null when all is read.
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()),
        /// -1 when the leader is to be read (KIP-392).
        preferred_read_replica: i32 [11..] = -1,
        /// Empty, never null: librdkafka takes null for a fault.
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
