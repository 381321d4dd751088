//! Request handlers, one file for each API key: the folder lists the supported APIs.
//!
//! A handler translates between messages and services. It opens no file and imports no other
//! handler. Its argument is the service that it needs, or the [`Node`] if it needs several.
//!
//! Requests are decoded on arrival. Their responses are futures, which the connection awaits in the
//! order of the requests. Only Produce does its work on arrival, because that determines the order
//! of appends; other handlers run when their response is awaited, as in Kafka, whose connections
//! process one request at a time.

mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod update_features;

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_coordinator::group::Coordinator;
use avouch_log::Bounds;
use avouch_net::{PendingResponse, RejectedRequest, RequestPermit, Service, Session};
use avouch_protocol::api::{ApiKey, Resource};
use avouch_protocol::chunk::Chunk;
use avouch_protocol::header::RequestHeader;
use avouch_protocol::message::Message;
use avouch_protocol::reader::Reader;
use avouch_protocol::{WireError, frame};
use futures_util::future::BoxFuture;
use thiserror::Error;
use tracing::{Instrument as _, Span, error_span};

use crate::admin::Admin;
use crate::admin::configs::ResourceKey;
use crate::error::{RequestError, code_and_message};
use crate::metadata::{AlterError, Alteration};
use crate::node::Node;
use crate::quota::controller_mutation::{ThrottleTime, Throttling};
use crate::quota::repeated_metadata::RepeatedMetadata;
use fetch::FetchTurn;
use produce::AppendOrder;

/// A response as segments, without its length; `None` if the request has no response. An error
/// closes the connection.
pub(crate) type HandlerFuture = BoxFuture<'static, Result<Option<Vec<Chunk>>, CloseReason>>;

/// Approximate memory of a decoded array element, in bytes.
const ELEMENT_BYTES: usize = 100;
/// Maximum number of elements that need no memory permit of their own.
const UNCOUNTED_ELEMENTS_MAX: usize = 10;
/// Maximum number of elements of a request that is decoded before its memory is reserved.
const FEW_ELEMENTS: usize = 256;

/// The peer of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Addresses and principal of the connection.
    pub(crate) session: Session,
    /// The order of the connection's appends.
    append_order: AppendOrder,
    /// The partition with which the next fetch starts, so that none starves.
    fetch_turn: FetchTurn,
    /// Counts responses with unknown topics.
    repeated_metadata: RepeatedMetadata,
}

impl Client {
    /// Creates the client of a new connection.
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            append_order: AppendOrder::default(),
            fetch_turn: FetchTurn::default(),
            repeated_metadata: RepeatedMetadata::default(),
        }
    }
}

/// The context of a request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: Arc<Client>,
    pub(crate) header: RequestHeader,
    pub(crate) api: ApiKey,
    throttle_time: ThrottleTime,
}

impl Call {
    /// Returns the version of the request and of its response.
    pub(crate) fn version(&self) -> i16 {
        self.header.api_version
    }

    /// Returns the reaction of a request that creates or deletes partitions to an exceeded quota:
    /// a version with THROTTLING_QUOTA_EXCEEDED is rejected, an older one waits for up to
    /// `timeout_ms`.
    fn throttling(&self, first_version_with_quota_error: i16, timeout_ms: i32) -> Throttling {
        if self.version() >= first_version_with_quota_error {
            Throttling::reject(self.throttle_time.clone())
        } else {
            Throttling::wait(timeout_ms)
        }
    }

    /// Returns the client id, truncated to 128 bytes for log lines.
    pub(crate) fn client_id(&self) -> Option<&str> {
        const BYTES_MAX: usize = 128;
        let id = self.header.client_id.as_deref()?;
        Some(&id[..id.floor_char_boundary(BYTES_MAX)])
    }

    /// Creates the span of the request, whose fields every log line in it has.
    fn span(&self) -> Span {
        // At the highest level, so that it exists for all lines.
        error_span!(
            "request",
            api = self.api.name(),
            version = self.version(),
            corr = self.header.correlation_id,
            client_id = self.client_id(),
        )
    }

