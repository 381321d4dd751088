//! Request frames from a transport, with their memory reserved from the first byte.
//!
//! Invariants: the buffer grows with the bytes that arrive and not with the claimed length, and
//! only by what is reserved; a partially received frame has one deadline, which only received bytes
//! extend; a connection between two requests has no buffer.

use std::time::Duration;

use avouch_protocol::reader::Reader;
use avouch_protocol::section::PADDING_BYTES;
use bytes::{Buf as _, BufMut as _, BytesMut};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::connection::CloseReason;
use crate::listener::ListenerContext;
use crate::memory_pool::{MEMORY_UNIT_BYTES, MemoryPool, memory_units};
use crate::request_memory::RequestPermit;
use crate::transport::TransportReader;

/// Maximum bytes per read while the length of the frame is unknown.
const READ_BYTES: usize = 64 * 1024;
/// Maximum growth of the buffer per read, in bytes.
const STEP_BYTES_MAX: usize = 1024 * 1024;
const LENGTH_BYTES: usize = 4;

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    reader: TransportReader,
    buffer: BytesMut,
    /// The memory of the buffer.
    memory: RequestPermit,
    /// Limits the requests of this connection that are in flight.
    connection: MemoryPool,
}

impl FrameReader {
    /// Creates a reader of frames of up to `bytes_max`. Complete requests of the same size in total
    /// can be in flight.
    pub(crate) fn new(reader: TransportReader, bytes_max: usize) -> Self {
        Self {
            reader,
            connection: MemoryPool::new(bytes_max.max(MEMORY_UNIT_BYTES)),
            buffer: BytesMut::new(),
            memory: RequestPermit::default(),
        }
    }

    /// Returns the next frame without its length, or `None` if the peer closed the connection
    /// between two frames.
    pub(crate) async fn next(
        &mut self,
        context: &ListenerContext,
    ) -> Result<Option<(Reader, RequestPermit)>, CloseReason> {
        let limits = &context.limits;
        if self.buffer.is_empty() && !self.start(context).await? {
            return Ok(None);
        }
        let started = context.clock.elapsed();
        let mut complete = LENGTH_BYTES;
        let mut is_length_known = false;
        loop {
            if self.buffer.len() >= complete {
                if is_length_known {
                    return Ok(Some(self.cut(context, complete).await));
                }
                is_length_known = true;
                complete += frame_bytes(&self.buffer, limits.request_bytes_max)?;
                continue;
            }
            let received = self.buffer.len();
            let rate = limits.request_bytes_per_second_min;
            let allowed = allowed(limits.request_read_timeout, rate, received);
            let left = || allowed.saturating_sub(context.clock.elapsed() - started);
            let missing = complete - received;
            // Doubling: the buffer is never larger than twice the received bytes, unless that is
            // less than one read.
            let step = missing.min(received.clamp(READ_BYTES, STEP_BYTES_MAX));
            let growing = context
                .memory
                .grow(&mut self.memory, received + step, complete);
            let grown = timeout(left(), growing).await;
            grown.map_err(|_| CloseReason::NoMemory(allowed))?;
            // `timeout` polls its future once even with no time left.
            if left().is_zero() {
                return Err(CloseReason::SlowRequest(allowed));
            }
            self.buffer.reserve(step + PADDING_BYTES);
            let mut limited = (&mut self.buffer).limit(step);
            let reading = self.reader.read(&mut limited);
            let read = timeout(left(), reading).await;
            if read.map_err(|_| CloseReason::SlowRequest(allowed))?? == 0 {
                return Err(CloseReason::TornFrame);
            }
        }
    }

