//! Limits on resources that clients use: memory, connections, partitions. Also requests of slow,
//! disconnected and rejected clients.

use std::time::Duration;

use avouch_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_protocol::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;

use super::client::{
    Client, batch_of, broker, broker_limited, broker_limited_and_measured, connected_broker,
    produce_request,
};

fn delayed_fetch(max_wait_ms: i32, rack_id: String) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        rack_id,
        topics: vec![FetchTopic {
            topic: "t".to_owned(),
            partitions: vec![FetchPartition {
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn creation(names: &[(&str, i32)]) -> CreateTopicsRequest {
    let topic = |(name, num_partitions): &(&str, i32)| CreatableTopic {
        name: (*name).to_owned(),
        num_partitions: *num_partitions,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: names.iter().map(topic).collect(),
        timeout_ms: 1_000,
        ..Default::default()
    }
}

fn about(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

// Conformance: broker/produce-12, broker/input-5b
#[tokio::test]
async fn delayed_fetches_use_no_request_memory() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 64 << 10).await;
    let mut setup = Client::connect(broker.kafka_address()).await;
    setup.create_topic("t", 1).await;
    setup.create_topic("other", 1).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(broker.kafka_address()).await;
        // The rack id makes the request large. Four of them would exceed the limit of 64 KiB.
        let fetch = delayed_fetch(600_000, "r".repeat(30_000));
        client.send(11, &fetch).await;
        waiting.push(client);
    }
    let response = setup
        .produce("other", batch_of(&[&vec![b'x'; 50_000]]))
        .await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

// Conformance: broker/input-5
#[tokio::test]
async fn connection_memory_in_flight_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.in_flight_bytes_max = 400 << 10;
        limits.connections.request_bytes_max = 100 << 10;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    client.create_topic("other", 1).await;
    let mut greedy = Client::connect(broker.kafka_address()).await;
    // Requests after the first delayed fetch wait with it.
    for _ in 0..40 {
        let fetch = delayed_fetch(600_000, "r".repeat(30_000));
        greedy.send(11, &fetch).await;
    }
    let batch = batch_of(&[&vec![b'x'; 90_000]]);
    let response = client.produce("other", batch).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn request_completes_after_client_disconnects() {
    let (_dir, broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.send(11, &delayed_fetch(20, String::new())).await;
    client.send(5, &creation(&[("created", 1)])).await;
    drop(client);
    let mut other = Client::connect(broker.kafka_address()).await;
    loop {
        let found: MetadataResponse = other.call(9, &about("created")).await;
        if found.topics[0].error_code == 0 {
            break;
        }
    }
}

#[tokio::test]
async fn earlier_responses_precede_connection_close() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    // A producer must not lose acknowledgements because of a later invalid request.
    for invalid in [
        // Key 4, LeaderAndIsr, an API between brokers.
        vec![0, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 1, 255, 255],
        // An excessive frame length.
        vec![127, 255, 255, 255],
    ] {
        let mut client = Client::connect(broker.kafka_address()).await;
        let correlation = client.send(9, &about("t")).await;
        client.send_raw(&invalid).await;
        let _: MetadataResponse = client.receive(9, correlation).await;
        assert_eq!(client.receive_raw().await, None);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let acked = produce_request("t", 0, -1, batch_of(&[b"v"]));
    // With acks 0 there is no response, so that closing the connection is the only signal.
    let rejected = produce_request("unknown", 0, 0, batch_of(&[b"v"]));
    let first = client.send(9, &acked).await;
    client.send(9, &rejected).await;
    let response: ProduceResponse = client.receive(9, first).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(client.receive_raw().await, None);
}

// Conformance: broker/input-3
#[tokio::test]
async fn request_read_timeout_closes_connection() {
    let dir = tempfile::tempdir().unwrap();
    let frame = Duration::from_millis(20);
    let broker = broker_limited(dir.path(), |limits| {
        limits.connections.request_read_timeout = frame;
    })
    .await;
    // A partial length, a length alone, and a partial header.
    for start in [&[0][..], &[0, 0, 0, 100], &[0, 0, 0, 100, 0, 18]] {
        let mut client = Client::connect(broker.kafka_address()).await;
        client.send_raw(start).await;
        assert_eq!(client.receive_raw().await, None, "{start:?}");
    }
}

// Conformance: broker/input-5
#[tokio::test]
async fn claimed_request_size_reserves_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 1 << 20).await;
    let mut incomplete = Vec::new();
    for _ in 0..64 {
        let mut client = Client::connect(broker.kafka_address()).await;
        // 64 clients announce 100 MiB each and send 1 kB.
        let claimed = (100_i32 << 20).to_be_bytes();
        client.send_raw(&[&claimed[..], &[0; 1_000]].concat()).await;
        incomplete.push(client);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let response = client.produce("t", batch_of(&[&vec![b'x'; 500_000]])).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

// Conformance: broker/input-5
#[tokio::test]
async fn stalled_requests_holding_memory_are_closed() {
    const COUNT: usize = 24;
    let dir = tempfile::tempdir().unwrap();
    let metrics = prometheus::Registry::new();
    let broker = broker_limited_and_measured(dir.path(), &metrics, |limits| {
        limits.in_flight_bytes_max = 256 << 10;
        limits.connections.request_read_timeout = Duration::from_millis(200);
    })
    .await;
    let mut incomplete = Vec::new();
    for _ in 0..COUNT {
        let mut client = Client::connect(broker.kafka_address()).await;
        // 24 clients hold 50 kB each. They fill the limit of 256 KiB, and none of them can
        // complete.
        let claimed = (60_i32 << 10).to_be_bytes();
        client
            .send_raw(&[&claimed[..], &[0; 50_000]].concat())
            .await;
        incomplete.push(client);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    // Creating the topic needs memory, which is free after the first timeouts.
    for client in &mut incomplete {
        assert_eq!(client.receive_raw().await, None);
    }
    let closed: f64 = metrics
        .gather()
        .iter()
        // The label is the reason. All reasons are added up.
        .filter(|family| family.name() == "avouch_connections_closed_total")
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value())
        .sum();
    assert!(closed >= COUNT as f64, "{closed} counted");
}

// Conformance: broker/input-5
#[tokio::test]
async fn request_above_memory_limit_completes() {
    // The response is several times larger than the request and exceeds the limit.
    const COUNT: usize = 50_000;
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 1 << 20).await;
    let topic = |at| MetadataRequestTopic {
        name: Some(format!("{at}")),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some((0..COUNT).map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(broker.kafka_address()).await;
        let correlation = client.send(9, &request).await;
        clients.push((client, correlation));
    }
    for (client, correlation) in &mut clients {
        let response: MetadataResponse = client.receive(9, *correlation).await;
        assert_eq!(response.topics.len(), COUNT);
    }
}

// Conformance: broker/input-5
#[tokio::test]
async fn large_requests_complete_with_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 2 << 20).await;
    let address = broker.kafka_address();
    Client::connect(address).await.create_topic("t", 1).await;
    // Two of the 16 requests fit into the limit. The others must wait, not fail.
    let batch = batch_of(&[&vec![b'x'; 1_000_000]]);
    let mut producing = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let batch = batch.clone();
        producing.spawn(async move {
            let mut client = Client::connect(address).await;
            let response = client.produce("t", batch).await;
            response.responses[0].partition_responses[0].error_code
        });
    }
    assert_eq!(producing.join_all().await, [0; 16]);
}

// Conformance: broker/input-3
#[tokio::test]
async fn idle_connection_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let idle = Duration::from_millis(20);
    let broker = broker_limited(dir.path(), |limits| limits.connections.idle_timeout = idle).await;
    let mut idle = Client::connect(broker.kafka_address()).await;
    assert_eq!(idle.receive_raw().await, None);
}

