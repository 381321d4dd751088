//! What a schema comes to under a topic's contract, before any datum is looked at: does it belong
//! to the subject, is its version within the window, does it live.
//!
//! Pure: a judgement follows from rule, topic name and what the registry said, nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use avouch_registry_api::source::SubjectVersion;
use avouch_registry_api::types::SchemaId;

use crate::config::effective::{Depth, Rule};
use crate::report::fault::{Fault, Label};
use crate::schemas::schema::{Body, CompiledSchema};

/// What the registry said of an id.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The schema.
    Known(Arc<CompiledSchema>),
    /// No subject ever registered it.
    Unknown,
}

/// What a schema comes to.
#[derive(Clone, Debug)]
pub(crate) enum Judgement {
    /// Data may be written by it.
    Passes(Passed),
    /// Data may not be written by it.
    Fails(Fault),
    /// It cannot be told: the registry doesn't answer.
    Unavailable(String),
    /// It can never be told: the validator has none for this schema.
    Broken(String),
}

/// A schema by which data may be written.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// The schema.
    pub schema: Arc<CompiledSchema>,
    /// Index of the version, among the schema's, that lets it pass.
    version: usize,
}

impl Passed {
    /// The schema's name in messages.
    #[must_use]
    pub(crate) fn label(&self) -> Label {
        label(self.schema.id, &self.schema.versions[self.version])
    }
}

/// Judges the schema with `id` for keys or values of `topic`.
#[must_use]
pub(crate) fn check_eligibility(
    rule: Rule<'_>,
    topic: &str,
    id: i32,
    answer: &Answer,
) -> Judgement {
    let schema = match answer {
        Answer::Known(schema) => schema,
        Answer::Unknown => return Judgement::Fails(Fault::UnknownId(id)),
    };
    let wanted = wanted_subjects(rule, topic, &schema.body);
    if let Body::Broken { reason } = &*schema.body
        && (rule.depth == Depth::Payload || wanted.is_none())
    {
        return Judgement::Broken(format!("schema id {id} doesn't compile: {reason}"));
    }
    match admit(rule, schema, &wanted.unwrap_or_default()) {
        Ok(version) => Judgement::Passes(Passed {
            schema: Arc::clone(schema),
            version,
        }),
        Err(fault) => Judgement::Fails(fault),
    }
}

/// The newest version that passes, as its index.
fn admit(rule: Rule<'_>, schema: &CompiledSchema, wanted: &[String]) -> Result<usize, Fault> {
    let policy = rule.policy;
    let newest = |passes: &dyn Fn(&SubjectVersion) -> bool| {
        let versions = schema.versions.iter().enumerate();
        versions
            .filter(|(_, v)| passes(v))
            .max_by_key(|(_, v)| v.version)
            .map(|(at, _)| at)
    };
    let within = |v: &SubjectVersion| wanted.contains(&v.subject);
    let living = |v: &SubjectVersion| within(v) && (policy.deleted_allowed || !v.deleted);
    let in_window = |v: &SubjectVersion| {
        living(v)
            && policy.version_min.is_none_or(|min| v.version >= min)
            && policy.version_max.is_none_or(|max| v.version <= max)
    };
    if let Some(version) = newest(&in_window) {
        return Ok(version);
    }
    let label_of = |at: usize| label(schema.id, &schema.versions[at]);
    if let Some(version) = newest(&living) {
        let (min, max) = (policy.version_min, policy.version_max);
        Err(Fault::OutOfWindow {
            schema: label_of(version),
            min,
            max,
        })
    } else if let Some(version) = newest(&within) {
        Err(Fault::Deleted(label_of(version)))
    } else {
        Err(Fault::WrongSubject {
            id: schema.id,
            registered: schema.versions.clone(),
            wanted: wanted.to_vec(),
        })
    }
}

/// The subjects that admit a schema, `None` when its name is not known.
fn wanted_subjects<'r>(rule: Rule<'r>, topic: &str, body: &Body) -> Option<Cow<'r, [String]>> {
    if !rule.policy.subjects.is_empty() {
        return Some(Cow::Borrowed(&rule.policy.subjects));
    }
    let record_name = match body {
        Body::Avro { record_name, .. } => Some(record_name.as_str()),
        Body::Foreign { .. } | Body::Broken { .. } => None,
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