    /// Reads the first bytes of a frame and what follows them already. Returns false if the peer
    /// closed the connection instead. An idle connection holds no buffer and no memory.
    async fn start(&mut self, context: &ListenerContext) -> Result<bool, CloseReason> {
        let idle = context.limits.idle_timeout;
        loop {
            // Released before the wait, which can be long.
            self.buffer = BytesMut::new();
            self.memory.shrink(0);
            let readable = timeout(idle, self.reader.readable()).await;
            readable.map_err(|_| CloseReason::Idle(idle))??;
            context.memory.grow(&mut self.memory, READ_BYTES, 0).await;
            self.buffer.reserve(READ_BYTES + PADDING_BYTES);
            let mut limited = (&mut self.buffer).limit(READ_BYTES);
            // Not `try_read_buf`: after it an empty socket counts as readable.
            match self.reader.read(&mut limited).now_or_never() {
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

    /// Splits the frame that ends at `complete` off the start of the buffer.
    async fn cut(&mut self, context: &ListenerContext, complete: usize) -> (Reader, RequestPermit) {
        let bytes = complete - LENGTH_BYTES;
        // Rounded up to units, frame and rest can need one unit more than both together.
        let units = memory_units(complete) + memory_units(self.buffer.len() - complete);
        let reserved = units * MEMORY_UNIT_BYTES;
        context.memory.grow(&mut self.memory, reserved, 0).await;
        self.buffer.advance(LENGTH_BYTES);
        let frame = take_frame(&mut self.buffer, bytes);
        let mut memory = self.memory.split(complete);
        memory.reserve_of_connection(&self.connection, bytes).await;
        (frame, memory)
    }
}

/// Returns the time limit of a frame of which `received` bytes have arrived.
fn allowed(request_read: Duration, bytes_per_second_min: usize, received: usize) -> Duration {
    let ms = received.saturating_mul(1_000) / bytes_per_second_min.max(1);
    request_read.saturating_add(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// Parses the length at the start of the buffer.
fn frame_bytes(buffer: &[u8], bytes_max: usize) -> Result<usize, CloseReason> {
    /// The start of every TLS connection: a handshake record of version 3.x. As a length it would
    /// be 369 MB (KIP-498).
    const TLS_HELLO: [u8; 2] = [0x16, 0x03];
    let length = buffer.first_chunk().copied().unwrap_or_default();
    let claimed = i32::from_be_bytes(length);
    match usize::try_from(claimed) {
        Ok(bytes) if bytes <= bytes_max => Ok(bytes),
        _ if length.starts_with(&TLS_HELLO) => Err(CloseReason::Tls),
        _ => Err(CloseReason::FrameTooLarge {
            claimed: i64::from(claimed),
            max: bytes_max,
        }),
    }
}

/// Splits a frame off the start of the buffer. Padding follows it unless the next frame does, as it
/// can after small ones.
fn take_frame(buffer: &mut BytesMut, bytes: usize) -> Reader {
    if buffer.len() == bytes {
        buffer.resize(bytes + PADDING_BYTES, 0);
        return Reader::within(buffer.split().freeze(), bytes);
    }
    Reader::new(buffer.split_to(bytes).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_within_the_limit_are_accepted() {
        for (length, bytes) in [([0, 0, 0, 0], 0), ([0, 0, 0, 2], 2), ([0, 0, 0, 100], 100)] {
            assert_eq!(frame_bytes(&length, 100).ok(), Some(bytes));
        }
    }

    // Conformance: validator/3a
    #[test]
    fn padding_follows_the_last_frame() {
        let mut buffer = BytesMut::from(&b"onetwo"[..]);
        let frame = take_frame(&mut buffer, 3);
        assert_eq!((frame.remaining(), &frame.memory()[..]), (3, &b"one"[..]));
        assert_eq!(&buffer[..], b"two");
        let mut frame = take_frame(&mut buffer, 3);
        assert_eq!(frame.memory()[3..], [0; PADDING_BYTES]);
        assert_eq!(frame.take(3).unwrap(), "two");
        assert!(frame.finish().is_ok(), "padding is not part of the frame");
        assert!(buffer.is_empty());
    }

    // Conformance: broker/input-2
    #[test]
    fn invalid_lengths_are_rejected() {
        for length in [101, i32::MAX, -1, i32::MIN] {
            let error = frame_bytes(&length.to_be_bytes(), 100).err();
            assert!(
                matches!(error, Some(CloseReason::FrameTooLarge { .. })),
                "{length}"
            );
        }
    }

    // Conformance: broker/input-2
    #[test]
    fn tls_hello_is_detected() {
        for length in [0x1603_0100, 0x1603_0304] {
            let error = frame_bytes(&i32::to_be_bytes(length), 100 << 20).err();
            assert!(matches!(error, Some(CloseReason::Tls)), "{length:x}");
        }
    }

    // Conformance: broker/input-3
    #[test]
    fn only_received_bytes_extend_the_deadline() {
        let allowed = |arrived| allowed(Duration::from_secs(30), 1 << 20, arrived).as_secs();
        assert_eq!(allowed(4), 30, "whatever length is claimed");
        assert_eq!(allowed(1 << 20), 31);
        assert_eq!(allowed(100 << 20), 130);
    }
}
