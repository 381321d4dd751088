//! A raw protocol connection, for details that client libraries hide: the codec of a stored batch,
//! all fields of a Produce response, several partitions in one request. The crate `kafka-protocol`
//! encodes and decodes the messages.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use avouch_history::Watermarks;
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProducerId,
    RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{
    Decodable as _, HeaderVersion as _, Request, StrBytes, encode_request_header_into_buffer,
};
use kafka_protocol::records::{
    BatchDecodeInfo, Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

use crate::deadline::PROGRAM_LIMIT;

/// The client id of this connection.
pub const CLIENT_ID: &str = "raw-test";
/// An arbitrary timestamp, 2026-11-22.
const TIMESTAMP_MS: i64 = 1_795_305_600_000;
const FETCH_BYTES: i32 = 16 << 20;
const ACKS_ALL: i16 = -1;

/// A connection with one request in flight.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

/// A key and a value; `None` is null.
pub type KeyValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

impl Connection {
    /// Connects to `bootstrap`, a `HOST:PORT`.
    ///
    /// # Errors
    /// Fails if the connection fails.
    pub fn open(bootstrap: &str) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap)?;
        // A missing response must fail the test, not block it.
        stream.set_read_timeout(Some(PROGRAM_LIMIT))?;
        Ok(Self {
            stream,
            correlation_id: 0,
        })
    }

    /// Sends `request` and returns its response.
    ///
    /// # Errors
    /// Fails if the connection ends or the response does not match the request.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.send(version, request)?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        // Flexible versions have tagged fields in the header.
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version)?;
        ensure!(header.correlation_id == self.correlation_id, "{header:?}");
        let response = R::Response::decode(&mut frame, version)?;
        // A response with extra bytes would hide a wrong version or a wrong field.
        let rest = frame.len();
        ensure!(rest == 0, "{rest} bytes after the response");
        Ok(response)
    }

    /// Sends `request` and does not read its response.
    ///
    /// # Errors
    /// Fails if the connection has ended.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<()> {
        self.correlation_id += 1;
        let frame = frame(version, self.correlation_id, request)?;
        self.stream.write_all(&frame)?;
        Ok(())
    }

    /// Returns true if the broker closes the connection without sending another byte.
    ///
    /// # Errors
    /// Fails if the broker neither closes the connection nor sends a byte within the time limit.
    pub fn is_closed_by_broker(&mut self) -> Result<bool> {
        match self.stream.read(&mut [0]) {
            Ok(count) => Ok(count == 0),
            // The kernel resets the connection if the broker closed it with unread input.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Produces one uncompressed batch per partition of `topic` in one request, acks=all.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn produce(
        &mut self,
        topic: &str,
        partitions: &[(i32, Vec<KeyValue<'_>>)],
    ) -> Result<Vec<PartitionProduceResponse>> {
        let request = produce_request(topic, ACKS_ALL, partitions)?;
        // Record errors exist since version 8.
        let response = self.call(10, &request)?;
        let topic = response.responses.into_iter().next();
        Ok(topic
            .context("no topic in the response")?
            .partition_responses)
    }

    /// Produces one batch of values to partition 0.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn produce_values(
        &mut self,
        topic: &str,
        values: &[Option<&[u8]>],
    ) -> Result<PartitionProduceResponse> {
        let records = values.iter().map(|value| (None, *value)).collect();
        let responses = self.produce(topic, &[(0, records)])?;
        responses
            .into_iter()
            .next()
            .context("no partition in the response")
    }

    /// Returns the stored batches of a partition, from its start.
    ///
    /// # Errors
    /// Fails if the partition cannot be fetched or a batch is corrupt.
    pub fn batches(&mut self, topic: &str, partition: i32) -> Result<Vec<BatchDecodeInfo>> {
        let mut batches: Vec<BatchDecodeInfo> = Vec::new();
        let mut offset = 0;
        loop {
            let (mut records, high_watermark) = self.fetch(topic, partition, offset)?;
            batches.append(&mut RecordBatchDecoder::decode_batch_info(&mut records)?);
            let Some(last) = batches.last() else {
                return Ok(batches);
            };
            // Valid without compaction, which could leave gaps.
            offset = last.min_offset + i64::from(last.record_count);
            if offset >= high_watermark {
                return Ok(batches);
            }
        }
    }

    /// Returns offset and value of the stored records of a partition, from its start; a null value
    /// is empty.
    ///
    /// # Errors
    /// Fails if the partition cannot be fetched or a batch is corrupt.
    pub fn values(&mut self, topic: &str, partition: i32) -> Result<Vec<(i64, Vec<u8>)>> {
        let mut values: Vec<(i64, Vec<u8>)> = Vec::new();
        loop {
            let offset = values.last().map_or(0, |(offset, _)| offset + 1);
            let (mut records, high_watermark) = self.fetch(topic, partition, offset)?;
            if offset >= high_watermark {
                return Ok(values);
            }
            ensure!(!records.is_empty(), "no records at offset {offset}");
            for set in RecordBatchDecoder::decode_all(&mut records)? {
                let new = set
                    .records
                    .into_iter()
                    .filter(|record| record.offset >= offset);
                values.extend(
                    new.map(|record| (record.offset, record.value.unwrap_or_default().to_vec())),
                );
            }
        }
    }

    /// Returns the value of the record at `offset`; `None` if the broker returns an error, no
    /// record at this offset, or a batch whose checksum is wrong, which consumers reject.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn value_at(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Vec<u8>>> {
        let mut response = self.fetch_response(topic, partition, offset)?;
        let Some(mut records) = response.records.take().filter(|_| response.error_code == 0) else {
            return Ok(None);
        };
        let Ok(sets) = RecordBatchDecoder::decode_all(&mut records) else {
            return Ok(None);
        };
        let mut records = sets.into_iter().flat_map(|set| set.records);
        let record = records.find(|record| record.offset == offset);
        Ok(record.map(|record| record.value.unwrap_or_default().to_vec()))
    }

    /// Returns the high watermark of a partition.
    ///
    /// # Errors
    /// Fails if the partition cannot be fetched.
    pub fn high_watermark(&mut self, topic: &str, partition: i32) -> Result<i64> {
        Ok(self.watermarks(topic, partition)?.high_watermark)
    }

    /// Returns the log start offset, last stable offset and high watermark of a Fetch response.
    ///
    /// # Errors
    /// Fails if the partition cannot be fetched.
    pub fn watermarks(&mut self, topic: &str, partition: i32) -> Result<Watermarks> {
        let found = self.fetch_partition(topic, partition, 0)?;
        Ok(Watermarks {
            log_start: found.log_start_offset,
            last_stable: found.last_stable_offset,
            high_watermark: found.high_watermark,
        })
    }

    fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(Bytes, i64)> {
        let found = self.fetch_partition(topic, partition, offset)?;
        Ok((found.records.unwrap_or_default(), found.high_watermark))
    }

    fn fetch_partition(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<PartitionData> {
        let found = self.fetch_response(topic, partition, offset)?;
        ensure!(found.error_code == 0, "fetch: error {}", found.error_code);
        Ok(found)
    }

    fn fetch_response(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<PartitionData> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(FETCH_BYTES);
        let wanted = FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(FETCH_BYTES)
            // -1 means no fetch session.
            .with_session_epoch(-1)
            .with_topics(vec![wanted]);
        let response = self.call(11, &request)?;
        let topic = response.responses.into_iter().next();
        let found = topic.and_then(|topic| topic.partitions.into_iter().next());
        found.context("no partition in the response")
    }

    /// Sends a CreateTopics request and returns the result of the topic.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn create_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<CreatableTopicResult> {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let wanted = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(30_000);
        // Version 5 returns the configs of the topic.
        let response = self.call(5, &request)?;
        response
            .topics
            .into_iter()
            .next()
            .context("no topic in the response")
    }

    /// Deletes a topic and returns the error code of the response.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn delete_topic(&mut self, topic: &str) -> Result<i16> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(topic)])
            .with_timeout_ms(30_000);
        let response = self.call(4, &request)?;
        let deleted = response.responses.first();
        Ok(deleted.context("no topic in the response")?.error_code)
    }

    /// Requests a new producer id.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn init_producer_id(&mut self) -> Result<InitProducerIdResponse> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(ProducerId(NO_PRODUCER_ID))
            .with_producer_epoch(NO_PRODUCER_EPOCH);
        self.call(4, &request)
    }

    /// Returns the metadata of the broker and of all topics.
    ///
    /// # Errors
    /// Fails if there is no response.
    pub fn metadata(&mut self) -> Result<MetadataResponse> {
        self.call(12, &MetadataRequest::default().with_topics(None))
    }
}

