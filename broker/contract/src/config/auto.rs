//! Decisions of validation level `auto`: made once per topic and record part, and never changed.
//!
//! Deleting the subject therefore leaves the contract effective. Pure: the caller stores the
//! decision and passes whether the subject exists and whether the topic is empty.

use std::fmt;

use avouch_registry_api::subject::SubjectNameStrategy;
use thiserror::Error;

use crate::config::keys::{ConfigError, ConfigValueError};
use crate::config::policy::{Level, PartPolicy};

/// Default of `avouch.auto.exclude`: internal topics, topics of failed records, and topics in which
/// Kafka Streams wraps values in a format of its own.
pub const AUTO_EXCLUDE_DEFAULT: &[&str] = &[
    "__*",
    "*-changelog",
    "*-repartition",
    "*-subscription-*-topic",
    "*-retry",
    "*-retry-*",
    "*-dlt",
    "*.DLT",
    "*-dlq",
    "dlq.*",
];

/// Maximum number of patterns in `avouch.auto.exclude`.
const PATTERNS_MAX: usize = 256;
/// Maximum length of a pattern in bytes: that of a topic name.
const PATTERN_BYTES_MAX: usize = 249;

/// A decision of `auto`, stored as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// Not decided; the empty string.
    #[default]
    Undecided,
    /// The subject appeared before the first record: `payload`.
    Payload,
    /// The subject appeared after the first record: `payload` in shadow mode, until the level is
    /// set explicitly.
    PayloadShadow,
    /// The topic is excluded: `none`.
    None,
}

/// An unknown decision.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown decision of auto {0:?}")]
pub struct UnknownDecision(pub String);

impl Decision {
    const ALL: [Self; 4] = [
        Self::Undecided,
        Self::Payload,
        Self::PayloadShadow,
        Self::None,
    ];

