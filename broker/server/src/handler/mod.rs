//! One file an API key: the folder listing is the support table. A handler resolves, asks a core,
//! and replies; it opens no file, and it knows no other handler.
//!
//! A request is decoded and taken in when it arrives; its reply is a future that the connection
//! awaits when its turn comes. Only Produce does its work on arrival, because that fixes the order
//! of appends; every other API works when the reply is awaited, as Kafka's one-at-a-time
//! connections have it.

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_log::Bounds;
use avouch_net::{PendingResponse, RejectedRequest, RequestPermit, Service, Session};
use avouch_protocol::api::{ApiKey, Resource};
use avouch_protocol::chunk::Chunk;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::header::RequestHeader;
use avouch_protocol::message::Message;
use avouch_protocol::reader::Reader;
use avouch_protocol::{WireError, frame};
use futures_util::future::BoxFuture;
use thiserror::Error;
use tracing::{Instrument as _, Span, error_span};

use crate::node::Node;
use crate::quota::controller_mutation::{ThrottleTime, Throttling};
use fetch::FetchTurn;
use produce::AppendOrder;

/// A reply in parts, without its length; `None` when the request wants none. An error closes the
/// connection.
pub(crate) type Reply = BoxFuture<'static, Result<Option<Vec<Chunk>>, CloseReason>>;

/// What an array element of a request takes in memory once it is decoded, about, in bytes.
const ELEMENT_BYTES: usize = 100;
/// Elements that are not counted.
const HANDFUL_ELEMENTS: usize = 10;
/// Requests with more elements are counted before they are decoded.
const FEW_ELEMENTS: usize = 256;

/// The peer of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Addresses and principal of the connection.
    pub(crate) session: Session,
    /// Keeps what it produces in order.
    append_order: AppendOrder,
    /// Keeps any of its partitions from being starved by the others.
    fetch_turn: FetchTurn,
}

impl Client {
    /// Creates the client of a new connection.
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            append_order: AppendOrder::default(),
            fetch_turn: FetchTurn::default(),
        }
    }
}

/// One request's surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: Arc<Client>,
    pub(crate) header: RequestHeader,
    pub(crate) api: ApiKey,
    throttle_time: ThrottleTime,
}

impl Call {
    /// The version of the request, and so of its reply.
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

    /// What the client calls itself, cut to what a log line may hold.
    pub(crate) fn client_id(&self) -> Option<&str> {
        const BYTES_MAX: usize = 128;
        let id = self.header.client_id.as_deref()?;
        Some(&id[..id.floor_char_boundary(BYTES_MAX)])
    }

    /// Returns the operations that the client may do on a resource, one bit each.
    fn allowed_operations(&self, node: &Node, resource: Resource) -> i32 {
        let principal = self.client.session.principal();
        node.authorizer.allowed_operations(principal, resource)
    }

    /// Returns the principal of the client.
    pub(crate) fn principal(&self) -> &str {
        self.client.session.principal().as_str()
    }
}

/// Why a request ends its connection.
#[derive(Debug, Error)]
pub(crate) enum CloseReason {
    #[error("request of API key {0}, which is not served")]
    UnknownApi(i16),
    #[error("{api:?} request of version {version}, which is not served")]
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
    #[error("{api:?} reply of version {version} cannot be encoded: {error}")]
    Unencodable {
        api: ApiKey,
        version: i16,
        error: WireError,
    },
    #[error("a produce request with acks=0 was refused: {0}")]
    RefusedUnacknowledged(String),
}

impl Service for Node {
    type Connection = Client;

    fn connect(&self, session: Session) -> Client {
        Client::new(session)
    }

