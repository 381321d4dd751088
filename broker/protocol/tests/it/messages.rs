//! Compares all messages at all versions with the reference implementation, in both directions.

use std::collections::BTreeMap;
use std::fmt::Debug;

use avouch_protocol::WireError;
use avouch_protocol::api::ApiKey;
use avouch_protocol::chunk::joined;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::frame;
use avouch_protocol::header::{RequestHeader, ResponseHeader};
use avouch_protocol::message::Message;
use avouch_protocol::messages::api_versions::ApiVersionsResponse;
use avouch_protocol::messages::fetch::FetchResponse;
use avouch_protocol::messages::find_coordinator::FindCoordinatorRequest;
use avouch_protocol::messages::metadata::MetadataRequest;
use avouch_protocol::messages::produce::ProduceRequest;
use avouch_protocol::reader::Reader;
use avouch_protocol::writer::Writer;
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages as reference;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::{Visit, common_versions, visit_all};

pub(super) fn encode(message: &impl Message, version: i16) -> Result<Bytes, WireError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    Ok(joined(&writer.finish()).unwrap())
}

// Conformance: broker/admin-1, main-job/6a
#[test]
fn messages_match_reference_implementation() {
    struct RoundTrip(BTreeMap<ApiKey, usize>);

    impl Visit for RoundTrip {
        fn message<Local, Reference>(&mut self)
        where
            Local: Message + Clone + Debug + PartialEq,
            Reference: Encodable + Decodable + Debug + kafka_protocol::protocol::Message,
        {
            *self.0.entry(Local::API).or_default() += 1;
            for version in common_versions::<Local, Reference>() {
                for bare in [false, true] {
                    check::<Local, Reference>(version, bare);
                }
            }
        }
    }

    let mut visited = RoundTrip(BTreeMap::new());
    visit_all(&mut visited);
    let expected = ApiKey::ALL.iter().map(|api| (*api, 2)).collect();
    assert_eq!(visited.0, expected, "request and response of every API");
}

fn check<Local, Reference>(version: i16, bare: bool)
where
    Local: Message + Debug + PartialEq,
    Reference: Encodable + Decodable + Debug + kafka_protocol::protocol::Message,
{
    let name = format!("{} version {version}", std::any::type_name::<Local>());
    let message = <Local as Message>::example(version, bare).unwrap();
    let bytes = encode(&message, version).unwrap_or_else(|error| panic!("{name}: {error}"));

    let mut rest = bytes.clone();
    let read = Reference::decode(&mut rest, version)
        .unwrap_or_else(|error| panic!("{name}: cannot decode {message:?}: {error}"));
    assert!(
        rest.is_empty(),
        "{name}: {} bytes left of {message:?}",
        rest.len()
    );
    assert_same_fields(&name, &message, &read);

    let mut written = BytesMut::new();
    read.encode(&mut written, version)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    // Equal bytes also prove that fields have the same order and types.
    assert_eq!(written, bytes, "{name}: {read:?}");
    let read_back = Local::from_bytes(written.freeze(), version);
    assert_eq!(read_back.as_ref(), Ok(&message), "{name}");
}

/// If a version has a message field that the value lacks, the reference implementation writes an
/// empty string and Avouch null, so that clients show their own text.
#[test]
fn version_conversions_match_reference_implementation() {
    struct Convert;

    impl Visit for Convert {
        fn message<Local, Reference>(&mut self)
        where
            Local: Message + Clone + Debug + PartialEq,
            Reference: Encodable + Decodable + Debug + kafka_protocol::protocol::Message,
        {
            for read in common_versions::<Local, Reference>() {
                let local = <Local as Message>::example(read, false).unwrap();
                let reference =
                    Reference::decode(&mut encode(&local, read).unwrap(), read).unwrap();
                for written in common_versions::<Local, Reference>() {
                    let mut buffer = BytesMut::new();
                    let reference = reference.encode(&mut buffer, written);
                    // Both must fail for the same conversions.
                    let expected = reference.is_ok().then(|| buffer.freeze());
                    let name = std::any::type_name::<Local>();
                    let [local, reference] =
                        [encode(&local, written).ok(), expected].map(|bytes| {
                            let message = Local::from_bytes(bytes?, written).unwrap();
                            Some(format!("{message:?}").replace("Some(\"\")", "None"))
                        });
                    assert_eq!(local, reference, "{name} {read} as {written}");
                }
            }
        }
    }

    visit_all(&mut Convert);
}

