//! The operations of the registry, one file for each kind. An operation reads what a decision
//! needs, decides, and writes the result in the same transaction. Knows no HTTP. Invariant: the
//! change sequence in memory is never ahead of the store, and is up to date before an operation
//! returns.

mod change_feed;
mod check;
mod delete;
mod export;
mod identity;
mod plan;
mod read;
mod register;
mod schema_cache;
mod settings;
mod transfer;

use avouch_compute::ComputePool;
use avouch_registry_api::rest::{SchemaBody, SchemaReference, SchemaTags};
use thiserror::Error;

use crate::config::RegistryConfig;
use crate::decide::content::{Content, ContentError, Parsed, Resolved, Strictness};
use crate::decide::draft::{Draft, RequestedReference, invalid_draft};
use crate::decide::subject::Subject;
use crate::decide::tags::{self, TagError};
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::store::edges::{self, ReferenceError};
use crate::store::versions::{self, Entry};
use crate::store::{Connection, Store, Write};

use self::change_feed::ChangeFeed;
pub(crate) use self::plan::{Intent, rejection};
pub(crate) use self::read::Listing;
pub(crate) use self::register::{Checks, Registered};
use self::schema_cache::SchemaCache;
pub(crate) use self::schema_cache::{Registration, serialized};
use self::settings::EffectiveSettings;

/// The registry without its REST API.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) config: RegistryConfig,
    pub(crate) metrics: Metrics,
    cache: SchemaCache,
    feed: ChangeFeed,
}

/// A parsed schema in registry form.
#[derive(Clone, Debug)]
struct Prepared {
    resolved: Resolved,
    parsed: Parsed,
}

impl Prepared {
    /// Checks the configured limits of registered schemas.
    fn check_limits(&self, config: &RegistryConfig) -> Result<(), RegistryError> {
        let Self { resolved, parsed } = self;
        resolved.check_size(config.schema_bytes)?;
        let references = resolved.content.references.len();
        let mut limits = vec![("references", references, config.schema_references)];
        if let Parsed::Avro(schema) = parsed {
            limits.push((
                "branches of a union",
                schema.widest_union(),
                config.schema_branches,
            ));
            limits.push(("nested types", schema.depth(), config.schema_depth));
        }
        match limits.into_iter().find(|(_, found, max)| found > max) {
            None => Ok(()),
            Some((what, found, max)) => Err(RegistryError::InvalidSchema(format!(
                "The schema has {found} {what}; the maximum is {max}"
            ))),
        }
    }
}

impl Service {
    pub(crate) fn new(
        store: Store,
        config: RegistryConfig,
        metrics: Metrics,
        change_seq: u64,
    ) -> Self {
        let feed = ChangeFeed::new(store.is_exclusive(), change_seq);
        Self {
            store,
            config,
            metrics,
            cache: SchemaCache::new(),
            feed,
        }
    }

    async fn commit(&self, transaction: Write) -> Result<(), RegistryError> {
        let seq = transaction.commit().await?;
        self.apply_changes(seq).await;
        Ok(())
    }

    /// Resolves the references of a draft, parses it, and converts Avro schemas to the registry's
    /// form, or the normalized form if the request or the settings demand it.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] if the schema or a reference is invalid.
    async fn prepare(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        settings: &EffectiveSettings,
        strictness: Strictness,
    ) -> Result<Prepared, RegistryError> {
        let normalize = settings.normalizes(draft.normalize);
        // The result is examined below, because the error message contains the drafted schema.
        let references = resolve_versions(connection, subject, &draft.references, strictness).await;
        let requested = draft.references.clone();
        let options = ParseOptions {
            strictness,
            normalize,
            tags_to_add: draft.tags_to_add.clone(),
            tags_to_remove: draft.tags_to_remove.clone(),
        };
        let drafted = draft.content(Vec::new())?;
        let describe = |reason: &str| invalid_draft(&subject.name, &drafted, &requested, reason);
        let references = references.map_err(|error| reference_error(error, describe))?;
        let dependencies = edges::dependencies(connection, &subject.context, &references)
            .await
            .map_err(|error| reference_error(error, describe))?;
        let content = Content {
            references,
            ..drafted.clone()
        };
        let resolved = Resolved {
            content,
            dependencies,
        };
        let text_bytes = resolved.text_bytes();
        let work = move || parse_draft(resolved, &options);
        let parsed = compute(text_bytes, work).await?;
        parsed.map_err(|error| describe(&error.to_string()))
    }
}

