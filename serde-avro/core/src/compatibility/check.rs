//! The comparison of two graphs of types.
//!
//! Owns the walk: each pair of a reader's and a writer's node is compared once, and taken for
//! compatible while it is being compared. The stack is explicit, so schemas cannot overflow it.

use super::info::Info;
use super::suggestion::{Sides, suggestion};
use super::{CheckError, Detail, Incompatibility, Kind};
use crate::schema::{Enum, Field, Fixed, Name, NodeId, Record, Schema, Type};
use std::collections::{HashMap, HashSet, hash_map::Entry};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of a path that count as one step against the budget.
const PATH_BYTES_A_STEP: usize = 16;

pub(super) fn check(
    reader: &Schema,
    writer: &Schema,
    budget: usize,
) -> Result<Vec<Incompatibility>, CheckError> {
    let mut checker = Checker::new(reader, writer, budget);
    let drafts = checker.run((reader.root(), writer.root()))?;
    let mut told: HashMap<*const Draft, Incompatibility> = HashMap::new();
    let mut findings = Vec::with_capacity(drafts.len());
    for draft in drafts.iter() {
        let finding = match told.entry(Rc::as_ptr(draft)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(checker.finding(draft)?).clone(),
        };
        findings.push(finding);
    }
    Ok(findings)
}

/// A reader's node and a writer's.
type Pair = (NodeId, NodeId);

type Findings = Rc<[Rc<Draft>]>;

pub(super) struct Checker<'s> {
    reader: &'s Schema,
    writer: &'s Schema,
    budget: usize,
    spent: usize,
    locations: Vec<Location>,
    trails: Vec<Trail>,
    /// Findings of each pair; none while it is being compared.
    verdicts: HashMap<Pair, Option<Findings>>,
}

/// Where a comparison is: as Java tells it, and in both schemas.
#[derive(Clone, Copy)]
struct Place {
    /// An index into the checker's locations.
    location: usize,
    /// An index into the checker's trails.
    trail: usize,
}

/// A step from a comparison to one of its parts: the number of the part on the sides that take it.
struct Trail {
    parent: usize,
    reader: Option<usize>,
    writer: Option<usize>,
}

/// Both the location of a whole schema, where Java starts afresh at each branch of a union, and the
/// trail of the whole comparison.
const ROOT: usize = 0;

struct Location {
    parent: usize,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Root,
    Word(&'static str),
    Index(usize),
}

/// A pair being compared.
struct Frame {
    pair: Pair,
    /// What is left to do, the next task last.
    tasks: Vec<Task>,
    findings: Vec<Rc<Draft>>,
}

/// What comparing a pair consists of.
enum Task {
    /// This was found.
    Found(Draft),
    /// The findings of a part are findings of the whole.
    Part(Pair, Place),
    /// This was found unless a part is compatible.
    Unless(Pair, Place, Draft),
    /// Nothing was found if a part is compatible; the remaining tasks say what else.
    Candidate(Pair, Place),
}

/// A finding whose path is not written yet. Most are dropped: a branch of a union may fail.
struct Draft {
    kind: Kind,
    /// What does not fit; see [`suggestion`].
    pair: Pair,
    place: Place,
    info: Info,
}

impl<'s> Checker<'s> {
    pub(super) fn new(reader: &'s Schema, writer: &'s Schema, budget: usize) -> Self {
        Self {
            reader,
            writer,
            budget,
            spent: 0,
            locations: vec![Location {
                parent: ROOT,
                step: Step::Root,
            }],
            trails: vec![Trail {
                parent: ROOT,
                reader: None,
                writer: None,
            }],
            verdicts: HashMap::new(),
        }
    }

    /// Whether a pair has no findings, as known from an earlier comparison or else compared now.
    pub(super) fn reads(&mut self, pair: Pair) -> Result<bool, CheckError> {
        if let Some(Some(verdict)) = self.verdicts.get(&pair) {
            return Ok(verdict.is_empty());
        }
        Ok(self.run(pair)?.is_empty())
    }

