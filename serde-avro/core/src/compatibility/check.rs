//! The comparison of two graphs of types.
//!
//! Owns the walk: each pair of a reader's and a writer's node is compared once, and taken for
//! compatible while it is being compared. The stack is explicit, so schemas cannot overflow it.
//! What fits leaves nothing behind: no note, no place, no path.

use super::finding::{BYTES_A_STEP, CAUSES_MAX, Draft, DraftId};
use super::place::{PlaceId, Places, Step};
use super::{CheckError, Incompatibility, IncompatibilityKind};
use crate::schema::{Enum, Field, Name, Node, NodeId, Record, Schema, Type};
use std::collections::{HashMap, HashSet, hash_map::Entry};
use std::mem::discriminant;

pub(super) fn check(
    reader: &Schema,
    writer: &Schema,
    budget: usize,
) -> Result<Vec<Incompatibility>, CheckError> {
    let mut checker = Checker::new(reader, writer, budget, Memory::NamedPairs);
    let found = checker.run((reader.root(), writer.root()))?;
    checker.tell(&found)
}

/// A reader's node and a writer's.
pub(super) type Pair = (NodeId, NodeId);

/// The pairs whose findings are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Those with a named type. A walk reaches no other pair twice: an unnamed type stands within
    /// one other type, so it is reached with its parent's pair, and so on up to a named one.
    NamedPairs,
    /// All, because they may be asked for.
    AllPairs,
}

pub(super) struct Checker<'s> {
    pub(super) reader: &'s Schema,
    pub(super) writer: &'s Schema,
    pub(super) places: Places,
    budget: usize,
    spent: usize,
    memory: Memory,
    drafts: Vec<Draft>,
    /// What was found of each pair; nothing while it is being compared.
    verdicts: HashMap<Pair, Vec<DraftId>>,
    /// Where all pairs are kept: those being compared, each with whether it was met again
    /// meanwhile and taken for compatible.
    open: HashMap<Pair, bool>,
    /// Whether a pair that was met again turned out not to be compatible, so that others may have
    /// been taken for compatible because of it.
    is_refuted: bool,
}

/// A pair being compared.
struct Frame {
    pair: Pair,
    place: PlaceId,
    /// How the pair around it came to this one, and what it makes of the findings.
    step: Step,
    /// The number of the part to compare next.
    next: usize,
    /// Whether the other parts don't matter any more.
    is_settled: bool,
    findings: Vec<DraftId>,
    /// Why the branch of a reader's union that is meant for the writer's type doesn't take it.
    causes: Vec<DraftId>,
}

/// A part to be compared, and how to come to it.
type Part = (Pair, Step);

impl<'s> Checker<'s> {
    pub(super) fn new(
        reader: &'s Schema,
        writer: &'s Schema,
        budget: usize,
        memory: Memory,
    ) -> Self {
        Self {
            reader,
            writer,
            places: Places::new(),
            budget,
            spent: 0,
            memory,
            drafts: Vec::new(),
            verdicts: HashMap::new(),
            open: HashMap::new(),
            is_refuted: false,
        }
    }

    /// Whether a pair has no findings, as known from an earlier comparison or else compared now.
    ///
    /// That a pair is compatible may rest on one around it, which is taken for compatible while it
    /// is being compared. Where that one turns out not to be, what is known to be incompatible
    /// stays and the rest is compared again. Java doesn't, and may be wrong about a part.
    pub(super) fn reads(&mut self, pair: Pair) -> Result<bool, CheckError> {
        if let Some(findings) = self.verdicts.get(&pair) {
            return Ok(findings.is_empty());
        }
        loop {
            self.is_refuted = false;
            let found = self.run(pair)?;
            if !self.is_refuted {
                return Ok(found.is_empty());
            }
            self.spend(self.verdicts.len())?;
            self.verdicts.retain(|_, findings| !findings.is_empty());
        }
    }

