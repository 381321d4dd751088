//! Table `edges`: the references from schema IDs to subject versions. Subjects are stored by their
//! qualified names, so references can cross contexts.

use std::collections::BTreeSet;

use avouch_registry_api::rest::SchemaReference;
use avouch_registry_api::types::{SchemaId, Version};
use thiserror::Error;

use crate::decide::subject::Subject;
use crate::store::statements::{
    COUNT_OTHER_REFERRERS, INSERT_EDGE, REFERRERS, REMOVE_UNUSED_EDGES,
};
use crate::store::{Connection, versions};

/// Maximum number of schemas that one schema references, transitively.
const MAX_DEPENDENCIES: usize = 1_000;
/// Maximum depth of references.
const MAX_DEPTH: usize = 16;
/// Maximum total size of the referenced schemas, in bytes.
const MAX_DEPENDENCY_BYTES: usize = 4 << 20;

/// The reason why references cannot be resolved.
#[derive(Debug, Error)]
pub(crate) enum ReferenceError {
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

/// Returns the referenced schemas, transitively, dependencies first, each once. Soft-deleted
/// versions are included, because the schemas that reference them must stay readable. A subject
/// without a context is in the context of the schema that references it, which is `context` for the
/// first ones. If a name leads to two versions, the first one is used, as in Confluent's registry.
pub(crate) async fn dependencies(
    connection: &mut Connection,
    context: &str,
    references: &[SchemaReference],
) -> Result<Vec<String>, ReferenceError> {
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
    // Reversed, because the last pushed one is read first.
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
        let SchemaReference { name, version, .. } = reference;
        // This also ends a cycle, which imports can create.
        if !names.insert(name) || !seen.insert((subject.name.clone(), version)) {
            continue;
        }
        if depth > MAX_DEPTH {
            return Err(ReferenceError::TooDeep);
        }
        if seen.len() > MAX_DEPENDENCIES {
            return Err(ReferenceError::TooMany);
        }
        let entry = versions::entry(&mut *connection, &subject, version).await?;
        let missing = ReferenceError::Missing {
            subject: subject.name,
            version: version.get(),
        };
        let content = entry.ok_or(missing)?.content;
        // Counted while reading: each version may be small and their sum large.
        bytes = bytes.saturating_add(content.text.len());
        if bytes > MAX_DEPENDENCY_BYTES {
            return Err(ReferenceError::TooLarge);
        }
        // Below its own references on the stack, so that they come first in the result.
        stack.push(Step::Emit(content.text));
        let next = content.references.into_iter().rev();
        stack.extend(next.map(|reference| read(&subject.context, reference, depth + 1)));
    }
    Ok(texts)
}

/// Stores the references of a new ID.
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

/// Deletes the references of an ID unless a version has it.
pub(crate) async fn remove_unused(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<(), sqlx::Error> {
    let values = [context.into(), id.into()];
    connection.execute(REMOVE_UNUSED_EDGES, &values).await
}

/// Returns the IDs of schemas that reference a subject version, in ascending order. Unless
/// `with_deleted` is set, only IDs with a live version are included.
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

/// Returns true if a live version of another subject references the version.
pub(crate) async fn is_referenced_elsewhere(
    connection: &mut Connection,
    subject: &str,
    version: Version,
) -> Result<bool, sqlx::Error> {
    let values = [subject.into(), version.into()];
    let row = connection.row(COUNT_OTHER_REFERRERS, &values).await?;
    let count: i64 = row.ok_or(sqlx::Error::RowNotFound)?.get("value")?;
    Ok(count > 0)
}
