//! The interface between connections and request handlers. Connections and handlers import it; they
//! do not import each other.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use avouch_protocol::chunk::Chunk;
use avouch_protocol::reader::Reader;
use futures_util::future::BoxFuture;
use tracing::Span;

use crate::server::intake::InFlight;

/// A response that is produced when it is awaited: the parts of its frame, or `None` if the request
/// expects none. An error closes the connection.
pub(crate) type PendingResponse = BoxFuture<'static, Result<Option<Vec<Chunk>>, RejectedRequest>>;

/// Serves the requests of all connections of a listener.
pub(crate) trait Service: Send + Sync + 'static {
    /// State of one connection, shared by its requests.
    type Session: Send + Sync;

    /// Creates the session of a client that connected from `peer` to `local`.
    fn session(&self, peer: SocketAddr, local: SocketAddr) -> Self::Session;

    /// Accepts one request, which starts with its header. The connection awaits the returned
    /// response when all earlier ones are written. `memory` counts the request as in flight.
    ///
    /// # Errors
    /// When the connection must be closed.
    fn dispatch(
        self: &Arc<Self>,
        session: &Arc<Self::Session>,
        request: Reader,
        memory: InFlight,
    ) -> impl Future<Output = Result<PendingResponse, RejectedRequest>> + Send;
}

/// A request that closes its connection.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct RejectedRequest {
    reason: Box<dyn Error + Send + Sync>,
    /// The request, in whose scope the reason is logged.
    pub(crate) request: Span,
}

impl RejectedRequest {
    /// A request that was rejected for `reason`.
    pub(crate) fn new(reason: impl Error + Send + Sync + 'static, request: Span) -> Self {
        Self {
            reason: Box::new(reason),
            request,
        }
    }
}
