//! The interface between connections and the requests that they carry.

use std::error::Error;
use std::sync::Arc;

use avouch_protocol::chunk::Chunk;
use avouch_protocol::reader::Reader;
use futures_util::future::BoxFuture;
use tracing::Span;

use crate::request_memory::RequestPermit;
use crate::session::Session;

/// A response that is produced when it is awaited: the parts of its frame, or `None` if the request
/// expects none. An error closes the connection.
pub type PendingResponse = BoxFuture<'static, Result<Option<Vec<Chunk>>, RejectedRequest>>;

/// Serves the requests of all connections of a listener.
pub trait Service: Send + Sync + 'static {
    /// State of one connection, shared by its requests.
    type Connection: Send + Sync;

    /// Creates the state of a new connection.
    fn connect(&self, session: Session) -> Self::Connection;

    /// Accepts one request, which starts with its header. The connection awaits the returned
    /// response when all earlier ones are written. `memory` holds the reservation of the request.
    ///
    /// # Errors
    /// When the connection must be closed.
    fn dispatch(
        self: &Arc<Self>,
        connection: &Arc<Self::Connection>,
        request: Reader,
        memory: RequestPermit,
    ) -> impl Future<Output = Result<PendingResponse, RejectedRequest>> + Send;
}

/// A request that closes its connection.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct RejectedRequest {
    reason: Box<dyn Error + Send + Sync>,
    /// The span of the request, in which the reason is logged.
    pub(crate) request: Span,
}

impl RejectedRequest {
    /// Creates the rejection of a request for `reason`.
    #[must_use]
    pub fn new(reason: impl Error + Send + Sync + 'static, request: Span) -> Self {
        Self {
            reason: Box::new(reason),
            request,
        }
    }
}
