//! Schemas by id, remembered and compiled once; and which subjects are known not to exist.
//!
//! Owns what is remembered of the registry and when that may be used. Invariants: a "no" counts
//! only for requests that arrived before anything changed behind it (see `look_up`); a schema once
//! known stays usable while the registry is away; what is remembered is bounded, schemas in bytes,
//! the rest in entries. Knows no topic and no record.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError};
use dashmap::DashMap;
use futures_util::FutureExt;

use super::judge::Answer;
use super::look_up::{LookUp, Pace, UnderWay};
use super::schema::{Body, CompiledSchema};

/// Ids, and again subjects, that are remembered not to exist. Beyond it all are forgotten, which
/// costs a look-up each.
const ABSENT_MAX: usize = 10_000;

/// The part of the cache that is emptied when it is full, so that not every schema that comes then
/// needs another one to be found that goes.
const EVICTED_PART: usize = 8;

/// A monotonic clock in milliseconds.
pub type ClockMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Bounds of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Memory for compiled schemas, in bytes. Default 64 MiB; more saves look-ups and compiling. A
    /// schema that takes more by itself is looked up whenever it is needed.
    pub bytes_max: usize,
    /// How long a request waits for the registry. Default 2 s; more holds connections longer.
    pub wait: Duration,
    /// Look-ups of one id within a second. Default 10.
    pub look_ups_per_id: usize,
    /// Look-ups of all ids within a second. Default 100; more lets clients load the registry.
    pub look_ups_in_all: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024 * 1024,
            wait: Duration::from_secs(2),
            look_ups_per_id: 10,
            look_ups_in_all: 100,
        }
    }
}

/// An answer of the registry and the change number before which nothing is missing from it.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What the registry said.
    pub answer: Answer,
    /// The registry's change number when it was asked.
    pub seq: u64,
}

/// The registry as the check sees it.
#[derive(Clone, Debug)]
pub struct Schemas {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn SchemaSource>,
    config: CacheConfig,
    clock: ClockMs,
    known: DashMap<i32, Known>,
    ids: Mutex<Ids>,
    subjects: Mutex<Subjects>,
}

struct Known {
    schema: Arc<CompiledSchema>,
    seq: u64,
    bytes: usize,
    used_ms: AtomicU64,
}

struct Ids {
    /// Ids without a schema, and the change number at which that was so.
    absent: HashMap<i32, u64>,
    under_way: UnderWay<i32, Answer>,
    pace: Pace,
    known_bytes: usize,
}

#[derive(Default)]
struct Subjects {
    absent: HashMap<String, u64>,
    under_way: UnderWay<String, bool>,
}

impl Schemas {
    /// An empty cache over `source`.
    #[must_use]
    pub fn new(source: Arc<dyn SchemaSource>, config: CacheConfig, clock: ClockMs) -> Self {
        let ids = Ids {
            absent: HashMap::new(),
            under_way: UnderWay::default(),
            pace: Pace::new(config.look_ups_per_id, config.look_ups_in_all),
            known_bytes: 0,
        };
        let inner = Inner {
            source,
            config,
            clock,
            known: DashMap::new(),
            ids: Mutex::new(ids),
            subjects: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The registry's change number now: the stamp of a request that arrives now.
    #[must_use]
    pub fn change_seq(&self) -> u64 {
        self.inner.source.change_seq()
    }

    /// What is remembered of an id, without asking.
    #[must_use]
    pub fn remembered(&self, id: i32) -> Option<Remembered> {
        self.inner
            .known(id)
            .or_else(|| self.inner.lock_ids().absent(id))
    }

    /// What the registry says of an id to a request that arrived at `seq`. Concurrent requests
    /// share one look-up.
    ///
    /// # Errors
    /// With the reason when the registry doesn't answer in time, or is asked too often.
    pub async fn look_up(&self, id: i32, seq: u64) -> Result<Answer, String> {
        let look_up = self.inner.join_or_send(id, seq)?;
        look_up.await
    }

    /// Whether a subject has a version that is not soft-deleted. A "no" is remembered for as long
    /// as nothing changes in the registry.
    ///
    /// # Errors
    /// When the registry doesn't answer in time.
    pub async fn subject_exists(&self, subject: &str) -> Result<bool, SourceError> {
        let seq = self.change_seq();
        let look_up = {
            let mut subjects = self.inner.lock_subjects();
            if subjects
                .absent
                .get(subject)
                .is_some_and(|&absent| absent >= seq)
            {
                return Ok(false);
            }
            match subjects.under_way.joinable(subject, seq) {
                Some(look_up) => look_up,
                None => self.inner.send_subject(&mut subjects, subject),
            }
        };
        look_up.await.map_err(|reason| SourceError { reason })
    }

    /// Memory taken by compiled schemas, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.inner.lock_ids().known_bytes
    }
}

impl Inner {
    fn known(&self, id: i32) -> Option<Remembered> {
        let known = self.known.get(&id)?;
        known.used_ms.store((self.clock)(), Ordering::Relaxed);
        Some(Remembered {
            answer: Answer::Known(Arc::clone(&known.schema)),
            seq: known.seq,
        })
    }