    fn run(&mut self, root: Pair) -> Result<Vec<DraftId>, CheckError> {
        if self.remembers(root) {
            self.verdicts.entry(root).or_default();
        }
        let mut stack = vec![self.open(root, Places::ROOT, Step::Root)?];
        while let Some(frame) = stack.last_mut() {
            if let Some((pair, step)) = self.next_part(frame)? {
                match self.known(pair) {
                    Some(findings) => self.conclude(frame, (pair, step), findings)?,
                    None => {
                        let place = self.places.step(frame.place, step);
                        stack.push(self.open(pair, place, step)?);
                    }
                }
                continue;
            }
            let Some(done) = stack.pop() else {
                break;
            };
            let was_met = self.open.remove(&done.pair).unwrap_or_default();
            if !done.findings.is_empty() && self.remembers(done.pair) {
                self.verdicts.insert(done.pair, done.findings.clone());
                self.is_refuted |= was_met;
            }
            match stack.last_mut() {
                Some(around) => self.conclude(around, (done.pair, done.step), done.findings)?,
                None => return Ok(done.findings),
            }
        }
        Ok(Vec::new())
    }

    /// What is known of a pair without comparing its parts. From the first time that nothing is,
    /// it is taken for compatible.
    fn known(&mut self, pair: Pair) -> Option<Vec<DraftId>> {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        if takes(&read.kind, &written.kind) {
            return Some(Vec::new());
        }
        if !self.remembers(pair) {
            return None;
        }
        match self.verdicts.entry(pair) {
            Entry::Occupied(known) => {
                if let Some(was_met) = self.open.get_mut(&pair) {
                    *was_met = known.get().is_empty();
                }
                Some(known.get().clone())
            }
            Entry::Vacant(new) => {
                new.insert(Vec::new());
                None
            }
        }
    }

    fn remembers(&self, pair: Pair) -> bool {
        let is_named = |node: &Node| node.name().is_some();
        self.memory == Memory::AllPairs
            || is_named(self.reader.node(pair.0))
            || is_named(self.writer.node(pair.1))
    }

    /// Starts comparing a pair with what the two differ in by themselves.
    fn open(&mut self, pair: Pair, place: PlaceId, step: Step) -> Result<Frame, CheckError> {
        let mut frame = Frame {
            pair,
            place,
            step,
            next: 0,
            is_settled: false,
            findings: Vec::new(),
            causes: Vec::new(),
        };
        if self.memory == Memory::AllPairs {
            self.open.insert(pair, false);
        }
        let (reader, writer) = (self.reader, self.writer);
        match (&reader.node(pair.0).kind, &writer.node(pair.1).kind) {
            (Type::Record(read), Type::Record(written)) => {
                self.names(&mut frame, (&read.name, &read.aliases), &written.name)?;
            }
            (Type::Enum(read), Type::Enum(written)) => {
                self.names(&mut frame, (&read.name, &read.aliases), &written.name)?;
                self.symbols(&mut frame, read, written)?;
            }
            (Type::Fixed(read), Type::Fixed(written)) => {
                self.names(&mut frame, (&read.name, &read.aliases), &written.name)?;
                if read.size != written.size {
                    let step = Step::Attribute("size");
                    self.find(
                        &mut frame,
                        IncompatibilityKind::FixedSizeMismatch,
                        Some(step),
                    );
                }
            }
            (Type::Array(_), Type::Array(_))
            | (Type::Map(_), Type::Map(_))
            | (Type::Union(_), _)
            | (_, Type::Union(_)) => {}
            (read, written) if takes(read, written) => {}
            _ => self.find(&mut frame, IncompatibilityKind::TypeMismatch, None),
        }
        self.spend(1)?;
        Ok(frame)
    }

    /// The next part of a pair; none when there is nothing left to compare.
    fn next_part(&mut self, frame: &mut Frame) -> Result<Option<Part>, CheckError> {
        let (reader, writer) = (self.reader, self.writer);
        let (id, index) = (frame.pair.0, frame.next);
        match (&reader.node(id).kind, &writer.node(frame.pair.1).kind) {
            (Type::Record(read), Type::Record(written)) => self.next_field(frame, read, written),
            (Type::Union(branches), written) if !matches!(written, Type::Union(_)) => {
                self.next_candidate(frame, branches, written)
            }
            (read, written) => {
                frame.next += 1;
                let part = match (read, written) {
                    (Type::Array(item), Type::Array(written)) if index == 0 => {
                        Some(((*item, *written), Step::Items))
                    }
                    (Type::Map(item), Type::Map(written)) if index == 0 => {
                        Some(((*item, *written), Step::Values))
                    }
                    (Type::Union(_), Type::Union(branches)) => branches
                        .get(index)
                        .map(|branch| ((id, *branch), Step::WriterBranchAlone(index))),
                    (_, Type::Union(branches)) => branches
                        .get(index)
                        .map(|branch| ((id, *branch), Step::WriterBranch(index))),
                    _ => None,
                };
                Ok(part)
            }
        }
    }

