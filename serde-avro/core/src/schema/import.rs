//! Taking the named types of referenced schemas into scope.
//!
//! Copies what isn't there yet and never a name twice, so that a chain of references, each holding
//! all before it, stays as large as the texts together.

use super::{
    Schema, Type,
    model::{Node, NodeId},
};
use std::collections::HashMap;

/// Copies the named types of `reference`, and what they are made of, into `nodes` and `names`.
/// Answers the copy of its root.
pub(super) fn import(
    reference: &Schema,
    nodes: &mut Vec<Node>,
    names: &mut HashMap<Box<str>, NodeId>,
) -> NodeId {
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    let mut queue: Vec<NodeId> = reference.model.names.values().copied().collect();
    queue.sort_unstable();
    queue.push(reference.root());
    let mut fresh = Vec::new();
    while let Some(id) = queue.pop() {
        if copies.contains_key(&id) {
            continue;
        }
        let node = reference.node(id);
        let known = node.name().and_then(|name| names.get(name.full())).copied();
        let copy = known.unwrap_or_else(|| {
            let copy = NodeId(u32::try_from(nodes.len()).expect("nodes are limited"));
            if let Some(name) = node.name() {
                names.insert(name.full().into(), copy);
            }
            nodes.push(Node {
                imported: true,
                ..node.clone()
            });
            fresh.push(copy);
            queue.extend(node.kind.children());
            copy
        });
        copies.insert(id, copy);
    }
    for id in fresh {
        if let Some(node) = nodes.get_mut(id.index()) {
            map(&mut node.kind, &copies);
        }
    }
    copies
        .get(&reference.root())
        .copied()
        .expect("the root was in the queue")
}

fn map(kind: &mut Type, copies: &HashMap<NodeId, NodeId>) {
    kind.map_children(|child| *copies.get(&child).expect("children were in the queue"));
}
