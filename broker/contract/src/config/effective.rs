//! A policy with `auto` resolved: what is really checked, and whether a violation refuses.
//!
//! Invariant: a decision that cannot be read is taken for the strictest one, so that damaged
//! metadata never opens a topic.

use avouch_registry_api::subject::Part;

use crate::config::auto::{self, Decision};
use crate::config::policy::{Enforcement, Level, PartPolicy, Policy};

/// How far a half that is checked is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its schema id.
    Id,
    /// The whole datum, too.
    Payload,
}

/// What a violation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The batch is refused.
    Enforce,
    /// The batch passes; the violation is counted and reported.
    Shadow,
}

impl Mode {
    /// `enforce` or `shadow`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// What is in force for one half of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Which half.
    pub part: Part,
    /// How far it is checked.
    pub depth: Depth,
    /// What a violation comes to.
    pub mode: Mode,
    /// Its subjects, framing, window and the like.
    pub policy: &'a PartPolicy,
}

/// A topic's contract in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// The contract as configured.
    pub policy: Policy,
    /// Grows with every change of the contract; a verdict is good for this revision only.
    pub revision: u64,
    key_decision: Decision,
    value_decision: Decision,
}

impl EffectivePolicy {
    /// Resolves `auto` by the decisions kept with the topic, as their texts.
    #[must_use]
    pub fn resolve(policy: Policy, key: &str, value: &str, revision: u64) -> Self {
        let read = |text| Decision::parse(text).unwrap_or(Decision::Payload);
        Self {
            policy,
            revision,
            key_decision: read(key),
            value_decision: read(value),
        }
    }

    /// What is in force for one half, `None` when it is not checked.
    #[must_use]
    pub fn rule(&self, part: Part) -> Option<Rule<'_>> {
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

    /// Whether any half is checked.
    #[must_use]
    pub fn checks_anything(&self) -> bool {
        self.rule(Part::Key).is_some() || self.rule(Part::Value).is_some()
    }

    /// Whether `auto` of this half is still to be decided.
    #[must_use]
    pub fn is_part_undecided(&self, part: Part) -> bool {
        auto::is_decidable(self.policy.part(part)) && self.decision(part).is_undecided()
    }

    /// Whether `auto` of any half is still to be decided.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.is_part_undecided(Part::Key) || self.is_part_undecided(Part::Value)
    }

    /// Whether records of this principal are not checked.
    #[must_use]
    pub fn bypasses(&self, principal: &str) -> bool {
        self.policy
            .bypass_principals
            .iter()
            .any(|bypass| bypass == principal)
    }

    fn decision(&self, part: Part) -> Decision {
        match part {
            Part::Key => self.key_decision,
            Part::Value => self.value_decision,
        }
    }
}
