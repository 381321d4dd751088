//! A policy with `auto` resolved: the effective rules of a topic.
//!
//! Invariant: an unknown decision counts as the strictest one, so corrupt metadata never disables a
//! contract.

use avouch_registry_api::subject::RecordPart;

use crate::config::auto::{self, Decision};
use crate::config::policy::{Enforcement, Level, PartPolicy, Policy};

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The schema id only.
    Id,
    /// Also the whole datum.
    Payload,
}

/// The effect of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The batch is rejected.
    Enforce,
    /// The batch passes; the violation is counted and reported.
    Shadow,
}

impl Mode {
    /// Returns `enforce` or `shadow`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// The effective rule for keys or for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Key or value.
    pub part: RecordPart,
    /// The depth of the check.
    pub depth: Depth,
    /// The effect of a violation.
    pub mode: Mode,
    /// Subjects, framing, version window and the rest of the policy.
    pub policy: &'a PartPolicy,
}

/// A topic's effective contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// The contract as configured.
    pub policy: Policy,
    /// Incremented with every change of the contract; a verdict is valid for this revision only.
    pub revision: u64,
    key_decision: Decision,
    value_decision: Decision,
}

impl EffectivePolicy {
    /// Resolves `auto` with the decisions stored with the topic.
    #[must_use]
    pub fn resolve(policy: Policy, key: &str, value: &str, revision: u64) -> Self {
        // An unknown decision is corrupt or from a newer version.
        let read = |text| Decision::parse(text).unwrap_or(Decision::Payload);
        Self {
            policy,
            revision,
            key_decision: read(key),
            value_decision: read(value),
        }
    }

    /// Returns the effective rule for keys or values, `None` if they are not checked.
    #[must_use]
    pub fn rule(&self, part: RecordPart) -> Option<Rule<'_>> {
        let policy = self.policy.part(part);
        let mode = match self.policy.enforcement {
            Enforcement::Enforce => Mode::Enforce,
            Enforcement::Shadow => Mode::Shadow,
            Enforcement::Off => return None,
        };
        let (depth, mode) = match policy.level {
            Level::None => return None,
            Level::Id => (Depth::Id, mode),
            Level::Payload => (Depth::Payload, mode),
            Level::Auto => match self.decision(part) {
                Decision::Undecided | Decision::None => return None,
                Decision::Payload => (Depth::Payload, mode),
                // The topic has records from before its contract, so its producers may not conform.
                Decision::PayloadShadow => (Depth::Payload, Mode::Shadow),
            },
        };
        Some(Rule {
            part,
            depth,
            mode,
            policy,
        })
    }

    /// Returns whether keys or values are checked.
    #[must_use]
    pub fn checks_anything(&self) -> bool {
        self.rule(RecordPart::Key).is_some() || self.rule(RecordPart::Value).is_some()
    }

    /// Returns whether `auto` of keys or of values is undecided.
    #[must_use]
    pub fn is_part_undecided(&self, part: RecordPart) -> bool {
        auto::is_decidable(self.policy.part(part)) && self.decision(part).is_undecided()
    }

    /// Returns whether any decision of `auto` is open.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.is_part_undecided(RecordPart::Key) || self.is_part_undecided(RecordPart::Value)
    }

    /// Returns whether records of this principal are not checked.
    #[must_use]
    pub fn bypasses(&self, principal: &str) -> bool {
        self.policy
            .bypass_principals
            .iter()
            .any(|bypass| bypass == principal)
    }

    fn decision(&self, part: RecordPart) -> Decision {
        match part {
            RecordPart::Key => self.key_decision,
            RecordPart::Value => self.value_decision,
        }
    }
}
