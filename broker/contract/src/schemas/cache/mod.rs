//! Cache of schemas by id, each compiled once, and of subjects that do not exist.
//!
//! `quick_cache` bounds and evicts; this module decides which entry a request may use. Invariants:
//! an entry is valid while the epoch of its id is the one read before the lookup was sent, so that
//! no record is checked by a schema that was deleted or replaced; a negative entry is valid only
//! for requests that arrived before its lookup was sent, or while an immediate source has recorded
//! no change; the last known schema stays valid while the registry is unreachable. Knows no topic
//! and no record.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use avouch_registry_api::freshness::Freshness;
use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SubjectVersion};
use avouch_registry_api::types::SchemaId;
use futures_util::FutureExt;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::watch;

use crate::schemas::lookup::{
    FetchedAt, LookupError, RateLimit, RequestContext, SharedLookup, Staleness,
};
use crate::schemas::schema::{Body, BrokenSchema, CompiledSchema};

/// Maximum number of cached subjects that do not exist.
const ABSENT_SUBJECTS_MAX: usize = 10_000;
/// Memory of an entry without a schema, in bytes.
const ABSENT_BYTES: u64 = 64;
/// Expected memory of a compiled schema in bytes; sizes the cache's tables.
const SCHEMA_BYTES_EXPECTED: usize = 8 * 1024;

/// A monotonic clock in milliseconds.
pub type ClockMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Bounds of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Memory for compiled schemas, in bytes. Default 64 MiB. A schema that exceeds it alone is
    /// looked up whenever it is needed.
    pub bytes_max: usize,
    /// Maximum time that a request waits for the registry. Default 2 s.
    pub wait: Duration,
    /// Maximum number of lookups of one id within a second. Default 10.
    pub lookups_per_id: usize,
    /// Maximum number of lookups of all ids within a second. Default 100.
    pub lookups_total: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024 * 1024,
            wait: Duration::from_secs(2),
            lookups_per_id: 10,
            lookups_total: 100,
        }
    }
}

/// The result of a lookup of an id, and the state of the registry that it belongs to.
#[derive(Clone, Debug)]
pub struct CachedLookup {
    /// The schema, `None` if no subject version has the id.
    pub schema: Option<Arc<CompiledSchema>>,
    pub(crate) fetched_at: FetchedAt,
}

/// The schemas of a registry.
#[derive(Clone, Debug)]
pub struct Schemas {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn SchemaSource>,
    freshness: Arc<Freshness>,
    config: CacheConfig,
    clock: ClockMs,
    by_id: Cache<i32, Entry, EntryBytes>,
    absent_subjects: Cache<String, FetchedAt>,
    /// Also serializes insertions, so that an older result never replaces a newer one.
    in_flight: Mutex<InFlight>,
    /// The number of the newest lookup.
    lookups: AtomicU64,
    /// Incremented with every change of the known schemas.
    known_changes: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    lookup: CachedLookup,
    bytes: u64,
    /// The last lookup failed.
    is_failing: bool,
}

#[derive(Clone, Debug)]
struct EntryBytes;

impl Weighter<i32, Entry> for EntryBytes {
    fn weight(&self, _: &i32, entry: &Entry) -> u64 {
        entry.bytes
    }
}

/// The lookups in flight, at most one of each key.
struct InFlight {
    ids: HashMap<i32, SharedLookup<CachedLookup>>,
    subjects: HashMap<String, SharedLookup<(bool, FetchedAt)>>,
    rate: RateLimit,
}

