//! Fetch, ListOffsets and Metadata: limits, delayed fetches, partition rotation, isolation levels,
//! repeated partitions.

use std::time::Duration;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use avouch_protocol::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use avouch_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use avouch_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use avouch_protocol::messages::produce::ProduceResponse;

use super::client::{Client, batch_of, broker, broker_limited, connected_broker, produce_request};

/// Returns a Fetch request for partitions of topic `t` from offset 0.
fn fetching(partitions: &[i32]) -> FetchRequest {
    let partitions = partitions.iter().map(|&partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    FetchRequest {
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: "t".to_owned(),
            partitions: partitions.collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn partitions(response: FetchResponse) -> Vec<PartitionData> {
    let topics = response.responses.into_iter();
    topics.flat_map(|topic| topic.partitions).collect()
}

/// Returns the partitions with batches in a response.
fn nonempty(response: FetchResponse) -> Vec<i32> {
    let all = partitions(response).into_iter();
    all.filter(|partition| !partition.records.is_empty())
        .map(|partition| partition.partition_index)
        .collect()
}

async fn produce(client: &mut Client, index: i32) {
    let request = produce_request("t", index, -1, batch_of(&[&[b'v'; 1_000]]));
    let response: ProduceResponse = client.call(9, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

/// Returns the size of a batch of `produce`.
fn batch_bytes() -> i32 {
    i32::try_from(batch_of(&[&[b'v'; 1_000]]).len()).unwrap()
}

// Conformance: broker/fetch-3
#[tokio::test]
async fn first_batch_ignores_limit_and_partitions_rotate() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 4).await;
    for index in [1, 2, 3] {
        produce(&mut client, index).await;
    }
    let mut request = fetching(&[0, 1, 2, 3]);
    // Smaller than any batch. Without a first batch a consumer could not progress.
    request.max_bytes = 1;
    // Partition 0 is empty. A partition without batches in a response comes first in the next one.
    for expected in [1, 2, 3, 1, 2] {
        let response: FetchResponse = client.call(11, &request).await;
        assert_eq!(nonempty(response), [expected]);
    }
    request.max_bytes = 2 * batch_bytes();
    let response: FetchResponse = client.call(11, &request).await;
    assert_eq!(
        nonempty(response).len(),
        2,
        "complete batches within the limit"
    );
}

// Conformance: broker/fetch-2
#[tokio::test]
async fn delayed_fetch_waits_for_min_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut consumer = Client::connect(broker.kafka_address()).await;
    let mut producer = Client::connect(broker.kafka_address()).await;
    producer.create_topic("t", 2).await;
    let mut request = fetching(&[0, 1]);
    request.min_bytes = 4 * batch_bytes();
    request.max_wait_ms = 600_000;
    // The fetch must be delayed before the first append, so that each append wakes it.
    let correlation = consumer.send(11, &request).await;
    for index in [0, 1, 0, 1] {
        produce(&mut producer, index).await;
    }
    let response: FetchResponse = consumer.receive(11, correlation).await;
    for partition in partitions(response) {
        let records = partition.records.into_bytes();
        let first = BatchHeader::parse(&records).unwrap();
        let second = BatchHeader::parse(&records[first.size_bytes..]).unwrap();
        assert_eq!((first.base_offset.0, second.base_offset.0), (0, 1));
        assert_eq!(
            records.len(),
            first.size_bytes + second.size_bytes,
            "unexpected bytes"
        );
    }
}

// Conformance: broker/fetch-2
#[tokio::test]
async fn fetch_waits_when_some_partitions_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut consumer = Client::connect(broker.kafka_address()).await;
    let mut producer = Client::connect(broker.kafka_address()).await;
    producer.create_topic("t", 1).await;
    // Partition 9 does not exist.
    let mut request = fetching(&[0, 9]);
    request.max_wait_ms = 600_000;
    let correlation = consumer.send(11, &request).await;
    produce(&mut producer, 0).await;
    let response: FetchResponse = consumer.receive(11, correlation).await;
    let codes: Vec<(i16, bool)> = partitions(response)
        .into_iter()
        .map(|partition| (partition.error_code, partition.records.is_empty()))
        .collect();
    assert_eq!(codes, [(0, false), (3, true)]);
    // Without any known partition the response is immediate.
    let mut request = fetching(&[9]);
    request.max_wait_ms = 600_000;
    let response: FetchResponse = consumer.call(11, &request).await;
    assert_eq!(partitions(response)[0].error_code, 3);
}

// Conformance: broker/fetch-2
#[tokio::test]
async fn delayed_fetch_ends_on_timeout_or_error() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    let mut request = fetching(&[0, 1]);
    request.max_wait_ms = 20;
    let empty: FetchResponse = client.call(11, &request).await;
    assert_eq!(nonempty(empty), Vec::<i32>::new());
    produce(&mut client, 1).await;
    // More than the partition has. The timeout returns what is available.
    request.min_bytes = 1 << 20;
    let partial: FetchResponse = client.call(11, &request).await;
    assert_eq!(nonempty(partial), [1]);
    // With a wait of ten minutes, only the failed partition can complete the fetch in time.
    let mut failing = fetching(&[0, 1]);
    failing.max_wait_ms = 600_000;
    failing.topics[0].partitions[1].fetch_offset = 9;
    let failed: FetchResponse = client.call(11, &failing).await;
    let codes: Vec<i16> = partitions(failed)
        .iter()
        .map(|found| found.error_code)
        .collect();
    assert_eq!(codes, [0, 1], "the second offset is out of range");
}