/// Returns the frame of a Fetch request for partition 0 of `topic` from offset 0.
///
/// # Errors
/// Fails if the name is too long.
pub fn fetch_frame(topic: &str, wait_ms: i32) -> Result<Vec<u8>> {
    const VERSION: i16 = 11;
    let wanted = FetchPartition::default().with_partition_max_bytes(FETCH_BYTES);
    let wanted = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    frame(VERSION, 1, &request)
}

/// Encodes a request with its length and header.
fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Result<Vec<u8>> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut body = BytesMut::new();
    encode_request_header_into_buffer(&mut body, &header)?;
    request.encode(&mut body, version)?;
    let size = i32::try_from(body.len())?;
    Ok([&size.to_be_bytes(), &body[..]].concat())
}

/// Returns a Produce request with one uncompressed batch per partition of `topic`.
///
/// # Errors
/// Fails if a record cannot be encoded.
pub fn produce_request(
    topic: &str,
    acks: i16,
    partitions: &[(i32, Vec<KeyValue<'_>>)],
) -> Result<ProduceRequest> {
    let batches: Result<Vec<_>> = partitions
        .iter()
        .map(|(index, records)| Ok((*index, batch(records)?)))
        .collect();
    Ok(produce_batches(topic, acks, batches?))
}

/// Returns a Produce request with the given batches for partitions of `topic`.
pub fn produce_batches(topic: &str, acks: i16, batches: Vec<(i32, Bytes)>) -> ProduceRequest {
    let data = batches.into_iter().map(|(index, batch)| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(batch))
    });
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(data.collect());
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

fn batch(records: &[KeyValue<'_>]) -> Result<Bytes> {
    let records: Vec<Record> = (0..)
        .zip(records)
        .map(|(offset, (key, value))| record(offset, *key, *value))
        .collect();
    batch_of(&records)
}

/// Returns a record without a producer id, at an offset within its batch.
pub fn record(offset: i32, key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(offset),
        // The encoder starts a new batch unless sequences advance with offsets.
        sequence: NO_SEQUENCE + offset,
        timestamp: TIMESTAMP_MS,
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers: IndexMap::new(),
    }
}

/// Encodes records as one uncompressed batch.
///
/// # Errors
/// Fails if a record cannot be encoded.
pub fn batch_of(records: &[Record]) -> Result<Bytes> {
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut buffer = BytesMut::new();
    RecordBatchEncoder::encode(&mut buffer, records, &options)?;
    Ok(buffer.freeze())
}

/// Returns a topic name in the type of the protocol crate.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
