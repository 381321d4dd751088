//! Parses a topic's configs into its [`Policy`].
//!
//! Defines the meaning of each config's value and the order of layers: the topic's configs, then
//! the broker's of the same names, then the defaults. Invariant: two names of one setting never
//! disagree within a layer; such configs are rejected with both names.

use avouch_avro::validator::Budget;
use avouch_registry_api::subject::{RecordPart, SubjectNameStrategy};
use avouch_registry_api::types::Version;

use crate::config::keys::{
    CONFIGS, ConfigError, ConfigValueError, DEPTH, DEPTH_MAX, ITEMS, ITEMS_MAX,
};
use crate::config::policy::{Enforcement, Framing, Level, PartPolicy, Policy};

/// Maximum number of subjects or principals in one config.
const LIST_MAX: usize = 64;
/// Maximum length of a subject or principal in bytes.
const WORD_BYTES_MAX: usize = 512;

impl Policy {
    /// Parses a topic's configs.
    ///
    /// # Errors
    /// Returns the first config whose value is invalid, contradicts another or is not supported.
    pub fn from_configs<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ConfigError> {
        Self::from_layers(get, |_| None)
    }

    /// Parses a topic's configs over the broker's configs of the same names. The broker's
    /// `avouch.compat.level` defines the level of aliases that are `true`: `payload` (default) or
    /// `id`.
    ///
    /// # Errors
    /// As [`Self::from_configs`], for either layer.
    pub fn from_layers<'a>(
        topic: impl Fn(&str) -> Option<&'a str>,
        broker: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, ConfigError> {
        let alias_level = match broker("avouch.compat.level") {
            None | Some("payload") => Level::Payload,
            Some("id") => Level::Id,
            Some(other) => {
                return Err(ConfigError::new(
                    "avouch.compat.level",
                    ConfigValueError::invalid(other, "id or payload"),
                ));
            }
        };
        let layers = Layers {
            topic: &topic,
            broker: &broker,
        };
        layers.one(&[("avouch.on.violation", &reject_only)])?;
        layers.one(&[("avouch.quarantine.topic", &no_quarantine_topic)])?;
        let enforcement = layers.one(&[
            ("avouch.enforcement", &enforcement),
            ("warpstream.schema.validation.warning.only", &warning_only),
        ])?;
        let bypass = layers.one(&[("avouch.bypass.principals", &principals)])?;
        let deleted_allowed = layers
            .one(&[("avouch.version.deleted", &allowed)])?
            .unwrap_or(true);
        let default = Self::default();
        let depth = layers.one(&[("avouch.datum.depth.max", &depth)])?;
        let items = layers.one(&[("avouch.datum.items.max", &items)])?;
        let budget = Budget::default();
        let shared = Shared {
            alias_level,
            deleted_allowed,
            budget: budget
                .with_depth(depth.unwrap_or(budget.depth))
                .with_items(items.unwrap_or(budget.items)),
        };
        let part = |part, default| layers.part(part, default, shared);
        Ok(Self {
            enforcement: enforcement.unwrap_or(default.enforcement),
            bypass_principals: bypass.unwrap_or_default(),
            key: part(RecordPart::Key, &default.key)?,
            value: part(RecordPart::Value, &default.value)?,
        })
    }
}

/// Settings that keys and values share.
#[derive(Clone, Copy)]
struct Shared {
    /// The level of aliases that are `true`.
    alias_level: Level,
    deleted_allowed: bool,
    budget: Budget,
}

type Parse<'p, T> = &'p dyn Fn(&str) -> Result<T, ConfigValueError>;

struct Layers<'l, 'a> {
    topic: &'l dyn Fn(&str) -> Option<&'a str>,
    broker: &'l dyn Fn(&str) -> Option<&'a str>,
}

