//! The routes under `/v1` that only Avouch has: changes, plans, histories, export and import.

use std::collections::VecDeque;
use std::time::Duration;

use super::request::{Response, decode, rejected};
use super::{ClientError, Page, RegistryClient};
use crate::records::{ImportBody, ImportRequest, Record};
use crate::rest::{ChangesBody, PlanBody, PlanRequest, RejectedPlanBody, SchemaBody, VersionBody};
use crate::types::Version;

/// The outcome of [`RegistryClient::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// All schemas are registered.
    Applied(PlanBody),
    /// Nothing was registered because a step was rejected.
    Rejected(Box<RejectedPlanBody>),
}

impl RegistryClient {
    /// Returns the registry's change sequence as soon as it exceeds `since`, at the latest after
    /// `wait`, which must be shorter than the client's timeout: `GET /v1/changes`.
    ///
    /// # Errors
    /// Code 404 when the registry reports no changes; see [`ClientError`].
    pub async fn changes(&self, since: u64, wait: Duration) -> Result<ChangesBody, ClientError> {
        self.get(&["v1", "changes"])
            .text("since", &since.to_string())
            .text("wait_ms", &wait.as_millis().to_string())
            .send()
            .await
    }

    /// Returns what registering these schemas would do, without writing: `POST /v1/plan`.
    ///
    /// # Errors
    /// See [`ClientError`]. A step that would be rejected is part of the result.
    pub async fn plan(&self, request: &PlanRequest) -> Result<PlanBody, ClientError> {
        self.post(&["v1", "plan"]).json(request).send().await
    }

    /// Registers all of these schemas or none: `POST /v1/apply`.
    ///
    /// # Errors
    /// See [`ClientError`]. A rejected step is part of the result.
    pub async fn apply(&self, request: &PlanRequest) -> Result<ApplyOutcome, ClientError> {
        let request = self.post(&["v1", "apply"]).json(request);
        let url = request.shown_url();
        let (status, body) = request.read_any().await?;
        if status.is_success() {
            return decode(url, &body).map(ApplyOutcome::Applied);
        }
        // A rejected plan is an error response with the plan in it; any other error has no plan.
        match serde_json::from_slice(&body) {
            Ok(plan) => Ok(ApplyOutcome::Rejected(Box::new(plan))),
            Err(_other) => Err(rejected(url, status, &body)),
        }
    }

    /// Returns the versions of a subject with their times, soft-deleted ones included, without
    /// their schemas: `GET /v1/subjects/{subject}/versions`.
    ///
    /// # Errors
    /// Code 40401 when there is no such subject; see [`ClientError`].
    pub async fn history(
        &self,
        subject: &str,
        page: Page,
    ) -> Result<Vec<VersionBody>, ClientError> {
        let request = self.get(&["v1", "subjects", subject, "versions"]);
        request.page(page).send().await
    }

    /// Restores a soft-deleted version: `POST /v1/subjects/{subject}/versions/{version}/undelete`.
    /// With `force`, without a compatibility check.
    ///
    /// # Errors
    /// Code 409 or 40901 when the version is incompatible with live ones; see [`ClientError`].
    pub async fn undelete(
        &self,
        subject: &str,
        version: Version,
        force: bool,
    ) -> Result<SchemaBody, ClientError> {
        let version = version.to_string();
        let path = ["v1", "subjects", subject, "versions", &version, "undelete"];
        self.post(&path).flag("force", force).send().await
    }

    /// Starts an export of the registry's whole content: `GET /v1/export`. The timeout applies to
    /// each read, since the size is unbounded.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn export(&self) -> Result<Export, ClientError> {
        let request = self.get(&["v1", "export"]);
        let url = request.shown_url();
        let mut response = request.open().await?;
        if !response.status.is_success() {
            return Err(rejected(url, response.status, &response.rest().await?));
        }
        Ok(Export {
            url,
            response,
            lines: Lines::default(),
        })
    }

    /// Stores records of an export, or of Confluent's topic `_schemas`, and returns their number:
    /// `POST /v1/import`. The registry must be in mode `IMPORT`.
    ///
    /// # Errors
    /// Code 42205 in another mode; see [`ClientError`]. Nothing is stored then.
    pub async fn import(&self, records: Vec<Record>) -> Result<usize, ClientError> {
        let request = self.post(&["v1", "import"]);
        let body: ImportBody = request.json(&ImportRequest { records }).send().await?;
        Ok(body.imported)
    }
}

/// An export in progress.
#[derive(Debug)]
pub struct Export {
    url: String,
    response: Response,
    lines: Lines,
}

impl Export {
    /// Returns the next record, `None` after the last one.
    ///
    /// # Errors
    /// [`ClientError`] when the connection fails, or the export ends before it is complete.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            if let Some(line) = self.lines.complete.pop_front() {
                return decode(self.url.clone(), &line).map(Some);
            }
            match self.response.chunk(self.lines.partial.len()).await? {
                Some(bytes) => self.lines.push(&bytes),
                // A response that a proxy cuts off may end without an error.
                None if self.lines.is_closed => return Ok(None),
                None => {
                    return Err(ClientError::Invalid {
                        url: self.url.clone(),
                        reason: "the export ended before it was complete".to_owned(),
                    });
                }
            }
        }
    }
}

/// Splits a JSON array with one element a line into its elements. Invariant: an element is reported
/// once its line is complete.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    complete: VecDeque<Vec<u8>>,
    is_closed: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        // A chunk of the body may end anywhere in a line.
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.partial);
            let line = line.trim_ascii_end();
            // The separator is at the end of each line but the last element.
            match line.strip_suffix(b",").unwrap_or(line) {
                b"" | b"[" => {}
                b"]" => self.is_closed = true,
                element => self.complete.push_back(element.to_vec()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/rule-15
    #[test]
    fn elements_are_found_at_every_split() {
        let text = b"[\n{\"a\":1},\n{\"b\":2}\n]\n";
        for split in 0..text.len() {
            let mut lines = Lines::default();
            lines.push(&text[..split]);
            assert!(!lines.is_closed, "before the end");
            lines.push(&text[split..]);
            assert!(lines.is_closed);
            assert_eq!(lines.complete, [b"{\"a\":1}", b"{\"b\":2}"]);
        }
        let mut truncated = Lines::default();
        truncated.push(b"[\n{},\n");
        assert!(!truncated.is_closed);
    }
}
