//! From schema to program.
//!
//! A record stands where it is used if it is used once, else apart, and is called; so a program
//! is as large as its schema's text. What takes no bytes has no operations. Recursion is bounded
//! as the schema's nesting is.

use super::CompileError;
use super::program::{Op, Part, PathStep, Place, Program, Step};
use crate::schema::{Node, NodeId, Record, Schema, Type};
use std::collections::HashMap;

/// Bytes that one `Skip` gathers at most.
const SKIP_BYTES_MAX: u32 = 1 << 30;

pub(super) fn compile(schema: &Schema, depth_max: u32) -> Result<Program, CompileError> {
    let survey = Survey::of(schema);
    let deepest = survey.deepest.get(&schema.root()).copied().flatten();
    let counts_depth = deepest.is_none_or(|deepest| deepest > depth_max);
    let mut compiler = Compiler {
        schema,
        survey,
        program: Program {
            counts_depth,
            ..Program::default()
        },
        apart: HashMap::new(),
        calls: Vec::new(),
        names: HashMap::new(),
        queue: Vec::new(),
        joinable: None,
    };
    compiler.node(schema.root(), 0)?;
    compiler.emit(Op::End, 0)?;
    while let Some((id, record)) = compiler.queue.pop() {
        let start = compiler.here()?;
        compiler.apart.insert(id, Some(start));
        compiler.joinable = None;
        compiler.fields(record, 0)?;
        compiler.emit(Op::Return, 0)?;
    }
    compiler.link();
    let mut program = compiler.program;
    program.ops.shrink_to_fit();
    program.places.shrink_to_fit();
    program.steps.shrink_to_fit();
    program.names.shrink_to_fit();
    program.parts.shrink_to_fit();
    Ok(program)
}

/// What must be known of all nodes before the first is compiled.
struct Survey {
    /// Whether a node's values take no bytes, whatever they are.
    empty: HashMap<NodeId, bool>,
    /// How often a record is referred to.
    uses: HashMap<NodeId, u32>,
    /// How deep a node's values nest at most; none if there is no bound.
    deepest: HashMap<NodeId, Option<u32>>,
}

impl Survey {
    fn of(schema: &Schema) -> Self {
        let mut survey = Self {
            empty: HashMap::new(),
            uses: HashMap::new(),
            deepest: HashMap::new(),
        };
        // Children stand before their parents, except where a record contains itself.
        for id in postorder(schema) {
            let node = schema.node(id);
            for child in node.kind.children() {
                *survey.uses.entry(child).or_default() += 1;
            }
            let empty = survey.is_empty(node);
            survey.empty.insert(id, empty);
            let deepest = survey.deepest_of(node, empty);
            survey.deepest.insert(id, deepest);
        }
        survey
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
        let own = u32::from(matches!(
            node.kind,
            Type::Record(_) | Type::Array(_) | Type::Map(_)
        ));
        let mut deepest = 0;
        for child in node.kind.children() {
            deepest = deepest.max(self.deepest.get(&child).copied().flatten()?);
        }
        Some(deepest + own)
    }
}

fn postorder(schema: &Schema) -> Vec<NodeId> {
    let mut order = Vec::new();
    let mut seen = vec![false; schema.node_count()];
    let mut stack = vec![(schema.root(), false)];
    while let Some((id, done)) = stack.pop() {
        if done {
            order.push(id);
        } else if !std::mem::replace(&mut seen[id.index()], true) {
            stack.push((id, true));
            stack.extend(schema.node(id).kind.children().rev().map(|id| (id, false)));
        }
    }
    order
}

