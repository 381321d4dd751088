//! The most frequent requests, cached: schemas by ID, the subjects of aliases, and registrations of
//! schemas that are registered already. An ID is read
//! again once a version of it has changed, on this node or another one: its schema may have been
//! deleted permanently and another one imported under it. While the database is unreachable, the
//! last known response is served.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use actix_web::web::Bytes;
use avouch_registry_api::rest::SchemaBody;
use avouch_registry_api::source::{RegisteredSchema, SubjectVersion};
use avouch_registry_api::types::SchemaId;
use quick_cache::Equivalent;

use crate::cache::{Cache, EpochKey};
use crate::decide::register::VersionRow;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;
use crate::service::{Service, content_body};
use crate::store::changes::Changes;
use crate::store::edges::{self, ReferenceError};
use crate::store::{schemas, settings, versions};

/// Estimated size of a cache entry in memory, besides its texts, in bytes.
const ENTRY_BYTES: usize = 128;
/// Maximum size of a registration's body that is cached, in bytes. Clients that register a schema
/// with every record have small schemas.
const MAX_REMEMBERED_BYTES: usize = 64 << 10;

/// The subjects of the aliases of a context, by alias.
type Aliases = HashMap<String, Subject>;

/// The caches of a registry.
#[derive(Debug)]
pub(super) struct SchemaCache {
    schemas: Cache<IdKey, Arc<CachedSchema>>,
    /// Schemas with their references, as a broker in this process needs them.
    registered: Cache<IdKey, Arc<RegisteredSchema>>,
    /// By context. Caching all aliases of a context also caches that a subject is not an alias.
    aliases: Cache<String, Arc<Aliases>>,
    /// Responses to registrations that had nothing to write. Any change invalidates all of them,
    /// since the response depends on settings, aliases, references and versions.
    registrations: Cache<RegistrationKey, Bytes>,
}

/// A registration: the subject as in the path, the `normalize` flag, and the body of the request.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RegistrationKey {
    subject: String,
    normalize: bool,
    body: Bytes,
}

/// A [`RegistrationKey`] that looks up without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Registration<'a> {
    pub(crate) subject: &'a str,
    pub(crate) normalize: bool,
    pub(crate) body: &'a [u8],
}

impl Equivalent<RegistrationKey> for Registration<'_> {
    fn equivalent(&self, key: &RegistrationKey) -> bool {
        // The whole body and not a digest of it: a collision would return the ID of another schema.
        let RegistrationKey {
            subject,
            normalize,
            body,
        } = key;
        self.subject == subject && self.normalize == *normalize && self.body == body
    }
}

// All registrations are invalidated together, so that one epoch is enough.
impl EpochKey for RegistrationKey {
    fn slot(&self) -> usize {
        0
    }
}

impl EpochKey for Registration<'_> {
    fn slot(&self) -> usize {
        0
    }
}

/// A context and a schema ID.
#[derive(Debug, PartialEq, Eq)]
struct IdKey {
    context: String,
    id: SchemaId,
}

/// An [`IdKey`] that looks up without an allocation.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IdRef<'a> {
    context: &'a str,
    id: SchemaId,
}

impl IdKey {
    fn borrowed(&self) -> IdRef<'_> {
        let Self { context, id } = self;
        IdRef { context, id: *id }
    }
}

// Equal to the hash of the borrowed form, which the cache requires.
impl Hash for IdKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<IdKey> for IdRef<'_> {
    fn equivalent(&self, key: &IdKey) -> bool {
        *self == key.borrowed()
    }
}

impl EpochKey for IdKey {
    fn slot(&self) -> usize {
        self.borrowed().slot()
    }
}

impl EpochKey for IdRef<'_> {
    fn slot(&self) -> usize {
        usize::try_from(self.id.get()).unwrap_or_default()
    }
}

// Aliases of all contexts are invalidated together, so that one epoch is enough.
impl EpochKey for String {
    fn slot(&self) -> usize {
        0
    }
}

impl EpochKey for str {
    fn slot(&self) -> usize {
        0
    }
}

/// The schema of an ID as a response, and the versions with the ID.
#[derive(Debug)]
pub(super) struct CachedSchema {
    body: SchemaBody,
    /// Subject, version and creation time, by subject and version.
    versions: Vec<(String, VersionRow, i64)>,
    /// The serialized response to a lookup without a subject.
    response: Bytes,
}

