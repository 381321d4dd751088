//! Schemas by id, cached and compiled once; and the subjects that are known not to exist.
//!
//! Owns the cache of the registry and the rule by which an entry may be used. Invariants: an entry
//! is valid while the epoch of its id is the one read before the lookup was sent, so that no record
//! is checked by a schema that was deleted or replaced; a negative entry is valid only for requests
//! that arrived before its lookup was sent, or while an immediate source has recorded no change;
//! the last known schema stays valid while the registry is unreachable; the cache is bounded,
//! schemas in bytes, the rest in entries. Knows no topic and no record.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use avouch_registry_api::freshness::Freshness;
use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use avouch_registry_api::types::SchemaId;
use dashmap::DashMap;
use futures_util::FutureExt;
use tokio::sync::watch;

use crate::check::eligibility::Answer;
pub use crate::schemas::lookup::Arrival;
use crate::schemas::lookup::{Doubt, LookUp, Pace, Stamp, UnderWay};
use crate::schemas::schema::{Body, CompiledSchema};

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
    /// How long a request waits for the registry, whatever it asks for. Default 2 s; more holds
    /// connections longer.
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

/// An answer of the registry, and when it was asked for.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What the registry said.
    pub answer: Answer,
    pub(crate) asked_at: Stamp,
}

/// The registry as the check sees it.
#[derive(Clone, Debug)]
pub struct Schemas {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn SchemaSource>,
    freshness: Arc<Freshness>,
    config: CacheConfig,
    clock: ClockMs,
    known: DashMap<i32, Known>,
    ids: Mutex<Ids>,
    subjects: Mutex<Subjects>,
    /// The newest look-up's number.
    sent: AtomicU64,
    /// Grows with every change of what is known.
    known_changes: watch::Sender<u64>,
}

struct Known {
    schema: Arc<CompiledSchema>,
    asked_at: Stamp,
    bytes: usize,
    used_ms: AtomicU64,
    /// The last lookup failed.
    is_failing: AtomicBool,
}

struct Ids {
    /// Ids without a schema, and when that was asked.
    absent: HashMap<i32, Stamp>,
    under_way: UnderWay<i32, Remembered>,
    pace: Pace,
    known_bytes: usize,
}

#[derive(Default)]
struct Subjects {
    absent: HashMap<String, Stamp>,
    under_way: UnderWay<String, (bool, Stamp)>,
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
            freshness: Arc::clone(source.freshness()),
            source,
            config,
            clock,
            known: DashMap::new(),
            ids: Mutex::new(ids),
            subjects: Mutex::default(),
            sent: AtomicU64::new(0),
            known_changes: watch::Sender::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The arrival of a request, which may wait from now on.
    #[must_use]
    pub fn arrive(&self) -> Arrival {
        let wait_ms = u64::try_from(self.inner.config.wait.as_millis()).unwrap_or(u64::MAX);
        Arrival {
            seq: self.inner.freshness.seq(),
            sent: self.inner.sent.load(Ordering::SeqCst),
            deadline_ms: (self.inner.clock)().saturating_add(wait_ms),
        }
    }

    /// What is remembered of an id, without asking.
    #[must_use]
    pub fn remembered(&self, id: i32) -> Option<Remembered> {
        self.inner
            .known(id)
            .or_else(|| self.inner.lock_ids().absent(id))
    }

    /// The number that a received change to the id moves.
    pub(crate) fn epoch(&self, id: i32) -> &Arc<AtomicU64> {
        self.inner.freshness.epoch(id)
    }

    /// Whether the registry responded when it was last queried for changes.
    pub(crate) fn is_reachable(&self) -> bool {
        self.inner.freshness.is_reachable()
    }

    /// Returns whether an entry for an id is valid for a request. `epoch` is the id's.
    pub(crate) fn stands(
        &self,
        asked_at: Stamp,
        epoch: u64,
        arrival: &Arrival,
        doubt: Doubt,
    ) -> bool {
        self.inner.stands(asked_at, epoch, arrival, doubt)
    }

