//! Every message at every version, both ways, against `kafka-protocol`.

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
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::{Visit, visit_all};

pub(super) fn encode(message: &impl Message, version: i16) -> Result<Bytes, WireError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    Ok(joined(&writer.finish()).unwrap())
}

// Conformance: broker/admin-1, main-job/6a
#[test]
fn every_message_at_every_version_is_what_the_other_implementation_reads_and_writes() {
    struct RoundTrip(BTreeMap<ApiKey, usize>);

    impl Visit for RoundTrip {
        fn message<Ours, Theirs>(&mut self)
        where
            Ours: Message + Clone + Debug + PartialEq,
            Theirs: Encodable + Decodable + Debug,
        {
            *self.0.entry(Ours::API).or_default() += 1;
            for version in Ours::VERSIONS {
                for bare in [false, true] {
                    check::<Ours, Theirs>(version, bare);
                }
            }
        }
    }

    let mut visited = RoundTrip(BTreeMap::new());
    visit_all(&mut visited);
    let expected = ApiKey::ALL.iter().map(|api| (*api, 2)).collect();
    assert_eq!(visited.0, expected, "a request and a response of every API");
}

fn check<Ours, Theirs>(version: i16, bare: bool)
where
    Ours: Message + Debug + PartialEq,
    Theirs: Encodable + Decodable + Debug,
{
    let name = format!("{} version {version}", std::any::type_name::<Ours>());
    let message = <Ours as Message>::example(version, bare).unwrap();
    let bytes = encode(&message, version).unwrap_or_else(|error| panic!("{name}: {error}"));

    let mut rest = bytes.clone();
    let read = Theirs::decode(&mut rest, version)
        .unwrap_or_else(|error| panic!("{name}: they cannot read {message:?}: {error}"));
    assert!(
        rest.is_empty(),
        "{name}: they leave {} bytes of {message:?}",
        rest.len()
    );
    assert_same_fields(&name, &message, &read);

    let mut written = BytesMut::new();
    read.encode(&mut written, version)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(written, bytes, "{name}: {read:?}");
    let read_back = Ours::from_bytes(written.freeze(), version);
    assert_eq!(read_back.as_ref(), Ok(&message), "{name}");
}

/// Where a version has a text that the message lacks, theirs is empty and ours is null: a client
/// shows its own words then.
#[test]
fn a_message_of_one_version_is_written_in_another_as_they_write_it_or_refused_as_they_refuse() {
    struct Convert;

    impl Visit for Convert {
        fn message<Ours, Theirs>(&mut self)
        where
            Ours: Message + Clone + Debug + PartialEq,
            Theirs: Encodable + Decodable + Debug,
        {
            for read in Ours::VERSIONS {
                let ours = <Ours as Message>::example(read, false).unwrap();
                let theirs = Theirs::decode(&mut encode(&ours, read).unwrap(), read).unwrap();
                for written in Ours::VERSIONS {
                    let mut buffer = BytesMut::new();
                    let theirs = theirs.encode(&mut buffer, written);
                    let expected = theirs.is_ok().then(|| buffer.freeze());
                    let name = std::any::type_name::<Ours>();
                    let [ours, theirs] = [encode(&ours, written).ok(), expected].map(|bytes| {
                        let message = Ours::from_bytes(bytes?, written).unwrap();
                        Some(format!("{message:?}").replace("Some(\"\")", "None"))
                    });
                    assert_eq!(ours, theirs, "{name} {read} as {written}");
                }
            }
        }
    }

    visit_all(&mut Convert);
}

