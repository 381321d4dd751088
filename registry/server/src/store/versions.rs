//! Table `versions`: where each id is registered.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::decide::content::Content;
use crate::decide::register::VersionRow;
use crate::decide::subject::Visibility;
use crate::store::schemas::{CONTENT_COLUMNS, content_of};
use crate::store::{Connection, Page};

/// A version with everything about it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) subject: String,
    pub(crate) row: VersionRow,
    pub(crate) created_at_ms: i64,
    pub(crate) content: Content,
}

/// All versions of a subject, ascending, soft-deleted ones included.
pub(crate) async fn rows(
    connection: &mut Connection,
    context: &str,
    subject: &str,
) -> Result<Vec<VersionRow>, sqlx::Error> {
    let statement = "SELECT version, id, deleted FROM versions \
         WHERE context = $1 AND subject = $2 ORDER BY version";
    let rows = sqlx::query(statement)
        .bind(context)
        .bind(subject)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_of).collect()
}

/// One version with its content.
pub(crate) async fn entry(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    version: i32,
) -> Result<Option<Entry>, sqlx::Error> {
    let statement = format!(
        "{} WHERE v.context = $1 AND v.subject = $2 AND v.version = $3",
        select_entries()
    );
    let query = sqlx::query(&statement)
        .bind(context)
        .bind(subject)
        .bind(version);
    query
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(entry_of)
        .transpose()
}

/// A subject's live versions with their contents, newest first.
pub(crate) async fn newest(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let statement = format!(
        "{} WHERE v.context = $1 AND v.subject = $2 AND NOT v.deleted \
         ORDER BY v.version DESC LIMIT $3",
        select_entries()
    );
    let query = sqlx::query(&statement)
        .bind(context)
        .bind(subject)
        .bind(limit);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(entry_of)
        .collect()
}

/// Versions of a subject whose text has as many characters, newest first; `with_references` adds
/// those that refer to others, whatever their length.
pub(crate) async fn lookalikes(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    chars: i64,
    with_references: bool,
) -> Result<Vec<Entry>, sqlx::Error> {
    let statement = format!(
        "{} WHERE v.context = $1 AND v.subject = $2 \
         AND (length(s.text) = $3 OR ($4 AND s.refs <> '[]')) ORDER BY v.version DESC",
        select_entries()
    );
    let query = sqlx::query(&statement)
        .bind(context)
        .bind(subject)
        .bind(chars)
        .bind(with_references);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(entry_of)
        .collect()
}

/// Versions of all subjects that start with `prefix`, by subject and version.
pub(crate) async fn list(
    connection: &mut Connection,
    context: &str,
    prefix: &str,
    with_deleted: bool,
    latest_only: bool,
    page: Page,
) -> Result<Vec<Entry>, sqlx::Error> {
    let statement = format!(
        "{} WHERE v.context = $1 AND substr(v.subject, 1, length($2)) = $2 \
         AND ($3 OR NOT v.deleted) AND (NOT $4 OR v.version = (\
         SELECT MAX(w.version) FROM versions w WHERE w.context = v.context \
         AND w.subject = v.subject AND ($3 OR NOT w.deleted))) \
         ORDER BY v.subject, v.version LIMIT $5 OFFSET $6",
        select_entries()
    );
    let query = sqlx::query(&statement)
        .bind(context)
        .bind(prefix)
        .bind(with_deleted)
        .bind(latest_only)
        .bind(page.limit)
        .bind(page.offset);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(entry_of)
        .collect()
}

/// Names of the subjects that start with `prefix` and have a version to show, sorted.
pub(crate) async fn subjects(
    connection: &mut Connection,
    context: &str,
    prefix: &str,
    visibility: Visibility,
    page: Page,
) -> Result<Vec<String>, sqlx::Error> {
    // "Deleted only" means subjects without any live version.
    let having = match visibility {
        Visibility::Live => "HAVING MIN(CASE WHEN deleted THEN 1 ELSE 0 END) = 0",
        Visibility::WithDeleted => "",
        Visibility::DeletedOnly => "HAVING MIN(CASE WHEN deleted THEN 1 ELSE 0 END) = 1",
    };
    let statement = format!(
        "SELECT subject FROM versions \
         WHERE context = $1 AND substr(subject, 1, length($2)) = $2 \
         GROUP BY subject {having} ORDER BY subject LIMIT $3 OFFSET $4"
    );
    sqlx::query_scalar(&statement)
        .bind(context)
        .bind(prefix)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(connection)
        .await
}

/// Every place where an id is registered, by subject and version.
pub(crate) async fn holders(
    connection: &mut Connection,
    context: &str,
    id: i32,
) -> Result<Vec<(String, VersionRow, i64)>, sqlx::Error> {
    let statement = "SELECT subject, version, id, deleted, created_at_ms FROM versions \
         WHERE context = $1 AND id = $2 ORDER BY subject, version";
    let rows = sqlx::query(statement)
        .bind(context)
        .bind(id)
        .fetch_all(connection)
        .await?;
    let place = |row: &SqliteRow| {
        Ok((
            row.try_get("subject")?,
            row_of(row)?,
            row.try_get("created_at_ms")?,
        ))
    };
    rows.iter().map(place).collect()
}

/// Stores a version; an import may overwrite one.
pub(crate) async fn put(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    row: VersionRow,
    created_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO versions \
         (context, subject, version, id, deleted, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (context, subject, version) DO UPDATE SET \
         id = excluded.id, deleted = excluded.deleted, created_at_ms = excluded.created_at_ms";
    sqlx::query(statement)
        .bind(context)
        .bind(subject)
        .bind(row.version)
        .bind(row.id)
        .bind(row.deleted)
        .bind(created_at_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// Hides a version.
pub(crate) async fn soft_delete(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    version: i32,
) -> Result<(), sqlx::Error> {
    let statement = "UPDATE versions SET deleted = TRUE \
         WHERE context = $1 AND subject = $2 AND version = $3";
    sqlx::query(statement)
        .bind(context)
        .bind(subject)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a version; its id may be left without any.
pub(crate) async fn remove(
    connection: &mut Connection,
    context: &str,
    subject: &str,
    version: i32,
) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM versions WHERE context = $1 AND subject = $2 AND version = $3";
    sqlx::query(statement)
        .bind(context)
        .bind(subject)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

fn select_entries() -> String {
    format!(
        "SELECT v.subject, v.version, v.id, v.deleted, v.created_at_ms, {CONTENT_COLUMNS} \
         FROM versions v JOIN schemas s ON s.context = v.context AND s.id = v.id"
    )
}

fn entry_of(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        subject: row.try_get("subject")?,
        row: row_of(row)?,
        created_at_ms: row.try_get("created_at_ms")?,
        content: content_of(row)?,
    })
}

fn row_of(row: &SqliteRow) -> Result<VersionRow, sqlx::Error> {
    Ok(VersionRow {
        version: row.try_get("version")?,
        id: row.try_get("id")?,
        deleted: row.try_get("deleted")?,
    })
}
