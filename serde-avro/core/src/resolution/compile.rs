//! The compiler: from a pair of schemas to a plan.
//!
//! Records are compiled from a queue, once for each pair, so the recursion is bounded by the
//! nesting of unnamed types between them.

use super::default::{self, DefaultError};
use super::plan::{Action, ActionId, NO_SYMBOL, Part, Plan, Read};
use super::{ResolverError, UnionRule};
use crate::Schema;
use crate::compatibility::{Relation, STEPS_MAX, is_name_of, reads_primitive};
use crate::schema::{Enum, Field, Fixed, Name, NodeId, Record, Type};
use std::collections::HashMap;
use std::mem::discriminant;

/// Maximum number of bytes of the encoded defaults of one plan.
const DEFAULT_BYTES_MAX: usize = 1 << 24;

pub(super) fn compile(
    writer: &Schema,
    reader: &Schema,
    rule: UnionRule,
) -> Result<Plan, ResolverError> {
    let mut compiler = Compiler {
        writer,
        reader,
        rule,
        relation: Relation::new(reader, writer),
        plan: Plan {
            writer: writer.clone(),
            actions: Vec::new(),
            keeps: Vec::new(),
            lists: Vec::new(),
            steps: Vec::new(),
            reads: Vec::new(),
            symbols: Vec::new(),
            defaults: Vec::new(),
            messages: Vec::new(),
            is_identity: false,
            reads_all: true,
        },
        pairs: HashMap::new(),
        walks: HashMap::new(),
        defaults: HashMap::new(),
        queue: Vec::new(),
        steps: 0,
    };
    // The root is the first action, which the pair fills in.
    let root = compiler.reserve()?;
    let id = compiler.pair(writer.root(), reader.root())?;
    compiler.drain()?;
    // A record may also be called, by its own index.
    compiler.plan.actions[root as usize] = compiler.plan.actions[id as usize];
    compiler.plan.complete();
    Ok(compiler.plan)
}

/// A record whose action is reserved but not compiled.
enum Queued<'s> {
    Pair(ActionId, NodeId, &'s Record, &'s Record, NodeId),
    Walk(ActionId, NodeId, &'s Record),
}

struct Compiler<'s> {
    writer: &'s Schema,
    reader: &'s Schema,
    rule: UnionRule,
    relation: Relation<'s>,
    plan: Plan,
    /// The actions of pairs of records: writer's, then reader's.
    pairs: HashMap<(NodeId, NodeId), ActionId>,
    /// The actions that keep a record of the writer.
    walks: HashMap<NodeId, ActionId>,
    /// The encoded defaults by record and position of the field.
    defaults: HashMap<(NodeId, usize), Action>,
    queue: Vec<Queued<'s>>,
    steps: usize,
}

impl<'s> Compiler<'s> {
    fn drain(&mut self) -> Result<(), ResolverError> {
        while let Some(next) = self.queue.pop() {
            match next {
                Queued::Pair(id, writer, written, read, reader) => {
                    self.plan.actions[id as usize] = self.fields(writer, written, reader, read)?;
                }
                Queued::Walk(id, writer, record) => {
                    let fields = record.fields.iter();
                    let walks: Result<_, _> = fields.map(|field| self.walk(field.node)).collect();
                    let fields = self.list(walks?)?;
                    self.plan.actions[id as usize] = Action::Record { writer, fields };
                }
            }
        }
        Ok(())
    }

