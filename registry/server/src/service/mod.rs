//! The registry's operations, one file a kind: read what a decision needs, decide, write what it
//! says, in one transaction. Knows no HTTP. Invariant: the change sequence in memory never runs
//! ahead of the store, and has caught up before an operation is answered.

mod check;
mod delete;
mod export;
mod identity;
mod memory;
mod plan;
mod read;
mod register;
mod settings;
mod transfer;

use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avouch_registry_api::freshness::Freshness;
use avouch_registry_api::rest::{SchemaBody, SchemaReference, SchemaTags};
use tokio::sync::{Semaphore, watch};

use crate::config::RegistryConfig;
use crate::decide::content::{Content, Parsed, Resolved, Strictness};
use crate::decide::draft::{Draft, RequestedReference, invalid_draft};
use crate::decide::subject::Subject;
use crate::decide::tags;
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::store::edges::{self, FollowError};
use crate::store::versions::{self, Entry};
use crate::store::{Connection, Store, Write};

use self::memory::Memory;
pub(crate) use self::plan::{Intent, refusal};
pub(crate) use self::read::Listing;
pub(crate) use self::register::Checks;
use self::settings::InForce;

/// Texts up to this size are parsed and compared where the request runs.
const INLINE_BYTES: usize = 64 << 10;

/// The registry behind its REST surface.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) config: RegistryConfig,
    pub(crate) metrics: Metrics,
    change_seq: watch::Sender<u64>,
    freshness: Arc<Freshness>,
    memory: Memory,
}

/// A schema that was understood; its text is canonical.
#[derive(Clone, Debug)]
struct Prepared {
    resolved: Resolved,
    parsed: Parsed,
}

impl Service {
    pub(crate) fn new(
        store: Store,
        config: RegistryConfig,
        metrics: Metrics,
        change_seq: u64,
    ) -> Self {
        let freshness = Arc::new(Freshness::new(store.is_own(), change_seq));
        Self {
            store,
            config,
            metrics,
            change_seq: watch::Sender::new(change_seq),
            freshness,
            memory: Memory::new(change_seq),
        }
    }

    /// Returns the changes that this node has taken in.
    pub(crate) fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }

    /// The change sequence once it is beyond `since`, or as it is when `patience` ends.
    pub(crate) async fn change_beyond(&self, since: u64, patience: Duration) -> u64 {
        let mut changes = self.change_seq.subscribe();
        let beyond = changes.wait_for(|&seq| seq > since);
        // What ended it does not matter: patience, or a change.
        let _ended = tokio::time::timeout(patience, beyond).await;
        *self.change_seq.borrow()
    }

    async fn commit(&self, transaction: Write) -> Result<(), RegistryError> {
        let seq = transaction.commit().await?;
        self.take_in(seq).await;
        Ok(())
    }

    /// Resolves the draft's references, parses it and makes its text canonical, or normalized if
    /// the request or the settings in force say so. Other texts than Avro stay as they are.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] when it cannot be understood.
    async fn prepare(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        in_force: &InForce,
        strictness: Strictness,
    ) -> Result<Prepared, RegistryError> {
        let normalize = in_force.normalizes(draft.normalize);
        let pinned = pin_references(connection, subject, &draft.references, strictness).await;
        let requested = draft.references.clone();
        let changes = Changes {
            strictness,
            normalize,
            tags_to_add: draft.tags_to_add.clone(),
            tags_to_remove: draft.tags_to_remove.clone(),
        };
        let drafted = draft.content(Vec::new())?;
        let describe = |reason: &str| invalid_draft(&subject.name, &drafted, &requested, reason);
        let references = pinned.map_err(|error| refused(error, describe))?;
        let dependencies = edges::dependencies(connection, &subject.context, &references)
            .await
            .map_err(|error| refused(error, describe))?;
        let content = Content {
            references,
            ..drafted.clone()
        };
        let resolved = Resolved {
            content,
            dependencies,
        };
        let text_bytes = resolved.text_bytes();
        let work = move || understand(resolved, &changes);
        let parsed = compute(text_bytes, work).await?;
        parsed.map_err(|reason| describe(&reason))
    }
}

