//! A registry behind HTTP, for a broker that runs apart from it. Every question goes over the
//! network; remembering answers is the caller's business. Works against any Confluent-compatible
//! registry, but hears of changes only from one that serves `GET /v1/changes`.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::{ErrorBody, ErrorCode};
use crate::rest::{ChangesBody, SchemaBody, SchemaReference, SubjectVersionBody};
use crate::source::{RegisteredSchema, SchemaSource, SourceError, SubjectVersion};

/// No answer of the registry takes longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the registry may wait for a change before it answers; less than [`REQUEST_TIMEOUT`].
const CHANGE_WAIT_MS: u64 = 1_000;
/// The pause between two questions to the change feed; a registry that does not wait bears it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
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
pub struct RegistryClient {
    base: Url,
    http: reqwest::Client,
    change_seq: AtomicU64,
}

impl RegistryClient {
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
        if base.cannot_be_a_base() || !base.scheme().starts_with("http") {
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
                    Ok(_heard) => POLL_INTERVAL,
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

    /// Asks the change feed once; returns the newest number heard so far.
    ///
    /// # Errors
    /// When the registry does not answer, or has no change feed.
    pub async fn poll_changes(&self) -> Result<u64, SourceError> {
        self.changes_within(0).await
    }

    async fn changes_within(&self, wait_ms: u64) -> Result<u64, SourceError> {
        let mut url = self.url(&["v1", "changes"]);
        let since = self.change_seq();
        url.set_query(Some(&format!("since={since}&wait_ms={wait_ms}")));
        let changes: Option<ChangesBody> = self.get(url, &[]).await?;
        let seq = changes.map_or(0, |changes| changes.seq);
        Ok(self.change_seq.fetch_max(seq, Ordering::AcqRel).max(seq))
    }

    async fn look_up(&self, id: i32) -> Result<Option<RegisteredSchema>, SourceError> {
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
            schema_type: body.schema_type.unwrap_or_default().to_string(),
            text: body.schema,
            references,
            versions,
        }))
    }

    /// Two questions, since the answer that includes deleted versions does not say which they are.
    /// The live ones are asked last: what is deleted in between counts as deleted, and what is
    /// registered in between is left out rather than taken for deleted.
    async fn versions(&self, id: i32) -> Result<Vec<SubjectVersion>, SourceError> {
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
        let versions: Option<Vec<i32>> = self.get(url, &[ErrorCode::SubjectNotFound]).await?;
        Ok(versions.is_some_and(|versions| !versions.is_empty()))
    }

    /// The decoded answer, or `None` when the registry answers with one of the codes in `absent`.
    /// A 404 with any other code is a failure: a proxy or another service may have sent it.
    async fn get<T: DeserializeOwned>(
        &self,
        url: Url,
        absent: &[ErrorCode],
    ) -> Result<Option<T>, SourceError> {
        let answer = self
            .http
            .get(url.clone())
            .send()
            .await
            .map_err(|error| sent(&url, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| sent(&url, &error))?;
        if status == StatusCode::OK {
            let decoded = serde_json::from_slice(&body);
            return decoded
                .map(Some)
                .map_err(|error| failure(format!("{url}: {error}")));
        }
        let code = serde_json::from_slice::<ErrorBody>(&body)
            .ok()
            .map(|error| error.error_code);
        if code.is_some_and(|code| absent.iter().any(|absent| absent.number() == code)) {
            return Ok(None);
        }
        Err(failure(format!("{url}: answered {status}")))
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

impl SchemaSource for RegistryClient {
    fn schema(&self, id: i32) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>> {
        Box::pin(self.look_up(id))
    }

    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(self.has_subject(subject))
    }

    fn change_seq(&self) -> u64 {
        self.change_seq.load(Ordering::Acquire)
    }
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
        let client = RegistryClient::new("http://127.0.0.1:8081/registry/").unwrap();
        let url = client.url(&["subjects", "a/b c%", "versions"]);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8081/registry/subjects/a%2Fb%20c%25/versions"
        );
    }

    #[test]
    fn an_address_without_scheme_or_host_is_refused() {
        for url in ["127.0.0.1:8081", "mailto:x", "ftp://h/"] {
            assert!(RegistryClient::new(url).is_err(), "{url}");
        }
    }
}
