//! What a client can make the broker hold: memory, connections, partitions. And what becomes of
//! requests whose client is slow, gone, or refused.

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
    Client, batch_of, broker, broker_limited, broker_limited_and_measured, produce_request,
};

fn waiting_fetch(max_wait_ms: i32, rack_id: String) -> FetchRequest {
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
async fn fetches_that_wait_take_no_memory_from_producers() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 64 << 10).await;
    let mut setup = Client::connect(broker.kafka_address()).await;
    setup.create_topic("t", 1).await;
    setup.create_topic("other", 1).await;
    let mut parked = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(broker.kafka_address()).await;
        let fetch = waiting_fetch(600_000, "r".repeat(30_000));
        client.send(11, &fetch).await;
        parked.push(client);
    }
    let response = setup
        .produce("other", batch_of(&[&vec![b'x'; 50_000]]))
        .await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

// Conformance: broker/input-5
#[tokio::test]
async fn one_connection_has_no_more_under_way_than_its_largest_request_and_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.in_flight_bytes_max = 400 << 10;
        limits.request_bytes_max = 100 << 10;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    client.create_topic("other", 1).await;
    let mut greedy = Client::connect(broker.kafka_address()).await;
    // Whatever stands behind the first waits with it.
    for _ in 0..40 {
        let fetch = waiting_fetch(600_000, "r".repeat(30_000));
        greedy.send(11, &fetch).await;
    }
    let batch = batch_of(&[&vec![b'x'; 90_000]]);
    let response = client.produce("other", batch).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn a_request_is_carried_out_though_its_client_hung_up() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    client.send(11, &waiting_fetch(20, String::new())).await;
    client.send(5, &creation(&[("wish", 1)])).await;
    drop(client);
    let mut other = Client::connect(broker.kafka_address()).await;
    loop {
        let found: MetadataResponse = other.ask(9, &about("wish")).await;
        if found.topics[0].error_code == 0 {
            break;
        }
    }
}

#[tokio::test]
async fn what_came_before_a_refused_request_is_answered_before_the_connection_closes() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    for bad in [
        // Key 4, LeaderAndIsr, which is between brokers.
        vec![0, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 1, 255, 255],
        // A hostile length.
        vec![127, 255, 255, 255],
    ] {
        let mut client = Client::connect(broker.kafka_address()).await;
        let asked = client.send(9, &about("t")).await;
        client.send_raw(&bad).await;
        let _: MetadataResponse = client.receive(9, asked).await;
        assert_eq!(client.receive_raw().await, None);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let acked = produce_request("t", 0, -1, batch_of(&[b"v"]));
    let refused = produce_request("unknown", 0, 0, batch_of(&[b"v"]));
    let first = client.send(9, &acked).await;
    client.send(9, &refused).await;
    let response: ProduceResponse = client.receive(9, first).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(client.receive_raw().await, None);
}

// Conformance: broker/input-3
#[tokio::test]
async fn a_frame_that_does_not_get_on_closes_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let frame = Duration::from_millis(20);
    let broker = broker_limited(dir.path(), |limits| limits.frame = frame).await;
    for begun in [&[0][..], &[0, 0, 0, 100], &[0, 0, 0, 100, 0, 18]] {
        let mut client = Client::connect(broker.kafka_address()).await;
        client.send_raw(begun).await;
        assert_eq!(client.receive_raw().await, None, "{begun:?}");
    }
}

// Conformance: broker/input-5
#[tokio::test]
async fn what_is_claimed_takes_no_memory_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 1 << 20).await;
    let mut begun = Vec::new();
    for _ in 0..64 {
        let mut client = Client::connect(broker.kafka_address()).await;
        let claimed = (100_i32 << 20).to_be_bytes();
        client.send_raw(&[&claimed[..], &[0; 1_000]].concat()).await;
        begun.push(client);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let response = client.produce("t", batch_of(&[&vec![b'x'; 500_000]])).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

// Conformance: broker/input-5
#[tokio::test]
async fn frames_that_hold_all_memory_and_do_not_get_on_are_closed_and_counted() {
    const COUNT: usize = 24;
    let dir = tempfile::tempdir().unwrap();
    let metrics = prometheus::Registry::new();
    let broker = broker_limited_and_measured(dir.path(), &metrics, |limits| {
        limits.in_flight_bytes_max = 256 << 10;
        limits.frame = Duration::from_millis(200);
    })
    .await;
    let mut begun = Vec::new();
    for _ in 0..COUNT {
        let mut client = Client::connect(broker.kafka_address()).await;
        let claimed = (60_i32 << 10).to_be_bytes();
        client
            .send_raw(&[&claimed[..], &[0; 50_000]].concat())
            .await;
        begun.push(client);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    for client in &mut begun {
        assert_eq!(client.receive_raw().await, None);
    }
    let closed: f64 = metrics
        .gather()
        .iter()
        .filter(|family| family.name() == "avouch_connections_closed_total")
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value())
        .sum();
    assert!(closed >= COUNT as f64, "{closed} counted");
}

// Conformance: broker/input-5
#[tokio::test]
async fn a_request_of_many_elements_is_answered_though_it_takes_more_than_all_memory_decoded() {
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
        let asked = client.send(9, &request).await;
        clients.push((client, asked));
    }
    for (client, asked) in &mut clients {
        let response: MetadataResponse = client.receive(9, *asked).await;
        assert_eq!(response.topics.len(), COUNT);
    }
}