    /// What the registry says of an id. Concurrent requests share one look-up, which may have been
    /// sent before this one arrived: whoever doubts its answer then asks once more.
    ///
    /// # Errors
    /// With the reason when the registry doesn't answer in time, or is asked too often.
    pub async fn look_up(&self, id: i32, arrival: &Arrival) -> Result<Remembered, String> {
        let look_up = self.inner.join_or_send(id, arrival)?;
        self.inner.within(arrival, look_up).await
    }

    /// Whether a subject has a version that is not soft-deleted. A "no" is remembered until a
    /// change is heard of, and if `may_be_unheard` asked for again. While the registry is away,
    /// what is known of its schemas answers.
    ///
    /// # Errors
    /// When the registry doesn't answer in time.
    pub async fn subject_exists(
        &self,
        subject: &str,
        arrival: &Arrival,
        may_be_unheard: bool,
    ) -> Result<bool, SourceError> {
        let doubt = if may_be_unheard {
            Doubt::Unheard
        } else {
            Doubt::Change
        };
        loop {
            let look_up = {
                let mut subjects = self.inner.lock_subjects();
                let absent = subjects.absent.get(subject);
                if absent.is_some_and(|&at| self.inner.subject_stands(at, arrival, doubt)) {
                    return Ok(false);
                }
                match subjects.under_way.of(subject) {
                    Some(look_up) => look_up,
                    None => self.inner.send_subject(&mut subjects, subject),
                }
            };
            match self.inner.within(arrival, look_up).await {
                Ok((true, _)) => return Ok(true),
                Ok((false, at)) if self.inner.subject_stands(at, arrival, doubt) => {
                    return Ok(false);
                }
                Ok((false, _)) => {}
                Err(_) if self.inner.is_bound(subject) => return Ok(true),
                Err(reason) => return Err(SourceError { reason }),
            }
        }
    }

    /// Looks up again what has changed since it was cached, so that requests need not wait for it.
    /// Stops at the first lookup that fails.
    pub async fn refresh(&self) {
        if !self.is_reachable() {
            return;
        }
        let inner = &self.inner;
        let changed = |known: &Known| !inner.is_current(known.schema.id.get(), known.asked_at);
        let known = inner.known.iter().filter(|known| changed(known));
        // Collected first: no lock of the map may be held across a lookup.
        let ids: Vec<i32> = known.map(|known| *known.key()).collect();
        for id in ids {
            if self.look_up(id, &self.arrive()).await.is_err() {
                return;
            }
        }
    }

    /// Adds schemas that an earlier process knew, valid while the registry is unreachable.
    pub async fn restore(&self, schemas: Vec<RegisteredSchema>) {
        for registered in schemas {
            let schema = Arc::new(compile(registered).await);
            let mut ids = self.inner.lock_ids();
            let id = schema.id.get();
            self.inner
                .remember(&mut ids, id, &Answer::Known(schema), Stamp::EARLIER);
        }
    }

    /// Every schema that is known, by id.
    #[must_use]
    pub fn known_schemas(&self) -> Vec<RegisteredSchema> {
        let mut schemas: Vec<_> = self
            .inner
            .known
            .iter()
            .map(|known| known.schema.registered())
            .collect();
        schemas.sort_unstable_by_key(|schema| schema.id);
        schemas
    }

