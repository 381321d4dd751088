//! Defaults: whether a JSON value is one of a type, by the rules of Java's strict parser.
//!
//! A default may match any branch of a union, an integer is a double, and any string is an enum,
//! bytes or fixed. Work grows with the texts of the defaults: what a default leaves out has one of
//! its own that was checked before. It is bounded: a value tried against many branches counts each
//! time.

use super::{NodeId, Record, Type, parse::Parser};
use crate::json::{Json, Member, Value};
use std::collections::BTreeMap;

/// Comparisons of a value with a type that one schema may ask for.
const STEPS_MAX: usize = 1_000_000;
/// Values within values, defaults of fields within defaults included.
const DEPTH_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Valid,
    Invalid,
    /// Valid as far as known; some type it touched is not defined yet.
    Depends,
}

/// One default under examination.
pub(super) struct Check<'p> {
    pub(super) parser: &'p Parser<'p>,
    /// Work so far, over all defaults of the schema.
    pub(super) steps: usize,
    pub(super) depth: usize,
}

impl Check<'_> {
    /// Whether `value` is a `node`.
    ///
    /// # Errors
    /// What keeps this from being answered.
    pub(super) fn value(&mut self, node: NodeId, value: &Value) -> Result<Outcome, String> {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.depth > DEPTH_MAX {
            return Err("the defaults of this schema are too costly to check".into());
        }
        if self.parser.pending.contains_key(&node) {
            // Java takes a type that it doesn't know yet for a record.
            let object = matches!(value.json, Json::Object(_));
            return Ok(if object {
                Outcome::Depends
            } else {
                Outcome::Invalid
            });
        }
        let valid = match (&self.parser.node(node).kind, &value.json) {
            (Type::Null, Json::Null)
            | (Type::Boolean, Json::Bool(_))
            | (Type::Float | Type::Double, Json::Integer(_) | Json::Float(_))
            | (Type::Bytes | Type::String | Type::Enum(_) | Type::Fixed(_), Json::String(_)) => {
                true
            }
            (Type::Int, Json::Integer(digits)) => digits.parse::<i32>().is_ok(),
            (Type::Long, Json::Integer(digits)) => digits.parse::<i64>().is_ok(),
            (Type::Array(item), Json::Array(values)) => {
                return self.all(values.iter().map(|value| (*item, value)));
            }
            (Type::Map(item), Json::Object(members)) => {
                return self.all(members.iter().map(|member| (*item, &member.value)));
            }
            (Type::Union(branches), _) => return self.any(branches, value),
            (Type::Record(record), Json::Object(members)) => {
                if self.parser.open.contains(&node) {
                    let name = &record.name;
                    return Err(format!(
                        "the fields of {name} are not known yet at this default"
                    ));
                }
                return self.record(node, record, members);
            }
            _ => false,
        };
        Ok(if valid {
            Outcome::Valid
        } else {
            Outcome::Invalid
        })
    }

    /// Fields count in their order, as in Java. A field that is not given is valid if it has a
    /// default, unless that one could not be checked yet.
    fn record(
        &mut self,
        id: NodeId,
        record: &Record,
        members: &[Member],
    ) -> Result<Outcome, String> {
        let unsettled = self.parser.unsettled.get(&id).into_iter().flatten();
        let mut values = BTreeMap::new();
        for place in unsettled {
            self.steps += 1;
            let default = record
                .fields
                .get(*place)
                .and_then(|field| field.default.as_ref());
            values.extend(default.map(|default| (*place, default)));
        }
        let mut required = record.required;
        for member in members {
            self.steps += 1;
            let Some(place) = record.position(&member.key) else {
                continue;
            };
            values.insert(place, &member.value);
            required -= usize::from(record.fields[place].default.is_none());
        }
        if required > 0 {
            return Ok(Outcome::Invalid);
        }
        let fields = values.into_iter();
        self.all(fields.map(|(place, value)| (record.fields[place].node, value)))
    }

    fn all<'v>(
        &mut self,
        pairs: impl IntoIterator<Item = (NodeId, &'v Value)>,
    ) -> Result<Outcome, String> {
        let mut outcome = Outcome::Valid;
        self.depth += 1;
        for (node, value) in pairs {
            match self.value(node, value)? {
                Outcome::Valid => {}
                Outcome::Depends => outcome = Outcome::Depends,
                Outcome::Invalid => {
                    outcome = Outcome::Invalid;
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(outcome)
    }

    fn any(&mut self, branches: &[NodeId], value: &Value) -> Result<Outcome, String> {
        for branch in branches {
            let outcome = self.value(*branch, value)?;
            if outcome != Outcome::Invalid {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Invalid)
    }
}

/// The number of a text, by the grammar of Java's `Double.valueOf` without hexadecimal.
pub(super) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    match rest {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = rest.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(rest);
    let starts_right = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.parse().ok().filter(|_| starts_right)?;
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_strings_read_as_java_reads_them() {
        for (text, expected) in [
            ("1.5", 1.5),
            ("1.5f", 1.5),
            ("1e3D", 1000.0),
            (" 2 ", 2.0),
            ("+1", 1.0),
            ("-.5", -0.5),
            ("1.", 1.0),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(java_double(text), Some(expected), "{text}");
        }
        assert!(java_double("+NaN").unwrap().is_nan());
        for text in [
            "", "-", "1e", "1_0", "0x1", "\u{a0}1", "inf", "nan", "infinity", "--1", ".",
        ] {
            assert_eq!(java_double(text), None, "{text}");
        }
    }
}
