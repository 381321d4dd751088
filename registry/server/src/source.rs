//! The registry as a broker in the same process asks it: straight from the store, remembering each
//! answer for as long as nothing changes.

use std::sync::Arc;

use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use futures_util::future::BoxFuture;

use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;
use crate::remembered::Remembered;
use crate::service::Service;
use crate::store::{edges, schemas, versions};

/// A [`SchemaSource`] over the store.
#[derive(Debug)]
pub(crate) struct StoreSource {
    service: Arc<Service>,
    remembered: Remembered<i32, Arc<RegisteredSchema>>,
}

impl StoreSource {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            remembered: Remembered::default(),
        }
    }

    async fn look_up(&self, id: i32) -> Result<Option<RegisteredSchema>, SourceError> {
        let seq = self.service.change_seq();
        let fresh = self.remembered.fresh(&id, seq);
        if let Some(schema) = fresh.filter(|_| self.is_current()) {
            return Ok(Some(schema.as_ref().clone()));
        }
        let schema = self.read(id).await.map_err(|error| failure(&error))?;
        if let Some(schema) = &schema {
            let texts = schema.references.iter().map(String::len);
            let bytes = schema.text.len() + texts.sum::<usize>();
            self.remembered
                .put(id, seq, bytes, Arc::new(schema.clone()));
        }
        Ok(schema)
    }

    async fn read(&self, id: i32) -> Result<Option<RegisteredSchema>, RegistryError> {
        let mut snapshot = self.service.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, DEFAULT_CONTEXT, id).await? else {
            return Ok(None);
        };
        let holders = versions::holders(&mut snapshot, DEFAULT_CONTEXT, id).await?;
        let references = edges::dependencies(&mut snapshot, DEFAULT_CONTEXT, &content.references)
            .await
            .map_err(|error| RegistryError::Store(error.to_string()))?;
        let versions = holders.into_iter().map(|(subject, row, _)| SubjectVersion {
            subject,
            version: row.version,
            deleted: row.deleted,
        });
        Ok(Some(RegisteredSchema {
            id,
            schema_type: content.schema_type.to_string(),
            text: content.text,
            references,
            versions: versions.collect(),
        }))
    }

    async fn has_subject(&self, subject: &str) -> Result<bool, RegistryError> {
        let subject = Subject::existing(subject);
        let mut snapshot = self.service.store.read().await?;
        let rows = versions::rows(&mut snapshot, &subject.context, &subject.name).await?;
        Ok(rows.iter().any(|row| !row.deleted))
    }
}

impl SchemaSource for StoreSource {
    fn schema(&self, id: i32) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        Box::pin(self.look_up(id))
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(async move {
            self.has_subject(subject)
                .await
                .map_err(|error| failure(&error))
        })
    }

    fn change_seq(&self) -> u64 {
        self.service.change_seq()
    }

    /// Another node's change in a shared database is heard of a little later.
    fn is_current(&self) -> bool {
        self.service.store.is_own()
    }
}

fn failure(error: &RegistryError) -> SourceError {
    SourceError {
        reason: error.to_string(),
    }
}