impl SchemaCache {
    pub(super) fn new() -> Self {
        Self {
            schemas: Cache::new(),
            registered: Cache::new(),
            aliases: Cache::new(),
            registrations: Cache::new(),
        }
    }

    /// Invalidates what has changed.
    pub(super) fn invalidate(&self, changes: &Changes) {
        if let Some(ids) = &changes.ids {
            let refs: Vec<_> = ids
                .iter()
                .map(|(context, id)| IdRef { context, id: *id })
                .collect();
            self.schemas.invalidate(refs.iter());
            self.registered.invalidate(refs.iter());
        } else {
            // Too many IDs changed to list them, or a deleted ID left no row to find it by.
            self.schemas.invalidate_all();
            self.registered.invalidate_all();
        }
        if changes.configs {
            self.aliases.invalidate_all();
        }
        self.registrations.invalidate_all();
    }
}

impl Service {
    /// Returns the schema of an ID.
    ///
    /// # Errors
    /// If the database fails and the ID is not cached.
    pub(super) async fn cached_schema(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<Arc<CachedSchema>>, RegistryError> {
        let cache = &self.cache.schemas;
        let key = IdRef { context, id };
        if let Some(schema) = cache.current(&key) {
            return Ok(Some(schema));
        }
        let epoch = cache.epoch(&key);
        // The epoch is read before the database: a change in between makes the entry outdated.
        match self.read_schema(context, id).await {
            Ok(Some(schema)) => {
                let schema = Arc::new(schema);
                let context = context.to_owned();
                let value = Arc::clone(&schema);
                cache.insert(IdKey { context, id }, epoch, schema.bytes(), value);
                Ok(Some(schema))
            }
            Ok(None) => {
                cache.remove(&key);
                Ok(None)
            }
            Err(error) => cache.last_known(&key).map(Some).ok_or(error),
        }
    }

    async fn read_schema(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<CachedSchema>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, context, id).await? else {
            return Ok(None);
        };
        let versions = versions::holders(&mut snapshot, context, id).await?;
        CachedSchema::new(content_body(content), versions).map(Some)
    }

    /// Returns the serialized response to a lookup by ID if the cache is sufficient.
    pub(crate) fn cached_response(&self, id: SchemaId, subject: Option<Subject>) -> Option<Bytes> {
        let cached = |context: &str| self.cache.schemas.current(&IdRef { context, id });
        let Some(subject) = subject else {
            return Some(cached(DEFAULT_CONTEXT)?.response.clone());
        };
        // Without current aliases, the subject may be the alias of another one.
        let aliases = self.cache.aliases.current(subject.context.as_str())?;
        let subject = resolved(&aliases, subject);
        let schema = cached(&subject.context)?;
        // A subject of the default context without the ID is looked up in other contexts too.
        let is_complete =
            subject.context != DEFAULT_CONTEXT || schema.is_registered_under(&subject.name);
        let response = is_complete.then(|| serialized(&schema.body_for(&subject.name, None)))?;
        response.ok()
    }

    /// Returns the epoch of a registration, to be read before anything that its response depends
    /// on.
    pub(crate) fn registration_epoch(&self, registration: Registration<'_>) -> u64 {
        self.cache.registrations.epoch(&registration)
    }

    /// Returns the response to an earlier registration with the same request if nothing has changed
    /// since then. On a shared database, this costs a query for the changes of other nodes.
    pub(crate) async fn known_registration(&self, registration: Registration<'_>) -> Option<Bytes> {
        let known = self.cache.registrations.current(&registration)?;
        if self.store.is_exclusive() {
            return Some(known);
        }
        // Another node may have deleted the version and acknowledged that already.
        self.catch_up(false).await.ok()?;
        self.cache.registrations.current(&registration)
    }

    /// Caches the response to a registration that had nothing to write.
    pub(crate) fn remember_registration(
        &self,
        registration: Registration<'_>,
        epoch: u64,
        response: Bytes,
    ) {
        let Registration {
            subject,
            normalize,
            body,
        } = registration;
        if body.len() > MAX_REMEMBERED_BYTES {
            return;
        }
        let bytes = subject.len() + body.len() + response.len() + ENTRY_BYTES;
        let key = RegistrationKey {
            subject: subject.to_owned(),
            normalize,
            // A copy, since the body may be a part of a larger read buffer.
            body: Bytes::copy_from_slice(body),
        };
        self.cache.registrations.insert(key, epoch, bytes, response);
    }

