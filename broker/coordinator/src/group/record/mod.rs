//! The records of `__consumer_offsets` as Kafka writes them, so that its tools read them.
//!
//! ```text
//! key 0, 1   version i16 | group text | topic text | partition i32
//! value 3    version i16 | offset i64 | leader epoch i32 | metadata text | committed at i64
//! value 1    version i16 | offset i64 | metadata text | committed at i64 | expires at i64
//! key 2      version i16 | group text
//! value 3    version i16 | protocol type text | generation i32 | protocol text? | leader text?
//!            | since i64 | count i32 | members
//! member     id text | instance id text? | client id text | client host text
//!            | rebalance timeout i32 | session timeout i32 | subscription bytes | assignment bytes
//! ```
//! A record without a value is a tombstone. Offsets are written under key version 1, those whose
//! client asked for an expiry in version 1, as Kafka does; all else is written in version 3. Values
//! are read from version 0 on, where `leader epoch` (3), `expires at` (1 only), `since` (2),
//! `instance id` (3) and `rebalance timeout` (1) come and go. Source: Kafka's
//! `OffsetCommitValue.json`, `GroupMetadataValue.json`.
//! Nothing of what a disk holds can panic here.

use std::sync::Arc;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;
use thiserror::Error;

use super::field::{FieldError, Reader, Writer};
use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};
use super::request::CommittedOffset;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const VALUE: i16 = 3;
/// The one version of an offset's value that has an expiry; [`NEVER`] stands for none.
const EXPIRING_VALUE: i16 = 1;
const NEVER: i64 = -1;
const MEMBER_BYTES_MIN: usize = 18;

/// One record: a fact about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// How far the group has read a partition; `None` when that is forgotten.
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
    /// What the group looks like after a rebalance; `None` when it is deleted.
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
    /// The group's kind.
    pub protocol_type: ProtocolType,
    /// The generation.
    pub generation: Generation,
    /// The selected protocol, `None` without members.
    pub protocol: Option<ProtocolName>,
    /// The leader, `None` without members.
    pub leader: Option<MemberId>,
    /// Since when the group is in this state, -1 if unknown.
    pub since: TimestampMs,
    /// The members.
    pub members: Vec<StoredMember>,
}

/// A member of a stored group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub member_id: MemberId,
    /// Its static name, if it has one.
    pub instance_id: Option<InstanceId>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the selected protocol.
    pub subscription: Bytes,
    /// What was assigned to it.
    pub assignment: Bytes,
}

/// Why a record cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A key of a kind we do not keep: newer group protocols use 3 and up.
    #[error("key version {0} is not known")]
    UnknownKey(i16),
    /// A value of a version we do not read.
    #[error("value version {0} is not known")]
    UnknownValue(i16),
    /// A field is broken, or too long to be written.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// The partition of `__consumer_offsets` that holds a group's records: Java's
/// `abs(group.hashCode()) % count`, the hash over UTF-16 units. `count` is 1 or more.
#[must_use]
pub fn partition_of(group: &GroupId, count: i32) -> PartitionIndex {
    let units = group.as_str().encode_utf16();
    let hash = units.fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // Kafka's own abs makes 0 of the one number that has no opposite.
    PartitionIndex(hash.checked_abs().unwrap_or(0) % count.max(1))
}

impl GroupRecord {
    /// The group that the record is about.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => group,
        }
    }

    /// The record's key, and its value or `None` for a tombstone.
    ///
    /// # Errors
    /// [`FieldError::TooLong`] when a text has more than 32,767 bytes.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let mut key = Writer::default();
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                key.i16(OFFSET_KEY);
                key.text(group.as_str())?;
                key.text(topic.as_str())?;
                key.i32(partition.0);
                let value = value.as_ref().map(encode_offset).transpose()?;
                Ok((key.finish(), value))
            }
            Self::Group { group, value } => {
                key.i16(GROUP_KEY);
                key.text(group.as_str())?;
                let value = value.as_ref().map(encode_metadata).transpose()?;
                Ok((key.finish(), value))
            }
        }
    }

    /// Reads a record from its key and value.
    ///
    /// # Errors
    /// When key or value are of an unknown version or broken.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let mut key = Reader::new(key);
        match key.i16()? {
            0 | OFFSET_KEY => Ok(Self::Offset {
                group: key.text()?.into(),
                topic: key.text()?.into(),
                partition: PartitionIndex(key.i32()?),
                value: value.map(decode_offset).transpose()?,
            }),
            GROUP_KEY => Ok(Self::Group {
                group: key.text()?.into(),
                value: value.map(decode_metadata).transpose()?,
            }),
            version => Err(RecordError::UnknownKey(version)),
        }
    }
}

