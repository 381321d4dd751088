//! Findings while they are only noted, and how they are told.
//!
//! Owns the way from a note to words: Java's path and additional information, the places in both
//! texts, the suggestion and the causes. Most notes are dropped, because a branch of a union may
//! fail, so nothing is written before it is told.

use super::check::{Checker, Pair};
use super::place::PlaceId;
use super::suggestion::{Sides, suggestion};
use super::{CheckError, Detail, Incompatibility, Kind};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a path that count as one step against the budget.
const PATH_BYTES_A_STEP: usize = 16;
/// Causes that are kept of a finding.
pub(super) const CAUSES_MAX: usize = 8;

/// A note among a checker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DraftId(pub(super) usize);

/// A finding that is not written out yet.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    /// What does not fit; see [`suggestion`].
    pub(super) pair: Pair,
    pub(super) place: PlaceId,
    pub(super) info: Info,
    /// Of a branch that is there but does not fit: what does not. They have no causes themselves.
    pub(super) causes: Vec<DraftId>,
}

/// Java's additional information.
#[derive(Clone)]
pub(super) enum Info {
    Text(String),
    /// The words of both types.
    Mismatch(&'static str, &'static str),
    /// The word of the writer's type.
    Lacking(&'static str),
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

    /// A finding that comes up again is told once.
    fn told(
        &mut self,
        id: DraftId,
        told: &mut HashMap<DraftId, Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        if let Some(known) = told.get(&id) {
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
        let finding = self.finding(draft, causes)?;
        told.insert(id, finding.clone());
        Ok(finding)
    }

    fn finding(
        &mut self,
        draft: Draft,
        causes: Vec<Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        let Draft {
            kind, pair, place, ..
        } = draft;
        self.spend(2 * self.places.depth(place))?;
        let (read, written) = self.places.trails(place);
        let reader = match kind {
            Kind::ReaderFieldMissingDefaultValue => self.reader.field_site(&read),
            Kind::FixedSizeMismatch
            | Kind::TypeMismatch
            | Kind::NameMismatch
            | Kind::MissingEnumSymbols
            | Kind::MissingUnionBranch => self.reader.site(&read),
        };
        let writer = self.writer.site(&written);
        self.spend((reader.path.len() + writer.path.len()) / PATH_BYTES_A_STEP)?;
        let sides = Sides {
            reader: self.reader,
            writer: self.writer,
        };
        let info = draft.info.text();
        let suggestion = suggestion(sides, kind, pair, &info, &causes);
        Ok(Incompatibility {
            kind,
            path: self.places.location(place),
            info,
            detail: Arc::new(Detail {
                reader,
                writer,
                suggestion,
                causes,
            }),
        })
    }
}

impl Info {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Mismatch(read, written) => {
                let (read, written) = (read.to_ascii_uppercase(), written.to_ascii_uppercase());
                format!("reader type: {read} not compatible with writer type: {written}")
            }
            Self::Lacking(written) => {
                let written = written.to_ascii_uppercase();
                format!("reader union lacking writer type: {written}")
            }
        }
    }
}