// Conformance: broker/input-5b
#[tokio::test]
async fn delayed_fetch_is_limited_by_broker() {
    for (fetch_wait, delayed_fetch_bytes_max) in [
        // First the maximum wait time is short, then no memory is left for delayed fetches.
        (Duration::from_millis(20), 1 << 20),
        (Duration::from_secs(600), 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let broker = broker_limited(dir.path(), |limits| {
            limits.fetch_wait = fetch_wait;
            limits.delayed_fetch_bytes_max = delayed_fetch_bytes_max;
        })
        .await;
        let mut client = Client::connect(broker.kafka_address()).await;
        client.create_topic("t", 1).await;
        let mut request = fetching(&[0]);
        // The broker must respond earlier than after 24 days.
        request.max_wait_ms = i32::MAX;
        let response: FetchResponse = client.call(11, &request).await;
        assert_eq!(partitions(response)[0].error_code, 0);
    }
}

// Conformance: broker/input-5b
#[tokio::test]
async fn repeated_fetch_partition_uses_last_entry() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    for index in [0, 1] {
        produce(&mut client, index).await;
    }
    // As in Kafka, the last entry of a partition replaces the earlier ones.
    let mut request = fetching(&[0, 1, 0]);
    // The end of the partition, without records.
    request.topics[0].partitions[2].fetch_offset = 1;
    request.topics.push(request.topics[0].clone());
    let response: FetchResponse = client.call(11, &request).await;
    assert_eq!(response.responses.len(), 1, "one topic");
    let found = partitions(response);
    let found: Vec<_> = found
        .iter()
        .map(|partition| (partition.partition_index, partition.records.is_empty()))
        .collect();
    assert_eq!(found, [(0, true), (1, false)]);
}

// Conformance: broker/input-5b
#[tokio::test]
async fn hot_reads_above_limit_return_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| limits.hot_read_bytes_max = 1 << 10).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    // Three batches of 1 kB. One exceeds the limit but is returned anyway.
    for _ in 0..3 {
        produce(&mut client, 0).await;
    }
    let response: FetchResponse = client.call(11, &fetching(&[0])).await;
    let records = partitions(response).remove(0).records;
    let bytes = records.into_bytes().len();
    assert_eq!(i32::try_from(bytes).unwrap(), batch_bytes());
}

