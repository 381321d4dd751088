//! The compiled form: a graph of actions over the writer's bytes.
//!
//! An action consumes one value of the writer. Bytes that it passes over are part of the result,
//! unless the action is within a `Skip` or replaces them.

use crate::Schema;
use crate::schema::{NodeId, Type};
use std::ops::Range;

/// The index of an action.
pub(super) type ActionId = u32;

/// A part of one of the tables of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Part {
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// Keeps a number of bytes.
    Bytes(u32),
    Boolean,
    Int,
    Long,
    /// Keeps a length and as many bytes.
    Sized,
    /// Keeps the index of one of as many symbols.
    Enum(u32),
    /// Consumes the fields in the writer's order; each entry but `Insert` consumes one.
    Record {
        writer: NodeId,
        fields: Part,
    },
    /// Emits fields in another order than the writer's.
    Reorder {
        writer: NodeId,
        walks: Part,
        reads: Part,
    },
    /// Keeps the index of a branch and its value.
    Union {
        writer: NodeId,
        branches: Part,
    },
    /// Removes the index of a branch and consumes its value.
    Unwrap {
        writer: NodeId,
        branches: Part,
    },
    /// Emits the index of a branch of the reader, then consumes the value.
    Wrap {
        branch: u32,
        value: ActionId,
    },
    /// Keeps the blocks of an array or map.
    Blocks {
        item: ActionId,
        is_map: bool,
    },
    /// Emits the bytes of a default. Consumes nothing.
    Insert(Part),
    /// Removes a value.
    Skip(ActionId),
    /// Replaces the index of a symbol by an entry of the table of symbols.
    MapEnum {
        writer: NodeId,
        symbols: Part,
    },
    IntToFloat,
    IntToDouble,
    LongToFloat,
    LongToDouble,
    FloatToDouble,
    /// Rejects the datum, with a message.
    Fail(u32),
}

/// An entry of the table of symbols without a symbol of the reader.
pub(super) const NO_SYMBOL: u32 = u32::MAX;

/// A field of a `Reorder`: the position of the writer's field, `None` for a default.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) source: Option<u32>,
    pub(super) action: ActionId,
}

/// A compiled pair of schemas; the root is the first action.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) writer: Schema,
    pub(super) actions: Vec<Action>,
    /// True for actions that keep all bytes.
    pub(super) keeps: Vec<bool>,
    pub(super) lists: Vec<ActionId>,
    /// The actions of `lists`, in place, so that running them takes no lookup.
    pub(super) steps: Vec<Action>,
    pub(super) reads: Vec<Read>,
    pub(super) symbols: Vec<u32>,
    pub(super) defaults: Vec<u8>,
    pub(super) messages: Vec<Box<str>>,
    pub(super) is_identity: bool,
    pub(super) reads_all: bool,
}

impl Plan {
    pub(super) fn list(&self, part: Part) -> &[ActionId] {
        self.lists.get(part.range()).unwrap_or_default()
    }

    #[inline]
    pub(super) fn action(&self, id: ActionId) -> &Action {
        &self.actions[id as usize]
    }

    #[inline]
    pub(super) fn steps(&self, part: Part) -> &[Action] {
        self.steps.get(part.range()).unwrap_or_default()
    }

    /// Completes a plan whose actions are final.
    pub(super) fn complete(&mut self) {
        let actions = self.lists.iter().map(|id| self.actions[*id as usize]);
        self.steps = actions.collect();
        self.find_kept();
    }

    /// Computes which actions keep all bytes. Within a cycle they do unless one of them does not.
    fn find_kept(&mut self) {
        let mut parents = vec![Vec::new(); self.actions.len()];
        let mut lost = Vec::new();
        for (id, action) in (0_u32..).zip(&self.actions) {
            let children = match action {
                Action::Bytes(_)
                | Action::Boolean
                | Action::Int
                | Action::Long
                | Action::Sized
                | Action::Enum(_) => &[],
                Action::Record { fields: part, .. } | Action::Union { branches: part, .. } => {
                    self.list(*part)
                }
                Action::Blocks { item, .. } => std::slice::from_ref(item),
                _ => {
                    lost.push(id);
                    &[]
                }
            };
            children
                .iter()
                .for_each(|child| parents[*child as usize].push(id));
        }
        self.keeps = vec![true; self.actions.len()];
        while let Some(id) = lost.pop() {
            // Each action is lost once, so the work is proportional to the lists.
            if std::mem::replace(&mut self.keeps[id as usize], false) {
                lost.extend(&parents[id as usize]);
            }
        }
        self.is_identity = self.keeps.first().copied().unwrap_or_default();
    }

    /// Returns the name of the field that an entry of a `Record` consumes.
    #[cold]
    pub(super) fn field_name(&self, writer: NodeId, fields: Part, entry: usize) -> String {
        let before = self.steps(fields).iter().take(entry);
        let consumes = |action: &&Action| !matches!(action, Action::Insert(_));
        self.field_at(writer, before.filter(consumes).count())
    }

    #[cold]
    pub(super) fn field_at(&self, writer: NodeId, position: usize) -> String {
        match &self.writer.node(writer).kind {
            Type::Record(record) => record
                .fields
                .get(position)
                .map(|field| field.name.to_string()),
            _ => None,
        }
        .unwrap_or_default()
    }

    #[cold]
    pub(super) fn branch_name(&self, writer: NodeId, index: usize) -> String {
        let Some(id) = self.writer.node(writer).kind.child(index) else {
            return String::new();
        };
        let node = self.writer.node(id);
        let name = node
            .name()
            .map_or(node.kind.as_str(), |name| name.fullname());
        name.to_owned()
    }
}
