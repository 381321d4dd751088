//! Broker configs as the user writes them: `KEY=VALUE` on the command line and in the environment,
//! a table in the file. The names are checked in `config`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use toml::{Table, Value};

/// Settings of one source in their order. A setting without `=` has no value, which `config`
/// rejects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct BrokerSettings(pub(crate) Vec<(String, Option<String>)>);

impl FromStr for BrokerSettings {
    type Err = Infallible;

    /// Splits settings at line breaks and commas. A comma separates settings only if a `=` follows
    /// before the next comma, because values can be lists.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut settings: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            for (at, part) in line.split(',').enumerate() {
                match settings.last_mut() {
                    // A part without `=` continues the list of the setting before it.
                    Some(before) if at > 0 && !part.contains('=') => {
                        before.push(',');
                        before.push_str(part);
                    }
                    _ => settings.push(part.to_owned()),
                }
            }
        }
        let pair = |setting: String| match setting.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), Some(value.trim().to_owned())),
            None => (setting.trim().to_owned(), None),
        };
        Ok(Self(settings.into_iter().map(pair).collect()))
    }
}

impl<'de> Deserialize<'de> for BrokerSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // TOML rejects duplicate keys, so the order of the settings has no meaning.
        let mut settings = BTreeMap::new();
        flatten(&mut settings, "", Table::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let pairs = settings.into_iter().map(|(key, value)| (key, Some(value)));
        Ok(Self(pairs.collect()))
    }
}

/// A value that is not a scalar or a list of scalars.
#[derive(Debug, Error)]
#[error("invalid value of {name}; expected a string, a number, a boolean or a list of these")]
struct ValueError {
    name: String,
}

/// Adds the settings of a table. In TOML a dot in a bare key creates a table; here it is part of
/// the name.
fn flatten(
    into: &mut BTreeMap<String, String>,
    prefix: &str,
    table: Table,
) -> Result<(), ValueError> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        let text = match value {
            // `num.partitions = 3` is the table `num` with the key `partitions`.
            Value::Table(inner) => {
                flatten(into, &format!("{name}."), inner)?;
                continue;
            }
            Value::Array(items) => {
                let words = items.into_iter().map(|item| scalar(&name, item));
                words.collect::<Result<Vec<_>, _>>()?.join(",")
            }
            other => scalar(&name, other)?,
        };
        into.insert(name, text);
    }
    Ok(())
}

fn scalar(name: &str, value: Value) -> Result<String, ValueError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        // Kafka has ratios, which are floating-point numbers.
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(ValueError {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(settings: &BrokerSettings) -> Vec<(&str, Option<&str>)> {
        let settings = settings.0.iter();
        settings
            .map(|(key, value)| (key.as_str(), value.as_deref()))
            .collect()
    }

    #[test]
    fn lines_and_commas_separate_settings() {
        type Pair = (&'static str, Option<&'static str>);
        let cases: [(&str, &[Pair]); 6] = [
            ("a.b=1", &[("a.b", Some("1"))]),
            ("a=1,b=2", &[("a", Some("1")), ("b", Some("2"))]),
            ("a=x,y,b=2", &[("a", Some("x,y")), ("b", Some("2"))]),
            ("a=x,y\n b = 2 \n", &[("a", Some("x,y")), ("b", Some("2"))]),
            ("a=", &[("a", Some(""))]),
            ("a", &[("a", None)]),
        ];
        for (text, expected) in cases {
            let settings: BrokerSettings = text.parse().unwrap_or_else(|never| match never {});
            assert_eq!(pairs(&settings), expected, "{text:?}");
        }
    }

    #[test]
    fn table_keys_may_be_quoted() {
        let table = "num.partitions = 3\n'log.retention.ms' = 5\nlist = ['a', 'b']\nx = true";
        let settings: BrokerSettings = toml::from_str(table).unwrap();
        let expected = [
            ("list", Some("a,b")),
            ("log.retention.ms", Some("5")),
            ("num.partitions", Some("3")),
            ("x", Some("true")),
        ];
        assert_eq!(pairs(&settings), expected);
        assert!(toml::from_str::<BrokerSettings>("a = 1979-05-27").is_err());
    }
}
