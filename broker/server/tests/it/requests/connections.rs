//! Frames and connections: responses, and requests that close the connection.

use avouch_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};

use super::client::{Client, batch_of, broker, connected_broker, produce_request};

fn named(software: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: software.to_owned(),
        client_software_version: "1".to_owned(),
        ..Default::default()
    }
}

// Conformance: broker/fetch-11
#[tokio::test]
async fn unsupported_api_versions_returns_version_0() {
    let (_dir, _broker, mut client) = connected_broker().await;
    // Header: key 18, version 99, correlation 7, no client id; the rest is ignored.
    client
        .send_raw(&[0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 255, 255, 0])
        .await;
    let response: ApiVersionsResponse = client.receive(0, 7).await;
    assert_eq!(response.error_code, 35);
    let own = response
        .api_keys
        .iter()
        .find(|key| key.api_key == 18)
        .unwrap();
    assert_eq!((own.min_version, own.max_version), (0, 5));
}

// Conformance: broker/fetch-11, broker/input-2, broker/rejection-7
#[tokio::test]
async fn invalid_requests_close_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    for bytes in [
        // Key 4, LeaderAndIsr, an API between brokers.
        &[0, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 1, 255, 255][..],
        // Metadata version 13, which is not supported.
        &[0, 0, 0, 10, 0, 3, 0, 13, 0, 0, 0, 1, 255, 255],
        // Produce version 2: advertised for old clients, and rejected.
        &[0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 255, 255],
        // A TLS ClientHello, whose first bytes read as a frame length of 369 MB.
        &[0x16, 0x03, 0x01, 0x00, 0xa5, 0x01, 0x00, 0x00],
        // A negative length.
        &[255, 255, 255, 255],
        // Metadata with 2^31-1 topics in a few bytes.
        &[
            0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 127, 255, 255, 255,
        ],
    ] {
        let mut client = Client::connect(broker.kafka_address()).await;
        client.send_raw(bytes).await;
        assert_eq!(client.receive_raw().await, None, "{bytes:?}");
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    let response: ApiVersionsResponse = client.call(3, &named("test")).await;
    assert_eq!(response.error_code, 0, "another connection is affected");
}

// Conformance: broker/clients-1b
#[tokio::test]
async fn bytes_after_a_request_are_ignored() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    // Metadata version 12 of all topics as librdkafka encodes it: null in four bytes instead of
    // one, then two flags and no tagged fields. Correlation 7, no client id.
    let header = [0, 3, 0, 12, 0, 0, 0, 7, 255, 255, 0];
    let body = [0, 0, 0, 0, 1, 0, 0];
    client
        .send_raw(&[&[0, 0, 0, 18][..], &header, &body].concat())
        .await;
    let response: MetadataResponse = client.receive(12, 7).await;
    assert!(
        response
            .topics
            .iter()
            .any(|topic| topic.name.as_deref() == Some("t"))
    );
}

// Conformance: broker/fetch-11
#[tokio::test]
async fn invalid_client_software_name_is_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let response: ApiVersionsResponse = client.call(3, &named("bad name")).await;
    assert_eq!(response.error_code, 42);
}

// Conformance: broker/produce-7
#[tokio::test]
async fn pipelined_responses_keep_request_order() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut expected = Vec::new();
    for at in 0..20 {
        let request = produce_request("t", 0, -1, batch_of(&[b"v"]));
        expected.push((client.send(9, &request).await, at));
    }
    let last = client.send(9, &MetadataRequest::default()).await;
    for (correlation, offset) in expected {
        let response: avouch_protocol::messages::produce::ProduceResponse =
            client.receive(9, correlation).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, offset));
    }
    let _: MetadataResponse = client.receive(9, last).await;
}

#[tokio::test]
async fn shutdown_completes_delayed_fetch_and_closes() {
    use avouch_protocol::messages::fetch::{
        FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    };
    let (_dir, broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let request = FetchRequest {
        max_wait_ms: 600_000,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: "t".to_owned(),
            partitions: vec![FetchPartition {
                partition_max_bytes: 1_000,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let correlation = client.send(11, &request).await;
    // A response on a second connection shows that the broker has read the first request.
    let mut other = Client::connect(broker.kafka_address()).await;
    let _: ApiVersionsResponse = other.call(3, &named("test")).await;
    broker.shutdown().await;
    if let Some(frame) = client.receive_raw().await {
        assert_eq!(frame[..4], correlation.to_be_bytes());
        let mut reader = avouch_protocol::reader::Reader::new(frame.slice(4..));
        let _: FetchResponse = avouch_protocol::message::Message::decode(&mut reader, 11).unwrap();
    }
    assert_eq!(client.receive_raw().await, None);
}
