//! Changes of two types or two fields themselves, without their children.

use super::{Breaks, ChangeKind};
use crate::json::{Member, Value, write_value};
use crate::schema::{Enum, Field, Fixed, Name, Node, Record, Schema, Type};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// The attributes of logical types.
const LOGICAL: [&str; 3] = ["logicalType", "precision", "scale"];
/// The cost of an entry of a set, in addition to its bytes.
const ENTRY_BYTES: usize = 16;
const BOTH: Breaks = Breaks {
    old_readers: true,
    new_readers: true,
};

/// Returns the number of bytes that a comparison of the type itself reads and may report.
pub(super) fn own_bytes(node: &Node) -> usize {
    let symbols = match &node.kind {
        Type::Enum(symbols) => &symbols.symbols[..],
        _ => &[],
    };
    let symbols = symbols.iter().map(|symbol| ENTRY_BYTES + symbol.len());
    let aliases = node.kind.aliases().iter();
    let aliases = aliases.map(|alias| ENTRY_BYTES + alias.fullname().len());
    symbols.chain(aliases).sum::<usize>() + attribute_bytes(&node.attributes)
}

/// Returns the number of bytes that a comparison of the field itself reads and may report.
pub(super) fn field_bytes(field: &Field) -> usize {
    let default = field.default.as_ref().map_or(0, json_bytes);
    let aliases = field.aliases.iter().map(|alias| ENTRY_BYTES + alias.len());
    default + aliases.sum::<usize>() + attribute_bytes(&field.attributes)
}

fn attribute_bytes(attributes: &[Member]) -> usize {
    let members = attributes.iter();
    members
        .map(|member| ENTRY_BYTES + member.key.len() + json_bytes(&member.value))
        .sum()
}

/// Returns the length of a value in its source.
fn json_bytes(value: &Value) -> usize {
    value.span.end - value.span.start
}

/// Returns the changes of two types of the same kind, without those of their children.
pub(super) fn own_changes(old: &Node, new: &Node) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = match (&old.kind, &new.kind) {
        (Type::Record(old), Type::Record(new)) => {
            let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
            changes.extend(doc(old.doc.as_deref(), new.doc.as_deref()));
            changes
        }
        (Type::Enum(old), Type::Enum(new)) => enums(old, new),
        (Type::Fixed(old), Type::Fixed(new)) => fixed_types(old, new),
        _ => Vec::new(),
    };
    let (from, to) = (logical(&old.attributes), logical(&new.attributes));
    if from != to {
        changes.push((
            ChangeKind::LogicalTypeChanged { from, to },
            Breaks::default(),
        ));
    }
    // Readers ignore attributes that the specification does not define.
    if custom(&old.attributes) != custom(&new.attributes) {
        changes.push((ChangeKind::AttributesChanged, Breaks::default()));
    }
    changes
}

/// Returns the changes of two fields except those of name and type.
pub(super) fn field_changes(old: (&Schema, &Field), new: (&Schema, &Field)) -> Vec<ChangeKind> {
    let (was, is) = (old.1, new.1);
    let mut changes = Vec::new();
    let json = |value: &Option<Value>| value.as_ref().map(to_json);
    let (from, to) = (json(&was.default), json(&is.default));
    // The default of a double may be written 1 or 1.0: only a difference in normal form counts.
    if from != to && old.0.default_string(was) != new.0.default_string(is) {
        changes.push(ChangeKind::DefaultChanged { from, to });
    }
    let documented = doc(was.doc.as_deref(), is.doc.as_deref());
    changes.extend(documented.map(|(kind, _)| kind));
    if was.order != is.order {
        changes.push(ChangeKind::OrderChanged);
    }
    if other_aliases(&was.aliases, &is.aliases, &was.name) {
        changes.push(ChangeKind::AliasesChanged);
    }
    if custom(&was.attributes) != custom(&is.attributes) {
        changes.push(ChangeKind::AttributesChanged);
    }
    changes
}

/// Returns whether the fields in both records have another order.
pub(super) fn reordered(old: &Record, new: &Record) -> bool {
    let positions = new
        .fields
        .iter()
        .filter_map(|field| old.position(&field.name));
    !positions.is_sorted()
}

