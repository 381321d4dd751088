//! Producer with minimal CPU cost: requests are encoded before the measurement. Shared with other
//! benchmarks of the whole broker.

use anyhow::{Context, Result, ensure};
use avouch_protocol::api::ApiKey;
use avouch_protocol::chunk::joined;
use avouch_protocol::frame;
use avouch_protocol::header::{RequestHeader, ResponseHeader};
use avouch_protocol::message::Message;
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use avouch_protocol::reader::Reader;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Requests in flight, the default of Kafka clients.
const IN_FLIGHT: usize = 5;
const PRODUCE_VERSION: i16 = 9;
const CREATE_TOPICS_VERSION: i16 = 5;

/// A connection to a broker.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects to a broker.
    ///
    /// # Errors
    /// Fails if the connection fails.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        // Nagle's algorithm would delay the second part of a request.
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Fails if the broker rejects the request.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: 1,
                configs: configs.iter().map(config).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let frame = encoded(ApiKey::CreateTopics, CREATE_TOPICS_VERSION, &request)?;
        self.stream.write_all(&frame)?;
        let response: CreateTopicsResponse =
            self.response(ApiKey::CreateTopics, CREATE_TOPICS_VERSION)?;
        let is_created = response.topics.iter().all(|t| t.error_code == 0);
        ensure!(is_created, "{response:?}");
        Ok(())
    }

    /// Sends `count` requests, cycling through `requests`, and waits until all are acknowledged.
    /// Returns the base offset of the last one's first batch.
    ///
    /// # Errors
    /// Fails if a batch is rejected or the connection ends.
    pub fn produce(&mut self, requests: &[Vec<u8>], count: usize) -> Result<i64> {
        let mut base_offset = -1;
        for (sent, request) in requests.iter().cycle().take(count).enumerate() {
            // Responses arrive in the order of requests, so the oldest one makes room.
            if sent >= IN_FLIGHT {
                self.acknowledged()?;
            }
            self.stream.write_all(request)?;
        }
        for _ in 0..count.min(IN_FLIGHT) {
            base_offset = self.acknowledged()?;
        }
        Ok(base_offset)
    }

    fn acknowledged(&mut self) -> Result<i64> {
        let response: ProduceResponse = self.response(ApiKey::Produce, PRODUCE_VERSION)?;
        let topics = response.responses.iter();
        let partitions: Vec<_> = topics
            .flat_map(|topic| &topic.partition_responses)
            .collect();
        ensure!(partitions.iter().all(|p| p.error_code == 0), "{response:?}");
        let first = partitions.first().context("no partition in the response")?;
        Ok(first.base_offset)
    }

    fn response<R: Message>(&mut self, api: ApiKey, version: i16) -> Result<R> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        self.stream.read_exact(&mut body)?;
        let mut reader = Reader::new(Bytes::from(body));
        ResponseHeader::decode(&mut reader, api, version)?;
        Ok(R::decode(&mut reader, version)?)
    }
}

/// Encodes a Produce request of one batch to one partition with acks=all.
///
/// # Errors
/// Fails if the request is too large for a frame.
pub fn produce_request((topic, index): (&str, i32), batch: Bytes) -> Result<Vec<u8>> {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData {
                index,
                records: Some(batch.into()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    encoded(ApiKey::Produce, PRODUCE_VERSION, &request)
}

fn encoded<M: Message>(api: ApiKey, version: i16, body: &M) -> Result<Vec<u8>> {
    let header = RequestHeader {
        api_key: api.code(),
        api_version: version,
        // Requests are encoded once and sent repeatedly. Responses arrive in order, so the id is
        // not needed.
        correlation_id: 0,
        client_id: Some("bench".to_owned()),
    };
    let frame = joined(&frame::request(&header, body)?).context("a request is in memory")?;
    Ok(frame.into())
}