    /// The next field of a reader's record that has something to read. Fields that have nothing are
    /// judged on the way.
    fn next_field(
        &mut self,
        frame: &mut Frame,
        read: &Record,
        written: &Record,
    ) -> Result<Option<Part>, CheckError> {
        let pair = frame.pair;
        while let Some(field) = read.fields.get(frame.next) {
            let reader = frame.next;
            frame.next += 1;
            self.spend(1 + field.aliases.len())?;
            let writer = self.writer_field(field, reader, pair.1, written)?;
            if let Some(writer) = writer {
                let part = (field.node, written.fields[writer].node);
                let writer = Some(writer);
                return Ok(Some((part, Step::Field { reader, writer })));
            }
            if field.default.is_some() {
                continue;
            }
            // Java compares the enum with the whole record of the writer, and tells just that.
            if self.is_enum_with_default(field.node) {
                return Ok(Some(((field.node, pair.1), Step::Field { reader, writer })));
            }
            let step = Step::LackedField(reader);
            self.find(
                frame,
                IncompatibilityKind::ReaderFieldMissingDefaultValue,
                Some(step),
            );
        }
        Ok(None)
    }

    /// The next branch of a reader's union that might take the writer's type. None is found when
    /// none does.
    fn next_candidate(
        &mut self,
        frame: &mut Frame,
        branches: &[NodeId],
        written: &Type,
    ) -> Result<Option<Part>, CheckError> {
        if frame.is_settled {
            return Ok(None);
        }
        while let Some(branch) = branches.get(frame.next) {
            let index = frame.next;
            frame.next += 1;
            self.spend(1)?;
            let node = self.reader.node(*branch);
            let read = &node.kind;
            let is_same_kind = discriminant(read) == discriminant(written);
            // Named types are compared even so: their findings may come up again elsewhere.
            if is_same_kind || takes(read, written) || node.name().is_some() {
                return Ok(Some(((*branch, frame.pair.1), Step::ReaderBranch(index))));
            }
        }
        frame.is_settled = true;
        let causes = std::mem::take(&mut frame.causes);
        let draft = self.lacking(frame.pair, frame.place, causes);
        frame.findings.push(draft);
        Ok(None)
    }

    /// What the findings of a part are to the pair around it.
    fn conclude(
        &mut self,
        frame: &mut Frame,
        (pair, step): Part,
        findings: Vec<DraftId>,
    ) -> Result<(), CheckError> {
        self.spend(1 + findings.len())?;
        match step {
            Step::Root
            | Step::Items
            | Step::Values
            | Step::Field { .. }
            | Step::LackedField(_)
            | Step::WriterBranch(_)
            | Step::Attribute(_) => frame.findings.extend(findings),
            Step::ReaderBranch(_) if findings.is_empty() => frame.is_settled = true,
            Step::ReaderBranch(_) => {
                if frame.causes.is_empty() && self.is_meant_for(pair)? {
                    frame.causes = self.innermost(&findings);
                }
            }
            Step::WriterBranchAlone(index) => {
                // There is one finding at most: that the reader's union lacks this branch.
                if let Some(found) = findings.first() {
                    let causes = self.draft(*found).causes.clone();
                    let place = self.places.step(frame.place, Step::WriterBranch(index));
                    frame.findings.push(self.lacking(pair, place, causes));
                }
            }
        }
        Ok(())
    }

