//! One client's connection: frames in, replies out in the order of their requests.
//!
//! A request is taken in as soon as it arrives (a produce request gets its place in the log there
//! and then); its reply leaves when its turn comes. Between the two stands a bounded queue, so a
//! client that sends without reading stops being read.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tracing::{debug, warn};

use super::node::Node;
use crate::handler::{self, Client, Reply};

/// Requests of one connection that may be taken in before the first of them is answered.
const IN_FLIGHT_MAX: usize = 256;
/// Least room made in the read buffer, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// In-flight memory is counted in units of this many bytes.
pub(crate) const MEMORY_UNIT_BYTES: usize = 1024;

/// Why a connection ends before its peer closes it.
#[derive(Debug, Error)]
pub(crate) enum Closed {
    #[error("frame of {claimed} bytes; socket.request.max.bytes is {max}")]
    FrameTooLarge { claimed: i64, max: usize },
    #[error("the peer closed in the middle of a frame")]
    TornFrame,
    #[error("idle for {0:?}")]
    Idle(Duration),
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] handler::CloseReason),
}

struct Pending {
    reply: Reply,
    /// Counts the request's bytes as in flight until its reply is written.
    memory: OwnedSemaphorePermit,
}

/// Serves one connection until the peer closes, breaks the protocol, or `stop` turns true; then
/// requests already taken in are still answered.
pub(crate) async fn serve(
    node: Arc<Node>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "TCP_NODELAY refused");
    }
    let local = stream.local_addr().unwrap_or(node.kafka_address);
    let client = Arc::new(Client::new(peer, local));
    let (reader, writer) = stream.into_split();
    let (queue, replies) = mpsc::channel(IN_FLIGHT_MAX);
    let mut writing = tokio::spawn(write_replies(writer, replies));
    let read = read_requests(&node, &client, reader, queue, stop);
    let ended = tokio::select! {
        read = read => match read {
            // Only a stopping broker ends the reading without an error: finish what was begun.
            Ok(Ended::Stopping) => writing.await.unwrap_or(Ok(())),
            Ok(Ended::PeerClosed) => { writing.abort(); Ok(()) }
            Err(error) => { writing.abort(); Err(error) }
        },
        written = &mut writing => written.unwrap_or(Ok(())),
    };
    if let Err(error) = ended {
        match error {
            Closed::Socket(_) | Closed::Idle(_) => debug!(%peer, %error, "connection closed"),
            Closed::FrameTooLarge { .. } | Closed::TornFrame | Closed::Request(_) => {
                warn!(%peer, %error, "connection closed");
            }
        }
    }
}

enum Ended {
    PeerClosed,
    Stopping,
}

async fn read_requests(
    node: &Arc<Node>,
    client: &Arc<Client>,
    mut reader: OwnedReadHalf,
    queue: mpsc::Sender<Pending>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, Closed> {
    let limits = node.config.limits;
    let mut buffer = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = read_frame(&mut reader, &mut buffer, limits.request_bytes_max, limits.idle) => frame?,
            _ = stop.wait_for(|stop| *stop) => return Ok(Ended::Stopping),
        };
        let Some(frame) = frame else {
            return Ok(Ended::PeerClosed);
        };
        let memory = node.in_flight(frame.len()).await;
        let reply = handler::dispatch(node, client, frame).await?;
        if queue.send(Pending { reply, memory }).await.is_err() {
            // The writer ended first and its error is the one to report.
            return Ok(Ended::Stopping);
        }
    }
}

async fn write_replies(
    mut writer: OwnedWriteHalf,
    mut replies: mpsc::Receiver<Pending>,
) -> Result<(), Closed> {
    while let Some(Pending { reply, memory }) = replies.recv().await {
        if let Some(frame) = reply.await? {
            write_all(&mut writer, frame).await?;
        }
        drop(memory);
    }
    writer.shutdown().await?;
    Ok(())
}

/// The next frame without its length, or `None` when the peer closed between two frames. The
/// buffer grows with the bytes that arrive, never with the length that is claimed.
async fn read_frame(
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    bytes_max: usize,
    idle: Duration,
) -> Result<Option<Bytes>, Closed> {
    loop {
        let missing = match frame_state(buffer, bytes_max)? {
            FrameState::Whole(bytes) => {
                buffer.advance(4);
                return Ok(Some(buffer.split_to(bytes).freeze()));
            }
            FrameState::Missing(bytes) => bytes,
        };
        buffer.reserve(missing.clamp(READ_BYTES, READ_BYTES.max(buffer.len())));
        let read = tokio::time::timeout(idle, reader.read_buf(buffer)).await;
        if read.map_err(|_| Closed::Idle(idle))?? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(Closed::TornFrame)
            };
        }
    }
}

enum FrameState {
    /// A frame of this many bytes stands behind its length.
    Whole(usize),
    /// At least this many bytes are still to come.
    Missing(usize),
}

fn frame_state(buffer: &[u8], bytes_max: usize) -> Result<FrameState, Closed> {
    let Some(length) = buffer.first_chunk::<4>() else {
        return Ok(FrameState::Missing(4 - buffer.len()));
    };
    let claimed = i32::from_be_bytes(*length);
    match usize::try_from(claimed) {
        Ok(bytes) if bytes <= bytes_max => match (bytes + 4).checked_sub(buffer.len()) {
            None | Some(0) => Ok(FrameState::Whole(bytes)),
            Some(missing) => Ok(FrameState::Missing(missing)),
        },
        _ => Err(Closed::FrameTooLarge {
            claimed: i64::from(claimed),
            max: bytes_max,
        }),
    }
}

/// Writes a reply's parts, head and records, without joining them first.
async fn write_all(writer: &mut OwnedWriteHalf, mut parts: Vec<Bytes>) -> io::Result<()> {
    const SLICES_MAX: usize = 64;
    parts.retain(|part| !part.is_empty());
    let mut first = 0;
    while first < parts.len() {
        let slices: Vec<IoSlice<'_>> = parts[first..]
            .iter()
            .take(SLICES_MAX)
            .map(|part| IoSlice::new(part))
            .collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let step = written.min(parts[first].len());
            parts[first].advance(step);
            written -= step;
            if parts[first].is_empty() {
                // Lets go of the buffer as soon as the kernel has it.
                parts[first] = Bytes::new();
                first += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_once_its_bytes_are_there() {
        let state = |bytes: &[u8]| match frame_state(bytes, 100) {
            Ok(FrameState::Whole(bytes)) => (true, bytes),
            Ok(FrameState::Missing(bytes)) => (false, bytes),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(state(&[]), (false, 4));
        assert_eq!(state(&[0, 0]), (false, 2));
        assert_eq!(state(&[0, 0, 0, 2]), (false, 2));
        assert_eq!(state(&[0, 0, 0, 2, 9]), (false, 1));
        assert_eq!(state(&[0, 0, 0, 2, 9, 9]), (true, 2));
        assert_eq!(state(&[0, 0, 0, 2, 9, 9, 0]), (true, 2));
        assert_eq!(state(&[0, 0, 0, 0]), (true, 0));
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_allocated() {
        for length in [101, i32::MAX, -1, i32::MIN, 0x1603_0100] {
            let error = frame_state(&length.to_be_bytes(), 100).err();
            assert!(
                matches!(error, Some(Closed::FrameTooLarge { .. })),
                "{length}"
            );
        }
    }
}
