//! Contract changes during validation, blocked registries and duplicate batches: the response, and
//! the content of the log.

use std::sync::Arc;
use std::time::Duration;

use avouch_broker::{Broker, BrokerConfig};
use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use avouch_protocol::messages::produce::{PartitionProduceData, ProduceResponse};
use bytes::Bytes;
use tokio::time::Instant;

use super::client::{
    Client, NOW, OneSubject, batch_of, broker_with, only, produce_request, sequenced, start,
};

const TOPIC: &str = "checked";
const INVALID_RECORD: i16 = 87;
const NOT_ENOUGH_REPLICAS: i16 = 19;
/// Confluent's framing of id 1, then the Avro string "a".
const VALID: &[u8] = &[0, 0, 0, 0, 1, 2, b'a'];
/// The same with a truncated string.
const TRUNCATED: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];
/// Header and value of a record whose schema id is in a header.
const ID_1: &[u8] = &[0, 0, 0, 0, 1];
const DATUM: &[u8] = &[2, b'a'];
const IDS_ONLY: [(&str, &str); 1] = [("avouch.value.validation", "id")];

fn registered() -> Arc<OneSubject> {
    let registry = Arc::new(OneSubject::default());
    registry.register();
    registry
}

/// Returns the first batch of a producer.
async fn set(broker: &Broker, name: &str, value: &str) {
    let config = AlterableConfig {
        name: name.to_owned(),
        config_operation: 0,
        value: Some(value.to_owned()),
    };
    let topic = AlterConfigsResource {
        resource_type: 2,
        resource_name: TOPIC.to_owned(),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![topic],
        validate_only: false,
    };
    let mut client = Client::connect(broker.kafka_address()).await;
    let response: IncrementalAlterConfigsResponse = client.call(1, &request).await;
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
}

async fn high_watermark(client: &mut Client) -> i64 {
    let topic = FetchTopic {
        topic: TOPIC.to_owned(),
        partitions: vec![FetchPartition {
            partition_max_bytes: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = FetchRequest {
        max_bytes: 1,
        topics: vec![topic],
        ..Default::default()
    };
    let response: FetchResponse = client.call(11, &request).await;
    response.responses[0].partitions[0].high_watermark
}

// Conformance: contract/6a
#[tokio::test]
async fn contract_change_rechecks_batch_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registered();
    let broker = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic_with(TOPIC, 1, &IDS_ONLY).await;
    // The lookup of the id is blocked; under level `id` the batch would be accepted.
    registry.set_blocked(true);
    let request = produce_request(TOPIC, 0, -1, batch_of(&[TRUNCATED]));
    let sent = client.send(9, &request).await;
    registry.wait_for_lookup().await;
    set(&broker, "avouch.value.validation", "payload").await;
    registry.set_blocked(false);
    let response: ProduceResponse = client.receive(9, sent).await;
    assert_eq!(only(&response).error_code, INVALID_RECORD);
    assert_eq!(high_watermark(&mut client).await, 0);
    let good = client.produce(TOPIC, batch_of(&[VALID])).await;
    assert_eq!((only(&good).error_code, only(&good).base_offset), (0, 0));
}

/// The first batch is valid and waits for the validation of the second batch of its request.
// Conformance: contract/3l
#[tokio::test]
async fn schema_change_rechecks_batch_before_append() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registered();
    let broker = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 2).await;
    let good = client.produce(TOPIC, batch_of(&[VALID])).await;
    assert_eq!(only(&good).error_code, 0);
    for text in [Some("\"long\""), None] {
        registry.register();
        let good = client.produce(TOPIC, batch_of(&[VALID])).await;
        assert_eq!(only(&good).error_code, 0);
        let unknown: &[u8] = &[0, 0, 0, 0, 2, 2, b'a'];
        let mut request = produce_request(TOPIC, 0, -1, batch_of(&[VALID]));
        request.topic_data[0]
            .partition_data
            .push(PartitionProduceData {
                index: 1,
                records: Some(batch_of(&[unknown]).into()),
            });
        let lookups = registry.lookups();
        registry.set_blocked(true);
        // The second batch must wait for a lookup in each round.
        registry.forget(2);
        let sent = client.send(9, &request).await;
        registry.wait_for_lookups(lookups + 1).await;
        registry.put(text);
        registry.set_blocked(false);
        let response: ProduceResponse = client.receive(9, sent).await;
        let codes = response.responses[0].partition_responses.iter();
        let codes: Vec<i16> = codes.map(|partition| partition.error_code).collect();
        assert_eq!(codes, [INVALID_RECORD, INVALID_RECORD], "{text:?}");
    }
    assert_eq!(high_watermark(&mut client).await, 3);
}

// Conformance: contract/6a
#[tokio::test]
async fn retry_after_contract_change_is_deduplicated() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_with(dir.path(), registered()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic_with(TOPIC, 1, &IDS_ONLY).await;
    let stored = client
        .produce(TOPIC, sequenced(7, 0, 0, &[TRUNCATED]))
        .await;
    assert_eq!(
        (only(&stored).error_code, only(&stored).base_offset),
        (0, 0)
    );
    set(&broker, "avouch.value.validation", "payload").await;
    let retried = client
        .produce(TOPIC, sequenced(7, 0, 0, &[TRUNCATED]))
        .await;
    assert_eq!(
        (only(&retried).error_code, only(&retried).base_offset),
        (0, 0)
    );
    // The first attempt of another producer is checked by the new contract.
    let late = client
        .produce(TOPIC, sequenced(8, 0, 0, &[TRUNCATED]))
        .await;
    assert_eq!(only(&late).error_code, INVALID_RECORD);
    assert_eq!(high_watermark(&mut client).await, 1);
}

