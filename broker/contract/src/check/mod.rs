//! The check of one batch against its topic's contract. Pure; every record is checked.
//!
//! Two passes over the decompressed records: [`schema_ids`] collects the schema ids of keys and
//! values, the caller determines their eligibility, and [`check_batch`] checks every record.
//! Nothing is fetched within a pass, and a record that passes costs no allocation.

pub(crate) mod basis;
pub(crate) mod eligibility;
pub(crate) mod inline_check;

use std::borrow::Cow;

use avouch_avro::framing::{self, SchemaRef};
use avouch_avro::validator::Reason;
use avouch_protocol::records::{Record, RecordError as WalkError, RecordIter};
use avouch_protocol::section::Section;
use avouch_registry_api::subject::RecordPart;

use crate::check::eligibility::{Eligibility, EligibleSchema};
use crate::config::effective::{Depth, EffectivePolicy, Mode, Rule};
use crate::config::policy::Framing;
use crate::report::fault::{Fault, FramingFault, Label};
use crate::schemas::schema::Body;

/// Maximum number of schemas of the keys of one batch, and of the values.
pub(crate) const SCHEMAS_MAX: usize = 256;
/// Maximum number of violations of one batch and mode that are described; the rest are counted.
pub(crate) const DESCRIBED_MAX: usize = 16;
/// Maximum number of rejected records of one batch that are listed by index; the rest are counted.
pub const LISTED_MAX: usize = 100_000;

/// A value for keys and a value for values.
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
    /// The bytes after the header, decompressed.
    pub section: Section<'a>,
    /// Number of records by the header.
    pub record_count: i32,
}

/// The eligibility of the ids of a batch, each list sorted by id.
pub(crate) type Eligibilities = PerPart<Vec<(i32, Eligibility)>>;

/// A described violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Index of the record in the batch, from 0.
    pub index: i32,
    /// Key or value.
    pub part: RecordPart,
    /// The mode of the rule: the batch is rejected or only reported.
    pub mode: Mode,
    /// The stable reason code.
    pub code: &'static str,
    /// The fault and its place; at most [`crate::report::fault::MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// The schema id, if known.
    pub schema_id: Option<i32>,
    /// The schema, if it belongs to a subject of the topic.
    pub schema: Option<Label>,
}

/// Number of violations of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Key or value.
    pub part: RecordPart,
    /// The mode of the rule: the batch is rejected or only reported.
    pub mode: Mode,
    /// The stable reason code.
    pub code: &'static str,
    /// Number of violations.
    pub violations: u64,
}

/// The result of checking a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Number of records that reject the batch.
    pub rejected: u64,
    /// The first [`LISTED_MAX`] of them, by index, with the message of the first
    /// [`DESCRIBED_MAX`].
    pub listed: Vec<(i32, Option<String>)>,
    /// The first [`DESCRIBED_MAX`] violations of each mode.
    pub described: Vec<Violation>,
    /// All violations.
    pub counts: Vec<Count>,
    /// The schema id of every checked key and value, if it is only one and nothing violates.
    pub only_id: Option<i32>,
}

