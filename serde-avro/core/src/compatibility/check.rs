//! The comparison of two graphs of types.
//!
//! Owns the walk: each pair of a reader's and a writer's node is compared once, and taken for
//! compatible while it is being compared. The stack is explicit, so schemas cannot overflow it.

use super::{CheckError, Incompatibility, Kind};
use crate::schema::{Enum, Field, Fixed, Name, NodeId, Record, Schema, Type};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

pub(super) fn check(
    reader: &Schema,
    writer: &Schema,
    budget: usize,
) -> Result<Vec<Incompatibility>, CheckError> {
    let mut checker = Checker {
        reader,
        writer,
        budget,
        spent: 0,
        locations: vec![Location {
            parent: ROOT,
            step: Step::Root,
        }],
        verdicts: HashMap::new(),
    };
    let findings = checker.run((reader.root(), writer.root()))?;
    Ok(findings
        .iter()
        .map(|finding| Incompatibility::clone(finding))
        .collect())
}

/// A reader's node and a writer's.
type Pair = (NodeId, NodeId);

type Findings = Rc<[Rc<Incompatibility>]>;

struct Checker<'s> {
    reader: &'s Schema,
    writer: &'s Schema,
    budget: usize,
    spent: usize,
    locations: Vec<Location>,
    /// Findings of each pair; none while it is being compared.
    verdicts: HashMap<Pair, Option<Findings>>,
}

/// Where a comparison is, as an index into the checker's locations.
type Place = usize;

/// The place of a whole schema, and of each branch of a union, which starts afresh.
const ROOT: Place = 0;

struct Location {
    parent: Place,
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
    findings: Vec<Rc<Incompatibility>>,
}

/// What comparing a pair consists of.
enum Task {
    /// This was found.
    Found(Draft),
    /// The findings of a part are findings of the whole.
    Part(Pair, Place),
    /// This was found unless a part is compatible.
    Unless(Pair, Draft),
    /// Nothing was found if a part is compatible; the remaining tasks say what else.
    Candidate(Pair),
}

/// A finding whose path is not written yet.
struct Draft {
    kind: Kind,
    place: Place,
    info: String,
}

