//! Responses to a transport, in the order of their requests. Bytes in memory are written as they
//! are; where the transport allows it, the kernel copies file ranges from the page cache.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::time::Duration;

use avouch_protocol::chunk::{Chunk, FileRange};
use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::connection::{CLOSE_TIMEOUT, CloseReason};
use crate::service::PendingResponse;
use crate::transport::TransportWriter;

/// Maximum number of buffers per write.
const SLICES_MAX: usize = 64;
/// Bytes per read of a file range that the kernel cannot send.
const READ_BYTES: usize = 64 * 1024;
/// Maximum bytes of a file range per call to the kernel.
const SEND_BYTES_MAX: usize = 1024 * 1024;

/// Functions that read the files of response parts.
#[derive(Clone, Copy, Debug)]
pub struct FileAccess {
    /// Returns whether the page cache holds a range, so that sending it does not wait for the disk.
    pub is_cached: fn(&FileRange) -> bool,
    /// Reads a range; may block.
    pub read_range: fn(&FileRange) -> io::Result<Bytes>,
}

/// Writes the responses of one connection.
#[derive(Debug)]
pub(crate) struct ResponseWriter {
    transport: TransportWriter,
    files: FileAccess,
    timeout: Duration,
}

impl ResponseWriter {
    /// Creates a writer that fails if a write makes no progress for `timeout`.
    pub(crate) fn new(transport: TransportWriter, files: FileAccess, timeout: Duration) -> Self {
        Self {
            transport,
            files,
            timeout,
        }
    }

    /// Writes responses until the queue is closed. After a failure accepted requests are still
    /// carried out.
    ///
    /// # Errors
    /// When the peer is gone or accepts nothing for the timeout.
    pub(crate) async fn write(
        mut self,
        mut responses: mpsc::Receiver<PendingResponse>,
    ) -> Result<(), CloseReason> {
        let written = self.write_in_order(&mut responses).await;
        if written.is_err() {
            responses.close();
            // A request works when its response is awaited, so dropping the queue would lose it.
            let carry_out = async {
                while let Some(response) = responses.recv().await {
                    drop(response.await);
                }
            };
            drop(timeout(CLOSE_TIMEOUT, carry_out).await);
        }
        written
    }

    async fn write_in_order(
        &mut self,
        responses: &mut mpsc::Receiver<PendingResponse>,
    ) -> Result<(), CloseReason> {
        while let Some(response) = responses.recv().await {
            if let Some(parts) = response.await? {
                self.write_parts(parts).await?;
            }
        }
        self.transport.shutdown().await?;
        Ok(())
    }

    async fn write_parts(&mut self, parts: Vec<Chunk>) -> Result<(), CloseReason> {
        let mut in_memory = Vec::new();
        for part in parts {
            match part {
                Chunk::Memory(bytes) => in_memory.push(bytes),
                Chunk::File(range) => {
                    self.write_bytes(std::mem::take(&mut in_memory)).await?;
                    self.send_file_range(range).await?;
                }
            }
        }
        self.write_bytes(in_memory).await
    }

    /// Writes buffers without joining them.
    async fn write_bytes(&mut self, mut parts: Vec<Bytes>) -> Result<(), CloseReason> {
        parts.retain(|part| !part.is_empty());
        let mut first = 0;
        while first < parts.len() {
            // The kernel rejects more than IOV_MAX buffers.
            let slices: Vec<IoSlice<'_>> = parts[first..]
                .iter()
                .take(SLICES_MAX)
                .map(|part| IoSlice::new(part))
                .collect();
            let written = timeout(self.timeout, self.transport.write_vectored(&slices)).await;
            let mut written = written.map_err(|_| CloseReason::Stalled(self.timeout))??;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            while written > 0 {
                let step = written.min(parts[first].len());
                parts[first].advance(step);
                written -= step;
                if parts[first].is_empty() {
                    // Releases the buffer and its memory before the rest is written.
                    parts[first] = Bytes::new();
                    first += 1;
                }
            }
        }
        Ok(())
    }

    /// Sends a file range: the kernel copies what the page cache holds, so that this task does not
    /// wait for the disk; a blocking thread reads the rest.
    async fn send_file_range(&mut self, mut range: FileRange) -> Result<(), CloseReason> {
        while range.bytes > 0 {
            let writable = timeout(self.timeout, self.transport.writable()).await;
            writable.map_err(|_| CloseReason::Stalled(self.timeout))??;
            let part = first(&range, SEND_BYTES_MAX);
            // Checked for each part: the page cache can evict the rest while the peer is slow.
            let sent = match self.transport.zero_copy() {
                Some(socket) if (self.files.is_cached)(&part) => kernel::send(socket, &part),
                _ => Err(io::ErrorKind::Unsupported.into()),
            };
            match sent {
                Ok(0) => return Err(failed(&range, io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    range.at += sent as u64;
                    range.bytes -= sent;
                    // A peer that accepts everything at once must not block other tasks.
                    yield_now().await;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    // Not every file system supports sendfile.
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                        self.read_and_write(&mut range).await?;
                    }
                    kind if is_of_the_socket(kind) => return Err(error.into()),
                    _ => return Err(failed(&range, error)),
                },
            }
        }
        Ok(())
    }