// Conformance: broker/input-5
#[tokio::test]
async fn large_requests_all_arrive_though_there_is_memory_for_two_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.in_flight_bytes_max = 2 << 20).await;
    let address = broker.kafka_address();
    Client::connect(address).await.create_topic("t", 1).await;
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
async fn a_connection_without_a_request_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let idle = Duration::from_millis(20);
    let broker = broker_limited(dir.path(), |limits| limits.idle = idle).await;
    let mut silent = Client::connect(broker.kafka_address()).await;
    assert_eq!(silent.receive_raw().await, None);
}

// Conformance: broker/input-4
#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_a_place_that_is_free_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.connections_max = 1).await;
    let mut first = Client::connect(broker.kafka_address()).await;
    assert!(first.is_answered().await);
    let mut second = Client::connect(broker.kafka_address()).await;
    assert!(!second.is_answered().await);
    drop(first);
    loop {
        let mut third = Client::connect(broker.kafka_address()).await;
        if third.is_answered().await {
            break;
        }
    }
}

// Conformance: broker/input-3
#[tokio::test]
async fn a_client_that_takes_no_replies_loses_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.write_stall = Duration::from_millis(20);
        limits.connections_max = 2;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    for _ in 0..16 {
        client
            .produce("t", batch_of(&[&vec![b'x'; 1_000_000]]))
            .await;
    }
    let mut deaf = Client::connect(broker.kafka_address()).await;
    let mut fetch = waiting_fetch(0, String::new());
    fetch.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    for _ in 0..8 {
        deaf.send(11, &fetch).await;
    }
    loop {
        let mut third = Client::connect(broker.kafka_address()).await;
        if third.is_answered().await {
            break;
        }
    }
}

// Conformance: broker/input-10
#[tokio::test]
async fn partitions_are_limited_over_all_topics() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.partitions_max = 5).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = creation(&[("three", 3), ("more", 3), ("two", 2)]);
    let response: CreateTopicsResponse = client.ask(5, &request).await;
    let codes: Vec<i16> = response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(codes, [0, 44, 0], "POLICY_VIOLATION for the second");
}

// Conformance: broker/input-10b
#[tokio::test]
async fn topics_that_come_and_go_too_fast_are_put_off_by_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.mutations_burst = 10;
        limits.mutations_per_second = 1;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = creation(&[("a", 8), ("b", 8), ("c", 8), ("a", 8)]);
    let mut validated = request.clone();
    validated.validate_only = true;
    let response: CreateTopicsResponse = client.ask(7, &validated).await;
    assert_eq!(response.topics.len(), 3);
    let request = creation(&[("a", 8), ("b", 8), ("c", 8)]);
    let response: CreateTopicsResponse = client.ask(7, &request).await;
    assert_eq!(codes(&response), [0, 0, 89], "THROTTLING_QUOTA_EXCEEDED");
    assert!(response.throttle_time_ms > 5_000, "six partitions too many");
    let response: CreateTopicsResponse = client.ask(7, &creation(&[("a", 8)])).await;
    assert_eq!(codes(&response), [36], "what is wrong anyway is told");
    let response: CreateTopicsResponse = client.ask(5, &creation(&[("c", 8)])).await;
    assert_eq!(
        codes(&response),
        [7],
        "REQUEST_TIMED_OUT after a second at most"
    );
    let mut grown = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "a".to_owned(),
            count: 9,
            assignments: None,
        }],
        ..Default::default()
    };
    let response: CreatePartitionsResponse = client.ask(3, &grown).await;
    assert_eq!(response.results[0].error_code, 89);
    grown.topics[0].count = 8;
    let response: CreatePartitionsResponse = client.ask(3, &grown).await;
    assert_eq!(response.results[0].error_code, 37, "nothing to grow by");
    let deletion = DeleteTopicsRequest {
        topic_names: vec!["a".to_owned()],
        ..Default::default()
    };
    let response: DeleteTopicsResponse = client.ask(5, &deletion).await;
    assert_eq!(response.responses[0].error_code, 89);
    let mut auto = about("d");
    auto.allow_auto_topic_creation = true;
    let response: MetadataResponse = client.ask(9, &auto).await;
    assert_eq!(response.topics[0].error_code, 5, "LEADER_NOT_AVAILABLE");
}

// Conformance: broker/input-10b
#[tokio::test]
async fn an_older_client_waits_for_its_turn_to_make_topics() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        limits.mutations_burst = 1;
        limits.mutations_per_second = 200;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = creation(&[("a", 5), ("b", 5), ("c", 5), ("d", 5)]);
    let response: CreateTopicsResponse = client.ask(5, &request).await;
    assert_eq!(codes(&response), [0; 4]);
}

fn codes(response: &CreateTopicsResponse) -> Vec<i16> {
    response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect()
}