    fn run(&mut self, root: Pair) -> Result<Findings, CheckError> {
        let whole = Place {
            location: ROOT,
            trail: ROOT,
        };
        let mut stack = vec![self.open(root, whole)?];
        let mut last = Findings::default();
        while let Some(frame) = stack.last_mut() {
            let Some(task) = frame.tasks.pop() else {
                last = std::mem::take(&mut frame.findings).into();
                self.verdicts.insert(frame.pair, Some(Rc::clone(&last)));
                stack.pop();
                continue;
            };
            let (pair, place) = match task {
                Task::Found(draft) => {
                    frame.findings.push(Rc::new(draft));
                    continue;
                }
                Task::Part(pair, place)
                | Task::Unless(pair, place, _)
                | Task::Candidate(pair, place) => (pair, place),
            };
            match self.verdicts.get(&pair).cloned() {
                Some(verdict) => self.settle(frame, task, &verdict.unwrap_or_default())?,
                None => {
                    frame.tasks.push(task);
                    let part = self.open(pair, place)?;
                    stack.push(part);
                }
            }
        }
        Ok(last)
    }

    /// Ends a task whose part has been compared.
    fn settle(&mut self, frame: &mut Frame, task: Task, part: &Findings) -> Result<(), CheckError> {
        self.spend(1 + part.len())?;
        match task {
            Task::Part(..) => frame.findings.extend(part.iter().cloned()),
            Task::Candidate(..) if part.is_empty() => frame.tasks.clear(),
            Task::Unless(_, _, draft) | Task::Found(draft) if !part.is_empty() => {
                frame.findings.push(Rc::new(draft));
            }
            Task::Found(_) | Task::Unless(..) | Task::Candidate(..) => {}
        }
        Ok(())
    }

    fn open(&mut self, pair: Pair, place: Place) -> Result<Frame, CheckError> {
        self.spend(1)?;
        self.verdicts.insert(pair, None);
        let mut tasks = self.tasks(pair, place)?;
        self.spend(tasks.len())?;
        tasks.reverse();
        Ok(Frame {
            pair,
            tasks,
            findings: Vec::new(),
        })
    }

    fn tasks(&mut self, pair: Pair, place: Place) -> Result<Vec<Task>, CheckError> {
        let (reader, writer) = (self.reader, self.writer);
        let (read, written) = (&reader.node(pair.0).kind, &writer.node(pair.1).kind);
        Ok(match (read, written) {
            (Type::Array(item), Type::Array(written)) => {
                let place = self.word(place, "items");
                let place = self.parts(place, Some(0), Some(0));
                vec![Task::Part((*item, *written), place)]
            }
            (Type::Map(item), Type::Map(written)) => {
                let place = self.word(place, "values");
                let place = self.parts(place, Some(0), Some(0));
                vec![Task::Part((*item, *written), place)]
            }
            (Type::Record(read), Type::Record(written)) => {
                let mut tasks = self.names(pair, (&read.name, &read.aliases), &written.name, place);
                self.fields(pair, (read, written), place, &mut tasks)?;
                tasks
            }
            (Type::Enum(read), Type::Enum(written)) => {
                let mut tasks = self.names(pair, (&read.name, &read.aliases), &written.name, place);
                self.spend(read.symbols.len() + written.symbols.len())?;
                tasks.extend(self.symbols(pair, (read, written), place));
                tasks
            }
            (Type::Fixed(read), Type::Fixed(written)) => {
                let mut tasks = self.names(pair, (&read.name, &read.aliases), &written.name, place);
                tasks.extend(self.sizes(pair, (read, written), place));
                tasks
            }
            (Type::Union(_), Type::Union(branches)) => {
                let branch = |(index, branch): (usize, &NodeId)| {
                    let pair = (pair.0, *branch);
                    let place = self.index(place, index);
                    let place = self.parts(place, None, Some(index));
                    Task::Unless(pair, afresh(place), self.lacking(pair, place))
                };
                branches.iter().enumerate().map(branch).collect()
            }
            (_, Type::Union(branches)) => {
                let branch = |(index, branch): (usize, &NodeId)| {
                    let place = self.index(place, index);
                    let place = self.parts(place, None, Some(index));
                    Task::Part((pair.0, *branch), place)
                };
                branches.iter().enumerate().map(branch).collect()
            }
            (Type::Union(branches), _) => {
                let mut tasks = Vec::with_capacity(branches.len() + 1);
                for (index, branch) in branches.iter().enumerate() {
                    let place = afresh(self.parts(place, Some(index), None));
                    tasks.push(Task::Candidate((*branch, pair.1), place));
                }
                tasks.push(Task::Found(self.lacking(pair, place)));
                tasks
            }
            (read, written) if takes(read, written) => Vec::new(),
            (read, written) => {
                let info = Info::Mismatch(read.word(), written.word());
                vec![Task::Found(Draft {
                    kind: Kind::TypeMismatch,
                    pair,
                    place,
                    info,
                })]
            }
        })
    }