/// Returns the schema ids of keys and of values, each list sorted, at most [`SCHEMAS_MAX`] long.
///
/// # Errors
/// If the records do not fill the section.
pub(crate) fn schema_ids(
    batch: Batch<'_>,
    policy: &EffectivePolicy,
) -> Result<PerPart<Vec<i32>>, WalkError> {
    let rules = rules(policy);
    let mut ids = PerPart::<Vec<i32>>::default();
    for record in RecordIter::new(batch.section, batch.record_count) {
        let record = record?;
        for &rule in rules.iter().flatten() {
            // The second pass reports records without an id.
            let Ok(Some(located)) = locate(rule, &record) else {
                continue;
            };
            let named = ids.part_mut(rule.part);
            // Ids below 1 never exist and need no lookup.
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

/// Checks every record with the eligibility of its schemas.
///
/// # Errors
/// If the records do not fill the section.
pub(crate) fn check_batch(
    batch: Batch<'_>,
    policy: &EffectivePolicy,
    eligibilities: &Eligibilities,
) -> Result<Findings, WalkError> {
    let rules = rules(policy);
    let mut findings = Findings::default();
    let mut ids = OnlyId::default();
    for record in RecordIter::new(batch.section, batch.record_count) {
        let record = record?;
        let mut rejection: Option<Option<String>> = None;
        for &rule in rules.iter().flatten() {
            match check_part(
                rule,
                batch.section.memory(),
                &record,
                eligibilities.part(rule.part),
            ) {
                Ok(Some(id)) => ids.add(id),
                Ok(None) => {}
                Err(wrong) => {
                    let message = findings.add(&record, rule, &wrong);
                    // A record is listed once, with its first fault.
                    if rule.mode == Mode::Enforce && rejection.is_none() {
                        rejection = Some(message);
                    }
                }
            }
        }
        if let Some(message) = rejection {
            findings.reject(record.index, message);
        }
    }
    findings.only_id = ids.one().filter(|_| findings.counts.is_empty());
    Ok(findings)
}

/// Returns the active rules for keys and values.
pub(crate) fn rules(policy: &EffectivePolicy) -> [Option<Rule<'_>>; 2] {
    [policy.rule(RecordPart::Key), policy.rule(RecordPart::Value)]
}

/// Checks one key or value and returns its schema id, if any. `memory` contains the record and the
/// padding that the validator reads beyond it, so nothing is copied.
fn check_part<'j>(
    rule: Rule<'_>,
    memory: &[u8],
    record: &Record<'j>,
    eligibilities: &'j [(i32, Eligibility)],
) -> Result<Option<i32>, Wrong<'j>> {
    let owned = |fault| Wrong::Fault(Cow::Owned(fault));
    let Some(Located { id, datum }) = locate(rule, record).map_err(owned)? else {
        return Ok(None);
    };
    let Ok(at) = eligibilities.binary_search_by_key(&id, |(id, _)| *id) else {
        // The first pass collects positive ids, until there are too many.
        return Err(owned(if id > 0 {
            Fault::TooManySchemas { max: SCHEMAS_MAX }
        } else {
            Fault::UnknownId(id)
        }));
    };
    match &eligibilities[at].1 {
        Eligibility::Ineligible(fault) => Err(Wrong::Fault(Cow::Borrowed(fault))),
        // The caller rejects the whole batch for these where the rule is enforced.
        Eligibility::Unavailable(_) | Eligibility::Broken(_) => Ok(Some(id)),
        Eligibility::Eligible(schema) => match check_datum(rule, memory, datum, schema) {
            Ok(()) => Ok(Some(id)),
            Err(reason) => Err(Wrong::Datum {
                reason,
                datum,
                schema,
            }),
        },
    }
}

/// Checks a datum, which is within `memory`, with an eligible schema.
#[inline]
pub(crate) fn check_datum(
    rule: Rule<'_>,
    memory: &[u8],
    datum: &[u8],
    eligible: &EligibleSchema,
) -> Result<(), Reason> {
    match (rule.depth, &*eligible.schema.body) {
        (Depth::Payload, Body::Avro { validator, .. }) => {
            validator.reason_in(rule.policy.budget, memory, datum)
        }
        // A broken schema is never eligible where data is decoded.
        (Depth::Payload, Body::Bytes | Body::Foreign { .. } | Body::Broken(_))
        | (Depth::Id, Body::Avro { .. } | Body::Bytes | Body::Foreign { .. } | Body::Broken(_)) => {
            Ok(())
        }
    }
}

/// A violation before it is described. For a datum it has the reason only: of many violations of a
/// batch few are described, and locating a fault decodes the datum again.
enum Wrong<'a> {
    Fault(Cow<'a, Fault>),
    Datum {
        reason: Reason,
        datum: &'a [u8],
        schema: &'a EligibleSchema,
    },
}

impl<'a> Wrong<'a> {
    fn code(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.code(),
            Self::Datum { reason, .. } => reason.code(),
        }
    }

    /// Returns the fault with its place. `None` would mean that the two interpreters disagree.
    fn fault(&self, rule: Rule<'_>) -> Option<Cow<'a, Fault>> {
        match self {
            Self::Fault(fault) => Some(fault.clone()),
            Self::Datum { datum, schema, .. } => {
                let Body::Avro { validator, .. } = &*schema.schema.body else {
                    return None;
                };
                let fault = validator.fault_of(rule.policy.budget, datum).err()?;
                let schema = schema.label();
                Some(Cow::Owned(Fault::Datum { schema, fault }))
            }
        }
    }
}

/// A schema id and the datum that has this schema.
pub(crate) struct Located<'a> {
    pub(crate) id: i32,
    pub(crate) datum: &'a [u8],
}

