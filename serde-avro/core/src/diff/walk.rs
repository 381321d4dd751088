//! The comparison of pairs of an old and a new type.
//!
//! A pair has the directions in which its differences break readers: a field that only new readers
//! find by an alias breaks no old readers by its type. The stack is explicit, each pair is compared
//! at most once per direction, and the steps are bounded by the budget of compatibility.

use super::types;
use super::{Breaks, Change, ChangeKind};
use crate::compatibility::{CheckError, Relation, STEPS_MAX};
use crate::schema::{Field, NodeId, Record, Schema, Type};
use std::collections::{HashMap, HashSet};

/// Bytes of paths and of compared strings that count as one step.
const BYTES_PER_STEP: usize = 16;

/// Returns the first `max` changes.
pub(super) fn changes(old: &Schema, new: &Schema, max: usize) -> Result<Vec<Change>, CheckError> {
    let mut new_reads_old = Relation::new(new, old);
    let mut old_reads_new = Relation::new(old, new);
    // The comparison of the roots computes the results for most other pairs.
    new_reads_old.reads(new.root(), old.root())?;
    old_reads_new.reads(old.root(), new.root())?;
    let mut walk = Walk {
        old,
        new,
        new_reads_old,
        old_reads_new,
        seen: HashMap::new(),
        changes: Vec::new(),
        max,
        steps: 0,
    };
    walk.run()?;
    Ok(walk.changes)
}

/// The directions in which the differences of a pair break readers.
type Directions = Breaks;

/// A pair of types to compare, and the paths to them.
struct Pair {
    old: NodeId,
    new: NodeId,
    old_path: Vec<usize>,
    new_path: Vec<usize>,
    directions: Directions,
    /// True if the pair was compared before, so that only changes that break readers are listed.
    is_repeated: bool,
}

