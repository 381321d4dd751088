//! Administration of topics and partitions: create partitions, delete records and topics, describe.

use avouch_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};
use avouch_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use avouch_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use avouch_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use avouch_protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use avouch_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use avouch_protocol::messages::produce::ProduceResponse;

use super::client::{Client, batch_of, broker, connected_broker, produce_request};

/// Returns name, partition count and id of all topics.
async fn topics(client: &mut Client) -> Vec<(String, usize, uuid::Uuid)> {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let response: MetadataResponse = client.call(12, &request).await;
    let topics = response.topics.into_iter().map(|topic| {
        let name = topic.name.unwrap_or_default();
        (name, topic.partitions.len(), topic.topic_id)
    });
    topics.collect()
}

fn create_partitions(
    name: &str,
    count: i32,
    assignments: Option<&[&[i32]]>,
) -> CreatePartitionsTopic {
    let assignments = assignments.map(|all| {
        let ids = all.iter().map(|ids| CreatePartitionsAssignment {
            broker_ids: ids.to_vec(),
        });
        ids.collect()
    });
    CreatePartitionsTopic {
        name: name.to_owned(),
        count,
        assignments,
    }
}

// Conformance: broker/admin-8
#[tokio::test]
async fn added_partitions_are_writable_immediately() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    for (validate_only, partitions) in [(true, 1), (false, 3)] {
        let request = CreatePartitionsRequest {
            topics: vec![create_partitions("t", 3, None)],
            timeout_ms: 1_000,
            validate_only,
        };
        let response: CreatePartitionsResponse = client.call(3, &request).await;
        assert_eq!(response.results[0].error_code, 0, "{:?}", response.results);
        assert_eq!(topics(&mut client).await[0].1, partitions);
    }
    let request = produce_request("t", 2, -1, batch_of(&[b"v"]));
    let response: ProduceResponse = client.call(9, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    first.shutdown().await;
    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let response: ProduceResponse = client.call(9, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
}

// Conformance: broker/admin-8
#[tokio::test]
async fn invalid_partition_counts_are_rejected_per_topic() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    for (topic, code) in [
        (create_partitions("none", 3, None), 3),
        (create_partitions("t", 2, None), 37),
        (create_partitions("t", 1, None), 37),
        (create_partitions("t", 0, None), 37),
        (create_partitions("t", 1_001, None), 37),
        (create_partitions("t", 3, Some(&[&[9]])), 39),
        (create_partitions("t", 4, Some(&[&[1]])), 39),
        (create_partitions("__consumer_offsets", 60, None), 17),
        (create_partitions("t", 4, Some(&[&[1], &[1]])), 0),
    ] {
        let request = CreatePartitionsRequest {
            topics: vec![topic.clone()],
            ..Default::default()
        };
        let response: CreatePartitionsResponse = client.call(3, &request).await;
        assert_eq!(response.results[0].error_code, code, "{topic:?}");
    }
    let twice = CreatePartitionsRequest {
        topics: vec![
            create_partitions("t", 5, None),
            create_partitions("t", 6, None),
        ],
        ..Default::default()
    };
    let response: CreatePartitionsResponse = client.call(3, &twice).await;
    assert_eq!(
        (response.results.len(), response.results[0].error_code),
        (1, 42)
    );
}

// Conformance: broker/admin-7
#[tokio::test]
async fn create_topics_validates_and_honors_assignments() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let placed = |ids: &[i32]| CreatableTopic {
        name: "placed".to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: (0..2)
            .map(|partition_index| CreatableReplicaAssignment {
                partition_index,
                broker_ids: ids.to_vec(),
            })
            .collect(),
        ..Default::default()
    };
    for (ids, validate_only, code, count) in [
        (&[9][..], false, 39, 0),
        (&[1], true, 0, 0),
        (&[1], false, 0, 1),
    ] {
        let request = CreateTopicsRequest {
            topics: vec![placed(ids)],
            timeout_ms: 1_000,
            validate_only,
        };
        let response: CreateTopicsResponse = client.call(7, &request).await;
        let result = &response.topics[0];
        assert_eq!(result.error_code, code, "{:?}", result.error_message);
        assert_eq!(result.topic_id.is_nil(), count == 0);
        assert_eq!(topics(&mut client).await.len(), count);
    }
}

// Conformance: broker/admin-9
#[tokio::test]
async fn repeated_topics_in_deletion_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    for name in ["both", "free", "twice"] {
        client.create_topic(name, 1).await;
    }
    let ids = topics(&mut client).await;
    let id = |name: &str| ids.iter().find(|topic| topic.0 == name).unwrap().2;
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id,
    };
    let nil = uuid::Uuid::nil();
    let request = DeleteTopicsRequest {
        topics: vec![
            state(Some("twice"), nil),
            state(Some("free"), nil),
            state(Some("twice"), nil),
            state(Some("both"), nil),
            state(None, id("both")),
            state(None, nil),
            state(Some("free"), id("free")),
            state(Some("none"), nil),
        ],
        ..Default::default()
    };
    let response: DeleteTopicsResponse = client.call(6, &request).await;
    let mut codes: Vec<(String, i16)> = response
        .responses
        .into_iter()
        .map(|result| (result.name.unwrap_or_default(), result.error_code))
        .collect();
    codes.sort();
    let expected = [
        ("", 42),
        ("both", 42),
        ("free", 0),
        ("free", 42),
        ("none", 3),
        ("twice", 42),
    ];
    let expected: Vec<_> = expected.map(|(name, code)| (name.to_owned(), code)).into();
    assert_eq!(codes, expected);
    let left: Vec<String> = topics(&mut client)
        .await
        .into_iter()
        .map(|topic| topic.0)
        .collect();
    assert_eq!(left, ["both", "twice"]);
}

