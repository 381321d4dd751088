//! A registry for tests: its content, delays and outages are set by the test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use avouch_registry_api::freshness::{Changed, Freshness};
use avouch_registry_api::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use avouch_registry_api::types::{SchemaId, Version};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::schemas::cache::ClockMs;

#[derive(Debug)]
pub(crate) struct FakeRegistry {
    schemas: Mutex<Vec<RegisteredSchema>>,
    /// The freshness of a source in the registry's process.
    immediate: Arc<Freshness>,
    /// The freshness of a remote source, which receives changes only by [`FakeRegistry::deliver`].
    remote: Arc<Freshness>,
    looked_up_ids: Mutex<Vec<i32>>,
    looked_up_subjects: Mutex<Vec<String>>,
    held: watch::Sender<bool>,
    failing: watch::Sender<bool>,
    late: AtomicBool,
}

impl FakeRegistry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            schemas: Mutex::default(),
            immediate: Arc::new(Freshness::new(true, 1)),
            remote: Arc::new(Freshness::new(false, 1)),
            looked_up_ids: Mutex::default(),
            looked_up_subjects: Mutex::default(),
            held: watch::channel(false).0,
            failing: watch::channel(false).0,
            late: AtomicBool::new(false),
        })
    }

    /// Adds a version of an Avro schema to a subject.
    pub(crate) fn register(&self, id: i32, subject: &str, version: i32, text: &str) {
        self.register_as("AVRO", id, subject, version, text, &[]);
    }

    pub(crate) fn register_as(
        &self,
        schema_type: &str,
        id: i32,
        subject: &str,
        version: i32,
        text: &str,
        references: &[&str],
    ) {
        let place = SubjectVersion {
            subject: subject.to_owned(),
            version: Version::new(version).unwrap(),
            deleted: false,
        };
        let id = SchemaId::new(id).unwrap();
        let mut schemas = self.schemas.lock().unwrap();
        match schemas.iter_mut().find(|schema| schema.id == id) {
            Some(schema) => schema.versions.push(place),
            None => schemas.push(RegisteredSchema {
                id,
                schema_type: schema_type.parse().unwrap(),
                text: text.to_owned(),
                references: references.iter().map(|&text| text.to_owned()).collect(),
                versions: vec![place],
            }),
        }
        drop(schemas);
        self.touch(id.get());
    }

    /// Deletes an id permanently.
    pub(crate) fn delete(&self, id: i32) {
        self.schemas
            .lock()
            .unwrap()
            .retain(|schema| schema.id.get() != id);
        self.touch(id);
    }

    /// Deletes an id permanently and imports another Avro schema under it, as version 1 of
    /// `subject`.
    pub(crate) fn replace(&self, id: i32, subject: &str, text: &str) {
        self.delete(id);
        self.register(id, subject, 1, text);
    }

    /// Marks every version of a subject as deleted.
    pub(crate) fn soft_delete(&self, subject: &str) {
        let mut ids = Vec::new();
        for schema in self.schemas.lock().unwrap().iter_mut() {
            for version in schema.versions.iter_mut().filter(|v| v.subject == subject) {
                version.deleted = true;
                ids.push(schema.id);
            }
        }
        self.record(Changed::Ids(&ids));
    }

    /// A change that concerns none of the schemas.
    pub(crate) fn changed(&self) {
        self.record(Changed::Ids(&[]));
    }

    /// A change of one id.
    pub(crate) fn touch(&self, id: i32) {
        self.record(Changed::Ids(&[SchemaId::new(id).unwrap()]));
    }

    fn record(&self, changed: Changed<'_>) {
        self.immediate.record(self.immediate.seq() + 1, changed);
    }

    /// A source created from now on is a remote one.
    pub(crate) fn lag(&self) {
        self.late.store(true, Ordering::SeqCst);
    }

    /// The change feed delivers a change of one id, or of any.
    pub(crate) fn deliver(&self, id: Option<i32>) {
        let ids = id.map(|id| [SchemaId::new(id).unwrap()]);
        let changed = ids.as_ref().map_or(Changed::Any, |ids| Changed::Ids(ids));
        self.remote.record(self.remote.seq() + 1, changed);
    }

    /// The change feed responds, or does not.
    pub(crate) fn set_reachable(&self, is_reachable: bool) {
        self.remote.set_reachable(is_reachable);
    }

    /// Delays responses while `held`; their content is that of the request's time.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.send_replace(failing);
    }

    /// The ids looked up so far.
    pub(crate) fn looked_up_ids(&self) -> Vec<i32> {
        self.looked_up_ids.lock().unwrap().clone()
    }

    /// The subjects looked up so far.
    pub(crate) fn looked_up_subjects(&self) -> Vec<String> {
        self.looked_up_subjects.lock().unwrap().clone()
    }

    fn respond<A: Send + 'static>(&self, response: A) -> BoxFuture<'_, Result<A, SourceError>> {
        let failed = *self.failing.borrow();
        let mut held = self.held.subscribe();
        async move {
            held.wait_for(|held| !held)
                .await
                .expect("the sender lives in self");
            if failed {
                Err(SourceError {
                    reason: "connection refused".into(),
                })
            } else {
                Ok(response)
            }
        }
        .boxed()
    }
}

impl SchemaSource for FakeRegistry {
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        self.looked_up_ids.lock().unwrap().push(id.get());
        let found = self
            .schemas
            .lock()
            .unwrap()
            .iter()
            .find(|schema| schema.id == id)
            .cloned();
        self.respond(found)
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        self.looked_up_subjects
            .lock()
            .unwrap()
            .push(subject.to_owned());
        let schemas = self.schemas.lock().unwrap();
        let mut versions = schemas.iter().flat_map(|schema| &schema.versions);
        let exists = versions.any(|version| version.subject == subject && !version.deleted);
        drop(schemas);
        self.respond(exists)
    }

    fn freshness(&self) -> &Arc<Freshness> {
        if self.late.load(Ordering::SeqCst) {
            &self.remote
        } else {
            &self.immediate
        }
    }
}

/// Tokio's clock, which in a paused test advances only while the test sleeps.
pub(crate) fn tokio_clock() -> ClockMs {
    let start = Instant::now();
    Arc::new(move || u64::try_from(start.elapsed().as_millis()).unwrap())
}