/// What becomes of a text once it is canonical.
struct Changes {
    strictness: Strictness,
    normalize: bool,
    tags_to_add: Vec<SchemaTags>,
    tags_to_remove: Vec<SchemaTags>,
}

fn understand(mut resolved: Resolved, changes: &Changes) -> Result<Prepared, String> {
    let mut parsed = resolved.parse_as(changes.strictness)?;
    if !changes.tags_to_add.is_empty() || !changes.tags_to_remove.is_empty() {
        let Parsed::Avro(schema) = &parsed else {
            return Err("only Avro schemas have tags".to_owned());
        };
        let text = schema.to_registry_string();
        resolved.content.text =
            tags::changed(&text, &changes.tags_to_add, &changes.tags_to_remove)?;
        parsed = resolved.parse_as(changes.strictness)?;
    }
    match &parsed {
        Parsed::Avro(schema) if changes.normalize => {
            resolved.content.text = schema.to_normalized_string();
            resolved.content.sort_references();
        }
        Parsed::Avro(schema) => resolved.content.text = schema.to_registry_string(),
        Parsed::Text => {}
    }
    Ok(Prepared { resolved, parsed })
}

/// Puts the latest version where a reference asks for it. A new schema may refer to live versions
/// only.
async fn pin_references(
    connection: &mut Connection,
    subject: &Subject,
    references: &[RequestedReference],
    strictness: Strictness,
) -> Result<Vec<SchemaReference>, FollowError> {
    let mut pinned = Vec::with_capacity(references.len());
    for reference in references {
        let target = Subject::within(&subject.context, &reference.subject);
        let rows = versions::rows(connection, &target).await?;
        let is_new = strictness == Strictness::New;
        let mut newest_first = rows.iter().rev();
        let target = match reference.version {
            -1 => newest_first.find(|row| !row.deleted),
            version => {
                newest_first.find(|row| row.version.get() == version && !(is_new && row.deleted))
            }
        };
        let missing = || FollowError::Missing {
            subject: reference.subject.clone(),
            version: reference.version,
        };
        pinned.push(SchemaReference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: target.ok_or_else(missing)?.version,
        });
    }
    Ok(pinned)
}

fn refused(error: FollowError, describe: impl Fn(&str) -> RegistryError) -> RegistryError {
    match error {
        FollowError::Store(error) => error.into(),
        FollowError::Missing { .. }
        | FollowError::TooDeep
        | FollowError::TooMany
        | FollowError::TooLarge => describe(&error.to_string()),
    }
}

/// Runs work over `text_bytes` of schema text: here when it is short, else on a blocking thread, so
/// that no other request waits for it. As many run at once as there are cores; the others queue,
/// without a thread.
async fn compute<T: Send + 'static>(
    text_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RegistryError> {
    static POOL: LazyLock<Semaphore> = LazyLock::new(|| {
        let cores = std::thread::available_parallelism();
        Semaphore::new(cores.map_or(1, NonZero::get))
    });
    if text_bytes <= INLINE_BYTES {
        return Ok(work());
    }
    compute_within(&POOL, work).await
}

async fn compute_within<T: Send + 'static>(
    pool: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RegistryError> {
    let turn = pool.acquire().await;
    let turn = turn.map_err(|_closed| RegistryError::Internal)?;
    // The turn ends with the work, even when nobody waits for it any more.
    let worked = tokio::task::spawn_blocking(move || {
        let worked = work();
        drop(turn);
        worked
    });
    worked.await.map_err(|_panicked| RegistryError::Internal)
}

/// A version with everything about it, as an answer.
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

/// A content alone, as an answer.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    // Conformance: registry/stores-14
    #[tokio::test]
    async fn no_more_work_runs_at_once_than_the_pool_has_turns() {
        static POOL: Semaphore = Semaphore::const_new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let tasks = (0..32).map(|at| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            tokio::spawn(compute_within(&POOL, move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                at
            }))
        });
        for (at, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), at);
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        let panicked = compute_within(&POOL, || panic!("broken")).await;
        assert!(matches!(panicked, Err::<(), _>(RegistryError::Internal)));
        assert_eq!(POOL.available_permits(), 2, "a turn ends with its work");
    }
}
