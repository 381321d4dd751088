//! What `auto` comes to: decided once per topic and half, kept by the caller as text, never changed
//! afterwards.
//!
//! Deleting the subject therefore leaves the contract in force. Knows neither the registry nor the
//! log; it is told whether the subject exists and whether the topic is empty.

use std::fmt;

use avouch_registry_api::subject::SubjectNameStrategy;
use thiserror::Error;

use crate::config::keys::ConfigError;
use crate::config::policy::{Level, PartPolicy};

/// `avouch.auto.exclude` when nobody sets it: topics that hold what is broken, or what Kafka
/// Streams wraps in bytes of its own.
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

/// The most patterns that `avouch.auto.exclude` lists.
const PATTERNS_MAX: usize = 256;
/// The longest pattern, in bytes: as long as a topic's name.
const PATTERN_BYTES_MAX: usize = 249;

/// What `auto` was decided to be. Kept as its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// Not decided; kept as the empty text, that is, not at all.
    #[default]
    Undecided,
    /// The subject appeared before the first record: `payload`.
    Payload,
    /// The subject appeared after the first record: `payload`, in shadow until somebody sets the
    /// level.
    PayloadShadow,
    /// The topic is excluded: `none`.
    None,
}

/// A text that is no decision.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a decision of auto")]
pub struct UnknownDecision(pub String);

impl Decision {
    const ALL: [Self; 4] = [
        Self::Undecided,
        Self::Payload,
        Self::PayloadShadow,
        Self::None,
    ];

    /// Reads a decision's text.
    ///
    /// # Errors
    /// When it is none of the four.
    pub fn parse(text: &str) -> Result<Self, UnknownDecision> {
        Self::ALL
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| UnknownDecision(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "",
            Self::Payload => "payload",
            Self::PayloadShadow => "payload-shadow",
            Self::None => "none",
        }
    }

    /// Whether there is nothing to keep.
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

/// Whether a half of the records is waiting for a decision: its level is `auto`, and not under a
/// record strategy, where `auto` means `none` for as long as that strategy stands.
#[must_use]
pub(crate) fn is_decidable(policy: &PartPolicy) -> bool {
    policy.level == Level::Auto
        && (!policy.subjects.is_empty() || policy.strategy == SubjectNameStrategy::TopicName)
}

/// Decides `auto` for one half of a topic's records, once it is known whether one of its subjects
/// ([`PartPolicy::fixed_subjects`]) exists. [`Decision::Undecided`] when there is nothing to decide
/// or nothing to decide it by.
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

/// Whether one of the patterns matches the whole name.
#[must_use]
pub(crate) fn is_excluded(topic: &str, exclude: &[String]) -> bool {
    exclude.iter().any(|pattern| matches(pattern, topic))
}

/// Reads the broker config `avouch.auto.exclude`: patterns separated by commas, `*` standing for
/// any run of characters, even none. The empty text excludes nothing.
///
/// # Errors
/// When a pattern is empty, too long or could match no topic's name, or there are too many.
pub fn parse_exclude(text: &str) -> Result<Vec<String>, ConfigError> {
    let refuse = |reason| Err(ConfigError::new("avouch.auto.exclude", reason));
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let patterns: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
    if patterns.len() > PATTERNS_MAX {
        return refuse(format!(
            "{} patterns, at most {PATTERNS_MAX} fit",
            patterns.len()
        ));
    }
    for pattern in &patterns {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-*".contains(&b);
        if pattern.is_empty() {
            return refuse("a pattern is empty".to_owned());
        }
        if pattern.len() > PATTERN_BYTES_MAX || !pattern.bytes().all(legal) {
            return refuse(format!("{pattern:?} matches no topic's name"));
        }
    }
    Ok(patterns)
}

/// Whether `pattern` matches all of `name`. After a mismatch only the last `*` is tried again, so
/// the work is bounded by the product of the lengths.
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
    use avouch_registry_api::subject::Part;

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
    fn auto_is_payload_before_the_first_record_and_shadow_after() {
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
    fn only_auto_with_a_subject_known_beforehand_is_decided() {
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
    fn fixed_subjects_are_the_listed_ones_or_the_topics() {
        let subjects = |configs: &[(&str, &'static str)]| {
            value_policy(configs).fixed_subjects("payments", Part::Value)
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
    fn a_decision_survives_its_text() {
        for decision in Decision::ALL {
            assert_eq!(Decision::parse(&decision.to_string()), Ok(decision));
        }
        assert_eq!(
            Decision::Undecided.to_string(),
            "",
            "what a new topic's row holds"
        );
        assert!(Decision::parse("maybe").is_err());
    }
}
