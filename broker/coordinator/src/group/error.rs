//! What a group request can be refused for. Names what is wrong; the edge gives it Kafka's number.

use thiserror::Error;

use super::ids::{Generation, MemberId};
use crate::shell::StoreFailed;

/// Why a group request, or one item of it, was refused. Unless said otherwise nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The coordinator still reads its log; ask again.
    #[error("the coordinator is still loading")]
    CoordinatorLoading,
    /// The coordinator shuts down; ask again later.
    #[error("the coordinator is shutting down")]
    CoordinatorNotAvailable,
    /// The answer rested on a record that did not become durable; ask again.
    #[error(transparent)]
    StoreFailed(#[from] StoreFailed),
    /// The group's name is empty or too long.
    #[error("group id of {bytes} bytes is not within 1..={limit}")]
    InvalidGroupId {
        /// Bytes of the name.
        bytes: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// There is no such group.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// The group still has members.
    #[error("the group has members")]
    NonEmptyGroup,
    /// Members of the group read the topic whose offset was to be deleted.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// One group more than the broker keeps.
    #[error("there are {limit} groups already")]
    TooManyGroups {
        /// Groups there may be.
        limit: usize,
    },
    /// One member more than a group may have.
    #[error("the group has {limit} members already")]
    GroupMaxSize {
        /// Members a group may have.
        limit: usize,
    },
    /// The members of all groups say more about themselves than the broker keeps.
    #[error("members of all groups take {bytes} bytes and may take {limit}")]
    MembersTooLarge {
        /// Bytes with what was refused.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A member's metadata, or a leader's assignments, are larger than allowed.
    #[error("metadata of {bytes} bytes is above {limit}")]
    MetadataTooLarge {
        /// Bytes sent.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The text beside an offset is larger than allowed.
    #[error("offset metadata of {bytes} bytes is above {limit}")]
    OffsetMetadataTooLarge {
        /// Bytes sent.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The session timeout is out of bounds.
    #[error("session timeout {asked_ms} ms is not within {min_ms}..={max_ms}")]
    InvalidSessionTimeout {
        /// What the member asked for.
        asked_ms: i32,
        /// The shortest there may be.
        min_ms: i32,
        /// The longest there may be.
        max_ms: i32,
    },
    /// The member shall join again under this id (KIP-394); it is kept for its session timeout.
    #[error("join again as {member_id}")]
    MemberIdRequired {
        /// The id made for it.
        member_id: MemberId,
    },
    /// The group does not know the member.
    #[error("the group does not know the member")]
    UnknownMember,
    /// The static member's name is held by another member id (KIP-345).
    #[error("the instance id belongs to another member now")]
    FencedInstance,
    /// The request is of another generation.
    #[error("the group is in generation {current}")]
    IllegalGeneration {
        /// The generation the group is in.
        current: Generation,
    },
    /// The member's protocol type or protocols do not fit the group's.
    #[error("the member's protocols do not fit the group's")]
    InconsistentProtocol,
    /// The group rebalances; join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
}