impl Layers<'_, '_> {
    fn part(
        &self,
        part: RecordPart,
        default: &PartPolicy,
        shared: Shared,
    ) -> Result<PartPolicy, ConfigError> {
        let Shared {
            alias_level,
            deleted_allowed,
            budget,
        } = shared;
        let key = |name: &str| format!("avouch.{part}.{name}");
        let alias = |value: &str| {
            boolean(value).map(|checked| if checked { alias_level } else { Level::None })
        };
        let level = self.one(&[
            (&key("validation"), &level),
            (&format!("redpanda.{part}.schema.id.validation"), &alias),
            (&format!("confluent.{part}.schema.validation"), &alias),
        ])?;
        let strategy = self.one(&[
            (&key("subject.name.strategy"), &strategy),
            (&format!("redpanda.{part}.subject.name.strategy"), &strategy),
            (
                &format!("confluent.{part}.subject.name.strategy"),
                &strategy,
            ),
        ])?;
        let version_min = self.one(&[(&key("version.min"), &version)])?;
        let version_max = self.one(&[(&key("version.max"), &version)])?;
        // Such a window would reject every record.
        if let (Some(min), Some(max)) = (version_min, version_max)
            && min > max
        {
            let reason = ConfigValueError::EmptyRange {
                min,
                max_key: key("version.max"),
                max,
            };
            return Err(ConfigError::new(key("version.min"), reason));
        }
        Ok(PartPolicy {
            level: level.unwrap_or(default.level),
            strategy: strategy.unwrap_or(default.strategy),
            subjects: self
                .one(&[(&key("subjects"), &subjects)])?
                .unwrap_or_default(),
            framing: self
                .one(&[(&key("framing"), &framing)])?
                .unwrap_or(default.framing),
            null_allowed: self
                .one(&[(&key("null"), &allowed)])?
                .unwrap_or(default.null_allowed),
            version_min,
            version_max,
            deleted_allowed,
            budget,
        })
    }

