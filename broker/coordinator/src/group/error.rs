//! Errors of group requests. The handlers map them to Kafka's error codes.

use std::fmt;

use thiserror::Error;

use super::ids::{Generation, MemberId};
use crate::shell::StoreFailed;

/// The reason why a group request, or one item of it, is rejected. A rejected request changes
/// nothing, except where a variant states otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The coordinator replays its log. Clients retry.
    #[error("the group coordinator is loading")]
    CoordinatorLoading,
    /// The coordinator shuts down. Clients retry.
    #[error("the group coordinator is shutting down")]
    CoordinatorNotAvailable,
    /// The response depends on a record that did not become durable. Clients retry.
    #[error(transparent)]
    StoreFailed(#[from] StoreFailed),
    /// The group id is empty or too long.
    #[error("group id has {bytes} bytes; expected 1 to {limit}")]
    InvalidGroupId {
        /// Size of the id in bytes.
        bytes: usize,
        /// Maximum size in bytes.
        limit: usize,
    },
    /// The group does not exist.
    #[error("unknown group")]
    GroupIdNotFound,
    /// The group still has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// Members of the group subscribe to the topic whose offset was to be deleted.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// The broker has the maximum number of groups.
    #[error("the maximum of {limit} groups is reached")]
    TooManyGroups {
        /// Maximum number of groups.
        limit: usize,
    },
    /// The group has the maximum number of members (`group.max.size`).
    #[error("the group has the maximum of {limit} members")]
    GroupMaxSize {
        /// Maximum number of members.
        limit: usize,
    },
    /// The members of all groups exceed their memory limit.
    #[error("members of all groups need {bytes} bytes, more than the maximum of {limit}")]
    MembersTooLarge {
        /// Bytes needed, including the rejected request.
        bytes: usize,
        /// Maximum in bytes.
        limit: usize,
    },
    /// A member's metadata, or a leader's assignments, are too large.
    #[error("member metadata has {bytes} bytes, more than the maximum of {limit}")]
    MetadataTooLarge {
        /// Bytes received.
        bytes: usize,
        /// Maximum in bytes.
        limit: usize,
    },
    /// The metadata of a committed offset are too large (`offset.metadata.max.bytes`).
    #[error("offset metadata has {bytes} bytes, more than the maximum of {limit}")]
    OffsetMetadataTooLarge {
        /// Bytes received.
        bytes: usize,
        /// Maximum in bytes.
        limit: usize,
    },
    /// The committed offsets of the group, or of all groups, exceed their memory limit.
    #[error("committed offsets of {owner} need {bytes} bytes, more than the maximum of {limit}")]
    OffsetsTooLarge {
        /// The group, or all groups.
        owner: OffsetsOwner,
        /// Bytes needed, including the rejected commit.
        bytes: usize,
        /// Maximum in bytes.
        limit: usize,
    },
    /// The session timeout is out of bounds.
    #[error("session timeout is {timeout_ms} ms; expected {min_ms} to {max_ms}")]
    InvalidSessionTimeout {
        /// Requested timeout in ms.
        timeout_ms: i32,
        /// Minimum in ms.
        min_ms: i32,
        /// Maximum in ms.
        max_ms: i32,
    },
    /// The member must join again with this id (KIP-394), which stays valid for its session
    /// timeout.
    #[error("a new member must join again as {member_id}")]
    MemberIdRequired {
        /// The new id.
        member_id: MemberId,
    },
    /// The group has no such member.
    #[error("unknown member")]
    UnknownMember,
    /// The group instance id belongs to another member id (KIP-345).
    #[error("the group instance id belongs to another member")]
    FencedInstance,
    /// The request has another generation than the group.
    #[error("the group is in generation {current}")]
    IllegalGeneration {
        /// Generation of the group.
        current: Generation,
    },
    /// The member's protocol type or protocols are not those of the group.
    #[error("the member shares no protocol with the group")]
    InconsistentProtocol,
    /// The group rebalances. Members join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
}

/// The groups whose offsets a limit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetsOwner {
    /// One group.
    Group,
    /// All groups together.
    AllGroups,
}

impl fmt::Display for OffsetsOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "the group",
            Self::AllGroups => "all groups",
        })
    }
}
