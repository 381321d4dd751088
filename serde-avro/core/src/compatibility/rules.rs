//! Rules of Schema Resolution for symbols, names and primitive types.

use crate::schema::{Enum, Name, Type};
use std::collections::HashSet;

/// Returns the symbols of the writer's enum that the reader's enum lacks, in the writer's order.
pub(super) fn missing_symbols<'s>(read: &Enum, written: &'s Enum) -> Vec<&'s str> {
    // Unchanged enums are frequent and need no hash set.
    if read.symbols == written.symbols {
        return Vec::new();
    }
    let known: HashSet<_> = read.symbols.iter().collect();
    let symbols = written.symbols.iter();
    let missing = symbols.filter(|symbol| !known.contains(symbol));
    missing.map(|symbol| &**symbol).collect()
}

/// Returns whether names match: without namespaces, or by an alias of the reader with its
/// namespace.
pub(crate) fn is_name_of((name, aliases): (&Name, &[Name]), written: &Name) -> bool {
    name.simple() == written.simple() || aliases.contains(written)
}

/// Returns whether types are equal primitive types or a promotion of the specification.
pub(crate) fn reads_primitive(read: &Type, written: &Type) -> bool {
    match read {
        Type::Null => matches!(written, Type::Null),
        Type::Boolean => matches!(written, Type::Boolean),
        Type::Int => matches!(written, Type::Int),
        Type::Long => matches!(written, Type::Int | Type::Long),
        Type::Float => matches!(written, Type::Int | Type::Long | Type::Float),
        Type::Double => matches!(written, Type::Int | Type::Long | Type::Float | Type::Double),
        Type::Bytes | Type::String => matches!(written, Type::Bytes | Type::String),
        _ => false,
    }
}