impl Schemas {
    /// Creates an empty cache over `source`.
    #[must_use]
    pub fn new(source: Arc<dyn SchemaSource>, config: CacheConfig, clock: ClockMs) -> Self {
        let inner = Inner {
            freshness: Arc::clone(source.freshness()),
            source,
            config,
            clock,
            by_id: schema_cache(config.bytes_max),
            absent_subjects: Cache::new(ABSENT_SUBJECTS_MAX),
            in_flight: Mutex::new(InFlight {
                ids: HashMap::new(),
                subjects: HashMap::new(),
                rate: RateLimit::new(config.lookups_per_id, config.lookups_total),
            }),
            lookups: AtomicU64::new(0),
            known_changes: watch::Sender::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the context of a request that arrives now; its wait starts now.
    #[must_use]
    pub fn start_request(&self) -> RequestContext {
        RequestContext {
            seq: self.inner.freshness.seq(),
            // SeqCst: a lookup with a higher number is numbered after this load, whichever thread
            // sends it, and so sees every change that was acknowledged before the request.
            lookup: self.inner.lookups.load(Ordering::SeqCst),
            deadline_ms: (self.inner.clock)().saturating_add(self.inner.wait_ms()),
        }
    }

    /// Returns the cached result for an id, whether or not it is still valid.
    #[must_use]
    pub fn cached(&self, id: i32) -> Option<CachedLookup> {
        self.inner.by_id.get(&id).map(|entry| entry.lookup)
    }

    /// Returns the number that a received change to the id moves.
    pub(crate) fn epoch(&self, id: i32) -> &Arc<AtomicU64> {
        self.inner.freshness.epoch(id)
    }

    /// Returns whether the registry responded when it was last queried for changes.
    pub(crate) fn is_reachable(&self) -> bool {
        self.inner.freshness.is_reachable()
    }

    /// Returns whether a result for an id is valid for a request. `epoch` is the id's.
    pub(crate) fn is_valid(
        &self,
        fetched_at: FetchedAt,
        epoch: u64,
        context: &RequestContext,
        staleness: Staleness,
    ) -> bool {
        self.inner.is_valid(fetched_at, epoch, context, staleness)
    }

    /// Looks up an id. Concurrent requests share one lookup, which may have been sent before this
    /// request arrived; the caller repeats it if the result is not valid for the request.
    ///
    /// # Errors
    /// If the registry fails, does not respond in time, or the id is looked up too often.
    pub async fn lookup(
        &self,
        id: i32,
        context: &RequestContext,
    ) -> Result<CachedLookup, LookupError> {
        let lookup = self.inner.join_or_send(id, context)?;
        self.inner.wait(context, lookup).await
    }

    /// Returns whether a subject has a version that is not soft-deleted. A negative result is
    /// cached until a change is received; with `confirm_absence` it is also confirmed by a remote
    /// registry. While the registry is unreachable, the known schemas decide.
    ///
    /// # Errors
    /// If the registry fails or does not respond in time.
    pub async fn subject_exists(
        &self,
        subject: &str,
        context: &RequestContext,
        confirm_absence: bool,
    ) -> Result<bool, LookupError> {
        let staleness = if confirm_absence {
            Staleness::Unreceived
        } else {
            Staleness::Received
        };
        let is_valid = |at: FetchedAt| self.inner.is_valid(at, context.seq, context, staleness);
        loop {
            let lookup = {
                let mut in_flight = self.inner.lock();
                if self
                    .inner
                    .absent_subjects
                    .get(subject)
                    .is_some_and(is_valid)
                {
                    return Ok(false);
                }
                match in_flight.subjects.get(subject) {
                    Some(lookup) => lookup.clone(),
                    None => self.inner.send_subject(&mut in_flight, subject),
                }
            };
            match self.inner.wait(context, lookup).await {
                Ok((true, _)) => return Ok(true),
                Ok((false, at)) if is_valid(at) => return Ok(false),
                // The lookup was sent before the request arrived.
                Ok((false, _)) => {}
                Err(_) if self.inner.has_known_version(subject) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks up again the schemas that have changed since they were cached, so that requests need
    /// not wait for it. Stops at the first lookup that fails.
    pub async fn refresh(&self) {
        if !self.is_reachable() {
            return;
        }
        let entries = self.inner.by_id.iter();
        let changed = entries.filter(|(id, entry)| {
            entry.lookup.schema.is_some() && !self.inner.is_current(*id, entry)
        });
        let ids: Vec<i32> = changed.map(|(id, _)| id).collect();
        // One after the other, so that lookups of requests are not delayed by a burst.
        for id in ids {
            if self.lookup(id, &self.start_request()).await.is_err() {
                return;
            }
        }
    }

    /// Adds schemas that an earlier process knew, valid while the registry is unreachable.
    pub async fn restore(&self, schemas: Vec<RegisteredSchema>) {
        for registered in schemas {
            let id = registered.id.get();
            let lookup = CachedLookup {
                schema: Some(Arc::new(compile(registered).await)),
                fetched_at: FetchedAt::RESTORED,
            };
            self.inner.insert(&self.inner.lock(), id, &lookup);
        }
    }

    /// Returns every known schema, by id.
    #[must_use]
    pub fn known_schemas(&self) -> Vec<RegisteredSchema> {
        let mut schemas: Vec<_> = self
            .inner
            .known()
            .map(|schema| schema.registered())
            .collect();
        schemas.sort_unstable_by_key(|schema| schema.id);
        schemas
    }

    /// Returns a number that grows with every change of [`Self::known_schemas`]; evictions do not
    /// count.
    #[must_use]
    pub fn known_changes(&self) -> watch::Receiver<u64> {
        self.inner.known_changes.subscribe()
    }

    /// Returns the memory taken by cached schemas, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.inner.by_id.weight()
    }
}

impl Inner {
    fn is_valid(
        &self,
        fetched_at: FetchedAt,
        epoch: u64,
        context: &RequestContext,
        staleness: Staleness,
    ) -> bool {
        fetched_at.is_valid(epoch, context, staleness, self.freshness.is_immediate())
    }

    /// Returns whether no change to the id was received since the lookup was sent.
    fn is_current(&self, id: i32, entry: &Entry) -> bool {
        entry.lookup.fetched_at.epoch >= self.epoch(id)
    }

    fn epoch(&self, id: i32) -> u64 {
        self.freshness.epoch(id).load(Ordering::Acquire)
    }

    fn known(&self) -> impl Iterator<Item = Arc<CompiledSchema>> + '_ {
        self.by_id
            .iter()
            .filter_map(|(_, entry)| entry.lookup.schema)
    }

    fn has_known_version(&self, subject: &str) -> bool {
        let is_live = |version: &SubjectVersion| version.subject == subject && !version.deleted;
        self.known()
            .any(|schema| schema.versions.iter().any(is_live))
    }

    fn join_or_send(
        self: &Arc<Self>,
        id: i32,
        context: &RequestContext,
    ) -> Result<SharedLookup<CachedLookup>, LookupError> {
        let mut in_flight = self.lock();
        // Before the cache is read and the lookup is sent: a change in between must be noticed.
        let epoch = self.epoch(id);
        let entry = self.by_id.get(&id);
        if let Some(entry) = &entry {
            let cached = &entry.lookup;
            // A lookup may have ended since the caller read the cache.
            if self.is_valid(cached.fetched_at, epoch, context, Staleness::Unreceived) {
                let cached = cached.clone();
                return Ok(async move { Ok(cached) }.boxed().shared());
            }
        }
        if let Some(lookup) = in_flight.ids.get(&id) {
            return Ok(lookup.clone());
        }
        // The rate limit protects the registry from producers that invent ids. Lookups of changed
        // schemas are exempt: each is sent once per change, unless it fails.
        let is_exempt = entry.is_some_and(|entry| {
            entry.lookup.schema.is_some() && !entry.is_failing && !self.is_current(id, &entry)
        });
        if !is_exempt && !in_flight.rate.admit(id, (self.clock)()) {
            return Err(LookupError::RateLimited { id });
        }
        let fetched_at = self.next_lookup(epoch);
        let inner = Arc::clone(self);
        let fetch = async move {
            let schema = inner.fetch(id).await?;
            Ok(CachedLookup { schema, fetched_at })
        };
        let lookup = self.spawn(fetch, move |inner, in_flight, result| {
            // Removed and inserted under one lock: a request in between would send another lookup.
            in_flight.ids.remove(&id);
            match result {
                Ok(lookup) => inner.insert(in_flight, id, lookup),
                Err(_) => inner.mark_failing(id),
            }
        });
        in_flight.ids.insert(id, lookup.clone());
        Ok(lookup)
    }

    fn send_subject(
        self: &Arc<Self>,
        in_flight: &mut InFlight,
        subject: &str,
    ) -> SharedLookup<(bool, FetchedAt)> {
        let fetched_at = self.next_lookup(self.freshness.seq());
        let (inner, name) = (Arc::clone(self), subject.to_owned());
        let fetch = async move {
            let exists = inner.source.subject_exists(&name).await;
            Ok((exists.map_err(LookupError::Source)?, fetched_at))
        };
        let name = subject.to_owned();
        let lookup = self.spawn(fetch, move |inner, in_flight, result| {
            in_flight.subjects.remove(&name);
            if matches!(result, Ok((false, _))) {
                inner.absent_subjects.insert(name, fetched_at);
            } else {
                inner.absent_subjects.remove(&name);
            }
        });
        in_flight
            .subjects
            .insert(subject.to_owned(), lookup.clone());
        lookup
    }

    /// Numbers a lookup that is sent now. `epoch` was read before.
    fn next_lookup(&self, epoch: u64) -> FetchedAt {
        let lookup = self.lookups.fetch_add(1, Ordering::SeqCst) + 1;
        FetchedAt { epoch, lookup }
    }

    /// Runs a lookup in a task of its own, so that it ends even if every request that waits for it
    /// is dropped. `finish` runs before any waiting request receives the result.
    fn spawn<A: Clone + Send + 'static>(
        self: &Arc<Self>,
        fetch: impl Future<Output = Result<A, LookupError>> + Send + 'static,
        finish: impl FnOnce(&Self, &mut InFlight, &Result<A, LookupError>) + Send + 'static,
    ) -> SharedLookup<A> {
        let inner = Arc::clone(self);
        let task = tokio::spawn(async move {
            // A panic must not leave the lookup in flight forever.
            let fetch = AssertUnwindSafe(fetch).catch_unwind();
            let result = match tokio::time::timeout(inner.config.wait, fetch).await {
                Ok(Ok(result)) => result,
                Ok(Err(_panic)) => Err(LookupError::Aborted),
                Err(_elapsed) => Err(inner.timeout()),
            };
            finish(&inner, &mut inner.lock(), &result);
            result
        });
        async move { task.await.unwrap_or(Err(LookupError::Aborted)) }
            .boxed()
            .shared()
    }

    /// Waits for a lookup until the request's deadline.
    async fn wait<A: Clone>(
        &self,
        context: &RequestContext,
        lookup: SharedLookup<A>,
    ) -> Result<A, LookupError> {
        // The deadline is that of the request: its second lookup does not wait twice as long.
        let left_ms = context.deadline_ms.saturating_sub((self.clock)());
        match tokio::time::timeout(Duration::from_millis(left_ms), lookup).await {
            Ok(result) => result,
            Err(_elapsed) => Err(self.timeout()),
        }
    }

    fn timeout(&self) -> LookupError {
        LookupError::Timeout {
            wait_ms: self.wait_ms(),
        }
    }

    fn wait_ms(&self) -> u64 {
        u64::try_from(self.config.wait.as_millis()).unwrap_or(u64::MAX)
    }

    /// Queries the registry and compiles the schema, unless the cached one has the same text.
    async fn fetch(&self, id: i32) -> Result<Option<Arc<CompiledSchema>>, LookupError> {
        // No registry assigns ids below 1.
        let Some(schema_id) = SchemaId::new(id) else {
            return Ok(None);
        };
        let registered = self.source.schema(schema_id).await;
        let Some(registered) = registered.map_err(LookupError::Source)? else {
            return Ok(None);
        };
        // Most changes add a version or delete one, which needs no compilation.
        let known = self.by_id.peek(&id).and_then(|entry| entry.lookup.schema);
        let schema = match known.and_then(|known| known.with_versions_of(&registered)) {
            Some(schema) => schema,
            None => compile(registered).await,
        };
        Ok(Some(Arc::new(schema)))
    }

    /// Inserts a result, unless the cache has a newer one.
    fn insert(&self, _lock: &InFlight, id: i32, lookup: &CachedLookup) {
        let previous = self.by_id.peek(&id).map(|entry| entry.lookup);
        if let Some(previous) = &previous
            && previous.fetched_at.lookup > lookup.fetched_at.lookup
        {
            return;
        }
        let bytes = lookup
            .schema
            .as_ref()
            .map_or(ABSENT_BYTES, |schema| schema.memory_bytes() as u64);
        // The cache drops a value that exceeds its capacity, and the previous one with it.
        let is_too_large = bytes > self.by_id.capacity();
        if is_too_large {
            tracing::warn!(
                id,
                bytes,
                "schema exceeds the schema cache: it is not cached"
            );
        }
        let entry = Entry {
            lookup: lookup.clone(),
            bytes,
            is_failing: false,
        };
        self.by_id.insert(id, entry);
        let previous = previous.and_then(|previous| previous.schema);
        let is_same = match (&previous, &lookup.schema) {
            (Some(previous), Some(schema)) => previous.is_same(schema),
            (None, None) => true,
            (None, Some(_)) => is_too_large,
            (Some(_), None) => false,
        };
        if !is_same {
            self.known_changes.send_modify(|changes| *changes += 1);
        }
    }

    fn mark_failing(&self, id: i32) {
        if let Some(mut entry) = self.by_id.peek(&id) {
            entry.is_failing = true;
            // An entry that was evicted meanwhile is not inserted again.
            let _evicted = self.by_id.replace(id, entry, true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas")
            .field("config", &self.config)
            .field("entries", &self.by_id.len())
            .finish_non_exhaustive()
    }
}

fn schema_cache(bytes_max: usize) -> Cache<i32, Entry, EntryBytes> {
    // A shard holds only schemas smaller than its share of the capacity. Requests take a read lock
    // once per batch and schema, so one shard suffices and lets a schema fill the cache.
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(bytes_max / SCHEMA_BYTES_EXPECTED)
        .weight_capacity(bytes_max as u64)
        .build()
        .expect("both capacities are set");
    let hasher = DefaultHashBuilder::default();
    Cache::with_options(options, EntryBytes, hasher, DefaultLifecycle::default())
}

/// Compiles on a blocking thread: a large schema takes milliseconds.
async fn compile(registered: RegisteredSchema) -> CompiledSchema {
    let id = registered.id.get();
    let broken = registered.clone();
    let compiled = tokio::task::spawn_blocking(|| CompiledSchema::compile(registered)).await;
    let schema = compiled.unwrap_or_else(|_panic| {
        CompiledSchema::with_body(broken, Body::Broken(BrokenSchema::CompilerFailed))
    });
    match &*schema.body {
        Body::Avro { .. } | Body::Bytes => {}
        Body::Foreign { schema_type } => {
            tracing::info!(
                id,
                schema_type = schema_type.as_str(),
                "data of this schema type is not decoded: validation payload checks as id"
            );
        }
        Body::Broken(reason) => {
            tracing::error!(
                id,
                %reason,
                "registered schema is invalid: records with it are rejected"
            );
        }
    }
    schema
}

#[cfg(test)]
mod tests;