    /// A number that grows with every change of [`Self::known_schemas`].
    #[must_use]
    pub fn known_changes(&self) -> watch::Receiver<u64> {
        self.inner.known_changes.subscribe()
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
            asked_at: known.asked_at,
        })
    }

    /// The freshness rule: `epoch` is what the source has received, which the lookup must have
    /// seen.
    fn stands(&self, asked_at: Stamp, epoch: u64, arrival: &Arrival, doubt: Doubt) -> bool {
        if asked_at.sent > arrival.sent {
            return true;
        }
        asked_at.epoch >= epoch
            && match doubt {
                Doubt::Change => true,
                Doubt::Unheard => self.freshness.is_immediate(),
            }
    }

    fn subject_stands(&self, asked_at: Stamp, arrival: &Arrival, doubt: Doubt) -> bool {
        self.stands(asked_at, arrival.seq, arrival, doubt)
    }

    /// Returns whether no change to the id was received since the lookup with this stamp was sent.
    fn is_current(&self, id: i32, asked_at: Stamp) -> bool {
        asked_at.epoch >= self.epoch(id)
    }

    fn epoch(&self, id: i32) -> u64 {
        self.freshness.epoch(id).load(Ordering::Acquire)
    }

    /// Stamps a lookup that is sent now. `epoch` was read before.
    fn stamp(&self, epoch: u64) -> Stamp {
        let sent = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        Stamp { epoch, sent }
    }

    fn join_or_send(
        self: &Arc<Self>,
        id: i32,
        arrival: &Arrival,
    ) -> Result<LookUp<Remembered>, String> {
        let mut ids = self.lock_ids();
        let epoch = self.epoch(id);
        // Answered since the caller looked.
        let remembered = self.known(id).or_else(|| ids.absent(id));
        let counts =
            |answer: &Remembered| self.stands(answer.asked_at, epoch, arrival, Doubt::Unheard);
        if let Some(remembered) = remembered.filter(counts) {
            return Ok(async move { Ok(remembered) }.boxed().shared());
        }
        if let Some(look_up) = ids.under_way.of(&id) {
            return Ok(look_up);
        }
        if !self.must_renew(id) && !ids.pace.admit(id, (self.clock)()) {
            return Err(format!("schema id {id} is looked up too often, try again"));
        }
        let asked_at = self.stamp(epoch);
        let inner = Arc::clone(self);
        let look_up = run(async move {
            let answer = inner.bounded(inner.ask(id)).await;
            let mut ids = inner.lock_ids();
            match &answer {
                Ok(answer) => inner.remember(&mut ids, id, answer, asked_at),
                Err(_) => inner.mark_failing(id),
            }
            ids.under_way.done(&id);
            answer.map(|answer| Remembered { answer, asked_at })
        });
        ids.under_way.add(id, look_up.clone());
        Ok(look_up)
    }

    /// Returns whether a known schema changed and its last lookup did not fail. The pace of lookups
    /// protects the registry from producers that invent ids; these are sent once per change.
    fn must_renew(&self, id: i32) -> bool {
        self.known.get(&id).is_some_and(|known| {
            !self.is_current(id, known.asked_at) && !known.is_failing.load(Ordering::Relaxed)
        })
    }

    fn mark_failing(&self, id: i32) {
        if let Some(known) = self.known.get(&id) {
            known.is_failing.store(true, Ordering::Relaxed);
        }
    }

    fn send_subject(
        self: &Arc<Self>,
        subjects: &mut Subjects,
        subject: &str,
    ) -> LookUp<(bool, Stamp)> {
        let asked_at = self.stamp(self.freshness.seq());
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
                insert_bounded(&mut subjects.absent, name.clone(), asked_at);
            } else {
                subjects.absent.remove(&name);
            }
            subjects.under_way.done(&name);
            answer.map(|exists| (exists, asked_at))
        });
        subjects.under_way.add(subject.to_owned(), look_up.clone());
        look_up
    }

    /// Whether a known schema has a version of this subject that is not soft-deleted.
    fn is_bound(&self, subject: &str) -> bool {
        let lives = |version: &SubjectVersion| version.subject == subject && !version.deleted;
        self.known
            .iter()
            .any(|known| known.schema.versions.iter().any(lives))
    }

    /// Waits for a look-up for as long as a request may.
    async fn within<A: Clone>(&self, arrival: &Arrival, look_up: LookUp<A>) -> Result<A, String> {
        let left_ms = arrival.deadline_ms.saturating_sub((self.clock)());
        match tokio::time::timeout(Duration::from_millis(left_ms), look_up).await {
            Ok(answer) => answer,
            Err(_) => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> String {
        format!("no answer within {} ms", self.config.wait.as_millis())
    }

    /// Asks the registry and compiles what it has, unless that was done before.
    async fn ask(&self, id: i32) -> Result<Answer, String> {
        let Some(schema_id) = SchemaId::new(id) else {
            return Ok(Answer::Unknown);
        };
        let asked = self.source.schema(schema_id).await;
        let asked = asked.map_err(|error| error.reason)?;
        let Some(registered) = asked else {
            return Ok(Answer::Unknown);
        };
        let known = self.known.get(&id).map(|known| Arc::clone(&known.schema));
        let schema = match known.and_then(|known| known.with_versions_of(&registered)) {
            Some(schema) => schema,
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
            Err(_) => Err(self.no_answer()),
        }
    }

    fn remember(&self, ids: &mut Ids, id: i32, answer: &Answer, asked_at: Stamp) {
        let known = self
            .known
            .get(&id)
            .map(|known| (known.asked_at, Arc::clone(&known.schema)));
        let is_older = |at: Stamp| at.sent > asked_at.sent;
        if known.as_ref().is_some_and(|(at, _)| is_older(*at))
            || ids.absent.get(&id).is_some_and(|&at| is_older(at))
        {
            return;
        }
        match answer {
            Answer::Unknown => {
                if let Some((_, gone)) = self.known.remove(&id) {
                    ids.known_bytes -= gone.bytes;
                    self.known_changed();
                }
                insert_bounded(&mut ids.absent, id, asked_at);
            }
            Answer::Known(schema) => {
                ids.absent.remove(&id);
                let bytes = schema.memory_bytes();
                if bytes > self.config.bytes_max {
                    tracing::warn!(id, bytes, "schema is larger than the cache: it is not kept");
                    if let Some((_, gone)) = self.known.remove(&id) {
                        ids.known_bytes -= gone.bytes;
                        self.known_changed();
                    }
                    return;
                }
                let used_ms = AtomicU64::new((self.clock)());
                let is_same = known.is_some_and(|(_, known)| known.is_same(schema));
                let known = Known {
                    schema: Arc::clone(schema),
                    asked_at,
                    bytes,
                    used_ms,
                    is_failing: AtomicBool::new(false),
                };
                let replaced = self.known.insert(id, known).map_or(0, |known| known.bytes);
                ids.known_bytes = ids.known_bytes + bytes - replaced;
                self.evict(ids, id);
                if !is_same {
                    self.known_changed();
                }
            }
        }
    }

    fn known_changed(&self) {
        self.known_changes.send_modify(|changes| *changes += 1);
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
        let asked_at = *self.absent.get(&id)?;
        Some(Remembered {
            answer: Answer::Unknown,
            asked_at,
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
    let id = registered.id.get();
    let broken = registered.clone();
    let compiled = tokio::task::spawn_blocking(|| CompiledSchema::compile(registered)).await;
    let schema = compiled.unwrap_or_else(|error| {
        let reason = error.to_string();
        CompiledSchema::with_body(broken, Body::Broken { reason })
    });
    match &*schema.body {
        Body::Avro { .. } => {}
        Body::Foreign { schema_type } => {
            tracing::info!(
                id,
                schema_type = schema_type.as_str(),
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

fn insert_bounded<K: Eq + std::hash::Hash>(
    absent: &mut HashMap<K, Stamp>,
    key: K,
    asked_at: Stamp,
) {
    if absent.len() >= ABSENT_MAX {
        absent.clear();
    }
    absent.insert(key, asked_at);
}

#[cfg(test)]
mod tests;
