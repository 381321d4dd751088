//! Records in Kafka's format, byte by byte, and random bytes.

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
            expires_at: None,
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
fn records_have_kafkas_bytes() {
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
fn expiring_offset_is_written_in_version_1() {
    let drawn = "0001 0000000000000004 00026869 0000000000000064 00000000000fffff";
    let read = GroupRecord::decode(&unhex(OFFSET_KEY_HEX), Some(&unhex(drawn))).unwrap();
    let GroupRecord::Offset {
        value: Some(value), ..
    } = &read
    else {
        panic!("{read:?}");
    };
    assert_eq!(value.expires_at, Some(TimestampMs(0x000f_ffff)));
    let (_, written) = read.encode().unwrap();
    assert_eq!(hex(&written.unwrap()), drawn.replace(' ', ""));
}

#[test]
fn older_versions_are_decoded() {
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
            "0001 0000000000000004 00026869 0000000000000064 ffffffffffffffff",
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
fn unknown_and_truncated_records_are_errors() {
    let unknown = GroupRecord::decode(&unhex("0003 000167"), None);
    assert_eq!(unknown, Err(RecordError::UnknownKey(3)));
    let newer = GroupRecord::decode(&unhex(GROUP_KEY_HEX), Some(&[0, 4]));
    assert_eq!(
        newer,
        Err(RecordError::Wire(WireError::UnknownRecordVersion {
            record: "GroupMetadataValue",
            version: 4
        }))
    );
    for record in [offset_record(), group_record()] {
        let (key, value) = record.encode().unwrap();
        let value = value.unwrap();
        for cut in 0..value.len() {
            let read = GroupRecord::decode(&key, Some(&value[..cut]));
            assert!(matches!(read, Err(RecordError::Wire(_))), "{cut}: {read:?}");
        }
        for cut in 0..key.len() {
            assert!(GroupRecord::decode(&key[..cut], None).is_err());
        }
    }
    let endless = unhex("0003 0000 00000005 ffff ffff 00000000000003e8 7fffffff");
    let read = GroupRecord::decode(&unhex(GROUP_KEY_HEX), Some(&endless));
    assert_eq!(
        read,
        Err(RecordError::Wire(WireError::TooMany {
            what: "array elements",
            at: 20,
            count: 0x7fff_ffff,
            limit: 0
        }))
    );
}

#[test]
fn overlong_name_is_an_error() {
    let group: GroupId = "g".repeat(32_768).into();
    let read = GroupRecord::Group { group, value: None }.encode();
    assert_eq!(
        read,
        Err(RecordError::Wire(WireError::TooLong {
            length: 32_768,
            limit: 32_767
        }))
    );
}

#[test]
fn partition_of_group_matches_java() {
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
            |(id, instance, client, rebalance, session, subscription, assignment)| StoredMember {
                member_id: id.into(),
                instance_id: instance.map(InstanceId::from),
                client_id: client.clone().into(),
                client_host: client.into(),
                rebalance_timeout_ms: rebalance,
                session_timeout_ms: session,
                subscription: subscription.into(),
                assignment: assignment.into(),
            },
        )
}

proptest! {
    #![proptest_config(without_files())]

    #[test]
    fn group_records_round_trip(
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
    fn offset_records_round_trip(
        names in (text(), text(), text()),
        numbers in (any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>()),
        forgotten in any::<bool>(),
    ) {
        let value = CommittedOffset {
            offset: Offset(numbers.1),
            leader_epoch: LeaderEpoch(numbers.2),
            metadata: names.2.into(),
            committed_at: TimestampMs(numbers.3),
            expires_at: None,
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
    fn random_bytes_never_panic(
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
