//! Requests to the group coordinator, independent of wire versions.

use std::sync::Arc;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;

use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};

/// A request. It returns the [`GroupResponse`](super::GroupResponse) of the same name, or a
/// [`GroupError`](super::GroupError).
#[derive(Clone, Debug)]
pub enum GroupRequest {
    /// Joins a group or its rebalance; waits for the other members.
    Join(JoinGroup),
    /// Stores (leader) or returns (followers) the assignments of a generation; waits for them.
    Sync(SyncGroup),
    /// Extends a member's session.
    Heartbeat(Heartbeat),
    /// Removes members from a group.
    Leave(LeaveGroup),
    /// Commits offsets.
    CommitOffsets(CommitOffsets),
    /// Returns committed offsets of several groups.
    FetchOffsets(Vec<OffsetsQuery>),
    /// Describes groups.
    Describe(Vec<GroupId>),
    /// Lists groups.
    List(ListGroups),
    /// Deletes an empty group with its offsets.
    DeleteGroup(GroupId),
    /// Deletes some of a group's offsets.
    DeleteOffsets(DeleteOffsets),
}

/// JoinGroup, API key 11.
#[derive(Clone, Debug)]
pub struct JoinGroup {
    /// The group.
    pub group: GroupId,
    /// The member; empty on its first request.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The client id. The id of a new member starts with it.
    pub client_id: Arc<str>,
    /// The client's address in Kafka's format: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// Maximum time between two requests of the member, in ms.
    pub session_timeout_ms: i32,
    /// Maximum time to rejoin, in ms. Below 1 (version 0 has none) the session timeout is used.
    pub rebalance_timeout_ms: i32,
    /// The protocol type.
    pub protocol_type: ProtocolType,
    /// The supported protocols in order of preference, each with its metadata.
    pub protocols: Vec<(ProtocolName, Bytes)>,
    /// True if a new member must join again with the id that it receives (version 4 and up).
    pub requires_known_member: bool,
    /// True if the response can make a static leader keep the assignment (version 9 and up).
    pub supports_skip_assignment: bool,
}

impl JoinGroup {
    /// Returns the size of the metadata and names that the member sends, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        let protocols = protocols.map(|(name, data)| name.as_str().len() + data.len());
        let instance_bytes = self.instance_id.as_ref().map_or(0, |id| id.as_str().len());
        let names_bytes = self.protocol_type.as_str().len() + self.client_id.len() + instance_bytes;
        protocols.sum::<usize>() + names_bytes
    }
}

/// SyncGroup, API key 14.
#[derive(Clone, Debug)]
pub struct SyncGroup {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The generation.
    pub generation: Generation,
    /// The protocol type that the member expects (version 5 and up).
    pub protocol_type: Option<ProtocolType>,
    /// The protocol that the member expects (version 5 and up).
    pub protocol: Option<ProtocolName>,
    /// The assignments. Those of followers are ignored.
    pub assignments: Vec<(MemberId, Bytes)>,
}

impl SyncGroup {
    /// Returns the size of all assignments in bytes.
    #[must_use]
    pub fn assignments_bytes(&self) -> usize {
        self.assignments.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Heartbeat, API key 12.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The generation.
    pub generation: Generation,
}

/// LeaveGroup, API key 13.
#[derive(Clone, Debug)]
pub struct LeaveGroup {
    /// The group.
    pub group: GroupId,
    /// The members; before version 3 exactly one.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, by id, or by group instance id with an empty id.
#[derive(Clone, Debug)]
pub struct LeavingMember {
    /// Its id; can be empty if the group instance id is set.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
}

/// OffsetCommit, API key 8.
#[derive(Clone, Debug)]
pub struct CommitOffsets {
    /// The group.
    pub group: GroupId,
    /// The member; empty for a client that assigns partitions to itself.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The generation, [`Generation::NONE`] for a client without a group.
    pub generation: Generation,
    /// Retention of these offsets in ms, `None` for the broker's. Sent by versions 2 to 4 only.
    pub retention_ms: Option<i64>,
    /// The offsets. The handler has rejected unknown topics and partitions.
    pub offsets: Vec<OffsetToCommit>,
}

/// One partition's offset to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// Opaque text of the client.
    pub metadata: Arc<str>,
}

/// A stored offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// Opaque text of the client.
    pub metadata: Arc<str>,
    /// Time of the commit.
    pub committed_at: TimestampMs,
    /// Time of expiry, if the client requested a retention.
    pub expires_at: Option<TimestampMs>,
}

/// One group of an OffsetFetch, API key 9.
#[derive(Clone, Debug)]
pub struct OffsetsQuery {
    /// The group.
    pub group: GroupId,
    /// The partitions; `None` for all with an offset.
    pub partitions: Option<Vec<(TopicName, PartitionIndex)>>,
}

/// ListGroups, API key 16.
#[derive(Clone, Debug, Default)]
pub struct ListGroups {
    /// States by Kafka's names, case-insensitive; empty for all.
    pub states: Vec<String>,
    /// Types, case-insensitive; empty for all. All groups have the type `classic`.
    pub types: Vec<String>,
}

/// OffsetDelete, API key 47.
#[derive(Clone, Debug)]
pub struct DeleteOffsets {
    /// The group.
    pub group: GroupId,
    /// The partitions.
    pub partitions: Vec<(TopicName, PartitionIndex)>,
}
