//! A registry behind HTTP, for a broker in another process. Every query goes over the network;
//! the caller caches the responses. Works against any Confluent-compatible registry, but receives
//! changes only from one that serves `GET /v1/changes`; any other one is taken to change all the
//! time.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::CACHE_CONTROL;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::{ErrorBody, ErrorCode};
use crate::freshness::{Changed, Freshness};
use crate::rest::{ChangesBody, SchemaBody, SchemaReference, SubjectVersionBody};
use crate::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};
use crate::types::{SchemaId, Version};

/// No answer of the registry takes longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the registry may wait for a change before it answers; less than [`REQUEST_TIMEOUT`].
const CHANGE_WAIT_MS: u64 = 1_000;
/// The pause between two questions to the change feed; a registry that does not wait bears it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How often a registry without a change feed is taken to have changed.
const NO_FEED_INTERVAL: Duration = Duration::from_secs(1);
/// Every how many of these intervals known schemas are taken to have changed: each costs lookups.
const NO_FEED_KNOWN_INTERVALS: u64 = 5;
/// Registry instances that are remembered; one behind a load balancer has a few.
const MAX_INSTANCES: usize = 64;
/// The pause after the change feed did not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Schemas that one schema may refer to, transitively.
const MAX_REFERENCES: usize = 1_000;

/// A base address that is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{url:?} is no registry address: {reason}")]
pub struct AddressError {
    /// As given.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A client of one registry.
#[derive(Debug)]
pub struct RemoteSource {
    base: Url,
    http: reqwest::Client,
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
    /// A client for the registry at `url`, such as `http://127.0.0.1:8081`. Connects on first use.
    ///
    /// # Errors
    /// When `url` is not an absolute HTTP address.
    pub fn new(url: &str) -> Result<Self, AddressError> {
        let refuse = |reason: String| AddressError {
            url: url.to_owned(),
            reason,
        };
        let base = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
        if base.scheme() == "https" {
            let reason = "TLS is not spoken here; give an http:// address, such as a local proxy's";
            return Err(refuse(reason.to_owned()));
        }
        if base.cannot_be_a_base() || base.scheme() != "http" {
            return Err(refuse("it must start with http://".to_owned()));
        }
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            base,
            http,
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
                let pause = match self.changes_within(CHANGE_WAIT_MS).await {
                    Ok(FeedResponse::NoFeed(_)) => NO_FEED_INTERVAL,
                    Ok(FeedResponse::At(_)) => POLL_INTERVAL,
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
        self.changes_within(0).await.map(drop)
    }

    async fn changes_within(&self, wait_ms: u64) -> Result<FeedResponse, SourceError> {
        let response = self.poll(wait_ms).await;
        let reachable = response.is_ok();
        if let Ok(response) = &response {
            self.apply(response.clone());
        }
        // Last: an outage ends only once the changes made during it are recorded.
        self.freshness.set_reachable(reachable);
        response
    }

    async fn poll(&self, wait_ms: u64) -> Result<FeedResponse, SourceError> {
        let mut url = self.url(&["v1", "changes"]);
        let (since, without_feed) = match &self.feed().last {
            Some(FeedResponse::At(body)) => (body.seq, 0),
            Some(FeedResponse::NoFeed(count)) => (0, count + 1),
            None => (0, 0),
        };
        url.set_query(Some(&format!("since={since}&wait_ms={wait_ms}")));
        let (status, body) = self.ask(&url).await?;
        match status {
            StatusCode::OK => decoded::<ChangesBody>(&url, &body).map(FeedResponse::At),
            StatusCode::NOT_FOUND => Ok(FeedResponse::NoFeed(without_feed)),
            _ => Err(failure(format!("{url}: answered {status}"))),
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
                    (Ordering::Equal, _) => None,
                    (Ordering::Greater, Some(ids)) => Some(Changed::Ids(ids)),
                    _ => Some(Changed::Any),
                }
            }
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
        let url = self.url(&["schemas", "ids", &id.to_string()]);
        let Some(body) = self
            .get::<SchemaBody>(url, &[ErrorCode::SchemaNotFound])
            .await?
        else {
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

    /// Two questions, since the answer that includes deleted versions does not say which they are.
    /// The live ones are asked last: what is deleted in between counts as deleted, and what is
    /// registered in between is left out rather than taken for deleted.
    async fn versions(&self, id: SchemaId) -> Result<Vec<SubjectVersion>, SourceError> {
        let live = self.url(&["schemas", "ids", &id.to_string(), "versions"]);
        let mut all = live.clone();
        all.set_query(Some("deleted=true"));
        let absent = [ErrorCode::SchemaNotFound];
        let all: Vec<SubjectVersionBody> = self.get(all, &absent).await?.unwrap_or_default();
        let live: Vec<SubjectVersionBody> = self.get(live, &absent).await?.unwrap_or_default();
        let versions = all.into_iter().map(|place| SubjectVersion {
            deleted: !live.contains(&place),
            subject: place.subject,
            version: place.version,
        });
        Ok(versions.collect())
    }

    /// Walks references depth first with an explicit stack, so that dependencies come out first
    /// and a hostile registry can neither recurse nor loop. A name that leads to two versions
    /// stands for the one that is come to first. One that leads nowhere, as imports may leave them,
    /// leaves nothing: the schema cannot be understood, however often it is asked for.
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
            stack.push(Step::Emit(body.schema));
            stack.extend(body.references.into_iter().rev().map(Step::Fetch));
        }
        Ok(texts)
    }