fn enums(old: &Enum, new: &Enum) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
    let missing = |from: &Enum, other: &Enum| {
        let known: HashSet<_> = other.symbols.iter().collect();
        let missing = from.symbols.iter().filter(|symbol| !known.contains(symbol));
        missing.map(ToString::to_string).collect::<Vec<_>>()
    };
    let symbols = missing(new, old);
    if !symbols.is_empty() {
        // A reader with a default reads an unknown symbol as that default.
        let breaks = Breaks {
            old_readers: old.default.is_none(),
            ..Breaks::default()
        };
        changes.push((ChangeKind::SymbolsAdded { symbols }, breaks));
    }
    let symbols = missing(old, new);
    if !symbols.is_empty() {
        let breaks = Breaks {
            new_readers: new.default.is_none(),
            ..Breaks::default()
        };
        changes.push((ChangeKind::SymbolsRemoved { symbols }, breaks));
    }
    // Data has the index of a symbol in the writer's list, so the order breaks no reader.
    let positions: HashMap<_, _> = old.symbols.iter().zip(0..).collect();
    let kept = new
        .symbols
        .iter()
        .filter_map(|symbol| positions.get(symbol));
    if !kept.is_sorted() {
        changes.push((ChangeKind::SymbolsReordered, Breaks::default()));
    }
    if old.default != new.default {
        let quoted = |symbol: &Option<Box<str>>| {
            let symbol = symbol.as_deref()?;
            Some(format!("\"{symbol}\""))
        };
        let (from, to) = (quoted(&old.default), quoted(&new.default));
        changes.push((ChangeKind::DefaultChanged { from, to }, Breaks::default()));
    }
    changes.extend(doc(old.doc.as_deref(), new.doc.as_deref()));
    changes
}

fn fixed_types(old: &Fixed, new: &Fixed) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
    let (from, to) = (old.size, new.size);
    // No reader converts between sizes.
    if from != to {
        changes.push((ChangeKind::SizeChanged { from, to }, BOTH));
    }
    changes.extend(doc(old.doc.as_deref(), new.doc.as_deref()));
    changes
}

/// Returns the changes of names and aliases. A name matches without its namespace, or by an alias
/// of the reader with it.
fn names(old: (&Name, &[Name]), new: (&Name, &[Name])) -> Vec<(ChangeKind, Breaks)> {
    let reads = |reader: (&Name, &[Name]), writer: &Name| {
        // Java compares the names of types without their namespaces.
        reader.0.simple() == writer.simple() || reader.1.contains(writer)
    };
    let mut changes = Vec::new();
    if old.0 != new.0 {
        let kind = ChangeKind::NameChanged {
            from: old.0.to_string(),
            to: new.0.to_string(),
        };
        let breaks = Breaks {
            old_readers: !reads(old, new.0),
            new_readers: !reads(new, old.0),
        };
        changes.push((kind, breaks));
    }
    if other_aliases(old.1, new.1, old.0) {
        changes.push((ChangeKind::AliasesChanged, Breaks::default()));
    }
    changes
}

/// Returns whether the aliases differ, in any order. The old name as an alias is part of the
/// renaming.
fn other_aliases<T: Eq + Hash>(old: &[T], new: &[T], old_name: &T) -> bool {
    fn others<'a, T: Eq + Hash>(aliases: &'a [T], old_name: &T) -> HashSet<&'a T> {
        aliases.iter().filter(|alias| *alias != old_name).collect()
    }
    others(old, old_name) != others(new, old_name)
}

/// Returns a change of the documentation; an empty one equals none.
fn doc(old: Option<&str>, new: Option<&str>) -> Option<(ChangeKind, Breaks)> {
    (old.unwrap_or_default() != new.unwrap_or_default())
        .then_some((ChangeKind::DocChanged, Breaks::default()))
}

/// Returns the logical type with its parameters, such as `decimal(9, 2)`.
fn logical(attributes: &[Member]) -> Option<String> {
    let json_of = |key| {
        let member = attributes.iter().find(|member| &*member.key == key)?;
        Some(to_json(&member.value))
    };
    let name = json_of("logicalType")?;
    // A logical type that is not a string is printed as its JSON.
    let name = name.trim_matches('"');
    let parameters: Vec<_> = ["precision", "scale"]
        .into_iter()
        .filter_map(json_of)
        .collect();
    Some(if parameters.is_empty() {
        name.to_owned()
    } else {
        format!("{name}({})", parameters.join(", "))
    })
}

/// Returns the other attributes as JSON, without their order.
fn custom(attributes: &[Member]) -> HashMap<&str, String> {
    let others = attributes
        .iter()
        .filter(|member| !LOGICAL.contains(&&*member.key));
    others
        .map(|member| (&*member.key, to_json(&member.value)))
        .collect()
}

fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(&value.json, &mut out);
    out
}
