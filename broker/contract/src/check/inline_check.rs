//! The check of a batch while its records are walked for the first time: the way of nearly every
//! batch, because its schemas are remembered and all its records pass.
//!
//! It can only say that every record passes. At the first thing that is not as usual (a schema to
//! be asked for, an answer that may have changed, a fault) it says nothing more, and the batch goes
//! the long way through `check`, which asks, judges and tells. It judges by the same functions, so
//! that what passes here passes there.

use std::sync::atomic::Ordering;

use avouch_protocol::records::Record;
use avouch_protocol::section::Section;

use crate::check::basis::Basis;
use crate::check::eligibility::{self, Judgement, Passed};
use crate::check::{self, OnlyId, PerPart, rules};
use crate::config::effective::{EffectivePolicy, Rule};
use crate::schemas::cache::{Arrival, Schemas};
use crate::{Accepted, epoch_in_force};

/// A check under way.
#[derive(Debug)]
pub struct Alongside<'a> {
    rules: [Option<Rule<'a>>; 2],
    topic: &'a str,
    schemas: &'a Schemas,
    arrival: &'a Arrival,
    /// The schemas met last.
    last: PerPart<Option<(i32, Passed)>>,
    ids: OnlyId,
    basis: Basis,
    all_pass: bool,
}

impl<'a> Alongside<'a> {
    pub(crate) fn new(
        schemas: &'a Schemas,
        topic: &'a str,
        policy: &'a EffectivePolicy,
        arrival: &'a Arrival,
    ) -> Self {
        Self {
            rules: rules(policy),
            topic,
            schemas,
            arrival,
            last: PerPart::default(),
            ids: OnlyId::default(),
            basis: Basis::default(),
            all_pass: true,
        }
    }

    /// Looks at the next record of `section`.
    #[inline]
    pub fn record(&mut self, section: Section<'_>, record: &Record<'_>) {
        self.all_pass = self.all_pass && self.passes(section, record);
    }

    /// Returns the verdict if every record passes.
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
                *last = None;
                let (schemas, arrival) = (self.schemas, self.arrival);
                let Some((passed, epoch)) =
                    remembered(schemas, arrival, rule, self.topic, located.id)
                else {
                    return false;
                };
                self.basis.add(located.id, epoch);
                *last = Some((located.id, passed));
            }
            let Some((id, passed)) = last else {
                return false;
            };
            if check::datum_fits(rule, section.memory(), located.datum, passed).is_err() {
                return false;
            }
            self.ids.add(*id);
        }
        true
    }
}

/// Returns a schema that passes and the epoch that it was taken as of, if the cache alone decides.
fn remembered(
    schemas: &Schemas,
    arrival: &Arrival,
    rule: Rule<'_>,
    topic: &str,
    id: i32,
) -> Option<(Passed, u64)> {
    let epoch = schemas.epoch(id).load(Ordering::Acquire);
    let remembered = schemas.remembered(id)?;
    let judgement = eligibility::check_eligibility(rule, topic, id, &remembered.answer);
    let epoch = epoch_in_force(schemas, arrival, epoch, &remembered, &judgement)?;
    match judgement {
        Judgement::Passes(passed) => Some((passed, epoch)),
        Judgement::Fails(_) | Judgement::Unavailable(_) | Judgement::Broken(_) => None,
    }
}