// Conformance: broker/fetch-2
#[tokio::test]
async fn topic_deletion_completes_delayed_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut consumer = Client::connect(broker.kafka_address()).await;
    let mut admin = Client::connect(broker.kafka_address()).await;
    admin.create_topic("t", 1).await;
    let mut request = fetching(&[0]);
    request.max_wait_ms = 600_000;
    let correlation = consumer.send(11, &request).await;
    let deletion = DeleteTopicsRequest {
        topic_names: vec!["t".to_owned()],
        ..Default::default()
    };
    let _: DeleteTopicsResponse = admin.call(5, &deletion).await;
    let response: FetchResponse = consumer.receive(11, correlation).await;
    assert_eq!(partitions(response)[0].error_code, 3);
}

// Conformance: broker/produce-15, broker/fetch-6
#[tokio::test]
async fn fetch_returns_offsets_and_aborted_transactions() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    produce(&mut client, 0).await;
    // Only read_committed consumers expect a list of aborted transactions.
    for (isolation_level, aborted) in [(0, None), (1, Some(0))] {
        let mut request = fetching(&[0]);
        request.isolation_level = isolation_level;
        let response: FetchResponse = client.call(11, &request).await;
        let found = partitions(response).remove(0);
        assert_eq!(found.aborted_transactions.map(|list| list.len()), aborted);
        let offsets = (
            found.log_start_offset,
            found.last_stable_offset,
            found.high_watermark,
        );
        assert_eq!(offsets, (0, 1, 1));
    }
}

// Conformance: broker/fetch-1
#[tokio::test]
async fn fetch_respects_log_start_within_batch() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.produce("t", batch_of(&[b"a", b"b", b"c"])).await;
    let deletion = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: 2,
            }],
        }],
        ..Default::default()
    };
    let _: DeleteRecordsResponse = client.call(2, &deletion).await;
    // Offset 2 is inside the batch. The batch is returned whole, and the consumer skips the first
    // two records.
    for (offset, code, batches) in [(1, 1, 0), (2, 0, 1), (3, 0, 0), (4, 1, 0)] {
        let mut request = fetching(&[0]);
        request.topics[0].partitions[0].fetch_offset = offset;
        let response: FetchResponse = client.call(11, &request).await;
        let found = partitions(response).remove(0);
        assert_eq!(found.error_code, code, "{offset}");
        assert_eq!(usize::from(!found.records.is_empty()), batches, "{offset}");
    }
}

// Conformance: broker/fetch-4, broker/deviation-4
#[tokio::test]
async fn fetch_session_is_declined() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    produce(&mut client, 0).await;
    // 0 creates a session and -1 is a fetch without one. Session id 0 declines.
    for session_epoch in [0, -1] {
        let mut request = fetching(&[0]);
        request.session_epoch = session_epoch;
        let response: FetchResponse = client.call(11, &request).await;
        assert_eq!((response.error_code, response.session_id), (0, 0));
        assert_eq!(nonempty(response), [0]);
    }
}

// Conformance: broker/fetch-8
#[tokio::test]
async fn repeated_list_offsets_partition_is_rejected_once() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t".to_owned(),
            // A repeated partition has one INVALID_REQUEST in the response.
            partitions: [0, 1, 0, 0].map(partition).into(),
        }],
        ..Default::default()
    };
    let response: ListOffsetsResponse = client.call(7, &request).await;
    let found: Vec<(i32, i16)> = response.topics[0]
        .partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.error_code))
        .collect();
    assert_eq!(found, [(0, 42), (1, 0)]);
}

// Conformance: broker/fetch-9
#[tokio::test]
async fn metadata_without_topics_depends_on_version() {
    let (_dir, broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    for (version, topics, count) in [
        // In version 0 an empty list means all topics, from version 1 on null does.
        (0, Some(Vec::new()), 1),
        (1, Some(Vec::new()), 0),
        (1, None, 1),
    ] {
        let request = MetadataRequest {
            topics,
            ..Default::default()
        };
        let response: MetadataResponse = client.call(version, &request).await;
        assert_eq!(response.topics.len(), count, "version {version}");
        assert_eq!(
            response.brokers[0].port,
            i32::from(broker.kafka_address().port())
        );
    }
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    let response: MetadataResponse = client.call(12, &request).await;
    assert_eq!(response.cluster_id.as_deref(), Some(broker.cluster_id()));
    assert_eq!(response.controller_id, response.brokers[0].node_id);
}