    fn join_or_send(self: &Arc<Self>, id: i32, seq: u64) -> Result<LookUp<Answer>, String> {
        let mut ids = self.lock_ids();
        // Answered since the caller looked.
        let remembered = self.known(id).or_else(|| ids.absent(id));
        if let Some(remembered) = remembered.filter(|remembered| remembered.seq >= seq) {
            return Ok(async move { Ok(remembered.answer) }.boxed().shared());
        }
        if let Some(look_up) = ids.under_way.joinable(&id, seq) {
            return Ok(look_up);
        }
        if !ids.pace.admit(id, (self.clock)()) {
            return Err(format!("schema id {id} is looked up too often, try again"));
        }
        let sent_seq = self.source.change_seq();
        let inner = Arc::clone(self);
        let look_up = run(async move {
            let answer = inner.bounded(inner.ask(id)).await;
            let mut ids = inner.lock_ids();
            if let Ok(answer) = &answer {
                inner.remember(&mut ids, id, answer, sent_seq);
            }
            ids.under_way.done(&id, sent_seq);
            answer
        });
        ids.under_way.add(id, sent_seq, look_up.clone());
        Ok(look_up)
    }

    fn send_subject(self: &Arc<Self>, subjects: &mut Subjects, subject: &str) -> LookUp<bool> {
        let sent_seq = self.source.change_seq();
        let inner = Arc::clone(self);
        let name = subject.to_owned();
        let look_up = run(async move {
            let asked = async {
                inner
                    .source
                    .subject_exists(&name)
                    .await
                    .map_err(|error| error.reason)
            };
            let answer = inner.bounded(asked).await;
            let mut subjects = inner.lock_subjects();
            if answer == Ok(false) {
                insert_bounded(&mut subjects.absent, name.clone(), sent_seq);
            } else {
                subjects.absent.remove(&name);
            }
            subjects.under_way.done(&name, sent_seq);
            answer
        });
        subjects
            .under_way
            .add(subject.to_owned(), sent_seq, look_up.clone());
        look_up
    }

    /// Asks the registry and compiles what it has, unless that was done before.
    async fn ask(&self, id: i32) -> Result<Answer, String> {
        let asked = self.source.schema(id).await.map_err(|error| error.reason)?;
        let Some(registered) = asked else {
            return Ok(Answer::Unknown);
        };
        let body = self
            .known
            .get(&id)
            .map(|known| Arc::clone(&known.schema.body));
        let schema = match body {
            Some(body) => CompiledSchema {
                id,
                body,
                versions: registered.versions,
            },
            None => compile(registered).await,
        };
        Ok(Answer::Known(Arc::new(schema)))
    }

    /// Bounds the wait for an answer; a panic behind it is a failure like any other.
    async fn bounded<A>(
        &self,
        asked: impl Future<Output = Result<A, String>>,
    ) -> Result<A, String> {
        let asked = AssertUnwindSafe(asked).catch_unwind();
        match tokio::time::timeout(self.config.wait, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the look-up failed".to_owned()),
            Err(_) => Err(format!(
                "no answer within {} ms",
                self.config.wait.as_millis()
            )),
        }
    }

