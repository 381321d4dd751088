//! Table `counters`: counters that survive deletions. All IDs are assigned from here, so none is
//! ever assigned twice.

use avouch_registry_api::types::SchemaId;

use crate::store::Connection;
use crate::store::connection::{AssignedIds, Row};
use crate::store::statements::{
    ALL_CONTEXTS, CONTEXTS, HIGHEST_IDS, INCREMENT_COUNTER, RAISE_COUNTER, READ_COUNTER,
};

pub(super) const CHANGES: &str = "changes";

/// Assigns the next ID of a context.
pub(crate) async fn next_id(
    connection: &mut Connection,
    context: &str,
) -> Result<SchemaId, sqlx::Error> {
    let id = increment(connection, &ids(context)).await?;
    connection.assigned(context, id);
    // The wire format has 32 bits for an ID.
    let id = i32::try_from(id).ok().and_then(SchemaId::new);
    id.ok_or_else(|| sqlx::Error::Protocol("schema IDs are exhausted".to_owned()))
}

/// Excludes all IDs up to an imported one from assignment.
pub(crate) async fn raise_ids(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<(), sqlx::Error> {
    let name = ids(context);
    let id = i64::from(id.get());
    connection.assigned(context, id);
    let values = [(&name).into(), id.into()];
    // The statement keeps a counter that is higher already.
    connection.execute(RAISE_COUNTER, &values).await
}

/// Returns the highest ID ever assigned in a context; 0 before the first.
pub(crate) async fn highest_id(
    connection: &mut Connection,
    context: &str,
) -> Result<SchemaId, sqlx::Error> {
    let id = current(connection, &ids(context)).await?;
    let id = SchemaId::new(i32::try_from(id).unwrap_or(i32::MAX));
    id.ok_or_else(|| sqlx::Error::Protocol("the ID counter is negative".to_owned()))
}

/// Returns the highest ID that each context has assigned.
pub(super) async fn highest_ids(connection: &mut Connection) -> Result<AssignedIds, sqlx::Error> {
    let rows = connection.rows(HIGHEST_IDS, &[]).await?;
    let highest = |row: &Row| Ok((row.get("context")?, row.get("value")?));
    rows.iter().map(highest).collect()
}

/// Returns the contexts that have a version, sorted.
pub(crate) async fn contexts(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let rows = connection.rows(CONTEXTS, &[]).await?;
    rows.iter().map(|row| row.get("context")).collect()
}

/// Returns the contexts that have a version or settings, or ever assigned an ID, sorted.
pub(crate) async fn all_contexts(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let rows = connection.rows(ALL_CONTEXTS, &[]).await?;
    rows.iter().map(|row| row.get("context")).collect()
}

/// Assigns the next change sequence number.
pub(crate) async fn next_change(connection: &mut Connection) -> Result<u64, sqlx::Error> {
    increment(connection, CHANGES).await.map(i64::unsigned_abs)
}

/// Returns the change sequence number that was assigned last; 0 before the first.
pub(crate) async fn last_change(connection: &mut Connection) -> Result<u64, sqlx::Error> {
    current(connection, CHANGES).await.map(i64::unsigned_abs)
}

fn ids(context: &str) -> String {
    format!("ids:{context}")
}

async fn increment(connection: &mut Connection, name: &str) -> Result<i64, sqlx::Error> {
    let row = connection.row(INCREMENT_COUNTER, &[name.into()]).await?;
    row.ok_or(sqlx::Error::RowNotFound)?.get("value")
}

async fn current(connection: &mut Connection, name: &str) -> Result<i64, sqlx::Error> {
    let row = connection.row(READ_COUNTER, &[name.into()]).await?;
    row.map_or(Ok(0), |row| row.get("value"))
}
