//! Malformed messages: truncated, with wrong counts and lengths, random.

use std::fmt::Debug;

use avouch_protocol::WireError;
use avouch_protocol::chunk::joined;
use avouch_protocol::message::Message;
use avouch_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use avouch_protocol::messages::produce::ProduceRequest;
use avouch_protocol::reader::{MAX_ELEMENTS, MAX_UNKNOWN_TAG_BYTES, Reader};
use avouch_protocol::writer::Writer;
use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;

use super::messages::encode;
use super::{Visit, visit_all};

/// Calls a function with the full example of each message at each version.
struct ForEachExample<F>(F);

type Decode = fn(Bytes, i16) -> Option<usize>;

impl<F: FnMut(&str, &Bytes, i16, Decode)> Visit for ForEachExample<F> {
    fn message<Local, Reference>(&mut self)
    where
        Local: Message + Clone + Debug + PartialEq,
        Reference: Encodable + Decodable + Debug,
    {
        for version in Local::VERSIONS {
            let message = <Local as Message>::example(version, false).unwrap();
            let bytes = encode(&message, version).unwrap();
            let decode: Decode = |bytes, version| {
                let message = Local::from_bytes(bytes, version).ok()?;
                Some(
                    encode(&message, version)
                        .expect("a decoded message can be encoded")
                        .len(),
                )
            };
            (self.0)(std::any::type_name::<Local>(), &bytes, version, decode);
        }
    }
}

#[test]
fn truncated_message_is_an_error() {
    let mut cuts = 0;
    visit_all(&mut ForEachExample(
        |name: &str, bytes: &Bytes, version, decode: Decode| {
            assert_eq!(decode(bytes.clone(), version), Some(bytes.len()));
            for end in 0..bytes.len() {
                assert_eq!(
                    decode(bytes.slice(..end), version),
                    None,
                    "{name} {version} to {end}"
                );
                cuts += 1;
            }
        },
    ));
    assert!(cuts > 10_000, "{cuts}");
}

#[test]
fn bytes_after_a_message_are_an_error() {
    visit_all(&mut ForEachExample(
        |name: &str, bytes: &Bytes, version, decode: Decode| {
            let longer = Bytes::from([bytes, &[0][..]].concat());
            assert_eq!(decode(longer, version), None, "{name} {version}");
        },
    ));
}

// Conformance: broker/input-6
#[test]
fn huge_counts_and_lengths_do_not_panic() {
    let huge_numbers: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0x80; 6],
        &[0xff; 4],
    ];
    visit_all(&mut ForEachExample(
        |_: &str, bytes: &Bytes, version, decode: Decode| {
            for at in 0..bytes.len() {
                for huge in huge_numbers {
                    let mut malformed = bytes.to_vec();
                    let end = bytes.len().min(at + huge.len());
                    malformed[at..end].copy_from_slice(&huge[..end - at]);
                    decode(malformed.into(), version);
                }
            }
        },
    ));
}

// Conformance: broker/input-6
#[test]
fn counts_are_checked_before_allocation() {
    let error = MetadataRequest::from_bytes(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]), 1);
    let expected = WireError::TooMany {
        what: "array elements",
        at: 0,
        count: (1 << 31) - 1,
        limit: 0,
    };
    assert_eq!(error, Err(expected));

    let compact = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 100]].concat();
    let error = MetadataRequest::from_bytes(compact.into(), 12);
    // A topic of version 12 has at least 18 bytes: id, length of the name, number of tagged fields.
    let expected = WireError::TooMany {
        what: "array elements",
        at: 0,
        count: (1 << 32) - 2,
        limit: 100 / 18,
    };
    assert_eq!(error, Err(expected));
}

// Conformance: broker/input-6
#[test]
fn nested_array_elements_are_limited() {
    let elements = |nested: usize| {
        let mut writer = Writer::new();
        writer.length(false, Some(nested)).unwrap();
        for _ in 0..nested {
            writer.length(false, Some(100)).unwrap();
            writer.put_slice(&[1; 100]);
        }
        let mut reader = Reader::new(joined(&writer.finish()).unwrap());
        let outer = reader.count(false, 4)?.unwrap_or(0);
        for _ in 0..outer {
            let inner = reader.count(false, 1)?.unwrap_or(0);
            reader.take(inner)?;
        }
        Ok::<_, WireError>(())
    };
    assert_eq!(elements(MAX_ELEMENTS / 101), Ok(()));
    assert!(matches!(
        elements(MAX_ELEMENTS / 101 + 1),
        Err(WireError::TooMany { .. })
    ));
}

