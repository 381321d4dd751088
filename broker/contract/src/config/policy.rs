//! A topic's contract as values: the requirements on keys and values, and the effect of a
//! violation.
//!
//! `keys` lists the configs, `parse` parses them into a [`Policy`], `auto` decides level `auto`,
//! and `effective` combines both. Knows no schema and no record.

use avouch_avro::validator::Budget;
use avouch_registry_api::subject::{RecordPart, SubjectNameStrategy};
use avouch_registry_api::types::Version;

/// The validation level of keys or of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Decided when the topic's subject appears.
    Auto,
    /// Nothing is checked.
    None,
    /// The schema id exists and belongs to the subject.
    Id,
    /// Also the whole datum decodes, exactly to its last byte.
    Payload,
}

/// The effect of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// The batch is rejected.
    Enforce,
    /// The batch passes; the violation is counted and reported.
    Shadow,
    /// Nothing is checked.
    Off,
}

/// The location of the schema id of a key or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In a prefix of the payload only.
    Prefix,
    /// In a record header only; the whole payload is the datum.
    Header,
    /// In the header when there is one, else in a prefix.
    Any,
}

/// The requirements on keys or on values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPolicy {
    /// The validation level.
    pub level: Level,
    /// The subject name strategy.
    pub strategy: SubjectNameStrategy,
    /// The allowed subjects; if empty, the strategy determines the subject.
    pub subjects: Vec<String>,
    /// The location of the schema id.
    pub framing: Framing,
    /// True if null is allowed.
    pub null_allowed: bool,
    /// The minimum subject version.
    pub version_min: Option<Version>,
    /// The maximum subject version.
    pub version_max: Option<Version>,
    /// True if soft-deleted versions are allowed.
    pub deleted_allowed: bool,
    /// The limits of one datum.
    pub budget: Budget,
}

/// A topic's contract as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The effect of a violation.
    pub enforcement: Enforcement,
    /// Principals whose records are not checked, such as `User:mirror`.
    pub bypass_principals: Vec<String>,
    /// The requirements on keys.
    pub key: PartPolicy,
    /// The requirements on values.
    pub value: PartPolicy,
}

impl Policy {
    /// Returns the requirements on keys or on values.
    #[must_use]
    pub fn part(&self, part: RecordPart) -> &PartPolicy {
        match part {
            RecordPart::Key => &self.key,
            RecordPart::Value => &self.value,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enforcement: Enforcement::Enforce,
            bypass_principals: Vec::new(),
            key: PartPolicy::default_with(Level::None),
            value: PartPolicy::default_with(Level::Auto),
        }
    }
}

impl PartPolicy {
    fn default_with(level: Level) -> Self {
        Self {
            level,
            // The default of Confluent's serializers.
            strategy: SubjectNameStrategy::TopicName,
            subjects: Vec::new(),
            framing: Framing::Any,
            null_allowed: true,
            version_min: None,
            version_max: None,
            deleted_allowed: true,
            budget: Budget::default(),
        }
    }

    /// Returns the subjects that do not depend on a record name: the listed ones, or that of the
    /// topic name. Empty with a record name strategy.
    #[must_use]
    pub fn fixed_subjects(&self, topic: &str, part: RecordPart) -> Vec<String> {
        if self.subjects.is_empty() {
            self.strategy
                .subject(topic, part, None)
                .into_iter()
                .collect()
        } else {
            self.subjects.clone()
        }
    }
}
