//! A remote registry, for a broker in another process. Every query goes over the network;
//! the caller caches the responses. Works against any Confluent-compatible registry, but receives
//! changes only from one that serves `GET /v1/changes`; any other one is taken to change all the
//! time.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::client::{
    BuildError, ClientBuilder, ClientError, Deleted, Page, RegistryClient, SchemaOptions,
    VersionOptions,
};
use crate::error::ErrorCode;
use crate::freshness::{Changed, Freshness};
use crate::rest::{ChangesBody, SchemaBody, SchemaReference};
use crate::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use crate::types::SchemaId;

/// The maximum time of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time for which the registry waits for a change; less than [`REQUEST_TIMEOUT`].
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// The pause between two polls of the change feed, for a registry that does not wait.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The interval at which a registry without a change feed is taken to have changed.
const NO_FEED_INTERVAL: Duration = Duration::from_secs(1);
/// Known schemas are taken to have changed once in this many intervals, because each
/// change costs lookups.
const NO_FEED_KNOWN_INTERVALS: u64 = 5;
/// Registry instances that are remembered; a load balancer distributes requests over a few.
const MAX_INSTANCES: usize = 64;
/// The pause after a failed poll of the change feed.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of schemas that one schema may refer to, transitively.
const MAX_REFERENCES: usize = 1_000;

/// A source of schemas over HTTP.
#[derive(Debug)]
pub struct RemoteSource {
    client: RegistryClient,
    freshness: Arc<Freshness>,
    feed: Mutex<Feed>,
}

/// The state of the change feed.
#[derive(Debug, Default)]
struct Feed {
    /// The last response.
    last: Option<FeedResponse>,
    /// The instances that have responded, newest last.
    instances: VecDeque<String>,
}

/// A response about changes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FeedResponse {
    /// The registry's own number.
    At(ChangesBody),
    /// The registry serves no feed; counts such responses in a row, from 0.
    NoFeed(u64),
}

impl RemoteSource {
    /// Returns a source for the registry at `url`, such as `http://127.0.0.1:8081`. It connects on
    /// the first request.
    ///
    /// # Errors
    /// [`BuildError`] when `url` is not an absolute `http://` or `https://` URL.
    pub fn new(url: &str) -> Result<Self, BuildError> {
        Self::build(RegistryClient::builder(url))
    }

    /// Returns a source that uses a client with these settings, except for its timeout of 2 s.
    ///
    /// # Errors
    /// [`BuildError`] when a setting is invalid.
    pub fn build(builder: ClientBuilder) -> Result<Self, BuildError> {
        Ok(Self {
            client: builder.timeout(REQUEST_TIMEOUT).build()?,
            freshness: Arc::new(Freshness::new(false, 0)),
            feed: Mutex::default(),
        })
    }

