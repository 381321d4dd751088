//! A broker on a free port with a temporary directory, and a client that sends the messages of the
//! protocol crate, so that tests see every field of a response.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use avouch_broker::{Broker, BrokerConfig, Limits};
use avouch_protocol::api::ApiKey;
use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::chunk::joined;
use avouch_protocol::frame;
use avouch_protocol::header::{RequestHeader, ResponseHeader};
use avouch_protocol::message::Message;
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use avouch_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use avouch_protocol::reader::Reader;
use avouch_protocol::types::{ProducerEpoch, ProducerId, Sequence, TimestampMs};
use avouch_registry_api::freshness::{Changed, Freshness};
use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use avouch_registry_api::types::{SchemaId, SchemaType, Version};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Timestamp of records.
pub(super) const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

/// A registry with one subject and one schema, which exist after `register` is called.
#[derive(Debug)]
pub(super) struct OneSubject {
    text: Mutex<Option<&'static str>>,
    freshness: Arc<Freshness>,
    blocked: watch::Sender<bool>,
    lookups: watch::Sender<u64>,
}

impl Default for OneSubject {
    fn default() -> Self {
        Self {
            text: Mutex::default(),
            freshness: Arc::new(Freshness::new(true, 0)),
            blocked: watch::Sender::default(),
            lookups: watch::Sender::default(),
        }
    }
}

pub(super) const SUBJECT: &str = "checked-value";

impl OneSubject {
    pub(super) fn register(&self) {
        self.put(Some("\"string\""));
    }

    /// Sets the schema with id 1, or deletes it.
    pub(super) fn put(&self, text: Option<&'static str>) {
        *self.text.lock().unwrap() = text;
        self.forget(1);
    }

    /// Blocks or unblocks lookups by id.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.send_replace(blocked);
    }

    /// Waits for the first lookup by id.
    pub(super) async fn wait_for_lookup(&self) {
        self.wait_for_lookups(1).await;
    }

    /// Returns the number of lookups by id.
    pub(super) fn lookups(&self) -> u64 {
        *self.lookups.borrow()
    }

    /// Records a change of the id `id` that leaves its schema as it is.
    pub(super) fn forget(&self, id: i32) {
        let id = SchemaId::new(id).unwrap();
        let seq = self.freshness.seq() + 1;
        self.freshness.record(seq, Changed::Ids(&[id]));
    }

    /// Waits until there were `count` lookups by id.
    pub(super) async fn wait_for_lookups(&self, count: u64) {
        let mut lookups = self.lookups.subscribe();
        lookups.wait_for(|lookups| *lookups >= count).await.unwrap();
    }
}

impl SchemaSource for OneSubject {
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        let text = self.text.lock().unwrap().filter(|_| id.get() == 1);
        let schema = text.map(|text| RegisteredSchema {
            id,
            schema_type: SchemaType::Avro,
            text: text.to_owned(),
            references: Vec::new(),
            versions: vec![SubjectVersion {
                subject: SUBJECT.to_owned(),
                version: Version::FIRST,
                deleted: false,
            }],
        });
        self.lookups.send_modify(|lookups| *lookups += 1);
        let mut blocked = self.blocked.subscribe();
        Box::pin(async move {
            blocked.wait_for(|blocked| !blocked).await.unwrap();
            Ok(schema)
        })
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        let exists = subject == SUBJECT && self.text.lock().unwrap().is_some();
        Box::pin(async move { Ok(exists) })
    }

    fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }
}

/// Starts a broker with an empty registry in a new directory and connects a client.
pub(super) async fn connected_broker() -> (TempDir, Broker, Client) {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let client = Client::connect(broker.kafka_address()).await;
    (dir, broker, client)
}

/// Starts a broker in `dir` with an empty registry.
pub(super) async fn broker(dir: &Path) -> Broker {
    broker_with(dir, Arc::new(OneSubject::default())).await
}

pub(super) async fn broker_with(dir: &Path, source: Arc<OneSubject>) -> Broker {
    start(BrokerConfig::new(dir.to_owned()), source).await
}

/// Starts a broker in `dir` with an empty registry and changed limits.
pub(super) async fn broker_limited(dir: &Path, limit: impl FnOnce(&mut Limits)) -> Broker {
    let mut config = BrokerConfig::new(dir.to_owned());
    limit(&mut config.limits);
    start(config, Arc::default()).await
}

/// Starts a broker like [`broker_limited`] that registers its metrics in `metrics`.
pub(super) async fn broker_limited_and_measured(
    dir: &Path,
    metrics: &prometheus::Registry,
    limit: impl FnOnce(&mut Limits),
) -> Broker {
    let mut config = BrokerConfig::new(dir.to_owned());
    limit(&mut config.limits);
    start_measured(config, Arc::default(), metrics).await
}

