//! What becomes of violations besides the answer to the producer: a log line, a metric, an entry
//! in the feed.
//!
//! Many clients show no more than an error code, so these are where people learn the reason. Of one
//! batch the first violations of each mode are told one by one, the rest as a count, so that one
//! producer cannot drown the log. Metric labels are bounded.

pub(crate) mod fault;
pub mod feed;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntCounterVec, Opts, Registry};

use crate::check::{Findings, Violation};
use crate::report::fault::bounded;
use crate::report::feed::{Entry, Feed};
use crate::{CheckRequest, Mode};

/// Topics that have metric labels of their own; the rest count as [`OTHER_TOPICS`].
const LABELLED_TOPICS_MAX: usize = 1_000;
const OTHER_TOPICS: &str = "_other";
/// The most bytes told of what a client calls itself.
const CLIENT_BYTES_MAX: usize = 128;

/// Where violations are reported.
#[derive(Debug)]
pub(crate) struct Report {
    violations: IntCounterVec,
    labelled_topics: Mutex<HashSet<String>>,
    /// The newest violations.
    pub feed: Arc<Feed>,
}

impl Report {
    /// Registers the metric; the feed keeps `feed_entries`.
    ///
    /// # Errors
    /// When the metric's name is taken.
    pub(crate) fn register(
        registry: &Registry,
        feed_entries: usize,
    ) -> Result<Self, prometheus::Error> {
        let violations = IntCounterVec::new(
            Opts::new(
                "avouch_contract_violations_total",
                "Keys and values that violate their topic's contract.",
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

    /// Reports what was found in a batch.
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
        for violation in &findings.told {
            let entry = entry(request, violation, now_ms);
            log(&entry);
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

fn log(entry: &Entry) {
    tracing::warn!(
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

/// One line for the violations of a batch that were not told one by one.
fn log_rest(request: &CheckRequest<'_>, findings: &Findings, mode: Mode) {
    let of_mode = findings.counts.iter().filter(|count| count.mode == mode);
    let all: u64 = of_mode.map(|count| count.violations).sum();
    let told = findings
        .told
        .iter()
        .filter(|violation| violation.mode == mode)
        .count() as u64;
    if all > told {
        tracing::warn!(
            topic = request.topic,
            partition = request.partition.0,
            mode = mode.as_str(),
            "{} more contract violations in the same batch",
            all - told
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/1
    #[test]
    fn topics_beyond_the_bound_share_a_label() {
        let report = Report::register(&Registry::new(), 10).unwrap();
        for n in 0..LABELLED_TOPICS_MAX {
            let topic = format!("t{n}");
            assert_eq!(report.topic_label(&topic), topic);
        }
        assert_eq!(report.topic_label("one more"), OTHER_TOPICS);
        assert_eq!(report.topic_label("t0"), "t0");
    }
}
