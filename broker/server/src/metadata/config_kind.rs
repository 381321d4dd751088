//! The values that configs accept: parsing as in Kafka's `ConfigDef.parseType`, ranges, and the
//! type that clients receive. Knows no config by name.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

/// The values that a config accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false` in any case.
    Boolean,
    /// A 16-bit integer.
    Short,
    /// A 32-bit integer from the first to the second number.
    Int(i32, i32),
    /// A 32-bit integer in one of these ranges, both ends included.
    IntWithin(&'static [(i32, i32)]),
    /// A 64-bit integer from the first to the second number.
    Long(i64, i64),
    /// A number from the first to the second.
    Double(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// A list of any words with this separator.
    List(char),
    /// A comma-separated list of `PARTITION:BROKER`, or `*` for all.
    Replicas,
    /// Any string.
    Text,
    /// The name of a Java class.
    Class,
    /// A string that is never shown.
    Password,
}

/// A parsed value. Its `Display` is the string that is stored and described.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConfigValue {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<String>, char),
}

/// An invalid value of a config.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid value {value:?} of {key}; expected {expected}")]
pub struct ConfigValueError {
    /// The config's name.
    pub key: String,
    /// The value.
    pub value: String,
    /// The accepted values.
    pub expected: String,
}

/// The type of a config's values (`DescribeConfigsResponse.ConfigType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum ValueType {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl ValueType {
    /// Returns Kafka's number of the type.
    #[must_use]
    pub(crate) fn code(self) -> i8 {
        self as i8
    }
}

impl Kind {
    /// A 32-bit integer of at least `min`.
    pub(crate) const fn int(min: i32) -> Self {
        Self::Int(min, i32::MAX)
    }

    /// A 64-bit integer of at least `min`.
    pub(crate) const fn long(min: i64) -> Self {
        Self::Long(min, i64::MAX)
    }

    /// Returns the type of the values.
    #[must_use]
    pub(crate) fn value_type(self) -> ValueType {
        match self {
            Self::Boolean => ValueType::Boolean,
            Self::Short => ValueType::Short,
            Self::Int(..) | Self::IntWithin(_) => ValueType::Int,
            Self::Long(..) => ValueType::Long,
            Self::Double(..) => ValueType::Double,
            Self::OneOf(_) | Self::Text => ValueType::Text,
            Self::ListOf(_) | Self::List(_) | Self::Replicas => ValueType::List,
            Self::Class => ValueType::Class,
            Self::Password => ValueType::Password,
        }
    }

    /// Returns the separator of a list, `None` for other kinds.
    #[must_use]
    pub(crate) fn separator(self) -> Option<char> {
        match self {
            Self::ListOf(_) | Self::Replicas => Some(','),
            Self::List(separator) => Some(separator),
            Self::Boolean
            | Self::Short
            | Self::Int(..)
            | Self::IntWithin(_)
            | Self::Long(..)
            | Self::Double(..)
            | Self::OneOf(_)
            | Self::Text
            | Self::Class
            | Self::Password => None,
        }
    }

    /// Parses a value of the config `key`, which is named in the error.
    ///
    /// # Errors
    /// If this kind does not accept the value.
    pub(crate) fn parse(self, key: &str, value: &str) -> Result<ConfigValue, ConfigValueError> {
        self.parsed(value).ok_or_else(|| self.invalid(key, value))
    }

    /// Returns the error for a value of the config `key` that this kind does not accept.
    pub(crate) fn invalid(self, key: &str, value: &str) -> ConfigValueError {
        ConfigValueError {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: self.to_string(),
        }
    }

    fn parsed(self, value: &str) -> Option<ConfigValue> {
        // Java's `String.trim` removes all characters up to U+0020, and no other white space.
        let value = value.trim_matches(|c: char| c <= ' ');
        let integer = |accepted: &dyn Fn(&i64) -> bool| {
            let number = value.parse().ok().filter(accepted);
            number.map(ConfigValue::Integer)
        };
        let list = |separator, accepted: &dyn Fn(&str) -> bool| {
            let words: Vec<String> = words_of(value, separator).map(str::to_owned).collect();
            let valid = words.iter().all(|word| accepted(word));
            valid.then_some(ConfigValue::List(words, separator))
        };
        match self {
            Self::Boolean if value.eq_ignore_ascii_case("true") => Some(ConfigValue::Boolean(true)),
            Self::Boolean if value.eq_ignore_ascii_case("false") => {
                Some(ConfigValue::Boolean(false))
            }
            Self::Boolean => None,
            Self::Short => integer(&|number| i16::try_from(*number).is_ok()),
            Self::Int(min, max) => integer(&|number| (min.into()..=max.into()).contains(number)),
            Self::IntWithin(ranges) => integer(&|number| {
                let mut ranges = ranges.iter();
                ranges.any(|(min, max)| (i64::from(*min)..=i64::from(*max)).contains(number))
            }),
            Self::Long(min, max) => integer(&|number| (min..=max).contains(number)),
            Self::Double(min, max) => {
                let number = value.parse().ok();
                // NaN is in no range.
                let number = number.filter(|number| (min..=max).contains(number));
                number.map(ConfigValue::Double)
            }
            Self::OneOf(words) => words
                .contains(&value)
                .then(|| ConfigValue::Text(value.to_owned())),
            Self::ListOf(words) => list(',', &|word| words.contains(&word)),
            // As in Kafka since KIP-1161, an item must not be empty; an empty list is valid.
            Self::List(separator) if !value.is_empty() && has_empty_item(value, separator) => None,
            Self::List(separator) => list(separator, &|_| true),
            // The wildcard is no list, so it cannot be combined with pairs.
            Self::Replicas if value == "*" => Some(ConfigValue::Text(value.to_owned())),
            Self::Replicas => list(',', &is_replica),
            Self::Text | Self::Class | Self::Password => Some(ConfigValue::Text(value.to_owned())),
        }
    }
}

