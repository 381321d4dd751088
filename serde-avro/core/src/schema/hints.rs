//! What would have been right: the second half of the parser's messages.
//!
//! Owns the guesses. They are made once a text is refused, so they may take their time, within the
//! limits that the text had to keep.

use super::Type;
use crate::json::{Json, Read};

const TYPES: &str = "null, boolean, int, long, float, double, bytes, string, record, enum, array, \
                     map, fixed or the name of a type";
const TYPE_WORDS: [&str; 13] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum",
    "array", "map", "fixed",
];
/// Types that need attributes, each with an example.
const OBJECTS: [(&str, &str); 6] = [
    ("record", r#"{"type": "record", "name": "R", "fields": []}"#),
    ("error", r#"{"type": "error", "name": "E", "fields": []}"#),
    ("enum", r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#),
    ("array", r#"{"type": "array", "items": "string"}"#),
    ("map", r#"{"type": "map", "values": "string"}"#),
    ("fixed", r#"{"type": "fixed", "name": "F", "size": 16}"#),
];
/// Logical types that are taken for types, each with its type.
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
/// Words of other languages.
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
/// Bytes of the longest word that is looked at as another one misspelt.
const WORD_BYTES_MAX: usize = 256;
/// Pairs of characters, one of each word, that are compared for one message at most: some ten
/// milliseconds.
const PAIRS_MAX: usize = 4_000_000;
/// How alike two words must be for one to be meant by the other, from 0 to 1.
const LIKENESS: f64 = 0.82;

/// The message for a type that has no definition. `word` is what the text has, `names` are the full
/// names that are defined.
pub(super) fn undefined<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> String {
    let lower = word.to_ascii_lowercase();
    let of = |table: &[(&'static str, &'static str)]| {
        let row = table.iter().find(|(known, _)| *known == lower);
        row.map(|(_, advice)| *advice)
    };
    if let Some(example) = of(&OBJECTS) {
        return format!("\"{word}\" takes more than its name: write {example} as the type");
    }
    if let Some(kind) = of(&LOGICAL) {
        return format!(
            "\"{word}\" is a logical type: write {{\"type\": \"{kind}\", \"logicalType\": \
             \"{lower}\"}}"
        );
    }
    let same = TYPE_WORDS.into_iter().find(|known| *known == lower);
    let meant = match same.or_else(|| of(&FOREIGN)) {
        Some(known) => Some(known.to_owned()),
        None => closest(word, names),
    };
    match meant {
        Some(meant) => format!("\"{word}\" is not defined; did you mean \"{meant}\"?"),
        None => format!("\"{word}\" is not defined; expected {TYPES}"),
    }
}

/// The message for a JSON value that is no schema at all.
pub(super) fn no_schema(found: &str) -> String {
    format!("{found} is no schema; expected {TYPES}")
}

/// The message for a schema object without a type.
pub(super) fn untyped(object: &Read<'_>) -> String {
    let what = format!("a schema object needs a \"type\" that is a string: {TYPES}");
    format!("{what}{}", instead(object, "type"))
}

/// The message for an empty text.
pub(super) fn empty() -> String {
    format!("the text is empty; a schema is {TYPES}, or a union")
}

/// What to add to a message about a missing attribute: a key that may be meant for it.
pub(super) fn instead(object: &Read<'_>, wanted: &str) -> String {
    let keys = object.members().iter().map(|member| &*member.key);
    let candidates =
        keys.filter(|key| *key != wanted && key.len() <= WORD_BYTES_MAX && !TELLING.contains(key));
    let best = candidates
        .map(|key| (strsim::jaro_winkler(&key.to_ascii_lowercase(), wanted), key))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(String::new, |(_, key)| {
        format!("; did you mean \"{wanted}\" where it says \"{key}\"?")
    })
}

/// Attributes that mean what they say.
const TELLING: [&str; 12] = [
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

/// What to add to a message about a name that is none of `known`.
pub(super) fn meant<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> String {
    best(word, known).map_or_else(String::new, |best| format!("; did you mean \"{best}\"?"))
}

/// What to add to a message about a default: how it would be one.
pub(super) fn default(kind: &Type, value: &Json) -> &'static str {
    match (kind, value) {
        (Type::Union(_), Json::Null) => "; add \"null\" to the union",
        (Type::Union(_), _) => "; it must be of one of the branches",
        (Type::Null, _) => "; only null is",
        (_, Json::Null) => "; for null the type must be a union with \"null\"",
        (Type::Int | Type::Long | Type::Float | Type::Double | Type::Boolean, Json::String(_)) => {
            "; write it without quotes"
        }
        (Type::Int, Json::Integer(_)) => "; it needs a long",
        (Type::Long, Json::Integer(_)) => "; it has more than 64 bits",
        (Type::Int | Type::Long, Json::Float(_)) => "; write it without a point and an exponent",
        (Type::Bytes | Type::String | Type::Fixed(_) | Type::Enum(_), _) => {
            "; write it as a string"
        }
        (Type::Array(_), Json::Array(_)) => "; an element is none of the items",
        (Type::Map(_), Json::Object(_)) => "; a value is none of the map's",
        (Type::Record(_), Json::Object(_)) => {
            "; a field is missing that has no default, or is of another type"
        }
        (Type::Array(_), _) => "; write it as [...]",
        (Type::Map(_) | Type::Record(_), _) => "; write it as {...}",
        (Type::Boolean, _) => "; it is true or false",
        (Type::Int | Type::Long | Type::Float | Type::Double, _) => "; write a number",
    }
}

/// The defined name or type that a word may be meant for.
fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let simple = |name: &str| name.rsplit('.').next() == Some(word);
    let elsewhere = names.iter().find(|name| simple(name));
    let known = TYPE_WORDS.into_iter().chain(names.iter().copied());
    let found = elsewhere.copied().or_else(|| best(word, known));
    found.map(str::to_owned)
}

/// The most alike of the known words, the first of several; of very many, of those that come first.
fn best<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut best: Option<(f64, &str)> = None;
    let mut pairs = 0;
    for candidate in known {
        if word.len().max(candidate.len()) > WORD_BYTES_MAX {
            continue;
        }
        pairs += word.len() * candidate.len();
        if pairs > PAIRS_MAX {
            break;
        }
        let likeness = strsim::jaro_winkler(word, candidate);
        let better = best.is_none_or(|(most, name)| {
            likeness > most || (likeness - most).abs() < f64::EPSILON && candidate < name
        });
        if likeness >= LIKENESS && better {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, name)| name)
}