    /// Names in its references belong to its context, which the answer spells out.
    async fn version(
        &self,
        reference: &SchemaReference,
    ) -> Result<Option<SchemaBody>, SourceError> {
        let version = reference.version.to_string();
        let mut url = self.url(&["subjects", &reference.subject, "versions", &version]);
        url.set_query(Some("deleted=true&referenceFormat=qualified"));
        let absent = [ErrorCode::SubjectNotFound, ErrorCode::VersionNotFound];
        self.get(url, &absent).await
    }

    async fn has_subject(&self, subject: &str) -> Result<bool, SourceError> {
        let url = self.url(&["subjects", subject, "versions"]);
        let versions: Option<Vec<Version>> = self.get(url, &[ErrorCode::SubjectNotFound]).await?;
        Ok(versions.is_some_and(|versions| !versions.is_empty()))
    }

    /// The decoded answer, or `None` when the registry answers with one of the codes in `absent`.
    /// A 404 with any other code is a failure: a proxy or another service may have sent it.
    async fn get<T: DeserializeOwned>(
        &self,
        url: Url,
        absent: &[ErrorCode],
    ) -> Result<Option<T>, SourceError> {
        let (status, body) = self.ask(&url).await?;
        if status == StatusCode::OK {
            return decoded(&url, &body).map(Some);
        }
        let code = serde_json::from_slice::<ErrorBody>(&body)
            .ok()
            .map(|error| error.error_code);
        if code.is_some_and(|code| absent.iter().any(|absent| absent.number() == code)) {
            return Ok(None);
        }
        Err(failure(format!("{url}: answered {status}")))
    }

    async fn ask(&self, url: &Url) -> Result<(StatusCode, Vec<u8>), SourceError> {
        // A registry behind a load balancer may cache what another node has changed already.
        let request = self.http.get(url.clone()).header(CACHE_CONTROL, "no-cache");
        let answer = request.send().await;
        let answer = answer.map_err(|error| sent(url, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| sent(url, &error))?;
        Ok((status, body.into()))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("the constructor refused addresses without a path")
            .pop_if_empty()
            .extend(segments);
        url
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
        if self.instances.len() >= MAX_INSTANCES {
            self.instances.pop_front();
        }
        self.instances.push_back(instance.to_owned());
        true
    }
}

fn decoded<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|error| failure(format!("{url}: {error}")))
}

fn sent(url: &Url, error: &reqwest::Error) -> SourceError {
    failure(format!("{url}: {error}"))
}

fn failure(reason: String) -> SourceError {
    SourceError { reason }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic;

    use super::*;

    #[test]
    fn a_subject_is_one_path_segment() {
        let client = RemoteSource::new("http://127.0.0.1:8081/registry/").unwrap();
        let url = client.url(&["subjects", "a/b c%", "versions"]);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8081/registry/subjects/a%2Fb%20c%25/versions"
        );
    }

    #[test]
    fn an_address_without_scheme_or_host_is_refused() {
        for url in ["127.0.0.1:8081", "mailto:x", "ftp://h/", "httpx://h/"] {
            assert!(RemoteSource::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_that_needs_tls_is_refused_in_one_line() {
        let error = RemoteSource::new("https://registry.example/").unwrap_err();
        let line = error.to_string();
        assert!(line.contains("TLS is not spoken here") && line.lines().count() == 1);
    }

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
    fn the_feed_moves_only_the_ids_it_names() {
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
    fn a_restored_registry_moves_every_id() {
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
    fn a_registry_without_feed_changes_all_the_time() {
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
