//! One request: URL, query, body, and its bounded, decoded response.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ClientError, Deleted, Format, Page, RegistryClient, Rejection};
use crate::error::ErrorBody;
use crate::rest;

/// A request that is not sent yet.
pub(super) struct Request<'a> {
    client: &'a RegistryClient,
    method: Method,
    url: Url,
    body: Option<serde_json::Result<Vec<u8>>>,
}

impl RegistryClient {
    /// Returns a request for the path of these segments, which are percent-encoded.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> Request<'_> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("the builder accepts only http and https URLs, which have a path")
            // A base URL that ends with a slash has an empty last segment.
            .pop_if_empty()
            .extend(segments);
        Request {
            client: self,
            method,
            url,
            body: None,
        }
    }

    pub(super) fn get(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::GET, segments)
    }

    pub(super) fn post(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::POST, segments)
    }

    pub(super) fn put(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::PUT, segments)
    }

    pub(super) fn delete(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::DELETE, segments)
    }
}

impl Request<'_> {
    /// Adds a query parameter.
    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds a query parameter that has a value.
    pub(super) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            // Without the parameter the registry uses its own default, which an empty value may not
            // be.
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a parameter once for each value.
    pub(super) fn each(self, name: &str, values: &[&str]) -> Self {
        let add = |request: Self, value: &&str| request.text(name, value);
        values.iter().fold(self, add)
    }

    /// Adds a flag that is set; the default of all flags is false.
    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        if value { self.text(name, "true") } else { self }
    }

    pub(super) fn deleted(self, deleted: Deleted) -> Self {
        self.flag("deleted", deleted == Deleted::Include)
            .flag("deletedOnly", deleted == Deleted::Only)
    }

    pub(super) fn format(self, format: Format) -> Self {
        match format {
            Format::Stored => self,
            Format::Resolved => self.text("format", "resolved"),
        }
    }

    pub(super) fn page(self, page: Page) -> Self {
        let request = match page.offset {
            0 => self,
            offset => self.text("offset", &offset.to_string()),
        };
        match page.limit {
            Some(limit) => request.text("limit", &limit.to_string()),
            None => request,
        }
    }

    pub(super) fn json<T: Serialize>(self, body: &T) -> Self {
        Self {
            // The error is returned when the request is sent, so that calls can be chained.
            body: Some(serde_json::to_vec(body)),
            ..self
        }
    }

    /// Sends the request and decodes the response body.
    pub(super) async fn send<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let url = self.shown_url();
        let body = self.read().await?;
        decode(url, &body)
    }

    /// Sends the request and returns the response body as text.
    pub(super) async fn send_for_text(self) -> Result<String, ClientError> {
        let url = self.shown_url();
        let body = self.read().await?;
        String::from_utf8(body).map_err(|error| ClientError::Invalid {
            url,
            reason: error.to_string(),
        })
    }

    /// Sends the request and discards the response body.
    pub(super) async fn send_for_nothing(self) -> Result<(), ClientError> {
        self.read().await.map(drop)
    }

    /// Sends the request and returns the body of a response with a success status.
    async fn read(self) -> Result<Vec<u8>, ClientError> {
        let url = self.shown_url();
        let (status, body) = self.read_any().await?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(rejected(url, status, &body))
        }
    }

    /// Sends the request and returns status and body of its response.
    pub(super) async fn read_any(self) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let (timeout, url) = (self.client.timeout, self.shown_url());
        // The body arrives after the head and may stall, so the timeout covers both.
        let work = async {
            let mut response = self.open().await?;
            Ok((response.status, response.rest().await?))
        };
        let in_time = tokio::time::timeout(timeout, work).await;
        in_time.unwrap_or(Err(ClientError::Timeout { url, timeout }))
    }

    /// Sends the request and returns the response once its head has arrived.
    pub(super) async fn open(self) -> Result<Response, ClientError> {
        let (url, timeout) = (self.shown_url(), self.client.timeout);
        let mut request = self.client.http.request(self.method, self.url);
        // A cache between client and registry may hold a state that another client has changed.
        request = request
            .header(ACCEPT, rest::CONTENT_TYPE)
            .header(CACHE_CONTROL, "no-cache");
        if let Some(body) = self.body {
            let body = body.map_err(|error| ClientError::Transport {
                url: url.clone(),
                reason: format!("cannot encode the request body: {error}"),
            })?;
            request = request.header(CONTENT_TYPE, rest::CONTENT_TYPE).body(body);
        }
        match request.send().await {
            Ok(response) => Ok(Response {
                status: response.status(),
                url,
                timeout,
                max_bytes: self.client.max_response_bytes,
                response,
            }),
            Err(error) => Err(ClientError::sending(url, timeout, &error)),
        }
    }

    /// Returns the URL without user name and password.
    pub(super) fn shown_url(&self) -> String {
        let mut url = self.url.clone();
        // Fails only for URLs without a host, which the builder rejects.
        let _no_host = url.set_username("").and_then(|()| url.set_password(None));
        url.into()
    }
}

/// A response whose body is read in chunks, up to the client's maximum.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    url: String,
    timeout: Duration,
    max_bytes: usize,
    response: reqwest::Response,
}

impl Response {
    /// Returns the next bytes, `None` at the end. `held` counts the bytes that the caller keeps.
    pub(super) async fn chunk(&mut self, held: usize) -> Result<Option<Bytes>, ClientError> {
        match self.response.chunk().await {
            // Counted while the body arrives: its length may be missing or wrong.
            Ok(Some(chunk)) if held.saturating_add(chunk.len()) > self.max_bytes => {
                Err(ClientError::TooLarge {
                    url: self.url.clone(),
                    max_bytes: self.max_bytes,
                })
            }
            Ok(chunk) => Ok(chunk),
            Err(error) => Err(ClientError::sending(self.url.clone(), self.timeout, &error)),
        }
    }

    /// Returns all remaining bytes.
    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(bytes.len()).await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

pub(super) fn decode<T: DeserializeOwned>(url: String, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Invalid {
        url,
        reason: error.to_string(),
    })
}

pub(super) fn rejected(url: String, status: StatusCode, body: &[u8]) -> ClientError {
    let status = status.as_u16();
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => ClientError::Rejected(Box::new(Rejection { url, status, body })),
        // A proxy or another service sent the response.
        Err(_foreign) => ClientError::Status { url, status },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_is_one_path_segment() {
        let client = RegistryClient::new("http://127.0.0.1:8081/registry/").unwrap();
        let request = client.get(&["subjects", "a/b c%", "versions"]);
        let url = "http://127.0.0.1:8081/registry/subjects/a%2Fb%20c%25/versions";
        assert_eq!(request.url.as_str(), url);
    }

    #[test]
    fn shown_url_has_no_credentials() {
        let client = RegistryClient::new("http://user:secret@registry.example/").unwrap();
        let request = client.get(&["subjects"]);
        assert_eq!(request.shown_url(), "http://registry.example/subjects");
    }
}