    /// Returns the schema of an ID with its references, for a broker. Uses the cache only if
    /// `cached` is set, which it must not be where another node may have made changes.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn registered_schema(
        &self,
        context: &str,
        id: SchemaId,
        cached: bool,
    ) -> Result<Option<Arc<RegisteredSchema>>, RegistryError> {
        let cache = &self.cache.registered;
        let key = IdRef { context, id };
        if cached && let Some(schema) = cache.current(&key) {
            return Ok(Some(schema));
        }
        let epoch = cache.epoch(&key);
        let schema = self.read_registered(context, id).await?.map(Arc::new);
        match &schema {
            Some(schema) => {
                let references = schema.references.iter().map(String::len);
                let bytes = schema.text.len() + references.sum::<usize>();
                let context = context.to_owned();
                cache.insert(IdKey { context, id }, epoch, bytes, Arc::clone(schema));
            }
            None => cache.remove(&key),
        }
        Ok(schema)
    }

    async fn read_registered(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<RegisteredSchema>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, context, id).await? else {
            return Ok(None);
        };
        let holders = versions::holders(&mut snapshot, context, id).await?;
        let references = edges::dependencies(&mut snapshot, context, &content.references).await;
        // An import may leave a schema without its references. The broker reports that it is
        // invalid.
        let references = match references {
            Err(ReferenceError::Store(error)) => return Err(error.into()),
            references => references.unwrap_or_default(),
        };
        let versions = holders.into_iter().map(|(subject, row, _)| SubjectVersion {
            subject,
            version: row.version,
            deleted: row.deleted,
        });
        Ok(Some(RegisteredSchema {
            id,
            schema_type: content.schema_type,
            text: content.text,
            references,
            versions: versions.collect(),
        }))
    }

    /// Returns the subject of an alias; any other subject is returned unchanged.
    ///
    /// # Errors
    /// If the database fails and the aliases of the context are not cached.
    pub(crate) async fn resolve_alias(&self, subject: Subject) -> Result<Subject, RegistryError> {
        let aliases = self.aliases(&subject.context).await?;
        Ok(resolved(&aliases, subject))
    }

    async fn aliases(&self, context: &str) -> Result<Arc<Aliases>, RegistryError> {
        let cache = &self.cache.aliases;
        if let Some(aliases) = cache.current(context) {
            return Ok(aliases);
        }
        let epoch = cache.epoch(context);
        match self.read_aliases(context).await {
            Ok(aliases) => {
                let aliases = Arc::new(aliases);
                let entries = aliases.iter();
                let bytes = entries
                    .map(|(alias, subject)| alias.len() + subject.name.len() + ENTRY_BYTES)
                    .sum::<usize>();
                let bytes = context.len() + bytes + ENTRY_BYTES;
                cache.insert(context.to_owned(), epoch, bytes, Arc::clone(&aliases));
                Ok(aliases)
            }
            Err(error) => cache.last_known(context).ok_or(error),
        }
    }

    async fn read_aliases(&self, context: &str) -> Result<Aliases, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let aliases = settings::aliases(&mut snapshot, context).await?;
        let aliases = aliases
            .into_iter()
            .map(|(alias, subject)| (alias, Subject::within(context, &subject)));
        Ok(aliases.collect())
    }
}

fn resolved(aliases: &Aliases, subject: Subject) -> Subject {
    aliases.get(&subject.name).cloned().unwrap_or(subject)
}

impl CachedSchema {
    fn new(
        body: SchemaBody,
        versions: Vec<(String, VersionRow, i64)>,
    ) -> Result<Self, RegistryError> {
        let mut schema = Self {
            body,
            versions,
            response: Bytes::new(),
        };
        schema.response = serialized(&schema.body_for("", None))?;
        Ok(schema)
    }

    /// Returns the response to a lookup for `subject`, with subject and version if the subject has
    /// the ID.
    pub(super) fn body_for(&self, subject: &str, max_id: Option<SchemaId>) -> SchemaBody {
        let versions = &self.versions;
        // The newest version of the subject, if several have the ID.
        let own = versions.iter().rfind(|(name, ..)| name == subject);
        let first_live = || versions.iter().find(|(_, row, _)| !row.deleted);
        // Time and deletion state of a lookup without a subject are those of one version: a live
        // one if any.
        let shown = own.or_else(first_live).or(versions.first());
        SchemaBody {
            subject: own.map(|(subject, ..)| subject.clone()),
            version: own.map(|(_, row, _)| row.version),
            max_id,
            ts: shown.map(|&(_, _, created_at_ms)| created_at_ms),
            deleted: shown.map(|(_, row, _)| row.deleted),
            ..self.body.clone()
        }
    }

