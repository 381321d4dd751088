//! The compiled form: flat operations, and beside them what a fault report needs.

/// One step of checking. Targets are indexes of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A byte that is 0 or 1.
    Boolean,
    /// A varint of 32 bits.
    Int,
    /// A varint of 64 bits.
    Long,
    /// So many bytes of any content: floats, doubles, fixed, and runs of them.
    Skip(u32),
    /// A length and so many bytes.
    Bytes,
    /// A length and so many bytes of UTF-8.
    String,
    /// A varint below the number of symbols.
    Enum(u32),
    /// A varint below `branches`, then on at the target of that branch.
    Union { first_target: u32, branches: u32 },
    /// On at a target.
    Jump(u32),
    /// Blocks of what follows, up to `Next`; if there are none, on at `end`, behind it.
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
    /// A record that stands elsewhere.
    Call(u32),
    /// The end of such a record.
    Return,
    /// The end of the datum.
    End,
}

/// Where a step of a path comes from.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Field(Box<str>),
    /// A branch by its type.
    Type(&'static str),
    /// A branch by its full name, one of the program's names.
    Branch(u32),
    Key,
}

/// An operation's place in its record, item or entry: an index into the steps, 0 for the record,
/// item or entry itself.
pub(super) type Place = u32;

/// The steps of places, each with the place it starts from.
#[derive(Clone, Debug)]
pub(super) struct PathStep {
    pub(super) parent: Place,
    pub(super) step: Step,
}

/// One value within a run of skipped bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) bytes: u32,
    pub(super) what: &'static str,
    pub(super) place: Place,
}

#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) targets: Vec<u32>,
    /// Whether the datum may nest deeper than the budget, so that depth needs counting.
    pub(super) counts_depth: bool,
    /// The place of each operation.
    pub(super) places: Vec<Place>,
    pub(super) steps: Vec<PathStep>,
    /// The full names of branches, each once however many unions refer to it.
    pub(super) names: Vec<Box<str>>,
    /// The `Blocks` that are maps, in order.
    pub(super) maps: Vec<u32>,
    /// What each `Skip` consists of, by operation, in order.
    pub(super) parts: Vec<(u32, Part)>,
}

impl Program {
    pub(super) fn memory_bytes(&self) -> usize {
        let fields = self.steps.iter().map(|step| match &step.step {
            Step::Field(name) => name.len(),
            Step::Type(_) | Step::Branch(_) | Step::Key => 0,
        });
        let names = self.names.iter().map(|name| size_of_val(name) + name.len());
        self.ops.capacity() * size_of::<Op>()
            + (self.targets.capacity() + self.places.capacity() + self.maps.capacity()) * 4
            + self.steps.capacity() * size_of::<PathStep>()
            + self.parts.capacity() * size_of::<(u32, Part)>()
            + fields.chain(names).sum::<usize>()
    }

    pub(super) fn is_map(&self, op: u32) -> bool {
        self.maps.binary_search(&op).is_ok()
    }

    /// The parts of the `Skip` at an operation.
    pub(super) fn parts(&self, op: u32) -> impl Iterator<Item = Part> + '_ {
        let start = self.parts.partition_point(|(owner, _)| *owner < op);
        let rest = self.parts.get(start..).unwrap_or_default();
        rest.iter()
            .take_while(move |(owner, _)| *owner == op)
            .map(|(_, part)| *part)
    }

    pub(super) fn place(&self, op: u32) -> Place {
        usize::try_from(op)
            .ok()
            .and_then(|op| self.places.get(op))
            .copied()
            .unwrap_or_default()
    }

    /// Writes the path from a record, item or entry to a place within it.
    pub(super) fn write_path(&self, place: Place, out: &mut String) {
        let mut steps = Vec::new();
        let mut next = place;
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
                Step::Type(word) => write_branch(word, out),
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
