//! Confluent's `normalize`: a model in which equivalent schemas print the same string.
//!
//! The order of attributes and aliases and the form of defaults follow `toNormalizedString` of
//! Confluent Schema Registry 8. A registry parses that string again and stores what Java's
//! `Schema.toString(references, false)` prints.
//!
//! Where Confluent's string would change the meaning of the schema, the meaning is kept: a default
//! for a later branch of a union (Confluent drops it), an integer beyond 64 bits (dropped or an
//! error), characters beyond U+00FF in a default of bytes (replaced), a name without namespace used
//! within a namespace (moved into the namespace).

use super::{Field, Node, NodeId, Record, Schema, Type};
use crate::json::{Json, Member, Value, write_value};
use std::cmp::Ordering;

/// The logical types of Avro 1.12 with the types that they apply to. `decimal` also has attributes
/// to check; `uuid` and `duration` on a fixed require a size.
const LOGICAL_TYPES: [(&str, &str); 13] = [
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
    ("big-decimal", "bytes"),
    ("decimal", "bytes"),
    ("decimal", "fixed"),
];

/// Returns the nodes in normal form, with the same indexes.
pub(super) fn normalized(nodes: &[Node]) -> Vec<Node> {
    nodes.iter().map(|node| normal_node(nodes, node)).collect()
}

impl Schema {
    /// Returns a field's default as JSON in normal form.
    pub(crate) fn default_string(&self, field: &Field) -> Option<String> {
        let given = field.default.as_ref()?;
        let normal = default_of(&self.model.nodes, field.node, given);
        let mut json = String::new();
        write_value(&normal.as_ref().unwrap_or(given).json, &mut json);
        Some(json)
    }
}

fn normal_node(nodes: &[Node], node: &Node) -> Node {
    let mut normal = node.clone();
    normal.attributes = node_attributes(node);
    if let Some((aliases, doc)) = normal.kind.named_mut() {
        aliases.sort_unstable();
        // An empty documentation of a field is kept, as in Confluent's string.
        doc.take_if(|doc| doc.is_empty());
    }
    if let Type::Record(record) = &mut normal.kind {
        record.is_error = false;
        for field in &mut record.fields {
            normalize_field(nodes, field);
        }
    }
    normal
}

fn normalize_field(nodes: &[Node], field: &mut Field) {
    field.aliases.sort_unstable();
    field.attributes = sorted(&field.attributes);
    if let Some(value) = &mut field.default {
        *value = default_of(nodes, field.node, value).unwrap_or_else(|| sorted_value(value));
    }
}

/// Returns the attributes sorted by key, with those of a valid logical type first.
fn node_attributes(node: &Node) -> Vec<Member> {
    let mut attributes = sorted(&node.attributes);
    if let Some(name) = valid_logical_type(node) {
        let decimal = name == "decimal";
        // The sort is stable: other attributes stay sorted by key.
        attributes.sort_by_key(|member| match &*member.key {
            "logicalType" => 0,
            "precision" if decimal => 1,
            // A scale of 0 is the default and is sorted with the other attributes.
            "scale" if decimal && integer(&member.value) != Some(0) => 2,
            _ => 3,
        });
    }
    attributes
}

/// Returns the logical type if Java accepts it: it is known, applies to the type, and has valid
/// attributes.
fn valid_logical_type(node: &Node) -> Option<&str> {
    let name = node.logical_type()?;
    let size = match &node.kind {
        Type::Fixed(fixed) => Some(fixed.size),
        _ => None,
    };
    let valid = match (name, size) {
        ("uuid", Some(size)) => size == 16,
        ("duration", Some(size)) => size == 12,
        _ => {
            LOGICAL_TYPES.contains(&(name, node.kind.as_str()))
                && (name != "decimal" || is_decimal(node, size))
        }
    };
    valid.then_some(name)
}

fn is_decimal(node: &Node, size: Option<usize>) -> bool {
    let attribute = |key| node.attributes.iter().find(|member| &*member.key == key);
    let precision = attribute("precision").and_then(|member| integer(&member.value));
    let scale = match attribute("scale") {
        None => Some(0),
        Some(member) => integer(&member.value),
    };
    let (Some(precision), Some(scale)) = (precision, scale) else {
        return false;
    };
    let fits = size.is_none_or(|size| f64::from(precision) <= decimal_digits(size));
    precision > 0 && (0..=precision).contains(&scale) && fits
}