    /// Returns the action that reads a type of the writer as one of the reader.
    fn pair(&mut self, written: NodeId, read: NodeId) -> Result<ActionId, ResolverError> {
        self.spend(1)?;
        let (writer, reader) = (self.writer, self.reader);
        let (write_kind, read_kind) = (&writer.node(written).kind, &reader.node(read).kind);
        match (write_kind, read_kind) {
            (Type::Union(branches), Type::Union(reads)) if self.is_same_union(branches, reads) => {
                let pairs = branches.iter().zip(reads);
                let actions: Result<_, _> = pairs.map(|(from, to)| self.pair(*from, *to)).collect();
                let branches = self.list(actions?)?;
                self.add(Action::Union {
                    writer: written,
                    branches,
                })
            }
            (Type::Union(branches), _) => {
                let actions = branches.iter().map(|branch| self.pair(*branch, read));
                let actions = actions.collect::<Result<_, _>>()?;
                let branches = self.list(actions)?;
                self.add(Action::Unwrap {
                    writer: written,
                    branches,
                })
            }
            (_, Type::Union(branches)) => match self.select(written, branches)? {
                Some(index) => {
                    let value = self.pair(written, branches[index])?;
                    let branch = u32::try_from(index).map_err(|_| too_complex())?;
                    self.add(Action::Wrap { branch, value })
                }
                None => self.fail(format!(
                    "no branch of the reader's union reads {}",
                    self.describe(write_kind)
                )),
            },
            (Type::Record(from), Type::Record(to)) => {
                if !is_name_of((&to.name, &to.aliases), &from.name) {
                    return self.mismatch(write_kind, read_kind);
                }
                if let Some(known) = self.pairs.get(&(written, read)) {
                    return Ok(*known);
                }
                let id = self.reserve()?;
                self.pairs.insert((written, read), id);
                self.queue.push(Queued::Pair(id, written, from, to, read));
                Ok(id)
            }
            (Type::Array(from), Type::Array(to)) => {
                let item = self.pair(*from, *to)?;
                self.add(Action::Blocks {
                    item,
                    is_map: false,
                })
            }
            (Type::Map(from), Type::Map(to)) => {
                let item = self.pair(*from, *to)?;
                self.add(Action::Blocks { item, is_map: true })
            }
            (Type::Enum(from), Type::Enum(to)) => self.symbols(written, from, to),
            (Type::Fixed(from), Type::Fixed(to)) => self.fixed((written, from), (read, to)),
            (from, to) if reads_primitive(to, from) => self.primitive((written, from), (read, to)),
            _ => self.mismatch(write_kind, read_kind),
        }
    }

    /// Returns whether two unions have the same types and names in the same order.
    fn is_same_union(&self, written: &[NodeId], read: &[NodeId]) -> bool {
        let is_same = |(from, to): (&NodeId, &NodeId)| {
            let (from, to) = (self.writer.node(*from), self.reader.node(*to));
            discriminant(&from.kind) == discriminant(&to.kind) && from.name() == to.name()
        };
        written.len() == read.len() && written.iter().zip(read).all(is_same)
    }

