//! Replies into a socket, in the order of their requests, each in its parts: bytes at hand are
//! written as they are, a file's stretch goes from its file to the socket without passing through
//! here.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::time::Duration;

use avouch_log::{is_cached, read_range};
use avouch_protocol::chunk::{Chunk, Stretch};
use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::server::connection::{CLOSING, Closed};
use crate::server::service::PendingResponse;

/// Buffers that one call writes.
const SLICES_MAX: usize = 64;
/// What is read of a file at a time where it cannot be sent by itself, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// What is sent of a file at a time, in bytes.
const SEND_BYTES_MAX: usize = 1024 * 1024;

/// Writes replies until there are no more. After a failure the requests taken in are still carried
/// out.
///
/// # Errors
/// When the peer is gone, or takes nothing for as long as `stall`.
pub(crate) async fn write(
    mut writer: OwnedWriteHalf,
    mut replies: mpsc::Receiver<PendingResponse>,
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
    replies: &mut mpsc::Receiver<PendingResponse>,
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

async fn write_all(
    writer: &mut OwnedWriteHalf,
    parts: Vec<Chunk>,
    stall: Duration,
) -> Result<(), Closed> {
    let mut at_hand = Vec::new();
    for part in parts {
        match part {
            Chunk::Memory(bytes) => at_hand.push(bytes),
            Chunk::File(stretch) => {
                write_bytes(writer, std::mem::take(&mut at_hand), stall).await?;
                send(writer, stretch, stall).await?;
            }
        }
    }
    write_bytes(writer, at_hand, stall).await
}

/// Writes buffers without joining them first.
async fn write_bytes(
    writer: &mut OwnedWriteHalf,
    mut parts: Vec<Bytes>,
    stall: Duration,
) -> Result<(), Closed> {
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

/// Has the kernel send a stretch, as far as the page cache holds it, so that nothing waits for the
/// disk here; the rest is read by a thread that may.
async fn send(
    writer: &mut OwnedWriteHalf,
    mut stretch: Stretch,
    stall: Duration,
) -> Result<(), Closed> {
    while stretch.bytes > 0 {
        let writable = timeout(stall, writer.writable()).await;
        writable.map_err(|_| Closed::Stalled(stall))??;
        let part = first(&stretch, SEND_BYTES_MAX);
        // Looked at now: a peer may have kept us waiting for long.
        if !is_cached(&part) {
            read_and_write(writer, &mut stretch, stall).await?;
            continue;
        }
        match kernel::send(writer, &part) {
            Ok(0) => return Err(failed(&stretch, io::ErrorKind::UnexpectedEof.into())),
            Ok(sent) => {
                stretch.at += sent as u64;
                stretch.bytes -= sent;
                // A peer that takes all at once must not keep the others waiting.
                yield_now().await;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                // Not every file system lets the kernel do it.
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                    read_and_write(writer, &mut stretch, stall).await?;
                }
                _ if is_of_the_socket(error.kind()) => return Err(error.into()),
                _ => return Err(failed(&stretch, error)),
            },
        }
    }
    Ok(())
}

/// Reads the beginning of a stretch and writes it.
async fn read_and_write(
    writer: &mut OwnedWriteHalf,
    stretch: &mut Stretch,
    stall: Duration,
) -> Result<(), Closed> {
    let part = first(stretch, READ_BYTES);
    stretch.at += part.bytes as u64;
    stretch.bytes -= part.bytes;
    let read = tokio::task::spawn_blocking(move || read_range(&part)).await;
    let read = read.map_err(io::Error::other)?;
    let read = read.map_err(|error| failed(stretch, error))?;
    write_bytes(writer, vec![read], stall).await
}

/// The beginning of a stretch, up to `bytes_max`.
fn first(stretch: &Stretch, bytes_max: usize) -> Stretch {
    Stretch {
        bytes: stretch.bytes.min(bytes_max),
        ..stretch.clone()
    }
}

/// The file could not be read: its owner reads it from now on, and finds out what is wrong.
fn failed(stretch: &Stretch, error: io::Error) -> Closed {
    stretch.failed.store(true, Ordering::Relaxed);
    Closed::File(error)
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

    use avouch_protocol::chunk::Stretch;
    use tokio::io::Interest;
    use tokio::net::TcpStream;
    use tokio::net::tcp::OwnedWriteHalf;

    /// Sends what the socket takes of a stretch; returns how many bytes that was.
    pub(crate) fn send(writer: &OwnedWriteHalf, stretch: &Stretch) -> io::Result<usize> {
        let socket: &TcpStream = writer.as_ref();
        socket.try_io(Interest::WRITABLE, || {
            let mut at = stretch.at;
            let sent = rustix::fs::sendfile(socket, &stretch.file, Some(&mut at), stretch.bytes);
            Ok(sent?)
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use avouch_protocol::chunk::Stretch;
    use tokio::net::tcp::OwnedWriteHalf;

    pub(crate) fn send(_: &OwnedWriteHalf, _: &Stretch) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    async fn sockets() -> (OwnedWriteHalf, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(ours, listener.accept());
        (ours.unwrap().into_split().1, theirs.unwrap().0)
    }

    /// A file of so many bytes, and the bytes.
    fn file(bytes: usize) -> (Arc<std::fs::File>, Vec<u8>) {
        let numbers = (0_u32..).flat_map(u32::to_le_bytes);
        let bytes: Vec<u8> = numbers.take(bytes).collect();
        // Beside the build: files in memory may not tell what is cached.
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    async fn write_reply(writer: OwnedWriteHalf, parts: Vec<Chunk>) -> Result<(), Closed> {
        let (queue, replies) = mpsc::channel(1);
        let reply: PendingResponse = Box::pin(async { Ok(Some(parts)) });
        queue.send(reply).await.ok().unwrap();
        drop(queue);
        write(writer, replies, STALL).await
    }

    #[tokio::test]
    async fn bytes_at_hand_and_stretches_leave_in_their_order() {
        let (file, bytes) = file(5 << 20);
        let stretch = |at: usize, bytes| Stretch::new(Arc::clone(&file), at as u64, bytes);
        let parts = vec![
            Chunk::Memory(Bytes::from_static(b"head")),
            Chunk::File(stretch(7, 3 << 20)),
            Chunk::File(stretch(0, 1)),
            Chunk::Memory(Bytes::from_static(b"amid")),
            Chunk::File(stretch(1 << 20, 4 << 20)),
        ];
        let expected = [
            b"head",
            &bytes[7..7 + (3 << 20)],
            &bytes[..1],
            b"amid",
            &bytes[1 << 20..],
        ];
        let (writer, mut peer) = sockets().await;
        let mut read = Vec::new();
        let (written, _) = tokio::join!(write_reply(writer, parts), peer.read_to_end(&mut read));
        written.unwrap();
        assert!(read == expected.concat(), "{} bytes", read.len());
    }

    #[tokio::test]
    async fn what_the_kernel_does_not_send_is_read_and_written() {
        let (file, bytes) = file(300_000);
        let mut stretch = Stretch::new(file, 5, 299_995);
        let (mut writer, mut peer) = sockets().await;
        let sending = async {
            while stretch.bytes > 0 {
                read_and_write(&mut writer, &mut stretch, STALL)
                    .await
                    .unwrap();
            }
            drop(writer);
        };
        let mut read = Vec::new();
        let ((), _) = tokio::join!(sending, peer.read_to_end(&mut read));
        assert!(read == bytes[5..], "{} bytes", read.len());
    }

    #[tokio::test]
    async fn a_file_that_ends_too_soon_ends_the_connection() {
        let (file, _) = file(1_000);
        let stretch = Stretch::new(file, 900, 101);
        let is_failed = Arc::clone(&stretch.failed);
        let (writer, _peer) = sockets().await;
        let closed = write_reply(writer, vec![Chunk::File(stretch)]).await;
        assert!(matches!(closed, Err(Closed::File(_))), "{closed:?}");
        assert!(
            is_failed.load(Ordering::Relaxed),
            "its owner reads it next time"
        );
    }
}
