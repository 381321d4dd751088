//! A topic's contract as values: which keys and values pass, and what a violation costs.
//!
//! `configs` owns the names, `parse` the way from configs to a [`Policy`], `auto` what `auto` comes
//! to, `effective` the policy with `auto` resolved. Knows no schema and no record.

use avouch_registry_api::subject::{Part, SubjectNameStrategy};
use avouch_registry_api::types::Version;

/// How far one half of the records is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Decided when the topic's subject appears.
    Auto,
    /// Not at all.
    None,
    /// The schema id exists and belongs to the subject.
    Id,
    /// Also the whole datum decodes, exactly to its last byte.
    Payload,
}

/// What a violation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// The batch is refused.
    Enforce,
    /// The batch passes; the violation is counted and reported.
    Shadow,
    /// Nothing is checked.
    Off,
}

/// Where a key or value may name its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In a prefix of the payload only.
    Prefix,
    /// In a record header only; the whole payload is the datum.
    Header,
    /// In the header when there is one, else in a prefix.
    Any,
}

/// What keys, or values, must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPolicy {
    /// How far they are checked.
    pub level: Level,
    /// How their subject is named.
    pub strategy: SubjectNameStrategy,
    /// The subjects that pass instead of the strategy's; empty leaves the strategy in force.
    pub subjects: Vec<String>,
    /// Where they name their schema.
    pub framing: Framing,
    /// Whether null passes.
    pub null_allowed: bool,
    /// The oldest subject version that passes.
    pub version_min: Option<Version>,
    /// The newest subject version that passes.
    pub version_max: Option<Version>,
    /// Whether soft-deleted versions pass.
    pub deleted_allowed: bool,
}

/// A topic's contract as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a violation comes to.
    pub enforcement: Enforcement,
    /// Principals whose records are not checked, such as `User:mirror`.
    pub bypass_principals: Vec<String>,
    /// What keys must be.
    pub key: PartPolicy,
    /// What values must be.
    pub value: PartPolicy,
}

impl Policy {
    /// What one half of the records must be.
    #[must_use]
    pub fn part(&self, part: Part) -> &PartPolicy {
        match part {
            Part::Key => &self.key,
            Part::Value => &self.value,
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
            strategy: SubjectNameStrategy::TopicName,
            subjects: Vec::new(),
            framing: Framing::Any,
            null_allowed: true,
            version_min: None,
            version_max: None,
            deleted_allowed: true,
        }
    }

    /// The subjects known without looking at a schema: the listed ones, or that of the topic's
    /// name. None under the record strategies.
    #[must_use]
    pub fn fixed_subjects(&self, topic: &str, part: Part) -> Vec<String> {
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
