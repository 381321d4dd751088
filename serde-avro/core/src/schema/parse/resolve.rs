//! Resolution of names that are used before their definition.

use super::super::{NodeId, Type, hints};
use super::{Deferred, Parsed, Parser, Pending};
use crate::json::Failure;
use std::collections::HashMap;

impl Parser<'_> {
    /// Replaces the placeholders, checks undecided defaults again, and checks the nesting of types
    /// through names. Returns the root.
    pub(super) fn resolve(&mut self, root: NodeId) -> Parsed<NodeId> {
        let mut targets = HashMap::new();
        let mut missing: Option<&Pending> = None;
        for (id, pending) in &self.pending {
            match self.names.get(&pending.fullname) {
                Some(target) => {
                    targets.insert(*id, *target);
                }
                // The first in the source, whatever the order of the map.
                None if missing.is_none_or(|other| pending.offset < other.offset) => {
                    missing = Some(pending);
                }
                None => {}
            }
        }
        if let Some(Pending {
            written,
            offset,
            pointer,
            ..
        }) = missing
        {
            let message = hints::undefined(written, self.names.keys().map(|name| &**name));
            return Err(Failure {
                message,
                offset: *offset,
                pointer: pointer.clone(),
            });
        }
        let target = |id: NodeId| targets.get(&id).copied().unwrap_or(id);
        if !targets.is_empty() {
            let nodes = self.nodes.iter_mut();
            nodes.for_each(|node| node.kind.map_children(target));
        }
        self.pending.clear();
        // The list is taken, because the check borrows the parser.
        for Deferred {
            record,
            field,
            pointer,
        } in std::mem::take(&mut self.deferred)
        {
            let Type::Record(owner) = &self.node(record).kind else {
                continue;
            };
            let Some(deferred) = owner.fields.get(field).cloned() else {
                continue;
            };
            self.check_default(&deferred)
                .map_err(|failure| Failure { pointer, ..failure })?;
            if let Some(undecided) = self.undecided.get_mut(&record) {
                undecided.remove(&field);
            }
        }
        let root = target(root);
        self.check_depth(root)?;
        Ok(root)
    }

    /// Checks the nesting of types, each named type being followed once.
    fn check_depth(&self, root: NodeId) -> Parsed<()> {
        let mut queue = vec![(root, 0)];
        let mut seen = vec![false; self.nodes.len()];
        while let Some((id, depth)) = queue.pop() {
            if depth > self.limits.depth {
                let max = self.limits.depth;
                let message = format!("types nest deeper than {max} levels through names");
                return self.fail(0, message);
            }
            let node = self.node(id);
            let was_seen = std::mem::replace(&mut seen[id.index()], true);
            // An unnamed type has one parent; a named type is followed at its first use.
            if node.name().is_none() || !was_seen {
                queue.extend(node.kind.children().rev().map(|id| (id, depth + 1)));
            }
        }
        Ok(())
    }
}
