//! One connection: request frames in, responses out in the order of their requests.
//!
//! A request is accepted as soon as it is received (a produce request takes its place in the log at
//! that time) and its response is written in turn. A bounded queue connects the two, so a client
//! that sends without reading is no longer read. An accepted request is carried out even if the
//! client disconnects: many clients send a last request and do not wait for the response.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::frame_reader::FrameReader;
use crate::listener::ListenerContext;
use crate::response_writer::ResponseWriter;
use crate::service::{PendingResponse, RejectedRequest, Service};
use crate::session::Session;
use crate::transport::Transport;

/// Maximum number of requests of a connection that wait for their response.
const IN_FLIGHT_MAX: usize = 256;
/// Maximum time for accepted requests after the connection has stopped reading.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason for which a connection ends before its peer closes it.
#[derive(Debug, Error)]
pub(crate) enum CloseReason {
    #[error("request of {claimed} bytes; socket.request.max.bytes is {max}")]
    FrameTooLarge { claimed: i64, max: usize },
    #[error("TLS handshake on a plaintext listener")]
    Tls,
    #[error("connection closed by the peer within a request")]
    TornFrame,
    #[error("idle for {0:?}")]
    Idle(Duration),
    #[error("request read timed out after {0:?}")]
    SlowRequest(Duration),
    #[error("no request memory (queued.max.request.bytes) free for {0:?}")]
    NoMemory(Duration),
    #[error("response write timed out after {0:?}")]
    Stalled(Duration),
    #[error("cannot send a segment file: {0}")]
    File(io::Error),
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] RejectedRequest),
}

impl CloseReason {
    /// Returns the label of the reason in metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::FrameTooLarge { .. } => "frame_size",
            Self::Tls => "tls",
            Self::TornFrame => "torn_frame",
            Self::Idle(_) => "idle",
            Self::SlowRequest(_) => "slow_frame",
            Self::NoMemory(_) => "memory",
            Self::Stalled(_) => "stalled",
            Self::File(_) => "file",
            Self::Socket(_) => "socket",
            Self::Request(_) => "request",
        }
    }

    /// Logs the reason, at a level by who caused it.
    fn log(&self) {
        match self {
            Self::Socket(_) | Self::Idle(_) => debug!(error = %self, "connection closed"),
            Self::FrameTooLarge { .. }
            | Self::Tls
            | Self::TornFrame
            | Self::SlowRequest(_)
            | Self::NoMemory(_)
            | Self::Stalled(_) => warn!(error = %self, "connection closed"),
            Self::File(_) => error!(error = %self, "connection closed"),
            Self::Request(rejected) => {
                let log = || warn!(error = %rejected, "connection closed");
                rejected.request.in_scope(log);
            }
        }
    }
}

/// Serves one connection until the peer closes it, breaks the protocol, or `stop` turns true.
/// Accepted requests are then still carried out and their responses written.
pub(crate) async fn serve<S: Service>(
    context: &ListenerContext,
    service: Arc<S>,
    transport: Transport,
    session: Session,
    stop: watch::Receiver<bool>,
) {
    let connection = Arc::new(service.connect(session));
    let (reader, writer) = transport.split();
    let (queue, queued) = mpsc::channel(IN_FLIGHT_MAX);
    let limits = &context.limits;
    let writer = ResponseWriter::new(writer, context.files, limits.response_write_timeout);
    // A set of one task, because a set aborts its tasks when it is dropped.
    let mut writing = JoinSet::new();
    writing.spawn(writer.write(queued));
    let frames = FrameReader::new(reader, limits.request_bytes_max);
    let reading = read_requests(context, &service, &connection, frames, queue, stop);
    let ended = tokio::select! {
        read = reading => match read {
            Ok(Ended::Stopping) => outcome(writing.join_next().await),
            Ok(Ended::PeerClosed) => {
                // The peer may still read, and accepted requests must finish in any case.
                drop(timeout(CLOSE_TIMEOUT, writing.join_next()).await);
                Ok(())
            }
            Err(error) => {
                drop(timeout(CLOSE_TIMEOUT, writing.join_next()).await);
                Err(error)
            }
        },
        written = writing.join_next() => outcome(written),
    };
    if let Err(reason) = ended {
        context.metrics.count_closed(reason.label());
        reason.log();
    }
}

/// Returns the outcome of the writing task. A panic in it is reported by its own hook.
fn outcome(joined: Option<Result<Result<(), CloseReason>, JoinError>>) -> Result<(), CloseReason> {
    joined.and_then(Result::ok).unwrap_or(Ok(()))
}

enum Ended {
    PeerClosed,
    Stopping,
}

async fn read_requests<S: Service>(
    context: &ListenerContext,
    service: &Arc<S>,
    connection: &Arc<S::Connection>,
    mut frames: FrameReader,
    queue: mpsc::Sender<PendingResponse>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, CloseReason> {
    loop {
        let frame = tokio::select! {
            frame = frames.next(context) => frame?,
            _ = stop.wait_for(|stop| *stop) => return Ok(Ended::Stopping),
        };
        let Some((frame, memory)) = frame else {
            return Ok(Ended::PeerClosed);
        };
        let response = service.dispatch(connection, frame, memory).await?;
        // Waits while the queue is full: the client must read responses before it is read again.
        if queue.send(response).await.is_err() {
            // The writer ended first, and its error is the one to report.
            return Ok(Ended::Stopping);
        }
    }
}