    /// Returns the index of the branch that reads a type of the writer.
    fn select(
        &mut self,
        written: NodeId,
        branches: &[NodeId],
    ) -> Result<Option<usize>, ResolverError> {
        let kind = &self.writer.node(written).kind;
        let mut candidates = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            self.spend(1)?;
            let read = &self.reader.node(*branch).kind;
            if self.matches(read, kind) {
                candidates.push((self.rank(read, kind), index));
            }
        }
        // Stable: branches of one rank keep their order.
        candidates.sort_by_key(|(rank, _)| *rank);
        for (_, index) in &candidates {
            if self.relation.reads(branches[*index], written)? {
                return Ok(Some(*index));
            }
        }
        Ok(candidates.first().map(|(_, index)| *index))
    }

    /// Returns whether types match apart from their children.
    fn matches(&self, read: &Type, written: &Type) -> bool {
        match (read.named(), written.named()) {
            (Some(to), Some(from)) => {
                discriminant(read) == discriminant(written)
                    && is_name_of((to.name, to.aliases), from.name)
            }
            (None, None) => {
                reads_primitive(read, written)
                    || matches!(
                        (read, written),
                        (Type::Array(_), Type::Array(_)) | (Type::Map(_), Type::Map(_))
                    )
            }
            _ => false,
        }
    }

    /// Returns the precedence of a branch, lowest first.
    fn rank(&self, read: &Type, written: &Type) -> u8 {
        match self.rule {
            UnionRule::FirstMatch => 0,
            UnionRule::SameTypeFirst => match (read.named(), written.named()) {
                (Some(to), Some(from)) => {
                    u8::from(to.name != from.name && !to.aliases.contains(from.name))
                }
                _ => 2 * u8::from(discriminant(read) != discriminant(written)),
            },
        }
    }

    /// Returns the action of a record, whose fields may have another order than the writer's.
    fn fields(
        &mut self,
        writer: NodeId,
        written: &'s Record,
        reader: NodeId,
        read: &'s Record,
    ) -> Result<Action, ResolverError> {
        let mut reads = Vec::with_capacity(read.fields.len());
        for (position, field) in read.fields.iter().enumerate() {
            self.spend(1 + field.aliases.len())?;
            let source = source_of(field, position, written)?;
            let action = match source {
                Some(source) => self.pair(written.fields[source].node, field.node)?,
                None => self.default(reader, position, field)?,
            };
            let source = source.map(index).transpose()?;
            reads.push(Read { source, action });
        }
        let sources = reads.iter().filter_map(|read| read.source);
        // One field of the writer may also be read by several of the reader.
        if sources.is_sorted_by(|one, next| one < next) {
            return self.in_order(writer, written, &reads);
        }
        let walks = written.fields.iter().map(|field| self.walk(field.node));
        let walks = walks.collect::<Result<_, _>>()?;
        let walks = self.list(walks)?;
        let start = index(self.plan.reads.len())?;
        self.plan.reads.extend(reads);
        let end = index(self.plan.reads.len())?;
        let reads = Part { start, end };
        Ok(Action::Reorder {
            writer,
            walks,
            reads,
        })
    }

    fn in_order(
        &mut self,
        writer: NodeId,
        written: &Record,
        reads: &[Read],
    ) -> Result<Action, ResolverError> {
        let mut fields = Vec::with_capacity(reads.len());
        let mut skipped = written.fields.iter().enumerate().peekable();
        for Read { source, action } in reads {
            if let Some(source) = source.map(|source| source as usize) {
                while let Some((_, field)) = skipped.next_if(|(position, _)| *position < source) {
                    fields.push(self.skip(field.node)?);
                }
                skipped.next();
            }
            fields.push(*action);
        }
        for (_, field) in skipped {
            fields.push(self.skip(field.node)?);
        }
        let fields = self.list(fields)?;
        Ok(Action::Record { writer, fields })
    }

    fn skip(&mut self, written: NodeId) -> Result<ActionId, ResolverError> {
        let walk = self.walk(written)?;
        self.add(Action::Skip(walk))
    }

    /// Returns the action that keeps any value of a type of the writer.
    fn walk(&mut self, written: NodeId) -> Result<ActionId, ResolverError> {
        self.spend(1)?;
        let writer = self.writer;
        let action = match &writer.node(written).kind {
            Type::Array(item) => Action::Blocks {
                item: self.walk(*item)?,
                is_map: false,
            },
            Type::Map(item) => Action::Blocks {
                item: self.walk(*item)?,
                is_map: true,
            },
            Type::Union(branches) => {
                let walks = branches.iter().map(|branch| self.walk(*branch));
                let walks = walks.collect::<Result<_, _>>()?;
                let branches = self.list(walks)?;
                Action::Union {
                    writer: written,
                    branches,
                }
            }
            Type::Record(record) => {
                if let Some(known) = self.walks.get(&written) {
                    return Ok(*known);
                }
                let id = self.reserve()?;
                self.walks.insert(written, id);
                self.queue.push(Queued::Walk(id, written, record));
                return Ok(id);
            }
            kind => leaf(kind)?,
        };
        self.add(action)
    }

    fn primitive(
        &mut self,
        (writer, written): (NodeId, &Type),
        (reader, read): (NodeId, &Type),
    ) -> Result<ActionId, ResolverError> {
        if self.has_other_scale(writer, reader) {
            return self.fail("decimals of different scales do not match".into());
        }
        let action = match (written, read) {
            (Type::Int, Type::Float) => Action::IntToFloat,
            (Type::Int, Type::Double) => Action::IntToDouble,
            (Type::Long, Type::Float) => Action::LongToFloat,
            (Type::Long, Type::Double) => Action::LongToDouble,
            (Type::Float, Type::Double) => Action::FloatToDouble,
            // An int is encoded as the same long, a string as the same bytes.
            (same, _) => leaf(same)?,
        };
        self.add(action)
    }

    fn fixed(
        &mut self,
        (writer, written): (NodeId, &Fixed),
        (reader, read): (NodeId, &Fixed),
    ) -> Result<ActionId, ResolverError> {
        if !is_name_of((&read.name, &read.aliases), &written.name) {
            return self.fail(other_name("fixed", &written.name, &read.name));
        }
        if written.size != read.size {
            return self.fail(format!(
                "fixed of {} bytes cannot be read as fixed of {} bytes",
                written.size, read.size
            ));
        }
        if self.has_other_scale(writer, reader) {
            return self.fail("decimals of different scales do not match".into());
        }
        let bytes = index(written.size)?;
        self.add(Action::Bytes(bytes))
    }

    fn has_other_scale(&self, writer: NodeId, reader: NodeId) -> bool {
        let scale = |schema: &Schema, id| {
            let node = schema.node(id);
            let is_decimal = node.logical_type() == Some("decimal");
            let scale = node.attribute("scale").map(|scale| scale.to_string());
            is_decimal.then(|| scale.unwrap_or_else(|| "0".into()))
        };
        match (scale(self.writer, writer), scale(self.reader, reader)) {
            (Some(written), Some(read)) => written != read,
            _ => false,
        }
    }

    fn symbols(
        &mut self,
        writer: NodeId,
        written: &Enum,
        read: &Enum,
    ) -> Result<ActionId, ResolverError> {
        if !is_name_of((&read.name, &read.aliases), &written.name) {
            return self.fail(other_name("enum", &written.name, &read.name));
        }
        self.spend(written.symbols.len() + read.symbols.len())?;
        if read.symbols.starts_with(&written.symbols) {
            let symbols = index(written.symbols.len())?;
            return self.add(Action::Enum(symbols));
        }
        let mut known = HashMap::new();
        for (position, symbol) in read.symbols.iter().enumerate() {
            known.insert(&**symbol, index(position)?);
        }
        let default = read.default.as_deref();
        let default = default.and_then(|default| known.get(default).copied());
        let start = index(self.plan.symbols.len())?;
        for symbol in &written.symbols {
            let mapped = known.get(&**symbol).copied().or(default);
            self.plan.reads_all &= mapped.is_some();
            self.plan.symbols.push(mapped.unwrap_or(NO_SYMBOL));
        }
        let end = index(self.plan.symbols.len())?;
        let symbols = Part { start, end };
        self.add(Action::MapEnum { writer, symbols })
    }

    /// Returns the action that emits the default of a field of the reader.
    fn default(
        &mut self,
        reader: NodeId,
        position: usize,
        field: &Field,
    ) -> Result<ActionId, ResolverError> {
        if let Some(known) = self.defaults.get(&(reader, position)) {
            return self.add(*known);
        }
        let name = &field.name;
        let Some(value) = &field.default else {
            return self.fail(format!(
                "the writer has no field {name}, which has no default"
            ));
        };
        let start = self.plan.defaults.len();
        let mut steps = STEPS_MAX.saturating_sub(self.steps);
        let out = std::mem::take(&mut self.plan.defaults);
        let (out, outcome) = default::encode(self.reader, field.node, value, out, &mut steps);
        self.plan.defaults = out;
        self.steps = STEPS_MAX - steps;
        match outcome {
            Ok(()) if self.plan.defaults.len() <= DEFAULT_BYTES_MAX => {
                let (start, end) = (index(start)?, index(self.plan.defaults.len())?);
                let action = Action::Insert(Part { start, end });
                self.defaults.insert((reader, position), action);
                self.add(action)
            }
            Ok(()) | Err(DefaultError::TooComplex) => Err(too_complex()),
            Err(DefaultError::Invalid) => {
                self.plan.defaults.truncate(start);
                self.fail(format!(
                    "the default of field {name} is not a value of its type"
                ))
            }
        }
    }

    fn mismatch(&mut self, written: &Type, read: &Type) -> Result<ActionId, ResolverError> {
        self.fail(match (written.named(), read.named()) {
            (Some(from), Some(to)) if discriminant(written) == discriminant(read) => {
                other_name(written.as_str(), from.name, to.name)
            }
            _ => format!(
                "{} cannot be read as {}",
                self.describe(written),
                self.describe(read)
            ),
        })
    }

    fn describe(&self, kind: &Type) -> String {
        match kind.named() {
            Some(named) => format!("{} {}", kind.as_str(), named.name),
            None => kind.as_str().to_owned(),
        }
    }

    fn fail(&mut self, message: String) -> Result<ActionId, ResolverError> {
        self.plan.reads_all = false;
        let at = index(self.plan.messages.len())?;
        self.plan.messages.push(message.into());
        self.add(Action::Fail(at))
    }

    /// Reserves an action, which is replaced before the plan is complete.
    fn reserve(&mut self) -> Result<ActionId, ResolverError> {
        self.add(Action::Bytes(0))
    }

    fn add(&mut self, action: Action) -> Result<ActionId, ResolverError> {
        let id = index(self.plan.actions.len())?;
        self.plan.actions.push(action);
        Ok(id)
    }

    fn list(&mut self, actions: Vec<ActionId>) -> Result<Part, ResolverError> {
        let start = index(self.plan.lists.len())?;
        self.plan.lists.extend(actions);
        let end = index(self.plan.lists.len())?;
        Ok(Part { start, end })
    }

    fn spend(&mut self, steps: usize) -> Result<(), ResolverError> {
        self.steps += steps;
        if self.steps > STEPS_MAX {
            return Err(too_complex());
        }
        Ok(())
    }
}

