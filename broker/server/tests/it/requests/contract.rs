//! Contract validation over the protocol: level `auto`, its persistence, and the error response.

use std::sync::Arc;

use super::client::{Client, OneSubject, batch_of, broker_with, only};

const TOPIC: &str = "checked";
/// Confluent's framing of id 1, then the Avro string "a".
const VALID: &[u8] = &[0, 0, 0, 0, 1, 2, b'a'];
/// The same with a truncated string.
const TRUNCATED: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];

#[tokio::test]
async fn violation_names_record_and_appends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    for values in [
        &[TRUNCATED, VALID][..],
        &[VALID, TRUNCATED],
        &[b"not framed", VALID],
    ] {
        let response = client.produce(TOPIC, batch_of(values)).await;
        let rejected = only(&response);
        let invalid = values.iter().position(|value| *value != VALID).unwrap();
        assert_eq!((rejected.error_code, rejected.base_offset), (87, -1));
        // librdkafka names the record only if there are two entries.
        assert_eq!(rejected.record_errors.len(), 2);
        assert_eq!(rejected.record_errors[0], rejected.record_errors[1]);
        assert_eq!(
            rejected.record_errors[0].batch_index,
            i32::try_from(invalid).unwrap()
        );
        let text = rejected.record_errors[0]
            .batch_index_error_message
            .as_deref()
            .unwrap();
        assert!(text.starts_with("value: "), "{text}");
        assert!(rejected.error_message.as_deref().unwrap().contains(text));
    }
    let truncated = client.produce(TOPIC, batch_of(&[TRUNCATED])).await;
    let text = only(&truncated).record_errors[0]
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
async fn empty_topic_contract_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    let first = broker_with(dir.path(), Arc::clone(&registry)).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    registry.register();
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[TRUNCATED])).await).error_code,
        87
    );
    first.shutdown().await;

    // With a registry that no longer has the subject the decision persists; the id is unknown.
    // Otherwise a registry outage at startup would disable validation.
    let second = broker_with(dir.path(), Arc::new(OneSubject::default())).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(
        only(&client.produce(TOPIC, batch_of(&[VALID])).await).error_code,
        87
    );
}

#[tokio::test]
async fn tombstones_are_accepted_empty_values_rejected() {
    use avouch_protocol::types::TimestampMs;
    use avouch_protocol::{batch::Codec, builder::BatchBuilder};
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic(TOPIC, 1).await;
    let mut builder = BatchBuilder::new(Codec::Lz4);
    // A null value deletes a key in a compacted topic. An empty value does not.
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