    /// Returns the value of a setting under any of its names: the topic's, else the broker's.
    fn one<T: PartialEq>(&self, names: &[(&str, Parse<'_, T>)]) -> Result<Option<T>, ConfigError> {
        for layer in [self.topic, self.broker] {
            let mut found: Option<(&str, T)> = None;
            // Every name is parsed, so that an invalid alias is rejected even if another name
            // applies.
            for &(name, parse) in names {
                let Some(text) = layer(name).map(str::trim) else {
                    continue;
                };
                if text.is_empty() && may_be_empty(name) {
                    continue;
                }
                let value = parse(text).map_err(|reason| ConfigError::new(name, reason))?;
                match &found {
                    Some((other, earlier)) if *earlier != value => {
                        let reason = ConfigValueError::Contradiction {
                            found: text.to_owned(),
                            other: (*other).to_owned(),
                        };
                        return Err(ConfigError::new(name, reason));
                    }
                    Some(_) => {}
                    None => found = Some((name, value)),
                }
            }
            if let Some((_, value)) = found {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Returns whether the empty string means "not set", which is so if it is the default.
fn may_be_empty(name: &str) -> bool {
    CONFIGS
        .iter()
        .any(|def| def.name == name && def.default.is_empty())
}

fn level(text: &str) -> Result<Level, ConfigValueError> {
    match text {
        "auto" => Ok(Level::Auto),
        "none" => Ok(Level::None),
        "id" => Ok(Level::Id),
        "payload" => Ok(Level::Payload),
        other => invalid(other, "auto, none, id or payload"),
    }
}

fn enforcement(text: &str) -> Result<Enforcement, ConfigValueError> {
    match text {
        "enforce" => Ok(Enforcement::Enforce),
        "shadow" => Ok(Enforcement::Shadow),
        "off" => Ok(Enforcement::Off),
        other => invalid(other, "enforce, shadow or off"),
    }
}

fn warning_only(text: &str) -> Result<Enforcement, ConfigValueError> {
    boolean(text).map(|warn| {
        if warn {
            Enforcement::Shadow
        } else {
            Enforcement::Enforce
        }
    })
}

fn framing(text: &str) -> Result<Framing, ConfigValueError> {
    match text {
        "prefix" => Ok(Framing::Prefix),
        "header" => Ok(Framing::Header),
        "any" => Ok(Framing::Any),
        other => invalid(other, "prefix, header or any"),
    }
}

fn strategy(text: &str) -> Result<SubjectNameStrategy, ConfigValueError> {
    let expected = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy";
    text.parse().or_else(|_| invalid(text, expected))
}

fn allowed(text: &str) -> Result<bool, ConfigValueError> {
    match text {
        "allow" => Ok(true),
        "reject" => Ok(false),
        other => invalid(other, "allow or reject"),
    }
}

/// Parses a boolean in any case, as Kafka does.
fn boolean(text: &str) -> Result<bool, ConfigValueError> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        invalid(text, "true or false")
    }
}

fn version(text: &str) -> Result<Version, ConfigValueError> {
    text.parse()
        .or_else(|_| invalid(text, "a subject version, 1 or more"))
}

fn depth(text: &str) -> Result<u32, ConfigValueError> {
    // The validator does not count the depth of schemas that nest less.
    let range = Budget::UNCOUNTED_DEPTH..=DEPTH_MAX.unsigned_abs();
    let depth = text.parse().ok().filter(|depth| range.contains(depth));
    depth.map_or_else(|| invalid(text, DEPTH), Ok)
}

fn items(text: &str) -> Result<u64, ConfigValueError> {
    let items = text
        .parse()
        .ok()
        .filter(|items| (1..=u64::from(ITEMS_MAX.unsigned_abs())).contains(items));
    items.map_or_else(|| invalid(text, ITEMS), Ok)
}

fn subjects(text: &str) -> Result<Vec<String>, ConfigValueError> {
    words(text, ',')
}

/// Parses principals, which semicolons separate as in Kafka's `super.users`: names of TLS
/// principals contain commas.
fn principals(text: &str) -> Result<Vec<String>, ConfigValueError> {
    let principals = words(text, ';')?;
    for principal in &principals {
        match principal.split_once(':') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {}
            Some(_) | None => return invalid(principal, "a principal, Type:name"),
        }
    }
    Ok(principals)
}

fn words(text: &str, separator: char) -> Result<Vec<String>, ConfigValueError> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(separator).map(str::trim) {
        if word.is_empty() {
            return Err(ConfigValueError::EmptyItem);
        }
        if word.len() > WORD_BYTES_MAX {
            return Err(ConfigValueError::LongItem {
                found: word.len(),
                max: WORD_BYTES_MAX,
            });
        }
        if !words.iter().any(|earlier| earlier == word) {
            words.push(word.to_owned());
        }
        // At once: a list as long as a request would take quadratic time.
        if words.len() > LIST_MAX {
            return Err(ConfigValueError::LongList {
                found: text.split(separator).count(),
                max: LIST_MAX,
            });
        }
    }
    Ok(words)
}

fn reject_only(text: &str) -> Result<(), ConfigValueError> {
    match text {
        "reject" => Ok(()),
        "quarantine" => Err(ConfigValueError::Unsupported("quarantine")),
        other => invalid(other, "reject"),
    }
}

fn no_quarantine_topic(_: &str) -> Result<(), ConfigValueError> {
    Err(ConfigValueError::Unsupported("quarantine"))
}

fn invalid<T>(found: &str, expected: &'static str) -> Result<T, ConfigValueError> {
    Err(ConfigValueError::invalid(found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Configs<'c> = &'c [(&'c str, &'static str)];

    fn get(configs: Configs<'_>) -> impl Fn(&str) -> Option<&'static str> {
        |name| {
            configs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|&(_, value)| value)
        }
    }

    fn policy(configs: Configs<'_>) -> Policy {
        Policy::from_configs(get(configs)).unwrap_or_else(|error| panic!("{configs:?}: {error}"))
    }

    fn rejection(configs: Configs<'_>) -> (String, String) {
        match Policy::from_configs(get(configs)) {
            Ok(policy) => panic!("{configs:?} passed as {policy:?}"),
            Err(ConfigError { key, reason }) => (key, reason.to_string()),
        }
    }

    #[test]
    fn defaults_set_explicitly_change_nothing() {
        let all = |name: &str| {
            CONFIGS
                .iter()
                .find(|def| def.name == name)
                .map(|def| def.default)
        };
        assert_eq!(Policy::from_configs(all).unwrap(), Policy::default());
        assert_eq!(policy(&[]), Policy::default());
    }

    #[test]
    fn every_listed_config_is_parsed() {
        for def in CONFIGS {
            let bad = [(def.name, "no such value!")];
            // Any string is a list of subjects.
            if def.name.ends_with(".subjects") {
                assert_ne!(policy(&bad), Policy::default(), "{}", def.name);
            } else {
                assert_eq!(rejection(&bad).0, def.name);
            }
        }
    }

    type Is = fn(&Policy) -> bool;

    const MEANINGS: &[(&str, &str, Is)] = &[
        ("avouch.key.validation", "auto", |p| {
            p.key.level == Level::Auto
        }),
        ("avouch.key.validation", "id", |p| p.key.level == Level::Id),
        ("avouch.value.validation", "none", |p| {
            p.value.level == Level::None
        }),
        ("avouch.value.validation", " payload ", |p| {
            p.value.level == Level::Payload
        }),
        ("avouch.enforcement", "enforce", |p| {
            p.enforcement == Enforcement::Enforce
        }),
        ("avouch.enforcement", "shadow", |p| {
            p.enforcement == Enforcement::Shadow
        }),
        ("avouch.enforcement", "off", |p| {
            p.enforcement == Enforcement::Off
        }),
        ("avouch.on.violation", "reject", |p| *p == Policy::default()),
        (
            "avouch.key.subject.name.strategy",
            "RecordNameStrategy",
            |p| p.key.strategy == SubjectNameStrategy::RecordName,
        ),
        (
            "avouch.value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
            |p| p.value.strategy == SubjectNameStrategy::TopicRecordName,
        ),
        ("avouch.key.subjects", "a", |p| p.key.subjects == ["a"]),
        ("avouch.value.subjects", " a , b,a", |p| {
            p.value.subjects == ["a", "b"]
        }),
        ("avouch.key.framing", "header", |p| {
            p.key.framing == Framing::Header
        }),
        ("avouch.value.framing", "prefix", |p| {
            p.value.framing == Framing::Prefix
        }),
        ("avouch.value.framing", "any", |p| {
            p.value.framing == Framing::Any
        }),
        ("avouch.key.null", "reject", |p| {
            !p.key.null_allowed && p.value.null_allowed
        }),
        ("avouch.value.null", "reject", |p| {
            p.key.null_allowed && !p.value.null_allowed
        }),
        ("avouch.key.version.min", "3", |p| {
            p.key.version_min == Version::new(3)
        }),
        ("avouch.key.version.max", "1", |p| {
            p.key.version_max == Version::new(1)
        }),
        ("avouch.value.version.min", "2147483647", |p| {
            p.value.version_min == Version::new(i32::MAX)
        }),
        ("avouch.value.version.max", "2", |p| {
            p.value.version_max == Version::new(2)
        }),
        ("avouch.version.deleted", "reject", |p| {
            !p.key.deleted_allowed && !p.value.deleted_allowed
        }),
        ("avouch.datum.depth.max", " 64 ", |p| {
            (p.key.budget.depth, p.value.budget.depth) == (64, 64)
        }),
        ("avouch.datum.items.max", "5", |p| {
            (p.key.budget.items, p.value.budget.items) == (5, 5)
        }),
        ("avouch.bypass.principals", "User:CN=a,O=b; User:c", |p| {
            p.bypass_principals == ["User:CN=a,O=b", "User:c"]
        }),
        ("confluent.key.schema.validation", "true", |p| {
            p.key.level == Level::Payload
        }),
        ("confluent.value.schema.validation", "false", |p| {
            p.value.level == Level::None
        }),
        ("redpanda.key.schema.id.validation", "TRUE", |p| {
            p.key.level == Level::Payload
        }),
        ("redpanda.value.schema.id.validation", "true", |p| {
            p.value.level == Level::Payload
        }),
        (
            "confluent.value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.RecordNameStrategy",
            |p| p.value.strategy == SubjectNameStrategy::RecordName,
        ),
        (
            "redpanda.key.subject.name.strategy",
            "TopicRecordNameStrategy",
            |p| p.key.strategy == SubjectNameStrategy::TopicRecordName,
        ),
        ("warpstream.schema.validation.warning.only", "true", |p| {
            p.enforcement == Enforcement::Shadow
        }),
        ("warpstream.schema.validation.warning.only", "false", |p| {
            p.enforcement == Enforcement::Enforce
        }),
    ];

    #[test]
    fn values_have_their_documented_meaning() {
        for &(name, value, is) in MEANINGS {
            assert!(is(&policy(&[(name, value)])), "{name}={value}");
        }
    }

    #[test]
    fn invalid_values_are_rejected_by_name() {
        let table = [
            ("avouch.value.validation", ""),
            ("avouch.value.validation", "Payload"),
            ("avouch.value.validation", "true"),
            ("avouch.enforcement", "on"),
            ("avouch.enforcement", ""),
            (
                "avouch.value.subject.name.strategy",
                "com.example.MyStrategy",
            ),
            ("avouch.value.subjects", "a,,b"),
            ("avouch.value.framing", "both"),
            ("avouch.key.null", "true"),
            ("avouch.value.version.min", "0"),
            ("avouch.value.version.min", "-1"),
            ("avouch.value.version.max", "2147483648"),
            ("avouch.value.version.max", "latest"),
            ("avouch.version.deleted", "warn"),
            ("avouch.datum.depth.max", "63"),
            ("avouch.datum.depth.max", "100001"),
            ("avouch.datum.items.max", "0"),
            ("avouch.datum.items.max", "1e6"),
            ("avouch.bypass.principals", "mirror"),
            ("avouch.bypass.principals", "User:"),
            ("confluent.value.schema.validation", "yes"),
            ("warpstream.schema.validation.warning.only", "1"),
        ];
        for (name, value) in table {
            assert_eq!(rejection(&[(name, value)]).0, name, "{value:?}");
        }
        let many: String = vec!["s"; 3 * LIST_MAX]
            .iter()
            .enumerate()
            .map(|(at, s)| format!("{s}{at},"))
            .collect();
        assert!(subjects(many.trim_end_matches(',')).is_err());
        assert!(subjects(&"s".repeat(WORD_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn quarantine_is_rejected() {
        for configs in [
            [("avouch.on.violation", "quarantine")],
            [("avouch.quarantine.topic", "dlq.payments")],
        ] {
            let (key, reason) = rejection(&configs);
            assert_eq!(key, configs[0].0);
            assert!(reason.contains("not supported yet"), "{reason}");
        }
    }

    #[test]
    fn contradicting_names_are_rejected() {
        const AVOUCH: &str = "avouch.value.validation";
        const CONFLUENT: &str = "confluent.value.schema.validation";
        const REDPANDA: &str = "redpanda.value.schema.id.validation";
        const STRATEGY: &str = "avouch.value.subject.name.strategy";
        const WARN: &str = "warpstream.schema.validation.warning.only";
        let table = [
            ((AVOUCH, "none"), (CONFLUENT, "true")),
            ((AVOUCH, "auto"), (CONFLUENT, "true")),
            ((AVOUCH, "id"), (REDPANDA, "true")),
            ((AVOUCH, "payload"), (REDPANDA, "false")),
            ((REDPANDA, "true"), (CONFLUENT, "false")),
            (
                (STRATEGY, "TopicNameStrategy"),
                ("redpanda.value.subject.name.strategy", "RecordNameStrategy"),
            ),
            (("avouch.enforcement", "enforce"), (WARN, "true")),
            (("avouch.enforcement", "off"), (WARN, "false")),
        ];
        for (first, second) in table {
            let (key, reason) = rejection(&[first, second]);
            assert_eq!(
                (key.as_str(), reason.contains(first.0)),
                (second.0, true),
                "{reason}"
            );
        }
        let agree = policy(&[(AVOUCH, "payload"), (CONFLUENT, "true"), (REDPANDA, "true")]);
        assert_eq!(agree.value.level, Level::Payload);
        let keys_only = policy(&[
            (AVOUCH, "payload"),
            ("confluent.key.schema.validation", "false"),
        ]);
        assert_eq!(keys_only.key.level, Level::None);
        let (key, reason) = rejection(&[
            ("avouch.key.version.min", "4"),
            ("avouch.key.version.max", "3"),
        ]);
        assert_eq!(key, "avouch.key.version.min");
        assert!(reason.contains("avouch.key.version.max"), "{reason}");
    }

    #[test]
    fn topic_overrides_broker_overrides_default() {
        const AVOUCH: &str = "avouch.value.validation";
        const ALIAS: &str = "confluent.value.schema.validation";
        let level = |topic: Configs<'_>, broker: Configs<'_>| {
            Policy::from_layers(get(topic), get(broker)).map(|policy| policy.value.level)
        };
        assert_eq!(level(&[], &[(AVOUCH, "id")]), Ok(Level::Id));
        assert_eq!(
            level(&[(AVOUCH, "none")], &[(AVOUCH, "id")]),
            Ok(Level::None)
        );
        // Only names within one layer contradict each other.
        assert_eq!(
            level(&[(ALIAS, "true")], &[(AVOUCH, "none")]),
            Ok(Level::Payload)
        );
        assert_eq!(
            level(&[(ALIAS, "true")], &[("avouch.compat.level", "id")]),
            Ok(Level::Id)
        );
        let bad = level(&[], &[("avouch.compat.level", "none")]).unwrap_err();
        assert_eq!(bad.key, "avouch.compat.level");
        assert!(level(&[], &[("avouch.on.violation", "quarantine")]).is_err());
    }
}
