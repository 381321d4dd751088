//! Drafts of findings, and their rendering.
//!
//! Rendering adds Java's path and message, the sites in both schemas, the suggestion and the
//! causes. Most drafts are dropped, because another branch of a union matches; so strings are
//! written only for the findings of the result.

use super::check::{Checker, Pair};
use super::location::LocationId;
use super::rules::missing_symbols;
use super::suggestion::{Sides, Similarity, suggestion};
use super::{CheckError, Detail, Incompatibility, IncompatibilityKind};
use crate::schema::Type;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of output that count as one step of the budget.
pub(super) const BYTES_PER_STEP: usize = 16;
/// Bytes of a suggestion that are included in the step of its finding.
const SUGGESTION_FREE_BYTES: usize = 256;
/// Maximum number of causes of a finding.
pub(super) const CAUSES_MAX: usize = 8;

/// The index of a draft of a checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DraftId(pub(super) usize);

/// A finding without its strings.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) kind: IncompatibilityKind,
    /// The incompatible types; see [`suggestion`].
    pub(super) pair: Pair,
    pub(super) location: LocationId,
    /// For a branch that exists but is incompatible, its findings. They have no causes themselves.
    pub(super) causes: Vec<DraftId>,
}

impl Checker<'_> {
    /// Renders findings.
    ///
    /// # Errors
    /// Returns [`CheckError::BudgetExceeded`] if this takes more than the rest of the budget.
    pub(super) fn render(&mut self, found: &[DraftId]) -> Result<Vec<Incompatibility>, CheckError> {
        let mut rendered = HashMap::new();
        let findings = found.iter().map(|id| self.rendered(*id, &mut rendered));
        findings.collect()
    }

    /// Returns a rendered finding. One that occurs again shares its strings, but their bytes count
    /// each time, because a caller that prints the findings prints them each time.
    fn rendered(
        &mut self,
        id: DraftId,
        rendered: &mut HashMap<DraftId, Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        if let Some(known) = rendered.get(&id) {
            self.spend(string_bytes(known) / BYTES_PER_STEP)?;
            return Ok(known.clone());
        }
        let draft = self.draft(id).clone();
        let mut causes = Vec::new();
        for cause in &draft.causes {
            // Causes take at most half the budget, so that they cannot displace Java's findings.
            if self.is_half_spent() {
                break;
            }
            causes.push(self.rendered(*cause, rendered)?);
        }
        let finding = self.finding(&draft, causes)?;
        rendered.insert(id, finding.clone());
        Ok(finding)
    }

    fn finding(
        &mut self,
        draft: &Draft,
        causes: Vec<Incompatibility>,
    ) -> Result<Incompatibility, CheckError> {
        let &Draft {
            kind,
            pair,
            location,
            ..
        } = draft;
        self.spend(self.locations.depth(location))?;
        let (read, written) = self.locations.paths(location);
        let reader = match kind {
            IncompatibilityKind::ReaderFieldMissingDefaultValue => self.reader.field_site(&read),
            _ => self.reader.site(&read),
        };
        let writer = self.writer.site(&written);
        let site_bytes = reader.path.len() + writer.path.len();
        let info = self.info(kind, pair, read.last().copied());
        let sides = Sides {
            reader: self.reader,
            writer: self.writer,
        };
        // The search for similar names is skipped when the budget is short.
        let mut similarity = Similarity::new(!self.is_half_spent());
        let suggestion = suggestion(sides, kind, pair, (&info, &causes), &mut similarity);
        self.spend(similarity.steps())?;
        let extra_bytes = site_bytes + suggestion.len().saturating_sub(SUGGESTION_FREE_BYTES);
        let finding = Incompatibility {
            kind,
            path: self.locations.java_location(location).into(),
            info: info.into(),
            detail: Arc::new(Detail {
                reader,
                writer,
                suggestion,
                causes,
            }),
        };
        self.spend((extra_bytes + string_bytes(&finding)) / BYTES_PER_STEP)?;
        Ok(finding)
    }

    /// Returns Java's message; `index` is the position of the reader's field, if it is about one.
    fn info(&self, kind: IncompatibilityKind, pair: Pair, index: Option<usize>) -> String {
        let (read, written) = (self.reader.node(pair.0), self.writer.node(pair.1));
        let type_name = |kind: &Type| kind.as_str().to_ascii_uppercase();
        match (kind, &read.kind, &written.kind) {
            (IncompatibilityKind::FixedSizeMismatch, Type::Fixed(read), Type::Fixed(written)) => {
                format!("expected: {}, found: {}", written.size, read.size)
            }
            (IncompatibilityKind::MissingEnumSymbols, Type::Enum(read), Type::Enum(written)) => {
                let mut missing = missing_symbols(read, written);
                // Java prints the symbols as a sorted set.
                missing.sort_unstable();
                format!("[{}]", missing.join(", "))
            }
            (IncompatibilityKind::ReaderFieldMissingDefaultValue, Type::Record(read), _) => {
                let field = index.and_then(|index| read.fields.get(index));
                field.map_or_else(String::new, |field| field.name.to_string())
            }
            (IncompatibilityKind::NameMismatch, _, _) => {
                format!("expected: {}", self.writer.label(pair.1))
            }
            (IncompatibilityKind::MissingUnionBranch, _, written) => {
                format!("reader union lacking writer type: {}", type_name(written))
            }
            (_, read, written) => {
                let (read, written) = (type_name(read), type_name(written));
                format!("reader type: {read} not compatible with writer type: {written}")
            }
        }
    }
}

/// Returns the bytes of a finding's path and message.
fn string_bytes(finding: &Incompatibility) -> usize {
    finding.path.len() + finding.info.len()
}
