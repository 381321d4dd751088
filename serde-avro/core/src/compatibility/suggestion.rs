//! Suggestions of changes that make two schemas compatible.
//!
//! A suggestion is one change, usually of the reader's schema, that removes the finding. Whether it
//! suits the data cannot be determined here.

use super::{Incompatibility, IncompatibilityKind};
use crate::schema::{Field, NodeId, Record, Schema, Type};

/// Maximum number of the writer's fields that are searched for a renamed one.
const FIELDS_SEARCHED_MAX: usize = 64;
/// Maximum length of a name that is compared with others, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Pairs of characters, one of each name, that count as one step of the budget.
const PAIRS_PER_STEP: usize = 256;
/// Maximum length of the list of symbols in a suggestion, in bytes.
const SYMBOLS_BYTES_MAX: usize = 1_024;
/// Minimum Jaro-Winkler similarity of a renamed field, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.75;

/// The two schemas of a finding.
#[derive(Clone, Copy)]
pub(super) struct Sides<'s> {
    pub(super) reader: &'s Schema,
    pub(super) writer: &'s Schema,
}

/// The comparison of similar names: whether it is allowed, and the steps it has taken.
pub(super) struct Similarity {
    is_allowed: bool,
    steps: usize,
}

impl Similarity {
    pub(super) fn new(is_allowed: bool) -> Self {
        Self {
            is_allowed,
            steps: 0,
        }
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Returns whether two names are similar.
    fn is_similar(&mut self, one: &str, other: &str) -> bool {
        if !self.is_allowed || one.len().max(other.len()) > NAME_BYTES_MAX {
            return false;
        }
        // The comparison takes time proportional to the product of the lengths.
        self.steps += 1 + one.len() * other.len() / PAIRS_PER_STEP;
        strsim::jaro_winkler(one, other) >= SIMILARITY_MIN
    }
}

/// Returns the change that would remove a finding. `pair` has the incompatible types: for a missing
/// default the two records, for a missing branch the reader's union and the branch.
pub(super) fn suggestion(
    sides: Sides<'_>,
    kind: IncompatibilityKind,
    pair: (NodeId, NodeId),
    (info, causes): (&str, &[Incompatibility]),
    similarity: &mut Similarity,
) -> String {
    let Sides { reader, writer } = sides;
    let (read, written) = (reader.label(pair.0), writer.label(pair.1));
    match kind {
        IncompatibilityKind::FixedSizeMismatch => {
            let size = match &writer.node(pair.1).kind {
                Type::Fixed(fixed) => fixed.size.to_string(),
                _ => "the former size".to_owned(),
            };
            format!("keep the size of {read} at {size}, or add a field of a new type")
        }
        IncompatibilityKind::NameMismatch => {
            format!("add \"aliases\": [\"{written}\"] to {read} in the reader's schema")
        }
        IncompatibilityKind::MissingEnumSymbols => {
            let symbols = some_symbols(info.trim_matches(['[', ']']));
            format!("keep the symbols {symbols} in {read}, or add a \"default\" symbol to {read}")
        }
        IncompatibilityKind::MissingUnionBranch => missing_branch(written, causes),
        IncompatibilityKind::ReaderFieldMissingDefaultValue => {
            missing_default(sides, pair, info, similarity)
        }
        IncompatibilityKind::TypeMismatch
            if widens(&reader.node(pair.0).kind, &writer.node(pair.1).kind) =>
        {
            format!(
                "change the reader's type to {written}: {read} is promoted to {written}, not the \
                 reverse"
            )
        }
        IncompatibilityKind::TypeMismatch => format!(
            "keep the type {written}, or add another field of type {read} with a \"default\""
        ),
    }
}

/// Returns the symbols, shortened to about [`SYMBOLS_BYTES_MAX`].
fn some_symbols(symbols: &str) -> String {
    let start = symbols.get(..SYMBOLS_BYTES_MAX);
    // Cut at a separator, so that no symbol is incomplete.
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
            let (path, change) = (&cause.reader().path, cause.suggestion());
            format!("branch {written} of the union is incompatible; at {path}: {change}")
        }
    }
}

fn missing_default(
    sides: Sides<'_>,
    pair: (NodeId, NodeId),
    name: &str,
    similarity: &mut Similarity,
) -> String {
    let Type::Record(read) = &sides.reader.node(pair.0).kind else {
        return format!("add a \"default\" to field {name} in the reader's schema");
    };
    let position = read.position(name);
    let field = position.and_then(|position| read.fields.get(position));
    let add = match field.and_then(|field| sample(sides.reader, field.node)) {
        Some(sample) => {
            format!("add \"default\": {sample} to field {name} in the reader's schema")
        }
        None => format!(
            "make field {name} a union with \"null\" first and \"default\": null in the reader's \
             schema"
        ),
    };
    match field.and_then(|field| renamed(sides, (read, field), pair.1, similarity)) {
        Some(old) => format!("{add}, or \"aliases\": [\"{old}\"] if {old} was renamed"),
        None => add,
    }
}

/// Returns a simple default of a type as JSON, if there is one.
fn sample(schema: &Schema, id: NodeId) -> Option<String> {
    Some(match &schema.node(id).kind {
        Type::Null => "null".to_owned(),
        Type::Boolean => "false".to_owned(),
        Type::Int | Type::Long => "0".to_owned(),
        Type::Float | Type::Double => "0.0".to_owned(),
        Type::Bytes | Type::String => "\"\"".to_owned(),
        Type::Array(_) => "[]".to_owned(),
        Type::Map(_) => "{}".to_owned(),
        // An enum may have no symbols.
        Type::Enum(symbols) => format!("\"{}\"", symbols.symbols.first()?),
        Type::Record(record) if record.fields.iter().all(|field| field.default.is_some()) => {
            "{}".to_owned()
        }
        // A union contains no union, so this recurses once.
        Type::Union(branches) => return sample(schema, *branches.first()?),
        // Made up values of these would rarely suit the data.
        Type::Record(_) | Type::Fixed(_) => return None,
    })
}

/// Returns a field of the writer's record that the reader's record lacks, with the same type and a
/// similar name.
fn renamed<'s>(
    sides: Sides<'s>,
    (read, field): (&Record, &Field),
    written: NodeId,
    similarity: &mut Similarity,
) -> Option<&'s str> {
    let Type::Record(written) = &sides.writer.node(written).kind else {
        return None;
    };
    let type_name = sides.reader.node(field.node).kind.as_str();
    let renamed = written.fields.iter().take(FIELDS_SEARCHED_MAX).find(|old| {
        // A field that both records have was not renamed.
        read.position(&old.name).is_none()
            && sides.writer.node(old.node).kind.as_str() == type_name
            && similarity.is_similar(&old.name, &field.name)
    });
    renamed.map(|old| &*old.name)
}

/// Returns whether the reader's type would be promoted to the writer's.
fn widens(read: &Type, written: &Type) -> bool {
    super::rules::reads_primitive(written, read)
}
