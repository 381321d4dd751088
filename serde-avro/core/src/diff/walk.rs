//! The walk over pairs of an old and a new type.
//!
//! Owns which pairs are compared, and in which direction a difference counts: a field that only new
//! readers find by an alias breaks no old reader by its type. The stack is explicit, each pair is
//! gone through at most once a direction, and steps are bounded by the relation's budget.

use super::types;
use super::{Breaks, Change, ChangeKind};
use crate::compatibility::{CheckError, Relation, STEPS_MAX};
use crate::schema::{Field, NodeId, Record, Schema, Type};
use std::collections::{HashMap, HashSet};

/// Bytes of paths and of what is compared byte for byte that count as one step.
const BYTES_A_STEP: usize = 16;

/// The first `most` changes.
pub(super) fn changes(old: &Schema, new: &Schema, most: usize) -> Result<Vec<Change>, CheckError> {
    let mut new_reads_old = Relation::new(new, old);
    let mut old_reads_new = Relation::new(old, new);
    // The whole first: what is asked of the parts is then known.
    new_reads_old.reads(new.root(), old.root())?;
    old_reads_new.reads(old.root(), new.root())?;
    let mut walk = Walk {
        old,
        new,
        new_reads_old,
        old_reads_new,
        seen: HashMap::new(),
        changes: Vec::new(),
        most,
        steps: 0,
    };
    walk.run()?;
    Ok(walk.changes)
}

/// The directions in which what a pair does not agree on breaks someone; as [`Breaks`].
type Counts = Breaks;

/// A pair of types to compare, and the parts that lead to them.
struct Pair {
    old: NodeId,
    new: NodeId,
    old_parts: Vec<usize>,
    new_parts: Vec<usize>,
    counts: Counts,
    /// Whether it was compared before, so that only what breaks is news.
    again: bool,
}

