//! Produce: accepted and rejected batches, and the response to the producer.

use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use avouch_protocol::types::TimestampMs;
use bytes::Bytes;

use super::client::{
    Client, NOW, batch_of, broker, connected_broker, only, produce_request, sequenced,
};

fn patched(batch: &Bytes, at: usize, byte: u8) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at] = byte;
    bytes.into()
}

#[tokio::test]
async fn produce_offsets_survive_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    assert_eq!(
        only(&client.produce("t", batch_of(&[b"a", b"b"])).await).base_offset,
        0
    );
    assert_eq!(
        only(&client.produce("t", batch_of(&[b"c"])).await).base_offset,
        2
    );
    first.shutdown().await;
    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(
        only(&client.produce("t", batch_of(&[b"d"])).await).base_offset,
        3
    );
}

// Conformance: broker/produce-1, broker/produce-4, broker/input-7
#[tokio::test]
async fn malformed_batches_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let good = batch_of(&[b"v"]);
    let two = Bytes::from([good.as_ref(), good.as_ref()].concat());
    let future = {
        let mut builder = BatchBuilder::new(Codec::None);
        // Such a timestamp would keep time-based retention from deleting the segment.
        builder.push(None, Some(b"v"), TimestampMs(i64::MAX / 2), &[]);
        builder.finish()
    };
    let big = batch_of(&[&vec![b'x'; 1_100_000]]);
    for (what, batch, code) in [
        // 2 is CORRUPT_MESSAGE, 87 INVALID_RECORD, 32 INVALID_TIMESTAMP, 10 MESSAGE_TOO_LARGE.
        ("bit flip", patched(&good, good.len() - 1, 0xff), 2),
        ("truncated batch", good.slice(..good.len() - 1), 2),
        // Byte 16 is the magic, byte 7 the last byte of the base offset.
        ("old magic", patched(&good, 16, 1), 87),
        ("two batches", two, 87),
        ("base offset", patched(&good, 7, 5), 87),
        ("timestamp in the far future", future, 32),
        ("batch above max.message.bytes", big, 10),
        ("empty", Bytes::new(), 87),
    ] {
        let response = client.produce("t", batch).await;
        let partition = only(&response);
        assert_eq!(
            partition.error_code, code,
            "{what}: {:?}",
            partition.error_message
        );
        assert_eq!(partition.base_offset, -1, "{what}");
    }
    assert_eq!(
        only(&client.produce("t", good).await).base_offset,
        0,
        "a rejected batch was appended"
    );
}

// Conformance: broker/produce-10
#[tokio::test]
async fn produce_errors_are_per_partition() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    let good = batch_of(&[b"v"]);
    let part = |index, batch: &Bytes| PartitionProduceData {
        index,
        records: Some(batch.clone().into()),
    };
    let topic = |name: &str, parts: Vec<PartitionProduceData>| TopicProduceData {
        name: name.to_owned(),
        partition_data: parts,
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        topic_data: vec![
            topic(
                "t",
                vec![
                    // Byte 66 is in the first record, after the batch header of 61 bytes.
                    part(0, &patched(&good, 66, 0xff)),
                    part(1, &good),
                    part(2, &good),
                ],
            ),
            topic("unknown", vec![part(0, &good)]),
            topic("__consumer_offsets", vec![part(0, &good)]),
        ],
        ..Default::default()
    };
    let response: ProduceResponse = client.call(9, &request).await;
    let codes: Vec<i16> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|partition| partition.error_code)
        .collect();
    assert_eq!(codes, [2, 0, 3, 3, 3]);
}

// Conformance: broker/produce-8
#[tokio::test]
async fn retries_return_original_offset_after_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    // The last two are retries.
    for (sequence, offset) in [(0, 0), (1, 1), (2, 2), (1, 1), (0, 0)] {
        let response = client
            .produce("t", sequenced(7, 0, sequence, &[b"v"]))
            .await;
        assert_eq!(
            (only(&response).error_code, only(&response).base_offset),
            (0, offset)
        );
    }
    let gap = client.produce("t", sequenced(7, 0, 5, &[b"v"])).await;
    assert_eq!(only(&gap).error_code, 45, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    let newer = client.produce("t", sequenced(7, 1, 0, &[b"v"])).await;
    assert_eq!(only(&newer).base_offset, 3);
    let fenced = client.produce("t", sequenced(7, 0, 3, &[b"v"])).await;
    assert_eq!(only(&fenced).error_code, 47, "INVALID_PRODUCER_EPOCH");
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    // A producer retries after a broker restart if it did not receive the acknowledgement.
    let retried = client.produce("t", sequenced(7, 1, 0, &[b"v"])).await;
    assert_eq!(
        (only(&retried).error_code, only(&retried).base_offset),
        (0, 3)
    );
}

// Conformance: broker/produce-6
#[tokio::test]
async fn acks_0_rejection_closes_connection() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client
        .send(9, &produce_request("t", 0, 0, batch_of(&[b"v"])))
        .await;
    // The request with acks 0 has no response.
    let acked = client.produce("t", batch_of(&[b"v"])).await;
    assert_eq!(
        only(&acked).base_offset,
        1,
        "the first response is that of the second request"
    );
    client
        .send(9, &produce_request("unknown", 0, 0, batch_of(&[b"v"])))
        .await;
    assert_eq!(client.receive_raw().await, None);
}