    /// Whether a branch of the reader's union is of the writer's kind and name.
    fn is_meant_for(&mut self, pair: Pair) -> Result<bool, CheckError> {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        self.spend(read.kind.aliases().len())?;
        let names_match = match (read.name(), written.name()) {
            (Some(name), Some(other)) => is_name_of((name, read.kind.aliases()), other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        Ok(names_match && discriminant(&read.kind) == discriminant(&written.kind))
    }

    /// The findings, each that has causes replaced by them.
    fn innermost(&self, findings: &[DraftId]) -> Vec<DraftId> {
        let causes = findings.iter().flat_map(|found| {
            let causes = &self.draft(*found).causes;
            if causes.is_empty() {
                std::slice::from_ref(found)
            } else {
                causes
            }
        });
        causes.take(CAUSES_MAX).copied().collect()
    }

    /// Names match without their namespaces, or by an alias with it.
    fn names(
        &mut self,
        frame: &mut Frame,
        read: (&Name, &[Name]),
        written: &Name,
    ) -> Result<(), CheckError> {
        self.spend(read.1.len())?;
        if !is_name_of(read, written) {
            self.find(
                frame,
                IncompatibilityKind::NameMismatch,
                Some(Step::Attribute("name")),
            );
        }
        Ok(())
    }

    /// The place of the writer's field that a reader's field reads.
    fn writer_field(
        &self,
        field: &Field,
        place: usize,
        writer_node: NodeId,
        written: &Record,
    ) -> Result<Option<usize>, CheckError> {
        let names = [&field.name].into_iter().chain(&field.aliases);
        let mut found = names.filter_map(|name| written.position_near(place, name));
        let first = found.next();
        if found.next().is_none() {
            return Ok(first);
        }
        Err(CheckError::AmbiguousAlias {
            field: field.name.to_string(),
            type_name: self
                .reader
                .node(field.node)
                .kind
                .as_str()
                .to_ascii_uppercase(),
            position: place,
            writer: self.writer.string_of(writer_node),
        })
    }

    fn is_enum_with_default(&self, node: NodeId) -> bool {
        matches!(&self.reader.node(node).kind, Type::Enum(symbols) if symbols.default.is_some())
    }

    fn symbols(
        &mut self,
        frame: &mut Frame,
        read: &Enum,
        written: &Enum,
    ) -> Result<(), CheckError> {
        let symbols = read.symbols.iter().chain(&written.symbols);
        let bytes: usize = symbols.map(|symbol| symbol.len()).sum();
        self.spend(read.symbols.len() + written.symbols.len() + bytes / BYTES_A_STEP)?;
        if read.default.is_none() && !missing_symbols(read, written).is_empty() {
            let step = Step::Attribute("symbols");
            self.find(frame, IncompatibilityKind::MissingEnumSymbols, Some(step));
        }
        Ok(())
    }

    /// Notes a finding of a pair, a step from it or there.
    fn find(&mut self, frame: &mut Frame, kind: IncompatibilityKind, step: Option<Step>) {
        let place = match step {
            Some(step) => self.places.step(frame.place, step),
            None => frame.place,
        };
        let draft = Draft {
            kind,
            pair: frame.pair,
            place,
            causes: Vec::new(),
        };
        frame.findings.push(self.note(draft));
    }

    /// Notes that no branch of the reader's union takes the writer's type.
    fn lacking(&mut self, pair: Pair, place: PlaceId, causes: Vec<DraftId>) -> DraftId {
        self.note(Draft {
            kind: IncompatibilityKind::MissingUnionBranch,
            pair,
            place,
            causes,
        })
    }

    fn note(&mut self, draft: Draft) -> DraftId {
        self.drafts.push(draft);
        DraftId(self.drafts.len() - 1)
    }

    pub(super) fn draft(&self, id: DraftId) -> &Draft {
        &self.drafts[id.0]
    }

    pub(super) fn spend(&mut self, steps: usize) -> Result<(), CheckError> {
        self.spent = self.spent.saturating_add(steps);
        let budget = self.budget;
        if self.spent > budget {
            Err(CheckError::BudgetExceeded { budget })
        } else {
            Ok(())
        }
    }

    pub(super) fn is_half_spent(&self) -> bool {
        self.spent > self.budget / 2
    }
}

/// The symbols of the writer's enum that the reader's lacks, in the writer's order.
pub(super) fn missing_symbols<'s>(read: &Enum, written: &'s Enum) -> Vec<&'s str> {
    if read.symbols == written.symbols {
        return Vec::new();
    }
    let known: HashSet<_> = read.symbols.iter().collect();
    let symbols = written.symbols.iter();
    let missing = symbols.filter(|symbol| !known.contains(symbol));
    missing.map(|symbol| &**symbol).collect()
}

/// Whether a reader's type has the name of a writer's: without namespaces, or as an alias with it.
fn is_name_of((name, aliases): (&Name, &[Name]), written: &Name) -> bool {
    name.simple() == written.simple() || aliases.contains(written)
}