/// Starts a broker in `dir` that registers its metrics in `metrics`.
pub(super) async fn broker_measured(dir: &Path, metrics: &prometheus::Registry) -> Broker {
    start_measured(BrokerConfig::new(dir.to_owned()), Arc::default(), metrics).await
}

/// Starts a broker with this configuration.
pub(super) async fn start(config: BrokerConfig, source: Arc<OneSubject>) -> Broker {
    start_measured(config, source, &prometheus::Registry::new()).await
}

pub(super) async fn start_measured(
    config: BrokerConfig,
    source: Arc<OneSubject>,
    metrics: &prometheus::Registry,
) -> Broker {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Broker::start(config, listener, source, metrics)
        .await
        .unwrap()
}

/// A connection to a broker.
pub(super) struct Client {
    stream: TcpStream,
    sent: i32,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            sent: 0,
        }
    }

    /// Sends a request and reads its response.
    pub(super) async fn call<Request: Message, Response: Message>(
        &mut self,
        version: i16,
        request: &Request,
    ) -> Response {
        let correlation = self.send(version, request).await;
        self.receive(version, correlation).await
    }

    /// Sends a request and returns its correlation id.
    pub(super) async fn send<Request: Message>(&mut self, version: i16, request: &Request) -> i32 {
        self.sent += 1;
        let header = RequestHeader {
            api_key: Request::API.code(),
            api_version: version,
            correlation_id: self.sent,
            client_id: Some("test".to_owned()),
        };
        let parts = frame::request(&header, request).unwrap();
        self.send_raw(&joined(&parts).unwrap()).await;
        self.sent
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads the next response, which must have the correlation id `correlation`.
    pub(super) async fn receive<Response: Message>(
        &mut self,
        version: i16,
        correlation: i32,
    ) -> Response {
        let mut reader = Reader::new(self.receive_raw().await.expect("the broker closed"));
        let header = ResponseHeader::decode(&mut reader, Response::API, version).unwrap();
        assert_eq!(header.correlation_id, correlation, "responses out of order");
        let response = Response::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        response
    }

    /// Reads the next frame. Returns `None` if the broker closed the connection.
    pub(super) async fn receive_raw(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// Returns true if the broker responds to a request on this connection.
    pub(super) async fn is_served(&mut self) -> bool {
        // ApiVersions version 0, correlation 1, no client id.
        let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255];
        self.stream.write_all(&request).await.is_ok() && self.receive_raw().await.is_some()
    }

    /// Creates a topic.
    pub(super) async fn create_topic(&mut self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]).await;
    }

    /// Creates a topic with configs.
    pub(super) async fn create_topic_with(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        });
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 1_000,
            ..Default::default()
        };
        let response: avouch_protocol::messages::create_topics::CreateTopicsResponse = self
            .call(*ApiKey::CreateTopics.versions().end(), &request)
            .await;
        assert_eq!(
            response.topics[0].error_code, 0,
            "{:?}",
            response.topics[0].error_message
        );
    }

    /// Produces one batch to partition 0 with acks=all.
    pub(super) async fn produce(&mut self, topic: &str, batch: Bytes) -> ProduceResponse {
        self.call(9, &produce_request(topic, 0, -1, batch)).await
    }
}

/// Returns a Produce request with one batch for one partition.
pub(super) fn produce_request(topic: &str, index: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData {
                index,
                records: Some(batch.into()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Returns an uncompressed batch of the values with key `k` and a fixed timestamp.
pub(super) fn batch_of(values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for value in values {
        builder.push(Some(b"k"), Some(value), NOW, &[]);
    }
    builder.finish()
}

/// Returns the only partition of a Produce response.
pub(super) fn only(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

/// Returns a batch of an idempotent producer.
pub(super) fn sequenced(producer: i64, epoch: i16, sequence: i32, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None).producer(
        ProducerId(producer),
        ProducerEpoch(epoch),
        Sequence(sequence),
    );
    for value in values {
        builder.push(Some(b"k"), Some(value), NOW, &[]);
    }
    builder.finish()
}

/// Returns the value of a counter.
pub(super) fn counter(metrics: &prometheus::Registry, name: &str) -> usize {
    let families = metrics.gather();
    let family = families.iter().find(|family| family.name() == name);
    let value = family.unwrap().get_metric()[0].get_counter().get_value();
    format!("{value:.0}").parse().unwrap()
}
