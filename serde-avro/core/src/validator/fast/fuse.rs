//! Fusion of the operations of the reference interpreter.
//!
//! The first pass marks the targets of jumps. The second writes steps and merges operations that
//! are not targets into the step before.

use super::{FastProgram, Op, Step};
use crate::validator::program::{Op as Plain, Program};

/// Fuses the operations of a program.
pub(super) fn fuse(program: &Program) -> FastProgram {
    let mut fuser = Fuser {
        ops: &program.ops,
        targets: &program.targets,
        is_target: vec![false; program.ops.len() + 1],
        starts: vec![0; program.ops.len() + 1],
        steps: Vec::with_capacity(program.ops.len()),
    };
    fuser.find_targets();
    fuser.write();
    let Fuser { starts, steps, .. } = fuser;
    let relocated = |target: u32| starts[target as usize];
    let mut steps: Vec<_> = steps
        .into_iter()
        .map(|step| Step {
            op: with_targets(step.op, relocated),
            ..step
        })
        .collect();
    steps.shrink_to_fit();
    let nests = |step: &Step| matches!(step.op, Op::Blocks { .. } | Op::Call(_));
    FastProgram {
        nests: steps.iter().any(nests),
        targets: program.targets.iter().copied().map(relocated).collect(),
        counts_depth: program.counts_depth,
        steps,
    }
}

struct Fuser<'p> {
    ops: &'p [Plain],
    targets: &'p [u32],
    /// True for each operation that is reached by a jump, a call or a loop.
    is_target: Vec<bool>,
    /// The step of each operation.
    starts: Vec<u32>,
    /// The steps so far. Their targets are still indexes of operations.
    steps: Vec<Step>,
}

