//! Table `versions`: the subject versions and their schema IDs.

use avouch_registry_api::types::{SchemaId, Version};

use crate::decide::content::Content;
use crate::decide::register::VersionRow;
use crate::decide::subject::{Prefix, Subject, Visibility};
use crate::store::connection::{Row, Value};
use crate::store::schemas::content_of;
use crate::store::statements::{
    ALL_SUBJECTS, DELETED_SUBJECTS, ENTRY, EXPORT_ENTRIES, EXPORT_SIZES, HOLDERS, LIST_ENTRIES,
    LIVE_SUBJECTS, NEWEST_ENTRIES, PUT_VERSION, REMOVE_VERSION, SOFT_DELETE_VERSION, VERSIONS,
    VERSIONS_OF_LENGTH,
};
use crate::store::{Connection, Page};

/// A version with its content.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) subject: String,
    pub(crate) row: VersionRow,
    pub(crate) created_at_ms: i64,
    pub(crate) content: Content,
}

/// The position of a version in the order of an export.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) subject: Subject,
    pub(crate) version: Version,
}

/// Returns all versions of a subject, soft-deleted ones included, in ascending order.
pub(crate) async fn rows(
    connection: &mut Connection,
    subject: &Subject,
) -> Result<Vec<VersionRow>, sqlx::Error> {
    let rows = connection.rows(VERSIONS, &key(subject)).await?;
    rows.iter().map(row_of).collect()
}

/// Returns a version with its content.
pub(crate) async fn entry(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<Option<Entry>, sqlx::Error> {
    let [context, name] = key(subject);
    let values = [context, name, version.into()];
    let row = connection.row(ENTRY, &values).await?;
    row.as_ref().map(entry_of).transpose()
}

/// Returns the live versions of a subject with their contents, newest first.
pub(crate) async fn newest(
    connection: &mut Connection,
    subject: &Subject,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let [context, name] = key(subject);
    let values = [context, name, limit.into()];
    let rows = connection.rows(NEWEST_ENTRIES, &values).await?;
    rows.iter().map(entry_of).collect()
}

/// Returns the versions of a subject whose schema has this many characters, newest first.
/// `with_references` adds versions with references of any length.
pub(crate) async fn of_length(
    connection: &mut Connection,
    subject: &Subject,
    chars: i64,
    with_references: bool,
) -> Result<Vec<Entry>, sqlx::Error> {
    let [context, name] = key(subject);
    // The length is no identity; the caller compares the contents.
    let values = [context, name, chars.into(), with_references.into()];
    let rows = connection.rows(VERSIONS_OF_LENGTH, &values).await?;
    rows.iter().map(entry_of).collect()
}

/// Returns versions of all subjects with the prefix, by subject and version.
pub(crate) async fn list(
    connection: &mut Connection,
    prefix: &Prefix,
    with_deleted: bool,
    latest_only: bool,
    page: Page,
) -> Result<Vec<Entry>, sqlx::Error> {
    let values = [
        prefix.context.as_deref().unwrap_or_default().into(),
        (&prefix.plain).into(),
        with_deleted.into(),
        latest_only.into(),
        page.limit.into(),
        page.offset.into(),
    ];
    let rows = connection.rows(LIST_ENTRIES, &values).await?;
    rows.iter().map(entry_of).collect()
}

/// Returns the versions of all contexts after a position, by context, subject and version; without
/// one, from the first.
pub(crate) async fn after(
    connection: &mut Connection,
    position: Option<&Position>,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let values = beyond(position, limit);
    let rows = connection.rows(EXPORT_ENTRIES, &values).await?;
    rows.iter().map(entry_of).collect()
}

/// Returns the number of characters of the same versions' contents.
pub(crate) async fn sizes_after(
    connection: &mut Connection,
    position: Option<&Position>,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let values = beyond(position, limit);
    let rows = connection.rows(EXPORT_SIZES, &values).await?;
    rows.iter().map(|row| row.get("size")).collect()
}

fn beyond(position: Option<&Position>, limit: i64) -> [Value<'_>; 4] {
    match position {
        Some(Position { subject, version }) => {
            let [context, name] = key(subject);
            [context, name, (*version).into(), limit.into()]
        }
        // Less than every version in the order of context, subject and version.
        None => ["".into(), "".into(), Value::Int(0), limit.into()],
    }
}

/// Returns the names of subjects with the prefix and a version that is included, sorted.
pub(crate) async fn subjects(
    connection: &mut Connection,
    prefix: &Prefix,
    visibility: Visibility,
    page: Page,
) -> Result<Vec<String>, sqlx::Error> {
    // A soft-deleted subject has only soft-deleted versions, which a filter of rows cannot express.
    let statement = match visibility {
        Visibility::Live => LIVE_SUBJECTS,
        Visibility::WithDeleted => ALL_SUBJECTS,
        Visibility::DeletedOnly => DELETED_SUBJECTS,
    };
    let values: [Value<'_>; 4] = [
        prefix.context.as_deref().unwrap_or_default().into(),
        (&prefix.plain).into(),
        page.limit.into(),
        page.offset.into(),
    ];
    let rows = connection.rows(statement, &values).await?;
    rows.iter().map(|row| row.get("subject")).collect()
}

/// Returns the versions with an ID and their creation times, by subject and version.
pub(crate) async fn holders(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<Vec<(String, VersionRow, i64)>, sqlx::Error> {
    let values = [context.into(), id.into()];
    let rows = connection.rows(HOLDERS, &values).await?;
    let place = |row: &Row| Ok((row.get("subject")?, row_of(row)?, row.get("created_at_ms")?));
    rows.iter().map(place).collect()
}

/// Stores a version. An import may overwrite one.
pub(crate) async fn put(
    connection: &mut Connection,
    subject: &Subject,
    row: VersionRow,
    created_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let [context, name] = key(subject);
    let values = [
        context,
        name,
        row.version.into(),
        row.id.into(),
        row.deleted.into(),
        created_at_ms.into(),
    ];
    connection.execute(PUT_VERSION, &values).await
}

/// Soft-deletes a version.
pub(crate) async fn soft_delete(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<(), sqlx::Error> {
    let [context, name] = key(subject);
    let values = [context, name, version.into()];
    connection.execute(SOFT_DELETE_VERSION, &values).await
}

/// Deletes a version. Its ID may have no version afterwards.
pub(crate) async fn remove(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<(), sqlx::Error> {
    let [context, name] = key(subject);
    let values = [context, name, version.into()];
    connection.execute(REMOVE_VERSION, &values).await
}

fn key(subject: &Subject) -> [Value<'_>; 2] {
    [(&subject.context).into(), (&subject.name).into()]
}

fn entry_of(row: &Row) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        subject: row.get("subject")?,
        row: row_of(row)?,
        created_at_ms: row.get("created_at_ms")?,
        content: content_of(row)?,
    })
}

fn row_of(row: &Row) -> Result<VersionRow, sqlx::Error> {
    Ok(VersionRow {
        version: row.number("version")?,
        id: row.number("id")?,
        deleted: row.get("deleted")?,
    })
}