    /// Parses a stored decision.
    ///
    /// # Errors
    /// If it is unknown.
    pub fn parse(text: &str) -> Result<Self, UnknownDecision> {
        Self::ALL
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| UnknownDecision(text.to_owned()))
    }

    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "",
            Self::Payload => "payload",
            Self::PayloadShadow => "payload-shadow",
            Self::None => "none",
        }
    }

    /// Returns whether nothing is decided.
    #[must_use]
    pub fn is_undecided(self) -> bool {
        self == Self::Undecided
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns whether the level can be decided: it is `auto`, and the subject does not depend on a
/// record name. With a record name strategy `auto` means `none`.
#[must_use]
pub(crate) fn is_decidable(policy: &PartPolicy) -> bool {
    policy.level == Level::Auto
        && (!policy.subjects.is_empty() || policy.strategy == SubjectNameStrategy::TopicName)
}

/// Decides `auto` for the keys or values of a topic. `subject_exists` states whether one of
/// [`PartPolicy::fixed_subjects`] exists. Returns [`Decision::Undecided`] if there is nothing to
/// decide or no subject exists.
#[must_use]
pub(crate) fn decide_auto(
    policy: &PartPolicy,
    topic: &str,
    exclude: &[String],
    subject_exists: bool,
    topic_is_empty: bool,
) -> Decision {
    if !is_decidable(policy) {
        Decision::Undecided
    // Before existence, which is not looked up for excluded topics.
    } else if is_excluded(topic, exclude) {
        Decision::None
    } else if !subject_exists {
        Decision::Undecided
    } else if topic_is_empty {
        Decision::Payload
    } else {
        Decision::PayloadShadow
    }
}

/// Returns whether one of the patterns matches the whole name.
#[must_use]
pub(crate) fn is_excluded(topic: &str, exclude: &[String]) -> bool {
    exclude.iter().any(|pattern| matches(pattern, topic))
}

/// Parses the broker config `avouch.auto.exclude`: patterns separated by commas, in which `*`
/// matches any number of characters. The empty string excludes nothing.
///
/// # Errors
/// If a pattern is empty or could match no topic name, or if there are too many patterns.
pub fn parse_exclude(text: &str) -> Result<Vec<String>, ConfigError> {
    let reject = |reason| Err(ConfigError::new("avouch.auto.exclude", reason));
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let patterns: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
    if patterns.len() > PATTERNS_MAX {
        return reject(ConfigValueError::LongList {
            found: patterns.len(),
            max: PATTERNS_MAX,
        });
    }
    for pattern in &patterns {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-*".contains(&b);
        if pattern.is_empty() {
            return reject(ConfigValueError::EmptyItem);
        }
        if pattern.len() > PATTERN_BYTES_MAX || !pattern.bytes().all(legal) {
            let expected = "a topic name with or without *";
            return reject(ConfigValueError::invalid(pattern, expected));
        }
    }
    Ok(patterns)
}

/// Returns whether `pattern` matches all of `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, n));
            p += 1;
        } else if pattern.get(p) == name.get(n) {
            p += 1;
            n += 1;
        } else if let Some((star, from)) = retry {
            // Only the last `*` is tried again, so the work is at most the product of the lengths.
            retry = Some((star, from + 1));
            p = star + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::subject::RecordPart;

    use super::*;
    use crate::config::policy::Policy;

    fn defaults() -> Vec<String> {
        AUTO_EXCLUDE_DEFAULT
            .iter()
            .map(|&pattern| pattern.to_owned())
            .collect()
    }

    fn value_policy(configs: &[(&str, &'static str)]) -> PartPolicy {
        let get = |name: &str| {
            configs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|&(_, value)| value)
        };
        Policy::from_configs(get).unwrap().value
    }

    #[test]
    fn auto_depends_on_subject_and_emptiness() {
        let auto = value_policy(&[]);
        let table = [
            // topic, subject exists, topic is empty
            ("payments", true, true, Decision::Payload),
            ("payments", true, false, Decision::PayloadShadow),
            ("payments", false, true, Decision::Undecided),
            ("payments", false, false, Decision::Undecided),
            ("payments-dlq", true, true, Decision::None),
            ("payments-dlq", false, false, Decision::None),
        ];
        for (topic, exists, empty, decision) in table {
            let decided = decide_auto(&auto, topic, &defaults(), exists, empty);
            assert_eq!(decided, decision, "{topic} {exists} {empty}");
        }
    }

    #[test]
    fn only_auto_with_fixed_subjects_is_decided() {
        const STRATEGY: &str = "avouch.value.subject.name.strategy";
        let table: [(&[(&str, &'static str)], Decision); 6] = [
            (
                &[("avouch.value.validation", "payload")],
                Decision::Undecided,
            ),
            (&[("avouch.value.validation", "none")], Decision::Undecided),
            (
                &[("confluent.value.schema.validation", "true")],
                Decision::Undecided,
            ),
            (&[(STRATEGY, "RecordNameStrategy")], Decision::Undecided),
            (
                &[(STRATEGY, "TopicRecordNameStrategy")],
                Decision::Undecided,
            ),
            (
                &[
                    (STRATEGY, "RecordNameStrategy"),
                    ("avouch.value.subjects", "a,b"),
                ],
                Decision::Payload,
            ),
        ];
        for (configs, decision) in table {
            let decided = decide_auto(&value_policy(configs), "payments", &defaults(), true, true);
            assert_eq!(decided, decision, "{configs:?}");
        }
        assert!(
            !is_decidable(&Policy::default().key),
            "keys are not checked by default"
        );
    }

    #[test]
    fn fixed_subjects_ignore_record_names() {
        let subjects = |configs: &[(&str, &'static str)]| {
            value_policy(configs).fixed_subjects("payments", RecordPart::Value)
        };
        assert_eq!(subjects(&[]), ["payments-value"]);
        assert_eq!(subjects(&[("avouch.value.subjects", "a, b")]), ["a", "b"]);
        let record = subjects(&[("avouch.value.subject.name.strategy", "RecordNameStrategy")]);
        assert!(record.is_empty());
    }

    #[test]
    fn patterns_match_whole_names() {
        let table = [
            ("__consumer_offsets", true),
            ("app-store-changelog", true),
            ("app-KSTREAM-0001-repartition", true),
            (
                "app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-01-topic",
                false,
            ),
            ("app-subscription-7-topic", true),
            ("app-subscription-topic", false),
            ("orders-retry", true),
            ("orders-retry-0", true),
            ("orders-retry-1000-again", true),
            ("orders-retries", false),
            ("orders-dlt", true),
            ("orders.DLT", true),
            ("orders.dlt", false),
            ("orders-dlq", true),
            ("dlq.orders", true),
            ("my.dlq.orders", false),
            ("orders-changelog-v2", false),
            ("-changelog", true),
            ("_payments", false),
            ("payments", false),
        ];
        for (topic, excluded) in table {
            assert_eq!(is_excluded(topic, &defaults()), excluded, "{topic}");
        }
    }

    #[test]
    fn stars_match_any_run() {
        let table = [
            ("*", "", true),
            ("*", "anything", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*aab", "aaaab", true),
            ("**", "x", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, name, does) in table {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }

    #[test]
    fn excludes_are_read_from_a_list() {
        assert_eq!(parse_exclude(" a*, b ").unwrap(), ["a*", "b"]);
        assert!(parse_exclude("  ").unwrap().is_empty());
        let text = AUTO_EXCLUDE_DEFAULT.join(",");
        assert_eq!(parse_exclude(&text).unwrap(), defaults());
        for bad in ["a,,b", "a b", "é*", "a?", ","] {
            assert_eq!(
                parse_exclude(bad).unwrap_err().key,
                "avouch.auto.exclude",
                "{bad}"
            );
        }
        assert!(parse_exclude(&vec!["a"; PATTERNS_MAX + 1].join(",")).is_err());
    }

    #[test]
    fn decisions_round_trip() {
        for decision in Decision::ALL {
            assert_eq!(Decision::parse(&decision.to_string()), Ok(decision));
        }
        assert_eq!(
            Decision::Undecided.to_string(),
            "",
            "the initial value in the database"
        );
        assert!(Decision::parse("maybe").is_err());
    }
}
