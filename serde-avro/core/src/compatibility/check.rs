//! The comparison of two graphs of types.
//!
//! Each pair of a reader's and a writer's node is compared once, and counts as compatible while its
//! comparison is in progress. The stack is explicit, so that schemas cannot overflow it. Compatible
//! types allocate no drafts and no paths.

use super::finding::{BYTES_PER_STEP, CAUSES_MAX, Draft, DraftId};
use super::location::{LocationId, Locations, Step};
use super::rules::{is_name_of, missing_symbols, reads_primitive};
use super::{CheckError, Incompatibility, IncompatibilityKind};
use crate::schema::{Enum, Field, Name, Node, NodeId, Record, Schema, Type};
use std::collections::{HashMap, hash_map::Entry};
use std::mem::discriminant;

pub(super) fn check(
    reader: &Schema,
    writer: &Schema,
    budget: usize,
) -> Result<Vec<Incompatibility>, CheckError> {
    let mut checker = Checker::new(reader, writer, budget, Memo::NamedPairs);
    let found = checker.run((reader.root(), writer.root()))?;
    checker.render(&found)
}

/// A reader's node and a writer's.
pub(super) type Pair = (NodeId, NodeId);

/// The pairs whose findings are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memo {
    /// Those with a named type. One comparison reaches no other pair twice: an unnamed type has one
    /// parent, so its pair is reached only with the pair of the parents, up to a named type.
    NamedPairs,
    /// All, because [`Checker::reads`] may be called with any pair.
    AllPairs,
}

pub(super) struct Checker<'s> {
    pub(super) reader: &'s Schema,
    pub(super) writer: &'s Schema,
    pub(super) locations: Locations,
    budget: usize,
    spent: usize,
    memo: Memo,
    drafts: Vec<Draft>,
    /// The findings of each pair; empty while its comparison is in progress.
    results: HashMap<Pair, Vec<DraftId>>,
    /// With [`Memo::AllPairs`], the pairs in progress, each with whether it was reached again and
    /// assumed compatible.
    open: HashMap<Pair, bool>,
    /// True if such an assumption was wrong, so that pairs that depend on it have wrong results.
    is_refuted: bool,
}

/// A pair whose comparison is in progress.
struct Frame {
    pair: Pair,
    location: LocationId,
    /// The step from the parent pair, which also determines how the parent uses the findings.
    step: Step,
    /// The index of the next child to compare.
    next: usize,
    /// True if the remaining children make no difference.
    is_decided: bool,
    findings: Vec<DraftId>,
    /// The findings of the branch of the reader's union that has the kind and name of the writer's
    /// type.
    causes: Vec<DraftId>,
}

/// A child pair and the step to it.
type Child = (Pair, Step);

impl<'s> Checker<'s> {
    pub(super) fn new(reader: &'s Schema, writer: &'s Schema, budget: usize, memo: Memo) -> Self {
        Self {
            reader,
            writer,
            locations: Locations::new(),
            budget,
            spent: 0,
            memo,
            drafts: Vec::new(),
            results: HashMap::new(),
            open: HashMap::new(),
            is_refuted: false,
        }
    }

    /// Returns whether a pair has no findings.
    ///
    /// The result "compatible" of a pair may depend on the assumption that an enclosing pair is
    /// compatible. If that assumption is wrong, incompatible results are kept and the others are
    /// computed again. Java does not do this, so its result for a part of a schema may be wrong.
    pub(super) fn reads(&mut self, pair: Pair) -> Result<bool, CheckError> {
        if let Some(findings) = self.results.get(&pair) {
            return Ok(findings.is_empty());
        }
        loop {
            self.is_refuted = false;
            let found = self.run(pair)?;
            if !self.is_refuted {
                return Ok(found.is_empty());
            }
            self.spend(self.results.len())?;
            // Incompatible results do not depend on an assumption.
            self.results.retain(|_, findings| !findings.is_empty());
        }
    }

    fn run(&mut self, root: Pair) -> Result<Vec<DraftId>, CheckError> {
        if self.remembers(root) {
            // The root counts as compatible while its comparison is in progress.
            self.results.entry(root).or_default();
        }
        let mut stack = vec![self.open(root, Locations::ROOT, Step::Root)?];
        while let Some(frame) = stack.last_mut() {
            if let Some((pair, step)) = self.next_child(frame)? {
                match self.known(pair) {
                    Some(findings) => self.conclude(frame, (pair, step), findings)?,
                    None => {
                        let location = self.locations.step(frame.location, step);
                        stack.push(self.open(pair, location, step)?);
                    }
                }
                continue;
            }
            let Some(done) = stack.pop() else {
                break;
            };
            // Always false with NamedPairs, which does not track assumptions.
            let was_met = self.open.remove(&done.pair).unwrap_or_default();
            // A compatible pair has its entry from the start of its comparison.
            if !done.findings.is_empty() && self.remembers(done.pair) {
                self.results.insert(done.pair, done.findings.clone());
                self.is_refuted |= was_met;
            }
            match stack.last_mut() {
                Some(around) => self.conclude(around, (done.pair, done.step), done.findings)?,
                None => return Ok(done.findings),
            }
        }
        Ok(Vec::new())
    }