impl fmt::Display for Kind {
    /// Writes the accepted values as in "expected ...".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, bits, range: RangeInclusive<i64>, all| {
            write!(f, "a {bits}-bit integer")?;
            match (range.start(), range.end()) {
                // Without bounds of its own, the type is a complete description.
                _ if range == all => Ok(()),
                (min, max) if max == all.end() => write!(f, " of at least {min}"),
                (min, max) => write!(f, " from {min} to {max}"),
            }
        };
        match *self {
            Self::Boolean => f.write_str("true or false"),
            Self::Short => f.write_str("a 16-bit integer"),
            Self::Int(min, max) => {
                let all = i32::MIN.into()..=i32::MAX.into();
                range(f, 32, min.into()..=max.into(), all)
            }
            Self::IntWithin(ranges) => {
                let ranges = ranges.iter().map(|(min, max)| match min == max {
                    true => min.to_string(),
                    false => format!("{min} to {max}"),
                });
                f.write_str(&ranges.collect::<Vec<_>>().join(" or "))
            }
            Self::Long(min, max) => range(f, 64, min..=max, i64::MIN..=i64::MAX),
            Self::Double(f64::MIN, f64::MAX) => f.write_str("a number"),
            Self::Double(min, max) => write!(f, "a number from {min} to {max}"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::ListOf(words) => write!(f, "a list of {}", words.join(", ")),
            Self::List(separator) => write!(f, "items separated by {separator:?}"),
            Self::Replicas => f.write_str("a list of PARTITION:BROKER, or *"),
            Self::Text | Self::Password => f.write_str("a string"),
            Self::Class => f.write_str("the name of a class"),
        }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            // As Java prints it: always with a fraction.
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Text(value) => f.write_str(value),
            Self::List(words, separator) => f.write_str(&joined(words, *separator)),
        }
    }
}

/// Returns the words of a list, without empty ones.
pub(super) fn words_of(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let words = value.split(separator).map(str::trim);
    words.filter(|word| !word.is_empty())
}

fn joined(words: &[String], separator: char) -> String {
    words.join(separator.encode_utf8(&mut [0; 4]))
}

fn has_empty_item(value: &str, separator: char) -> bool {
    value.split(separator).any(|item| item.trim().is_empty())
}

fn is_replica(word: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    word.split_once(':')
        .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(kind: Kind, value: &str) -> Option<String> {
        let parsed = kind.parse("key", value).ok()?;
        Some(parsed.to_string())
    }

    // Conformance: broker/admin-24
    #[test]
    fn values_are_parsed_as_kafka_does() {
        let cases = [
            (Kind::Boolean, " TRUE ", "true"),
            (Kind::Boolean, "False", "false"),
            (Kind::int(0), " 5 ", "5"),
            (Kind::int(0), "\t+05\n", "5"),
            (Kind::long(-1), "-1 ", "-1"),
            (Kind::Double(0.0, 1.0), " 1 ", "1.0"),
            (Kind::OneOf(&["gzip", "zstd"]), " zstd", "zstd"),
            (Kind::ListOf(&["a", "b"]), " a , b ", "a,b"),
            (Kind::ListOf(&["a", "b"]), "", ""),
            (Kind::List(';'), " a ; b,c ", "a;b,c"),
            (Kind::List(','), " ", ""),
            (Kind::Replicas, " * ", "*"),
            (Kind::Replicas, "0:1, 1:1", "0:1,1:1"),
            (Kind::Text, " text ", "text"),
        ];
        for (kind, value, expected) in cases {
            assert_eq!(stored(kind, value).as_deref(), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn errors_name_the_accepted_values() {
        let cases = [
            (Kind::Boolean, "yes", "true or false"),
            (Kind::Boolean, "\u{a0}true", "true or false"),
            (Kind::int(0), "-1", "a 32-bit integer of at least 0"),
            (Kind::int(0), "2147483648", "a 32-bit integer of at least 0"),
            (Kind::Int(1, 9), "10", "a 32-bit integer from 1 to 9"),
            (Kind::long(i64::MIN), "5.0", "a 64-bit integer"),
            (Kind::Short, "32768", "a 16-bit integer"),
            (Kind::IntWithin(&[(-1, -1), (1, 9)]), "0", "-1 or 1 to 9"),
            (Kind::Double(0.0, 1.0), "NaN", "a number from 0 to 1"),
            (Kind::OneOf(&["a", "b"]), "A", "one of a, b"),
            (Kind::ListOf(&["a", "b"]), "a,c", "a list of a, b"),
            (Kind::List(';'), "a;;b", "items separated by ';'"),
            (Kind::Replicas, "0:1,*", "a list of PARTITION:BROKER, or *"),
        ];
        for (kind, value, expected) in cases {
            let error = kind.parse("some.key", value).unwrap_err();
            assert_eq!(error.expected, expected);
            let text = format!("invalid value {value:?} of some.key; expected {expected}");
            assert_eq!(error.to_string(), text);
        }
    }
}