    fn remember(&self, ids: &mut Ids, id: i32, answer: &Answer, seq: u64) {
        let newer = self.known.get(&id).is_some_and(|known| known.seq > seq);
        if newer || ids.absent.get(&id).is_some_and(|&absent| absent > seq) {
            return;
        }
        match answer {
            Answer::Unknown => {
                if let Some((_, gone)) = self.known.remove(&id) {
                    ids.known_bytes -= gone.bytes;
                }
                insert_bounded(&mut ids.absent, id, seq);
            }
            Answer::Known(schema) => {
                ids.absent.remove(&id);
                let bytes = schema.memory_bytes();
                if bytes > self.config.bytes_max {
                    tracing::warn!(id, bytes, "schema is larger than the cache: it is not kept");
                    if let Some((_, gone)) = self.known.remove(&id) {
                        ids.known_bytes -= gone.bytes;
                    }
                    return;
                }
                let used_ms = AtomicU64::new((self.clock)());
                let known = Known {
                    schema: Arc::clone(schema),
                    seq,
                    bytes,
                    used_ms,
                };
                let replaced = self.known.insert(id, known).map_or(0, |known| known.bytes);
                ids.known_bytes = ids.known_bytes + bytes - replaced;
                self.evict(ids, id);
            }
        }
    }

    /// Forgets the schemas longest unused, once the bound is passed, until there is room for some
    /// more; `kept` stays. One scan for all that go.
    fn evict(&self, ids: &mut Ids, kept: i32) {
        let most = self.config.bytes_max;
        if ids.known_bytes <= most {
            return;
        }
        let others = self.known.iter().filter(|known| *known.key() != kept);
        let mut by_use: Vec<_> = others
            .map(|known| (known.used_ms.load(Ordering::Relaxed), *known.key()))
            .collect();
        by_use.sort_unstable();
        for (_, id) in by_use {
            if ids.known_bytes <= most - most / EVICTED_PART {
                return;
            }
            if let Some((_, gone)) = self.known.remove(&id) {
                ids.known_bytes -= gone.bytes;
            }
        }
    }

    fn lock_ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_subjects(&self) -> MutexGuard<'_, Subjects> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn absent(&self, id: i32) -> Option<Remembered> {
        let seq = *self.absent.get(&id)?;
        Some(Remembered {
            answer: Answer::Unknown,
            seq,
        })
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas")
            .field("config", &self.config)
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

/// Runs a look-up on its own, so that it ends even if everyone who waits for it goes away.
fn run<A: Clone + Send + 'static>(
    asked: impl Future<Output = Result<A, String>> + Send + 'static,
) -> LookUp<A> {
    let task = tokio::spawn(asked);
    async move { task.await.unwrap_or_else(|error| Err(error.to_string())) }
        .boxed()
        .shared()
}

/// Compiles apart from the reactor: a large schema takes milliseconds.
async fn compile(registered: RegisteredSchema) -> CompiledSchema {
    let (id, versions) = (registered.id, registered.versions.clone());
    let compiled = tokio::task::spawn_blocking(|| CompiledSchema::compile(registered)).await;
    let schema = compiled.unwrap_or_else(|error| {
        let body = Arc::new(Body::Broken {
            reason: error.to_string(),
        });
        CompiledSchema { id, body, versions }
    });
    match &*schema.body {
        Body::Avro { .. } => {}
        Body::Foreign { schema_type } => {
            tracing::info!(
                id,
                schema_type,
                "data of this type are not decoded: payload is id"
            );
        }
        Body::Broken { reason } => {
            tracing::error!(
                id,
                reason,
                "registered schema doesn't compile: its data are refused"
            );
        }
    }
    schema
}

fn insert_bounded<K: Eq + std::hash::Hash>(absent: &mut HashMap<K, u64>, key: K, seq: u64) {
    if absent.len() >= ABSENT_MAX {
        absent.clear();
    }
    absent.insert(key, seq);
}

#[cfg(test)]
mod tests;