// Conformance: broker/produce-6
#[tokio::test]
async fn acks_0_append_failure_closes_connection() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    // Only the append notices the gap, after the request was accepted.
    for sequence in [0, 5] {
        let batch = sequenced(7, 0, sequence, &[b"v"]);
        client.send(9, &produce_request("t", 0, 0, batch)).await;
    }
    assert_eq!(client.receive_raw().await, None, "a sequence was skipped");
}

// Conformance: broker/produce-3
#[tokio::test]
async fn zstd_requires_produce_version_7() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.push(None, Some(b"v"), TimestampMs(-1), &[]);
    let request = produce_request("t", 0, -1, builder.finish());
    // UNSUPPORTED_COMPRESSION_TYPE: Kafka 2.1 introduced zstd together with version 7.
    for (version, code) in [(6, 76), (7, 0)] {
        let response: ProduceResponse = client.call(version, &request).await;
        assert_eq!(only(&response).error_code, code, "version {version}");
    }
}

// Conformance: broker/produce-6
#[tokio::test]
async fn invalid_acks_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    // INVALID_REQUIRED_ACKS: Kafka removed acks above 1 in 0.9.
    let request = produce_request("t", 0, 2, batch_of(&[b"v"]));
    let response: ProduceResponse = client.call(9, &request).await;
    assert_eq!(only(&response).error_code, 21);
}

// Conformance: broker/produce-3, broker/input-8
#[tokio::test]
async fn codecs_are_accepted_bombs_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let mut builder = BatchBuilder::new(codec);
        builder.push(Some(b"k"), Some(&[b'v'; 1_000]), NOW, &[]);
        let response = client.produce("t", builder.finish()).await;
        assert_eq!(only(&response).error_code, 0, "{codec:?}");
    }
    let mut bomb = BatchBuilder::new(Codec::Zstd);
    // 40 MiB of zeros compress to some kB. The decompression limit is lower.
    bomb.push(None, Some(&vec![0; 40 << 20]), NOW, &[]);
    let response = client.produce("t", bomb.finish()).await;
    let message = only(&response).error_message.clone().unwrap_or_default();
    assert_eq!(only(&response).error_code, 10, "{message}");
    assert!(message.contains("more than 1000 times"), "{message}");
}

// Conformance: broker/input-8
#[tokio::test]
async fn topics_limit_decompressed_batches_and_records() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let batch = |codec, sizes: &[usize]| {
        let mut builder = BatchBuilder::new(codec);
        for &size in sizes {
            builder.push(None, Some(&vec![b'v'; size]), NOW, &[]);
        }
        builder.finish()
    };
    let (batch_config, record_config) = (
        "avouch.max.batch.decompressed.bytes",
        "max.decompressed.message.bytes",
    );
    client
        .create_topic_with("batches", 1, &[(batch_config, "1024")])
        .await;
    client
        .create_topic_with("records", 1, &[(record_config, "107")])
        .await;
    // A record has 7 bytes besides a value of 64 to 8,191 bytes; its length prefix does not count.
    for (topic, codec, sizes, code) in [
        ("batches", Codec::Lz4, [510, 500].as_slice(), 10),
        ("batches", Codec::Lz4, &[500, 500], 0),
        ("batches", Codec::None, &[510, 500], 0),
        ("records", Codec::Lz4, &[100, 101, 100], 87),
        ("records", Codec::Lz4, &[100, 100], 0),
        ("records", Codec::None, &[101], 0),
    ] {
        let response = client.produce(topic, batch(codec, sizes)).await;
        let partition = only(&response);
        let message = partition.error_message.as_deref().unwrap_or_default();
        assert_eq!(partition.error_code, code, "{sizes:?}: {message}");
        let config = match code {
            10 => batch_config,
            87 => record_config,
            _ => continue,
        };
        assert!(message.contains(config), "{message}");
        let errors = partition.record_errors.iter();
        let indexes: Vec<i32> = errors.map(|error| error.batch_index).collect();
        assert!(indexes.iter().all(|&index| index == 1), "{indexes:?}");
        assert_eq!(indexes.is_empty(), code == 10, "{indexes:?}");
    }
}

// Conformance: broker/produce-2
#[tokio::test]
async fn wrong_max_timestamp_is_corrected() {
    use avouch_protocol::messages::list_offsets::{
        ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    };
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut batch = batch_of(&[b"v"]).to_vec();
    // Clients can write any maximum timestamp into the header. Timestamp lookups depend on it.
    avouch_protocol::batch::stamp_max_timestamp(&mut batch, TimestampMs(i64::MAX / 2));
    assert_eq!(only(&client.produce("t", batch.into()).await).error_code, 0);
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t".to_owned(),
            partitions: vec![ListOffsetsPartition {
                // -3 is the record with the maximum timestamp.
                timestamp: -3,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let response: ListOffsetsResponse = client.call(7, &request).await;
    let found = &response.topics[0].partitions[0];
    assert_eq!((found.offset, found.timestamp), (0, NOW.0));
}
