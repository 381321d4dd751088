//! Frames out of a socket, counted as in flight from their first byte on.
//!
//! Invariants: the buffer grows with the bytes that arrive, never with the length that is claimed,
//! and only by what is counted; a frame that was begun has one deadline, which only bytes move; a
//! connection between two requests has no buffer. Knows no request.

use std::time::Duration;

use avouch_protocol::reader::Reader;
use avouch_protocol::section::SLACK_BYTES;
use bytes::{Buf as _, BufMut as _, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use crate::node::Node;
use crate::server::connection::Closed;
use crate::server::intake::{InFlight, MEMORY_UNIT_BYTES, OwnMemory, memory_units};

/// The most that is read at a time while a frame's length is not known, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// The most that a frame's buffer grows by at a time, in bytes.
const STEP_BYTES_MAX: usize = 1024 * 1024;
const LENGTH_BYTES: usize = 4;

/// The frames of one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    /// Counts the buffer.
    memory: InFlight,
    /// Counts what was read before and is under way.
    own: OwnMemory,
}

impl Frames {
    /// Frames of up to `bytes_max`, of which as much again may be under way.
    pub(crate) fn new(reader: OwnedReadHalf, bytes_max: usize) -> Self {
        Self {
            reader,
            own: OwnMemory::new(bytes_max),
            buffer: BytesMut::new(),
            memory: InFlight::default(),
        }
    }

    /// The next frame without its length, or `None` when the peer closed between two frames.
    pub(crate) async fn next(&mut self, node: &Node) -> Result<Option<(Reader, InFlight)>, Closed> {
        let limits = &node.config.limits;
        if self.buffer.is_empty() && !self.begin(node).await? {
            return Ok(None);
        }
        let begun = node.clock.elapsed();
        let mut whole = LENGTH_BYTES;
        let mut is_known = false;
        loop {
            if self.buffer.len() >= whole {
                if is_known {
                    return Ok(Some(self.cut(node, whole).await));
                }
                is_known = true;
                whole += frame_bytes(&self.buffer, limits.request_bytes_max)?;
                continue;
            }
            let arrived = self.buffer.len();
            let allowed = allowed(limits.frame, limits.frame_bytes_per_second_min, arrived);
            let left = || allowed.saturating_sub(node.clock.elapsed() - begun);
            let missing = whole - arrived;
            let room = missing.min(arrived.clamp(READ_BYTES, STEP_BYTES_MAX));
            let growing = node.intake.grow(&mut self.memory, arrived + room, whole);
            let grown = timeout(left(), growing).await;
            grown.map_err(|_| Closed::NoMemory(allowed))?;
            if left().is_zero() {
                return Err(Closed::SlowFrame(allowed));
            }
            self.buffer.reserve(room + SLACK_BYTES);
            let mut limited = (&mut self.buffer).limit(room);
            let reading = self.reader.read_buf(&mut limited);
            let read = timeout(left(), reading).await;
            if read.map_err(|_| Closed::SlowFrame(allowed))?? == 0 {
                return Err(Closed::TornFrame);
            }
        }
    }

    /// Reads the first bytes of a frame, and what stands behind it already. False when the peer
    /// closed instead. Nobody waits here with anything: who has sent nothing takes no memory.
    async fn begin(&mut self, node: &Node) -> Result<bool, Closed> {
        let idle = node.config.limits.idle;
        loop {
            // Before the wait, which may be long.
            self.buffer = BytesMut::new();
            self.memory.shrink(0);
            let readable = timeout(idle, self.reader.readable()).await;
            readable.map_err(|_| Closed::Idle(idle))??;
            node.intake.grow(&mut self.memory, READ_BYTES, 0).await;
            self.buffer.reserve(READ_BYTES + SLACK_BYTES);
            let mut limited = (&mut self.buffer).limit(READ_BYTES);
            // Not `try_read_buf`, after which a socket that is empty counts as readable.
            match self.reader.read_buf(&mut limited).now_or_never() {
                None => {}
                Some(Ok(0)) => return Ok(false),
                Some(Ok(count)) => {
                    self.memory.shrink(count);
                    return Ok(true);
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Cuts the frame that ends at `whole` off the buffer's start.
    async fn cut(&mut self, node: &Node, whole: usize) -> (Reader, InFlight) {
        let bytes = whole - LENGTH_BYTES;
        // Rounded up one by one, several small frames are more than all of them together.
        let units = memory_units(whole) + memory_units(self.buffer.len() - whole);
        let counted = units * MEMORY_UNIT_BYTES;
        node.intake.grow(&mut self.memory, counted, 0).await;
        self.buffer.advance(LENGTH_BYTES);
        let (frame, mut memory) = (
            take_frame(&mut self.buffer, bytes),
            self.memory.split(whole),
        );
        self.own.count(&mut memory, bytes).await;
        (frame, memory)
    }
}

/// How long a frame may take of which so much has arrived: what every frame may, and more for the
/// bytes that came.
fn allowed(frame: Duration, bytes_per_second_min: usize, arrived: usize) -> Duration {
    let ms = arrived.saturating_mul(1_000) / bytes_per_second_min.max(1);
    frame.saturating_add(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
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

/// Cuts a frame off the buffer's start. Slack is put behind it unless the next frame stands there
/// already, as it may behind small ones.
fn take_frame(buffer: &mut BytesMut, bytes: usize) -> Reader {
    if buffer.len() == bytes {
        buffer.resize(bytes + SLACK_BYTES, 0);
        return Reader::within(buffer.split().freeze(), bytes);
    }
    Reader::new(buffer.split_to(bytes).freeze())
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

    // Conformance: validator/3a
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

    // Conformance: broker/input-2
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

    // Conformance: broker/input-2
    #[test]
    fn a_tls_hello_is_told_from_a_length() {
        for length in [0x1603_0100, 0x1603_0304] {
            let error = frame_bytes(&i32::to_be_bytes(length), 100 << 20).err();
            assert!(matches!(error, Some(Closed::Tls)), "{length:x}");
        }
    }

    // Conformance: broker/input-3
    #[test]
    fn only_bytes_move_the_deadline_of_a_frame() {
        let allowed = |arrived| allowed(Duration::from_secs(30), 1 << 20, arrived).as_secs();
        assert_eq!(allowed(4), 30, "whatever is claimed");
        assert_eq!(allowed(1 << 20), 31);
        assert_eq!(allowed(100 << 20), 130);
    }
}