/// Returns the schema id and the datum of a key or value; `None` for an allowed null.
pub(crate) fn locate<'a>(
    rule: Rule<'_>,
    record: &Record<'a>,
) -> Result<Option<Located<'a>>, Fault> {
    let (payload, header) = match rule.part {
        RecordPart::Key => (record.key, "__key_schema_id"),
        RecordPart::Value => (record.value, "__value_schema_id"),
    };
    let Some(payload) = payload else {
        return if rule.policy.null_allowed {
            Ok(None)
        } else {
            Err(Fault::Null)
        };
    };
    // The precedence of Confluent's deserializers: the last header, then the prefix. Any other
    // would check a record with one schema and let consumers read it with another.
    let named = record.headers.filter(|h| h.key == header.as_bytes()).last();
    match (named, rule.policy.framing) {
        (Some(_), Framing::Prefix) => {
            Err(Fault::Framing(FramingFault::HeaderNotAllowed { header }))
        }
        (Some(named), Framing::Header | Framing::Any) => {
            let bad = Fault::Framing(FramingFault::BadHeader { header });
            match named.value.map(framing::split) {
                // A header has only the prefix; the whole payload is the datum.
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
    /// Returns the value for keys or for values.
    #[must_use]
    pub(crate) fn part(&self, part: RecordPart) -> &T {
        match part {
            RecordPart::Key => &self.key,
            RecordPart::Value => &self.value,
        }
    }

    /// Returns a mutable reference to the value for keys or for values.
    #[must_use]
    pub(crate) fn part_mut(&mut self, part: RecordPart) -> &mut T {
        match part {
            RecordPart::Key => &mut self.key,
            RecordPart::Value => &mut self.value,
        }
    }
}

impl Findings {
    /// Counts a violation and returns its message if it is among the first of its mode.
    fn add(&mut self, record: &Record<'_>, rule: Rule<'_>, wrong: &Wrong<'_>) -> Option<String> {
        let Rule { part, mode, .. } = rule;
        let code = wrong.code();
        let described = self
            .described
            .iter()
            .filter(|violation| violation.mode == mode)
            .count();
        let same = |count: &&mut Count| (count.part, count.mode, count.code) == (part, mode, code);
        // At most two parts, two modes and twenty codes, so a linear search is fast.
        match self.counts.iter_mut().find(same) {
            Some(count) => count.violations += 1,
            None => self.counts.push(Count {
                part,
                mode,
                code,
                violations: 1,
            }),
        }
        // Before the fault is located, which decodes the datum again.
        if described >= DESCRIBED_MAX {
            return None;
        }
        let fault = wrong.fault(rule)?;
        let message = fault.message(part, hint(record));
        self.described.push(Violation {
            index: record.index,
            part,
            mode,
            code,
            message: message.clone(),
            schema_id: fault.schema_id(),
            schema: fault.schema().cloned(),
        });
        Some(message)
    }

    fn reject(&mut self, index: i32, message: Option<String>) {
        self.rejected += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push((index, message));
        }
    }
}

/// Returns the settings to change if serializers of Apicurio Registry wrote the record: by default
/// they write the datum without a prefix, and the id in a header of their own.
fn hint(record: &Record<'_>) -> &'static str {
    const APICURIO: &str = "; Apicurio serdes need apicurio.registry.headers.enabled=false, \
                            as-confluent=true, use-id=contentId";
    let mut headers = record.headers;
    let is_apicurio = headers.any(|header| header.key.starts_with(b"apicurio."));
    if is_apicurio { APICURIO } else { "" }
}

/// Detects whether all records have the same schema id.
#[derive(Debug, Default)]
pub(crate) struct OnlyId {
    first: Option<i32>,
    many: bool,
}

impl OnlyId {
    pub(crate) fn add(&mut self, id: i32) {
        // Without a branch, because this runs for every record.
        self.many |= *self.first.get_or_insert(id) != id;
    }

    /// Returns the id as a tag, 0 if there are none or several.
    pub(crate) fn tag(&self) -> u32 {
        self.one()
            .and_then(|id| u32::try_from(id).ok())
            .unwrap_or(0)
    }

    fn one(&self) -> Option<i32> {
        self.first.filter(|_| !self.many)
    }
}