    /// Returns the operations that the client may do on a resource, one bit for each.
    fn allowed_operations(&self, node: &Node, resource: Resource) -> i32 {
        let principal = self.client.session.principal();
        node.authorizer.allowed_operations(principal, resource)
    }

    /// Returns the principal of the client.
    pub(crate) fn principal(&self) -> &str {
        self.client.session.principal().as_str()
    }
}

/// The reason for which a request closes its connection.
#[derive(Debug, Error)]
pub(crate) enum CloseReason {
    #[error("request of API key {0}, which is not supported")]
    UnknownApi(i16),
    #[error("{api:?} request of version {version}, which is not supported")]
    UnsupportedVersion { api: ApiKey, version: i16 },
    #[error("{api:?} request of a principal without the required permission")]
    NotAuthorized { api: ApiKey },
    #[error("malformed request header: {0}")]
    MalformedHeader(WireError),
    #[error("malformed {api:?} request of version {version}: {error}")]
    Malformed {
        api: ApiKey,
        version: i16,
        error: WireError,
    },
    #[error("{api:?} response of version {version} cannot be encoded: {error}")]
    Unencodable {
        api: ApiKey,
        version: i16,
        error: WireError,
    },
    #[error("a produce request with acks=0 was rejected: {0}")]
    RejectedUnacknowledged(String),
}

impl Service for Node {
    type Connection = Client;

    fn connect(&self, session: Session) -> Client {
        Client::new(session)
    }

    /// Decodes a request and starts its handler. A request holds `memory` until it is handled, a
    /// produce request until the log has appended it.
    async fn dispatch(
        self: &Arc<Self>,
        client: &Arc<Client>,
        mut reader: Reader,
        memory: RequestPermit,
    ) -> Result<PendingResponse, RejectedRequest> {
        let (header, api) =
            identify(&mut reader).map_err(|reason| RejectedRequest::new(reason, Span::none()))?;
        let timer = self.metrics.count_request(api);
        let (clock, received_at) = (self.clock, self.clock.elapsed());
        let call = Call {
            client: Arc::clone(client),
            header,
            api,
            throttle_time: ThrottleTime::default(),
        };
        let span = match api {
            // Creating a span costs a quarter of a small fetch. The log lines of these two have the
            // topic and the client themselves; a rejection gets a span below.
            ApiKey::Produce | ApiKey::Fetch => Span::none(),
            _ => call.span(),
        };
        let request = call.clone();
        let rejected = move |reason| RejectedRequest::new(reason, request.span());
        let received = ReceivedRequest {
            node: Arc::clone(self),
            call,
            reader,
            memory,
            is_delayed: false,
        };
        let response = route(received)
            .instrument(span.clone())
            .await
            .map_err(&rejected)?;
        let timed = async move {
            let response = response.await.map_err(rejected);
            timer.observe((clock.elapsed() - received_at).as_secs_f64());
            response
        };
        Ok(Box::pin(timed.instrument(span)))
    }
}

/// Reads the header of a request and returns it with the API.
fn identify(reader: &mut Reader) -> Result<(RequestHeader, ApiKey), CloseReason> {
    let header = RequestHeader::decode(reader).map_err(CloseReason::MalformedHeader)?;
    match ApiKey::try_from(header.api_key) {
        Ok(api) => Ok((header, api)),
        Err(_) => Err(CloseReason::UnknownApi(header.api_key)),
    }
}

/// Checks the version of a request, authorizes it and passes it to its handler.
async fn route(received: ReceivedRequest) -> Result<HandlerFuture, CloseReason> {
    let (api, version) = (received.call.api, received.call.version());
    // Kafka closes the connection too: a client that ignored ApiVersions cannot parse an error.
    if !api.versions().contains(&version) {
        return match api {
            ApiKey::ApiVersions => Ok(api_versions::unsupported(received.node, received.call)),
            _ => Err(CloseReason::UnsupportedVersion { api, version }),
        };
    }
    if let Some((operation, resource)) = api.required() {
        let principal = received.call.client.session.principal();
        if !received
            .node
            .authorizer
            .allows(principal, operation, resource)
        {
            return Err(CloseReason::NotAuthorized { api });
        }
    }
    handle(api, received).await
}

