//! Topics: creation, lookup, description, deletion.

use avouch_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse,
};
use avouch_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use avouch_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;
use uuid::Uuid;

use super::client::{
    Client, batch_of, broker, broker_measured, connected_broker, counter, only, produce_request,
};

fn metadata_of(name: &str, create: bool) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.to_owned()),
            ..Default::default()
        }]),
        allow_auto_topic_creation: create,
        ..Default::default()
    }
}

// Conformance: broker/fetch-9
#[tokio::test]
async fn metadata_request_auto_creates_topic() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let missing: MetadataResponse = client.call(12, &metadata_of("t", false)).await;
    // UNKNOWN_TOPIC_OR_PARTITION: the client disabled auto-creation.
    assert_eq!(missing.topics[0].error_code, 3);
    let response: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    let created = &response.topics[0];
    assert_eq!((created.error_code, created.partitions.len()), (0, 1));
    let invalid: MetadataResponse = client.call(12, &metadata_of("a/b", true)).await;
    // INVALID_TOPIC_EXCEPTION: librdkafka reports it, and retries an unknown topic.
    assert_eq!(invalid.topics[0].error_code, 17);
}

// Conformance: broker/fetch-9, main-job/6c
#[tokio::test]
async fn cluster_and_topic_ids_survive_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    let before: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    let id: InitProducerIdResponse = client.call(4, &InitProducerIdRequest::default()).await;
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let after: MetadataResponse = client.call(12, &metadata_of("t", false)).await;
    assert_eq!(before.cluster_id, after.cluster_id);
    assert_eq!(before.topics[0].topic_id, after.topics[0].topic_id);
    assert!(!after.topics[0].topic_id.is_nil());
    let next: InitProducerIdResponse = client.call(4, &InitProducerIdRequest::default()).await;
    // Producer ids are reserved in blocks. A restart skips the rest of a block.
    assert!(next.producer_id > id.producer_id);
}

// Conformance: broker/admin-7, broker/input-10
#[tokio::test]
async fn create_topics_decides_each_topic_separately() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let topic =
        |name: &str, partitions: i32, replicas: i16, config: Option<(&str, &str)>| CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: replicas,
            configs: config
                .map(|(name, value)| CreatableTopicConfig {
                    name: name.to_owned(),
                    value: Some(value.to_owned()),
                })
                .into_iter()
                .collect(),
            ..Default::default()
        };
    client.create_topic("taken", 1).await;
    let cases = [
        // A replication factor of 3 is valid, because clients use it by default.
        (topic("good", 3, 3, None), 0),
        (topic("bad name", 1, 1, None), 17),
        (topic("none", 0, 1, None), 37),
        (topic("replicas", 1, 0, None), 38),
        (topic("taken", 1, 1, None), 36),
        (topic("config", 1, 1, Some(("retention.ms", "soon"))), 40),
        (
            topic(
                "contract",
                1,
                1,
                Some(("avouch.value.validation", "perhaps")),
            ),
            40,
        ),
        // Kafka returns one error for both entries.
        (topic("twice", 1, 1, None), 42),
        (topic("twice", 1, 1, None), 42),
    ];
    let request = CreateTopicsRequest {
        topics: cases.iter().map(|(topic, _)| topic.clone()).collect(),
        timeout_ms: 1_000,
        ..Default::default()
    };
    let response: CreateTopicsResponse = client.call(7, &request).await;
    assert_eq!(
        response.topics.len(),
        cases.len() - 1,
        "one result per name"
    );
    let result = |name: &str| response.topics.iter().find(|result| result.name == name);
    for (topic, code) in &cases {
        let result = result(&topic.name).unwrap();
        assert_eq!(
            result.error_code, *code,
            "{}: {:?}",
            topic.name, result.error_message
        );
    }
    let good = result("good").unwrap();
    assert_eq!(
        (good.num_partitions, good.replication_factor),
        (3, 1),
        "the replication factor is reduced to 1"
    );
    let configs = good.configs.as_ref().unwrap();
    assert!(configs.iter().any(|config| config.name == "retention.ms"));
}

