//! The check of one batch against its topic's contract. Pure; every record is looked at.
//!
//! Two passes over the decompressed records: [`schema_ids`] gathers the ids that keys and values
//! name; the caller learns what they come to; [`check_batch`] judges every record by that. Nothing
//! is fetched within a pass, and a record that passes costs no allocation.
//!
//! A schema is named by the last header `__key_schema_id` or `__value_schema_id`, and then the
//! whole key or value is the datum; else by a prefix. That is the consumer's precedence, so that
//! nothing is checked by one schema and read by another.

pub(crate) mod basis;
pub(crate) mod eligibility;
pub(crate) mod inline_check;

use std::borrow::Cow;

use avouch_avro::framing::{self, SchemaRef};
use avouch_avro::validator::Reason;
use avouch_protocol::records::{Record, RecordError as WalkError, RecordIter};
use avouch_protocol::section::Section;
use avouch_registry_api::subject::Part;

use crate::check::eligibility::{Judgement, Passed};
use crate::config::effective::{Depth, EffectivePolicy, Mode, Rule};
use crate::config::policy::Framing;
use crate::report::fault::{Fault, FramingFault, Label};
use crate::schemas::schema::Body;

/// The most schemas that keys, and again values, of one batch may name.
pub(crate) const SCHEMAS_MAX: usize = 256;
/// Violations of one batch that are told in words; the rest are only counted.
pub(crate) const TOLD_MAX: usize = 16;
/// The most records of one batch that are listed by index; beyond, the count alone tells of them.
pub const LISTED_MAX: usize = 100_000;

/// One thing for keys, one for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerPart<T> {
    /// For keys.
    pub key: T,
    /// For values.
    pub value: T,
}

/// The decompressed records of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    /// What stands behind the header, decompressed.
    pub section: Section<'a>,
    /// How many records the header counts.
    pub record_count: i32,
}

/// What the ids of a batch came to, each list sorted by id.
pub(crate) type Judgements = PerPart<Vec<(i32, Judgement)>>;

/// A violation told in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which record of the batch, from 0.
    pub index: i32,
    /// Key or value.
    pub part: Part,
    /// Whether it refuses the batch.
    pub mode: Mode,
    /// The stable reason code.
    pub code: &'static str,
    /// What is wrong, and where; at most [`crate::report::fault::MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// The schema id, if it names one.
    pub schema_id: Option<i32>,
    /// The schema, if it belongs to the topic.
    pub schema: Option<Label>,
}

/// How often one kind of violation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Key or value.
    pub part: Part,
    /// Whether it refuses the batch.
    pub mode: Mode,
    /// The stable reason code.
    pub code: &'static str,
    /// How often.
    pub violations: u64,
}

/// What a batch's records came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Records with a violation that refuses the batch.
    pub refused: u64,
    /// The first [`LISTED_MAX`] of them, by index, with the message of the first [`TOLD_MAX`].
    pub listed: Vec<(i32, Option<String>)>,
    /// The first [`TOLD_MAX`] violations of each mode.
    pub told: Vec<Violation>,
    /// All violations.
    pub counts: Vec<Count>,
    /// The one schema id that every checked key and value has named, if it is one and nothing
    /// violates.
    pub only_id: Option<i32>,
}

/// The ids that keys and values name, each list sorted, at most [`SCHEMAS_MAX`] long.
///
/// # Errors
/// When the records don't fill the section.
pub(crate) fn schema_ids(
    batch: Batch<'_>,
    policy: &EffectivePolicy,
) -> Result<PerPart<Vec<i32>>, WalkError> {
    let rules = rules(policy);
    let mut ids = PerPart::<Vec<i32>>::default();
    for record in RecordIter::new(batch.section, batch.record_count) {
        let record = record?;
        for &rule in rules.iter().flatten() {
            let Ok(Some(located)) = locate(rule, &record) else {
                continue;
            };
            let named = ids.part_mut(rule.part);
            if let Err(at) = named.binary_search(&located.id)
                && named.len() < SCHEMAS_MAX
                && located.id > 0
            {
                named.insert(at, located.id);
            }
        }
    }
    Ok(ids)
}

