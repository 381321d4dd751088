//! A topic under contract, over the wire: `auto`, its stickiness, and what a refusal looks like.

use std::sync::Arc;

use avouch_protocol::messages::produce::{PartitionProduceResponse, ProduceResponse};

use super::client::{Client, OneSubject, batch_of, broker_with};

const TOPIC: &str = "checked";
/// Confluent's framing of id 1, then the Avro string "a".
const VALID: &[u8] = &[0, 0, 0, 0, 1, 2, b'a'];
/// The same with the string cut short.
const CUT: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];

fn only(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

#[tokio::test]
async fn a_violation_is_told_by_record_field_and_byte_and_nothing_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    for values in [&[CUT, VALID][..], &[VALID, CUT], &[b"not framed", VALID]] {
        let response = client.produce(TOPIC, batch_of(values)).await;
        let refused = only(&response);
        let bad = values.iter().position(|value| *value != VALID).unwrap();
        assert_eq!((refused.error_code, refused.base_offset), (87, -1));
        assert_eq!(refused.record_errors.len(), 1);
        assert_eq!(
            refused.record_errors[0].batch_index,
            i32::try_from(bad).unwrap()
        );
        let text = refused.record_errors[0]
            .batch_index_error_message
            .as_deref()
            .unwrap();
        assert!(text.starts_with("value: "), "{text}");
        assert!(refused.error_message.as_deref().unwrap().contains(text));
    }
    let cut = client.produce(TOPIC, batch_of(&[CUT])).await;
    let text = only(&cut).record_errors[0]
        .batch_index_error_message
        .clone()
        .unwrap();
    assert!(
        text.contains("checked-value v1 (id 1)") && text.contains("truncated at byte"),
        "{text}"
    );
    let accepted = client.produce(TOPIC, batch_of(&[VALID, VALID])).await;
    assert_eq!(
        (only(&accepted).error_code, only(&accepted).base_offset),
        (0, 0)
    );
}

#[tokio::test]
async fn an_empty_topic_comes_under_contract_when_its_subject_appears_and_stays_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    let first = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    registry.register();
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[CUT])).await).error_code,
        87
    );
    first.shutdown().await;

    // A registry that has forgotten the subject: the decision stands, the id is unknown.
    let second = broker_with(dir.path(), Arc::new(OneSubject::default())).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[VALID])).await).error_code,
        87
    );
}

#[tokio::test]
async fn a_topic_with_data_is_only_watched_when_its_subject_appears() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    let broker = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[b"free"])).await).error_code,
        0
    );
    registry.register();
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[CUT])).await).error_code,
        0
    );
}

#[tokio::test]
async fn tombstones_pass_and_an_empty_value_does_not() {
    use avouch_protocol::types::TimestampMs;
    use avouch_protocol::{batch::Codec, builder::BatchBuilder};
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    let mut builder = BatchBuilder::new(Codec::Lz4);
    builder.push(Some(b"k"), None, TimestampMs(1), &[]);
    assert_eq!(
        only(&client.produce(TOPIC, builder.finish()).await).error_code,
        0
    );
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[b""])).await).error_code,
        87
    );
}