impl Fuser<'_> {
    /// Marks the targets.
    fn find_targets(&mut self) {
        let mut at = 0;
        while at < self.ops.len() {
            let (op, count) = self.shape(at);
            match op {
                Op::Union {
                    first_target,
                    branches,
                } => {
                    let targets = self.targets[first_target as usize..].iter();
                    for target in targets.take(branches as usize) {
                        self.is_target[*target as usize] = true;
                    }
                }
                Op::Optional { end, .. } => self.is_target[end as usize] = true,
                Op::Jump(_) if self.is_noop(at) => {}
                Op::Jump(target) | Op::Call(target) => self.is_target[target as usize] = true,
                Op::Blocks { end } => {
                    // Each item starts again after the blocks.
                    self.is_target[at + 1] = true;
                    self.is_target[end as usize] = true;
                }
                Op::Nothing
                | Op::Boolean
                | Op::Ints(_)
                | Op::Longs(_)
                | Op::Bytes
                | Op::Strings(_)
                | Op::Enum(_)
                | Op::OptionalString { .. }
                | Op::Next
                | Op::IntBlocks
                | Op::LongBlocks
                | Op::StringBlocks(_)
                | Op::SkipBlocks(_)
                | Op::Return
                | Op::End => {}
            }
            at += count;
        }
    }

    /// Writes the steps.
    fn write(&mut self) {
        let mut at = 0;
        while at < self.ops.len() {
            let (op, count) = self.shape(at);
            let skip = match self.ops[at] {
                Plain::Skip(bytes) => bytes,
                _ => 0,
            };
            // Also for merged operations: nothing jumps to them.
            self.starts[at] = index(self.steps.len());
            if !self.is_noop(at) && (self.is_target[at] || !self.merge(op, skip)) {
                self.steps.push(Step { op, skip });
            }
            at += count;
        }
    }

    /// Merges an operation into the last step. Returns whether that is possible.
    fn merge(&mut self, op: Op, skip: u32) -> bool {
        let Some(last) = self.steps.last_mut() else {
            return false;
        };
        if op == Op::Nothing && falls_through(last.op) {
            // On overflow the operation becomes a step of its own.
            let sum = last.skip.checked_add(skip);
            last.skip = sum.unwrap_or(last.skip);
            return sum.is_some();
        }
        let merged = match (last.op, op) {
            // The skipped bytes are between the two operations.
            _ if last.skip > 0 => return false,
            (Op::Strings(some), Op::Strings(more)) => Op::Strings(some + more),
            (Op::Longs(some), Op::Longs(more)) => Op::Longs(some + more),
            (Op::Ints(some), Op::Ints(more)) => Op::Ints(some + more),
            _ => return false,
        };
        last.op = merged;
        true
    }

    /// Returns the fused operation that starts at an operation, and the number of operations it
    /// replaces.
    fn shape(&self, at: usize) -> (Op, usize) {
        let op = match self.ops[at] {
            Plain::Boolean => Op::Boolean,
            Plain::Int | Plain::Ints => Op::Ints(1),
            Plain::Long | Plain::Longs => Op::Longs(1),
            Plain::Skip(_) => Op::Nothing,
            Plain::Bytes => Op::Bytes,
            Plain::String | Plain::Strings => Op::Strings(1),
            Plain::Enum(symbols) => Op::Enum(symbols),
            Plain::Union {
                first_target,
                branches,
            } => return self.union(at, first_target, branches),
            Plain::Jump(target) => Op::Jump(target),
            Plain::Blocks { end } => return self.blocks(at, end),
            Plain::Next => Op::Next,
            Plain::EmptyBlocks => Op::SkipBlocks(0),
            Plain::Call(target) => Op::Call(target),
            Plain::Return => Op::Return,
            Plain::End => Op::End,
        };
        (op, 1)
    }

    fn blocks(&self, at: usize, end: u32) -> (Op, usize) {
        match self.ops[at + 1..] {
            [Plain::Ints, Plain::Next, ..] => (Op::IntBlocks, 3),
            [Plain::Longs, Plain::Next, ..] => (Op::LongBlocks, 3),
            [Plain::Strings, Plain::Next, ..] => (Op::StringBlocks(1), 3),
            [Plain::String, Plain::String, Plain::Next, ..] => (Op::StringBlocks(2), 4),
            [Plain::Skip(bytes), Plain::Next, ..] => (Op::SkipBlocks(bytes), 3),
            _ => (Op::Blocks { end }, 1),
        }
    }

    /// Returns the operation for a union. One of two branches without bytes is recognized by its
    /// target, the end of the union.
    fn union(&self, at: usize, first_target: u32, branches: u32) -> (Op, usize) {
        let plain = Op::Union {
            first_target,
            branches,
        };
        let [first, second, ..] = self.targets[first_target as usize..] else {
            return (plain, 1);
        };
        // More targets may follow, those of other unions.
        if branches != 2 {
            return (plain, 1);
        }
        match self.ops[at + 1..] {
            // The empty branch is first: it is a jump to the end.
            [Plain::Jump(end), Plain::String, ..]
                if first == end && self.resolved(at + 3) == end =>
            {
                (Op::OptionalString { absent: 0 }, 3)
            }
            [Plain::Jump(end), ..] if first == end => (Op::Optional { absent: 0, end }, 2),
            // The empty branch is last: the other one ends with a jump to the end.
            [Plain::String, Plain::Jump(end), ..] if second == end => {
                (Op::OptionalString { absent: 2 }, 2)
            }
            _ if self.jumps_to(second) => (
                Op::Optional {
                    absent: 2,
                    end: second,
                },
                1,
            ),
            _ => (plain, 1),
        }
    }

    /// Returns whether an operation is a jump to the one after it.
    fn is_noop(&self, at: usize) -> bool {
        matches!(self.ops[at], Plain::Jump(target) if target as usize == at + 1)
    }

    /// Returns the target of `at` if it is a jump, else `at`.
    fn resolved(&self, at: usize) -> u32 {
        match self.ops.get(at) {
            Some(Plain::Jump(target)) => *target,
            _ => index(at),
        }
    }

    /// Returns whether the operation before `target` is a jump to it.
    fn jumps_to(&self, target: u32) -> bool {
        let before = (target as usize).checked_sub(1);
        before.is_some_and(|before| self.is_noop(before))
    }
}

/// Returns whether the next operation always follows this one.
fn falls_through(op: Op) -> bool {
    match op {
        Op::Nothing
        | Op::Boolean
        | Op::Ints(_)
        | Op::Longs(_)
        | Op::Bytes
        | Op::Strings(_)
        | Op::Enum(_)
        | Op::OptionalString { .. }
        | Op::IntBlocks
        | Op::LongBlocks
        | Op::StringBlocks(_)
        | Op::SkipBlocks(_) => true,
        Op::Optional { .. }
        | Op::Union { .. }
        | Op::Jump(_)
        | Op::Blocks { .. }
        | Op::Next
        | Op::Call(_)
        | Op::Return
        | Op::End => false,
    }
}

/// Replaces the targets of an operation.
fn with_targets(op: Op, relocated: impl Fn(u32) -> u32) -> Op {
    match op {
        Op::Optional { absent, end } => Op::Optional {
            absent,
            end: relocated(end),
        },
        Op::Blocks { end } => Op::Blocks {
            end: relocated(end),
        },
        Op::Jump(target) => Op::Jump(relocated(target)),
        Op::Call(target) => Op::Call(relocated(target)),
        other => other,
    }
}

fn index(steps: usize) -> u32 {
    u32::try_from(steps).expect("there are no more steps than operations, whose indexes are u32")
}
