//! The compiler: from a schema to a program.
//!
//! A record that is used once is inlined; others are shared and called. So the size of a program is
//! proportional to the source. Types without bytes have no operations. The recursion is bounded by
//! the nesting of the schema.

use super::CompileError;
use super::program::{Op, PathId, PathStep, Program, SkippedValue, Step};
use crate::schema::{Node, NodeId, Record, Schema, Type};
use std::collections::HashMap;

/// Maximum number of bytes of one `Skip`.
const SKIP_BYTES_MAX: u32 = 1 << 30;

/// Compiles a schema. `depth_max` determines whether the program counts the depth.
///
/// # Errors
/// Returns [`CompileError`] if an index exceeds 31 bits.
pub(super) fn compile(schema: &Schema, depth_max: u32) -> Result<Program, CompileError> {
    let analysis = Analysis::of(schema);
    let deepest = analysis.deepest.get(&schema.root()).copied().flatten();
    let counts_depth = deepest.is_none_or(|deepest| deepest > depth_max);
    let mut compiler = Compiler {
        schema,
        analysis,
        program: Program {
            counts_depth,
            ..Program::default()
        },
        shared: HashMap::new(),
        calls: Vec::new(),
        names: HashMap::new(),
        queue: Vec::new(),
        open_skip: None,
    };
    compiler.node(schema.root(), 0)?;
    compiler.emit(Op::End, 0)?;
    while let Some((id, record)) = compiler.queue.pop() {
        // Compiling a shared record may add others to the queue.
        let start = compiler.here()?;
        compiler.shared.insert(id, Some(start));
        compiler.open_skip = None;
        compiler.fields(record, 0)?;
        compiler.emit(Op::Return, 0)?;
    }
    compiler.link();
    let mut program = compiler.program;
    program.ops.shrink_to_fit();
    program.paths.shrink_to_fit();
    program.steps.shrink_to_fit();
    program.names.shrink_to_fit();
    program.skipped.shrink_to_fit();
    Ok(program)
}

/// Properties of all nodes, computed before compilation.
struct Analysis {
    /// True if all values of a node are encoded in zero bytes.
    empty: HashMap<NodeId, bool>,
    /// The number of uses of a node.
    uses: HashMap<NodeId, u32>,
    /// The maximum nesting of the values of a node, `None` without a bound.
    deepest: HashMap<NodeId, Option<u32>>,
}

impl Analysis {
    fn of(schema: &Schema) -> Self {
        let mut analysis = Self {
            empty: HashMap::new(),
            uses: HashMap::new(),
            deepest: HashMap::new(),
        };
        // Children are before their parents, except within a cycle of records.
        for id in postorder(schema) {
            let node = schema.node(id);
            for child in node.kind.children() {
                *analysis.uses.entry(child).or_default() += 1;
            }
            let empty = analysis.is_empty(node);
            analysis.empty.insert(id, empty);
            let deepest = analysis.deepest_of(node, empty);
            analysis.deepest.insert(id, deepest);
        }
        analysis
    }

    fn is_empty(&self, node: &Node) -> bool {
        match &node.kind {
            Type::Null => true,
            Type::Fixed(fixed) => fixed.size == 0,
            Type::Record(record) => record
                .fields
                .iter()
                .all(|field| self.empty.get(&field.node).copied().unwrap_or_default()),
            _ => false,
        }
    }

    fn deepest_of(&self, node: &Node, empty: bool) -> Option<u32> {
        if empty {
            return Some(0);
        }
        // Unions and types without children add no frame to the stack.
        let own = u32::from(matches!(
            node.kind,
            Type::Record(_) | Type::Array(_) | Type::Map(_)
        ));
        // A child without an entry is within a cycle, so the nesting has no bound.
        let mut deepest = 0;
        for child in node.kind.children() {
            deepest = deepest.max(self.deepest.get(&child).copied().flatten()?);
        }
        Some(deepest + own)
    }
}

