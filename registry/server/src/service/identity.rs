//! Equivalence of schemas whose contents differ, and the version closest to a schema.

use avouch_registry_api::rest::ClosestBody;

use crate::decide::closest::{distance, same_meaning};
use crate::decide::content::Resolved;
use crate::decide::metadata::equal_but_for_version;
use crate::decide::register::VersionRow;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::service::check::resolve;
use crate::service::{Prepared, compute};
use crate::store::Connection;
use crate::store::versions::{self, Entry};

/// Maximum number of versions that are compared, newest first, to find the closest one. More make
/// every failed lookup slower.
const MAX_COMPARED: i64 = 20;

/// Returns the newest version among `rows` that is equivalent to the schema: it may have another
/// order of aliases or properties, inlined references, or a version in the metadata of one of the
/// two.
pub(super) async fn equivalent_version(
    connection: &mut Connection,
    subject: &Subject,
    prepared: &Prepared,
    rows: &[VersionRow],
    with_deleted: bool,
) -> Result<Option<VersionRow>, RegistryError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let content = &prepared.resolved.content;
    // Reordering keeps the length of the text. SQL counts characters, and so does this.
    let chars = i64::try_from(content.text.chars().count()).unwrap_or(i64::MAX);
    // A schema with references may equal a longer one that contains the referenced types.
    let inlined = content.references.is_empty();
    let candidates = versions::of_length(connection, subject, chars, inlined).await?;
    for entry in candidates {
        let old = &entry.content;
        let metadata = (content.metadata.as_ref(), old.metadata.as_ref());
        let candidate = rows.contains(&entry.row)
            && (with_deleted || !entry.row.deleted)
            && old.rule_set == content.rule_set
            && equal_but_for_version(metadata.0, metadata.1, entry.row.version);
        if candidate && is_same(connection, subject, prepared, &entry).await? {
            return Ok(Some(entry.row));
        }
    }
    Ok(None)
}

async fn is_same(
    connection: &mut Connection,
    subject: &Subject,
    prepared: &Prepared,
    entry: &Entry,
) -> Result<bool, RegistryError> {
    let Some(old) = with_references(connection, subject, entry.clone()).await? else {
        return Ok(false);
    };
    let new = prepared.resolved.content.clone();
    let parsed = prepared.parsed.clone();
    let text_bytes = prepared.resolved.text_bytes() + old.text_bytes();
    compute(text_bytes, move || same_meaning(&new, &parsed, &old)).await
}

/// Returns a version with its references resolved, or `None` if one does not exist.
async fn with_references(
    connection: &mut Connection,
    subject: &Subject,
    entry: Entry,
) -> Result<Option<Resolved>, RegistryError> {
    match resolve(connection, subject, entry).await {
        Ok(earlier) => Ok(Some(earlier.resolved)),
        Err(RegistryError::InvalidSchema(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the version with the fewest differences from the schema.
pub(super) async fn closest(
    connection: &mut Connection,
    subject: &Subject,
    prepared: &Prepared,
    with_deleted: bool,
) -> Result<Option<Box<ClosestBody>>, RegistryError> {
    let mut entries = versions::newest(connection, subject, MAX_COMPARED).await?;
    // All versions are soft-deleted; the newest one is the best that can be compared.
    if entries.is_empty() && with_deleted {
        let rows = versions::rows(connection, subject).await?;
        if let Some(row) = rows.last() {
            entries.extend(versions::entry(connection, subject, row.version).await?);
        }
    }
    let mut closest: Option<ClosestBody> = None;
    for entry in entries {
        let row = entry.row;
        let Some(old) = with_references(connection, subject, entry).await? else {
            continue;
        };
        let new = prepared.resolved.content.clone();
        let parsed = prepared.parsed.clone();
        let text_bytes = prepared.resolved.text_bytes() + old.text_bytes();
        let differences = compute(text_bytes, move || distance(&new, &parsed, &old)).await?;
        let best = closest.as_ref().map(|best| best.differences.len());
        // Strictly fewer, so that the newest of several equally close versions is returned.
        if best.is_none_or(|best| differences.len() < best) {
            closest = Some(ClosestBody {
                subject: subject.name.clone(),
                version: row.version,
                id: row.id,
                differences,
            });
        }
    }
    Ok(closest.map(Box::new))
}