/// Checks that the field names and values of the local message occur in the reference message in
/// the same order. The reference can have more: fields of later versions, types around values. A
/// local null can be an empty string there, in versions without the field.
fn assert_same_fields(name: &str, local: &impl Debug, reference: &impl Debug) {
    let (local, reference) = (format!("{local:?}"), format!("{reference:?}"));
    // DescribeQuorum uses the same names in request and response, which are one module here.
    let local = local
        .replace("RequestedTopic", "TopicData")
        .replace("RequestedPartition", "PartitionData");
    let known = reference.replace("unknown_tagged_fields: {}", "");
    assert!(
        !known.contains("unknown_tagged_fields"),
        "{name}: unknown tag: {reference}"
    );

    let mut rest = leaves(&known);
    // `any` consumes the iterator, so the leaves must occur in the same order.
    for leaf in leaves(&local) {
        // A field of ApiVersions 5, which the reference implementation lacks.
        let is_newer = name.contains("ApiVersionsRequest") && leaf == "node_id: -1";
        let is_local_only = is_newer || leaf.ends_with(": None") || leaf == "Records";
        assert!(
            is_local_only || rest.any(|other| other == leaf),
            "{name}: {leaf} is missing\nlocal     {local}\nreference {known}",
        );
    }
}

fn leaves(debug: &str) -> impl Iterator<Item = &str> {
    debug
        .split([',', '{', '}', '(', ')', '[', ']'])
        .map(|leaf| leaf.trim().trim_end_matches("Records").trim_end())
        .filter(|leaf| !leaf.is_empty() && !leaf.ends_with(':'))
}

// Conformance: main-job/6a
#[test]
fn versions_match_reference_implementation() {
    for api in ApiKey::ALL {
        let key = reference::ApiKey::try_from(api.code()).unwrap();
        assert_eq!(format!("{key:?}"), api.name());
        let (local, valid) = (api.versions(), key.valid_versions());
        // Version 5 is Kafka 4.4's, the reference implementation is generated from Kafka 4.1.
        let max = match api {
            ApiKey::ApiVersions => 5,
            _ => valid.max,
        };
        assert!(
            // Avouch supports a subset of the versions.
            valid.min <= *local.start() && *local.end() <= max,
            "{api:?}"
        );
        for version in local.filter(|version| *version <= valid.max) {
            let headers = (
                api.request_header_version(version),
                api.response_header_version(version),
            );
            let expected = (
                key.request_header_version(version),
                key.response_header_version(version),
            );
            assert_eq!(headers, expected, "{api:?} version {version}");
        }
    }
}

#[test]
fn request_headers_match_reference_implementation() {
    for api in ApiKey::ALL {
        for api_version in [*api.versions().start(), *api.versions().end()] {
            for client_id in [None, Some("client".to_owned())] {
                let header = RequestHeader {
                    api_key: api.code(),
                    api_version,
                    correlation_id: 7,
                    client_id: client_id.clone(),
                };
                let mut writer = Writer::new();
                header.encode(&mut writer).unwrap();
                let bytes = joined(&writer.finish()).unwrap();

                let expected = reference::RequestHeader::default()
                    .with_request_api_key(api.code())
                    .with_request_api_version(api_version)
                    .with_correlation_id(7)
                    .with_client_id(client_id.map(Into::into));
                let mut written = BytesMut::new();
                expected
                    .encode(&mut written, api.request_header_version(api_version))
                    .unwrap();
                assert_eq!(bytes, written, "{api:?} version {api_version}");
                assert_eq!(RequestHeader::decode(&mut Reader::new(bytes)), Ok(header));
            }
        }
    }
}

#[test]
fn header_of_unknown_api_is_decoded() {
    let mut writer = Writer::new();
    // The broker needs the correlation id to respond to an unsupported request.
    writer.i16(999);
    writer.i16(0);
    writer.i32(7);
    writer.i16(-1);
    let bytes = joined(&writer.finish()).unwrap();
    let header = RequestHeader::decode(&mut Reader::new(bytes)).unwrap();
    assert_eq!(
        (header.api_key, header.correlation_id, header.client_id),
        (999, 7, None)
    );
}

#[test]
fn frame_contains_length_header_and_body() {
    let body = <FetchResponse as Message>::example(16, false).unwrap();
    let frame = joined(&frame::response(7, 16, &body).unwrap()).unwrap();
    let mut reader = Reader::new(frame.clone());
    assert_eq!(reader.i32().map(usize::try_from), Ok(Ok(frame.len() - 4)));
    let header = ResponseHeader::decode(&mut reader, ApiKey::Fetch, 16);
    assert_eq!(header, Ok(ResponseHeader { correlation_id: 7 }));
    assert_eq!(FetchResponse::decode(&mut reader, 16), Ok(body));
    assert_eq!(reader.finish(), Ok(()));

    let header = RequestHeader {
        api_key: ApiKey::Produce.code(),
        api_version: 9,
        correlation_id: 8,
        client_id: None,
    };
    let body = <ProduceRequest as Message>::example(9, false).unwrap();
    let mut reader = Reader::new(joined(&frame::request(&header, &body).unwrap()).unwrap());
    assert_eq!(
        reader.i32().map(usize::try_from),
        Ok(Ok(reader.remaining()))
    );
    assert_eq!(RequestHeader::decode(&mut reader), Ok(header));
    assert_eq!(ProduceRequest::decode(&mut reader, 9), Ok(body));
}

