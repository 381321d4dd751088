//! One client's connection: frames in, replies out in the order of their requests.
//!
//! A request is taken in as soon as it arrives (a produce request gets its place in the log there
//! and then); its reply leaves when its turn comes. Between the two stands a bounded queue, so a
//! client that sends without reading stops being read. What was taken in is carried out even if
//! the client hangs up: many send a last wish and do not wait for the answer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::node::Node;
use crate::handler::{self, Client, NamedReply};
use crate::wire::reader::Reader;
use crate::wire::section::SLACK_BYTES;

/// Requests of one connection that may be taken in before the first of them is answered.
const IN_FLIGHT_MAX: usize = 256;
/// Least room made in the read buffer, and what an unfinished frame grows by in time, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// In-flight memory is counted in units of this many bytes.
pub(crate) const MEMORY_UNIT_BYTES: usize = 1024;
/// How long requests already taken in may go on once nothing more is read.
const CLOSING: Duration = Duration::from_secs(5);

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
    #[error("the peer took nothing of a reply for {0:?}")]
    Stalled(Duration),
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] handler::Refused),
}

/// Serves one connection until the peer closes, breaks the protocol, or `stop` turns true; then
/// requests already taken in are still carried out and answered.
pub(crate) async fn serve(
    node: Arc<Node>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY refused");
    }
    let local = stream.local_addr().unwrap_or(node.kafka_address);
    let client = Arc::new(Client::new(peer, local));
    let (reader, writer) = stream.into_split();
    let (queue, replies) = mpsc::channel(IN_FLIGHT_MAX);
    // A set of one, because it ends its task when it is dropped.
    let mut writing = JoinSet::new();
    writing.spawn(write_replies(
        writer,
        replies,
        node.config.limits.write_stall,
    ));
    let reading = read_requests(&node, &client, reader, queue, stop);
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
        match &error {
            Closed::Socket(_) | Closed::Idle(_) => debug!(%error, "connection closed"),
            Closed::FrameTooLarge { .. }
            | Closed::Tls
            | Closed::TornFrame
            | Closed::SlowFrame(_)
            | Closed::Stalled(_) => warn!(%error, "connection closed"),
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

async fn read_requests(
    node: &Arc<Node>,
    client: &Arc<Client>,
    mut reader: OwnedReadHalf,
    queue: mpsc::Sender<NamedReply>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, Closed> {
    let mut buffer = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = read_frame(node, &mut reader, &mut buffer) => frame?,
            _ = stop.wait_for(|stop| *stop) => return Ok(Ended::Stopping),
        };
        let Some((frame, memory)) = frame else {
            return Ok(Ended::PeerClosed);
        };
        let reply = handler::dispatch(node, client, frame, memory).await?;
        if queue.send(reply).await.is_err() {
            // The writer ended first and its error is the one to report.
            return Ok(Ended::Stopping);
        }
    }
}

async fn write_replies(
    mut writer: OwnedWriteHalf,
    mut replies: mpsc::Receiver<NamedReply>,
    stall: Duration,
) -> Result<(), Closed> {
    let written = write_in_turn(&mut writer, &mut replies, stall).await;
    if written.is_err() {
        replies.close();
        let carry_out = async {
            while let Some(reply) = replies.recv().await {
                drop(reply.await);
            }
        };
        drop(timeout(CLOSING, carry_out).await);
    }
    written
}

async fn write_in_turn(
    writer: &mut OwnedWriteHalf,
    replies: &mut mpsc::Receiver<NamedReply>,
    stall: Duration,
) -> Result<(), Closed> {
    while let Some(reply) = replies.recv().await {
        if let Some(frame) = reply.await? {
            write_all(writer, frame, stall).await?;
        }
    }
    writer.shutdown().await?;
    Ok(())
}

/// The next frame without its length, counted as in flight, or `None` when the peer closed between
/// two frames. A frame gets its share of the memory before its body is read; the buffer grows with
/// the bytes that arrive, never with the length that is claimed.
async fn read_frame(
    node: &Node,
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
) -> Result<Option<(Reader, OwnedSemaphorePermit)>, Closed> {
    const LENGTH_BYTES: usize = 4;
    let limits = &node.config.limits;
    if buffer.is_empty() {
        let first = timeout(limits.idle, read_until(reader, buffer, 1, LENGTH_BYTES)).await;
        if !first.map_err(|_| Closed::Idle(limits.idle))?? {
            return Ok(None);
        }
    }
    let mut whole = LENGTH_BYTES;
    let mut memory = None;
    loop {
        while buffer.len() < whole {
            // Whoever sends byte by byte does not keep a connection for long.
            let goal = whole.min(buffer.len() + READ_BYTES);
            let more = timeout(limits.frame, read_until(reader, buffer, goal, whole)).await;
            if !more.map_err(|_| Closed::SlowFrame(limits.frame))?? {
                return Err(Closed::TornFrame);
            }
        }
        if let Some(memory) = memory {
            buffer.advance(LENGTH_BYTES);
            return Ok(Some((take_frame(buffer, whole - LENGTH_BYTES), memory)));
        }
        let bytes = frame_bytes(buffer, limits.request_bytes_max)?;
        memory = Some(node.in_flight(bytes).await);
        whole = LENGTH_BYTES + bytes;
    }
}

