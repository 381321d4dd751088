//! Suggestions in the messages of the parser.
//!
//! They are computed only after an error, within the limits of schemas, so they need not be fast.

use super::Type;
use crate::json::{BorrowedValue, Json};

const TYPES: &str = "null, boolean, int, long, float, double, bytes, string, record, enum, array, \
                     map, fixed or the name of a type";
const TYPE_NAMES: [&str; 13] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum",
    "array", "map", "fixed",
];
/// Types that need attributes, each with an example.
const EXAMPLES: [(&str, &str); 6] = [
    ("record", r#"{"type": "record", "name": "R", "fields": []}"#),
    ("error", r#"{"type": "error", "name": "E", "fields": []}"#),
    ("enum", r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#),
    ("array", r#"{"type": "array", "items": "string"}"#),
    ("map", r#"{"type": "map", "values": "string"}"#),
    ("fixed", r#"{"type": "fixed", "name": "F", "size": 16}"#),
];
/// Logical types that are mistaken for types, each with the type that it annotates.
const LOGICAL: [(&str, &str); 11] = [
    ("date", "int"),
    ("time-millis", "int"),
    ("time-micros", "long"),
    ("timestamp-millis", "long"),
    ("timestamp-micros", "long"),
    ("timestamp-nanos", "long"),
    ("local-timestamp-millis", "long"),
    ("local-timestamp-micros", "long"),
    ("local-timestamp-nanos", "long"),
    ("uuid", "string"),
    ("decimal", "bytes"),
];
/// Type names of other languages, each with the Avro type.
const FOREIGN: [(&str, &str); 16] = [
    ("bool", "boolean"),
    ("integer", "int"),
    ("int32", "int"),
    ("short", "int"),
    ("byte", "int"),
    ("int64", "long"),
    ("bigint", "long"),
    ("float32", "float"),
    ("float64", "double"),
    ("number", "double"),
    ("str", "string"),
    ("text", "string"),
    ("char", "string"),
    ("binary", "bytes"),
    ("list", "array"),
    ("object", "record"),
];
/// Maximum length of a name that is compared with others, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Maximum number of pairs of characters that are compared for one message; about ten milliseconds.
const PAIRS_MAX: usize = 4_000_000;
/// Minimum Jaro-Winkler similarity of a suggestion, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.82;

/// Returns the message for an undefined type. `names` are the full names that are defined.
pub(super) fn undefined<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let lower = name.to_ascii_lowercase();
    let of = |table: &[(&'static str, &'static str)]| {
        let row = table.iter().find(|(known, _)| *known == lower);
        row.map(|(_, value)| *value)
    };
    if let Some(example) = of(&EXAMPLES) {
        return format!("type \"{name}\" needs attributes: write {example}");
    }
    if let Some(kind) = of(&LOGICAL) {
        return format!(
            "\"{name}\" is a logical type: write {{\"type\": \"{kind}\", \"logicalType\": \
             \"{lower}\"}}"
        );
    }
    let same = TYPE_NAMES.into_iter().find(|known| *known == lower);
    let meant = match same.or_else(|| of(&FOREIGN)) {
        Some(known) => Some(known.to_owned()),
        None => closest(name, names),
    };
    match meant {
        Some(meant) => format!("unknown type \"{name}\"; did you mean \"{meant}\"?"),
        None => format!("unknown type \"{name}\"; expected {TYPES}"),
    }
}

/// Returns the message for a JSON value that cannot be a schema.
pub(super) fn not_a_schema(found: &str) -> String {
    format!("{found} is not a schema; expected {TYPES}")
}

/// Returns the message for a schema object without a type.
pub(super) fn untyped(object: &BorrowedValue<'_>) -> String {
    let hint = similar_key(object, "type");
    format!("a schema object needs \"type\", a string: {TYPES}{hint}")
}

/// Returns the message for an empty source.
pub(super) fn empty() -> String {
    format!("the schema is empty; expected {TYPES}, or a union")
}

/// Returns a suffix for the message about a missing attribute: a similar key that may be a typo.
pub(super) fn similar_key(object: &BorrowedValue<'_>, wanted: &str) -> String {
    let keys = object.members().iter().map(|member| &*member.key);
    let candidates = keys
        .filter(|key| *key != wanted && key.len() <= NAME_BYTES_MAX && !KNOWN_KEYS.contains(key));
    let best = candidates
        .map(|key| (strsim::jaro_winkler(&key.to_ascii_lowercase(), wanted), key))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(String::new, |(_, key)| {
        format!("; did you mean \"{wanted}\" instead of \"{key}\"?")
    })
}

/// Attributes of the specification, which are not typos of others.
const KNOWN_KEYS: [&str; 12] = [
    "type",
    "name",
    "namespace",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "doc",
    "aliases",
    "default",
    "order",
];

/// Returns a suffix for the message about an unknown name: the most similar known one.
pub(super) fn similar_name<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> String {
    best(unknown, known).map_or_else(String::new, |best| format!("; did you mean \"{best}\"?"))
}

/// Returns a suffix for the message about an invalid default of a type.
pub(super) fn default(kind: &Type, value: &Json) -> &'static str {
    match (kind, value) {
        (Type::Union(_), Json::Null) => "; add \"null\" to the union",
        (Type::Union(_), _) => "",
        (Type::Null, _) => "; the only default is null",
        (_, Json::Null) => "; a null default needs a union with \"null\"",
        (Type::Int | Type::Long | Type::Float | Type::Double | Type::Boolean, Json::String(_)) => {
            "; write it without quotes"
        }
        (Type::Int, Json::Integer(_)) => "; it exceeds 32 bits",
        (Type::Long, Json::Integer(_)) => "; it exceeds 64 bits",
        (Type::Int | Type::Long, Json::Float(_)) => {
            "; write it without a decimal point or exponent"
        }
        (Type::Bytes | Type::String | Type::Fixed(_) | Type::Enum(_), _) => {
            "; write it as a string"
        }
        (Type::Array(_), Json::Array(_)) => "; an element does not match the items",
        (Type::Map(_), Json::Object(_)) => "; a value does not match the values",
        (Type::Record(_), Json::Object(_)) => {
            "; a field without a default is missing, or a value does not match its field"
        }
        (Type::Array(_), _) => "; write it as [...]",
        (Type::Map(_) | Type::Record(_), _) => "; write it as {...}",
        (Type::Boolean, _) => "; expected true or false",
        (Type::Int | Type::Long | Type::Float | Type::Double, _) => "; expected a number",
    }
}

/// Returns the defined name or type that is most similar to an unknown one. A name that differs in
/// its namespace only has priority.
fn closest<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let mut names: Vec<_> = names.collect();
    // HashMap order varies between runs; the suggestion must not.
    names.sort_unstable();
    let simple = |name: &str| name.rsplit('.').next() == Some(unknown);
    let elsewhere = names.iter().find(|name| simple(name));
    let known = TYPE_NAMES.into_iter().chain(names.iter().copied());
    let found = elsewhere.copied().or_else(|| best(unknown, known));
    found.map(str::to_owned)
}

/// Returns the most similar of the known names, the first in alphabetical order if several are.
/// Only the first names are compared once [`PAIRS_MAX`] is reached.
fn best<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut best: Option<(f64, &str)> = None;
    let mut pairs = 0;
    for candidate in known {
        if unknown.len().max(candidate.len()) > NAME_BYTES_MAX {
            continue;
        }
        // The comparison takes time proportional to the product of the lengths.
        pairs += unknown.len() * candidate.len();
        if pairs > PAIRS_MAX {
            break;
        }
        let similarity = strsim::jaro_winkler(unknown, candidate);
        // A tie goes to the alphabetically first name, in any order of the input.
        let better = best.is_none_or(|(most, name)| {
            similarity > most || (similarity - most).abs() < f64::EPSILON && candidate < name
        });
        if similarity >= SIMILARITY_MIN && better {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, name)| name)
}