// Conformance: broker/admin-7
#[tokio::test]
async fn contradictory_topic_returns_kafkas_code() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let on_broker_one = |partition_index| CreatableReplicaAssignment {
        partition_index,
        broker_ids: vec![1],
    };
    let topic = CreatableTopic {
        name: "t".to_owned(),
        // -1 selects the broker default, and is the only valid value with assignments.
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    let counted_and_placed = CreatableTopic {
        num_partitions: 1,
        assignments: vec![on_broker_one(0)],
        ..topic.clone()
    };
    let placed_twice = CreatableTopic {
        assignments: vec![on_broker_one(0), on_broker_one(0)],
        ..topic.clone()
    };
    let without_a_value = CreatableTopic {
        configs: vec![CreatableTopicConfig {
            name: "retention.ms".to_owned(),
            value: None,
        }],
        ..topic.clone()
    };
    for (topic, code) in [
        (counted_and_placed, 42),
        (placed_twice, 39),
        (without_a_value, 40),
        (topic, 0),
    ] {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 1_000,
            ..Default::default()
        };
        let response: CreateTopicsResponse = client.call(7, &request).await;
        let result = &response.topics[0];
        assert_eq!(result.error_code, code, "{:?}", result.error_message);
    }
}

// Conformance: broker/admin-9
#[tokio::test]
async fn recreated_topic_has_new_id() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let before: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    client.produce("t", batch_of(&[b"v"])).await;
    let by_id = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: None,
            topic_id: before.topics[0].topic_id,
        }],
        ..Default::default()
    };
    let deleted: DeleteTopicsResponse = client.call(6, &by_id).await;
    assert_eq!(deleted.responses[0].error_code, 0);
    // The name exists again later, so that only the id shows which topic was meant.
    let again: DeleteTopicsResponse = client.call(6, &by_id).await;
    assert_eq!(again.responses[0].error_code, 100, "UNKNOWN_TOPIC_ID");
    let recreated: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    assert_ne!(recreated.topics[0].topic_id, before.topics[0].topic_id);
    let produced = client.produce("t", batch_of(&[b"v"])).await;
    assert_eq!(produced.responses[0].partition_responses[0].base_offset, 0);
}

// Conformance: broker/produce-16
#[tokio::test]
async fn produce_by_id_ignores_recreated_topic() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let first: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    let first = first.topics[0].topic_id;
    // Produce has topic ids instead of names since version 13.
    let mut request = produce_request("", 0, -1, batch_of(&[b"v"]));
    request.topic_data[0].topic_id = first;
    let produced: ProduceResponse = client.call(13, &request).await;
    assert_eq!(produced.responses[0].topic_id, first);
    assert_eq!(only(&produced).error_code, 0);

    let delete = DeleteTopicsRequest {
        topic_names: vec!["t".to_owned()],
        ..Default::default()
    };
    let _: DeleteTopicsResponse = client.call(5, &delete).await;
    let second: MetadataResponse = client.call(12, &metadata_of("t", true)).await;
    for (id, code, offset) in [
        (first, 100, -1),
        (Uuid::nil(), 100, -1),
        (second.topics[0].topic_id, 0, 0),
    ] {
        request.topic_data[0].topic_id = id;
        let produced: ProduceResponse = client.call(13, &request).await;
        assert_eq!(produced.responses[0].topic_id, id);
        let partition = only(&produced);
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (code, offset)
        );
    }
}

// Conformance: broker/fetch-16
#[tokio::test]
async fn repeated_unknown_topic_is_delayed() {
    let (dir, metrics) = (tempfile::tempdir().unwrap(), prometheus::Registry::new());
    let broker = broker_measured(dir.path(), &metrics).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    // A slow machine may need more than a second for the first requests, so the number of requests
    // is not limited.
    while counter(&metrics, "avouch_delayed_metadata_total") < 3 {
        let response: MetadataResponse = client.call(12, &metadata_of("gone", false)).await;
        assert_eq!(response.topics[0].error_code, 3);
    }
}