// Conformance: broker/input-4
#[tokio::test]
async fn connection_limit_admits_after_disconnect() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.connections.connections_max = 1).await;
    let mut first = Client::connect(broker.kafka_address()).await;
    assert!(first.is_served().await);
    let mut second = Client::connect(broker.kafka_address()).await;
    assert!(!second.is_served().await);
    drop(first);
    // The broker notices the disconnect some time later.
    loop {
        let mut third = Client::connect(broker.kafka_address()).await;
        if third.is_served().await {
            break;
        }
    }
}

// Conformance: broker/input-3
#[tokio::test]
async fn response_write_timeout_closes_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.connections.response_write_timeout = Duration::from_millis(20);
        limits.connections.connections_max = 2;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    for _ in 0..16 {
        client
            .produce("t", batch_of(&[&vec![b'x'; 1_000_000]]))
            .await;
    }
    // Sends fetches and never reads the responses.
    let mut unread = Client::connect(broker.kafka_address()).await;
    let mut fetch = delayed_fetch(0, String::new());
    fetch.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    // Eight responses of 16 MB exceed the socket buffers of both sides.
    for _ in 0..8 {
        unread.send(11, &fetch).await;
    }
    // A free place shows that the broker closed the connection that does not read.
    loop {
        let mut third = Client::connect(broker.kafka_address()).await;
        if third.is_served().await {
            break;
        }
    }
}