    /// Polls the change feed until `shutdown` completes, so that [`SchemaSource::freshness`]
    /// follows the registry at once: each request waits there for a change. Failed requests are
    /// repeated.
    pub async fn follow_changes(&self, shutdown: impl Future<Output = ()>) {
        let follow = async {
            loop {
                let pause = match self.changes_within(CHANGE_WAIT).await {
                    Ok(FeedResponse::NoFeed(_)) => NO_FEED_INTERVAL,
                    Ok(FeedResponse::At(_)) => POLL_INTERVAL,
                    // `poll` has recorded that the registry is unavailable.
                    Err(_away) => RETRY_INTERVAL,
                };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = shutdown => {}
        }
    }

    /// Polls the change feed once: [`SchemaSource::freshness`] has moved then if anything changed
    /// since the last poll, or if the registry serves no feed.
    ///
    /// # Errors
    /// When the registry does not respond.
    pub async fn poll_changes(&self) -> Result<(), SourceError> {
        self.changes_within(Duration::ZERO).await.map(drop)
    }

    async fn changes_within(&self, wait: Duration) -> Result<FeedResponse, SourceError> {
        // A failed poll leaves the last response, from which the next one continues.
        let response = self.poll(wait).await;
        let reachable = response.is_ok();
        if let Ok(response) = &response {
            self.apply(response.clone());
        }
        // Last: an outage ends only once the changes made during it are recorded.
        self.freshness.set_reachable(reachable);
        response
    }

    async fn poll(&self, wait: Duration) -> Result<FeedResponse, SourceError> {
        // The lock is released before the request, which may take as long as its timeout.
        let (since, without_feed) = match &self.feed().last {
            Some(FeedResponse::At(body)) => (body.seq, 0),
            Some(FeedResponse::NoFeed(count)) => (0, count + 1),
            None => (0, 0),
        };
        match self.client.changes(since, wait).await {
            Ok(changes) => Ok(FeedResponse::At(changes)),
            // Any 404: a registry without this route has no error code for it.
            Err(error) if error.status() == Some(404) => Ok(FeedResponse::NoFeed(without_feed)),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Records a response of the feed. The number of the freshness is this client's own: that of a
    /// restored registry starts again lower, or at the same value with other content.
    fn apply(&self, response: FeedResponse) {
        let mut feed = self.feed();
        let is_new_instance = match &response {
            FeedResponse::At(body) => feed.is_new(body.instance.as_deref()),
            FeedResponse::NoFeed(_) => false,
        };
        let changed = match (&feed.last, &response) {
            (Some(FeedResponse::At(before)), FeedResponse::At(now)) if !is_new_instance => {
                match (now.seq.cmp(&before.seq), &now.ids) {
                    // The request timed out without a change.
                    (Ordering::Equal, _) => None,
                    (Ordering::Greater, Some(ids)) => Some(Changed::Ids(ids)),
                    _ => Some(Changed::Any),
                }
            }
            // An empty list still increments the number, so that negative results are looked up
            // again.
            (Some(FeedResponse::NoFeed(_)), FeedResponse::NoFeed(count)) => {
                let is_due = count.is_multiple_of(NO_FEED_KNOWN_INTERVALS);
                Some(if is_due {
                    Changed::Any
                } else {
                    Changed::Ids(&[])
                })
            }
            _ => Some(Changed::Any),
        };
        if let Some(changed) = changed {
            self.freshness.record(self.freshness.seq() + 1, changed);
        }
        feed.last = Some(response);
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, id: SchemaId) -> Result<Option<RegisteredSchema>, SourceError> {
        let schema = self.client.schema(id, SchemaOptions::default()).await;
        let Some(body) = found(schema, &[ErrorCode::SchemaNotFound])? else {
            return Ok(None);
        };
        let versions = self.versions(id).await?;
        let references = self.reference_texts(body.references).await?;
        Ok(Some(RegisteredSchema {
            id,
            schema_type: body.schema_type.unwrap_or_default(),
            text: body.schema,
            references,
            versions,
        }))
    }

    /// Returns the subject versions of a schema. It takes two requests, because the listing with
    /// deleted versions does not mark them. The live ones are requested last: a version deleted in
    /// between counts as deleted, and one registered in between is left out, not taken for deleted.
    async fn versions(&self, id: SchemaId) -> Result<Vec<SubjectVersion>, SourceError> {
        let listed = async |deleted| {
            let listed = self
                .client
                .schema_versions(id, None, deleted, Page::default());
            let listed = found(listed.await, &[ErrorCode::SchemaNotFound])?;
            Ok::<_, SourceError>(listed.unwrap_or_default())
        };
        let all = listed(true).await?;
        let live = listed(false).await?;
        let versions = all.into_iter().map(|place| SubjectVersion {
            deleted: !live.contains(&place),
            subject: place.subject,
            version: place.version,
        });
        Ok(versions.collect())
    }

    /// Returns the texts of references, transitively, dependencies first. The walk is depth first
    /// with an explicit stack, so that a hostile registry can neither recurse nor loop. Of two
    /// versions with one name, the first counts. A reference to a missing version, as imports may
    /// leave it, yields no texts at all: the schema cannot be parsed, however often it is fetched.
    async fn reference_texts(
        &self,
        references: Vec<SchemaReference>,
    ) -> Result<Vec<String>, SourceError> {
        enum Step {
            Fetch(SchemaReference),
            Emit(String),
        }
        let mut texts = Vec::new();
        let (mut names, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut stack: Vec<Step> = references.into_iter().rev().map(Step::Fetch).collect();
        while let Some(step) = stack.pop() {
            let reference = match step {
                Step::Emit(text) => {
                    texts.push(text);
                    continue;
                }
                Step::Fetch(reference) => reference,
            };
            // Both sets, as in Confluent's registry: a name counts once, and so does a version
            // under two names.
            let place = (reference.subject.clone(), reference.version);
            if !names.insert(reference.name.clone()) || !seen.insert(place) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                return Ok(Vec::new());
            }
            let Some(body) = self.version(&reference).await? else {
                return Ok(Vec::new());
            };
            // Below its own references on the stack, so that they come first in the result.
            stack.push(Step::Emit(body.schema));
            stack.extend(body.references.into_iter().rev().map(Step::Fetch));
        }
        Ok(texts)
    }

    /// Returns the version that a reference names. The names of its own references are qualified
    /// with its context.
    async fn version(
        &self,
        reference: &SchemaReference,
    ) -> Result<Option<SchemaBody>, SourceError> {
        let options = VersionOptions {
            // A schema stays readable when a version that it references is soft-deleted.
            deleted: true,
            qualified_references: true,
            ..VersionOptions::default()
        };
        let version = self
            .client
            .version(&reference.subject, reference.version, options);
        let absent = [ErrorCode::SubjectNotFound, ErrorCode::VersionNotFound];
        found(version.await, &absent)
    }

    async fn has_subject(&self, subject: &str) -> Result<bool, SourceError> {
        let versions = self
            .client
            .versions(subject, Deleted::Exclude, Page::default());
        let versions = found(versions.await, &[ErrorCode::SubjectNotFound])?;
        Ok(versions.is_some_and(|versions| !versions.is_empty()))
    }
}

impl SchemaSource for RemoteSource {
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        Box::pin(self.look_up(id))
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(self.has_subject(subject))
    }

    fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }
}

impl Feed {
    /// Returns whether this instance has not responded before, and remembers it.
    fn is_new(&mut self, instance: Option<&str>) -> bool {
        let Some(instance) = instance else {
            return false;
        };
        if self.instances.iter().any(|known| known == instance) {
            return false;
        }
        // The oldest one; if it responds again, all schemas are looked up once more.
        if self.instances.len() >= MAX_INSTANCES {
            self.instances.pop_front();
        }
        self.instances.push_back(instance.to_owned());
        true
    }
}

/// Returns the value, or `None` when the registry rejected the request with one of these codes. A
/// 404 with any other code is a failure: a proxy or another service may have sent it.
fn found<T>(
    result: Result<T, ClientError>,
    absent: &[ErrorCode],
) -> Result<Option<T>, SourceError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if absent.iter().any(|&code| error.is(code)) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &ClientError) -> SourceError {
    SourceError {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic;

    use super::*;

    fn at(seq: u64, instance: &str, ids: Option<&[i32]>) -> FeedResponse {
        FeedResponse::At(ChangesBody {
            seq,
            instance: Some(instance.to_owned()),
            ids: ids.map(|ids| ids.iter().filter_map(|&id| SchemaId::new(id)).collect()),
        })
    }

    /// Returns the client's number and the epochs of ids 1 and 2.
    fn freshness(client: &RemoteSource) -> (u64, u64, u64) {
        let epoch = |id| client.freshness.epoch(id).load(atomic::Ordering::Acquire);
        (client.freshness.seq(), epoch(1), epoch(2))
    }

    // Conformance: contract/3m
    #[test]
    fn feed_changes_only_named_ids() {
        let client = RemoteSource::new("http://127.0.0.1:8081").unwrap();
        let apply = |response| {
            client.apply(response);
            freshness(&client)
        };
        assert_eq!(apply(at(500, "a", None)), (1, 2, 2), "the first response");
        assert_eq!(apply(at(500, "a", Some(&[]))), (1, 2, 2), "no change");
        assert_eq!(apply(at(501, "a", Some(&[2]))), (2, 2, 3));
        assert_eq!(apply(at(502, "a", Some(&[]))), (3, 2, 3), "a setting");
        assert_eq!(apply(at(503, "a", None)), (4, 3, 4), "any id");
    }

    // Conformance: contract/3f
    #[test]
    fn restored_registry_changes_every_id() {
        let client = RemoteSource::new("http://127.0.0.1:8081").unwrap();
        let apply = |response| {
            client.apply(response);
            freshness(&client)
        };
        assert_eq!(apply(at(500, "a", None)), (1, 2, 2));
        assert_eq!(apply(at(3, "a", Some(&[]))), (2, 3, 3), "a lower number");
        assert_eq!(apply(at(3, "b", Some(&[]))), (3, 4, 4), "the same number");
        assert_eq!(apply(at(9, "c", Some(&[1]))), (4, 5, 5), "a higher number");
        assert_eq!(apply(at(9, "b", Some(&[]))), (4, 5, 5), "a known instance");
    }

    // Conformance: contract/3f
    #[test]
    fn registry_without_feed_always_changes() {
        let client = RemoteSource::new("http://127.0.0.1:8081").unwrap();
        client.apply(at(500, "a", None));
        let response = (0..=10).map(|count| {
            client.apply(FeedResponse::NoFeed(count));
            freshness(&client)
        });
        let response: Vec<_> = response.collect();
        assert_eq!(response[0], (2, 3, 3), "another registry");
        assert_eq!(response[4], (6, 3, 3));
        assert_eq!(response[5], (7, 4, 4));
        assert_eq!(response[10], (12, 5, 5));
    }
}
