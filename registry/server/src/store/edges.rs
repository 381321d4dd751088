//! Table `edges`: which schema refers to which subject version, by the name that clients see, so
//! that references lead from one context to another.

use std::collections::BTreeSet;

use avouch_registry_api::rest::SchemaReference;
use avouch_registry_api::types::{SchemaId, Version};
use thiserror::Error;

use crate::decide::subject::Subject;
use crate::store::statements::{
    COUNT_OTHER_REFERRERS, INSERT_EDGE, REFERRERS, REMOVE_UNUSED_EDGES,
};
use crate::store::{Connection, versions};

/// Schemas that one schema may need, transitively.
const MAX_DEPENDENCIES: usize = 1_000;
/// References of references of ... that one schema may need.
const MAX_DEPTH: usize = 16;
/// Their texts together.
const MAX_DEPENDENCY_BYTES: usize = 4 << 20;

/// Why references could not be followed.
#[derive(Debug, Error)]
pub(crate) enum FollowError {
    #[error("No schema reference found for subject \"{subject}\" and version {version}")]
    Missing { subject: String, version: i32 },
    #[error("references lead to more than {MAX_DEPENDENCIES} schemas")]
    TooMany,
    #[error("references nest more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("references lead to more than {MAX_DEPENDENCY_BYTES} bytes of schemas")]
    TooLarge,
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// The texts that the references need, transitively, dependencies first, each once. Soft-deleted
/// versions still count: what was registered over them must stay readable. A name without a context
/// belongs to that of the schema that refers to it; the first ones' is `context`. A name that leads
/// to two versions stands for the one that is come to first, as Confluent has it.
pub(crate) async fn dependencies(
    connection: &mut Connection,
    context: &str,
    references: &[SchemaReference],
) -> Result<Vec<String>, FollowError> {
    enum Step {
        Read(Subject, SchemaReference, usize),
        Emit(String),
    }
    let mut texts = Vec::new();
    let mut bytes = 0_usize;
    let (mut names, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let read = |context: &str, reference: SchemaReference, depth: usize| {
        Step::Read(
            Subject::within(context, &reference.subject),
            reference,
            depth,
        )
    };
    let first = references.iter().rev().cloned();
    let mut stack: Vec<Step> = first.map(|reference| read(context, reference, 1)).collect();
    while let Some(step) = stack.pop() {
        let (subject, reference, depth) = match step {
            Step::Emit(text) => {
                texts.push(text);
                continue;
            }
            Step::Read(subject, reference, depth) => (subject, reference, depth),
        };
        let SchemaReference {
            name: known_as,
            version,
            ..
        } = reference;
        if !names.insert(known_as) || !seen.insert((subject.name.clone(), version)) {
            continue;
        }
        if depth > MAX_DEPTH {
            return Err(FollowError::TooDeep);
        }
        if seen.len() > MAX_DEPENDENCIES {
            return Err(FollowError::TooMany);
        }
        let entry = versions::entry(&mut *connection, &subject, version).await?;
        let missing = FollowError::Missing {
            subject: subject.name,
            version: version.get(),
        };
        let content = entry.ok_or(missing)?.content;
        bytes = bytes.saturating_add(content.text.len());
        if bytes > MAX_DEPENDENCY_BYTES {
            return Err(FollowError::TooLarge);
        }
        stack.push(Step::Emit(content.text));
        let next = content.references.into_iter().rev();
        stack.extend(next.map(|reference| read(&subject.context, reference, depth + 1)));
    }
    Ok(texts)
}

/// Notes what a new id refers to.
pub(crate) async fn insert(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
    references: &[SchemaReference],
) -> Result<(), sqlx::Error> {
    for reference in references {
        let target = Subject::within(context, &reference.subject);
        let values = [
            context.into(),
            id.into(),
            (&target.name).into(),
            reference.version.into(),
        ];
        connection.execute(INSERT_EDGE, &values).await?;
    }
    Ok(())
}

/// Releases what an id refers to, if no version holds the id any more.
pub(crate) async fn remove_unused(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<(), sqlx::Error> {
    let values = [context.into(), id.into()];
    connection.execute(REMOVE_UNUSED_EDGES, &values).await
}

/// Ids of the schemas that refer to a subject version, ascending. Unless `with_deleted`, an id
/// counts only while a version that is not soft-deleted holds it.
pub(crate) async fn referrers(
    connection: &mut Connection,
    subject: &str,
    version: Version,
    with_deleted: bool,
) -> Result<Vec<SchemaId>, sqlx::Error> {
    let values = [subject.into(), version.into(), with_deleted.into()];
    let rows = connection.rows(REFERRERS, &values).await?;
    rows.iter().map(|row| row.number("id")).collect()
}

/// Whether a subject other than `subject` itself holds a schema that refers to one of its versions.
pub(crate) async fn referred_to_from_elsewhere(
    connection: &mut Connection,
    subject: &str,
    version: Version,
    with_deleted: bool,
) -> Result<bool, sqlx::Error> {
    let values = [subject.into(), version.into(), with_deleted.into()];
    let row = connection.row(COUNT_OTHER_REFERRERS, &values).await?;
    let count: i64 = row.ok_or(sqlx::Error::RowNotFound)?.get("value")?;
    Ok(count > 0)
}