    /// Names match without their namespaces, or by an alias with it.
    fn names(
        &mut self,
        pair: Pair,
        (read, aliases): (&Name, &[Name]),
        written: &Name,
        place: Place,
    ) -> Vec<Task> {
        if read.simple() == written.simple() || aliases.contains(written) {
            return Vec::new();
        }
        let place = self.word(place, "name");
        let info = Info::Text(format!("expected: {written}"));
        vec![Task::Found(Draft {
            kind: Kind::NameMismatch,
            pair,
            place,
            info,
        })]
    }

    fn fields(
        &mut self,
        pair: Pair,
        (read, written): (&Record, &Record),
        place: Place,
        tasks: &mut Vec<Task>,
    ) -> Result<(), CheckError> {
        let fields = self.word(place, "fields");
        for (index, field) in read.fields.iter().enumerate() {
            let place = self.index(fields, index);
            self.spend(field.aliases.len())?;
            let (node, part) = match self.writer_field(field, index, pair.1, written)? {
                Some(part) => (written.fields[part].node, Some(part)),
                None if field.default.is_some() => continue,
                // Java compares the enum with the whole record of the writer, and tells just that.
                None if self.is_enum_with_default(field.node) => (pair.1, None),
                None => {
                    tasks.push(Task::Found(Draft {
                        kind: Kind::ReaderFieldMissingDefaultValue,
                        pair,
                        place: self.parts(place, Some(index), None),
                        info: Info::Text(field.name.to_string()),
                    }));
                    continue;
                }
            };
            let place = self.word(place, "type");
            let place = self.parts(place, Some(index), part);
            tasks.push(Task::Part((field.node, node), place));
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
        let mut found = names.filter_map(|name| written.position(name));
        let first = found.next();
        if found.next().is_none() {
            return Ok(first);
        }
        Err(CheckError::AmbiguousAlias {
            field: field.name.to_string(),
            type_word: shout(&self.reader.node(field.node).kind),
            place,
            writer: self.writer.canonical_text_of(writer_node),
        })
    }

    fn is_enum_with_default(&self, node: NodeId) -> bool {
        matches!(&self.reader.node(node).kind, Type::Enum(symbols) if symbols.default.is_some())
    }

    fn symbols(
        &mut self,
        pair: Pair,
        (read, written): (&Enum, &Enum),
        place: Place,
    ) -> Option<Task> {
        let known: HashSet<_> = read.symbols.iter().collect();
        let mut missing: Vec<_> = written
            .symbols
            .iter()
            .filter(|symbol| !known.contains(symbol))
            .cloned()
            .collect();
        if missing.is_empty() || read.default.is_some() {
            return None;
        }
        missing.sort_unstable();
        let info = Info::Text(format!("[{}]", missing.join(", ")));
        let place = self.word(place, "symbols");
        Some(Task::Found(Draft {
            kind: Kind::MissingEnumSymbols,
            pair,
            place,
            info,
        }))
    }

    fn sizes(
        &mut self,
        pair: Pair,
        (read, written): (&Fixed, &Fixed),
        place: Place,
    ) -> Option<Task> {
        if read.size == written.size {
            return None;
        }
        let info = Info::Text(format!("expected: {}, found: {}", written.size, read.size));
        let place = self.word(place, "size");
        Some(Task::Found(Draft {
            kind: Kind::FixedSizeMismatch,
            pair,
            place,
            info,
        }))
    }

    fn lacking(&self, pair: Pair, place: Place) -> Draft {
        let info = Info::Lacking(self.writer.node(pair.1).kind.word());
        Draft {
            kind: Kind::MissingUnionBranch,
            pair,
            place,
            info,
        }
    }

    fn finding(&mut self, draft: &Draft) -> Result<Incompatibility, CheckError> {
        let detail = self.detail(draft)?;
        let mut steps = Vec::new();
        let mut place = draft.place.location;
        while let Some(Location {
            parent,
            step: step @ (Step::Word(_) | Step::Index(_)),
        }) = self.locations.get(place)
        {
            steps.push(*step);
            place = *parent;
        }
        self.spend(steps.len())?;
        let mut path = String::new();
        for step in steps.iter().rev() {
            path.push('/');
            match step {
                Step::Root => {}
                Step::Word(word) => path.push_str(word),
                Step::Index(index) => path.push_str(&index.to_string()),
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Incompatibility {
            kind: draft.kind,
            path,
            info: draft.info.text(),
            detail: Arc::new(detail),
        })
    }

    fn detail(&mut self, draft: &Draft) -> Result<Detail, CheckError> {
        let (mut read, mut written) = (Vec::new(), Vec::new());
        let mut at = draft.place.trail;
        while let Some(trail) = self.trails.get(at).filter(|_| at != ROOT) {
            read.extend(trail.reader);
            written.extend(trail.writer);
            at = trail.parent;
        }
        read.reverse();
        written.reverse();
        self.spend(read.len() + written.len())?;
        let sides = Sides {
            reader: self.reader,
            writer: self.writer,
        };
        let reader = match draft.kind {
            Kind::ReaderFieldMissingDefaultValue => self.reader.field_site(&read),
            Kind::FixedSizeMismatch
            | Kind::TypeMismatch
            | Kind::NameMismatch
            | Kind::MissingEnumSymbols
            | Kind::MissingUnionBranch => self.reader.site(&read),
        };
        let writer = self.writer.site(&written);
        self.spend((reader.path.len() + writer.path.len()) / PATH_BYTES_A_STEP)?;
        Ok(Detail {
            reader,
            writer,
            suggestion: suggestion(sides, draft.kind, draft.pair, &draft.info.text()),
        })
    }

    fn word(&mut self, parent: Place, word: &'static str) -> Place {
        self.location(parent, Step::Word(word))
    }

    fn index(&mut self, parent: Place, index: usize) -> Place {
        self.location(parent, Step::Index(index))
    }

    fn location(&mut self, parent: Place, step: Step) -> Place {
        self.locations.push(Location {
            parent: parent.location,
            step,
        });
        Place {
            location: self.locations.len() - 1,
            ..parent
        }
    }

    /// The place with these parts of the reader's and the writer's type taken.
    fn parts(&mut self, place: Place, reader: Option<usize>, writer: Option<usize>) -> Place {
        self.trails.push(Trail {
            parent: place.trail,
            reader,
            writer,
        });
        Place {
            trail: self.trails.len() - 1,
            ..place
        }
    }

    fn spend(&mut self, steps: usize) -> Result<(), CheckError> {
        self.spent = self.spent.saturating_add(steps);
        let budget = self.budget;
        if self.spent > budget {
            Err(CheckError::TooEntangled { budget })
        } else {
            Ok(())
        }
    }
}

/// The place as the start of what Java tells.
fn afresh(place: Place) -> Place {
    Place {
        location: ROOT,
        ..place
    }
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
        Type::Array(_)
        | Type::Map(_)
        | Type::Union(_)
        | Type::Record(_)
        | Type::Enum(_)
        | Type::Fixed(_) => false,
    }
}

fn shout(kind: &Type) -> String {
    kind.word().to_ascii_uppercase()
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

    #[test]
    fn circles_of_different_lengths_are_compared_once_around() {
        assert_eq!(check(&circle(29), &circle(31), 1_000_000), Ok(Vec::new()));
        assert_eq!(
            check(&circle(29), &circle(31), 1_000),
            Err(CheckError::TooEntangled { budget: 1_000 })
        );
    }

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
        assert_eq!(outcome, Err(CheckError::TooEntangled { budget: 100_000 }));
    }
}