    /// Returns the findings of a pair that are known without comparing children. Otherwise records
    /// the assumption that the pair is compatible and returns `None`.
    fn known(&mut self, pair: Pair) -> Option<Vec<DraftId>> {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        if reads_primitive(&read.kind, &written.kind) {
            return Some(Vec::new());
        }
        if !self.remembers(pair) {
            return None;
        }
        match self.results.entry(pair) {
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

    /// Returns whether the findings of a pair are kept.
    fn remembers(&self, pair: Pair) -> bool {
        let is_named = |node: &Node| node.name().is_some();
        self.memo == Memo::AllPairs
            || is_named(self.reader.node(pair.0))
            || is_named(self.writer.node(pair.1))
    }

    /// Starts the comparison of a pair with the properties of the two types themselves.
    fn open(&mut self, pair: Pair, location: LocationId, step: Step) -> Result<Frame, CheckError> {
        let mut frame = Frame {
            pair,
            location,
            step,
            next: 0,
            is_decided: false,
            findings: Vec::new(),
            causes: Vec::new(),
        };
        if self.memo == Memo::AllPairs {
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
            (read, written) if reads_primitive(read, written) => {}
            _ => self.find(&mut frame, IncompatibilityKind::TypeMismatch, None),
        }
        self.spend(1)?;
        Ok(frame)
    }

    /// Returns the next child of a pair, or `None` if nothing is left to compare.
    fn next_child(&mut self, frame: &mut Frame) -> Result<Option<Child>, CheckError> {
        let (reader, writer) = (self.reader, self.writer);
        let (id, index) = (frame.pair.0, frame.next);
        match (&reader.node(id).kind, &writer.node(frame.pair.1).kind) {
            (Type::Record(read), Type::Record(written)) => self.next_field(frame, read, written),
            (Type::Union(branches), written) if !matches!(written, Type::Union(_)) => {
                self.next_candidate(frame, branches, written)
            }
            (read, written) => {
                frame.next += 1;
                let child = match (read, written) {
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
                Ok(child)
            }
        }
    }

    /// Returns the next field of the reader's record that reads a field of the writer's. Checks the
    /// others for a default.
    fn next_field(
        &mut self,
        frame: &mut Frame,
        read: &Record,
        written: &Record,
    ) -> Result<Option<Child>, CheckError> {
        let pair = frame.pair;
        while let Some(field) = read.fields.get(frame.next) {
            let reader = frame.next;
            frame.next += 1;
            // One lookup for the name and for each alias.
            self.spend(1 + field.aliases.len())?;
            let writer = self.writer_field(field, reader, pair.1, written)?;
            if let Some(writer) = writer {
                let pair = (field.node, written.fields[writer].node);
                let writer = Some(writer);
                return Ok(Some((pair, Step::Field { reader, writer })));
            }
            if field.default.is_some() {
                continue;
            }
            // Java compares the enum with the whole record of the writer and reports the mismatch.
            if self.is_enum_with_default(field.node) {
                return Ok(Some(((field.node, pair.1), Step::Field { reader, writer })));
            }
            let step = Step::MissingField(reader);
            self.find(
                frame,
                IncompatibilityKind::ReaderFieldMissingDefaultValue,
                Some(step),
            );
        }
        Ok(None)
    }

    /// Returns the next branch of the reader's union that may read the writer's type. After the
    /// last one, adds the finding that there is none.
    fn next_candidate(
        &mut self,
        frame: &mut Frame,
        branches: &[NodeId],
        written: &Type,
    ) -> Result<Option<Child>, CheckError> {
        if frame.is_decided {
            return Ok(None);
        }
        while let Some(branch) = branches.get(frame.next) {
            let index = frame.next;
            frame.next += 1;
            self.spend(1)?;
            let node = self.reader.node(*branch);
            let read = &node.kind;
            let is_same_kind = discriminant(read) == discriminant(written);
            // Java also compares named types of another kind, and their findings may be used
            // elsewhere.
            if is_same_kind || reads_primitive(read, written) || node.name().is_some() {
                return Ok(Some(((*branch, frame.pair.1), Step::ReaderBranch(index))));
            }
        }
        frame.is_decided = true;
        let causes = std::mem::take(&mut frame.causes);
        let draft = self.missing_branch(frame.pair, frame.location, causes);
        frame.findings.push(draft);
        Ok(None)
    }

    /// Applies the findings of a child to its parent.
    fn conclude(
        &mut self,
        frame: &mut Frame,
        (pair, step): Child,
        findings: Vec<DraftId>,
    ) -> Result<(), CheckError> {
        self.spend(1 + findings.len())?;
        match step {
            Step::Root
            | Step::Items
            | Step::Values
            | Step::Field { .. }
            | Step::MissingField(_)
            | Step::WriterBranch(_)
            | Step::Attribute(_) => frame.findings.extend(findings),
            // The first matching branch is enough.
            Step::ReaderBranch(_) if findings.is_empty() => frame.is_decided = true,
            Step::ReaderBranch(_) => {
                if frame.causes.is_empty() && self.is_counterpart(pair)? {
                    frame.causes = self.innermost(&findings);
                }
            }
            Step::WriterBranchAlone(index) => {
                // There is at most one finding: that the reader's union lacks this branch.
                if let Some(found) = findings.first() {
                    let causes = self.draft(*found).causes.clone();
                    let location = self
                        .locations
                        .step(frame.location, Step::WriterBranch(index));
                    frame
                        .findings
                        .push(self.missing_branch(pair, location, causes));
                }
            }
        }
        Ok(())
    }

    /// Returns whether a branch of the reader's union has the kind and name of the writer's type.
    fn is_counterpart(&mut self, pair: Pair) -> Result<bool, CheckError> {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        self.spend(read.kind.aliases().len())?;
        let names_match = match (read.name(), written.name()) {
            (Some(name), Some(other)) => is_name_of((name, read.kind.aliases()), other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        Ok(names_match && discriminant(&read.kind) == discriminant(&written.kind))
    }

    /// Returns the findings, with each that has causes replaced by these.
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

    /// Compares names: without namespaces, or by an alias with its namespace.
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

    /// Returns the position of the writer's field that a reader's field reads.
    fn writer_field(
        &self,
        field: &Field,
        position: usize,
        writer_node: NodeId,
        written: &Record,
    ) -> Result<Option<usize>, CheckError> {
        let names = [&field.name].into_iter().chain(&field.aliases);
        let mut found = names.filter_map(|name| written.position_near(position, name));
        let first = found.next();
        // A second match is an error in Java, too.
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
            position,
            writer: self.writer.string_of(writer_node),
        })
    }

    /// Returns whether a type is an enum with a default.
    fn is_enum_with_default(&self, node: NodeId) -> bool {
        matches!(&self.reader.node(node).kind, Type::Enum(symbols) if symbols.default.is_some())
    }

    /// Compares the symbols of two enums.
    fn symbols(
        &mut self,
        frame: &mut Frame,
        read: &Enum,
        written: &Enum,
    ) -> Result<(), CheckError> {
        let symbols = read.symbols.iter().chain(&written.symbols);
        let bytes: usize = symbols.map(|symbol| symbol.len()).sum();
        self.spend(read.symbols.len() + written.symbols.len() + bytes / BYTES_PER_STEP)?;
        if read.default.is_none() && !missing_symbols(read, written).is_empty() {
            let step = Step::Attribute("symbols");
            self.find(frame, IncompatibilityKind::MissingEnumSymbols, Some(step));
        }
        Ok(())
    }

    /// Adds a finding of a pair, at a step from its location or at the location itself.
    fn find(&mut self, frame: &mut Frame, kind: IncompatibilityKind, step: Option<Step>) {
        let location = match step {
            Some(step) => self.locations.step(frame.location, step),
            None => frame.location,
        };
        let draft = Draft {
            kind,
            pair: frame.pair,
            location,
            causes: Vec::new(),
        };
        frame.findings.push(self.add(draft));
    }

    /// Adds the finding that no branch of the reader's union reads the writer's type.
    fn missing_branch(
        &mut self,
        pair: Pair,
        location: LocationId,
        causes: Vec<DraftId>,
    ) -> DraftId {
        self.add(Draft {
            kind: IncompatibilityKind::MissingUnionBranch,
            pair,
            location,
            causes,
        })
    }

    fn add(&mut self, draft: Draft) -> DraftId {
        self.drafts.push(draft);
        DraftId(self.drafts.len() - 1)
    }

    pub(super) fn draft(&self, id: DraftId) -> &Draft {
        &self.drafts[id.0]
    }

    /// Adds to the steps spent.
    ///
    /// # Errors
    /// Returns [`CheckError::BudgetExceeded`] if they exceed the budget.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), CheckError> {
        // Saturates, because callers add lengths without checks.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns records that form a cycle of `length` through optional fields.
    fn cycle(length: usize) -> Schema {
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

    /// Returns the number of steps and of findings of a comparison.
    fn steps(reader: &Schema, writer: &Schema) -> (usize, usize) {
        let mut checker = Checker::new(reader, writer, usize::MAX, Memo::NamedPairs);
        let found = checker.run((reader.root(), writer.root())).unwrap();
        let findings = checker.render(&found).unwrap();
        (checker.spent, findings.len())
    }

    /// Returns a record of optional fields.
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
    fn steps_are_linear_in_the_fields() {
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
    fn recursive_records_are_compared_once_per_pair() {
        let (taken, findings) = steps(&cycle(29), &cycle(31));
        assert_eq!(findings, 0);
        assert!(taken <= 29 * 31 * 16, "{taken}");
    }

    // Conformance: avro/3f
    #[test]
    fn cycles_of_different_lengths_are_compatible() {
        assert_eq!(check(&cycle(29), &cycle(31), 1_000_000), Ok(Vec::new()));
        assert_eq!(
            check(&cycle(29), &cycle(31), 1_000),
            Err(CheckError::BudgetExceeded { budget: 1_000 })
        );
    }

    // Conformance: avro/3f
    #[test]
    fn exponential_findings_exceed_the_budget() {
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
