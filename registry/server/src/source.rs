//! The registry as the source of schemas for a broker in the same process.

use std::sync::Arc;

use avouch_registry_api::freshness::Freshness;
use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError};
use avouch_registry_api::types::SchemaId;
use futures_util::future::BoxFuture;

use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;
use crate::service::Service;
use crate::store::versions;

/// A [`SchemaSource`] over the store.
#[derive(Debug)]
pub(crate) struct StoreSource {
    service: Arc<Service>,
}

impl StoreSource {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    async fn look_up(&self, id: SchemaId) -> Result<Option<RegisteredSchema>, SourceError> {
        // With a shared database, changes of other nodes arrive after they are acknowledged.
        let cached = self.freshness().is_immediate();
        let schema = self
            .service
            .registered_schema(DEFAULT_CONTEXT, id, cached)
            .await;
        let schema = schema.map_err(|error| failure(&error))?;
        Ok(schema.map(|schema| schema.as_ref().clone()))
    }

    async fn has_subject(&self, subject: &str) -> Result<bool, RegistryError> {
        let subject = Subject::existing(subject);
        let mut snapshot = self.service.store.read().await?;
        let rows = versions::rows(&mut snapshot, &subject).await?;
        // A subject exists while it has a live version.
        Ok(rows.iter().any(|row| !row.deleted))
    }
}

impl SchemaSource for StoreSource {
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        Box::pin(self.look_up(id))
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(async move {
            self.has_subject(subject)
                .await
                .map_err(|error| failure(&error))
        })
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.service.freshness()
    }
}

fn failure(error: &RegistryError) -> SourceError {
    SourceError {
        reason: error.to_string(),
    }
}