/// Equal primitive types, and the promotions of the specification.
pub(super) fn takes(read: &Type, written: &Type) -> bool {
    match read {
        Type::Null => matches!(written, Type::Null),
        Type::Boolean => matches!(written, Type::Boolean),
        Type::Int => matches!(written, Type::Int),
        Type::Long => matches!(written, Type::Int | Type::Long),
        Type::Float => matches!(written, Type::Int | Type::Long | Type::Float),
        Type::Double => matches!(written, Type::Int | Type::Long | Type::Float | Type::Double),
        Type::Bytes | Type::String => matches!(written, Type::Bytes | Type::String),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that comes back to itself after `length` steps.
    fn circle(length: usize) -> Schema {
        let record = |at: usize| {
            let next = (at + 1) % length;
            format!(
                r#"{{"type":"record","name":"R","namespace":"n{at}","fields":[
                    {{"name":"next","type":["null","n{next}.R"]}}]}}"#
            )
        };
        let all = (0..length).map(record).collect::<Vec<_>>().join(",");
        Schema::parse(&format!("[{all}]")).unwrap()
    }

    /// The steps that comparing takes, and the findings.
    fn steps(reader: &Schema, writer: &Schema) -> (usize, usize) {
        let mut checker = Checker::new(reader, writer, usize::MAX, Memory::NamedPairs);
        let found = checker.run((reader.root(), writer.root())).unwrap();
        let told = checker.tell(&found).unwrap();
        (checker.spent, told.len())
    }

    /// A record of optional fields.
    fn wide(fields: usize, kind: &str) -> Schema {
        let field = |at| format!(r#"{{"name":"f{at}","type":["null","{kind}"]}}"#);
        let fields = (0..fields).map(field).collect::<Vec<_>>().join(",");
        Schema::parse(&format!(
            r#"{{"type":"record","name":"R","fields":[{fields}]}}"#
        ))
        .unwrap()
    }

    // Conformance: avro/3e
    #[test]
    fn steps_grow_with_the_fields_and_five_thousand_take_a_tenth_of_the_budget() {
        for (read, written, findings) in [("long", "int", 0), ("int", "long", 1)] {
            let of = |fields| steps(&wide(fields, read), &wide(fields, written));
            let (few, many) = (of(500), of(5_000));
            assert_eq!((few.1, many.1), (500 * findings, 5_000 * findings));
            assert!(many.0 <= 11 * few.0, "{few:?} {many:?}");
            assert!(many.0 <= super::super::STEPS_MAX / 10, "{many:?}");
        }
    }

    // Conformance: avro/3f
    #[test]
    fn records_that_come_back_to_themselves_take_steps_for_each_pair_once() {
        let (taken, findings) = steps(&circle(29), &circle(31));
        assert_eq!(findings, 0);
        assert!(taken <= 29 * 31 * 16, "{taken}");
    }

    // Conformance: avro/3f
    #[test]
    fn circles_of_different_lengths_are_compared_once_around() {
        assert_eq!(check(&circle(29), &circle(31), 1_000_000), Ok(Vec::new()));
        assert_eq!(
            check(&circle(29), &circle(31), 1_000),
            Err(CheckError::BudgetExceeded { budget: 1_000 })
        );
    }

    // Conformance: avro/3f
    #[test]
    fn findings_that_double_at_each_level_end_at_the_budget() {
        let chain = |leaf: &str| {
            let record = |at: usize| {
                let part = if at == 0 {
                    leaf.to_owned()
                } else {
                    format!("\"R{}\"", at - 1)
                };
                format!(
                    r#"{{"type":"record","name":"R{at}","fields":[
                        {{"name":"a","type":{part}}},{{"name":"b","type":{part}}}]}}"#
                )
            };
            let records = (0..50).map(record).collect::<Vec<_>>().join(",");
            let holder = r#"{"type":"record","name":"H","fields":[{"name":"r","type":"R49"}]}"#;
            Schema::parse(&format!("[{records},{holder}]")).unwrap()
        };
        let outcome = check(&chain("\"int\""), &chain("\"string\""), 100_000);
        assert_eq!(outcome, Err(CheckError::BudgetExceeded { budget: 100_000 }));
    }
}
