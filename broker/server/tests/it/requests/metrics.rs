//! Metrics of a running broker, with the names that Kafka dashboards use.

use avouch_protocol::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse,
};
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use prometheus::{Registry, TextEncoder};

use super::client::{Client, batch_of, broker_measured};

// Conformance: operation/1
#[tokio::test]
async fn metrics_have_kafka_exporter_names() {
    let (dir, metrics) = (tempfile::tempdir().unwrap(), Registry::new());
    let broker = broker_measured(dir.path(), &metrics).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("orders", 2).await;
    client
        .produce("orders", batch_of(&[b"a", b"b", b"c"]))
        .await;
    for _ in 0..2 {
        client.produce("nowhere", batch_of(&[b"a"])).await;
    }
    commit(&mut client, "b", "orders", 0, 1).await;
    commit(&mut client, "b", "orders", 1, 2).await;

    let text = TextEncoder::new()
        .encode_to_string(&metrics.gather())
        .unwrap();
    for line in [
        "kafka_brokers 1",
        r#"kafka_topic_partition_leader{partition="1",topic="orders"} 1"#,
        r#"kafka_topic_partition_leader_is_preferred{partition="1",topic="orders"} 1"#,
        r#"kafka_topic_partition_replicas{partition="1",topic="orders"} 1"#,
        r#"kafka_topic_partition_in_sync_replica{partition="1",topic="orders"} 1"#,
        r#"kafka_topic_partition_under_replicated_partition{partition="1",topic="orders"} 0"#,
        r#"kafka_consumergroup_current_offset_sum{consumergroup="b",topic="orders"} 3"#,
        r#"kafka_consumergroup_lag_sum{consumergroup="b",topic="orders"} 2"#,
        r#"avouch_errors_total{api="Produce",code="UnknownTopicOrPartition"} 2"#,
        "avouch_in_flight_bytes 0",
        r#"kafka_topic_partitions{topic="orders"} 2"#,
        r#"kafka_topic_partition_current_offset{partition="0",topic="orders"} 3"#,
        r#"kafka_topic_partition_oldest_offset{partition="0",topic="orders"} 0"#,
        r#"kafka_topic_partition_current_offset{partition="1",topic="orders"} 0"#,
        r#"kafka_consumergroup_members{consumergroup="b"} 0"#,
        r#"kafka_consumergroup_current_offset{consumergroup="b",partition="0",topic="orders"} 1"#,
        r#"kafka_consumergroup_lag{consumergroup="b",partition="0",topic="orders"} 2"#,
        r#"avouch_requests_total{api="Produce"} 3"#,
        r#"avouch_request_seconds_count{api="Produce"} 3"#,
        "avouch_produced_records_total 3",
        "avouch_connections 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let address = broker.kafka_address();
    let info = format!(r#"kafka_broker_info{{address="{address}",id="1"}} 1"#);
    assert!(text.contains(&info), "{info} in\n{text}");
    let syncs = text
        .lines()
        .find_map(|line| line.strip_prefix("avouch_log_wal_sync_seconds_count "));
    assert!(syncs.is_some_and(|count| count != "0"), "{syncs:?}");
    broker.shutdown().await;
}

/// Commits an offset of a partition for a group without members.
async fn commit(client: &mut Client, group: &str, topic: &str, index: i32, offset: i64) {
    let coordinator = FindCoordinatorRequest {
        key: group.to_owned(),
        ..Default::default()
    };
    let _: FindCoordinatorResponse = client.call(1, &coordinator).await;
    let partition = OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
        }],
        ..Default::default()
    };
    let response: OffsetCommitResponse = client.call(8, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}