    /// Reads the start of a range and writes it.
    async fn read_and_write(&mut self, range: &mut FileRange) -> Result<(), CloseReason> {
        let part = first(range, READ_BYTES);
        range.at += part.bytes as u64;
        range.bytes -= part.bytes;
        let read_range = self.files.read_range;
        let read = tokio::task::spawn_blocking(move || read_range(&part)).await;
        let read = read.map_err(io::Error::other)?;
        let read = read.map_err(|error| failed(range, error))?;
        self.write_bytes(vec![read]).await
    }
}

/// Returns the start of a range, up to `bytes_max`.
fn first(range: &FileRange, bytes_max: usize) -> FileRange {
    FileRange {
        bytes: range.bytes.min(bytes_max),
        ..range.clone()
    }
}

/// Marks the file as unreadable: its owner reads it from then on and reports the cause.
fn failed(range: &FileRange, error: io::Error) -> CloseReason {
    range.failed.store(true, Ordering::Relaxed);
    CloseReason::File(error)
}

fn is_of_the_socket(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::BrokenPipe
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    )
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;

    use avouch_protocol::chunk::FileRange;
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// Sends the start of a range and returns the number of bytes that the socket accepted.
    pub(super) fn send(socket: &TcpStream, range: &FileRange) -> io::Result<usize> {
        socket.try_io(Interest::WRITABLE, || {
            let mut at = range.at;
            let sent = rustix::fs::sendfile(socket, &range.file, Some(&mut at), range.bytes);
            Ok(sent?)
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use avouch_protocol::chunk::FileRange;
    use tokio::net::TcpStream;

    pub(super) fn send(_: &TcpStream, _: &FileRange) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::transport::Transport;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const CACHED: FileAccess = FileAccess {
        is_cached: |_| true,
        read_range,
    };
    const NOT_CACHED: FileAccess = FileAccess {
        is_cached: |_| false,
        read_range,
    };

    fn read_range(range: &FileRange) -> io::Result<Bytes> {
        let mut file = &*range.file;
        file.seek(SeekFrom::Start(range.at))?;
        let mut bytes = vec![0; range.bytes];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }

    async fn sockets(files: FileAccess) -> (ResponseWriter, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = TcpStream::connect(listener.local_addr().unwrap());
        let (broker, peer) = tokio::join!(broker, listener.accept());
        let (_, writer) = Transport::Tcp(broker.unwrap()).split();
        (ResponseWriter::new(writer, files, TIMEOUT), peer.unwrap().0)
    }

    /// Returns a file of `bytes` and its content.
    fn file(bytes: usize) -> (Arc<std::fs::File>, Vec<u8>) {
        let numbers = (0_u32..).flat_map(u32::to_le_bytes);
        let bytes: Vec<u8> = numbers.take(bytes).collect();
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    async fn write_response(writer: ResponseWriter, parts: Vec<Chunk>) -> Result<(), CloseReason> {
        let (queue, responses) = mpsc::channel(1);
        let response: PendingResponse = Box::pin(async { Ok(Some(parts)) });
        queue.send(response).await.ok().unwrap();
        drop(queue);
        writer.write(responses).await
    }

    async fn parts_arrive_in_order(files: FileAccess) {
        let (file, bytes) = file(5 << 20);
        let range = |at: usize, bytes| FileRange::new(Arc::clone(&file), at as u64, bytes);
        let parts = vec![
            Chunk::Memory(Bytes::from_static(b"head")),
            Chunk::File(range(7, 3 << 20)),
            Chunk::File(range(0, 1)),
            Chunk::Memory(Bytes::from_static(b"amid")),
            Chunk::File(range(1 << 20, 4 << 20)),
        ];
        let expected = [
            b"head",
            &bytes[7..7 + (3 << 20)],
            &bytes[..1],
            b"amid",
            &bytes[1 << 20..],
        ];
        let (writer, mut peer) = sockets(files).await;
        let mut read = Vec::new();
        let writing = write_response(writer, parts);
        let (written, _) = tokio::join!(writing, peer.read_to_end(&mut read));
        written.unwrap();
        assert!(read == expected.concat(), "{} bytes", read.len());
    }

    #[tokio::test]
    async fn cached_file_ranges_are_sent_in_order() {
        parts_arrive_in_order(CACHED).await;
    }

    #[tokio::test]
    async fn uncached_file_ranges_are_sent_in_order() {
        parts_arrive_in_order(NOT_CACHED).await;
    }

    #[tokio::test]
    async fn truncated_file_closes_the_connection() {
        let (file, _) = file(1_000);
        let range = FileRange::new(file, 900, 101);
        let is_failed = Arc::clone(&range.failed);
        let (writer, _peer) = sockets(CACHED).await;
        let closed = write_response(writer, vec![Chunk::File(range)]).await;
        assert!(matches!(closed, Err(CloseReason::File(_))), "{closed:?}");
        assert!(is_failed.load(Ordering::Relaxed), "the log checks the file");
    }
}
