//! What a request to change configs comes to, without a database: Kafka's two ways, replacing all
//! of a resource's configs (AlterConfigs) and changing some of them (KIP-339).

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::config_kind::{Kind, words_of};
use super::topic_config::ConfigError;

/// What is done to one config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Gives it a value.
    Set,
    /// Gives it back its default.
    Delete,
    /// Adds words to a list that lacks them.
    Append,
    /// Takes words out of a list.
    Subtract,
}

/// One config's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The config.
    pub(crate) name: String,
    /// What is done to it.
    pub(crate) operation: Operation,
    /// The value or words; nothing counts for [`Operation::Delete`].
    pub(crate) value: String,
}

/// A change of a resource's configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    /// These are all of them now.
    Replace(BTreeMap<String, String>),
    /// These change, each named once.
    Change(Vec<Change>),
}

/// Why configs were not changed. Nothing of the resource has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AlterError {
    /// The request makes no sense, whatever the configs are.
    #[error("{0}")]
    Malformed(String),
    /// The config stays as it was when the broker was started.
    #[error("Cannot update these configs dynamically: {0}")]
    ReadOnly(String),
    /// A config is unknown or its value bad.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Alteration {
    /// A replacement as a request has it.
    ///
    /// # Errors
    /// When a config has no value or is named twice.
    pub(crate) fn replacing(
        configs: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<Self, AlterError> {
        let set = configs.into_iter().map(|(name, value)| (name, 0, value));
        let changes = changes(set)?;
        let pairs = changes
            .into_iter()
            .map(|change| (change.name, change.value));
        Ok(Self::Replace(pairs.collect()))
    }

    /// Changes as a request has them; operations are numbered as in IncrementalAlterConfigs.
    ///
    /// # Errors
    /// When a config has no value though it needs one, is named twice, or an operation is unknown.
    pub(crate) fn changing(
        configs: impl IntoIterator<Item = (String, i8, Option<String>)>,
    ) -> Result<Self, AlterError> {
        changes(configs).map(Self::Change)
    }

    /// The configs it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let (replaced, changed) = match self {
            Self::Replace(configs) => (Some(configs), None),
            Self::Change(changes) => (None, Some(changes)),
        };
        let replaced = replaced
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        replaced.chain(
            changed
                .into_iter()
                .flatten()
                .map(|change| change.name.as_str()),
        )
    }

    /// The configs that `current` becomes. `kind_and_default` knows every config there is.
    ///
    /// # Errors
    /// When words are to be added to, or taken from, what is no list.
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
            let now = |configs: &BTreeMap<String, String>| {
                let default = kind_and_default(name).map_or("", |(_, default)| default);
                configs.get(name).map_or(default, String::as_str).to_owned()
            };
            let separator = || {
                let kind = kind_and_default(name).map(|(kind, _)| kind);
                kind.and_then(Kind::separator).ok_or_else(|| ConfigError {
                    name: name.to_owned(),
                    reason: "it is not a list, so nothing can be added to it or taken from it"
                        .to_owned(),
                })
            };
            let value = match change.operation {
                Operation::Set => change.value.clone(),
                Operation::Delete => {
                    configs.remove(name);
                    continue;
                }
                Operation::Append => added(&now(&configs), &change.value, separator()?),
                Operation::Subtract => taken(&now(&configs), &change.value, separator()?),
            };
            configs.insert(name.to_owned(), value);
        }
        Ok(configs)
    }
}

fn changes(
    configs: impl IntoIterator<Item = (String, i8, Option<String>)>,
) -> Result<Vec<Change>, AlterError> {
    let malformed = |text: String| Err(AlterError::Malformed(text));
    let mut names = BTreeSet::new();
    let mut changes = Vec::new();
    for (name, operation, value) in configs {
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
        if !names.insert(name.clone()) {
            return malformed(format!("Config {name} is named twice."));
        }
        changes.push(Change {
            name,
            operation,
            value: value.unwrap_or_default(),
        });
    }
    Ok(changes)
}

fn added(current: &str, words: &str, separator: char) -> String {
    let mut list: Vec<&str> = words_of(current, separator).collect();
    for word in words_of(words, separator) {
        if !list.contains(&word) {
            list.push(word);
        }
    }
    list.join(separator.encode_utf8(&mut [0; 4]))
}

fn taken(current: &str, words: &str, separator: char) -> String {
    let gone: Vec<&str> = words_of(words, separator).collect();
    let left: Vec<&str> = words_of(current, separator)
        .filter(|word| !gone.contains(word))
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
    fn each_operation_does_what_kip_339_says() {
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
            // Words are added to the default, and once only.
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
    fn what_makes_no_sense_is_refused() {
        for changes in [
            vec![change("retention.ms", SET, None)],
            vec![change("retention.ms", 4, Some("1"))],
            vec![
                change("retention.ms", SET, Some("1")),
                change("retention.ms", DELETE, None),
            ],
        ] {
            let refused = Alteration::changing(changes);
            assert!(
                matches!(refused, Err(AlterError::Malformed(_))),
                "{refused:?}"
            );
        }
        let no_list = Alteration::changing([change("retention.ms", APPEND, Some("1"))]).unwrap();
        let refused = no_list.apply(&BTreeMap::new(), kind_and_default);
        assert!(matches!(refused, Err(AlterError::Config(_))), "{refused:?}");
        let null = Alteration::replacing([("retention.ms".to_owned(), None)]);
        assert!(matches!(null, Err(AlterError::Malformed(_))), "{null:?}");
    }

    // Conformance: broker/admin-4
    #[test]
    fn a_replacement_forgets_what_it_does_not_name() {
        let replacement =
            Alteration::replacing([("retention.ms".to_owned(), Some("5".to_owned()))]).unwrap();
        let became = replacement.apply(&map(&[("cleanup.policy", "compact")]), kind_and_default);
        assert_eq!(became, Ok(map(&[("retention.ms", "5")])));
    }
}
