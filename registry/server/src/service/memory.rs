//! Schemas by id, the registry's most frequent question, from memory. What an id stands for never
//! changes, so an answer outlives the database; where the id is registered does, so while the
//! database answers it is read again after every change.

use std::sync::Arc;

use avouch_registry_api::rest::SchemaBody;

use crate::decide::register::VersionRow;
use crate::error::RegistryError;
use crate::service::{Service, content_body};
use crate::store::{schemas, versions};

/// Context and id.
pub(super) type KnownKey = (String, i32);

/// An id, its content as an answer, and where it is registered.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) body: SchemaBody,
    /// Subject, version, and when it was created, by subject and version.
    pub(super) holders: Vec<(String, VersionRow, i64)>,
}

impl Service {
    /// What an id stands for.
    ///
    /// # Errors
    /// When the database fails and the id was never asked for before.
    pub(super) async fn known(
        &self,
        context: &str,
        id: i32,
    ) -> Result<Option<Arc<Known>>, RegistryError> {
        let key = (context.to_owned(), id);
        let seq = self.change_seq();
        if let Some(known) = self.known.fresh(&key, seq) {
            return Ok(Some(known));
        }
        match self.read_known(context, id).await {
            Ok(Some(known)) => {
                let known = Arc::new(known);
                let bytes = known.bytes();
                self.known.put(key, seq, bytes, Arc::clone(&known));
                Ok(Some(known))
            }
            Ok(None) => {
                self.known.remove(&key);
                Ok(None)
            }
            Err(error) => self.known.stale(&key).map(Some).ok_or(error),
        }
    }

    async fn read_known(&self, context: &str, id: i32) -> Result<Option<Known>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, context, id).await? else {
            return Ok(None);
        };
        Ok(Some(Known {
            body: content_body(content),
            holders: versions::holders(&mut snapshot, context, id).await?,
        }))
    }
}

impl Known {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let holders = self.holders.iter().map(|(subject, ..)| subject.len() + 64);
        self.body.schema.len() + holders.sum::<usize>() + 512
    }
}
