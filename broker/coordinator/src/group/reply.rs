//! What the groups answer, free of wire versions and error numbers.

use std::sync::Arc;

use avouch_protocol::types::{Offset, PartitionIndex};
use bytes::Bytes;

use super::error::GroupError;
use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};
use super::member::GroupState;
use super::request::CommittedOffset;

/// The answer to the [`GroupRequest`](super::GroupRequest) of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupReply {
    /// The generation the member is in now.
    Join(JoinReply),
    /// The member's assignment.
    Sync(SyncReply),
    /// The member's session goes on.
    Heartbeat,
    /// An outcome for each leaving member, in the request's order.
    Leave(Vec<Result<(), GroupError>>),
    /// An outcome for each offset, in the request's order.
    CommitOffsets(Vec<Result<(), GroupError>>),
    /// The offsets of each group, in the request's order.
    FetchOffsets(Vec<FetchedOffsets>),
    /// A description of each group, in the request's order.
    Describe(Vec<Result<GroupDescription, GroupError>>),
    /// The groups, by name.
    List(Vec<GroupListing>),
    /// The group and its offsets are gone.
    DeleteGroup,
    /// An outcome for each partition, in the request's order.
    DeleteOffsets(Vec<Result<(), GroupError>>),
}

/// A completed JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReply {
    /// The generation.
    pub generation: Generation,
    /// The group's kind.
    pub protocol_type: ProtocolType,
    /// The protocol that all members support and most prefer.
    pub protocol: ProtocolName,
    /// Who assigns.
    pub leader: MemberId,
    /// Who this member is.
    pub member_id: MemberId,
    /// Whether the leader shall keep the assignment there is (KIP-814).
    pub skip_assignment: bool,
    /// All members, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: MemberId,
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Its metadata for the selected protocol.
    pub metadata: Bytes,
}

/// A completed SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReply {
    /// The group's kind.
    pub protocol_type: ProtocolType,
    /// The selected protocol.
    pub protocol: ProtocolName,
    /// What the leader assigned to the member; empty when it assigned nothing.
    pub assignment: Bytes,
}

/// One group's offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// The group.
    pub group: GroupId,
    /// The partitions asked for, in the request's order, or all that have an offset, by name.
    pub offsets: Vec<FetchedOffset>,
}

/// One partition's offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
    /// The durable offset, `None` when there is none (on the wire offset -1 and no error).
    pub committed: Option<CommittedOffset>,
}

/// What a group looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group.
    pub group: GroupId,
    /// Its state.
    pub state: GroupState,
    /// Its kind, `None` for a group that only holds offsets.
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
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where the client is.
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
    /// Its kind, `None` for a group that only holds offsets.
    pub protocol_type: Option<ProtocolType>,
    /// Its state.
    pub state: GroupState,
}

/// What a group has and reads, for those who watch.
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
    /// The only type of group there is so far, as ListGroups names it (KIP-848).
    pub const TYPE: &'static str = "classic";
}