    /// A request is in flight until it is handled, a produce request until the log has appended it.
    async fn dispatch(
        self: &Arc<Self>,
        client: &Arc<Client>,
        mut reader: Reader,
        memory: RequestPermit,
    ) -> Result<PendingResponse, RejectedRequest> {
        let (header, api) =
            identify(&mut reader).map_err(|reason| RejectedRequest::new(reason, Span::none()))?;
        let timer = self.metrics.count_request(api);
        let (clock, taken_in) = (self.clock, self.clock.elapsed());
        let call = Call {
            client: Arc::clone(client),
            header,
            api,
            throttle_time: ThrottleTime::default(),
        };
        // At the highest level, so that the span exists whenever a line is logged.
        let span = error_span!(
            "request",
            api = api.name(),
            version = call.version(),
            corr = call.header.correlation_id,
            client_id = call.client_id(),
        );
        let request = span.clone();
        let rejected = move |reason| RejectedRequest::new(reason, request);
        let taken = Taken {
            node: Arc::clone(self),
            call,
            reader,
            memory,
            is_parked: false,
        };
        let reply = route(taken)
            .instrument(span.clone())
            .await
            .map_err(rejected.clone())?;
        let timed = async move {
            let reply = reply.await.map_err(rejected);
            timer.observe((clock.elapsed() - taken_in).as_secs_f64());
            reply
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

/// Gives a request to the handler of its API.
async fn route(taken: Taken) -> Result<Reply, CloseReason> {
    let (api, version) = (taken.call.api, taken.call.version());
    if !api.versions().contains(&version) {
        return match api {
            ApiKey::ApiVersions => Ok(api_versions::unsupported(taken.node, taken.call)),
            _ => Err(CloseReason::UnsupportedVersion { api, version }),
        };
    }
    if let Some((operation, resource)) = api.required() {
        let principal = taken.call.client.session.principal();
        if !taken.node.authorizer.allows(principal, operation, resource) {
            return Err(CloseReason::NotAuthorized { api });
        }
    }
    match api {
        ApiKey::Produce => produce::accept(taken).await,
        ApiKey::Fetch => taken.parked().in_turn(fetch::handle).await,
        ApiKey::ListOffsets => taken.in_turn(list_offsets::handle).await,
        ApiKey::Metadata => taken.in_turn(metadata::handle).await,
        ApiKey::OffsetCommit => taken.in_turn(offset_commit::handle).await,
        ApiKey::OffsetFetch => taken.in_turn(offset_fetch::handle).await,
        ApiKey::FindCoordinator => taken.in_turn(find_coordinator::handle).await,
        ApiKey::JoinGroup => taken.parked().in_turn(join_group::handle).await,
        ApiKey::Heartbeat => taken.in_turn(heartbeat::handle).await,
        ApiKey::LeaveGroup => taken.in_turn(leave_group::handle).await,
        ApiKey::SyncGroup => taken.parked().in_turn(sync_group::handle).await,
        ApiKey::DescribeGroups => taken.in_turn(describe_groups::handle).await,
        ApiKey::ListGroups => taken.in_turn(list_groups::handle).await,
        ApiKey::ApiVersions => taken.in_turn(api_versions::handle).await,
        ApiKey::CreateTopics => taken.in_turn(create_topics::handle).await,
        ApiKey::DeleteTopics => taken.in_turn(delete_topics::handle).await,
        ApiKey::DeleteRecords => taken.in_turn(delete_records::handle).await,
        ApiKey::InitProducerId => taken.in_turn(init_producer_id::handle).await,
        ApiKey::OffsetForLeaderEpoch => taken.in_turn(offset_for_leader_epoch::handle).await,
        ApiKey::DescribeAcls => taken.in_turn(describe_acls::handle).await,
        ApiKey::CreateAcls => taken.in_turn(create_acls::handle).await,
        ApiKey::DeleteAcls => taken.in_turn(delete_acls::handle).await,
        ApiKey::DescribeConfigs => taken.in_turn(describe_configs::handle).await,
        ApiKey::AlterConfigs => taken.in_turn(alter_configs::handle).await,
        ApiKey::DescribeLogDirs => taken.in_turn(describe_log_dirs::handle).await,
        ApiKey::CreatePartitions => taken.in_turn(create_partitions::handle).await,
        ApiKey::DeleteGroups => taken.in_turn(delete_groups::handle).await,
        ApiKey::ElectLeaders => taken.in_turn(elect_leaders::handle).await,
        ApiKey::IncrementalAlterConfigs => taken.in_turn(incremental_alter_configs::handle).await,
        ApiKey::AlterPartitionReassignments => {
            taken.in_turn(alter_partition_reassignments::handle).await
        }
        ApiKey::ListPartitionReassignments => {
            taken.in_turn(list_partition_reassignments::handle).await
        }
        ApiKey::OffsetDelete => taken.in_turn(offset_delete::handle).await,
        ApiKey::DescribeCluster => taken.in_turn(describe_cluster::handle).await,
        ApiKey::DescribeTopicPartitions => taken.in_turn(describe_topic_partitions::handle).await,
    }
}

/// A request taken in, its body not yet read.
struct Taken {
    node: Arc<Node>,
    call: Call,
    reader: Reader,
    memory: RequestPermit,
    /// See [`Taken::parked`].
    is_parked: bool,
}

impl Taken {
    /// Decodes now, works and encodes when the reply's turn comes. Counted until it has worked.
    async fn in_turn<Request, Response, Handle, Working>(
        mut self,
        handle: Handle,
    ) -> Result<Reply, CloseReason>
    where
        Request: Message + Send + 'static,
        Response: Message + Send,
        Handle: FnOnce(Arc<Node>, Call, Request) -> Working + Send + 'static,
        Working: Future<Output = Response> + Send,
    {
        let request = self.decode().await?;
        let (node, call, memory) = (self.node, self.call, self.memory);
        Ok(Box::pin(async move {
            let memory = (!self.is_parked).then_some(memory);
            let response = handle(Arc::clone(&node), call.clone(), request).await;
            drop(memory);
            encode(&node, &call, &response).map(Some)
        }))
    }

    /// For those that wait for records or members: they must not keep producers waiting, so they
    /// are no longer counted once they work, and count what they hold themselves.
    fn parked(mut self) -> Self {
        self.is_parked = true;
        self
    }

    /// The body of the request, for which `memory` counts what it takes, decoded, besides the
    /// frame. One with many elements is counted before it is decoded.
    async fn decode<Request: Message>(&mut self) -> Result<Request, CloseReason> {
        let frame_bytes = self.reader.position() + self.reader.remaining();
        let few = self.reader.clone().with_elements(FEW_ELEMENTS);
        if let (decoded, Some(used)) = decode_counted(&self.call, few) {
            // A handful stands in what frames are rounded up to.
            if used > HANDFUL_ELEMENTS {
                let bytes = frame_bytes + used * ELEMENT_BYTES;
                self.node
                    .request_memory
                    .grow(&mut self.memory, bytes, 0)
                    .await;
            }
            return decoded;
        }
        let all = self.reader.elements_left();
        let most = frame_bytes + all.min(frame_bytes) * ELEMENT_BYTES;
        self.node
            .request_memory
            .grow(&mut self.memory, most, 0)
            .await;
        let (decoded, used) = decode_counted(&self.call, self.reader.clone());
        self.memory
            .shrink(frame_bytes + used.unwrap_or(all) * ELEMENT_BYTES);
        decoded
    }
}

/// Whether a client knows the leader epoch; one that does not say, -1, does.
fn check_leader_epoch(known: i32, bounds: &Bounds) -> Result<(), ErrorCode> {
    match known {
        ..0 => Ok(()),
        _ if known < bounds.leader_epoch.0 => Err(ErrorCode::FencedLeaderEpoch),
        _ if known > bounds.leader_epoch.0 => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// What a request names more than once. Kafka refuses that, in one answer for all its mentions.
fn named_twice<Name: Ord>(names: impl IntoIterator<Item = Name>) -> BTreeSet<Name> {
    let mut once = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for name in names {
        if let Some(name) = once.replace(name) {
            twice.insert(name);
        }
    }
    twice
}

/// The body of a request, and how many elements it has; `None` when there are more than the reader
/// lets through. Bytes behind it are not looked at, as with Kafka: librdkafka, which sets aside
/// four bytes for a count of topics and uses one, leaves three behind when it asks for all.
fn decode_counted<Request: Message>(
    call: &Call,
    mut reader: Reader,
) -> (Result<Request, CloseReason>, Option<usize>) {
    let before = reader.elements_left();
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

/// A reply with length and header; the errors in it are counted.
fn encode<Response: Message>(
    node: &Node,
    call: &Call,
    response: &Response,
) -> Result<Vec<Chunk>, CloseReason> {
    encode_at(node, call, response, call.version())
}

/// The same with a body of another version than the request's.
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
    fn an_epoch_behind_is_fenced_one_ahead_is_unknown_and_none_passes() {
        let bounds = Bounds {
            leader_epoch: LeaderEpoch(3),
            ..Bounds::default()
        };
        for (known, expected) in [
            (-1, Ok(())),
            (3, Ok(())),
            (2, Err(ErrorCode::FencedLeaderEpoch)),
            (4, Err(ErrorCode::UnknownLeaderEpoch)),
        ] {
            assert_eq!(check_leader_epoch(known, &bounds), expected, "{known}");
        }
    }

    #[test]
    fn what_is_named_three_times_is_told_once() {
        let twice: Vec<i32> = named_twice([3, 1, 3, 2, 1, 3]).into_iter().collect();
        assert_eq!(twice, [1, 3]);
    }
}
