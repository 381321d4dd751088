//! What would make a pair of schemas compatible, in a sentence.
//!
//! Owns the words. A suggestion names one change, mostly to the reader's schema, that removes the
//! finding; whether it is the right one for the data is for people to say.

use super::{Incompatibility, IncompatibilityKind};
use crate::schema::{Field, NodeId, Record, Schema, Type};

/// Fields of a writer's record among which a renamed one is looked for.
const FIELDS_LOOKED_AT: usize = 64;
/// Bytes of the longest name that is taken for another one misspelt.
const NAME_BYTES_MAX: usize = 64;
/// Pairs of characters, one of each name, whose comparison counts as one step.
const PAIRS_A_STEP: usize = 256;
/// Bytes of symbols that a suggestion lists.
const SYMBOLS_BYTES_MAX: usize = 1_024;
/// How alike two names must be to be taken for one, from 0 to 1.
const LIKENESS: f64 = 0.75;

/// The two schemas of a finding.
#[derive(Clone, Copy)]
pub(super) struct Sides<'s> {
    pub(super) reader: &'s Schema,
    pub(super) writer: &'s Schema,
}

/// Whether names may be compared for likeness, and what that has taken.
pub(super) struct Guess {
    is_allowed: bool,
    steps: usize,
}

impl Guess {
    pub(super) fn new(is_allowed: bool) -> Self {
        Self {
            is_allowed,
            steps: 0,
        }
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Whether two names are alike enough for one to be the other, misspelt.
    fn are_alike(&mut self, one: &str, other: &str) -> bool {
        if !self.is_allowed || one.len().max(other.len()) > NAME_BYTES_MAX {
            return false;
        }
        self.steps += 1 + one.len() * other.len() / PAIRS_A_STEP;
        strsim::jaro_winkler(one, other) >= LIKENESS
    }
}

/// The change that would remove a finding. `pair` is what does not fit: for a missing default the
/// two records, for a missing branch the reader's union and the branch.
pub(super) fn suggestion(
    sides: Sides<'_>,
    kind: IncompatibilityKind,
    pair: (NodeId, NodeId),
    (info, causes): (&str, &[Incompatibility]),
    guess: &mut Guess,
) -> String {
    let Sides { reader, writer } = sides;
    let (read, written) = (reader.label(pair.0), writer.label(pair.1));
    match kind {
        IncompatibilityKind::FixedSizeMismatch => {
            let size = match &writer.node(pair.1).kind {
                Type::Fixed(fixed) => fixed.size.to_string(),
                _ => "its former size".to_owned(),
            };
            format!("keep the size of {read} at {size}, or add a field of a new type beside it")
        }
        IncompatibilityKind::NameMismatch => {
            format!("add \"aliases\": [\"{written}\"] to {read} in the reader's schema")
        }
        IncompatibilityKind::MissingEnumSymbols => {
            let symbols = some_symbols(info.trim_matches(['[', ']']));
            format!("keep the symbols {symbols} in {read}, or give {read} a \"default\" symbol")
        }
        IncompatibilityKind::MissingUnionBranch => missing_branch(written, causes),
        IncompatibilityKind::ReaderFieldMissingDefaultValue => {
            missing_default(sides, pair, info, guess)
        }
        IncompatibilityKind::TypeMismatch
            if widens(&reader.node(pair.0).kind, &writer.node(pair.1).kind) =>
        {
            format!("read it as {written}: {read} can become {written}, but not the other way")
        }
        IncompatibilityKind::TypeMismatch => format!(
            "keep the type {written}, or leave the field and add one of type {read} with a \
             \"default\""
        ),
    }
}

/// So many of the symbols as a sentence bears.
fn some_symbols(symbols: &str) -> String {
    let start = symbols.get(..SYMBOLS_BYTES_MAX);
    match start.and_then(|start| start.rsplit_once(", ")) {
        Some((shown, _)) => {
            let more = symbols[shown.len()..].matches(", ").count();
            format!("{shown} and {more} more")
        }
        None => symbols.to_owned(),
    }
}

fn missing_branch(written: &str, causes: &[Incompatibility]) -> String {
    match causes.first() {
        None => format!("add {written} to the union in the reader's schema"),
        Some(cause) => {
            let (place, what) = (&cause.reader().path, cause.suggestion());
            format!("the union reads {written} only in part; at {place}: {what}")
        }
    }
}

fn missing_default(
    sides: Sides<'_>,
    pair: (NodeId, NodeId),
    name: &str,
    guess: &mut Guess,
) -> String {
    let Type::Record(read) = &sides.reader.node(pair.0).kind else {
        return format!("add a \"default\" to field {name} in the reader's schema");
    };
    let place = read.position(name);
    let field = place.and_then(|place| read.fields.get(place));
    let add = match field.and_then(|field| sample(sides.reader, field.node)) {
        Some(sample) => {
            format!("add \"default\": {sample} to field {name} in the reader's schema")
        }
        None => format!(
            "make field {name} a union that starts with \"null\", with \"default\": null, in the \
             reader's schema"
        ),
    };
    match field.and_then(|field| renamed(sides, (read, field), pair.1, guess)) {
        Some(old) => format!("{add}, or \"aliases\": [\"{old}\"] if {old} was renamed"),
        None => add,
    }
}

/// A default of the type as JSON, if there is a plain one.
fn sample(schema: &Schema, id: NodeId) -> Option<String> {
    Some(match &schema.node(id).kind {
        Type::Null => "null".to_owned(),
        Type::Boolean => "false".to_owned(),
        Type::Int | Type::Long => "0".to_owned(),
        Type::Float | Type::Double => "0.0".to_owned(),
        Type::Bytes | Type::String => "\"\"".to_owned(),
        Type::Array(_) => "[]".to_owned(),
        Type::Map(_) => "{}".to_owned(),
        Type::Enum(symbols) => format!("\"{}\"", symbols.symbols.first()?),
        Type::Record(record) if record.fields.iter().all(|field| field.default.is_some()) => {
            "{}".to_owned()
        }
        // A union holds no union, so this goes one deep.
        Type::Union(branches) => return sample(schema, *branches.first()?),
        Type::Record(_) | Type::Fixed(_) => return None,
    })
}

/// A field of the writer's record that the reader's lacks and whose name and type are alike.
fn renamed<'s>(
    sides: Sides<'s>,
    (read, field): (&Record, &Field),
    written: NodeId,
    guess: &mut Guess,
) -> Option<&'s str> {
    let Type::Record(written) = &sides.writer.node(written).kind else {
        return None;
    };
    let word = sides.reader.node(field.node).kind.as_str();
    let renamed = written.fields.iter().take(FIELDS_LOOKED_AT).find(|old| {
        read.position(&old.name).is_none()
            && sides.writer.node(old.node).kind.as_str() == word
            && guess.are_alike(&old.name, &field.name)
    });
    renamed.map(|old| &*old.name)
}

/// Whether the reader's type would be promoted to the writer's.
fn widens(read: &Type, written: &Type) -> bool {
    super::check::takes(written, read)
}
