//! The transport of a connection and its two halves.

use std::io::{self, IoSlice};

use bytes::BufMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The byte stream of a connection.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
}

/// The receiving half of a transport.
#[derive(Debug)]
pub(crate) enum TransportReader {
    Tcp(OwnedReadHalf),
}

/// The sending half of a transport.
#[derive(Debug)]
pub(crate) enum TransportWriter {
    Tcp(OwnedWriteHalf),
}

impl Transport {
    /// Splits the transport into halves that two tasks can own.
    pub(crate) fn split(self) -> (TransportReader, TransportWriter) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (TransportReader::Tcp(reader), TransportWriter::Tcp(writer))
            }
        }
    }
}

impl TransportReader {
    /// Waits until a read returns bytes, the end of the stream or an error.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.readable().await,
        }
    }

    /// Reads into `buffer` and returns the number of bytes, 0 at the end of the stream. No bytes
    /// are lost if the future is dropped before it is ready.
    pub(crate) async fn read(&mut self, buffer: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.read_buf(buffer).await,
        }
    }
}

impl TransportWriter {
    /// Writes the start of `slices` and returns the number of bytes written.
    pub(crate) async fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.write_vectored(slices).await,
        }
    }

    /// Ends the stream.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.shutdown().await,
        }
    }

    /// Waits until the transport accepts bytes.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
        }
    }

    /// Returns the socket to which the kernel can copy file ranges, if the bytes of the transport
    /// are those of its socket.
    pub(crate) fn zero_copy(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(half) => Some(half.as_ref()),
        }
    }
}