// Conformance: broker/fetch-10, broker/input-6
#[test]
fn unknown_tagged_fields_are_skipped_within_limits() {
    let with_tags = |count: usize, size: usize| {
        let mut writer = Writer::new();
        writer.put_slice(&[2, b'a', 2, b'b']);
        let tags = (100..).take(count).map(|tag| {
            let mut field = Writer::new();
            field.put_bytes(vec![0; size].into());
            (tag, field)
        });
        writer.tagged_fields(tags.collect()).unwrap();
        ApiVersionsRequest::from_bytes(joined(&writer.finish()).unwrap(), 3)
    };
    let expected = ApiVersionsRequest {
        client_software_name: "a".into(),
        client_software_version: "b".into(),
        ..Default::default()
    };
    assert_eq!(with_tags(64, 0), Ok(expected.clone()));
    assert_eq!(with_tags(1, MAX_UNKNOWN_TAG_BYTES), Ok(expected));
    assert!(matches!(with_tags(65, 0), Err(WireError::TooMany { .. })));
    assert!(matches!(
        with_tags(1, MAX_UNKNOWN_TAG_BYTES + 1),
        Err(WireError::TooMany { .. })
    ));
    assert!(matches!(
        with_tags(2, MAX_UNKNOWN_TAG_BYTES),
        Err(WireError::TooMany { .. })
    ));
}

#[test]
fn tagged_field_must_match_its_size() {
    // Tag 3 of ApiVersions is one byte; its size here is two.
    let body = [0, 0, 1, 0, 0, 0, 0, 1, 3, 2, 1, 1];
    let error = ApiVersionsResponse::from_bytes(Bytes::copy_from_slice(&body), 3);
    assert_eq!(error, Err(WireError::TrailingBytes { at: 11, count: 1 }));
}

// Conformance: broker/input-6
#[test]
fn malformed_varints_and_strings_are_errors() {
    let read = |bytes: &'static [u8]| Reader::new(Bytes::from_static(bytes)).unsigned_varint();
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(
        read(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
        Err(WireError::BadVarint { at: 0 })
    );
    assert_eq!(
        read(&[0x80, 0x80, 0x80, 0x80, 0x80]),
        Err(WireError::BadVarint { at: 0 })
    );
    assert_eq!(
        read(&[0x80]),
        Err(WireError::Truncated {
            at: 1,
            need: 1,
            have: 0
        })
    );

    let not_text = Bytes::from_static(&[3, 0xc3, 0x28, 1, 0]);
    assert_eq!(
        ApiVersionsRequest::from_bytes(not_text, 3),
        Err(WireError::BadUtf8 { at: 1 })
    );
    let negative = Bytes::from_static(&[0xff, 0xfe]);
    let error = ProduceRequest::from_bytes(negative, 3);
    assert_eq!(error, Err(WireError::BadLength { at: 0, length: -2 }));
}

#[test]
fn string_above_length_prefix_is_not_written() {
    let message = MetadataResponse {
        cluster_id: Some("x".repeat(40_000)),
        ..Default::default()
    };
    for version in [2, 12] {
        let expected = WireError::TooLong {
            length: 40_000,
            limit: 32_767,
        };
        assert_eq!(encode(&message, version), Err(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        visit_all(&mut ForEachVersion(|version, decode: Decode| {
            decode(bytes.clone(), version);
        }));
    }

    #[test]
    fn corrupt_messages_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        visit_all(&mut ForEachExample(|_: &str, bytes: &Bytes, version, decode: Decode| {
            let mut corrupt = bytes.to_vec();
            for (at, byte) in changes.iter().filter(|_| !bytes.is_empty()) {
                corrupt[at.index(bytes.len())] = *byte;
            }
            decode(corrupt.into(), version);
        }));
    }
}

/// Calls a function with the decoder of each message at each version.
struct ForEachVersion<F>(F);

impl<F: FnMut(i16, Decode)> Visit for ForEachVersion<F> {
    fn message<Local, Reference>(&mut self)
    where
        Local: Message + Clone + Debug + PartialEq,
        Reference: Encodable + Decodable + Debug,
    {
        for version in Local::VERSIONS {
            (self.0)(version, |bytes, version| {
                let message = Local::from_bytes(bytes, version).ok()?;
                Some(
                    encode(&message, version)
                        .expect("a decoded message can be encoded")
                        .len(),
                )
            });
        }
    }
}
