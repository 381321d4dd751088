//! Fast path: checks records in the same pass that parses them, when all schemas are cached. Most
//! batches take it.
//!
//! It only finds out whether every record passes. At the first exception (a schema that must be
//! looked up, a result that may be stale, a fault) it stops, and the caller runs the full check,
//! which looks up schemas and reports faults. Both use the same functions, so a batch that passes
//! here passes there.

use std::sync::atomic::Ordering;

use avouch_protocol::records::Record;
use avouch_protocol::section::Section;

use crate::check::basis::Basis;
use crate::check::eligibility::{self, Eligibility, EligibleSchema};
use crate::check::{self, OnlyId, PerPart, rules};
use crate::config::effective::{EffectivePolicy, Rule};
use crate::schemas::cache::Schemas;
use crate::schemas::lookup::RequestContext;
use crate::{Accepted, valid_epoch};

/// The state of an inline check.
#[derive(Debug)]
pub struct InlineCheck<'a> {
    rules: [Option<Rule<'a>>; 2],
    topic: &'a str,
    schemas: &'a Schemas,
    context: &'a RequestContext,
    /// The most recent schemas: consecutive records mostly have the same.
    last: PerPart<Option<(i32, EligibleSchema)>>,
    ids: OnlyId,
    basis: Basis,
    all_pass: bool,
}

impl<'a> InlineCheck<'a> {
    pub(crate) fn new(
        schemas: &'a Schemas,
        topic: &'a str,
        policy: &'a EffectivePolicy,
        context: &'a RequestContext,
    ) -> Self {
        Self {
            rules: rules(policy),
            topic,
            schemas,
            context,
            last: PerPart::default(),
            ids: OnlyId::default(),
            basis: Basis::default(),
            all_pass: true,
        }
    }

    /// Checks the next record of `section`.
    #[inline]
    pub fn record(&mut self, section: Section<'_>, record: &Record<'_>) {
        // After the first exception the remaining records cost nothing here.
        self.all_pass = self.all_pass && self.passes(section, record);
    }

    /// Returns the result if every record passes.
    #[must_use]
    pub fn accepted(self) -> Option<Accepted> {
        self.all_pass.then(|| Accepted {
            tag: self.ids.tag(),
            basis: self.basis,
        })
    }

    fn passes(&mut self, section: Section<'_>, record: &Record<'_>) -> bool {
        for rule in self.rules.into_iter().flatten() {
            let located = match check::locate(rule, record) {
                Ok(Some(located)) => located,
                Ok(None) => continue,
                Err(_) => return false,
            };
            let last = self.last.part_mut(rule.part);
            if !matches!(last, Some((id, _)) if *id == located.id) {
                // Cleared first: a failed check must not leave the schema of an earlier record.
                *last = None;
                let (schemas, context) = (self.schemas, self.context);
                let Some((eligible, epoch)) =
                    cached(schemas, context, rule, self.topic, located.id)
                else {
                    return false;
                };
                self.basis.add(located.id, epoch);
                *last = Some((located.id, eligible));
            }
            let Some((id, eligible)) = last else {
                return false;
            };
            if check::check_datum(rule, section.memory(), located.datum, eligible).is_err() {
                return false;
            }
            self.ids.add(*id);
        }
        true
    }
}

/// Returns an eligible schema and the epoch that it is valid for, if the cache suffices.
fn cached(
    schemas: &Schemas,
    context: &RequestContext,
    rule: Rule<'_>,
    topic: &str,
    id: i32,
) -> Option<(EligibleSchema, u64)> {
    // Before the cache is read: a change in between must be noticed.
    let epoch = schemas.epoch(id).load(Ordering::Acquire);
    let cached = schemas.cached(id)?;
    let eligibility = eligibility::check_eligibility(rule, topic, id, cached.schema.as_ref());
    let epoch = valid_epoch(schemas, context, epoch, &cached, &eligibility)?;
    match eligibility {
        Eligibility::Eligible(eligible) => Some((eligible, epoch)),
        Eligibility::Ineligible(_) | Eligibility::Unavailable(_) | Eligibility::Broken(_) => None,
    }
}
