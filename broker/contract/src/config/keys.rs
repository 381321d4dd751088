//! The contract configs of a topic: Avouch's names and the aliases of other systems, with values
//! and defaults, as tools list them. `parse` parses the values.
//!
//! Invariant: setting every config to its default changes nothing, because tools that edit one
//! config read all of them and write all of them. Aliases and optional configs therefore default to
//! the empty string, which means "not set".

use avouch_registry_api::types::Version;
use thiserror::Error;

/// One config that a topic can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigDef {
    /// Its name.
    pub name: &'static str,
    /// The accepted values, for documentation.
    pub values: &'static str,
    /// The type of the values.
    pub value_type: ValueType,
    /// Its default.
    pub default: &'static str,
    /// Its documentation.
    pub doc: &'static str,
}

/// The type of a config's values. Every default is a value of its type, so a config without default
/// is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Any string.
    Text,
    /// A list with this separator.
    List(char),
    /// A 32-bit integer from `min` to `max`.
    Integer {
        /// The minimum.
        min: i32,
        /// The maximum.
        max: i32,
    },
}

/// A rejected config.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The config's name.
    pub key: String,
    /// The reason.
    pub reason: ConfigValueError,
}

/// The reason why a config is rejected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigValueError {
    /// The value is not among the accepted ones.
    #[error("invalid value {found:?}; expected {expected}")]
    Invalid {
        /// The value, or the list item.
        found: String,
        /// The accepted values.
        expected: &'static str,
    },
    /// Another config of the same meaning has another value.
    #[error("{found:?} contradicts {other}")]
    Contradiction {
        /// The value.
        found: String,
        /// The name of the other config.
        other: String,
    },
    /// A minimum exceeds its maximum.
    #[error("{min} exceeds {max_key}, which is {max}")]
    EmptyRange {
        /// The minimum.
        min: Version,
        /// The name of the maximum.
        max_key: String,
        /// The maximum.
        max: Version,
    },
    /// A list has an empty item.
    #[error("the list has an empty item")]
    EmptyItem,
    /// A list item is too long.
    #[error("a list item has {found} bytes; the maximum is {max}")]
    LongItem {
        /// The length in bytes.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// A list has too many items.
    #[error("the list has {found} items; the maximum is {max}")]
    LongList {
        /// The number of items.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The feature is not supported.
    #[error("{0} is not supported yet")]
    Unsupported(&'static str),
    /// No config has this name.
    #[error("Unknown topic config name: {name}{}", suggestion(*.nearest))]
    UnknownName {
        /// The name.
        name: String,
        /// A similar name.
        nearest: Option<&'static str>,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("; did you mean {name}?"))
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, reason: ConfigValueError) -> Self {
        Self {
            key: key.into(),
            reason,
        }
    }
}

impl ConfigValueError {
    pub(crate) fn invalid(found: impl Into<String>, expected: &'static str) -> Self {
        Self::Invalid {
            found: found.into(),
            expected,
        }
    }
}

/// Every contract config of a topic, sorted by name.
pub const CONFIGS: &[ConfigDef] = &[
    list(
        "avouch.bypass.principals",
        "principals separated by semicolons, each Type:name",
        // Not commas, because the names of principals contain them.
        ';',
        "Principals whose records are not checked, such as replicators.",
    ),
    integer(
        "avouch.datum.depth.max",
        DEPTH,
        // The validator does not count the depth of schemas that nest less.
        (64, DEPTH_MAX),
        "1000",
        "Maximum nesting of records, arrays and maps in a datum. Java reads the default.",
    ),
    integer(
        "avouch.datum.items.max",
        ITEMS,
        (1, ITEMS_MAX),
        "1000000",
        "Maximum number of array items and map entries in a datum.",
    ),
    def(
        "avouch.enforcement",
        ENFORCEMENT,
        "enforce",
        "The effect of a violation.",
    ),
    def(
        "avouch.key.framing",
        FRAMING,
        "any",
        "Location of a key's schema id.",
    ),
    def(
        "avouch.key.null",
        ALLOWED,
        "allow",
        "Allow or reject records without a key.",
    ),
    def(
        "avouch.key.subject.name.strategy",
        STRATEGY,
        "TopicNameStrategy",
        SUBJECT_DOC,
    ),
    list("avouch.key.subjects", SUBJECTS, ',', SUBJECTS_DOC),
    def(
        "avouch.key.validation",
        LEVEL,
        "none",
        "Validation level of keys.",
    ),
    def(
        "avouch.key.version.max",
        VERSION,
        "",
        "Maximum subject version of keys.",
    ),
    def(
        "avouch.key.version.min",
        VERSION,
        "",
        "Minimum subject version of keys.",
    ),
    def(
        "avouch.on.violation",
        "reject",
        "reject",
        "The handling of violating records.",
    ),
    def(
        "avouch.quarantine.topic",
        "not supported yet",
        "",
        "Topic for quarantined records. Quarantine is not supported yet.",
    ),
    def(
        "avouch.value.framing",
        FRAMING,
        "any",
        "Location of a value's schema id.",
    ),
    def(
        "avouch.value.null",
        ALLOWED,
        "allow",
        "Allow or reject tombstones.",
    ),
    def(
        "avouch.value.subject.name.strategy",
        STRATEGY,
        "TopicNameStrategy",
        SUBJECT_DOC,
    ),
    list("avouch.value.subjects", SUBJECTS, ',', SUBJECTS_DOC),
    def(
        "avouch.value.validation",
        LEVEL,
        "auto",
        "Validation level of values.",
    ),
    def(
        "avouch.value.version.max",
        VERSION,
        "",
        "Maximum subject version of values.",
    ),
    def(
        "avouch.value.version.min",
        VERSION,
        "",
        "Minimum subject version of values.",
    ),
    def(
        "avouch.version.deleted",
        ALLOWED,
        "allow",
        "Allow or reject soft-deleted versions.",
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

/// Returns whether `name` is a contract config of topics.
#[must_use]
pub fn is_contract_key(name: &str) -> bool {
    CONFIGS.iter().any(|def| def.name == name)
}

/// Returns the error for an unknown name, with the most similar contract config as a suggestion.
#[must_use]
pub fn unknown_key(name: &str) -> ConfigError {
    /// Minimum similarity of a suggestion.
    const SIMILAR: f64 = 0.9;
    // The prefix `avouch.` is common to most names, so the threshold is high.
    let nearest = CONFIGS
        .iter()
        .map(|def| (strsim::jaro_winkler(name, def.name), def.name))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        // A weak match would send the user in the wrong direction.
        .filter(|&(similarity, _)| similarity >= SIMILAR)
        .map(|(_, near)| near);
    let unknown = ConfigValueError::UnknownName {
        name: name.to_owned(),
        nearest,
    };
    ConfigError::new(name, unknown)
}

const LEVEL: &str = "auto, none, id or payload";
const ENFORCEMENT: &str = "enforce, shadow or off";
const FRAMING: &str = "prefix, header or any";
const ALLOWED: &str = "allow or reject";
const BOOLEAN: &str = "true or false";
const VERSION: &str = "a subject version, 1 or more";
/// Maximum of `avouch.datum.depth.max`; a level costs the validator 32 bytes.
pub(crate) const DEPTH_MAX: i32 = 100_000;
pub(crate) const DEPTH: &str = "an integer from 64 to 100000";
/// Maximum of `avouch.datum.items.max`.
pub(crate) const ITEMS_MAX: i32 = 1_000_000_000;
pub(crate) const ITEMS: &str = "an integer from 1 to 1000000000";
const SUBJECTS: &str = "subjects separated by commas";
const STRATEGY: &str = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy, short or \
                        as io.confluent.kafka.serializers.subject.* class name";
const SUBJECT_DOC: &str = "Subject name strategy of schemas.";
const SUBJECTS_DOC: &str = "Subjects whose schemas are allowed; replaces the strategy.";
const LEVEL_ALIAS: &str = "Alias of avouch.*.validation: true means payload, false means none.";
const STRATEGY_ALIAS: &str = "Alias of avouch.*.subject.name.strategy.";

const fn def(
    name: &'static str,
    values: &'static str,
    default: &'static str,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        values,
        value_type: ValueType::Text,
        default,
        doc,
    }
}

const fn integer(
    name: &'static str,
    values: &'static str,
    (min, max): (i32, i32),
    default: &'static str,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        values,
        value_type: ValueType::Integer { min, max },
        default,
        doc,
    }
}

/// An optional list of values with this separator.
const fn list(
    name: &'static str,
    values: &'static str,
    separator: char,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        values,
        value_type: ValueType::List(separator),
        default: "",
        doc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_complete() {
        assert!(CONFIGS.is_sorted_by_key(|def| def.name));
        assert!(CONFIGS.iter().all(|def| is_contract_key(def.name)));
        for name in ["avouch.value", "retention.ms", "avouch.auto.exclude", ""] {
            assert!(!is_contract_key(name), "{name}");
        }
    }

    #[test]
    fn unknown_name_gets_a_suggestion() {
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
                error.reason.to_string(),
                format!("Unknown topic config name: {name}{hint}")
            );
        }
    }
}
