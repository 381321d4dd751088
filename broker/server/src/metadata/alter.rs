//! Changes of configs, without a database: replacing all of a resource's configs (AlterConfigs) or
//! changing some of them (IncrementalAlterConfigs, KIP-339).

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::config_kind::{Kind, words_of};
use super::topic_config::ConfigError;

/// An operation on a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Sets a value.
    Set,
    /// Deletes the value, so that the default applies.
    Delete,
    /// Appends elements to a list, except those that it contains already.
    Append,
    /// Removes elements from a list.
    Subtract,
}

/// A change of one config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The config's name.
    pub(crate) name: String,
    /// The operation.
    pub(crate) operation: Operation,
    /// The value or the list elements; ignored for [`Operation::Delete`].
    pub(crate) value: String,
}

/// A change of a resource's configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    /// Replaces all configs.
    Replace(BTreeMap<String, String>),
    /// Changes some configs, each at most once.
    Change(Vec<Change>),
}

/// A rejected change of configs. Nothing of the resource has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AlterError {
    /// The request is malformed, whatever the configs are.
    #[error("{0}")]
    Malformed(String),
    /// The config is static: only a restart changes it.
    #[error("Cannot update these configs dynamically: {0}")]
    ReadOnly(String),
    /// A config is unknown or its value invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Alteration {
    /// Creates a replacement from the configs in a request.
    ///
    /// # Errors
    /// If a config has no value or occurs twice.
    pub(crate) fn replacing(
        configs: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<Self, AlterError> {
        // Replacing sets every config: operation 0.
        let set = configs.into_iter().map(|(name, value)| (name, 0, value));
        let changes = changes(set)?;
        let pairs = changes
            .into_iter()
            .map(|change| (change.name, change.value));
        Ok(Self::Replace(pairs.collect()))
    }

    /// Creates changes from the configs in a request, with the operation numbers of
    /// IncrementalAlterConfigs.
    ///
    /// # Errors
    /// If a config lacks a value or occurs twice, or an operation is unknown.
    pub(crate) fn changing(
        configs: impl IntoIterator<Item = (String, i8, Option<String>)>,
    ) -> Result<Self, AlterError> {
        changes(configs).map(Self::Change)
    }

    /// Returns the names of the configs that get a value or lose the one in `current`. Deleting a
    /// config that is not set changes nothing, whatever its name (KAFKA-20506).
    pub(crate) fn set_names<'a>(
        &'a self,
        current: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a str> {
        let (replaced, changed) = match self {
            Self::Replace(configs) => (Some(configs), [].as_slice()),
            Self::Change(changes) => (None, changes.as_slice()),
        };
        let changed = changed.iter().filter(|change| {
            change.operation != Operation::Delete || current.contains_key(&change.name)
        });
        let replaced = replaced.into_iter().flat_map(BTreeMap::keys);
        replaced
            .map(String::as_str)
            .chain(changed.map(|change| change.name.as_str()))
    }

    /// Applies the changes to `current` and returns the new configs. `kind_and_default` returns the
    /// kind and the default of a config.
    ///
    /// # Errors
    /// If a config is not a list but elements are appended to or removed from it.
    pub(crate) fn apply(
        &self,
        current: &BTreeMap<String, String>,
        kind_and_default: impl Fn(&str) -> Option<(Kind, &'static str)>,
    ) -> Result<BTreeMap<String, String>, AlterError> {
        let changes = match self {
            Self::Replace(configs) => return Ok(configs.clone()),
            Self::Change(changes) => changes,
        };
        let mut configs = current.clone();
        for change in changes {
            let name = change.name.as_str();
            // A list without a value of its own starts from its default, as in Kafka.
            let now = |configs: &BTreeMap<String, String>| {
                let default = kind_and_default(name).map_or("", |(_, default)| default);
                configs.get(name).map_or(default, String::as_str).to_owned()
            };
            let separator = || {
                let kind = kind_and_default(name).map(|(kind, _)| kind);
                kind.and_then(Kind::separator)
                    .ok_or_else(|| ConfigError::NotAList(name.to_owned()))
            };
            let value = match change.operation {
                Operation::Set => change.value.clone(),
                Operation::Delete => {
                    // Deleting a config without a value is not an error (KAFKA-20506).
                    configs.remove(name);
                    continue;
                }
                Operation::Append => appended(&now(&configs), &change.value, separator()?),
                Operation::Subtract => subtracted(&now(&configs), &change.value, separator()?),
            };
            configs.insert(name.to_owned(), value);
        }
        Ok(configs)
    }
}

fn changes(
    configs: impl IntoIterator<Item = (String, i8, Option<String>)>,
) -> Result<Vec<Change>, AlterError> {
    let malformed = |reason: String| Err(AlterError::Malformed(reason));
    let mut names = BTreeSet::new();
    let mut changes = Vec::new();
    for (name, operation, value) in configs {
        // Kafka's numbers (`AlterConfigOp.OpType`).
        let operation = match operation {
            0 => Operation::Set,
            1 => Operation::Delete,
            2 => Operation::Append,
            3 => Operation::Subtract,
            other => return malformed(format!("Unknown operation type {other} of config {name}.")),
        };
        if value.is_none() && operation != Operation::Delete {
            return malformed(format!("Null value not supported for config {name}."));
        }
        // The order of two changes of one config would decide the result.
        if !names.insert(name.clone()) {
            return malformed(format!("Duplicate config {name}."));
        }
        changes.push(Change {
            name,
            operation,
            value: value.unwrap_or_default(),
        });
    }
    Ok(changes)
}

fn appended(current: &str, elements: &str, separator: char) -> String {
    let mut list: Vec<&str> = words_of(current, separator).collect();
    for element in words_of(elements, separator) {
        if !list.contains(&element) {
            list.push(element);
        }
    }
    list.join(separator.encode_utf8(&mut [0; 4]))
}

fn subtracted(current: &str, elements: &str, separator: char) -> String {
    let removed: Vec<&str> = words_of(elements, separator).collect();
    let left: Vec<&str> = words_of(current, separator)
        .filter(|element| !removed.contains(element))
        .collect();
    left.join(separator.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::topic_config::kind_and_default;

    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn change(name: &str, operation: i8, value: Option<&str>) -> (String, i8, Option<String>) {
        (name.to_owned(), operation, value.map(str::to_owned))
    }

    // Conformance: broker/admin-3
    #[test]
    fn operations_follow_kip_339() {
        let subjects = "avouch.value.subjects";
        let bypass = "avouch.bypass.principals";
        for (before, changed, after) in [
            (
                &[][..],
                change("retention.ms", SET, Some("5")),
                &[("retention.ms", "5")][..],
            ),
            (
                &[("retention.ms", "5")],
                change("retention.ms", DELETE, None),
                &[],
            ),
            (&[], change("retention.ms", DELETE, Some("ignored")), &[]),
            // Elements are appended to the default, and once only.
            (
                &[],
                change("cleanup.policy", APPEND, Some("compact,delete")),
                &[("cleanup.policy", "delete,compact")],
            ),
            (
                &[("cleanup.policy", "compact, delete")],
                change("cleanup.policy", SUBTRACT, Some("delete")),
                &[("cleanup.policy", "compact")],
            ),
            (
                &[],
                change(subjects, APPEND, Some("a,b")),
                &[(subjects, "a,b")],
            ),
            (
                &[(subjects, "a,b")],
                change(subjects, SUBTRACT, Some("a,b")),
                &[(subjects, "")],
            ),
            (
                &[(bypass, "User:a")],
                change(bypass, APPEND, Some("User:CN=b,O=c")),
                &[(bypass, "User:a;User:CN=b,O=c")],
            ),
        ] {
            let alteration = Alteration::changing([changed.clone()]).unwrap();
            let became = alteration.apply(&map(before), kind_and_default);
            assert_eq!(became, Ok(map(after)), "{changed:?}");
        }
    }

    #[test]
    fn malformed_changes_are_rejected() {
        for changes in [
            vec![change("retention.ms", SET, None)],
            vec![change("retention.ms", 4, Some("1"))],
            vec![
                change("retention.ms", SET, Some("1")),
                change("retention.ms", DELETE, None),
            ],
        ] {
            let rejected = Alteration::changing(changes);
            assert!(
                matches!(rejected, Err(AlterError::Malformed(_))),
                "{rejected:?}"
            );
        }
        let no_list = Alteration::changing([change("retention.ms", APPEND, Some("1"))]).unwrap();
        let rejected = no_list.apply(&BTreeMap::new(), kind_and_default);
        assert!(
            matches!(rejected, Err(AlterError::Config(_))),
            "{rejected:?}"
        );
        let null = Alteration::replacing([("retention.ms".to_owned(), None)]);
        assert!(matches!(null, Err(AlterError::Malformed(_))), "{null:?}");
    }

    // Conformance: broker/admin-4
    #[test]
    fn replacement_deletes_missing_configs() {
        let replacement =
            Alteration::replacing([("retention.ms".to_owned(), Some("5".to_owned()))]).unwrap();
        let became = replacement.apply(&map(&[("cleanup.policy", "compact")]), kind_and_default);
        assert_eq!(became, Ok(map(&[("retention.ms", "5")])));
    }
}