/// Returns the number of decimal digits that every two's complement number of `size` bytes can
/// hold.
fn decimal_digits(size: usize) -> f64 {
    // One bit is the sign.
    let bits = u32::try_from(size).unwrap_or(u32::MAX).saturating_mul(8);
    (std::f64::consts::LOG10_2 * f64::from(bits.saturating_sub(1))).floor()
}

fn integer(value: &Value) -> Option<i32> {
    match &value.json {
        Json::Integer(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn sorted(members: &[Member]) -> Vec<Member> {
    let mut sorted: Vec<_> = members
        .iter()
        .map(|member| Member {
            key: member.key.clone(),
            value: sorted_value(&member.value),
        })
        .collect();
    sorted.sort_by(|one, other| java_order(&one.key, &other.key));
    sorted
}

/// Compares strings as Java does, by UTF-16 code units.
fn java_order(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

fn sorted_value(value: &Value) -> Value {
    let json = match &value.json {
        Json::Array(elements) => Json::Array(elements.iter().map(sorted_value).collect()),
        Json::Object(members) => Json::Object(sorted(members)),
        plain => plain.clone(),
    };
    Value {
        json,
        span: value.span,
    }
}

/// Returns a default in normal form: numbers of floats and doubles with a decimal point, keys
/// sorted. Returns `None` if the value is not valid for the type. The parser has done the same
/// comparisons within its limits, which bounds the work.
fn default_of(nodes: &[Node], id: NodeId, value: &Value) -> Option<Value> {
    let json = match (&nodes[id.index()].kind, &value.json) {
        (Type::Union(branches), _) => {
            return branches
                .iter()
                // As in the parser, the first matching branch applies.
                .find_map(|branch| default_of(nodes, *branch, value));
        }
        (Type::Float, Json::Integer(_) | Json::Float(_)) => Json::Float(single(number(value)?)),
        (Type::Double, Json::Integer(_) | Json::Float(_)) => Json::Float(number(value)?),
        (Type::Int, Json::Integer(digits)) if digits.parse::<i32>().is_err() => return None,
        (Type::Long, Json::Integer(digits)) if digits.parse::<i64>().is_err() => return None,
        (Type::Null, Json::Null)
        | (Type::Boolean, Json::Bool(_))
        | (Type::Int | Type::Long, Json::Integer(_))
        | (Type::Bytes | Type::String | Type::Enum(_) | Type::Fixed(_), Json::String(_)) => {
            value.json.clone()
        }
        (Type::Array(item), Json::Array(elements)) => {
            let elements = elements
                .iter()
                .map(|element| default_of(nodes, *item, element));
            Json::Array(elements.collect::<Option<_>>()?)
        }
        (Type::Map(item), Json::Object(members)) => {
            object(members, |_, value| default_of(nodes, *item, value))?
        }
        (Type::Record(record), Json::Object(members)) if is_complete(record, value) => {
            object(members, |key, value| match record.position(key) {
                Some(position) => default_of(nodes, record.fields[position].node, value),
                None => Some(sorted_value(value)),
            })?
        }
        _ => return None,
    };
    Some(Value {
        json,
        span: value.span,
    })
}

fn object(
    members: &[Member],
    mut normal: impl FnMut(&str, &Value) -> Option<Value>,
) -> Option<Json> {
    let mut list = Vec::with_capacity(members.len());
    for Member { key, value } in members {
        let value = normal(key, value)?;
        let key = key.clone();
        list.push(Member { key, value });
    }
    list.sort_by(|one, other| java_order(&one.key, &other.key));
    Some(Json::Object(list))
}

/// Returns whether each field has a value or a default.
fn is_complete(record: &Record, value: &Value) -> bool {
    record
        .fields
        .iter()
        .all(|field| field.default.is_some() || value.member(&field.name).is_some())
}

fn number(value: &Value) -> Option<f64> {
    match &value.json {
        Json::Integer(digits) => digits.parse().ok(),
        Json::Float(double) => Some(*double),
        _ => None,
    }
}

/// Returns the double that prints with the digits of the closest float.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to a float is intended"
)]
fn single(double: f64) -> f64 {
    // The digits of the float, parsed as a double, print unchanged.
    let float = double as f32;
    float.to_string().parse().unwrap_or(double)
}
