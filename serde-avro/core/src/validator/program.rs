//! The compiled form: a list of operations, and the data for fault reports.

/// An operation of the reference interpreter. Targets are indexes of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A byte that is 0 or 1.
    Boolean,
    /// A varint of 32 bits.
    Int,
    /// A varint of 64 bits.
    Long,
    /// A number of bytes of any value: floats, doubles, fixed types, and sequences of them.
    Skip(u32),
    /// A length and as many bytes.
    Bytes,
    /// A length and as many bytes of UTF-8.
    String,
    /// A varint below the number of symbols.
    Enum(u32),
    /// A varint below `branches`, then a jump to the target of that branch.
    Union { first_target: u32, branches: u32 },
    /// A jump.
    Jump(u32),
    /// Blocks of items, each checked by the operations up to `Next`. `end` is the operation after
    /// that.
    Blocks { end: u32 },
    /// All items of a block, each an `Int`.
    Ints,
    /// All items of a block, each a `Long`.
    Longs,
    /// All items of a block, each a `String`.
    Strings,
    /// The end of an item.
    Next,
    /// Blocks of items that take no bytes.
    EmptyBlocks,
    /// A call of a shared record.
    Call(u32),
    /// The end of a shared record.
    Return,
    /// The end of the datum.
    End,
}

/// A step of a path.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Field(Box<str>),
    /// A branch by its type.
    Type(&'static str),
    /// A branch by its full name, an index into the program's names.
    Branch(u32),
    Key,
}

/// The path of an operation within its record, item or entry: one more than the index of its last
/// step, 0 for the record, item or entry itself.
pub(super) type PathId = u32;

/// A step with the path before it.
#[derive(Clone, Debug)]
pub(super) struct PathStep {
    pub(super) parent: PathId,
    pub(super) step: Step,
}

/// One value of a sequence of skipped bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SkippedValue {
    pub(super) bytes: u32,
    pub(super) what: &'static str,
    pub(super) path: PathId,
}

#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) targets: Vec<u32>,
    /// True if data may exceed the maximum depth, so that the depth must be counted.
    pub(super) counts_depth: bool,
    /// The path of each operation.
    pub(super) paths: Vec<PathId>,
    pub(super) steps: Vec<PathStep>,
    /// The full names of branches, each once for all unions.
    pub(super) names: Vec<Box<str>>,
    /// The operations `Blocks` that are maps, in order.
    pub(super) maps: Vec<u32>,
    /// The values of each `Skip` with its operation, in order.
    pub(super) skipped: Vec<(u32, SkippedValue)>,
}

impl Program {
    pub(super) fn memory_bytes(&self) -> usize {
        let fields = self.steps.iter().map(|step| match &step.step {
            Step::Field(name) => name.len(),
            Step::Type(_) | Step::Branch(_) | Step::Key => 0,
        });
        let names = self.names.iter().map(|name| size_of_val(name) + name.len());
        self.ops.capacity() * size_of::<Op>()
            + (self.targets.capacity() + self.paths.capacity() + self.maps.capacity()) * 4
            + self.steps.capacity() * size_of::<PathStep>()
            + self.skipped.capacity() * size_of::<(u32, SkippedValue)>()
            + fields.chain(names).sum::<usize>()
    }

    pub(super) fn is_map(&self, op: u32) -> bool {
        self.maps.binary_search(&op).is_ok()
    }

    /// Returns the values of the `Skip` at an operation.
    pub(super) fn skipped_values(&self, op: u32) -> impl Iterator<Item = SkippedValue> + '_ {
        let start = self.skipped.partition_point(|(owner, _)| *owner < op);
        let rest = self.skipped.get(start..).unwrap_or_default();
        rest.iter()
            .take_while(move |(owner, _)| *owner == op)
            .map(|(_, value)| *value)
    }

    pub(super) fn path(&self, op: u32) -> PathId {
        usize::try_from(op)
            .ok()
            .and_then(|op| self.paths.get(op))
            .copied()
            .unwrap_or_default()
    }

    /// Appends the path within a record, item or entry.
    pub(super) fn write_path(&self, path: PathId, out: &mut String) {
        let mut steps = Vec::new();
        let mut next = path;
        // Paths are stored from the last step to the first.
        while let Some(step) = next
            .checked_sub(1)
            .and_then(|at| self.steps.get(at as usize))
        {
            steps.push(&step.step);
            next = step.parent;
        }
        for step in steps.into_iter().rev() {
            match step {
                Step::Field(name) => {
                    out.push('/');
                    out.push_str(name);
                }
                Step::Type(name) => write_branch(name, out),
                Step::Branch(name) => {
                    let name = self.names.get(*name as usize);
                    write_branch(name.map_or("", |name| name), out);
                }
                Step::Key => out.push_str(".key"),
            }
        }
    }
}

fn write_branch(name: &str, out: &mut String) {
    out.push('(');
    out.push_str(name);
    out.push(')');
}