impl<'s> Checker<'s> {
    fn run(&mut self, root: Pair) -> Result<Findings, CheckError> {
        let mut stack = vec![self.open(root, ROOT)?];
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
                    let finding = self.finding(draft)?;
                    frame.findings.push(finding);
                    continue;
                }
                Task::Part(pair, place) => (pair, place),
                Task::Unless(pair, _) | Task::Candidate(pair) => (pair, ROOT),
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
            Task::Candidate(_) if part.is_empty() => frame.tasks.clear(),
            Task::Unless(_, draft) | Task::Found(draft) if !part.is_empty() => {
                let finding = self.finding(draft)?;
                frame.findings.push(finding);
            }
            Task::Found(_) | Task::Unless(..) | Task::Candidate(_) => {}
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
                vec![Task::Part((*item, *written), self.word(place, "items"))]
            }
            (Type::Map(item), Type::Map(written)) => {
                vec![Task::Part((*item, *written), self.word(place, "values"))]
            }
            (Type::Record(read), Type::Record(written)) => {
                let mut tasks = self.names(&read.name, &read.aliases, &written.name, place);
                self.fields(read, (pair.1, written), place, &mut tasks)?;
                tasks
            }
            (Type::Enum(read), Type::Enum(written)) => {
                let mut tasks = self.names(&read.name, &read.aliases, &written.name, place);
                self.spend(read.symbols.len() + written.symbols.len())?;
                tasks.extend(self.symbols(read, written, place));
                tasks
            }
            (Type::Fixed(read), Type::Fixed(written)) => {
                let mut tasks = self.names(&read.name, &read.aliases, &written.name, place);
                tasks.extend(self.sizes(read, written, place));
                tasks
            }
            (Type::Union(_), Type::Union(branches)) => {
                let branch = |(index, branch): (usize, &NodeId)| {
                    let place = self.index(place, index);
                    Task::Unless((pair.0, *branch), self.lacking(*branch, place))
                };
                branches.iter().enumerate().map(branch).collect()
            }
            (_, Type::Union(branches)) => {
                let branch = |(index, branch): (usize, &NodeId)| {
                    Task::Part((pair.0, *branch), self.index(place, index))
                };
                branches.iter().enumerate().map(branch).collect()
            }
            (Type::Union(branches), _) => {
                let candidates = branches
                    .iter()
                    .map(|branch| Task::Candidate((*branch, pair.1)));
                candidates
                    .chain([Task::Found(self.lacking(pair.1, place))])
                    .collect()
            }
            (read, written) if takes(read, written) => Vec::new(),
            (read, written) => {
                let (read, written) = (shout(read), shout(written));
                let info =
                    format!("reader type: {read} not compatible with writer type: {written}");
                vec![Task::Found(Draft {
                    kind: Kind::TypeMismatch,
                    place,
                    info,
                })]
            }
        })
    }

    /// Names match without their namespaces, or by an alias with it.
    fn names(&mut self, read: &Name, aliases: &[Name], written: &Name, place: Place) -> Vec<Task> {
        if read.simple() == written.simple() || aliases.contains(written) {
            return Vec::new();
        }
        let place = self.word(place, "name");
        let info = format!("expected: {written}");
        vec![Task::Found(Draft {
            kind: Kind::NameMismatch,
            place,
            info,
        })]
    }

    fn fields(
        &mut self,
        read: &Record,
        (writer_node, written): (NodeId, &Record),
        place: Place,
        tasks: &mut Vec<Task>,
    ) -> Result<(), CheckError> {
        let fields = self.word(place, "fields");
        for (index, field) in read.fields.iter().enumerate() {
            let place = self.index(fields, index);
            self.spend(field.aliases.len())?;
            let node = match self.writer_field(field, index, writer_node, written)? {
                Some(writer_field) => writer_field.node,
                None if field.default.is_some() => continue,
                // Java compares the enum with the whole record of the writer, and tells just that.
                None if self.is_enum_with_default(field.node) => writer_node,
                None => {
                    let (kind, info) =
                        (Kind::ReaderFieldMissingDefaultValue, field.name.to_string());
                    tasks.push(Task::Found(Draft { kind, place, info }));
                    continue;
                }
            };
            tasks.push(Task::Part((field.node, node), self.word(place, "type")));
        }
        Ok(())
    }

    fn writer_field<'r>(
        &self,
        field: &Field,
        place: usize,
        writer_node: NodeId,
        written: &'r Record,
    ) -> Result<Option<&'r Field>, CheckError> {
        let names = [&field.name].into_iter().chain(&field.aliases);
        let mut found = names.filter_map(|name| written.fields.get(written.position(name)?));
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

    fn symbols(&mut self, read: &Enum, written: &Enum, place: Place) -> Option<Task> {
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
        let info = format!("[{}]", missing.join(", "));
        let place = self.word(place, "symbols");
        Some(Task::Found(Draft {
            kind: Kind::MissingEnumSymbols,
            place,
            info,
        }))
    }

    fn sizes(&mut self, read: &Fixed, written: &Fixed, place: Place) -> Option<Task> {
        if read.size == written.size {
            return None;
        }
        let info = format!("expected: {}, found: {}", written.size, read.size);
        let place = self.word(place, "size");
        Some(Task::Found(Draft {
            kind: Kind::FixedSizeMismatch,
            place,
            info,
        }))
    }

    fn lacking(&self, written: NodeId, place: Place) -> Draft {
        let written = shout(&self.writer.node(written).kind);
        let info = format!("reader union lacking writer type: {written}");
        Draft {
            kind: Kind::MissingUnionBranch,
            place,
            info,
        }
    }

    fn finding(&mut self, draft: Draft) -> Result<Rc<Incompatibility>, CheckError> {
        let mut steps = Vec::new();
        let mut place = draft.place;
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
        Ok(Rc::new(Incompatibility {
            kind: draft.kind,
            path,
            info: draft.info,
        }))
    }

    fn word(&mut self, parent: Place, word: &'static str) -> Place {
        self.location(Location {
            parent,
            step: Step::Word(word),
        })
    }

    fn index(&mut self, parent: Place, index: usize) -> Place {
        self.location(Location {
            parent,
            step: Step::Index(index),
        })
    }

    fn location(&mut self, location: Location) -> Place {
        self.locations.push(location);
        self.locations.len() - 1
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

/// Equal primitive types, and the promotions of the specification.
fn takes(read: &Type, written: &Type) -> bool {
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