/// Passes a request to the handler of its API.
async fn handle(api: ApiKey, received: ReceivedRequest) -> Result<HandlerFuture, CloseReason> {
    match api {
        ApiKey::Produce => produce::accept(received).await,
        ApiKey::Fetch => received.delayed().in_turn(fetch::handle).await,
        ApiKey::ListOffsets => received.in_turn(list_offsets::handle).await,
        ApiKey::Metadata => received.in_turn(metadata::handle).await,
        ApiKey::OffsetCommit => received.in_turn(offset_commit::handle).await,
        ApiKey::OffsetFetch => received.in_turn(offset_fetch::handle).await,
        ApiKey::FindCoordinator => received.in_turn(find_coordinator::handle).await,
        ApiKey::JoinGroup => received.delayed().in_turn(join_group::handle).await,
        ApiKey::Heartbeat => received.in_turn(heartbeat::handle).await,
        ApiKey::LeaveGroup => received.in_turn(leave_group::handle).await,
        ApiKey::SyncGroup => received.delayed().in_turn(sync_group::handle).await,
        ApiKey::DescribeGroups => received.in_turn(describe_groups::handle).await,
        ApiKey::ListGroups => received.in_turn(list_groups::handle).await,
        ApiKey::ApiVersions => received.in_turn(api_versions::handle).await,
        ApiKey::CreateTopics => received.in_turn(create_topics::handle).await,
        ApiKey::DeleteTopics => received.in_turn(delete_topics::handle).await,
        ApiKey::DeleteRecords => received.in_turn(delete_records::handle).await,
        ApiKey::InitProducerId => received.in_turn(init_producer_id::handle).await,
        ApiKey::OffsetForLeaderEpoch => received.in_turn(offset_for_leader_epoch::handle).await,
        ApiKey::DescribeAcls => received.in_turn(describe_acls::handle).await,
        ApiKey::CreateAcls => received.in_turn(create_acls::handle).await,
        ApiKey::DeleteAcls => received.in_turn(delete_acls::handle).await,
        ApiKey::DescribeConfigs => received.in_turn(describe_configs::handle).await,
        ApiKey::AlterConfigs => received.in_turn(alter_configs::handle).await,
        ApiKey::DescribeLogDirs => received.in_turn(describe_log_dirs::handle).await,
        ApiKey::CreatePartitions => received.in_turn(create_partitions::handle).await,
        ApiKey::DeleteGroups => received.in_turn(delete_groups::handle).await,
        ApiKey::ElectLeaders => received.in_turn(elect_leaders::handle).await,
        ApiKey::IncrementalAlterConfigs => {
            received.in_turn(incremental_alter_configs::handle).await
        }
        ApiKey::AlterPartitionReassignments => {
            received
                .in_turn(alter_partition_reassignments::handle)
                .await
        }
        ApiKey::ListPartitionReassignments => {
            received.in_turn(list_partition_reassignments::handle).await
        }
        ApiKey::OffsetDelete => received.in_turn(offset_delete::handle).await,
        ApiKey::AlterReplicaLogDirs => received.in_turn(alter_replica_log_dirs::handle).await,
        ApiKey::DescribeClientQuotas => received.in_turn(describe_client_quotas::handle).await,
        ApiKey::DescribeUserScramCredentials => {
            received
                .in_turn(describe_user_scram_credentials::handle)
                .await
        }
        ApiKey::DescribeQuorum => received.in_turn(describe_quorum::handle).await,
        ApiKey::UpdateFeatures => received.in_turn(update_features::handle).await,
        ApiKey::DescribeProducers => received.in_turn(describe_producers::handle).await,
        ApiKey::ListTransactions => received.in_turn(list_transactions::handle).await,
        ApiKey::ListConfigResources => received.in_turn(list_config_resources::handle).await,
        ApiKey::DescribeCluster => received.in_turn(describe_cluster::handle).await,
        ApiKey::DescribeTopicPartitions => {
            received.in_turn(describe_topic_partitions::handle).await
        }
    }
}

