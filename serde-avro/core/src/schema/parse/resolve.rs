//! The end of a text: names that were used before their definition find it.

use super::super::{NodeId, Type, hints};
use super::{Deferred, Parsed, Parser, Pending};
use crate::json::Mistake;
use std::collections::HashMap;

impl Parser<'_> {
    /// Replaces the placeholders, looks again at what depended on them, and checks that
    /// following names for the first time nests no deeper than the limit.
    pub(super) fn resolve(&mut self, root: NodeId) -> Parsed<NodeId> {
        let mut targets = HashMap::new();
        let mut missing: Option<&Pending> = None;
        for (id, pending) in &self.pending {
            match self.names.get(&pending.name) {
                Some(target) => {
                    targets.insert(*id, *target);
                }
                None if missing.is_none_or(|other| pending.offset < other.offset) => {
                    missing = Some(pending);
                }
                None => {}
            }
        }
        if let Some(Pending {
            word,
            offset,
            pointer,
            ..
        }) = missing
        {
            let message = hints::undefined(word, self.names.keys().map(|name| &**name));
            return Err(Mistake {
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
            self.verdict(&deferred)
                .map_err(|mistake| Mistake { pointer, ..mistake })?;
            if let Some(unsettled) = self.unsettled.get_mut(&record) {
                unsettled.remove(&field);
            }
        }
        let root = target(root);
        self.check_depth(root)?;
        Ok(root)
    }

    fn check_depth(&self, root: NodeId) -> Parsed<()> {
        let mut queue = vec![(root, 0)];
        let mut seen = vec![false; self.nodes.len()];
        while let Some((id, depth)) = queue.pop() {
            if depth > self.limits.depth {
                let most = self.limits.depth;
                return self.fail(0, format!("types nest at most {most} deep, names followed"));
            }
            let node = self.node(id);
            let was_seen = std::mem::replace(&mut seen[id.index()], true);
            if node.name().is_none() || !was_seen {
                queue.extend(node.kind.children().rev().map(|id| (id, depth + 1)));
            }
        }
        Ok(())
    }
}