#[test]
fn records_are_not_copied() {
    let mut request = <ProduceRequest as Message>::example(9, false).unwrap();
    request.topic_data[0].partition_data[0].records = Some(Bytes::from(vec![7; 5000]).into());
    let frame = encode(&request, 9).unwrap();
    let request = ProduceRequest::from_bytes(frame.clone(), 9).unwrap();
    let records = request.topic_data[0].partition_data[0]
        .records
        .clone()
        .unwrap();
    // The address shows whether the bytes were copied.
    let first_byte = records.chunks()[0].memory().unwrap().as_ptr();
    assert!(
        frame.as_ptr_range().contains(&first_byte),
        "not a slice of the frame"
    );

    let mut response = <FetchResponse as Message>::example(12, false).unwrap();
    response.responses[0].partitions[0].records = records;
    let chunks = frame::response(1, 12, &response).unwrap();
    assert!(
        chunks
            .iter()
            .any(|chunk| chunk.memory().unwrap().as_ptr() == first_byte),
        "not a separate segment"
    );
    // After the length, the correlation id and the tagged fields of the header.
    let whole = joined(&chunks).unwrap().slice(9..);
    assert_eq!(FetchResponse::from_bytes(whole, 12), Ok(response));
}

#[test]
fn fields_missing_in_version_follow_kafka() {
    let rejected = FindCoordinatorRequest {
        key_type: 1,
        ..Default::default()
    };
    let error = WireError::FieldNotInVersion {
        field: "key_type",
        version: 0,
    };
    assert_eq!(encode(&rejected, 0), Err(error));
    let rejected = FindCoordinatorRequest {
        key: "group".into(),
        ..Default::default()
    };
    let error = WireError::FieldNotInVersion {
        field: "key",
        version: 4,
    };
    assert_eq!(encode(&rejected, 4), Err(error));

    // Kafka marks this field as ignorable.
    let dropped = ApiVersionsResponse {
        throttle_time_ms: 5,
        ..Default::default()
    };
    let read = ApiVersionsResponse::from_bytes(encode(&dropped, 0).unwrap(), 0);
    assert_eq!(read, Ok(ApiVersionsResponse::default()));
}

// Conformance: main-job/6a
#[test]
fn null_is_rejected_where_not_nullable() {
    let all_topics = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let error = WireError::NullNotInVersion {
        field: "topics",
        version: 0,
    };
    assert_eq!(encode(&all_topics, 0), Err(error));
    assert_eq!(
        MetadataRequest::from_bytes(Bytes::from_static(&[0xff; 4]), 0),
        Err(error)
    );
    assert!(encode(&all_topics, 1).is_ok());
    // Empty transactional id, acks, timeout, then a null array.
    let null_topic_data = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(
        ProduceRequest::from_bytes(null_topic_data, 3),
        Err(WireError::NullNotAllowed { at: 8 }),
    );
}

#[test]
fn unsupported_versions_are_rejected() {
    let error = WireError::UnsupportedVersion {
        api: ApiKey::Produce,
        version: 2,
    };
    assert_eq!(ProduceRequest::from_bytes(Bytes::new(), 2), Err(error));
    // librdkafka disables features if Produce is not advertised from version 0.
    assert_eq!(ApiKey::Produce.advertised_versions(), 0..=13);
    assert_eq!(
        ApiKey::Fetch.advertised_versions(),
        ApiKey::Fetch.versions()
    );
    // Clients decode this response before they know the version, so its header has no tagged
    // fields.
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
}

#[test]
fn error_codes_match_reference_implementation() {
    for code in -1..=133 {
        let local = ErrorCode::try_from(code).unwrap();
        assert_eq!(local.code(), code);
        let Some(reference) = ResponseError::try_from_code(code) else {
            // The reference has no value for code 0.
            assert_eq!(local, ErrorCode::None);
            continue;
        };
        assert_eq!(local.name(), reference.to_string());
        assert_eq!(local.is_retriable(), reference.is_retriable(), "{local}");
    }
    assert_eq!(ErrorCode::ALL.len(), 135);
    assert!(ErrorCode::try_from(1000).is_err());
}
