//! The records of `__consumer_offsets`, in Kafka's format.
//!
//! The tables are in [`avouch_protocol::coordinator_records`]; a record without a value is a
//! tombstone. Offsets with an expiry have version 1, the only one with that field, and all other
//! values version 3, as in Kafka. Invalid bytes are an error, never a panic.

use std::sync::Arc;

use avouch_protocol::WireError;
use avouch_protocol::coordinator_records::{
    CoordinatorRecord as _, GroupMetadataKey, GroupMetadataValue, MemberMetadata, OffsetCommitKey,
    OffsetCommitValue,
};
use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;
use thiserror::Error;

use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};
use super::request::CommittedOffset;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const VALUE: i16 = 3;
/// The only version of an offset's value with an expiry.
const EXPIRING_VALUE: i16 = 1;
/// Kafka's value for an offset without an expiry.
const NO_EXPIRY: i64 = -1;

/// A record of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// A committed offset; `None` if it is deleted.
    Offset {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// Its partition.
        partition: PartitionIndex,
        /// The offset.
        value: Option<CommittedOffset>,
    },
    /// A group after a rebalance; `None` if it is deleted.
    Group {
        /// The group.
        group: GroupId,
        /// Its members and their assignments.
        value: Option<GroupMetadata>,
    },
}

/// A group after a rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The protocol type.
    pub protocol_type: ProtocolType,
    /// The generation.
    pub generation: Generation,
    /// The selected protocol, `None` without members.
    pub protocol: Option<ProtocolName>,
    /// The leader, `None` without members.
    pub leader: Option<MemberId>,
    /// Time of the last change of state, -1 if unknown.
    pub since: TimestampMs,
    /// The members.
    pub members: Vec<StoredMember>,
}

/// A member of a stored group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub member_id: MemberId,
    /// The group instance id of a static member.
    pub instance_id: Option<InstanceId>,
    /// The client id.
    pub client_id: Arc<str>,
    /// The client's address.
    pub client_host: Arc<str>,
    /// Maximum time to rejoin, in ms.
    pub rebalance_timeout_ms: i32,
    /// Session timeout in ms.
    pub session_timeout_ms: i32,
    /// Its metadata for the selected protocol.
    pub subscription: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// A record that cannot be decoded or encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// An unsupported kind of record. Newer group protocols use 3 and above.
    #[error("key version {0} is not supported")]
    UnknownKey(i16),
    /// A key without a version.
    #[error("key of {0} bytes has no version")]
    ShortKey(usize),
    /// An unsupported version, an invalid field, or a string that is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Returns the partition of `__consumer_offsets` for a group: Java's
/// `abs(group.hashCode()) % count`. `count` is 1 or more.
#[must_use]
pub fn partition_of(group: &GroupId, count: i32) -> PartitionIndex {
    // Java's `hashCode` uses UTF-16 units, so names outside of ASCII need them too.
    let units = group.as_str().encode_utf16();
    let hash = units.fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // Kafka's own `abs` returns 0 for `i32::MIN`, which has no positive counterpart.
    PartitionIndex(hash.checked_abs().unwrap_or(0) % count.max(1))
}

impl GroupRecord {
    /// Returns the group of the record.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => group,
        }
    }

    /// Encodes the record: its key, and its value or `None` for a tombstone.
    ///
    /// # Errors
    /// [`WireError::TooLong`] if a string has more than 32,767 bytes.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                let key = OffsetCommitKey {
                    group: group.to_string(),
                    topic: topic.to_string(),
                    partition: partition.0,
                };
                let value = value.as_ref().map(encode_offset).transpose()?;
                Ok((key.to_stored(OFFSET_KEY)?, value))
            }
            Self::Group { group, value } => {
                let key = GroupMetadataKey {
                    group: group.to_string(),
                };
                let value = value.as_ref().map(encode_metadata).transpose()?;
                Ok((key.to_stored(GROUP_KEY)?, value))
            }
        }
    }

    /// Decodes a record from its key and value.
    ///
    /// # Errors
    /// [`RecordError`] if the kind or the version is not supported, or a field is invalid.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let kind = key.first_chunk().ok_or(RecordError::ShortKey(key.len()))?;
        match i16::from_be_bytes(*kind) {
            0 | OFFSET_KEY => {
                let (_, key) = OffsetCommitKey::from_stored(key)?;
                Ok(Self::Offset {
                    group: key.group.into(),
                    topic: key.topic.into(),
                    partition: PartitionIndex(key.partition),
                    value: value.map(decode_offset).transpose()?,
                })
            }
            GROUP_KEY => {
                let (_, key) = GroupMetadataKey::from_stored(key)?;
                Ok(Self::Group {
                    group: key.group.into(),
                    value: value.map(decode_metadata).transpose()?,
                })
            }
            // Kafka's newer group protocols write kinds 3 and above.
            kind => Err(RecordError::UnknownKey(kind)),
        }
    }
}

fn encode_offset(value: &CommittedOffset) -> Result<Bytes, WireError> {
    // Later versions have no expiry, so it would be lost.
    let version = value.expires_at.map_or(VALUE, |_| EXPIRING_VALUE);
    let stored = OffsetCommitValue {
        offset: value.offset.0,
        leader_epoch: value.leader_epoch.0,
        metadata: value.metadata.to_string(),
        commit_timestamp: value.committed_at.0,
        expire_timestamp: value.expires_at.map_or(NO_EXPIRY, |at| at.0),
    };
    stored.to_stored(version)
}

fn decode_offset(value: &[u8]) -> Result<CommittedOffset, WireError> {
    let (_, value) = OffsetCommitValue::from_stored(value)?;
    Ok(CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: value.metadata.into(),
        committed_at: TimestampMs(value.commit_timestamp),
        expires_at: Some(TimestampMs(value.expire_timestamp)).filter(|at| at.0 != NO_EXPIRY),
    })
}

fn encode_metadata(value: &GroupMetadata) -> Result<Bytes, WireError> {
    let member = |member: &StoredMember| MemberMetadata {
        member_id: member.member_id.to_string(),
        group_instance_id: member.instance_id.as_ref().map(InstanceId::to_string),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    };
    let stored = GroupMetadataValue {
        protocol_type: value.protocol_type.to_string(),
        generation: value.generation.0,
        protocol: value.protocol.as_ref().map(ProtocolName::to_string),
        leader: value.leader.as_ref().map(MemberId::to_string),
        current_state_timestamp: value.since.0,
        members: value.members.iter().map(member).collect(),
    };
    stored.to_stored(VALUE)
}

fn decode_metadata(value: &[u8]) -> Result<GroupMetadata, WireError> {
    let (version, value) = GroupMetadataValue::from_stored(value)?;
    let member = |member: MemberMetadata| StoredMember {
        member_id: member.member_id.into(),
        instance_id: member.group_instance_id.map(InstanceId::from),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        // Version 0 has no rebalance timeout and used the session timeout for both.
        rebalance_timeout_ms: match version {
            0 => member.session_timeout,
            _ => member.rebalance_timeout,
        },
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription,
        assignment: member.assignment,
    };
    Ok(GroupMetadata {
        protocol_type: value.protocol_type.into(),
        generation: Generation(value.generation),
        protocol: value.protocol.map(ProtocolName::from),
        leader: value.leader.map(MemberId::from),
        since: TimestampMs(value.current_state_timestamp),
        members: value.members.into_iter().map(member).collect(),
    })
}

#[cfg(test)]
mod tests;