// Conformance: contract/6b
#[tokio::test]
async fn concurrent_duplicates_are_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_with(dir.path(), registered()).await;
    let mut first = Client::connect(broker.kafka_address()).await;
    let mut second = Client::connect(broker.kafka_address()).await;
    first.create_topic(TOPIC, 1).await;
    for producer in 0..20 {
        // Both requests are sent before either batch is durable.
        let request = produce_request(TOPIC, 0, -1, sequenced(producer, 0, 0, &[VALID]));
        let sent = (
            first.send(9, &request).await,
            second.send(9, &request).await,
        );
        let responses: [ProduceResponse; 2] = [
            first.receive(9, sent.0).await,
            second.receive(9, sent.1).await,
        ];
        for response in &responses {
            let found = (only(response).error_code, only(response).base_offset);
            assert_eq!(found, (0, producer));
        }
    }
    assert_eq!(high_watermark(&mut first).await, 20);
}

// Conformance: contract/6c
#[tokio::test]
async fn invalid_key_rejects_record() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_with(dir.path(), registered()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let keys_too = [
        ("avouch.key.validation", "payload"),
        ("avouch.key.subjects", "checked-value"),
    ];
    client.create_topic_with(TOPIC, 1, &keys_too).await;
    for (key, code) in [
        (TRUNCATED, INVALID_RECORD),
        (b"k", INVALID_RECORD),
        (VALID, 0),
    ] {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(Some(key), Some(VALID), NOW, &[]);
        let response = client.produce(TOPIC, builder.finish()).await;
        assert_eq!(only(&response).error_code, code, "{key:?}");
        let text = only(&response).error_message.clone().unwrap_or_default();
        assert!(code == 0 || text.contains("key: "), "{text}");
    }
    assert_eq!(high_watermark(&mut client).await, 1);
}

// Conformance: contract/6c
#[tokio::test]
async fn schema_id_header_overrides_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_with(dir.path(), registered()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    let other: &[u8] = &[0, 0, 0, 0, 9];
    for (header, value, code) in [
        (ID_1, DATUM, 0),
        (ID_1, VALID, INVALID_RECORD),
        (other, DATUM, INVALID_RECORD),
        (other, VALID, INVALID_RECORD),
    ] {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(
            None,
            Some(value),
            NOW,
            &[(b"__value_schema_id", Some(header))],
        );
        let response = client.produce(TOPIC, builder.finish()).await;
        assert_eq!(only(&response).error_code, code, "{header:?} {value:?}");
    }
    assert_eq!(high_watermark(&mut client).await, 1);
}

// Conformance: contract/3g
#[tokio::test]
async fn partitions_wait_for_registry_concurrently() {
    const PARTITIONS: i32 = 5;
    let dir = tempfile::tempdir().unwrap();
    let registry = registered();
    let broker = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, PARTITIONS).await;
    registry.set_blocked(true);
    // The batch of each partition has a different unknown id.
    let mut request = produce_request(TOPIC, 0, -1, Bytes::new());
    request.topic_data[0].partition_data = (0..PARTITIONS)
        .map(|index| {
            let id = (index + 2).to_be_bytes();
            let value = [&[0], &id[..], DATUM].concat();
            PartitionProduceData {
                index,
                records: Some(batch_of(&[&value]).into()),
            }
        })
        .collect();
    let started = Instant::now();
    let response: ProduceResponse = client.call(9, &request).await;
    let partitions = &response.responses[0].partition_responses;
    assert_eq!(partitions.len(), usize::try_from(PARTITIONS).unwrap());
    for partition in partitions {
        assert_eq!(partition.error_code, NOT_ENOUGH_REPLICAS, "{partition:?}");
    }
    // One lookup times out after 2 s, five in sequence after 10 s; 6 s is far from both.
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(6), "{elapsed:?}");
}

// Conformance: contract/3h
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_keep_request_order() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(BrokerConfig::new(dir.path().to_owned()), registered()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    let large: Vec<&[u8]> = vec![VALID; 10_000];
    let invalid = [&large[..], &[TRUNCATED]].concat();
    let mut sent = Vec::new();
    for (codec, values) in [
        (Codec::Lz4, &large[..]),
        (Codec::None, &[VALID]),
        (Codec::Zstd, &invalid),
        (Codec::None, &large),
        (Codec::None, &[VALID]),
    ] {
        let mut builder = BatchBuilder::new(codec);
        for value in values {
            builder.push(None, Some(value), NOW, &[]);
        }
        let request = produce_request(TOPIC, 0, -1, builder.finish());
        sent.push(client.send(9, &request).await);
    }
    let mut results = Vec::new();
    for correlation in sent {
        let response: ProduceResponse = client.receive(9, correlation).await;
        results.push((only(&response).error_code, only(&response).base_offset));
    }
    let rejected = (INVALID_RECORD, -1);
    assert_eq!(
        results,
        [(0, 0), (0, 10_000), rejected, (0, 10_001), (0, 20_001)]
    );
}
