//! What can be asked of the groups: parsed by the handlers, free of wire versions.

use std::sync::Arc;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;

use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};

/// One request. Each is answered by the [`GroupReply`](super::GroupReply) of the same name, or by
/// a [`GroupError`](super::GroupError).
#[derive(Clone, Debug)]
pub enum GroupRequest {
    /// Enter a group or take part in its rebalance; waits for the others.
    Join(JoinGroup),
    /// Give (the leader) or fetch (the others) the assignments of a generation; waits for them.
    Sync(SyncGroup),
    /// Say that the member is alive.
    Heartbeat(Heartbeat),
    /// Take members out of a group.
    Leave(LeaveGroup),
    /// Store how far partitions have been read.
    CommitOffsets(CommitOffsets),
    /// Ask how far partitions have been read, for several groups at once.
    FetchOffsets(Vec<OffsetsQuery>),
    /// Ask what groups look like.
    Describe(Vec<GroupId>),
    /// Ask which groups there are.
    List(ListGroups),
    /// Delete an empty group with its offsets.
    DeleteGroup(GroupId),
    /// Delete some of a group's offsets.
    DeleteOffsets(DeleteOffsets),
}

/// JoinGroup, API key 11.
#[derive(Clone, Debug)]
pub struct JoinGroup {
    /// The group.
    pub group: GroupId,
    /// The member; empty on its first request.
    pub member_id: MemberId,
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The client's name for itself; a new member's id starts with it.
    pub client_id: Arc<str>,
    /// Where the client is, as Kafka writes it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// How long it may take to join again; below 1 (version 0 has none) the session timeout counts.
    pub rebalance_timeout_ms: i32,
    /// What kind of group it wants.
    pub protocol_type: ProtocolType,
    /// The protocols it supports, best first, each with its metadata.
    pub protocols: Vec<(ProtocolName, Bytes)>,
    /// Whether a new member must come back under the id it is given (version 4 and up).
    pub requires_known_member: bool,
    /// Whether a static leader that comes back can be told to keep the assignment (version 9 and
    /// up).
    pub supports_skip_assignment: bool,
}

impl JoinGroup {
    /// Bytes of what the member says about itself, names included.
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
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The generation it joined.
    pub generation: Generation,
    /// The group's kind as the member knows it (version 5 and up).
    pub protocol_type: Option<ProtocolType>,
    /// The selected protocol as the member knows it (version 5 and up).
    pub protocol: Option<ProtocolName>,
    /// Who gets what; only the leader's counts.
    pub assignments: Vec<(MemberId, Bytes)>,
}

impl SyncGroup {
    /// Bytes of all assignments.
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
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The generation it is in.
    pub generation: Generation,
}

/// LeaveGroup, API key 13.
#[derive(Clone, Debug)]
pub struct LeaveGroup {
    /// The group.
    pub group: GroupId,
    /// Who leaves; before version 3 exactly one.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves: by id, or by static name with the id empty.
#[derive(Clone, Debug)]
pub struct LeavingMember {
    /// Its id; may be empty when the static name is given.
    pub member_id: MemberId,
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
}

/// OffsetCommit, API key 8.
#[derive(Clone, Debug)]
pub struct CommitOffsets {
    /// The group.
    pub group: GroupId,
    /// The member; empty for a client that assigns its partitions itself.
    pub member_id: MemberId,
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The generation it is in, [`Generation::NONE`] for a client that is in no group.
    pub generation: Generation,
    /// How long to keep the offsets from now on, whatever becomes of the group; `None` for as long
    /// as the broker keeps them. Only clients of before 2018 ask for it.
    pub retention_ms: Option<i64>,
    /// What to store. The handler has refused topics and partitions that do not exist.
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
    /// The client's own text.
    pub metadata: Arc<str>,
}

/// A stored offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub committed_at: TimestampMs,
    /// When it is forgotten, if its client asked for a time of its own.
    pub expires_at: Option<TimestampMs>,
}

/// One group of an OffsetFetch, API key 9.
#[derive(Clone, Debug)]
pub struct OffsetsQuery {
    /// The group.
    pub group: GroupId,
    /// The partitions asked for; `None` for all that have an offset.
    pub partitions: Option<Vec<(TopicName, PartitionIndex)>>,
}

/// ListGroups, API key 16.
#[derive(Clone, Debug, Default)]
pub struct ListGroups {
    /// States to list, by Kafka's names in any case; empty for all.
    pub states: Vec<String>,
    /// Types to list, of which we have `classic`, in any case; empty for all.
    pub types: Vec<String>,
}

/// OffsetDelete, API key 47.
#[derive(Clone, Debug)]
pub struct DeleteOffsets {
    /// The group.
    pub group: GroupId,
    /// The partitions whose offsets go.
    pub partitions: Vec<(TopicName, PartitionIndex)>,
}