    /// Returns true if a version of the subject has the ID.
    pub(super) fn is_registered_under(&self, subject: &str) -> bool {
        self.versions.iter().any(|(name, ..)| name == subject)
    }

    /// Returns the estimated size in memory: the serialized response, and about as much for its
    /// parts.
    fn bytes(&self) -> usize {
        let versions = self.versions.iter().map(|(name, ..)| name.len() + 64);
        // An estimate suffices: the limit protects against growth, not against exact use.
        2 * self.response.len() + versions.sum::<usize>() + 512
    }
}

/// Returns the response with the body of a schema.
pub(crate) fn serialized(body: &SchemaBody) -> Result<Bytes, RegistryError> {
    let json = serde_json::to_vec(body).map_err(|_impossible| RegistryError::Internal)?;
    // Without spare capacity, which the estimated size does not include.
    Ok(json.into_boxed_slice().into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::decide::delete::Depth;
    use crate::service::Checks;
    use crate::store::Engine;
    use crate::{Database, Registry, RegistryConfig};

    async fn register(service: &Service, subject: &str, schema: &str) -> SchemaId {
        let request = serde_json::from_value(json!({ "schema": schema })).unwrap();
        let subject = Subject::existing(subject);
        let registered = service.register(&subject, request, false, Checks::Compatibility);
        registered.await.unwrap().body.id.unwrap()
    }

    async fn configure(service: &Service, subject: &str, alias: &str) {
        let request = Map::from_iter([("alias".to_owned(), json!(alias))]);
        let subject = Subject::existing(subject);
        service.put_config(Some(&subject), &request).await.unwrap();
    }

    fn is_current(service: &Service, id: SchemaId) -> bool {
        let context = DEFAULT_CONTEXT;
        service
            .cache
            .schemas
            .current(&IdRef { context, id })
            .is_some()
    }

    // Conformance: registry/stores-6
    #[tokio::test]
    async fn id_is_read_again_after_change() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        let id = register(&service, "s", "\"int\"").await;
        service.cached_schema(".", id).await.unwrap();
        assert!(is_current(&service, id));
        let other = register(&service, "other", "\"long\"").await;
        configure(&service, "nick", "s").await;
        assert!(is_current(&service, id), "no version of it changed");

        register(&service, "t", "\"int\"").await;
        assert!(!is_current(&service, id), "it has another version");
        let schema = service.cached_schema(".", id).await.unwrap().unwrap();
        assert_eq!(schema.versions.len(), 2);
        let deletes = [(Depth::Soft, true), (Depth::Permanent, false)];
        for (depth, exists) in deletes {
            service.cached_schema(".", other).await.unwrap();
            let subject = Subject::existing("other");
            service.delete_subject(&subject, depth).await.unwrap();
            assert!(!is_current(&service, other), "{depth:?}");
            let schema = service.cached_schema(".", other).await.unwrap();
            assert_eq!(schema.is_some(), exists, "{depth:?}");
        }
    }

    /// The lookup of a serializer after the database has been closed.
    // Conformance: registry/stores-11
    #[tokio::test]
    async fn cached_id_needs_no_database() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        let id = register(&service, "s", "\"int\"").await;
        configure(&service, "nick", "s").await;
        let look_up = async || {
            let subject = service.resolve_alias(Subject::existing("nick")).await?;
            let subject = service.subject_of_id(id, Some(&subject)).await?;
            service.schema(id, &subject, false).await
        };
        let nick = || Some(Subject::existing("nick"));
        assert_eq!(service.cached_response(id, nick()), None);
        let before = look_up().await.unwrap();
        assert_eq!(before.subject.as_deref(), Some("s"));
        register(&service, "other", "\"long\"").await;
        let Engine::Sqlite { readers, .. } = &service.store.engine else {
            unreachable!("this test opens a file");
        };
        readers.close().await;
        assert_eq!(look_up().await.unwrap(), before);
        assert!(is_current(&service, id));
        assert!(service.cache.aliases.current(".").is_some());
        let response = service.cached_response(id, nick()).unwrap();
        assert_eq!(response, serde_json::to_vec(&before).unwrap());
        let response = service.cached_response(id, None).unwrap();
        let subject = service.subject_of_id(id, None).await.unwrap();
        let unnamed = service.schema(id, &subject, false).await.unwrap();
        assert_eq!(response, serde_json::to_vec(&unnamed).unwrap());
    }
}