async fn delete_records(client: &mut Client, topic: &str, index: i32, offset: i64) -> (i16, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: index,
                offset,
            }],
        }],
        timeout_ms: 1_000,
    };
    let response: DeleteRecordsResponse = client.call(2, &request).await;
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

// Conformance: broker/admin-10, broker/produce-15
#[tokio::test]
async fn delete_records_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    let compacted = [("cleanup.policy", "compact")];
    client.create_topic_with("compacted", 1, &compacted).await;
    client.produce("t", batch_of(&[b"a", b"b", b"c"])).await;
    for (topic, index, offset, expected) in [
        ("t", 0, 2, (0, 2)),
        ("t", 0, 1, (0, 2)),
        ("t", 0, 4, (1, -1)),
        ("t", 0, -2, (1, -1)),
        ("t", 0, -1, (0, 3)),
        ("t", 1, 0, (3, -1)),
        ("none", 0, 0, (3, -1)),
        ("compacted", 0, 0, (44, -1)),
    ] {
        let result = delete_records(&mut client, topic, index, offset).await;
        assert_eq!(result, expected, "{topic}-{index} {offset}");
    }
    first.shutdown().await;
    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let unchanged = delete_records(&mut client, "t", 0, 0).await;
    assert_eq!(unchanged, (0, 3), "log start offset after a restart");
    let produced = client.produce("t", batch_of(&[b"d"])).await;
    let partition = &produced.responses[0].partition_responses[0];
    assert_eq!((partition.base_offset, partition.log_start_offset), (3, 3));
}

// Conformance: broker/admin-11
#[tokio::test]
async fn describe_log_dirs_returns_sizes() {
    let (dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    let batch = batch_of(&[b"v"]);
    client.produce("t", batch.clone()).await;
    let requests = [
        (None, 2),
        (Some(vec![("t", vec![0, 7]), ("none", vec![0])]), 1),
        (Some(Vec::new()), 0),
    ];
    for (topics, partitions) in requests {
        let topics = topics.map(|topics| {
            let topics = topics
                .into_iter()
                .map(|(topic, partitions)| DescribableLogDirTopic {
                    topic: topic.to_owned(),
                    partitions,
                });
            topics.collect()
        });
        let request = DescribeLogDirsRequest { topics };
        let response: DescribeLogDirsResponse = client.call(4, &request).await;
        let result = &response.results[0];
        assert_eq!(result.log_dir, dir.path().display().to_string());
        assert!(result.total_bytes > result.usable_bytes && result.usable_bytes > 0);
        let described: Vec<_> = result
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .collect();
        assert_eq!(described.len(), partitions);
        let first = described.first().map(|partition| partition.partition_size);
        let size = i64::try_from(batch.len()).unwrap();
        assert_eq!(first, (partitions > 0).then_some(size));
    }
}

// Conformance: broker/admin-13
#[tokio::test]
async fn leader_epoch_ends_at_high_watermark() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.produce("t", batch_of(&[b"a", b"b"])).await;
    for (partition, current, epoch, expected) in [
        (0, -1, 0, (0, 0, 2)),
        (0, 0, 0, (0, 0, 2)),
        (0, -1, 5, (0, -1, -1)),
        (0, 9, 0, (75, -1, -1)),
        (1, -1, 0, (3, -1, -1)),
    ] {
        let request = OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: "t".to_owned(),
                partitions: vec![OffsetForLeaderPartition {
                    partition,
                    current_leader_epoch: current,
                    leader_epoch: epoch,
                }],
            }],
            ..Default::default()
        };
        let response: OffsetForLeaderEpochResponse = client.call(4, &request).await;
        let end = &response.topics[0].partitions[0];
        let end = (end.error_code, end.leader_epoch, end.end_offset);
        assert_eq!(
            end, expected,
            "partition {partition} epoch {epoch} of {current}"
        );
    }
}

// Conformance: broker/admin-14
#[tokio::test]
async fn describe_topic_partitions_returns_pages() {
    let (_dir, _broker, mut client) = connected_broker().await;
    for (name, partitions) in [("a", 2), ("b", 3), ("c", 1)] {
        client.create_topic(name, partitions).await;
    }
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let response: DescribeTopicPartitionsResponse = client.call(0, &request).await;
        let page: Vec<String> = response
            .topics
            .iter()
            .flat_map(|topic| {
                let name = topic.name.clone().unwrap();
                let partitions = topic.partitions.iter();
                partitions.map(move |partition| format!("{name}{}", partition.partition_index))
            })
            .collect();
        pages.push(page.join(" "));
        request.cursor = response.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["a0 a1", "b0 b1", "b2 c0"]);
    let named = DescribeTopicPartitionsRequest {
        topics: ["c", "none"]
            .map(|name| TopicRequest {
                name: name.to_owned(),
            })
            .into(),
        ..Default::default()
    };
    let response: DescribeTopicPartitionsResponse = client.call(0, &named).await;
    let codes: Vec<i16> = response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(codes, [0, 3]);
    assert_eq!(response.topics[0].partitions[0].leader_id, 1);
}
