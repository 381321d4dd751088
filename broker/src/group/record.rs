//! The records of `__consumer_offsets` as Kafka writes them, so that its tools read them.
//!
//! ```text
//! key 0, 1   version i16 | group text | topic text | partition i32
//! value 3    version i16 | offset i64 | leader epoch i32 | metadata text | committed at i64
//! key 2      version i16 | group text
//! value 3    version i16 | protocol type text | generation i32 | protocol text? | leader text?
//!            | since i64 | count i32 | members
//! member     id text | instance id text? | client id text | client host text
//!            | rebalance timeout i32 | session timeout i32 | subscription bytes | assignment bytes
//! ```
//! A record without a value is a tombstone. Offsets are written under key version 1; values are
//! written in version 3 and read from 0 on, where `leader epoch` (3), an expiry behind `committed
//! at` (1 only; read over, retention decides), `since` (2), `instance id` (3) and `rebalance
//! timeout` (1) come and go. Source: Kafka's `OffsetCommitValue.json`, `GroupMetadataValue.json`.
//! Nothing of what a disk holds can panic here.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::field::{FieldError, Reader, Writer};
use super::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName,
};
use super::request::CommittedOffset;
use crate::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const VALUE: i16 = 3;
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
    writer.i16(VALUE);
    writer.i64(value.offset.0);
    writer.i32(value.leader_epoch.0);
    writer.text(&value.metadata)?;
    writer.i64(value.committed_at.0);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(digits: &str) -> Vec<u8> {
        let digits: Vec<char> = digits
            .chars()
            .filter(|digit| !digit.is_whitespace())
            .collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn offset_record() -> GroupRecord {
        GroupRecord::Offset {
            group: "g".into(),
            topic: "t".into(),
            partition: PartitionIndex(2),
            value: Some(CommittedOffset {
                offset: Offset(4),
                leader_epoch: LeaderEpoch(-1),
                metadata: "hi".into(),
                committed_at: TimestampMs(100),
            }),
        }
    }

    fn group_record() -> GroupRecord {
        let member = StoredMember {
            member_id: "a".into(),
            instance_id: None,
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from("ma"),
            assignment: Bytes::from("p0"),
        };
        let value = GroupMetadata {
            protocol_type: "consumer".into(),
            generation: Generation(5),
            protocol: Some("range".into()),
            leader: Some("a".into()),
            since: TimestampMs(1_000),
            members: vec![member],
        };
        GroupRecord::Group {
            group: "g".into(),
            value: Some(value),
        }
    }

    const OFFSET_KEY_HEX: &str = "0001 000167 000174 00000002";
    const OFFSET_VALUE_HEX: &str = "0003 0000000000000004 ffffffff 00026869 0000000000000064";
    const GROUP_KEY_HEX: &str = "0002 000167";
    const GROUP_VALUE_HEX: &str = "0003 0008636f6e73756d6572 00000005 000572616e6765 000161
        00000000000003e8 00000001 000161 ffff 000163 00022f68 0000ea60 00002710
        000000026d61 000000027030";

    #[test]
    fn records_are_written_as_kafka_draws_them() {
        let cases = [
            (offset_record(), OFFSET_KEY_HEX, OFFSET_VALUE_HEX),
            (group_record(), GROUP_KEY_HEX, GROUP_VALUE_HEX),
        ];
        for (record, key_hex, value_hex) in cases {
            let (key, value) = record.encode().unwrap();
            assert_eq!(hex(&key), key_hex.replace(' ', ""));
            let drawn: String = value_hex.split_whitespace().collect();
            assert_eq!(hex(&value.unwrap()), drawn);
        }
    }

    #[test]
    fn older_versions_are_read() {
        let with_epoch = |epoch| match offset_record() {
            GroupRecord::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                let value = value.map(|value| CommittedOffset {
                    leader_epoch: epoch,
                    ..value
                });
                GroupRecord::Offset {
                    group,
                    topic,
                    partition,
                    value,
                }
            }
            GroupRecord::Group { .. } => unreachable!("an offset record"),
        };
        let expected = with_epoch(LeaderEpoch(-1));
        let offsets = [
            (
                "0000 000167 000174 00000002",
                "0000 0000000000000004 00026869 0000000000000064",
            ),
            (
                OFFSET_KEY_HEX,
                "0001 0000000000000004 00026869 0000000000000064 00000000000fffff",
            ),
            (
                OFFSET_KEY_HEX,
                "0002 0000000000000004 00026869 0000000000000064",
            ),
        ];
        for (key, value) in offsets {
            let read = GroupRecord::decode(&unhex(key), Some(&unhex(value)));
            assert_eq!(read, Ok(expected.clone()), "{value}");
        }
        let head = "0008636f6e73756d6572 00000005 000572616e6765 000161";
        let tail = "000000026d61 000000027030";
        let groups = [
            format!("0000 {head} 00000001 000161 000163 00022f68 00002710 {tail}"),
            format!("0001 {head} 00000001 000161 000163 00022f68 0000ea60 00002710 {tail}"),
            format!(
                "0002 {head} 00000000000003e8 00000001 000161 000163 00022f68 0000ea60 00002710
                 {tail}"
            ),
        ];
        for (version, value) in groups.iter().enumerate() {
            let read = GroupRecord::decode(&unhex(GROUP_KEY_HEX), Some(&unhex(value))).unwrap();
            let GroupRecord::Group {
                value: Some(read), ..
            } = read
            else {
                panic!("{read:?}")
            };
            assert_eq!(
                read.since,
                TimestampMs(if version < 2 { -1 } else { 1_000 })
            );
            let rebalance_timeout_ms = if version < 1 { 10_000 } else { 60_000 };
            assert_eq!(read.members[0].rebalance_timeout_ms, rebalance_timeout_ms);
            assert_eq!(read.members[0].session_timeout_ms, 10_000);
            assert_eq!(&read.members[0].assignment[..], b"p0");
        }
    }

    #[test]
    fn what_is_not_known_or_cut_short_is_an_error() {
        let unknown = GroupRecord::decode(&unhex("0003 000167"), None);
        assert_eq!(unknown, Err(RecordError::UnknownKey(3)));
        let newer = GroupRecord::decode(&unhex(GROUP_KEY_HEX), Some(&[0, 4]));
        assert_eq!(newer, Err(RecordError::UnknownValue(4)));
        for record in [offset_record(), group_record()] {
            let (key, value) = record.encode().unwrap();
            let value = value.unwrap();
            for cut in 0..value.len() {
                let read = GroupRecord::decode(&key, Some(&value[..cut]));
                assert!(
                    matches!(read, Err(RecordError::Field(_))),
                    "{cut}: {read:?}"
                );
            }
            for cut in 0..key.len() {
                assert!(GroupRecord::decode(&key[..cut], None).is_err());
            }
        }
        let endless = unhex("0003 0000 00000005 ffff ffff 00000000000003e8 7fffffff");
        let read = GroupRecord::decode(&unhex(GROUP_KEY_HEX), Some(&endless));
        assert_eq!(
            read,
            Err(RecordError::Field(FieldError::BadLength {
                at: 20,
                length: 0x7fff_ffff
            }))
        );
    }

    #[test]
    fn a_name_too_long_for_its_field_is_an_error() {
        let group: GroupId = "g".repeat(32_768).into();
        let read = GroupRecord::Group { group, value: None }.encode();
        assert_eq!(
            read,
            Err(RecordError::Field(FieldError::TooLong { bytes: 32_768 }))
        );
    }

    #[test]
    fn a_group_is_where_java_puts_it() {
        // Hashes by Java's definition: 97, -1906497762, 1382682413, -2^31, 0 and 1772899.
        let cases = [
            ("a", 47),
            ("my-group", 12),
            ("payments", 13),
            ("polygenelubricants", 0),
        ];
        for (group, partition) in cases {
            assert_eq!(
                partition_of(&group.into(), 50),
                PartitionIndex(partition),
                "{group}"
            );
        }
        assert_eq!(partition_of(&"".into(), 50), PartitionIndex(0));
        assert_eq!(partition_of(&"\u{1f600}".into(), 50), PartitionIndex(49));
    }

    fn without_files() -> ProptestConfig {
        ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zé.-]{0,12}"
    }

    fn stored_member() -> impl Strategy<Value = StoredMember> {
        let bytes = prop::collection::vec(any::<u8>(), 0..20);
        (
            text(),
            prop::option::of(text()),
            text(),
            any::<i32>(),
            any::<i32>(),
            bytes.clone(),
            bytes,
        )
            .prop_map(
                |(id, instance, client, rebalance, session, subscription, assignment)| {
                    StoredMember {
                        member_id: id.into(),
                        instance_id: instance.map(InstanceId::from),
                        client_id: client.clone().into(),
                        client_host: client.into(),
                        rebalance_timeout_ms: rebalance,
                        session_timeout_ms: session,
                        subscription: subscription.into(),
                        assignment: assignment.into(),
                    }
                },
            )
    }

    proptest! {
        #![proptest_config(without_files())]

        #[test]
        fn groups_come_back_as_written(
            names in (text(), text(), prop::option::of(text()), prop::option::of(text())),
            numbers in (any::<i32>(), any::<i64>()),
            members in prop::collection::vec(stored_member(), 0..5),
        ) {
            let value = GroupMetadata {
                protocol_type: names.1.into(),
                generation: Generation(numbers.0),
                protocol: names.2.map(ProtocolName::from),
                leader: names.3.map(MemberId::from),
                since: TimestampMs(numbers.1),
                members,
            };
            let record = GroupRecord::Group { group: names.0.into(), value: Some(value) };
            let (key, value) = record.encode().unwrap();
            prop_assert_eq!(GroupRecord::decode(&key, value.as_deref()), Ok(record));
        }

        #[test]
        fn offsets_come_back_as_written(
            names in (text(), text(), text()),
            numbers in (any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>()),
            forgotten in any::<bool>(),
        ) {
            let value = CommittedOffset {
                offset: Offset(numbers.1),
                leader_epoch: LeaderEpoch(numbers.2),
                metadata: names.2.into(),
                committed_at: TimestampMs(numbers.3),
            };
            let record = GroupRecord::Offset {
                group: names.0.into(),
                topic: names.1.into(),
                partition: PartitionIndex(numbers.0),
                value: (!forgotten).then_some(value),
            };
            let (key, value) = record.encode().unwrap();
            prop_assert_eq!(GroupRecord::decode(&key, value.as_deref()), Ok(record));
        }

        #[test]
        fn noise_is_never_more_than_an_error(
            key in prop::collection::vec(any::<u8>(), 0..20),
            version in 0..5_u8,
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let value = [&[0, version][..], &noise].concat();
            drop(GroupRecord::decode(&key, Some(&value)));
            for known in [OFFSET_KEY_HEX, GROUP_KEY_HEX] {
                drop(GroupRecord::decode(&unhex(known), Some(&value)));
            }
        }
    }
}
