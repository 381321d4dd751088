//! Broker configs as they are given: `KEY=VALUE` on the command line and in the environment, a
//! table in the file. Does not know which configs there are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

/// Settings from one place, in their order. One without a `=` has no value, which is for whoever
/// resolves them to refuse.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct BrokerSettings(pub(crate) Vec<(String, Option<String>)>);

impl FromStr for BrokerSettings {
    type Err = Infallible;

    /// A line or a comma begins another setting; a comma only where a `=` follows before the next
    /// one, because there are lists among the values.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut settings: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            for (at, part) in line.split(',').enumerate() {
                match settings.last_mut() {
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
        let mut settings = BTreeMap::new();
        flatten(&mut settings, "", Table::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let pairs = settings.into_iter().map(|(key, value)| (key, Some(value)));
        Ok(Self(pairs.collect()))
    }
}

/// A dot in a bare key makes a table in TOML; here it is a part of the name.
fn flatten(into: &mut BTreeMap<String, String>, prefix: &str, table: Table) -> Result<(), String> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        let text = match value {
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

fn scalar(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(format!(
            "{name} is neither a text, a number, true, false, nor a list of these"
        )),
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
    fn settings_stand_on_lines_or_apart_by_commas_and_lists_stay_whole() {
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
    fn a_table_holds_settings_with_or_without_quotes() {
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
