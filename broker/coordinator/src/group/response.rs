//! Responses of the group coordinator, independent of wire versions and error codes.

use std::sync::Arc;

use avouch_protocol::types::{Offset, PartitionIndex};
use bytes::Bytes;

use super::error::GroupError;
use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};
use super::member::GroupState;
use super::request::CommittedOffset;

/// The response to the [`GroupRequest`](super::GroupRequest) of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResponse {
    /// The member's generation.
    Join(JoinResponse),
    /// The member's assignment.
    Sync(SyncResponse),
    /// The session is extended.
    Heartbeat,
    /// A result for each leaving member, in the order of the request.
    Leave(Vec<Result<(), GroupError>>),
    /// A result for each offset, in the order of the request.
    CommitOffsets(Vec<Result<(), GroupError>>),
    /// The offsets of each group, in the order of the request.
    FetchOffsets(Vec<FetchedOffsets>),
    /// A description of each group, in the order of the request.
    Describe(Vec<Result<GroupDescription, GroupError>>),
    /// The groups, by name.
    List(Vec<GroupListing>),
    /// The group and its offsets are deleted.
    DeleteGroup,
    /// A result for each partition, in the order of the request.
    DeleteOffsets(Vec<Result<(), GroupError>>),
}

/// A completed JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    /// The generation.
    pub generation: Generation,
    /// The protocol type.
    pub protocol_type: ProtocolType,
    /// The protocol that all members support and most prefer.
    pub protocol: ProtocolName,
    /// The member that assigns partitions.
    pub leader: MemberId,
    /// The id of this member.
    pub member_id: MemberId,
    /// True if the leader must keep the current assignment (KIP-814).
    pub skip_assignment: bool,
    /// All members, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// Its metadata for the selected protocol.
    pub metadata: Bytes,
}

/// A completed SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    /// The protocol type.
    pub protocol_type: ProtocolType,
    /// The selected protocol.
    pub protocol: ProtocolName,
    /// The leader's assignment for the member; empty if there is none.
    pub assignment: Bytes,
}

/// One group's offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// The group.
    pub group: GroupId,
    /// The requested partitions in the order of the request, or all with an offset by name.
    pub offsets: Vec<FetchedOffset>,
}

/// One partition's offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
    /// The durable offset, `None` if there is none (on the wire offset -1 without an error).
    pub committed: Option<CommittedOffset>,
}

/// The state of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group.
    pub group: GroupId,
    /// Its state.
    pub state: GroupState,
    /// The protocol type, `None` for a group that only has offsets.
    pub protocol_type: Option<ProtocolType>,
    /// The selected protocol, in state Stable.
    pub protocol: Option<ProtocolName>,
    /// Its members, by id.
    pub members: Vec<DescribedMember>,
}

/// A member of a described group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The client id.
    pub client_id: Arc<str>,
    /// The client's address.
    pub client_host: Arc<str>,
    /// Its metadata for the selected protocol; empty unless the group is Stable.
    pub metadata: Bytes,
    /// Its assignment; empty unless the group is Stable.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group.
    pub group: GroupId,
    /// The protocol type, `None` for a group that only has offsets.
    pub protocol_type: Option<ProtocolType>,
    /// Its state.
    pub state: GroupState,
}

/// Members and committed offsets of a group, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSurvey {
    /// The group.
    pub group: GroupId,
    /// Its members.
    pub members: usize,
    /// Its durable offsets.
    pub offsets: Vec<(TopicName, PartitionIndex, Offset)>,
}

impl GroupListing {
    /// The only supported type of group, as in ListGroups (KIP-848).
    pub const TYPE: &'static str = "classic";
}