/// That field names and values of ours stand in theirs in the same order. Theirs may have more:
/// fields of later versions, types around the values. A null of ours may be an empty text there,
/// in versions that lack the field.
fn assert_same_fields(name: &str, ours: &impl Debug, theirs: &impl Debug) {
    let (ours, theirs) = (format!("{ours:?}"), format!("{theirs:?}"));
    let known = theirs.replace("unknown_tagged_fields: {}", "");
    assert!(
        !known.contains("unknown_tagged_fields"),
        "{name}: a tag they do not know: {theirs}"
    );

    let mut rest = leaves(&known);
    for leaf in leaves(&ours) {
        let ours_alone = leaf.ends_with(": None") || leaf == "Records";
        assert!(
            ours_alone || rest.any(|their_leaf| their_leaf == leaf),
            "{name}: they lack {leaf}\nours   {ours}\ntheirs {known}",
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
fn versions_and_header_versions_are_theirs() {
    for api in ApiKey::ALL {
        let key = theirs::ApiKey::try_from(api.code()).unwrap();
        assert_eq!(format!("{key:?}"), api.name());
        let (ours, valid) = (api.versions(), key.valid_versions());
        assert!(
            valid.min <= *ours.start() && *ours.end() <= valid.max,
            "{api:?}"
        );
        for version in ours {
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
fn request_headers_are_theirs() {
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

                let expected = theirs::RequestHeader::default()
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
fn a_header_of_an_unknown_api_can_be_read_to_be_refused() {
    let mut writer = Writer::new();
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
fn a_frame_is_its_length_header_and_body() {
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
fn records_travel_both_ways_without_a_copy() {
    let mut request = <ProduceRequest as Message>::example(9, false).unwrap();
    request.topic_data[0].partition_data[0].records = Some(Bytes::from(vec![7; 5000]).into());
    let frame = encode(&request, 9).unwrap();
    let request = ProduceRequest::from_bytes(frame.clone(), 9).unwrap();
    let records = request.topic_data[0].partition_data[0]
        .records
        .clone()
        .unwrap();
    let first_byte = records.chunks()[0].memory().unwrap().as_ptr();
    assert!(
        frame.as_ptr_range().contains(&first_byte),
        "a slice of the frame"
    );

    let mut response = <FetchResponse as Message>::example(12, false).unwrap();
    response.responses[0].partitions[0].records = records;
    let chunks = frame::response(1, 12, &response).unwrap();
    assert!(
        chunks
            .iter()
            .any(|chunk| chunk.memory().unwrap().as_ptr() == first_byte),
        "a chunk of its own"
    );
    let whole = joined(&chunks).unwrap().slice(9..);
    assert_eq!(FetchResponse::from_bytes(whole, 12), Ok(response));
}

#[test]
fn what_a_version_lacks_is_dropped_or_refused_as_kafka_has_it() {
    let refused = FindCoordinatorRequest {
        key_type: 1,
        ..Default::default()
    };
    let error = WireError::FieldNotInVersion {
        field: "key_type",
        version: 0,
    };
    assert_eq!(encode(&refused, 0), Err(error));
    let refused = FindCoordinatorRequest {
        key: "group".into(),
        ..Default::default()
    };
    let error = WireError::FieldNotInVersion {
        field: "key",
        version: 4,
    };
    assert_eq!(encode(&refused, 4), Err(error));

    let dropped = ApiVersionsResponse {
        throttle_time_ms: 5,
        ..Default::default()
    };
    let read = ApiVersionsResponse::from_bytes(encode(&dropped, 0).unwrap(), 0);
    assert_eq!(read, Ok(ApiVersionsResponse::default()));
}

// Conformance: main-job/6a
#[test]
fn null_is_refused_where_the_version_has_none() {
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
    let null_topic_data = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(
        ProduceRequest::from_bytes(null_topic_data, 3),
        Err(WireError::NullNotAllowed { at: 8 }),
    );
}

#[test]
fn versions_beyond_ours_are_refused_and_produce_is_named_from_zero() {
    let error = WireError::UnsupportedVersion {
        api: ApiKey::Produce,
        version: 2,
    };
    assert_eq!(ProduceRequest::from_bytes(Bytes::new(), 2), Err(error));
    assert_eq!(ApiKey::Produce.advertised_versions(), 0..=12);
    assert_eq!(
        ApiKey::Fetch.advertised_versions(),
        ApiKey::Fetch.versions()
    );
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
}

#[test]
fn error_codes_are_theirs() {
    for code in -1..=133 {
        let ours = ErrorCode::try_from(code).unwrap();
        assert_eq!(ours.code(), code);
        let Some(theirs) = ResponseError::try_from_code(code) else {
            assert_eq!(ours, ErrorCode::None);
            continue;
        };
        assert_eq!(ours.name(), theirs.to_string());
        assert_eq!(ours.is_retriable(), theirs.is_retriable(), "{ours}");
    }
    assert_eq!(ErrorCode::ALL.len(), 135);
    assert!(ErrorCode::try_from(1000).is_err());
}