/// Checks every record by what its ids came to.
///
/// # Errors
/// When the records don't fill the section.
pub(crate) fn check_batch(
    batch: Batch<'_>,
    policy: &EffectivePolicy,
    judgements: &Judgements,
) -> Result<Findings, WalkError> {
    let rules = rules(policy);
    let mut findings = Findings::default();
    let mut ids = OnlyId::default();
    for record in RecordIter::new(batch.section, batch.record_count) {
        let record = record?;
        let mut refusal: Option<Option<String>> = None;
        for &rule in rules.iter().flatten() {
            match check_part(
                rule,
                batch.section.memory(),
                &record,
                judgements.part(rule.part),
            ) {
                Ok(Some(id)) => ids.add(id),
                Ok(None) => {}
                Err(wrong) => {
                    let message = findings.add(record.index, rule, &wrong);
                    if rule.mode == Mode::Enforce && refusal.is_none() {
                        refusal = Some(message);
                    }
                }
            }
        }
        if let Some(message) = refusal {
            findings.refuse(record.index, message);
        }
    }
    findings.only_id = ids.one().filter(|_| findings.counts.is_empty());
    Ok(findings)
}

/// What is in force for keys and for values.
pub(crate) fn rules(policy: &EffectivePolicy) -> [Option<Rule<'_>>; 2] {
    [policy.rule(Part::Key), policy.rule(Part::Value)]
}

/// Checks one key or value; returns the id it names, if any. What follows it in the section's
/// memory is the slack that the validator reads into, so that it copies nothing.
fn check_part<'j>(
    rule: Rule<'_>,
    memory: &[u8],
    record: &Record<'j>,
    judgements: &'j [(i32, Judgement)],
) -> Result<Option<i32>, Wrong<'j>> {
    let owned = |fault| Wrong::Fault(Cow::Owned(fault));
    let Some(Located { id, datum }) = locate(rule, record).map_err(owned)? else {
        return Ok(None);
    };
    let Ok(at) = judgements.binary_search_by_key(&id, |(id, _)| *id) else {
        return Err(owned(if id > 0 {
            Fault::TooManySchemas { max: SCHEMAS_MAX }
        } else {
            Fault::UnknownId(id)
        }));
    };
    match &judgements[at].1 {
        Judgement::Fails(fault) => Err(Wrong::Fault(Cow::Borrowed(fault))),
        // The caller refuses the whole batch for these where the rule is enforced.
        Judgement::Unavailable(_) | Judgement::Broken(_) => Ok(Some(id)),
        Judgement::Passes(passed) => match datum_fits(rule, memory, datum, passed) {
            Ok(()) => Ok(Some(id)),
            Err(reason) => Err(Wrong::Datum {
                reason,
                datum,
                passed,
            }),
        },
    }
}

/// Checks a datum, which stands in `memory`, by a schema that passes.
#[inline]
pub(crate) fn datum_fits(
    rule: Rule<'_>,
    memory: &[u8],
    datum: &[u8],
    passed: &Passed,
) -> Result<(), Reason> {
    match (rule.depth, &*passed.schema.body) {
        (Depth::Payload, Body::Avro { validator, .. }) => validator.reason_in(memory, datum),
        // `judge` lets no broken schema pass where data are decoded.
        (Depth::Payload, Body::Foreign { .. } | Body::Broken { .. })
        | (Depth::Id, Body::Avro { .. } | Body::Foreign { .. } | Body::Broken { .. }) => Ok(()),
    }
}

/// What is wrong with a key or value. Of a datum only the reason, until it is told: of many that
/// are wrong few are.
enum Wrong<'a> {
    Fault(Cow<'a, Fault>),
    Datum {
        reason: Reason,
        datum: &'a [u8],
        passed: &'a Passed,
    },
}

impl<'a> Wrong<'a> {
    fn code(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.code(),
            Self::Datum { reason, .. } => reason.code(),
        }
    }

    /// The fault with its place; none if the datum has none, which is never so where a reason was
    /// found.
    fn fault(&self) -> Option<Cow<'a, Fault>> {
        match self {
            Self::Fault(fault) => Some(fault.clone()),
            Self::Datum { datum, passed, .. } => {
                let Body::Avro { validator, .. } = &*passed.schema.body else {
                    return None;
                };
                let fault = validator.validate(datum).err()?;
                let schema = passed.label();
                Some(Cow::Owned(Fault::Datum { schema, fault }))
            }
        }
    }
}

