//! The names of a topic's contract configs: ours and the aliases of other systems, with values and
//! defaults, as tools list them.
//!
//! Invariant: writing every default back changes nothing, because tools that edit one config read
//! the whole list and write it whole. So the aliases and everything optional default to the empty
//! text, which means "not set". Reading a value is `parse`'s matter.

use thiserror::Error;

/// One config that a topic can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigDef {
    /// Its name.
    pub name: &'static str,
    /// The values it takes, in words.
    pub values: &'static str,
    /// Its value when nobody sets it.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Why a config was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The config's name.
    pub key: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// Every contract config of a topic, sorted by name.
pub const CONFIGS: &[ConfigDef] = &[
    def(
        "avouch.bypass.principals",
        "principals separated by semicolons, each Type:name",
        "",
        "Principals whose records are not checked, such as replicators.",
    ),
    def(
        "avouch.enforcement",
        ENFORCEMENT,
        "enforce",
        "What a violation comes to.",
    ),
    def(
        "avouch.key.framing",
        FRAMING,
        "any",
        "Where a key names its schema.",
    ),
    def(
        "avouch.key.null",
        ALLOWED,
        "allow",
        "Whether records without a key pass.",
    ),
    def(
        "avouch.key.subject.name.strategy",
        STRATEGY,
        "TopicNameStrategy",
        SUBJECT_DOC,
    ),
    def("avouch.key.subjects", SUBJECTS, "", SUBJECTS_DOC),
    def(
        "avouch.key.validation",
        LEVEL,
        "none",
        "How far keys are checked.",
    ),
    def(
        "avouch.key.version.max",
        VERSION,
        "",
        "The newest subject version that keys may have.",
    ),
    def(
        "avouch.key.version.min",
        VERSION,
        "",
        "The oldest subject version that keys may have.",
    ),
    def(
        "avouch.on.violation",
        "reject",
        "reject",
        "What becomes of a violating record.",
    ),
    def(
        "avouch.quarantine.topic",
        "not served yet",
        "",
        "Where quarantined records go. Quarantine is not served yet.",
    ),
    def(
        "avouch.value.framing",
        FRAMING,
        "any",
        "Where a value names its schema.",
    ),
    def(
        "avouch.value.null",
        ALLOWED,
        "allow",
        "Whether tombstones pass.",
    ),
    def(
        "avouch.value.subject.name.strategy",
        STRATEGY,
        "TopicNameStrategy",
        SUBJECT_DOC,
    ),
    def("avouch.value.subjects", SUBJECTS, "", SUBJECTS_DOC),
    def(
        "avouch.value.validation",
        LEVEL,
        "auto",
        "How far values are checked.",
    ),
    def(
        "avouch.value.version.max",
        VERSION,
        "",
        "The newest subject version of values.",
    ),
    def(
        "avouch.value.version.min",
        VERSION,
        "",
        "The oldest subject version of values.",
    ),
    def(
        "avouch.version.deleted",
        ALLOWED,
        "allow",
        "Whether soft-deleted versions pass.",
    ),
    def("confluent.key.schema.validation", BOOLEAN, "", LEVEL_ALIAS),
    def(
        "confluent.key.subject.name.strategy",
        STRATEGY,
        "",
        STRATEGY_ALIAS,
    ),
    def(
        "confluent.value.schema.validation",
        BOOLEAN,
        "",
        LEVEL_ALIAS,
    ),
    def(
        "confluent.value.subject.name.strategy",
        STRATEGY,
        "",
        STRATEGY_ALIAS,
    ),
    def(
        "redpanda.key.schema.id.validation",
        BOOLEAN,
        "",
        LEVEL_ALIAS,
    ),
    def(
        "redpanda.key.subject.name.strategy",
        STRATEGY,
        "",
        STRATEGY_ALIAS,
    ),
    def(
        "redpanda.value.schema.id.validation",
        BOOLEAN,
        "",
        LEVEL_ALIAS,
    ),
    def(
        "redpanda.value.subject.name.strategy",
        STRATEGY,
        "",
        STRATEGY_ALIAS,
    ),
    def(
        "warpstream.schema.validation.warning.only",
        BOOLEAN,
        "",
        "Alias of avouch.enforcement: true means shadow, false means enforce.",
    ),
];

/// Whether `name` is a contract config of topics.
#[must_use]
pub fn is_contract_key(name: &str) -> bool {
    CONFIGS.iter().any(|def| def.name == name)
}

/// The refusal of a name that no config has, with the nearest contract config as a suggestion.
#[must_use]
pub fn unknown_key(name: &str) -> ConfigError {
    /// Below this likeness a suggestion would only confuse.
    const ALIKE: f64 = 0.9;
    let nearest = CONFIGS
        .iter()
        .map(|def| (strsim::jaro_winkler(name, def.name), def.name))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|&(likeness, _)| likeness >= ALIKE);
    let hint = nearest.map_or(String::new(), |(_, near)| format!("; did you mean {near}?"));
    ConfigError::new(name, format!("Unknown topic config name: {name}{hint}"))
}

const LEVEL: &str = "auto, none, id or payload";
const ENFORCEMENT: &str = "enforce, shadow or off";
const FRAMING: &str = "prefix, header or any";
const ALLOWED: &str = "allow or reject";
const BOOLEAN: &str = "true or false";
const VERSION: &str = "a subject version, 1 and up";
const SUBJECTS: &str = "subjects separated by commas";
const STRATEGY: &str = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy, short or \
                        as io.confluent.kafka.serializers.subject.* class name";
const SUBJECT_DOC: &str = "How the subject of a schema is named.";
const SUBJECTS_DOC: &str = "The subjects whose schemas pass; replaces the strategy.";
const LEVEL_ALIAS: &str = "Alias of our validation: true means payload, false means none.";
const STRATEGY_ALIAS: &str = "Alias of our subject.name.strategy.";

const fn def(
    name: &'static str,
    values: &'static str,
    default: &'static str,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        values,
        default,
        doc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_knows_its_own_names() {
        assert!(CONFIGS.is_sorted_by_key(|def| def.name));
        assert!(CONFIGS.iter().all(|def| is_contract_key(def.name)));
        for name in ["avouch.value", "retention.ms", "avouch.auto.exclude", ""] {
            assert!(!is_contract_key(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let table = [
            ("avouch.value.validaton", Some("avouch.value.validation")),
            ("avouch.enforcment", Some("avouch.enforcement")),
            (
                "confluent.value.schema.validations",
                Some("confluent.value.schema.validation"),
            ),
            ("zzz", None),
        ];
        for (name, near) in table {
            let error = unknown_key(name);
            assert_eq!(error.key, name);
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            assert_eq!(
                error.reason,
                format!("Unknown topic config name: {name}{hint}")
            );
        }
    }
}
