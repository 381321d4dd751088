//! One file an API key: the folder listing is the support table. A handler resolves, asks a core,
//! and replies; it opens no file, and it knows no other handler.
//!
//! A request is decoded and taken in when it arrives; its reply is a future that the connection
//! awaits when its turn comes. Only Produce does its work on arrival, because that fixes the order
//! of appends; every other API works when the reply is awaited, as Kafka's one-at-a-time
//! connections have it.

mod api_versions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod produce;
mod sync_group;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument as _, Span, error_span};

use crate::server::Node;
use crate::wire::api::ApiKey;
use crate::wire::header::RequestHeader;
use crate::wire::message::Message;
use crate::wire::reader::Reader;
use crate::wire::{WireError, frame};
use produce::AppendOrder;

/// A reply in parts, without its length; `None` when the request wants none. An error closes the
/// connection.
pub(crate) type Reply = BoxFuture<'static, Result<Option<Vec<Bytes>>, CloseReason>>;

/// The APIs served. What ApiVersions answers is derived from this list.
pub(crate) const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
    ApiKey::DescribeConfigs,
    ApiKey::DescribeCluster,
];

/// The peer of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// The address it connected to: what it is told unless another is advertised.
    pub(crate) local: SocketAddr,
    /// Keeps what it produces in order.
    append_order: AppendOrder,
}

impl Client {
    /// A client that connected from `peer` to `local`.
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            peer,
            local,
            append_order: AppendOrder::default(),
        }
    }
}

/// One request's surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: Arc<Client>,
    pub(crate) header: RequestHeader,
    pub(crate) api: ApiKey,
}

impl Call {
    /// The version of the request, and so of its reply.
    pub(crate) fn version(&self) -> i16 {
        self.header.api_version
    }

    /// What the client calls itself, cut to what a log line may hold.
    pub(crate) fn client_id(&self) -> Option<&str> {
        const BYTES_MAX: usize = 128;
        let id = self.header.client_id.as_deref()?;
        Some(&id[..id.floor_char_boundary(BYTES_MAX)])
    }

    /// Who asks, as Kafka names principals.
    pub(crate) fn principal(&self) -> &'static str {
        "User:ANONYMOUS"
    }
}

/// Why a request ends its connection.
#[derive(Debug, Error)]
pub(crate) enum CloseReason {
    #[error("request of API key {0}, which is not served")]
    UnknownApi(i16),
    #[error("{api:?} request of version {version}, which is not served")]
    UnsupportedVersion { api: ApiKey, version: i16 },
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

/// A request that ended its connection.
#[derive(Debug, Error)]
#[error("{reason}")]
pub(crate) struct Refused {
    reason: CloseReason,
    /// The request, for the line that tells of it.
    pub(crate) request: Span,
}

impl From<CloseReason> for Refused {
    fn from(reason: CloseReason) -> Self {
        let request = Span::none();
        Self { reason, request }
    }
}

/// A [`Reply`] that names its request when it ends the connection.
pub(crate) type NamedReply = BoxFuture<'static, Result<Option<Vec<Bytes>>, Refused>>;

/// Takes one request in. The future of its reply is awaited when its turn comes. `memory` counts
/// the request as in flight until it works, a produce request until the log is done with it.
///
/// # Errors
/// When the frame is not a request that is served here: the connection closes, as with Kafka.
pub(crate) async fn dispatch(
    node: &Arc<Node>,
    client: &Arc<Client>,
    frame: Bytes,
    memory: OwnedSemaphorePermit,
) -> Result<NamedReply, Refused> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).map_err(CloseReason::MalformedHeader)?;
    let api = ApiKey::try_from(header.api_key)
        .ok()
        .filter(|api| SERVED.contains(api))
        .ok_or(CloseReason::UnknownApi(header.api_key))?;
    let timer = node.metrics.taken_in(api);
    let (clock, taken_in) = (node.clock, node.clock.elapsed());
    let call = Call {
        client: Arc::clone(client),
        header,
        api,
    };
    // Of the highest level, so that it is there whenever a line is.
    let span = error_span!(
        "request",
        api = api.name(),
        version = call.version(),
        corr = call.header.correlation_id,
        client_id = call.client_id(),
    );
    let request = span.clone();
    let refused = move |reason| Refused { reason, request };
    let routed = route(Arc::clone(node), call, reader, memory);
    let reply = routed
        .instrument(span.clone())
        .await
        .map_err(refused.clone())?;
    let timed = async move {
        let reply = reply.await.map_err(refused);
        timer.observe((clock.elapsed() - taken_in).as_secs_f64());
        reply
    };
    Ok(Box::pin(timed.instrument(span)))
}