pub(super) struct Walk<'s> {
    pub(super) old: &'s Schema,
    pub(super) new: &'s Schema,
    new_reads_old: Relation<'s>,
    old_reads_new: Relation<'s>,
    seen: HashMap<(NodeId, NodeId), Counts>,
    changes: Vec<Change>,
    /// Changes after which the walk ends.
    most: usize,
    steps: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), CheckError> {
        let mut stack = vec![Pair {
            old: self.old.root(),
            new: self.new.root(),
            old_parts: Vec::new(),
            new_parts: Vec::new(),
            counts: Breaks {
                old_readers: true,
                new_readers: true,
            },
            again: false,
        }];
        while let Some(mut pair) = stack.pop().filter(|_| !self.is_full()) {
            self.spend(1 + pair.old_parts.len() + pair.new_parts.len())?;
            if let Some(seen) = self.seen.get_mut(&(pair.old, pair.new)) {
                pair.counts.old_readers &= !seen.old_readers;
                pair.counts.new_readers &= !seen.new_readers;
                if pair.counts.nobody() {
                    continue;
                }
                pair.again = true;
                seen.old_readers |= pair.counts.old_readers;
                seen.new_readers |= pair.counts.new_readers;
            } else {
                self.seen.insert((pair.old, pair.new), pair.counts);
                pair.again = false;
            }
            let mut parts = self.compare(&pair)?;
            parts.reverse();
            stack.append(&mut parts);
        }
        Ok(())
    }

    /// Records what two types differ in, and answers the pairs that they are made of.
    fn compare(&mut self, pair: &Pair) -> Result<Vec<Pair>, CheckError> {
        let (old, new) = (self.old.node(pair.old), self.new.node(pair.new));
        self.spend((types::own_bytes(old) + types::own_bytes(new)) / BYTES_A_STEP)?;
        for (kind, breaks) in types::own_changes(old, new) {
            self.record(pair, kind, breaks)?;
        }
        Ok(match (&old.kind, &new.kind) {
            (Type::Record(before), Type::Record(after)) => self.fields(pair, before, after)?,
            (Type::Array(before), Type::Array(after)) | (Type::Map(before), Type::Map(after)) => {
                vec![pair.part((*before, Some(0)), (*after, Some(0)), pair.counts)]
            }
            (Type::Union(before), Type::Union(after)) => self.branches(pair, before, after)?,
            (Type::Union(before), _) => {
                self.changed_type(pair)?;
                let found = self.branch_like(self.old, before, pair.new, self.new);
                let alike = found.map(|(part, id)| {
                    pair.part((id, Some(part)), (pair.new, None), Breaks::default())
                });
                alike.into_iter().collect()
            }
            (_, Type::Union(after)) => {
                self.changed_type(pair)?;
                let found = self.branch_like(self.new, after, pair.old, self.old);
                let alike = found.map(|(part, id)| {
                    pair.part((pair.old, None), (id, Some(part)), Breaks::default())
                });
                alike.into_iter().collect()
            }
            (before, after) if before.as_str() == after.as_str() => Vec::new(),
            _ => {
                self.changed_type(pair)?;
                Vec::new()
            }
        })
    }

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
            let counts = Breaks {
                old_readers: source(was, after) == Some(to) && pair.counts.old_readers,
                ..pair.counts
            };
            let part = pair.part((was.node, Some(from)), (field.node, Some(to)), counts);
            self.matched(&part, was, (field, after), pair.counts)?;
            pairs.push(part);
        }
        for (from, was) in before.fields.iter().enumerate() {
            match source(was, after) {
                None if !found.contains(&from) => self.removed(pair, from, was)?,
                // Old readers find it under another name than new readers do.
                Some(to) if source(&after.fields[to], before) != Some(from) => {
                    let counts = Breaks {
                        new_readers: false,
                        ..pair.counts
                    };
                    let node = after.fields[to].node;
                    pairs.push(pair.part((was.node, Some(from)), (node, Some(to)), counts));
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
        let part = pair.part((pair.old, None), (field.node, Some(to)), pair.counts);
        self.push(&part, kind, only(breaks, part.counts), (false, true))
    }

    fn removed(&mut self, pair: &Pair, from: usize, was: &Field) -> Result<(), CheckError> {
        let breaks = Breaks {
            old_readers: was.default.is_none(),
            ..Breaks::default()
        };
        let kind = ChangeKind::FieldRemoved {
            field: was.name.to_string(),
        };
        let part = pair.part((was.node, Some(from)), (pair.new, None), pair.counts);
        self.push(&part, kind, only(breaks, part.counts), (true, false))
    }

    /// What a field that both have differs in, but for its type.
    fn matched(
        &mut self,
        part: &Pair,
        was: &Field,
        (is, after): (&Field, &Record),
        counts: Counts,
    ) -> Result<(), CheckError> {
        self.spend((types::field_bytes(was) + types::field_bytes(is)) / BYTES_A_STEP)?;
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
            self.push(part, kind, only(breaks, counts), (true, true))?;
        }
        for kind in types::field_changes((self.old, was), (self.new, is)) {
            self.push(part, kind, Breaks::default(), (true, true))?;
        }
        Ok(())
    }

    fn branches(
        &mut self,
        pair: &Pair,
        before: &[NodeId],
        after: &[NodeId],
    ) -> Result<Vec<Pair>, CheckError> {
        self.spend(before.len() + after.len())?;
        let (old, new) = (self.old, self.new);
        let places: HashMap<&str, usize> = (0..)
            .zip(after)
            .map(|(to, id)| (new.label(*id), to))
            .collect();
        let mut pairs = Vec::new();
        let mut order = Vec::new();
        for (from, branch) in before.iter().enumerate() {
            let lost = !self.new_reads_old.reads(pair.new, *branch)?;
            let Some(to) = places.get(old.label(*branch)) else {
                let branch_name = old.label(*branch).to_owned();
                let part = pair.part((*branch, Some(from)), (pair.new, None), pair.counts);
                let breaks = Breaks {
                    new_readers: lost,
                    ..Breaks::default()
                };
                let branch = branch_name;
                self.record(&part, ChangeKind::BranchRemoved { branch }, breaks)?;
                continue;
            };
            order.push(*to);
            let unread = !self.old_reads_new.reads(pair.old, after[*to])?;
            let counts = Breaks {
                old_readers: unread && pair.counts.old_readers,
                new_readers: lost && pair.counts.new_readers,
            };
            pairs.push(pair.part((*branch, Some(from)), (after[*to], Some(*to)), counts));
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
            let part = pair.part((pair.old, None), (*branch, Some(to)), pair.counts);
            let branch = new.label(*branch).to_owned();
            self.record(&part, ChangeKind::BranchAdded { branch }, breaks)?;
        }
        if !order.is_sorted() {
            self.record(pair, ChangeKind::BranchesReordered, Breaks::default())?;
        }
        Ok(pairs)
    }

    /// The branch that is called as a type of the other schema.
    fn branch_like(
        &self,
        union: &Schema,
        branches: &[NodeId],
        id: NodeId,
        schema: &Schema,
    ) -> Option<(usize, NodeId)> {
        let label = schema.label(id);
        let place = branches
            .iter()
            .position(|branch| union.label(*branch) == label)?;
        Some((place, branches[place]))
    }

    fn record(&mut self, pair: &Pair, kind: ChangeKind, breaks: Breaks) -> Result<(), CheckError> {
        self.push(pair, kind, only(breaks, pair.counts), (false, false))
    }

    /// Records a change; `fields` says on which sides it is of a field and not of its type.
    fn push(
        &mut self,
        pair: &Pair,
        kind: ChangeKind,
        breaks: Breaks,
        fields: (bool, bool),
    ) -> Result<(), CheckError> {
        if self.is_full() || pair.again && breaks.nobody() {
            return Ok(());
        }
        let site = |schema: &Schema, parts: &[usize], is_field| {
            if is_field {
                schema.field_site(parts)
            } else {
                schema.site(parts)
            }
        };
        let old = site(self.old, &pair.old_parts, fields.0);
        let new = site(self.new, &pair.new_parts, fields.1);
        self.spend((old.path.len() + new.path.len()) / BYTES_A_STEP)?;
        self.changes.push(Change {
            kind,
            old,
            new,
            breaks,
        });
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= self.most
    }

    fn spend(&mut self, steps: usize) -> Result<(), CheckError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(CheckError::BudgetExceeded { budget: STEPS_MAX });
        }
        Ok(())
    }
}

impl Pair {
    /// The pair of a part of each side, or of the side itself.
    fn part(
        &self,
        (old, from): (NodeId, Option<usize>),
        (new, to): (NodeId, Option<usize>),
        counts: Counts,
    ) -> Self {
        let extended = |parts: &[usize], part: Option<usize>| {
            parts.iter().copied().chain(part).collect::<Vec<_>>()
        };
        Self {
            old,
            new,
            old_parts: extended(&self.old_parts, from),
            new_parts: extended(&self.new_parts, to),
            counts,
            again: self.again,
        }
    }
}

/// The breaks in the directions that count.
fn only(breaks: Breaks, counts: Counts) -> Breaks {
    Breaks {
        old_readers: breaks.old_readers && counts.old_readers,
        new_readers: breaks.new_readers && counts.new_readers,
    }
}

/// The place of the writer's field that a reader's field reads, by its name or an alias.
fn source(reads: &Field, written: &Record) -> Option<usize> {
    let mut names = [&reads.name].into_iter().chain(&reads.aliases);
    names.find_map(|name| written.position(name))
}
