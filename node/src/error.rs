//! Reasons why a node does not start, or stops.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use avouch_registry_api::client::BuildError;
use thiserror::Error;
use tokio::task::JoinError;

use crate::data_dir::DataDirError;
use crate::file_handles::TooFewFileHandles;

/// The reason why a node did not start. Nothing listens afterwards.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The URL or the CA file of a remote registry is invalid.
    #[error("registry-url")]
    RegistryUrl(#[from] BuildError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The process can open too few files.
    #[error(transparent)]
    FileHandles(#[from] TooFewFileHandles),
    /// Another process listens on the address.
    #[error("{listener} {address} is in use; stop the other process or choose another port")]
    AddressInUse {
        /// `kafka-listen` or `http-listen`.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("{listener} {address}")]
    Bind {
        /// `kafka-listen` or `http-listen`.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },
    /// The registry's SQLite file cannot be opened.
    #[error("cannot open the registry at {}", path.display())]
    RegistryFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: avouch_registry::OpenError,
    },
    /// The registry's PostgreSQL database cannot be opened.
    #[error("cannot open the registry")]
    RegistryDatabase(#[source] avouch_registry::OpenError),
    /// The broker did not start.
    #[error("cannot start the broker")]
    Broker(#[source] avouch_broker::StartError),
    /// The OpenAPI document cannot be encoded.
    #[error("the OpenAPI document")]
    Document(#[source] serde_json::Error),
    /// A metric of the HTTP listener is registered already.
    #[error("cannot register the metrics of the HTTP listener")]
    HttpMetrics(#[from] prometheus::Error),
    /// The HTTP listener cannot be registered.
    #[error("the HTTP listener")]
    Http(#[source] io::Error),
}

/// The reason why a running node cannot continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// A write or sync of the log failed. Acknowledged records are safe; the next start recovers
    /// them.
    #[error("the log failed, so no further write is acknowledged: {0}")]
    Log(String),
    /// The HTTP server ended by itself.
    #[error("the HTTP server stopped: {0:?}")]
    Http(Result<io::Result<()>, JoinError>),
}
