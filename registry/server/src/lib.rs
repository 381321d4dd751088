//! A Confluent-compatible Avro schema registry over SQLite or PostgreSQL.
//!
//! `decide` has the pure decisions, `store` the SQL, `service` the operations that join them,
//! `rest` the HTTP API. [`Registry::app_config`] mounts a registry in an actix-web application, and
//! a broker in the same process uses [`Registry::source`]. The crate knows nothing of Kafka.

mod cache;
mod change_listener;
mod config;
mod database;
mod decide;
mod error;
mod metrics;
mod rest;
mod service;
mod source;
mod store;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use actix_web::web::ServiceConfig;
use avouch_registry_api::source::SchemaSource;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tracing::Instrument as _;

pub use crate::config::{Clock, RegistryConfig};
pub use crate::database::{Database, PostgresUrl};
pub use crate::error::RegistryError;
pub use crate::rest::document;
pub use crate::store::accept_loss;

use crate::change_listener::listen_for_changes;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::source::StoreSource;
use crate::store::{Store, counters};

/// The reason why a registry cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No PostgreSQL server responds at the address.
    #[error("registry database {url} is unreachable: {reason}")]
    Unreachable {
        /// The address, without its password.
        url: PostgresUrl,
        /// The reason.
        reason: String,
    },
    /// PostgreSQL rejected the connection: wrong password, unknown database, too many connections.
    #[error("registry database {url} rejected the connection: {reason}")]
    Rejected {
        /// The address, without its password.
        url: PostgresUrl,
        /// PostgreSQL's message.
        reason: String,
    },
    /// The file cannot be opened, or is not a database.
    #[error("registry database: {0}")]
    Store(#[from] sqlx::Error),
    /// The file existed at an earlier start. An empty database would assign its IDs again.
    #[error(
        "registry database {} is missing: its schemas and settings{} are lost; restore the file, \
         or accept the loss with `avouch schema accept-loss`",
        path.display(),
        highest.map_or_else(String::new, |id| format!(", with schema IDs up to {id},"))
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// An upper bound of the IDs in the default context.
        highest: Option<i64>,
    },
    /// The tables cannot be migrated to this version.
    #[error("registry database migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The tables were created by a newer version; nothing was changed.
    #[error("registry database was created by a newer version: unknown migration {version}")]
    Newer {
        /// The first unknown migration.
        version: i64,
    },
    /// The metric registry has metrics of these names already.
    #[error("registry metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A database that cannot be copied.
#[derive(Debug, Error)]
#[error("registry database: {0}")]
pub struct CopyError(#[from] sqlx::Error);

/// An open registry; clones share it.
#[derive(Clone)]
pub struct Registry {
    service: Arc<Service>,
    source: Arc<StoreSource>,
    runtime: Handle,
    cluster_id: Arc<OnceLock<String>>,
    listener: AbortHandle,
}

impl Registry {
    /// Opens the database and listens for changes of other nodes. Writes run on the tokio runtime
    /// of the caller.
    ///
    /// # Errors
    /// If the database cannot be opened or migrated, or if the metrics exist already.
    pub fn open(
        database: &Database,
        config: RegistryConfig,
    ) -> LocalBoxFuture<'_, Result<Self, OpenError>> {
        // Boxed, so that this crate compiles the future instead of each crate that awaits it.
        async move {
            let store = Store::open(database, config.readers).await?;
            // The caches are empty, so that everything up to this number counts as applied.
            let change_seq = counters::last_change(&mut *store.read().await?).await?;
            let metrics = Metrics::register(&config.metrics)?;
            let service = Arc::new(Service::new(store, config, metrics, change_seq));
            let source = Arc::new(StoreSource::new(Arc::clone(&service)));
            let listener = tokio::spawn(listen_for_changes(Arc::clone(&service)));
            Ok(Self {
                service,
                source,
                runtime: Handle::current(),
                cluster_id: Arc::default(),
                listener: listener.abort_handle(),
            })
        }
        .boxed_local()
    }

    /// Returns true if the database responded to the last request. Otherwise, only cached schemas
    /// are served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.service.store.engine.is_reachable()
    }

    /// Returns the source of schemas and change notifications for a broker in this process.
    #[must_use]
    pub fn source(&self) -> Arc<dyn SchemaSource> {
        Arc::clone(&self.source) as Arc<dyn SchemaSource>
    }

    /// Sets the ID of the Kafka cluster in `GET /v1/metadata/id`; only the first call has an
    /// effect. The default is `avouch`.
    pub fn serve_cluster(&self, id: &str) {
        // The broker that knows the ID starts after the registry.
        self.cluster_id.get_or_init(|| id.to_owned());
    }

    fn cluster_id(&self) -> &str {
        self.cluster_id.get().map_or("avouch", String::as_str)
    }

    /// Returns a function for [`actix_web::App::configure`] that mounts the registry: its routes,
    /// the responses to unknown routes, request IDs and log lines, paths under
    /// `/contexts/{context}`, and the fast path for cached schemas.
    ///
    /// The registry serves every path, so services that the application registers later are never
    /// called. Register them first.
    pub fn app_config(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let registry = self.clone();
        move |application| rest::configure(registry, application)
    }

    /// Writes a copy of an SQLite database to the file `to`, which must not exist, without a sync.
    /// The copy has everything committed before this call, and skips the IDs that this registry may
    /// assign after it. Returns false for PostgreSQL, which has backups of its own.
    ///
    /// # Errors
    /// If the database cannot be read or the file cannot be written.
    pub async fn copy(&self, to: &Path) -> Result<bool, CopyError> {
        Ok(self.service.store.copy(to).await?)
    }

    /// Waits for running statements and closes the database. Later requests fail.
    pub async fn close(&self) {
        self.listener.abort();
        self.service.store.close().await;
    }

    /// Runs a write on the registry's runtime. It completes even if the client disconnects, so that
    /// a commit and the cache invalidation after it are never separated. Its log lines are in the
    /// span of the request.
    async fn write<T, F>(&self, write: impl FnOnce(Arc<Service>) -> F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RegistryError>> + Send + 'static,
    {
        // A dropped request drops its future; a spawned task runs to its end.
        let write = write(Arc::clone(&self.service)).in_current_span();
        self.runtime
            .spawn(write)
            .await
            .map_err(RegistryError::from)?
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
