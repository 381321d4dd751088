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
/// Answers the copy of its root; none once `most` nodes would leave no room for the text's own.
pub(super) fn import(
    reference: &Schema,
    nodes: &mut Vec<Node>,
    names: &mut HashMap<Box<str>, NodeId>,
    most: usize,
) -> Option<NodeId> {
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
        let known = node
            .name()
            .and_then(|name| names.get(name.fullname()))
            .copied();
        if let Some(known) = known {
            copies.insert(id, known);
            continue;
        }
        if nodes.len() + 1 >= most {
            return None;
        }
        let copy = NodeId(u32::try_from(nodes.len()).expect("nodes are limited"));
        if let Some(name) = node.name() {
            names.insert(name.fullname().into(), copy);
        }
        nodes.push(Node {
            is_imported: true,
            ..node.clone()
        });
        fresh.push(copy);
        queue.extend(node.kind.children());
        copies.insert(id, copy);
    }
    for id in fresh {
        if let Some(node) = nodes.get_mut(id.index()) {
            map(&mut node.kind, &copies);
        }
    }
    copies.get(&reference.root()).copied()
}

fn map(kind: &mut Type, copies: &HashMap<NodeId, NodeId>) {
    kind.map_children(|child| *copies.get(&child).expect("children were in the queue"));
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/1e
    #[test]
    fn a_reference_is_copied_no_further_than_the_limit() {
        let field = |at| format!(r#"{{"name":"f{at}","type":"int"}}"#);
        let fields = (0..100).map(field).collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let reference = Schema::parse(&text).unwrap();
        for (most, copied) in [(50, None), (101, None), (102, Some(NodeId(0)))] {
            let (mut nodes, mut names) = (Vec::new(), HashMap::new());
            let root = import(&reference, &mut nodes, &mut names, most);
            assert_eq!(root, copied, "{most}");
            assert!(nodes.len() < most, "{}", nodes.len());
        }
    }
}