struct Compiler<'s> {
    schema: &'s Schema,
    survey: Survey,
    program: Program,
    /// Where the records that stand apart start; none until it is known.
    apart: HashMap<NodeId, Option<u32>>,
    /// Calls whose targets are records for the time being.
    calls: Vec<(usize, NodeId)>,
    /// The places of branches among the program's names.
    names: HashMap<NodeId, u32>,
    queue: Vec<(NodeId, &'s Record)>,
    /// The `Skip` that a following one may join.
    joinable: Option<usize>,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, id: NodeId, place: Place) -> Result<(), CompileError> {
        let node = self.schema.node(id);
        if self.survey.empty.get(&id).copied().unwrap_or_default() {
            return Ok(());
        }
        match &node.kind {
            Type::Null => Ok(()),
            Type::Boolean => self.emit(Op::Boolean, place),
            Type::Int => self.emit(Op::Int, place),
            Type::Long => self.emit(Op::Long, place),
            Type::Float => self.skip(4, "float", place),
            Type::Double => self.skip(8, "double", place),
            Type::Fixed(fixed) => self.skip(index(fixed.size)?, "fixed", place),
            Type::Bytes => self.emit(Op::Bytes, place),
            Type::String => self.emit(Op::String, place),
            Type::Enum(symbols) => self.emit(Op::Enum(index(symbols.symbols.len())?), place),
            Type::Union(branches) => self.union(branches, place),
            Type::Array(item) => self.blocks(*item, false, place),
            Type::Map(item) => self.blocks(*item, true, place),
            Type::Record(record) => self.record(id, record, place),
        }
    }

    fn record(&mut self, id: NodeId, record: &'s Record, place: Place) -> Result<(), CompileError> {
        let uses = self.survey.uses.get(&id).copied().unwrap_or_default();
        // Where depth is counted each record is called, so that each is a level of the stack.
        if !self.program.counts_depth && uses <= 1 {
            return self.fields(record, place);
        }
        self.apart.entry(id).or_insert_with(|| {
            self.queue.push((id, record));
            None
        });
        self.calls.push((self.program.ops.len(), id));
        self.emit(Op::Call(0), place)
    }

    fn fields(&mut self, record: &'s Record, place: Place) -> Result<(), CompileError> {
        for field in &record.fields {
            let place = self.step(place, Step::Field(field.name.clone()))?;
            self.node(field.node, place)?;
        }
        Ok(())
    }

    fn union(&mut self, branches: &[NodeId], place: Place) -> Result<(), CompileError> {
        let first_target = index(self.program.targets.len())?;
        let count = index(branches.len())?;
        self.emit(
            Op::Union {
                first_target,
                branches: count,
            },
            place,
        )?;
        self.program
            .targets
            .resize(self.program.targets.len() + branches.len(), 0);
        let mut jumps = Vec::with_capacity(branches.len());
        for (target, branch) in (first_target..).zip(branches) {
            let step = self.branch_step(*branch)?;
            let place = self.step(place, step)?;
            self.program.targets[target as usize] = self.here()?;
            self.joinable = None;
            self.node(*branch, place)?;
            if target + 1 < first_target + count {
                jumps.push(self.program.ops.len());
                self.emit(Op::Jump(0), place)?;
            }
        }
        let end = self.here()?;
        for jump in jumps {
            self.program.ops[jump] = Op::Jump(end);
        }
        self.joinable = None;
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
        self.program.names.push(name.fullname().into());
        self.names.insert(branch, at);
        Ok(Step::Branch(at))
    }

    fn blocks(&mut self, item: NodeId, is_map: bool, place: Place) -> Result<(), CompileError> {
        if is_map {
            self.program.maps.push(self.here()?);
        } else if self.survey.empty.get(&item).copied().unwrap_or_default() {
            return self.emit(Op::EmptyBlocks, place);
        }
        let blocks = self.program.ops.len();
        self.emit(Op::Blocks { end: 0 }, place)?;
        if is_map {
            let key = self.step(0, Step::Key)?;
            self.emit(Op::String, key)?;
        }
        self.node(item, 0)?;
        if let [.., Op::Blocks { .. }, only] = self.program.ops.as_mut_slice() {
            *only = all_items(*only);
        }
        self.emit(Op::Next, 0)?;
        self.program.ops[blocks] = Op::Blocks { end: self.here()? };
        Ok(())
    }

    fn skip(&mut self, bytes: u32, what: &'static str, place: Place) -> Result<(), CompileError> {
        let part = Part { bytes, what, place };
        let joined = self
            .joinable
            .and_then(|at| match self.program.ops.get_mut(at) {
                Some(Op::Skip(total)) if *total <= SKIP_BYTES_MAX - bytes.min(SKIP_BYTES_MAX) => {
                    *total += bytes;
                    Some(at)
                }
                _ => None,
            });
        if let Some(at) = joined {
            self.program.parts.push((index(at)?, part));
            return Ok(());
        }
        let at = self.program.ops.len();
        self.program.parts.push((index(at)?, part));
        self.emit(Op::Skip(bytes), place)?;
        self.joinable = Some(at);
        Ok(())
    }

    fn emit(&mut self, op: Op, place: Place) -> Result<(), CompileError> {
        self.here()?;
        self.joinable = None;
        self.program.ops.push(op);
        self.program.places.push(place);
        Ok(())
    }

    fn step(&mut self, parent: Place, step: Step) -> Result<Place, CompileError> {
        self.program.steps.push(PathStep { parent, step });
        index(self.program.steps.len())
    }

    fn here(&self) -> Result<u32, CompileError> {
        index(self.program.ops.len())
    }

    /// Points calls at their records, and jumps at the end of the jumps they lead to.
    fn link(&mut self) {
        for (call, id) in &self.calls {
            let start = self.apart.get(id).copied().flatten().unwrap_or_default();
            self.program.ops[*call] = Op::Call(start);
        }
        let ops = &self.program.ops;
        let settle = |mut target: u32| {
            // Jumps only lead forward, so this ends.
            while let Some(Op::Jump(next)) = ops.get(target as usize) {
                target = *next;
            }
            target
        };
        let targets = self
            .program
            .targets
            .iter()
            .map(|target| settle(*target))
            .collect();
        let settled = |op: &Op| {
            if let Op::Jump(to) = op {
                Op::Jump(settle(*to))
            } else {
                *op
            }
        };
        let ops = ops.iter().map(settled).collect();
        self.program.targets = targets;
        self.program.ops = ops;
    }
}

/// The operation that does all items of a block at once, if there is one.
fn all_items(op: Op) -> Op {
    match op {
        Op::Int => Op::Ints,
        Op::Long => Op::Longs,
        Op::String => Op::Strings,
        other => other,
    }
}

fn index(length: usize) -> Result<u32, CompileError> {
    u32::try_from(length)
        .ok()
        .filter(|index| *index < 1 << 31)
        .ok_or(CompileError)
}