/// Cuts a frame off the buffer's start. Slack is put behind it unless the next frame stands there
/// already, as it may behind small ones.
fn take_frame(buffer: &mut BytesMut, bytes: usize) -> Reader {
    if buffer.len() == bytes {
        buffer.resize(bytes + SLACK_BYTES, 0);
        return Reader::within(buffer.split().freeze(), bytes);
    }
    Reader::new(buffer.split_to(bytes).freeze())
}

/// Reads until the buffer holds `goal` bytes, making room for up to `whole`. Only the first read of
/// a frame goes beyond its end, into the frames behind it. False when the peer closed before.
async fn read_until(
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    goal: usize,
    whole: usize,
) -> io::Result<bool> {
    while buffer.len() < goal {
        let missing = whole.saturating_sub(buffer.len());
        let room = missing.clamp(READ_BYTES, READ_BYTES.max(buffer.len()));
        buffer.reserve(room + SLACK_BYTES);
        let most = if buffer.is_empty() { room } else { missing };
        if reader.read_buf(&mut buffer.limit(most)).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes of the frame behind the length at the buffer's start.
fn frame_bytes(buffer: &[u8], bytes_max: usize) -> Result<usize, Closed> {
    /// How every TLS connection begins: a handshake record of version 3.x. As a length it would be
    /// 369 MB (KIP-498).
    const TLS_HELLO: [u8; 2] = [0x16, 0x03];
    let length = buffer.first_chunk().copied().unwrap_or_default();
    let claimed = i32::from_be_bytes(length);
    match usize::try_from(claimed) {
        Ok(bytes) if bytes <= bytes_max => Ok(bytes),
        _ if length.starts_with(&TLS_HELLO) => Err(Closed::Tls),
        _ => Err(Closed::FrameTooLarge {
            claimed: i64::from(claimed),
            max: bytes_max,
        }),
    }
}

/// Writes a reply's parts, head and records, without joining them first.
async fn write_all(
    writer: &mut OwnedWriteHalf,
    mut parts: Vec<Bytes>,
    stall: Duration,
) -> Result<(), Closed> {
    const SLICES_MAX: usize = 64;
    parts.retain(|part| !part.is_empty());
    let mut first = 0;
    while first < parts.len() {
        let slices: Vec<IoSlice<'_>> = parts[first..]
            .iter()
            .take(SLICES_MAX)
            .map(|part| IoSlice::new(part))
            .collect();
        let written = timeout(stall, writer.write_vectored(&slices)).await;
        let mut written = written.map_err(|_| Closed::Stalled(stall))??;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
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
    fn lengths_within_the_limit_are_taken() {
        for (length, bytes) in [([0, 0, 0, 0], 0), ([0, 0, 0, 2], 2), ([0, 0, 0, 100], 100)] {
            assert_eq!(frame_bytes(&length, 100).ok(), Some(bytes));
        }
    }

    #[test]
    fn slack_follows_a_frame_unless_the_next_one_does() {
        let mut buffer = BytesMut::from(&b"onetwo"[..]);
        let frame = take_frame(&mut buffer, 3);
        assert_eq!((frame.remaining(), &frame.memory()[..]), (3, &b"one"[..]));
        assert_eq!(&buffer[..], b"two");
        let mut frame = take_frame(&mut buffer, 3);
        assert_eq!(frame.memory()[3..], [0; SLACK_BYTES]);
        assert_eq!(frame.take(3).unwrap(), "two");
        assert!(frame.finish().is_ok(), "slack is no part of the frame");
        assert!(buffer.is_empty());
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_allocated() {
        for length in [101, i32::MAX, -1, i32::MIN] {
            let error = frame_bytes(&length.to_be_bytes(), 100).err();
            assert!(
                matches!(error, Some(Closed::FrameTooLarge { .. })),
                "{length}"
            );
        }
    }

    #[test]
    fn a_tls_hello_is_told_from_a_length() {
        for length in [0x1603_0100, 0x1603_0304] {
            let error = frame_bytes(&i32::to_be_bytes(length), 100 << 20).err();
            assert!(matches!(error, Some(Closed::Tls)), "{length:x}");
        }
    }
}
