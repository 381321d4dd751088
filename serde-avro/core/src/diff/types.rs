//! What two types, or two fields, differ in by themselves.

use super::{Breaks, ChangeKind};
use crate::json::{Member, Value, write_value};
use crate::schema::{Enum, Field, Fixed, Name, Node, Record, Schema, Type};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Attributes that belong to a logical type.
const LOGICAL: [&str; 3] = ["logicalType", "precision", "scale"];
/// What an entry of a set counts as, whatever its length.
const ENTRY_BYTES: usize = 16;
const BOTH: Breaks = Breaks {
    old_readers: true,
    new_readers: true,
};

/// Bytes that comparing a type by itself looks at and may tell.
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

/// Bytes that comparing a field by itself looks at and may tell.
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

/// The bytes of the text that a value was read from.
fn json_bytes(value: &Value) -> usize {
    value.span.end - value.span.start
}

/// What two types of one kind differ in, not counting the types they are made of.
pub(super) fn own_changes(old: &Node, new: &Node) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = match (&old.kind, &new.kind) {
        (Type::Record(old), Type::Record(new)) => {
            let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
            changes.extend(doc(old.doc.as_deref(), new.doc.as_deref()));
            changes
        }
        (Type::Enum(old), Type::Enum(new)) => enums(old, new),
        (Type::Fixed(old), Type::Fixed(new)) => fixeds(old, new),
        _ => Vec::new(),
    };
    let (from, to) = (logical(&old.attributes), logical(&new.attributes));
    if from != to {
        changes.push((
            ChangeKind::LogicalTypeChanged { from, to },
            Breaks::default(),
        ));
    }
    if custom(&old.attributes) != custom(&new.attributes) {
        changes.push((ChangeKind::AttributesChanged, Breaks::default()));
    }
    changes
}

/// What two fields differ in, but for name and type.
pub(super) fn field_changes(old: (&Schema, &Field), new: (&Schema, &Field)) -> Vec<ChangeKind> {
    let (was, is) = (old.1, new.1);
    let mut changes = Vec::new();
    let json = |value: &Option<Value>| value.as_ref().map(text);
    let (from, to) = (json(&was.default), json(&is.default));
    // An int's 1 and a double's 1.0 are both written as 1.
    if from != to && old.0.default_text(was) != new.0.default_text(is) {
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

/// Whether the fields that both have by name stand in another order.
pub(super) fn reordered(old: &Record, new: &Record) -> bool {
    let places = new
        .fields
        .iter()
        .filter_map(|field| old.position(&field.name));
    !places.is_sorted()
}

fn enums(old: &Enum, new: &Enum) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
    let lacking = |from: &Enum, within: &Enum| {
        let known: HashSet<_> = within.symbols.iter().collect();
        let lacking = from.symbols.iter().filter(|symbol| !known.contains(symbol));
        lacking.map(ToString::to_string).collect::<Vec<_>>()
    };
    let symbols = lacking(new, old);
    if !symbols.is_empty() {
        let breaks = Breaks {
            old_readers: old.default.is_none(),
            ..Breaks::default()
        };
        changes.push((ChangeKind::SymbolsAdded { symbols }, breaks));
    }
    let symbols = lacking(old, new);
    if !symbols.is_empty() {
        let breaks = Breaks {
            new_readers: new.default.is_none(),
            ..Breaks::default()
        };
        changes.push((ChangeKind::SymbolsRemoved { symbols }, breaks));
    }
    let places: HashMap<_, _> = old.symbols.iter().zip(0..).collect();
    let kept = new.symbols.iter().filter_map(|symbol| places.get(symbol));
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

fn fixeds(old: &Fixed, new: &Fixed) -> Vec<(ChangeKind, Breaks)> {
    let mut changes = names((&old.name, &old.aliases), (&new.name, &new.aliases));
    let (from, to) = (old.size, new.size);
    if from != to {
        changes.push((ChangeKind::SizeChanged { from, to }, BOTH));
    }
    changes.extend(doc(old.doc.as_deref(), new.doc.as_deref()));
    changes
}

/// Names match without their namespaces, or by an alias of the reader's with it.
fn names(old: (&Name, &[Name]), new: (&Name, &[Name])) -> Vec<(ChangeKind, Breaks)> {
    let reads = |reader: (&Name, &[Name]), writer: &Name| {
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

/// Whether the aliases differ, in any order. That what was renamed has its old name as an alias is
/// told as the renaming.
fn other_aliases<T: Eq + Hash>(old: &[T], new: &[T], old_name: &T) -> bool {
    fn others<'a, T: Eq + Hash>(aliases: &'a [T], old_name: &T) -> HashSet<&'a T> {
        aliases.iter().filter(|alias| *alias != old_name).collect()
    }
    others(old, old_name) != others(new, old_name)
}

/// An empty documentation says as much as none.
fn doc(old: Option<&str>, new: Option<&str>) -> Option<(ChangeKind, Breaks)> {
    (old.unwrap_or_default() != new.unwrap_or_default())
        .then_some((ChangeKind::DocChanged, Breaks::default()))
}

/// A logical type with its numbers, such as `decimal(9, 2)`.
fn logical(attributes: &[Member]) -> Option<String> {
    let text_of = |key| {
        let member = attributes.iter().find(|member| &*member.key == key)?;
        Some(text(&member.value))
    };
    let name = text_of("logicalType")?;
    let name = name.trim_matches('"');
    let numbers: Vec<_> = ["precision", "scale"]
        .into_iter()
        .filter_map(text_of)
        .collect();
    Some(if numbers.is_empty() {
        name.to_owned()
    } else {
        format!("{name}({})", numbers.join(", "))
    })
}

/// The other attributes as JSON; their order has no meaning.
fn custom(attributes: &[Member]) -> HashMap<&str, String> {
    let others = attributes
        .iter()
        .filter(|member| !LOGICAL.contains(&&*member.key));
    others
        .map(|member| (&*member.key, text(&member.value)))
        .collect()
}

fn text(value: &Value) -> String {
    let mut out = String::new();
    write_value(&value.json, &mut out);
    out
}