pub(super) struct Walk<'s> {
    pub(super) old: &'s Schema,
    pub(super) new: &'s Schema,
    new_reads_old: Relation<'s>,
    old_reads_new: Relation<'s>,
    seen: HashMap<(NodeId, NodeId), Directions>,
    changes: Vec<Change>,
    /// The number of changes after which the walk ends.
    max: usize,
    steps: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), CheckError> {
        let mut stack = vec![Pair {
            old: self.old.root(),
            new: self.new.root(),
            old_path: Vec::new(),
            new_path: Vec::new(),
            directions: Breaks {
                old_readers: true,
                new_readers: true,
            },
            is_repeated: false,
        }];
        while let Some(mut pair) = stack.pop().filter(|_| !self.is_full()) {
            self.spend(1 + pair.old_path.len() + pair.new_path.len())?;
            if let Some(seen) = self.seen.get_mut(&(pair.old, pair.new)) {
                // Only the directions in which the pair has not been compared.
                pair.directions.old_readers &= !seen.old_readers;
                pair.directions.new_readers &= !seen.new_readers;
                if pair.directions.is_none() {
                    continue;
                }
                pair.is_repeated = true;
                seen.old_readers |= pair.directions.old_readers;
                seen.new_readers |= pair.directions.new_readers;
            } else {
                self.seen.insert((pair.old, pair.new), pair.directions);
                pair.is_repeated = false;
            }
            let mut children = self.compare(&pair)?;
            // Reversed, because the last one pushed is compared first.
            children.reverse();
            stack.append(&mut children);
        }
        Ok(())
    }

    /// Records the changes of two types and returns the pairs of their children.
    fn compare(&mut self, pair: &Pair) -> Result<Vec<Pair>, CheckError> {
        let (old, new) = (self.old.node(pair.old), self.new.node(pair.new));
        self.spend((types::own_bytes(old) + types::own_bytes(new)) / BYTES_PER_STEP)?;
        for (kind, breaks) in types::own_changes(old, new) {
            self.record(pair, kind, breaks)?;
        }
        Ok(match (&old.kind, &new.kind) {
            (Type::Record(before), Type::Record(after)) => self.fields(pair, before, after)?,
            (Type::Array(before), Type::Array(after)) | (Type::Map(before), Type::Map(after)) => {
                vec![pair.child((*before, Some(0)), (*after, Some(0)), pair.directions)]
            }
            (Type::Union(before), Type::Union(after)) => self.branches(pair, before, after)?,
            (Type::Union(before), _) => {
                // The change of type breaks the readers; changes within the branch are listed as
                // well.
                self.changed_type(pair)?;
                let found = self.branch_like(self.old, before, pair.new, self.new);
                let counterpart = found.map(|(index, id)| {
                    pair.child((id, Some(index)), (pair.new, None), Breaks::default())
                });
                counterpart.into_iter().collect()
            }
            (_, Type::Union(after)) => {
                self.changed_type(pair)?;
                let found = self.branch_like(self.new, after, pair.old, self.old);
                let counterpart = found.map(|(index, id)| {
                    pair.child((pair.old, None), (id, Some(index)), Breaks::default())
                });
                counterpart.into_iter().collect()
            }
            (before, after) if before.as_str() == after.as_str() => Vec::new(),
            _ => {
                self.changed_type(pair)?;
                Vec::new()
            }
        })
    }

    /// Records a change of type, a promotion if new readers read old data.
    fn changed_type(&mut self, pair: &Pair) -> Result<(), CheckError> {
        let breaks = Breaks {
            old_readers: !self.old_reads_new.reads(pair.old, pair.new)?,
            new_readers: !self.new_reads_old.reads(pair.new, pair.old)?,
        };
        let from = self.old.label(pair.old).to_owned();
        let to = self.new.label(pair.new).to_owned();
        let kind = if breaks.new_readers {
            ChangeKind::TypeChanged { from, to }
        } else {
            ChangeKind::Promoted { from, to }
        };
        self.record(pair, kind, breaks)
    }

    /// Records the changes of the fields of two records and returns the pairs of their types.
    fn fields(
        &mut self,
        pair: &Pair,
        before: &Record,
        after: &Record,
    ) -> Result<Vec<Pair>, CheckError> {
        self.spend(before.fields.len() + after.fields.len())?;
        let mut pairs = Vec::new();
        let mut found = HashSet::new();
        for (to, field) in after.fields.iter().enumerate() {
            let Some(from) = source(field, before) else {
                self.added(pair, to, field)?;
                continue;
            };
            found.insert(from);
            let was = &before.fields[from];
            let directions = Breaks {
                // An alias may direct old readers to another field.
                old_readers: source(was, after) == Some(to) && pair.directions.old_readers,
                ..pair.directions
            };
            let child = pair.child((was.node, Some(from)), (field.node, Some(to)), directions);
            self.matched(&child, was, (field, after), pair.directions)?;
            pairs.push(child);
        }
        for (from, was) in before.fields.iter().enumerate() {
            match source(was, after) {
                None if !found.contains(&from) => self.removed(pair, from, was)?,
                // Old readers read another field of the new schema than new readers do.
                Some(to) if source(&after.fields[to], before) != Some(from) => {
                    let directions = Breaks {
                        new_readers: false,
                        ..pair.directions
                    };
                    let node = after.fields[to].node;
                    pairs.push(pair.child((was.node, Some(from)), (node, Some(to)), directions));
                }
                Some(_) | None => {}
            }
        }
        if types::reordered(before, after) {
            self.record(pair, ChangeKind::FieldsReordered, Breaks::default())?;
        }
        Ok(pairs)
    }

    fn added(&mut self, pair: &Pair, to: usize, field: &Field) -> Result<(), CheckError> {
        let has_default = field.default.is_some();
        let breaks = Breaks {
            new_readers: !has_default,
            ..Breaks::default()
        };
        let kind = ChangeKind::FieldAdded {
            field: field.name.to_string(),
            has_default,
        };
        let child = pair.child((pair.old, None), (field.node, Some(to)), pair.directions);
        self.push(&child, kind, only(breaks, child.directions), (false, true))
    }

    fn removed(&mut self, pair: &Pair, from: usize, was: &Field) -> Result<(), CheckError> {
        let breaks = Breaks {
            old_readers: was.default.is_none(),
            ..Breaks::default()
        };
        let kind = ChangeKind::FieldRemoved {
            field: was.name.to_string(),
        };
        let child = pair.child((was.node, Some(from)), (pair.new, None), pair.directions);
        self.push(&child, kind, only(breaks, child.directions), (true, false))
    }

    /// Records the changes of a field in both versions except that of its type.
    fn matched(
        &mut self,
        child: &Pair,
        was: &Field,
        (is, after): (&Field, &Record),
        directions: Directions,
    ) -> Result<(), CheckError> {
        self.spend((types::field_bytes(was) + types::field_bytes(is)) / BYTES_PER_STEP)?;
        if was.name != is.name {
            let kind = ChangeKind::FieldRenamed {
                from: was.name.to_string(),
                to: is.name.to_string(),
            };
            let lost = source(was, after).is_none() && was.default.is_none();
            let breaks = Breaks {
                old_readers: lost,
                ..Breaks::default()
            };
            self.push(child, kind, only(breaks, directions), (true, true))?;
        }
        for kind in types::field_changes((self.old, was), (self.new, is)) {
            self.push(child, kind, Breaks::default(), (true, true))?;
        }
        Ok(())
    }

    /// Records the changes of the branches of two unions and returns the pairs of equal ones.
    fn branches(
        &mut self,
        pair: &Pair,
        before: &[NodeId],
        after: &[NodeId],
    ) -> Result<Vec<Pair>, CheckError> {
        self.spend(before.len() + after.len())?;
        let (old, new) = (self.old, self.new);
        let positions: HashMap<&str, usize> = (0..)
            .zip(after)
            .map(|(to, id)| (new.label(*id), to))
            .collect();
        let mut pairs = Vec::new();
        let mut order = Vec::new();
        for (from, branch) in before.iter().enumerate() {
            let lost = !self.new_reads_old.reads(pair.new, *branch)?;
            let Some(to) = positions.get(old.label(*branch)) else {
                let branch_name = old.label(*branch).to_owned();
                let child = pair.child((*branch, Some(from)), (pair.new, None), pair.directions);
                let breaks = Breaks {
                    new_readers: lost,
                    ..Breaks::default()
                };
                let branch = branch_name;
                self.record(&child, ChangeKind::BranchRemoved { branch }, breaks)?;
                continue;
            };
            order.push(*to);
            let unread = !self.old_reads_new.reads(pair.old, after[*to])?;
            let directions = Breaks {
                old_readers: unread && pair.directions.old_readers,
                new_readers: lost && pair.directions.new_readers,
            };
            pairs.push(pair.child((*branch, Some(from)), (after[*to], Some(*to)), directions));
        }
        let kept: HashSet<usize> = order.iter().copied().collect();
        for (to, branch) in after.iter().enumerate() {
            if kept.contains(&to) {
                continue;
            }
            let breaks = Breaks {
                old_readers: !self.old_reads_new.reads(pair.old, *branch)?,
                ..Breaks::default()
            };
            let child = pair.child((pair.old, None), (*branch, Some(to)), pair.directions);
            let branch = new.label(*branch).to_owned();
            self.record(&child, ChangeKind::BranchAdded { branch }, breaks)?;
        }
        if !order.is_sorted() {
            self.record(pair, ChangeKind::BranchesReordered, Breaks::default())?;
        }
        Ok(pairs)
    }

    /// Returns the branch with the name of a type of the other schema, and its index.
    fn branch_like(
        &self,
        union: &Schema,
        branches: &[NodeId],
        id: NodeId,
        schema: &Schema,
    ) -> Option<(usize, NodeId)> {
        let label = schema.label(id);
        let index = branches
            .iter()
            .position(|branch| union.label(*branch) == label)?;
        Some((index, branches[index]))
    }

    /// Records a change of the types of a pair.
    fn record(&mut self, pair: &Pair, kind: ChangeKind, breaks: Breaks) -> Result<(), CheckError> {
        self.push(pair, kind, only(breaks, pair.directions), (false, false))
    }

    /// Records a change. `fields` has the sides, old and new, on which the site is the whole field.
    fn push(
        &mut self,
        pair: &Pair,
        kind: ChangeKind,
        breaks: Breaks,
        fields: (bool, bool),
    ) -> Result<(), CheckError> {
        if self.is_full() || pair.is_repeated && breaks.is_none() {
            return Ok(());
        }
        let site = |schema: &Schema, path: &[usize], is_field| {
            if is_field {
                schema.field_site(path)
            } else {
                schema.site(path)
            }
        };
        let old = site(self.old, &pair.old_path, fields.0);
        let new = site(self.new, &pair.new_path, fields.1);
        self.spend((old.path.len() + new.path.len()) / BYTES_PER_STEP)?;
        self.changes.push(Change {
            kind,
            old,
            new,
            breaks,
        });
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= self.max
    }

    fn spend(&mut self, steps: usize) -> Result<(), CheckError> {
        // Saturates, because callers add lengths without checks.
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(CheckError::BudgetExceeded { budget: STEPS_MAX });
        }
        Ok(())
    }
}

impl Pair {
    /// Returns the pair of a child of each side, or of the side itself without an index.
    fn child(
        &self,
        (old, from): (NodeId, Option<usize>),
        (new, to): (NodeId, Option<usize>),
        directions: Directions,
    ) -> Self {
        let extended = |path: &[usize], index: Option<usize>| {
            path.iter().copied().chain(index).collect::<Vec<_>>()
        };
        Self {
            old,
            new,
            old_path: extended(&self.old_path, from),
            new_path: extended(&self.new_path, to),
            directions,
            is_repeated: self.is_repeated,
        }
    }
}

/// Returns the breaks in the given directions.
fn only(breaks: Breaks, directions: Directions) -> Breaks {
    Breaks {
        old_readers: breaks.old_readers && directions.old_readers,
        new_readers: breaks.new_readers && directions.new_readers,
    }
}

/// Returns the position of the writer's field that a reader's field reads, by its name or an alias.
fn source(reads: &Field, written: &Record) -> Option<usize> {
    let mut names = [&reads.name].into_iter().chain(&reads.aliases);
    names.find_map(|name| written.position(name))
}