/// Returns the position of the field of the writer that a field of the reader reads.
fn source_of(
    field: &Field,
    position: usize,
    written: &Record,
) -> Result<Option<usize>, ResolverError> {
    let names = [&field.name].into_iter().chain(&field.aliases);
    let mut found = names.filter_map(|name| written.position_near(position, name));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(ResolverError::AmbiguousField {
            field: field.name.to_string(),
            record: written.name.to_string(),
        }),
    }
}

/// Returns the action that keeps a value of a type without children.
fn leaf(kind: &Type) -> Result<Action, ResolverError> {
    Ok(match kind {
        Type::Boolean => Action::Boolean,
        Type::Int => Action::Int,
        Type::Long => Action::Long,
        Type::Float => Action::Bytes(4),
        Type::Double => Action::Bytes(8),
        Type::Bytes | Type::String => Action::Sized,
        Type::Fixed(fixed) => Action::Bytes(index(fixed.size)?),
        Type::Enum(symbols) => Action::Enum(index(symbols.symbols.len())?),
        _ => Action::Bytes(0),
    })
}

fn other_name(kind: &str, written: &Name, read: &Name) -> String {
    format!("{kind} {written} cannot be read as {kind} {read}, which has another name")
}

fn index(length: usize) -> Result<u32, ResolverError> {
    u32::try_from(length).map_err(|_| too_complex())
}

fn too_complex() -> ResolverError {
    ResolverError::TooComplex { budget: STEPS_MAX }
}
