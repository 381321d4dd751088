//! Import of the named types of referenced schemas.
//!
//! Each name is copied once. So a chain of references, each of which contains all before it, is as
//! large as the sources together.

use super::{
    Schema, Type,
    model::{Node, NodeId},
};
use std::collections::HashMap;

/// Copies the named types of `reference` and their children to `nodes` and `names`. Returns the
/// copy of its root, or `None` if `nodes_max` would leave no node for the schema itself.
pub(super) fn import(
    reference: &Schema,
    nodes: &mut Vec<Node>,
    names: &mut HashMap<Box<str>, NodeId>,
    nodes_max: usize,
) -> Option<NodeId> {
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    let mut queue: Vec<NodeId> = reference.model.names.values().copied().collect();
    // HashMap order varies between runs; node ids must not.
    queue.sort_unstable();
    queue.push(reference.root());
    let mut added = Vec::new();
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
        if nodes.len() + 1 >= nodes_max {
            return None;
        }
        let copy = NodeId(u32::try_from(nodes.len()).expect("the number of nodes is limited"));
        if let Some(name) = node.name() {
            names.insert(name.fullname().into(), copy);
        }
        nodes.push(Node {
            is_imported: true,
            ..node.clone()
        });
        added.push(copy);
        queue.extend(node.kind.children());
        copies.insert(id, copy);
    }
    // The copies refer to nodes of the reference until all of them have a copy.
    for id in added {
        if let Some(node) = nodes.get_mut(id.index()) {
            map(&mut node.kind, &copies);
        }
    }
    copies.get(&reference.root()).copied()
}

fn map(kind: &mut Type, copies: &HashMap<NodeId, NodeId>) {
    kind.map_children(|child| {
        *copies
            .get(&child)
            .expect("the queue contained all children")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/1e
    #[test]
    fn import_stops_at_the_node_limit() {
        let field = |at| format!(r#"{{"name":"f{at}","type":"int"}}"#);
        let fields = (0..100).map(field).collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let reference = Schema::parse(&text).unwrap();
        for (nodes_max, copied) in [(50, None), (101, None), (102, Some(NodeId(0)))] {
            let (mut nodes, mut names) = (Vec::new(), HashMap::new());
            let root = import(&reference, &mut nodes, &mut names, nodes_max);
            assert_eq!(root, copied, "{nodes_max}");
            assert!(nodes.len() < nodes_max, "{}", nodes.len());
        }
    }
}