/// A received request whose body is not decoded.
struct ReceivedRequest {
    node: Arc<Node>,
    call: Call,
    reader: Reader,
    memory: RequestPermit,
    /// See [`ReceivedRequest::delayed`].
    is_delayed: bool,
}

impl ReceivedRequest {
    /// Decodes the request now; handles it and encodes its response when the response is awaited.
    /// The request holds its memory permit until it is handled.
    async fn in_turn<Service, Request, Response, Handle, Handling>(
        mut self,
        handle: Handle,
    ) -> Result<HandlerFuture, CloseReason>
    where
        Service: HandlerArgument,
        Request: Message + Send + 'static,
        Response: Message + Send,
        Handle: FnOnce(Arc<Service>, Call, Request) -> Handling + Send + 'static,
        Handling: Future<Output = Response> + Send,
    {
        let request = self.decode().await?;
        let (node, call, memory) = (self.node, self.call, self.memory);
        Ok(Box::pin(async move {
            // `then_some` drops the permit of a delayed request here, before its handler waits.
            let memory = (!self.is_delayed).then_some(memory);
            let response = handle(Service::of(&node), call.clone(), request).await;
            drop(memory);
            encode(&node, &call, &response).map(Some)
        }))
    }

    /// Marks a request that waits for records or members. Its memory permit is released when its
    /// handler starts, so that it does not block producers meanwhile; the handler reserves the
    /// memory that it holds.
    fn delayed(mut self) -> Self {
        self.is_delayed = true;
        self
    }

    /// Decodes the body and extends the memory permit by the memory of its elements. Of a request
    /// with many elements the memory is reserved before it is decoded.
    async fn decode<Request: Message>(&mut self) -> Result<Request, CloseReason> {
        let frame_bytes = self.reader.position() + self.reader.remaining();
        // Cloning a reader copies no bytes.
        let few = self.reader.clone().with_elements(FEW_ELEMENTS);
        if let (decoded, Some(used)) = decode_counted(&self.call, few) {
            // The permit of a frame is rounded up, which covers a few elements.
            if used > UNCOUNTED_ELEMENTS_MAX {
                let bytes = frame_bytes + used * ELEMENT_BYTES;
                self.node
                    .request_memory
                    .grow(&mut self.memory, bytes, 0)
                    .await;
            }
            return decoded;
        }
        let all = self.reader.elements_left();
        // An element has at least one byte, so a frame has at most as many elements as bytes.
        let max = frame_bytes + all.min(frame_bytes) * ELEMENT_BYTES;
        self.node
            .request_memory
            .grow(&mut self.memory, max, 0)
            .await;
        let (decoded, used) = decode_counted(&self.call, self.reader.clone());
        // The counted elements replace the estimate.
        self.memory
            .shrink(frame_bytes + used.unwrap_or(all) * ELEMENT_BYTES);
        decoded
    }
}

/// The first argument of handlers.
trait HandlerArgument: Send + Sync + 'static {
    /// Returns the argument as part of a broker.
    fn of(node: &Arc<Node>) -> Arc<Self>;
}

impl HandlerArgument for Node {
    fn of(node: &Arc<Node>) -> Arc<Self> {
        Arc::clone(node)
    }
}

impl HandlerArgument for Admin {
    fn of(node: &Arc<Node>) -> Arc<Self> {
        Arc::clone(&node.admin)
    }
}

impl HandlerArgument for Coordinator {
    fn of(node: &Arc<Node>) -> Arc<Self> {
        Arc::clone(&node.groups)
    }
}

