//! A Confluent-compatible Avro schema registry over SQL: decisions (pure), a store, the operations
//! that join them, and their REST surface. Knows nothing of Kafka; a broker in the same process
//! asks it through [`Registry::source`].

mod config;
mod database;
mod decide;
mod error;
mod follow;
mod metrics;
mod remembered;
mod rest;
mod service;
mod source;
mod store;

use std::fmt;
use std::future::Future;
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

use crate::metrics::Metrics;
use crate::service::Service;
use crate::source::StoreSource;
use crate::store::{Store, counters};

/// Why a registry did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Nothing answers at the address, or what answers is no PostgreSQL.
    #[error("the registry's database at {url} cannot be reached: {reason}")]
    Unreachable {
        /// The address, without its password.
        url: PostgresUrl,
        /// Why.
        reason: String,
    },
    /// PostgreSQL answered and said no: a wrong password, no such database, too many connections.
    #[error("the registry's database at {url} refuses: {reason}")]
    Refused {
        /// The address, without its password.
        url: PostgresUrl,
        /// In PostgreSQL's words.
        reason: String,
    },
    /// The file cannot be opened, or is no database.
    #[error("the registry's database: {0}")]
    Store(#[from] sqlx::Error),
    /// The tables could not be brought to this version.
    #[error("the registry's tables: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The tables were made by a newer version; nothing was changed.
    #[error("the registry's database is of a newer version (migration {version} is unknown here)")]
    Newer {
        /// The first migration that is unknown here.
        version: i64,
    },
    /// The metrics were added before.
    #[error("the registry's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// An open registry; clones share it.
#[derive(Clone)]
pub struct Registry {
    service: Arc<Service>,
    source: Arc<StoreSource>,
    runtime: Handle,
    cluster_id: Arc<OnceLock<String>>,
    follower: AbortHandle,
}

impl Registry {
    /// Opens the database and follows what others change in it. Must be called on the tokio runtime
    /// that is to carry out writes.
    ///
    /// # Errors
    /// When the database cannot be opened or brought to this version, or metrics clash.
    pub async fn open(database: &Database, config: RegistryConfig) -> Result<Self, OpenError> {
        let store = Store::open(database, config.readers).await?;
        let change_seq = counters::last_change(&mut *store.read().await?).await?;
        let metrics = Metrics::register(&config.metrics)?;
        let service = Arc::new(Service::new(store, config, metrics, change_seq));
        let source = Arc::new(StoreSource::new(Arc::clone(&service)));
        let follower = tokio::spawn(follow::follow(Arc::clone(&service)));
        Ok(Self {
            service,
            source,
            runtime: Handle::current(),
            cluster_id: Arc::default(),
            follower: follower.abort_handle(),
        })
    }

    /// Whether the database answered when it was last asked. While it does not, schemas whose id
    /// was asked for before are served and everything else is refused.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.service.store.engine.is_reachable()
    }

    /// How a broker in this process asks for schemas and hears of changes.
    #[must_use]
    pub fn source(&self) -> Arc<dyn SchemaSource> {
        Arc::clone(&self.source) as Arc<dyn SchemaSource>
    }

    /// Says which Kafka cluster this registry serves, once: what `GET /v1/metadata/id` answers. A
    /// registry that is never told serves none in particular and calls it `avouch`.
    pub fn serve_cluster(&self, id: &str) {
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

    /// Waits for running statements and closes the database. Requests that come later fail.
    pub async fn close(&self) {
        self.follower.abort();
        self.service.store.close().await;
    }

    /// Runs a write to its end on the registry's runtime, even if the client that asked for it goes
    /// away: a commit and what follows it are never torn apart. What it logs carries the request's
    /// id, as what is logged before it does.
    async fn write<T, F>(&self, write: impl FnOnce(Arc<Service>) -> F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RegistryError>> + Send + 'static,
    {
        let write = write(Arc::clone(&self.service)).in_current_span();
        self.runtime
            .spawn(write)
            .await
            .map_err(|_panicked| RegistryError::Internal)?
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
