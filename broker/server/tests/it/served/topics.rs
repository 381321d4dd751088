//! Topics: made, found, described, deleted.

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

use super::client::{Client, batch_of, broker};

fn asking(name: &str, create: bool) -> MetadataRequest {
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
async fn a_topic_appears_on_first_use_with_one_partition_unless_forbidden() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let refused: MetadataResponse = client.ask(12, &asking("t", false)).await;
    assert_eq!(refused.topics[0].error_code, 3);
    let made: MetadataResponse = client.ask(12, &asking("t", true)).await;
    assert_eq!(
        (made.topics[0].error_code, made.topics[0].partitions.len()),
        (0, 1)
    );
    let bad: MetadataResponse = client.ask(12, &asking("a/b", true)).await;
    assert_eq!(bad.topics[0].error_code, 17);
}

// Conformance: broker/fetch-9, main-job/6c
#[tokio::test]
async fn identity_and_topic_ids_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    let before: MetadataResponse = client.ask(12, &asking("t", true)).await;
    let id: InitProducerIdResponse = client.ask(4, &InitProducerIdRequest::default()).await;
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let after: MetadataResponse = client.ask(12, &asking("t", false)).await;
    assert_eq!(before.cluster_id, after.cluster_id);
    assert_eq!(before.topics[0].topic_id, after.topics[0].topic_id);
    assert!(!after.topics[0].topic_id.is_nil());
    let next: InitProducerIdResponse = client.ask(4, &InitProducerIdRequest::default()).await;
    assert!(next.producer_id > id.producer_id);
}

// Conformance: broker/admin-7, broker/input-10
#[tokio::test]
async fn good_and_bad_topics_of_one_request_are_decided_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
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
        (topic("twice", 1, 1, None), 42),
        (topic("twice", 1, 1, None), 42),
    ];
    let request = CreateTopicsRequest {
        topics: cases.iter().map(|(topic, _)| topic.clone()).collect(),
        timeout_ms: 1_000,
        ..Default::default()
    };
    let response: CreateTopicsResponse = client.ask(7, &request).await;
    assert_eq!(response.topics.len(), cases.len() - 1, "one answer a name");
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
        "replicas are clamped"
    );
    let configs = good.configs.as_ref().unwrap();
    assert!(configs.iter().any(|config| config.name == "retention.ms"));
}

// Conformance: broker/admin-7
#[tokio::test]
async fn a_topic_that_contradicts_itself_is_refused_by_kafkas_code() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let on_broker_one = |partition_index| CreatableReplicaAssignment {
        partition_index,
        broker_ids: vec![1],
    };
    let topic = CreatableTopic {
        name: "t".to_owned(),
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
        let response: CreateTopicsResponse = client.ask(7, &request).await;
        let told = &response.topics[0];
        assert_eq!(told.error_code, code, "{:?}", told.error_message);
    }
}

// Conformance: broker/admin-9
#[tokio::test]
async fn a_deleted_topic_is_gone_and_comes_back_empty_under_another_id() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let before: MetadataResponse = client.ask(12, &asking("t", true)).await;
    client.produce("t", batch_of(&[b"v"])).await;
    let by_id = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: None,
            topic_id: before.topics[0].topic_id,
        }],
        ..Default::default()
    };
    let deleted: DeleteTopicsResponse = client.ask(6, &by_id).await;
    assert_eq!(deleted.responses[0].error_code, 0);
    let again: DeleteTopicsResponse = client.ask(6, &by_id).await;
    assert_eq!(again.responses[0].error_code, 100, "UNKNOWN_TOPIC_ID");
    let reborn: MetadataResponse = client.ask(12, &asking("t", true)).await;
    assert_ne!(reborn.topics[0].topic_id, before.topics[0].topic_id);
    let produced = client.produce("t", batch_of(&[b"v"])).await;
    assert_eq!(produced.responses[0].partition_responses[0].base_offset, 0);
}

// Conformance: broker/admin-2
#[tokio::test]
async fn configs_are_described_with_their_sources() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
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
    let response: DescribeConfigsResponse = client.ask(4, &request).await;
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
async fn a_topic_half_made_when_its_client_leaves_is_made_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let mut leaving = Client::connect(broker.kafka_address()).await;
        leaving.send(12, &asking(name, true)).await;
        drop(leaving);
    }
    let mut client = Client::connect(broker.kafka_address()).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let found: MetadataResponse = client.ask(12, &asking(name, true)).await;
        assert_eq!(found.topics[0].error_code, 0, "{name}");
    }
}

#[tokio::test]
async fn the_offsets_topic_is_made_by_the_broker_alone_and_with_its_own_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: "__consumer_offsets".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused: CreateTopicsResponse = client.ask(5, &request).await;
    assert_eq!(refused.topics[0].error_code, 17);
    let made: MetadataResponse = client.ask(12, &asking("__consumer_offsets", true)).await;
    let topic = &made.topics[0];
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 50));
    assert!(topic.is_internal);
}

// Conformance: broker/produce-13
#[tokio::test]
async fn a_producer_id_is_never_handed_out_twice_not_even_to_who_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let named = InitProducerIdRequest {
        producer_id: 3,
        producer_epoch: 4,
        ..Default::default()
    };
    let mut ids = std::collections::BTreeSet::new();
    for request in [&named, &named, &InitProducerIdRequest::default()] {
        let given: InitProducerIdResponse = client.ask(4, request).await;
        assert_eq!((given.error_code, given.producer_epoch), (0, 0));
        assert!(ids.insert(given.producer_id));
    }
}

// Conformance: broker/fetch-7
#[tokio::test]
async fn an_unknown_topic_id_is_told_at_every_version_that_has_ids() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let by_id = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id: uuid::Uuid::from_u128(7),
            name: None,
        }]),
        ..Default::default()
    };
    for version in 10..=12 {
        let found: MetadataResponse = client.ask(version, &by_id).await;
        assert_eq!(found.topics[0].error_code, 100, "version {version}");
    }
}