// Conformance: broker/input-10
#[tokio::test]
async fn partition_limit_covers_all_topics() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.partitions_max = 5).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    // The second topic would exceed 5 partitions. The third fits again.
    let request = creation(&[("three", 3), ("more", 3), ("two", 2)]);
    let response: CreateTopicsResponse = client.call(5, &request).await;
    let codes: Vec<i16> = response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(codes, [0, 44, 0], "POLICY_VIOLATION for the second topic");
}

// Conformance: broker/input-10b
#[tokio::test]
async fn mutation_quota_throttles_by_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.mutations_burst = 10;
        limits.mutations_per_second = 1;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    // validate_only must not use up the quota.
    let request = creation(&[("a", 8), ("b", 8), ("c", 8), ("a", 8)]);
    let mut validated = request.clone();
    validated.validate_only = true;
    let response: CreateTopicsResponse = client.call(7, &validated).await;
    assert_eq!(response.topics.len(), 3);
    let request = creation(&[("a", 8), ("b", 8), ("c", 8)]);
    let response: CreateTopicsResponse = client.call(7, &request).await;
    assert_eq!(codes(&response), [0, 0, 89], "THROTTLING_QUOTA_EXCEEDED");
    let throttle_ms = response.throttle_time_ms;
    assert!(throttle_ms > 5_000, "six partitions at 1/s: {throttle_ms}");
    let response: CreateTopicsResponse = client.call(7, &creation(&[("a", 8)])).await;
    assert_eq!(codes(&response), [36], "other errors take precedence");
    // Version 5 has no THROTTLING_QUOTA_EXCEEDED, so the broker delays the request.
    let response: CreateTopicsResponse = client.call(5, &creation(&[("c", 8)])).await;
    assert_eq!(
        codes(&response),
        [7],
        "REQUEST_TIMED_OUT after the request's timeout of 1 s"
    );
    let mut grown = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "a".to_owned(),
            count: 9,
            assignments: None,
        }],
        ..Default::default()
    };
    let response: CreatePartitionsResponse = client.call(3, &grown).await;
    assert_eq!(response.results[0].error_code, 89);
    // The topic has 8 partitions already. An invalid request must not be throttled.
    grown.topics[0].count = 8;
    let response: CreatePartitionsResponse = client.call(3, &grown).await;
    assert_eq!(
        response.results[0].error_code, 37,
        "no additional partition"
    );
    let deletion = DeleteTopicsRequest {
        topic_names: vec!["a".to_owned()],
        ..Default::default()
    };
    let response: DeleteTopicsResponse = client.call(5, &deletion).await;
    assert_eq!(response.responses[0].error_code, 89);
    // Clients retry after LEADER_NOT_AVAILABLE.
    let mut auto = about("d");
    auto.allow_auto_topic_creation = true;
    let response: MetadataResponse = client.call(9, &auto).await;
    assert_eq!(response.topics[0].error_code, 5, "LEADER_NOT_AVAILABLE");
}

// Conformance: broker/input-10b
#[tokio::test]
async fn old_client_waits_for_mutation_quota() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        // At 200 partitions per second, 20 partitions wait for a tenth of a second.
        limits.mutations_burst = 1;
        limits.mutations_per_second = 200;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = creation(&[("a", 5), ("b", 5), ("c", 5), ("d", 5)]);
    let response: CreateTopicsResponse = client.call(5, &request).await;
    assert_eq!(codes(&response), [0; 4]);
}

fn codes(response: &CreateTopicsResponse) -> Vec<i16> {
    response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect()
}