// Conformance: broker/admin-2
#[tokio::test]
async fn describe_configs_returns_sources() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let resource = |kind: i8, name: &str| DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![
            resource(2, "t"),
            resource(4, "1"),
            resource(2, "none"),
            resource(4, "9"),
        ],
        include_synonyms: true,
        ..Default::default()
    };
    let response: DescribeConfigsResponse = client.call(4, &request).await;
    let codes: Vec<i16> = response
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    assert_eq!(codes, [0, 0, 3, 42]);
    let topic = &response.results[0].configs;
    let of = |name: &str| topic.iter().find(|config| config.name == name).unwrap();
    assert_eq!(of("cleanup.policy").value.as_deref(), Some("delete"));
    assert_eq!(of("cleanup.policy").config_source, 5);
    assert_eq!(of("avouch.value.validation").value.as_deref(), Some("auto"));
    assert!(topic.len() > 40);
}

#[tokio::test]
async fn topic_creation_completes_after_disconnect() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let mut leaving = Client::connect(broker.kafka_address()).await;
        // The client disconnects before the response. The creation must not be canceled half-way.
        leaving.send(12, &metadata_of(name, true)).await;
        drop(leaving);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let found: MetadataResponse = client.call(12, &metadata_of(name, true)).await;
        assert_eq!(found.topics[0].error_code, 0, "{name}");
    }
}

#[tokio::test]
async fn only_broker_creates_offsets_topic() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: "__consumer_offsets".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    // A client could choose another number of partitions, which decides where groups are stored.
    let rejected: CreateTopicsResponse = client.call(5, &request).await;
    assert_eq!(rejected.topics[0].error_code, 17);
    let created: MetadataResponse = client
        .call(12, &metadata_of("__consumer_offsets", true))
        .await;
    let topic = &created.topics[0];
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 50));
    assert!(topic.is_internal);
}

// Conformance: broker/produce-13
#[tokio::test]
async fn producer_ids_are_never_reused() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let named = InitProducerIdRequest {
        // Without a transactional id the broker ignores the client's id and epoch.
        producer_id: 3,
        producer_epoch: 4,
        ..Default::default()
    };
    let mut ids = std::collections::BTreeSet::new();
    for request in [&named, &named, &InitProducerIdRequest::default()] {
        let response: InitProducerIdResponse = client.call(4, request).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        assert!(ids.insert(response.producer_id));
    }
}

fn metadata_by_id(topic_id: Uuid, name: Option<&str>) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id,
            name: name.map(str::to_owned),
        }]),
        ..Default::default()
    }
}

// Conformance: broker/fetch-7
#[tokio::test]
async fn unknown_topic_id_is_reported_in_metadata() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let unknown = Uuid::from_u128(7);
    // Topic ids exist in Metadata since version 10.
    for version in 10..=12 {
        let found: MetadataResponse = client.call(version, &metadata_by_id(unknown, None)).await;
        assert_eq!(found.topics[0].error_code, 100, "version {version}");
    }
    // Java sends the id with an empty name. The name must not create a topic either.
    for name in ["", "created"] {
        let request = metadata_by_id(unknown, Some(name));
        let found: MetadataResponse = client.call(12, &request).await;
        let topic = &found.topics[0];
        assert_eq!((topic.error_code, topic.topic_id), (100, unknown), "{name}");
    }
}

// Conformance: broker/fetch-7
#[tokio::test]
async fn topic_id_determines_topic_in_metadata() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let all: MetadataResponse = client.call(12, &all).await;
    let id = all.topics[0].topic_id;
    for name in [None, Some(""), Some("t"), Some("other")] {
        let found: MetadataResponse = client.call(12, &metadata_by_id(id, name)).await;
        let topic = &found.topics[0];
        assert_eq!((topic.error_code, topic.topic_id), (0, id), "{name:?}");
        assert_eq!(topic.name.as_deref(), Some("t"), "{name:?}");
        assert_eq!(topic.partitions.len(), 1, "{name:?}");
    }
}
