//! A registry behind HTTP, for a broker that runs apart from it. Every question goes over the
//! network; remembering answers is the caller's business. Works against any Confluent-compatible
//! registry, but hears of changes only from one that serves `GET /v1/changes`; of any other it
//! takes for granted that it changes all the time.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::{ErrorBody, ErrorCode};
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
    change_seq: AtomicU64,
    reset_seq: AtomicU64,
    feed: Mutex<Feed>,
}

/// What the change feed said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    NeverHeard,
    /// The registry's own change number.
    At(u64),
    /// The registry answers, but serves no feed.
    None,
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
            change_seq: AtomicU64::new(0),
            reset_seq: AtomicU64::new(0),
            feed: Mutex::new(Feed::NeverHeard),
        })
    }

    /// Asks the change feed until `shutdown` completes, so that [`SchemaSource::change_seq`]
    /// follows the registry at once: each question waits there for news. A registry that does not
    /// answer is asked again.
    pub async fn follow_changes(&self, shutdown: impl Future<Output = ()>) {
        let follow = async {
            loop {
                // A failed poll changes nothing: what was heard stays true until more is heard.
                let pause = match self.changes_within(CHANGE_WAIT_MS).await {
                    Ok(Feed::None) => NO_FEED_INTERVAL,
                    Ok(Feed::At(_) | Feed::NeverHeard) => POLL_INTERVAL,
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

    /// Asks the change feed once: [`SchemaSource::change_seq`] has grown then if anything changed
    /// since it was last asked, or if the registry has no feed that could tell.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn poll_changes(&self) -> Result<(), SourceError> {
        self.changes_within(0).await.map(drop)
    }

    async fn changes_within(&self, wait_ms: u64) -> Result<Feed, SourceError> {
        let mut url = self.url(&["v1", "changes"]);
        let since = match self.feed() {
            Feed::At(seq) => seq,
            Feed::NeverHeard | Feed::None => 0,
        };
        url.set_query(Some(&format!("since={since}&wait_ms={wait_ms}")));
        let (status, body) = self.ask(&url).await?;
        let heard = match status {
            StatusCode::OK => Feed::At(decoded::<ChangesBody>(&url, &body)?.seq),
            StatusCode::NOT_FOUND => Feed::None,
            _ => return Err(failure(format!("{url}: answered {status}"))),
        };
        self.hear(heard);
        Ok(heard)
    }

    /// Takes in what the feed said. Our own number grows whenever the registry's is another one: a
    /// registry that was emptied or put back counts from a lower number.
    fn hear(&self, heard: Feed) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *feed != heard || heard == Feed::None;
        let is_reset = match (*feed, heard) {
            (Feed::At(before), Feed::At(now)) => now < before,
            (Feed::None, Feed::None) => false,
            _ => true,
        };
        if is_news {
            let seq = self.change_seq() + 1;
            // In this order: whoever sees the new number sees the reset.
            if is_reset {
                self.reset_seq.store(seq, Ordering::Release);
            }
            self.change_seq.store(seq, Ordering::Release);
        }
        *feed = heard;
    }

    fn feed(&self) -> Feed {
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner)
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
        let answer = self.http.get(url.clone()).send().await;
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

    fn change_seq(&self) -> u64 {
        self.change_seq.load(Ordering::Acquire)
    }

    fn reset_seq(&self) -> u64 {
        self.reset_seq.load(Ordering::Acquire)
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

    // Conformance: contract/3f
    #[test]
    fn a_registry_that_counts_anew_or_serves_no_feed_is_heard_of() {
        let client = RemoteSource::new("http://127.0.0.1:8081").unwrap();
        let hear = |feed| {
            client.hear(feed);
            (client.change_seq(), client.reset_seq())
        };
        assert_eq!(hear(Feed::At(500)), (1, 1), "heard for the first time");
        assert_eq!(hear(Feed::At(500)), (1, 1));
        assert_eq!(hear(Feed::At(501)), (2, 1));
        assert_eq!(hear(Feed::At(3)), (3, 3), "emptied");
        assert_eq!(hear(Feed::None), (4, 4), "another registry");
        assert_eq!(hear(Feed::None), (5, 4), "it may have changed");
    }
}
