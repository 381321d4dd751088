//! Matching of Rust variants with the branches of a union.

use crate::Schema;
use crate::schema::{Node, NodeId, Type};

/// Returns whether a variant has the name of a branch: its full name, simple name or type.
pub(super) fn is_branch(node: &Node, variant: &str) -> bool {
    match node.name() {
        Some(name) => same(name.fullname(), variant) || same(name.simple(), variant),
        None => {
            same(node.kind.as_str(), variant)
                || node.logical_type().is_some_and(|name| same(name, variant))
        }
    }
}

/// Returns whether names are equal, ignoring case and separators.
fn same(one: &str, other: &str) -> bool {
    let letters = |name: &str| -> Vec<u8> {
        let bytes = name
            .bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-' | b'.'));
        bytes.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    one == other || letters(one) == letters(other)
}

/// Returns the branches of the variants by position: without null within an `Option`.
pub(super) fn positional(
    schema: &Schema,
    branches: &[NodeId],
    in_option: bool,
) -> impl Iterator<Item = usize> {
    let is_null = |id: &NodeId| matches!(schema.node(*id).kind, Type::Null);
    let branches = branches.iter().enumerate();
    branches
        .filter(move |(_, id)| !(in_option && is_null(id)))
        .map(|(index, _)| index)
}

/// Returns the name of a branch for paths: its type or full name.
pub(super) fn path_name(node: &Node) -> String {
    let name = node
        .name()
        .map_or(node.kind.as_str(), |name| name.fullname());
    name.to_owned()
}