/// A schema id, and the datum that it is for.
pub(crate) struct Located<'a> {
    pub(crate) id: i32,
    pub(crate) datum: &'a [u8],
}

/// The id that a key or value names and the datum behind it; `None` for a null that is allowed.
pub(crate) fn locate<'a>(
    rule: Rule<'_>,
    record: &Record<'a>,
) -> Result<Option<Located<'a>>, Fault> {
    let (payload, header) = match rule.part {
        Part::Key => (record.key, "__key_schema_id"),
        Part::Value => (record.value, "__value_schema_id"),
    };
    let Some(payload) = payload else {
        return if rule.policy.null_allowed {
            Ok(None)
        } else {
            Err(Fault::Null)
        };
    };
    let named = record.headers.filter(|h| h.key == header.as_bytes()).last();
    match (named, rule.policy.framing) {
        (Some(_), Framing::Prefix) => {
            Err(Fault::Framing(FramingFault::HeaderNotAllowed { header }))
        }
        (Some(named), Framing::Header | Framing::Any) => {
            let bad = Fault::Framing(FramingFault::BadHeader { header });
            match named.value.map(framing::split) {
                Some(Ok(framed)) if framed.datum.is_empty() => Ok(Some(Located {
                    id: id(framed.schema)?,
                    datum: payload,
                })),
                Some(_) | None => Err(bad),
            }
        }
        (None, Framing::Header) => Err(Fault::Framing(FramingFault::HeaderMissing { header })),
        (None, Framing::Prefix | Framing::Any) => match framing::split(payload) {
            Ok(framed) => Ok(Some(Located {
                id: id(framed.schema)?,
                datum: framed.datum,
            })),
            Err(framing::FramingFault::NoMagic { .. }) => Err(Fault::NoMagic),
            Err(framing::FramingFault::Short { have, need }) => Err(Fault::Short { have, need }),
        },
    }
}

fn id(schema: SchemaRef) -> Result<i32, Fault> {
    match schema {
        SchemaRef::Id(id) => Ok(id),
        SchemaRef::Guid(_) => Err(Fault::Framing(FramingFault::Guid)),
    }
}

impl<T> PerPart<T> {
    /// That of one part.
    #[must_use]
    pub(crate) fn part(&self, part: Part) -> &T {
        match part {
            Part::Key => &self.key,
            Part::Value => &self.value,
        }
    }

    /// That of one part, to change.
    #[must_use]
    pub(crate) fn part_mut(&mut self, part: Part) -> &mut T {
        match part {
            Part::Key => &mut self.key,
            Part::Value => &mut self.value,
        }
    }
}

impl Findings {
    /// Counts a violation; returns its message if it is among the first of its mode.
    fn add(&mut self, index: i32, rule: Rule<'_>, wrong: &Wrong<'_>) -> Option<String> {
        let Rule { part, mode, .. } = rule;
        let code = wrong.code();
        let told = self
            .told
            .iter()
            .filter(|violation| violation.mode == mode)
            .count();
        let same = |count: &&mut Count| (count.part, count.mode, count.code) == (part, mode, code);
        match self.counts.iter_mut().find(same) {
            Some(count) => count.violations += 1,
            None => self.counts.push(Count {
                part,
                mode,
                code,
                violations: 1,
            }),
        }
        if told >= TOLD_MAX {
            return None;
        }
        let fault = wrong.fault()?;
        let message = fault.message(part);
        self.told.push(Violation {
            index,
            part,
            mode,
            code,
            message: message.clone(),
            schema_id: fault.schema_id(),
            schema: fault.schema().cloned(),
        });
        Some(message)
    }

    fn refuse(&mut self, index: i32, message: Option<String>) {
        self.refused += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push((index, message));
        }
    }
}

/// Whether all ids seen are one.
#[derive(Debug, Default)]
pub(crate) struct OnlyId {
    first: Option<i32>,
    many: bool,
}

impl OnlyId {
    pub(crate) fn add(&mut self, id: i32) {
        self.many |= *self.first.get_or_insert(id) != id;
    }

    /// The id as a tag, 0 when there are none or several.
    pub(crate) fn tag(&self) -> u32 {
        self.one()
            .and_then(|id| u32::try_from(id).ok())
            .unwrap_or(0)
    }

    fn one(&self) -> Option<i32> {
        self.first.filter(|_| !self.many)
    }
}
