//! One client's connection: frames in, replies out in the order of their requests.
//!
//! A request is taken in as soon as it arrives (a produce request gets its place in the log there
//! and then); its reply leaves when its turn comes. Between the two stands a bounded queue, so a
//! client that sends without reading stops being read. What was taken in is carried out even if
//! the client hangs up: many send a last wish and do not wait for the answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::node::Node;
use crate::server::frames::Frames;
use crate::server::replies;
use crate::server::service::{PendingResponse, RejectedRequest, Service};

/// Requests of one connection that may be taken in before the first of them is answered.
const IN_FLIGHT_MAX: usize = 256;
/// How long requests already taken in may go on once nothing more is read.
pub(crate) const CLOSING: Duration = Duration::from_secs(5);

/// Why a connection ends before its peer closes it.
#[derive(Debug, Error)]
pub(crate) enum Closed {
    #[error("frame of {claimed} bytes; socket.request.max.bytes is {max}")]
    FrameTooLarge { claimed: i64, max: usize },
    #[error("the peer speaks TLS, and this listener is plaintext")]
    Tls,
    #[error("the peer closed in the middle of a frame")]
    TornFrame,
    #[error("no request for {0:?}")]
    Idle(Duration),
    #[error("a frame that was begun did not arrive within {0:?}")]
    SlowFrame(Duration),
    #[error("there was no memory for the rest of a frame within {0:?}")]
    NoMemory(Duration),
    #[error("the peer took nothing of a reply for {0:?}")]
    Stalled(Duration),
    #[error("a segment's file could not be sent: {0}")]
    File(io::Error),
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] RejectedRequest),
}

impl Closed {
    /// What metrics call the reason.
    fn reason(&self) -> &'static str {
        match self {
            Self::FrameTooLarge { .. } => "frame_size",
            Self::Tls => "tls",
            Self::TornFrame => "torn_frame",
            Self::Idle(_) => "idle",
            Self::SlowFrame(_) => "slow_frame",
            Self::NoMemory(_) => "memory",
            Self::Stalled(_) => "stalled",
            Self::File(_) => "file",
            Self::Socket(_) => "socket",
            Self::Request(_) => "request",
        }
    }
}

/// Serves one connection until the peer closes, breaks the protocol, or `stop` turns true; then
/// requests already taken in are still carried out and answered.
pub(crate) async fn serve<S: Service>(
    node: Arc<Node>,
    service: Arc<S>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY refused");
    }
    let local = stream.local_addr().unwrap_or(node.kafka_address);
    let session = Arc::new(service.session(peer, local));
    let (reader, writer) = stream.into_split();
    let (queue, queued) = mpsc::channel(IN_FLIGHT_MAX);
    // A set of one, because it ends its task when it is dropped.
    let mut writing = JoinSet::new();
    let stall = node.config.limits.write_stall;
    writing.spawn(replies::write(writer, queued, stall));
    let reading = read_requests(&node, &service, &session, reader, queue, stop);
    let ended = tokio::select! {
        read = reading => match read {
            Ok(Ended::Stopping) => outcome(writing.join_next().await),
            Ok(Ended::PeerClosed) => {
                drop(timeout(CLOSING, writing.join_next()).await);
                Ok(())
            }
            Err(error) => {
                drop(timeout(CLOSING, writing.join_next()).await);
                Err(error)
            }
        },
        written = writing.join_next() => outcome(written),
    };
    if let Err(error) = ended {
        node.metrics.connection_closed(error.reason());
        match &error {
            Closed::Socket(_) | Closed::Idle(_) => debug!(%error, "connection closed"),
            Closed::FrameTooLarge { .. }
            | Closed::Tls
            | Closed::TornFrame
            | Closed::SlowFrame(_)
            | Closed::NoMemory(_)
            | Closed::Stalled(_) => warn!(%error, "connection closed"),
            Closed::File(_) => error!(%error, "connection closed"),
            Closed::Request(refused) => {
                refused
                    .request
                    .in_scope(|| warn!(error = %refused, "connection closed"));
            }
        }
    }
}

/// What the writing task ended with.
fn outcome(joined: Option<Result<Result<(), Closed>, JoinError>>) -> Result<(), Closed> {
    joined.and_then(Result::ok).unwrap_or(Ok(()))
}

enum Ended {
    PeerClosed,
    Stopping,
}

async fn read_requests<S: Service>(
    node: &Node,
    service: &Arc<S>,
    session: &Arc<S::Session>,
    reader: OwnedReadHalf,
    queue: mpsc::Sender<PendingResponse>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, Closed> {
    let mut frames = Frames::new(reader, node.config.limits.request_bytes_max);
    loop {
        let frame = tokio::select! {
            frame = frames.next(node) => frame?,
            _ = stop.wait_for(|stop| *stop) => return Ok(Ended::Stopping),
        };
        let Some((frame, memory)) = frame else {
            return Ok(Ended::PeerClosed);
        };
        let reply = service.dispatch(session, frame, memory).await?;
        if queue.send(reply).await.is_err() {
            // The writer ended first and its error is the one to report.
            return Ok(Ended::Stopping);
        }
    }
}
