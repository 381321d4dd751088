//! Validation of defaults, by the rules of Java's strict parser.
//!
//! A default may match any branch of a union; an integer is valid for a double, and any string for
//! an enum, bytes or fixed. The work grows with the source of the defaults, because a field that a
//! default omits has its own default, which was checked before. It is bounded: a value that is
//! compared with several branches counts for each.

use super::{NodeId, Record, Type, parse::Parser};
use crate::json::{Json, Member, Value};
use std::collections::BTreeMap;

/// Maximum number of comparisons of a value with a type, over all defaults of one schema.
const STEPS_MAX: usize = 1_000_000;
/// Maximum nesting of values, including the defaults of omitted fields.
const DEPTH_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Valid,
    Invalid,
    /// Valid except for values whose type is not defined yet.
    Undecided,
}

/// The reasons why a default cannot be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DefaultError {
    #[error(
        "checking the defaults of this schema takes more than {STEPS_MAX} comparisons or \
         {DEPTH_MAX} levels"
    )]
    TooComplex,
    #[error("the default uses record {name} before the end of its definition")]
    OpenRecord { name: String },
}

/// The state of the check of one default.
pub(super) struct Check<'p> {
    pub(super) parser: &'p Parser<'p>,
    /// Comparisons so far, over all defaults of the schema.
    pub(super) steps: usize,
    pub(super) depth: usize,
}

impl Check<'_> {
    /// Returns whether `value` is a valid default of `node`.
    ///
    /// # Errors
    /// Returns a [`DefaultError`] if this cannot be decided.
    pub(super) fn value(&mut self, node: NodeId, value: &Value) -> Result<Outcome, DefaultError> {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.depth > DEPTH_MAX {
            return Err(DefaultError::TooComplex);
        }
        if self.parser.pending.contains_key(&node) {
            // Java treats a type that is not defined yet as a record.
            let object = matches!(value.json, Json::Object(_));
            return Ok(if object {
                Outcome::Undecided
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
                // Fields after this one are unknown, so completeness cannot be decided.
                if self.parser.open.contains(&node) {
                    return Err(DefaultError::OpenRecord {
                        name: record.name.to_string(),
                    });
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

    /// Checks the fields of a record in their order, as Java does. An omitted field with a default
    /// is valid; an undecided default is checked again.
    fn record(
        &mut self,
        id: NodeId,
        record: &Record,
        members: &[Member],
    ) -> Result<Outcome, DefaultError> {
        let undecided = self.parser.undecided.get(&id).into_iter().flatten();
        let mut values = BTreeMap::new();
        for position in undecided {
            self.steps += 1;
            let default = record
                .fields
                .get(*position)
                .and_then(|field| field.default.as_ref());
            values.extend(default.map(|default| (*position, default)));
        }
        let mut required = record.required;
        for member in members {
            self.steps += 1;
            let Some(position) = record.position(&member.key) else {
                continue;
            };
            // Replaces an undecided default of the same field.
            values.insert(position, &member.value);
            required -= usize::from(record.fields[position].default.is_none());
        }
        if required > 0 {
            return Ok(Outcome::Invalid);
        }
        let fields = values.into_iter();
        self.all(fields.map(|(position, value)| (record.fields[position].node, value)))
    }

    /// Returns the outcome of several values, the first invalid one ending the check.
    fn all<'v>(
        &mut self,
        pairs: impl IntoIterator<Item = (NodeId, &'v Value)>,
    ) -> Result<Outcome, DefaultError> {
        let mut outcome = Outcome::Valid;
        // Not restored after an error, which ends the parse.
        self.depth += 1;
        for (node, value) in pairs {
            match self.value(node, value)? {
                Outcome::Valid => {}
                Outcome::Undecided => outcome = Outcome::Undecided,
                Outcome::Invalid => {
                    outcome = Outcome::Invalid;
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(outcome)
    }

    /// Returns the outcome of the first branch that is not invalid.
    fn any(&mut self, branches: &[NodeId], value: &Value) -> Result<Outcome, DefaultError> {
        for branch in branches {
            let outcome = self.value(*branch, value)?;
            if outcome != Outcome::Invalid {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Invalid)
    }
}

/// Parses a number by the grammar of Java's `Double.valueOf`, without hexadecimal.
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
    // Rust also parses "inf", "nan" and a second sign.
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.parse().ok().filter(|_| is_decimal)?;
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_strings_parse_as_in_java() {
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
