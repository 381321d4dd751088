//! A producer that costs next to nothing: its requests are encoded before anything is measured.

use anyhow::{Result, ensure};
use avouch_broker::wire::api::ApiKey;
use avouch_broker::wire::frame;
use avouch_broker::wire::header::{RequestHeader, ResponseHeader};
use avouch_broker::wire::message::Message;
use avouch_broker::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_broker::wire::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use avouch_broker::wire::reader::Reader;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Requests sent before the first of them is answered, as clients have it.
const IN_FLIGHT: usize = 5;
const PRODUCE_VERSION: i16 = 9;
const CREATE_TOPICS_VERSION: i16 = 5;

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Makes a topic of one partition.
    pub(crate) fn create_topic(&mut self, name: &str, config: (&str, &str)) -> Result<()> {
        let config = CreatableTopicConfig {
            name: config.0.to_owned(),
            value: Some(config.1.to_owned()),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.to_owned(),
                num_partitions: 1,
                replication_factor: 1,
                configs: vec![config],
                ..Default::default()
            }],
            ..Default::default()
        };
        let frame = encoded(ApiKey::CreateTopics, CREATE_TOPICS_VERSION, &request)?;
        self.stream.write_all(&frame)?;
        let reply: CreateTopicsResponse =
            self.reply(ApiKey::CreateTopics, CREATE_TOPICS_VERSION)?;
        ensure!(reply.topics.iter().all(|t| t.error_code == 0), "{reply:?}");
        Ok(())
    }

    /// Sends `count` of the requests, in turn and again, and waits until all are acknowledged.
    pub(crate) fn produce(&mut self, requests: &[Vec<u8>], count: usize) -> Result<()> {
        for (sent, request) in requests.iter().cycle().take(count).enumerate() {
            if sent >= IN_FLIGHT {
                self.acknowledged()?;
            }
            self.stream.write_all(request)?;
        }
        (0..count.min(IN_FLIGHT)).try_for_each(|_| self.acknowledged())
    }

    fn acknowledged(&mut self) -> Result<()> {
        let reply: ProduceResponse = self.reply(ApiKey::Produce, PRODUCE_VERSION)?;
        let topics = reply.responses.iter();
        let mut partitions = topics.flat_map(|topic| &topic.partition_responses);
        ensure!(partitions.all(|p| p.error_code == 0), "{reply:?}");
        Ok(())
    }

    fn reply<R: Message>(&mut self, api: ApiKey, version: i16) -> Result<R> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        self.stream.read_exact(&mut body)?;
        let mut reader = Reader::new(Bytes::from(body));
        ResponseHeader::decode(&mut reader, api, version)?;
        Ok(R::decode(&mut reader, version)?)
    }
}

/// The frame of a request that produces one batch with acks=all.
pub(crate) fn produce_request(topic: &str, batch: Bytes) -> Result<Vec<u8>> {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(batch.into()),
            }],
        }],
        ..Default::default()
    };
    encoded(ApiKey::Produce, PRODUCE_VERSION, &request)
}

fn encoded<M: Message>(api: ApiKey, version: i16, body: &M) -> Result<Vec<u8>> {
    let header = RequestHeader {
        api_key: api.code(),
        api_version: version,
        correlation_id: 0,
        client_id: Some("bench".to_owned()),
    };
    Ok(frame::request(&header, body)?.concat())
}
