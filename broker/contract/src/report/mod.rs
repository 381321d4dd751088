//! Reports of violations in addition to the response: log lines, a metric and the feed.
//!
//! Many clients show only an error code, so the reason is found here. The first violations of each
//! mode in a batch are reported one by one and the rest as a count, so that one producer cannot
//! flood the log. The number of metric labels is bounded.

pub(crate) mod fault;
pub mod feed;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntCounterVec, Opts, Registry};

use crate::check::{Findings, Violation};
use crate::report::fault::bounded;
use crate::report::feed::{Entry, Feed};
use crate::{CheckRequest, Mode};

/// Maximum number of topics with metric labels of their own; the rest count as [`OTHER_TOPICS`].
const LABELLED_TOPICS_MAX: usize = 1_000;
const OTHER_TOPICS: &str = "_other";
/// Maximum length of a reported client id or principal in bytes.
const CLIENT_BYTES_MAX: usize = 128;

/// The outputs of reports.
#[derive(Debug)]
pub(crate) struct Report {
    violations: IntCounterVec,
    labelled_topics: Mutex<HashSet<String>>,
    /// The newest violations.
    pub feed: Arc<Feed>,
}

impl Report {
    /// Registers the metric and creates a feed of `feed_entries` entries.
    ///
    /// # Errors
    /// If the metric's name is taken.
    pub(crate) fn register(
        registry: &Registry,
        feed_entries: usize,
    ) -> Result<Self, prometheus::Error> {
        let violations = IntCounterVec::new(
            Opts::new(
                "avouch_contract_violations_total",
                "Number of keys and values that violate their topic's contract.",
            ),
            &["topic", "part", "reason", "mode"],
        )?;
        registry.register(Box::new(violations.clone()))?;
        let labelled_topics = Mutex::default();
        Ok(Self {
            violations,
            labelled_topics,
            feed: Arc::new(Feed::new(feed_entries)),
        })
    }

    /// Reports the findings of a batch.
    pub(crate) fn findings(&self, request: &CheckRequest<'_>, findings: &Findings, now_ms: u64) {
        if findings.counts.is_empty() {
            return;
        }
        let topic = self.topic_label(request.topic);
        for count in &findings.counts {
            let labels = [topic, count.part.as_str(), count.code, count.mode.as_str()];
            self.violations
                .with_label_values(&labels)
                .inc_by(count.violations);
        }
        for violation in &findings.described {
            let entry = entry(request, violation, now_ms);
            log(request, &entry);
            self.feed.push(entry);
        }
        for mode in [Mode::Enforce, Mode::Shadow] {
            log_rest(request, findings, mode);
        }
    }

    fn topic_label<'t>(&self, topic: &'t str) -> &'t str {
        let mut labelled = self
            .labelled_topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Labels are never removed: a metric that disappears and returns would look like a reset.
        if labelled.contains(topic) {
            topic
        } else if labelled.len() < LABELLED_TOPICS_MAX {
            labelled.insert(topic.to_owned());
            topic
        } else {
            OTHER_TOPICS
        }
    }
}

fn entry(request: &CheckRequest<'_>, violation: &Violation, now_ms: u64) -> Entry {
    let client = |text: &str| {
        // Clients choose these texts; control characters could forge log lines.
        let printable = text
            .chars()
            .take(CLIENT_BYTES_MAX)
            .filter(|c| !c.is_control());
        bounded(printable.collect(), CLIENT_BYTES_MAX)
    };
    Entry {
        seq: 0,
        at_ms: now_ms,
        topic: request.topic.to_owned(),
        partition: request.partition.0,
        index: violation.index,
        part: violation.part.as_str(),
        mode: violation.mode.as_str(),
        reason: violation.code,
        message: violation.message.clone(),
        schema_id: violation.schema_id,
        subject: violation
            .schema
            .as_ref()
            .map(|schema| schema.subject.clone()),
        version: violation.schema.as_ref().map(|schema| schema.version.get()),
        client_id: request.client_id.map(client),
        principal: client(request.principal),
    }
}

fn log(request: &CheckRequest<'_>, entry: &Entry) {
    tracing::warn!(
        api_version = request.api_version,
        topic = entry.topic,
        partition = entry.partition,
        index = entry.index,
        client_id = entry.client_id,
        principal = entry.principal,
        mode = entry.mode,
        reason = entry.reason,
        "contract violation: {}",
        entry.message
    );
}

/// Logs the number of violations that were not logged one by one.
fn log_rest(request: &CheckRequest<'_>, findings: &Findings, mode: Mode) {
    let of_mode = findings.counts.iter().filter(|count| count.mode == mode);
    let all: u64 = of_mode.map(|count| count.violations).sum();
    let described = findings
        .described
        .iter()
        .filter(|violation| violation.mode == mode)
        .count() as u64;
    if all > described {
        tracing::warn!(
            topic = request.topic,
            partition = request.partition.0,
            mode = mode.as_str(),
            "{} more contract violations in the same batch",
            all - described
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/1
    #[test]
    fn excess_topics_share_a_label() {
        let report = Report::register(&Registry::new(), 10).unwrap();
        for n in 0..LABELLED_TOPICS_MAX {
            let topic = format!("t{n}");
            assert_eq!(report.topic_label(&topic), topic);
        }
        assert_eq!(report.topic_label("one more"), OTHER_TOPICS);
        assert_eq!(report.topic_label("t0"), "t0");
    }
}
