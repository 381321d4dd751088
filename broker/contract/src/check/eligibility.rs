//! Eligibility of a schema for a topic: subject, version window and deletion state. Data is not
//! considered.
//!
//! Pure: the result depends on the rule, the topic name and the registered schema only.

use std::borrow::Cow;
use std::sync::Arc;

use avouch_registry_api::source::SubjectVersion;
use avouch_registry_api::types::SchemaId;

use crate::config::effective::{Depth, Rule};
use crate::report::fault::{Fault, Label};
use crate::schemas::lookup::LookupError;
use crate::schemas::schema::{Body, BrokenSchema, CompiledSchema};

/// Eligibility of a schema id.
#[derive(Clone, Debug)]
pub(crate) enum Eligibility {
    /// Data may be written with the schema.
    Eligible(EligibleSchema),
    /// Data must not be written with the schema.
    Ineligible(Fault),
    /// The lookup of the id failed. Retriable.
    Unavailable(LookupError),
    /// The registered schema is invalid, so its data cannot be checked.
    Broken(BrokenSchema),
}

/// A schema with which data may be written.
#[derive(Clone, Debug)]
pub(crate) struct EligibleSchema {
    /// The schema.
    pub schema: Arc<CompiledSchema>,
    /// Index of the newest eligible version, among the schema's.
    version: usize,
}

impl EligibleSchema {
    /// Returns the schema's name in messages.
    #[must_use]
    pub(crate) fn label(&self) -> Label {
        label(self.schema.id, &self.schema.versions[self.version])
    }
}

/// Checks the schema with `id`, `None` if the id is unknown, for keys or values of `topic`.
#[must_use]
pub(crate) fn check_eligibility(
    rule: Rule<'_>,
    topic: &str,
    id: i32,
    schema: Option<&Arc<CompiledSchema>>,
) -> Eligibility {
    let Some(schema) = schema else {
        return Eligibility::Ineligible(Fault::UnknownId(id));
    };
    let wanted = wanted_subjects(rule, topic, &schema.body);
    // At level `id` only the subject matters, which a broken schema has too, unless the strategy
    // needs the name in the schema.
    if let Body::Broken(reason) = &*schema.body
        && (rule.depth == Depth::Payload || wanted.is_none())
    {
        return Eligibility::Broken(reason.clone());
    }
    match eligible_version(rule, schema, &wanted.unwrap_or_default()) {
        Ok(version) => Eligibility::Eligible(EligibleSchema {
            schema: Arc::clone(schema),
            version,
        }),
        Err(fault) => Eligibility::Ineligible(fault),
    }
}

/// Returns the index of the newest eligible version.
fn eligible_version(
    rule: Rule<'_>,
    schema: &CompiledSchema,
    wanted: &[String],
) -> Result<usize, Fault> {
    let policy = rule.policy;
    let newest = |is_eligible: &dyn Fn(&SubjectVersion) -> bool| {
        let versions = schema.versions.iter().enumerate();
        versions
            .filter(|(_, v)| is_eligible(v))
            .max_by_key(|(_, v)| v.version)
            .map(|(at, _)| at)
    };
    let in_subject = |v: &SubjectVersion| wanted.contains(&v.subject);
    let live = |v: &SubjectVersion| in_subject(v) && (policy.deleted_allowed || !v.deleted);
    let in_window = |v: &SubjectVersion| {
        live(v)
            && policy.version_min.is_none_or(|min| v.version >= min)
            && policy.version_max.is_none_or(|max| v.version <= max)
    };
    if let Some(version) = newest(&in_window) {
        return Ok(version);
    }
    // The fault names the condition that the most eligible version violates.
    let label_of = |at: usize| label(schema.id, &schema.versions[at]);
    if let Some(version) = newest(&live) {
        let (min, max) = (policy.version_min, policy.version_max);
        Err(Fault::OutOfWindow {
            schema: label_of(version),
            min,
            max,
        })
    } else if let Some(version) = newest(&in_subject) {
        Err(Fault::Deleted(label_of(version)))
    } else {
        Err(Fault::WrongSubject {
            id: schema.id,
            registered: schema.versions.clone(),
            wanted: wanted.to_vec(),
        })
    }
}

/// Returns the subjects that admit a schema, or `None` if they depend on an unknown record name.
fn wanted_subjects<'r>(rule: Rule<'r>, topic: &str, body: &Body) -> Option<Cow<'r, [String]>> {
    if !rule.policy.subjects.is_empty() {
        return Some(Cow::Borrowed(&rule.policy.subjects));
    }
    let record_name = match body {
        Body::Avro { record_name, .. } => Some(record_name.as_str()),
        // The name of the type, as for other types without a name.
        Body::Bytes => Some("bytes"),
        Body::Foreign { .. } | Body::Broken(_) => None,
    };
    let subject = rule
        .policy
        .strategy
        .subject(topic, rule.part, record_name)?;
    Some(Cow::Owned(vec![subject]))
}

fn label(id: SchemaId, version: &SubjectVersion) -> Label {
    Label {
        subject: version.subject.clone(),
        version: version.version,
        id,
    }
}