fn encode_offset(value: &CommittedOffset) -> Result<Bytes, FieldError> {
    let mut writer = Writer::default();
    writer.i16(value.expires_at.map_or(VALUE, |_| EXPIRING_VALUE));
    writer.i64(value.offset.0);
    if value.expires_at.is_none() {
        writer.i32(value.leader_epoch.0);
    }
    writer.text(&value.metadata)?;
    writer.i64(value.committed_at.0);
    if let Some(at) = value.expires_at {
        writer.i64(at.0);
    }
    Ok(writer.finish())
}

fn decode_offset(value: &[u8]) -> Result<CommittedOffset, RecordError> {
    let mut reader = Reader::new(value);
    let version = value_version(&mut reader)?;
    Ok(CommittedOffset {
        offset: Offset(reader.i64()?),
        leader_epoch: LeaderEpoch(if version >= 3 { reader.i32()? } else { -1 }),
        metadata: reader.text()?.into(),
        committed_at: TimestampMs(reader.i64()?),
        expires_at: if version == EXPIRING_VALUE {
            Some(TimestampMs(reader.i64()?)).filter(|at| at.0 != NEVER)
        } else {
            None
        },
    })
}

fn encode_metadata(value: &GroupMetadata) -> Result<Bytes, FieldError> {
    let mut writer = Writer::default();
    writer.i16(VALUE);
    writer.text(value.protocol_type.as_str())?;
    writer.i32(value.generation.0);
    writer.nullable_text(value.protocol.as_ref().map(ProtocolName::as_str))?;
    writer.nullable_text(value.leader.as_ref().map(MemberId::as_str))?;
    writer.i64(value.since.0);
    writer.count(value.members.len())?;
    for member in &value.members {
        writer.text(member.member_id.as_str())?;
        writer.nullable_text(member.instance_id.as_ref().map(InstanceId::as_str))?;
        writer.text(&member.client_id)?;
        writer.text(&member.client_host)?;
        writer.i32(member.rebalance_timeout_ms);
        writer.i32(member.session_timeout_ms);
        writer.bytes(&member.subscription)?;
        writer.bytes(&member.assignment)?;
    }
    Ok(writer.finish())
}

fn decode_metadata(value: &[u8]) -> Result<GroupMetadata, RecordError> {
    let mut reader = Reader::new(value);
    let version = value_version(&mut reader)?;
    let protocol_type = reader.text()?.into();
    let generation = Generation(reader.i32()?);
    let protocol = reader.nullable_text()?.map(ProtocolName::from);
    let leader = reader.nullable_text()?.map(MemberId::from);
    let since = TimestampMs(if version >= 2 { reader.i64()? } else { -1 });
    let count = reader.count(MEMBER_BYTES_MIN)?;
    let members = (0..count).map(|_| decode_member(&mut reader, version));
    let members = members.collect::<Result<_, _>>()?;
    Ok(GroupMetadata {
        protocol_type,
        generation,
        protocol,
        leader,
        since,
        members,
    })
}

fn decode_member(reader: &mut Reader<'_>, version: i16) -> Result<StoredMember, FieldError> {
    let member_id = reader.text()?.into();
    let instance_id = if version >= 3 {
        reader.nullable_text()?
    } else {
        None
    };
    let client_id = reader.text()?.into();
    let client_host = reader.text()?.into();
    let rebalance_timeout_ms = if version >= 1 {
        Some(reader.i32()?)
    } else {
        None
    };
    let session_timeout_ms = reader.i32()?;
    Ok(StoredMember {
        member_id,
        instance_id: instance_id.map(InstanceId::from),
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription: Bytes::copy_from_slice(reader.bytes()?),
        assignment: Bytes::copy_from_slice(reader.bytes()?),
    })
}

fn value_version(reader: &mut Reader<'_>) -> Result<i16, RecordError> {
    match reader.i16()? {
        version @ 0..=VALUE => Ok(version),
        version => Err(RecordError::UnknownValue(version)),
    }
}

#[cfg(test)]
mod tests;