/// Options of parsing a draft.
struct ParseOptions {
    strictness: Strictness,
    normalize: bool,
    tags_to_add: Vec<SchemaTags>,
    tags_to_remove: Vec<SchemaTags>,
}

/// Reason why a draft is invalid.
#[derive(Debug, Error)]
enum DraftError {
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("only Avro schemas have tags")]
    NotAvro,
    #[error(transparent)]
    Tags(#[from] TagError),
}

fn parse_draft(mut resolved: Resolved, options: &ParseOptions) -> Result<Prepared, DraftError> {
    let mut parsed = resolved.parse_as(options.strictness)?;
    if !options.tags_to_add.is_empty() || !options.tags_to_remove.is_empty() {
        // Tags are attributes in an Avro schema; other languages have no place for them here.
        let Parsed::Avro(schema) = &parsed else {
            return Err(DraftError::NotAvro);
        };
        let text = schema.to_registry_string();
        resolved.content.text =
            tags::changed(&text, &options.tags_to_add, &options.tags_to_remove)?;
        parsed = resolved.parse_as(options.strictness)?;
    }
    match &parsed {
        Parsed::Avro(schema) if options.normalize => {
            resolved.content.text = schema.to_normalized_string();
            resolved.content.sort_references();
        }
        Parsed::Avro(schema) => resolved.content.text = schema.to_registry_string(),
        Parsed::Text => {}
    }
    Ok(Prepared { resolved, parsed })
}

/// Replaces the version -1 of references by the latest version. A new schema may reference live
/// versions only.
async fn resolve_versions(
    connection: &mut Connection,
    subject: &Subject,
    references: &[RequestedReference],
    strictness: Strictness,
) -> Result<Vec<SchemaReference>, ReferenceError> {
    let mut resolved = Vec::with_capacity(references.len());
    for reference in references {
        let target = Subject::within(&subject.context, &reference.subject);
        let rows = versions::rows(connection, &target).await?;
        let is_new = strictness == Strictness::New;
        // Rows are in ascending order of versions.
        let mut newest_first = rows.iter().rev();
        let target = match reference.version {
            -1 => newest_first.find(|row| !row.deleted),
            version => {
                newest_first.find(|row| row.version.get() == version && !(is_new && row.deleted))
            }
        };
        let missing = || ReferenceError::Missing {
            subject: reference.subject.clone(),
            version: reference.version,
        };
        resolved.push(SchemaReference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: target.ok_or_else(missing)?.version,
        });
    }
    Ok(resolved)
}

fn reference_error(
    error: ReferenceError,
    describe: impl Fn(&str) -> RegistryError,
) -> RegistryError {
    match error {
        ReferenceError::Store(error) => error.into(),
        ReferenceError::Missing { .. }
        | ReferenceError::TooDeep
        | ReferenceError::TooMany
        | ReferenceError::TooLarge => describe(&error.to_string()),
    }
}

/// Runs work on schemas of `text_bytes` bytes. Large work runs on a blocking thread, so that other
/// requests do not wait; a panic in it fails this request only.
async fn compute<T: Send + 'static>(
    text_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RegistryError> {
    let worked = ComputePool::shared().run_detached(text_bytes, work).await;
    worked.map_err(RegistryError::from)
}

/// Returns the response for a version.
fn body_of(entry: Entry) -> SchemaBody {
    SchemaBody {
        subject: Some(entry.subject),
        version: Some(entry.row.version),
        id: Some(entry.row.id),
        ts: Some(entry.created_at_ms),
        deleted: Some(entry.row.deleted),
        ..content_body(entry.content)
    }
}

/// Returns the response for a content without a version.
fn content_body(content: Content) -> SchemaBody {
    SchemaBody {
        guid: Some(content.guid().to_string()),
        schema_type: Some(content.schema_type),
        references: content.references,
        metadata: content.metadata,
        rule_set: content.rule_set,
        schema: content.text,
        ..SchemaBody::default()
    }
}