/// Returns the reachable nodes, children before parents.
fn postorder(schema: &Schema) -> Vec<NodeId> {
    let mut order = Vec::new();
    let mut seen = vec![false; schema.node_count()];
    let mut stack = vec![(schema.root(), false)];
    while let Some((id, done)) = stack.pop() {
        if done {
            order.push(id);
        // The second visit, after the children, adds the node.
        } else if !std::mem::replace(&mut seen[id.index()], true) {
            stack.push((id, true));
            stack.extend(schema.node(id).kind.children().rev().map(|id| (id, false)));
        }
    }
    order
}

struct Compiler<'s> {
    schema: &'s Schema,
    analysis: Analysis,
    program: Program,
    /// The first operations of the shared records, `None` until they are compiled.
    shared: HashMap<NodeId, Option<u32>>,
    /// The calls to link, with their records.
    calls: Vec<(usize, NodeId)>,
    /// The indexes of branches among the program's names.
    names: HashMap<NodeId, u32>,
    queue: Vec<(NodeId, &'s Record)>,
    /// The `Skip` that a directly following one extends.
    open_skip: Option<usize>,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, id: NodeId, path: PathId) -> Result<(), CompileError> {
        let node = self.schema.node(id);
        if self.analysis.empty.get(&id).copied().unwrap_or_default() {
            return Ok(());
        }
        match &node.kind {
            Type::Null => Ok(()),
            Type::Boolean => self.emit(Op::Boolean, path),
            Type::Int => self.emit(Op::Int, path),
            Type::Long => self.emit(Op::Long, path),
            Type::Float => self.skip(4, "float", path),
            Type::Double => self.skip(8, "double", path),
            Type::Fixed(fixed) => self.skip(index(fixed.size)?, "fixed", path),
            Type::Bytes => self.emit(Op::Bytes, path),
            Type::String => self.emit(Op::String, path),
            Type::Enum(symbols) => self.emit(Op::Enum(index(symbols.symbols.len())?), path),
            Type::Union(branches) => self.union(branches, path),
            Type::Array(item) => self.blocks(*item, false, path),
            Type::Map(item) => self.blocks(*item, true, path),
            Type::Record(record) => self.record(id, record, path),
        }
    }

    fn record(&mut self, id: NodeId, record: &'s Record, path: PathId) -> Result<(), CompileError> {
        let uses = self.analysis.uses.get(&id).copied().unwrap_or_default();
        // If the depth is counted, each record is a call, so that it is a frame of the stack.
        if !self.program.counts_depth && uses <= 1 {
            return self.fields(record, path);
        }
        self.shared.entry(id).or_insert_with(|| {
            self.queue.push((id, record));
            None
        });
        self.calls.push((self.program.ops.len(), id));
        self.emit(Op::Call(0), path)
    }

    fn fields(&mut self, record: &'s Record, path: PathId) -> Result<(), CompileError> {
        for field in &record.fields {
            let path = self.step(path, Step::Field(field.name.clone()))?;
            self.node(field.node, path)?;
        }
        Ok(())
    }

    fn union(&mut self, branches: &[NodeId], path: PathId) -> Result<(), CompileError> {
        let first_target = index(self.program.targets.len())?;
        let count = index(branches.len())?;
        self.emit(
            Op::Union {
                first_target,
                branches: count,
            },
            path,
        )?;
        self.program
            .targets
            .resize(self.program.targets.len() + branches.len(), 0);
        let mut jumps = Vec::with_capacity(branches.len());
        for (target, branch) in (first_target..).zip(branches) {
            let step = self.branch_step(*branch)?;
            let path = self.step(path, step)?;
            self.program.targets[target as usize] = self.here()?;
            self.open_skip = None;
            self.node(*branch, path)?;
            // The last branch continues at the end of the union without a jump.
            if target + 1 < first_target + count {
                jumps.push(self.program.ops.len());
                self.emit(Op::Jump(0), path)?;
            }
        }
        let end = self.here()?;
        for jump in jumps {
            self.program.ops[jump] = Op::Jump(end);
        }
        self.open_skip = None;
        Ok(())
    }

    fn branch_step(&mut self, branch: NodeId) -> Result<Step, CompileError> {
        let node = self.schema.node(branch);
        let Some(name) = node.name() else {
            return Ok(Step::Type(node.kind.as_str()));
        };
        if let Some(known) = self.names.get(&branch) {
            return Ok(Step::Branch(*known));
        }
        let at = index(self.program.names.len())?;
        // Stored once: a name may be long and used by many unions.
        self.program.names.push(name.fullname().into());
        self.names.insert(branch, at);
        Ok(Step::Branch(at))
    }

    fn blocks(&mut self, item: NodeId, is_map: bool, path: PathId) -> Result<(), CompileError> {
        if is_map {
            self.program.maps.push(self.here()?);
        } else if self.analysis.empty.get(&item).copied().unwrap_or_default() {
            return self.emit(Op::EmptyBlocks, path);
        }
        let blocks = self.program.ops.len();
        self.emit(Op::Blocks { end: 0 }, path)?;
        if is_map {
            let key = self.step(0, Step::Key)?;
            self.emit(Op::String, key)?;
        }
        // Paths start again at each item; the frame has the path of the blocks.
        self.node(item, 0)?;
        // Items of one operation are checked in one loop.
        if let [.., Op::Blocks { .. }, only] = self.program.ops.as_mut_slice() {
            *only = all_items(*only);
        }
        self.emit(Op::Next, 0)?;
        self.program.ops[blocks] = Op::Blocks { end: self.here()? };
        Ok(())
    }

    /// Emits bytes of any value, as part of the previous `Skip` if possible.
    fn skip(&mut self, bytes: u32, what: &'static str, path: PathId) -> Result<(), CompileError> {
        let value = SkippedValue { bytes, what, path };
        let extended = self
            .open_skip
            .and_then(|at| match self.program.ops.get_mut(at) {
                // A fixed may exceed the maximum by itself.
                Some(Op::Skip(total)) if *total <= SKIP_BYTES_MAX - bytes.min(SKIP_BYTES_MAX) => {
                    *total += bytes;
                    Some(at)
                }
                _ => None,
            });
        if let Some(at) = extended {
            self.program.skipped.push((index(at)?, value));
            return Ok(());
        }
        let at = self.program.ops.len();
        self.program.skipped.push((index(at)?, value));
        self.emit(Op::Skip(bytes), path)?;
        // `emit` has just ended the previous one.
        self.open_skip = Some(at);
        Ok(())
    }

    fn emit(&mut self, op: Op, path: PathId) -> Result<(), CompileError> {
        self.here()?;
        self.open_skip = None;
        self.program.ops.push(op);
        self.program.paths.push(path);
        Ok(())
    }

    /// Adds a step and returns the path that ends with it.
    fn step(&mut self, parent: PathId, step: Step) -> Result<PathId, CompileError> {
        self.program.steps.push(PathStep { parent, step });
        index(self.program.steps.len())
    }

    /// Returns the index of the next operation.
    fn here(&self) -> Result<u32, CompileError> {
        index(self.program.ops.len())
    }

    /// Sets the targets of calls, and replaces targets that are jumps by the ends of these.
    fn link(&mut self) {
        for (call, id) in &self.calls {
            let start = self.shared.get(id).copied().flatten().unwrap_or_default();
            self.program.ops[*call] = Op::Call(start);
        }
        let ops = &self.program.ops;
        let resolve = |mut target: u32| {
            // Jumps only lead forward, so the loop terminates.
            while let Some(Op::Jump(next)) = ops.get(target as usize) {
                target = *next;
            }
            target
        };
        let targets = self
            .program
            .targets
            .iter()
            .map(|target| resolve(*target))
            .collect();
        let resolved = |op: &Op| {
            if let Op::Jump(to) = op {
                Op::Jump(resolve(*to))
            } else {
                *op
            }
        };
        let ops = ops.iter().map(resolved).collect();
        self.program.targets = targets;
        self.program.ops = ops;
    }
}

/// Returns the operation that checks all items of a block, if there is one.
fn all_items(op: Op) -> Op {
    match op {
        Op::Int => Op::Ints,
        Op::Long => Op::Longs,
        Op::String => Op::Strings,
        other => other,
    }
}

/// Converts an index to 31 bits, so that sums of two indexes fit into 32.
fn index(length: usize) -> Result<u32, CompileError> {
    u32::try_from(length)
        .ok()
        .filter(|index| *index < 1 << 31)
        .ok_or(CompileError)
}