/// Compares the leader epoch that a client knows with the partition's; -1 means no epoch.
fn check_leader_epoch(known: i32, bounds: &Bounds) -> Result<(), RequestError> {
    match known {
        ..0 => Ok(()),
        _ if known < bounds.leader_epoch.0 => Err(RequestError::FencedLeaderEpoch),
        _ if known > bounds.leader_epoch.0 => Err(RequestError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// Returns the items that occur more than once. Kafka rejects these with one result for all their
/// occurrences.
fn duplicates<Item: Ord>(items: impl IntoIterator<Item = Item>) -> BTreeSet<Item> {
    let mut once = BTreeSet::new();
    let mut duplicates = BTreeSet::new();
    for item in items {
        if let Some(item) = once.replace(item) {
            duplicates.insert(item);
        }
    }
    duplicates
}

/// Changes the configs of each resource, independently of the others. Returns error code and
/// message of each; a resource that occurs more than once is not changed and returned once.
async fn alter_each(
    admin: &Arc<Admin>,
    changes: Vec<(ResourceKey, Result<Alteration, AlterError>)>,
    validate_only: bool,
) -> Vec<(ResourceKey, (i16, Option<String>))> {
    let twice = duplicates(changes.iter().map(|(key, _)| key.clone()));
    let rejected = || code_and_message::<(), _>(&Err(RequestError::DuplicateResource));
    let mut results: Vec<_> = twice.iter().map(|key| (key.clone(), rejected())).collect();
    for (key, alteration) in changes {
        if !twice.contains(&key) {
            let altered = admin.alter_configs(&key, alteration, validate_only).await;
            results.push((key, code_and_message(&altered)));
        }
    }
    results
}

/// Decodes the body of a request. Returns also the number of its elements; `None` if there are more
/// than the reader allows.
fn decode_counted<Request: Message>(
    call: &Call,
    mut reader: Reader,
) -> (Result<Request, CloseReason>, Option<usize>) {
    let before = reader.elements_left();
    // Bytes after the body are ignored, as in Kafka: librdkafka reserves four bytes for a count of
    // topics and uses one, which leaves three when it requests all topics.
    let decoded = Request::decode(&mut reader, call.version());
    let used = match &decoded {
        Err(WireError::TooMany { .. }) => None,
        Ok(_) | Err(_) => Some(before - reader.elements_left()),
    };
    let malformed = |error| CloseReason::Malformed {
        api: call.api,
        version: call.version(),
        error,
    };
    (decoded.map_err(malformed), used)
}

/// Encodes a response with its header and counts the errors in it.
fn encode<Response: Message>(
    node: &Node,
    call: &Call,
    response: &Response,
) -> Result<Vec<Chunk>, CloseReason> {
    encode_at(node, call, response, call.version())
}

/// As [`encode`], with a body of another version than the request's.
fn encode_at<Response: Message>(
    node: &Node,
    call: &Call,
    response: &Response,
    version: i16,
) -> Result<Vec<Chunk>, CloseReason> {
    let correlation_id = call.header.correlation_id;
    let throttle_time_ms = call.throttle_time.ms();
    let encoded = frame::throttled_response(correlation_id, version, response, throttle_time_ms);
    let (frame, errors) = encoded.map_err(|error| CloseReason::Unencodable {
        api: call.api,
        version,
        error,
    })?;
    node.metrics.count_errors(call.api, &errors);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::LeaderEpoch;

    use super::*;

    // Conformance: broker/fetch-5
    #[test]
    fn leader_epochs_are_fenced_or_unknown() {
        let bounds = Bounds {
            leader_epoch: LeaderEpoch(3),
            ..Bounds::default()
        };
        for (known, expected) in [
            (-1, Ok(())),
            (3, Ok(())),
            (2, Err(RequestError::FencedLeaderEpoch)),
            (4, Err(RequestError::UnknownLeaderEpoch)),
        ] {
            assert_eq!(check_leader_epoch(known, &bounds), expected, "{known}");
        }
    }

    #[test]
    fn duplicates_are_returned_once() {
        let twice: Vec<i32> = duplicates([3, 1, 3, 2, 1, 3]).into_iter().collect();
        assert_eq!(twice, [1, 3]);
    }
}
