//! The byte stream of one HTTP connection, with flow control and deadlines.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::web::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use super::flow::Flow;
use super::limits::OpenConnection;

/// Bytes that are read ahead of what [`Flow`] permits.
const READ_BYTES: usize = 8 * 1024;

/// Minimum rate of a large request.
const BYTES_PER_SECOND_MIN: u32 = 1 << 20;

/// A future that is ready when the server stops.
pub(super) type Stopping = Pin<Box<dyn Future<Output = ()>>>;

/// A TCP stream that delivers one request at a time and fails when the client is too slow.
pub(super) struct HttpStream {
    stream: TcpStream,
    flow: Rc<Flow>,
    /// Received bytes that are not delivered yet. Without capacity while it waits for bytes.
    buffer: BytesMut,
    read_deadline: Deadline,
    write_deadline: Deadline,
    stopping: Stopping,
    /// True once `stopping` was ready, after which it must not be polled.
    is_stopping: bool,
    connection: OpenConnection,
}

impl HttpStream {
    pub(super) fn new(stream: TcpStream, connection: OpenConnection, stopping: Stopping) -> Self {
        Self {
            stream,
            flow: Rc::default(),
            buffer: BytesMut::new(),
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            stopping,
            is_stopping: false,
            connection,
        }
    }

    pub(super) fn flow(&self) -> Rc<Flow> {
        Rc::clone(&self.flow)
    }

    /// Fills the buffer. Returns false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.buffer.is_empty() {
            return Poll::Ready(Ok(true));
        }
        // Before the buffer is allocated: a connection that waits holds none.
        ready!(self.stream.poll_read_ready(cx))?;
        self.buffer.reserve(READ_BYTES);
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer);
        read.map_ok(|count| count > 0)
    }

    /// Waits for bytes while there are none.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flow.expects_bytes() {
            let timeout = self.connection.0.limits.request_read_timeout;
            ready!(self.read_deadline.poll(cx, timeout));
            return Poll::Ready(Err(self.timed_out("slow_request")));
        }
        self.read_deadline.clear();
        self.buffer = BytesMut::new();
        // In every phase, because no further read may follow the response.
        self.is_stopping = self.is_stopping || self.stopping.as_mut().poll(cx).is_ready();
        if !self.flow.is_idle() {
            self.flow.wait(cx.waker(), self.is_stopping);
            return Poll::Pending;
        }
        match self.is_stopping {
            // The end of the stream makes the HTTP implementation close an idle connection.
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn timed_out(&self, reason: &str) -> io::Error {
        self.connection.0.count_closed(reason);
        io::ErrorKind::TimedOut.into()
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Poll::Ready(filled) = this.poll_fill(cx) else {
            return this.poll_wait(cx);
        };
        if !filled? {
            return Poll::Ready(Ok(()));
        }
        let readable = this.buffer.len().min(into.remaining());
        let count = this.flow.deliver(&this.buffer[..readable]);
        if count == 0 {
            this.flow.wait(cx.waker(), true);
            return Poll::Pending;
        }
        into.put_slice(&this.buffer[..count]);
        this.buffer.advance(count);
        this.read_deadline.extend(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.stream).poll_write(cx, bytes) {
            this.write_deadline.clear();
            return Poll::Ready(written);
        }
        let timeout = this.connection.0.limits.response_write_timeout;
        ready!(this.write_deadline.poll(cx, timeout));
        Poll::Ready(Err(this.timed_out("slow_response")))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A deadline that starts when it is first polled.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>, timeout: Duration) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        sleep.as_mut().poll(cx)
    }

    /// Grants time for received bytes.
    fn extend(&mut self, bytes: usize) {
        if let Some(sleep) = &mut self.0 {
            let extra = Duration::from_secs(bytes as u64) / BYTES_PER_SECOND_MIN;
            let deadline = sleep.deadline() + extra;
            sleep.as_mut().reset(deadline);
        }
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}