/// Gives a request to the handler of its API.
async fn route(
    node: Arc<Node>,
    call: Call,
    reader: Reader,
    memory: OwnedSemaphorePermit,
) -> Result<Reply, CloseReason> {
    let (api, version) = (call.api, call.version());
    if !api.versions().contains(&version) {
        return match api {
            ApiKey::ApiVersions => Ok(api_versions::unsupported(call)),
            _ => Err(CloseReason::UnsupportedVersion { api, version }),
        };
    }
    match api {
        ApiKey::Produce => produce::accept(node, call, reader, memory).await,
        ApiKey::Fetch => in_turn(node, call, reader, memory, fetch::handle),
        ApiKey::ListOffsets => in_turn(node, call, reader, memory, list_offsets::handle),
        ApiKey::Metadata => in_turn(node, call, reader, memory, metadata::handle),
        ApiKey::OffsetCommit => in_turn(node, call, reader, memory, offset_commit::handle),
        ApiKey::OffsetFetch => in_turn(node, call, reader, memory, offset_fetch::handle),
        ApiKey::FindCoordinator => in_turn(node, call, reader, memory, find_coordinator::handle),
        ApiKey::JoinGroup => in_turn(node, call, reader, memory, join_group::handle),
        ApiKey::Heartbeat => in_turn(node, call, reader, memory, heartbeat::handle),
        ApiKey::LeaveGroup => in_turn(node, call, reader, memory, leave_group::handle),
        ApiKey::SyncGroup => in_turn(node, call, reader, memory, sync_group::handle),
        ApiKey::DescribeGroups => in_turn(node, call, reader, memory, describe_groups::handle),
        ApiKey::ListGroups => in_turn(node, call, reader, memory, list_groups::handle),
        ApiKey::ApiVersions => in_turn(node, call, reader, memory, api_versions::handle),
        ApiKey::CreateTopics => in_turn(node, call, reader, memory, create_topics::handle),
        ApiKey::DeleteTopics => in_turn(node, call, reader, memory, delete_topics::handle),
        ApiKey::InitProducerId => in_turn(node, call, reader, memory, init_producer_id::handle),
        ApiKey::DescribeConfigs => in_turn(node, call, reader, memory, describe_configs::handle),
        ApiKey::DescribeCluster => in_turn(node, call, reader, memory, describe_cluster::handle),
        other => Err(CloseReason::UnknownApi(other.code())),
    }
}

/// Decodes now, works and encodes when the reply's turn comes.
fn in_turn<Request, Response, Handle, Working>(
    node: Arc<Node>,
    call: Call,
    reader: Reader,
    memory: OwnedSemaphorePermit,
    handle: Handle,
) -> Result<Reply, CloseReason>
where
    Request: Message + Send + 'static,
    Response: Message + Send,
    Handle: FnOnce(Arc<Node>, Call, Request) -> Working + Send + 'static,
    Working: Future<Output = Response> + Send,
{
    let request = decode(&call, reader)?;
    Ok(Box::pin(async move {
        // Whoever waits for records or members must not keep producers waiting.
        drop(memory);
        let response = handle(node, call.clone(), request).await;
        encode(&call, &response).map(Some)
    }))
}

/// The body of a request, to its last byte.
fn decode<Request: Message>(call: &Call, mut reader: Reader) -> Result<Request, CloseReason> {
    Request::decode(&mut reader, call.version())
        .and_then(|request| reader.finish().map(|()| request))
        .map_err(|error| CloseReason::Malformed {
            api: call.api,
            version: call.version(),
            error,
        })
}

/// A reply with length and header.
fn encode<Response: Message>(call: &Call, response: &Response) -> Result<Vec<Bytes>, CloseReason> {
    encode_at(call, response, call.version())
}

/// The same with a body of another version than the request's.
fn encode_at<Response: Message>(
    call: &Call,
    response: &Response,
    version: i16,
) -> Result<Vec<Bytes>, CloseReason> {
    frame::response(call.header.correlation_id, version, response).map_err(|error| {
        CloseReason::Unencodable {
            api: call.api,
            version,
            error,
        }
    })
}
