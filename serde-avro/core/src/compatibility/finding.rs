//! Findings while they are only noted, and how they are told.
//!
//! Owns the way from a note to words: Java's path and additional information, the places in both
//! texts, the suggestion and the causes. Most notes are dropped, because a branch of a union may
//! fail, so nothing is written before it is told.

use super::check::{Checker, Pair, missing_symbols};
use super::place::PlaceId;
use super::suggestion::{Guess, Sides, suggestion};
use super::{CheckError, Detail, Incompatibility, IncompatibilityKind};
use crate::schema::Type;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of text that count as one step against the budget.
pub(super) const BYTES_A_STEP: usize = 16;
/// Bytes of a suggestion that don't count, as they come with the finding.
const SUGGESTION_FREE_BYTES: usize = 256;
/// Causes that are kept of a finding.
pub(super) const CAUSES_MAX: usize = 8;

/// A note among a checker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DraftId(pub(super) usize);

/// A finding that is not written out yet.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) kind: IncompatibilityKind,
    /// What does not fit; see [`suggestion`].
    pub(super) pair: Pair,
    pub(super) place: PlaceId,
    /// Of a branch that is there but does not fit: what does not. They have no causes themselves.
    pub(super) causes: Vec<DraftId>,
}

impl Checker<'_> {
    /// The findings with all there is to tell of them.
    ///
    /// # Errors
    /// When telling them takes more than the budget.
    pub(super) fn tell(&mut self, found: &[DraftId]) -> Result<Vec<Incompatibility>, CheckError> {
        let mut told = HashMap::new();
        found.iter().map(|id| self.told(*id, &mut told)).collect()
    }

    /// A finding that comes up again shares its texts, but counts with them each time: whoever
    /// writes the findings out writes them as often.
    fn told(
        &mut self,
        id: DraftId,
        told: &mut HashMap<DraftId, Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        if let Some(known) = told.get(&id) {
            self.spend(text_bytes(known) / BYTES_A_STEP)?;
            return Ok(known.clone());
        }
        let draft = self.draft(id).clone();
        let mut causes = Vec::new();
        for cause in &draft.causes {
            // Java's findings come first: what it doesn't tell takes half the budget at most.
            if self.is_half_spent() {
                break;
            }
            causes.push(self.told(*cause, told)?);
        }
        let finding = self.finding(&draft, causes)?;
        told.insert(id, finding.clone());
        Ok(finding)
    }

    fn finding(
        &mut self,
        draft: &Draft,
        causes: Vec<Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        let &Draft {
            kind, pair, place, ..
        } = draft;
        self.spend(self.places.depth(place))?;
        let (read, written) = self.places.trails(place);
        let reader = match kind {
            IncompatibilityKind::ReaderFieldMissingDefaultValue => self.reader.field_site(&read),
            IncompatibilityKind::FixedSizeMismatch
            | IncompatibilityKind::TypeMismatch
            | IncompatibilityKind::NameMismatch
            | IncompatibilityKind::MissingEnumSymbols
            | IncompatibilityKind::MissingUnionBranch => self.reader.site(&read),
        };
        let writer = self.writer.site(&written);
        let sites = reader.path.len() + writer.path.len();
        let info = self.info(kind, pair, read.last().copied());
        let sides = Sides {
            reader: self.reader,
            writer: self.writer,
        };
        let mut guess = Guess::new(!self.is_half_spent());
        let suggestion = suggestion(sides, kind, pair, (&info, &causes), &mut guess);
        self.spend(guess.steps())?;
        let told = sites + suggestion.len().saturating_sub(SUGGESTION_FREE_BYTES);
        let finding = Incompatibility {
            kind,
            path: self.places.location(place).into(),
            info: info.into(),
            detail: Arc::new(Detail {
                reader,
                writer,
                suggestion,
                causes,
            }),
        };
        self.spend((told + text_bytes(&finding)) / BYTES_A_STEP)?;
        Ok(finding)
    }

    /// Java's additional information of what does not fit; `part` is the last part that leads
    /// there in the reader's schema.
    fn info(&self, kind: IncompatibilityKind, pair: Pair, part: Option<usize>) -> String {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        let word = |kind: &Type| kind.as_str().to_ascii_uppercase();
        match (kind, &read.kind, &written.kind) {
            (IncompatibilityKind::FixedSizeMismatch, Type::Fixed(read), Type::Fixed(written)) => {
                format!("expected: {}, found: {}", written.size, read.size)
            }
            (IncompatibilityKind::MissingEnumSymbols, Type::Enum(read), Type::Enum(written)) => {
                let mut missing = missing_symbols(read, written);
                missing.sort_unstable();
                format!("[{}]", missing.join(", "))
            }
            (IncompatibilityKind::ReaderFieldMissingDefaultValue, Type::Record(read), _) => {
                let field = part.and_then(|part| read.fields.get(part));
                field.map_or_else(String::new, |field| field.name.to_string())
            }
            (IncompatibilityKind::NameMismatch, _, _) => {
                format!("expected: {}", self.writer.label(pair.1))
            }
            (IncompatibilityKind::MissingUnionBranch, _, written) => {
                format!("reader union lacking writer type: {}", word(written))
            }
            (_, read, written) => {
                let (read, written) = (word(read), word(written));
                format!("reader type: {read} not compatible with writer type: {written}")
            }
        }
    }
}

/// Bytes of a finding's own texts.
fn text_bytes(finding: &Incompatibility) -> usize {
    finding.path.len() + finding.info.len()
}
