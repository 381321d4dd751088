//! Table `counters`: high-water marks that survive whatever is deleted. Ids come from here and from
//! nowhere else, so none is ever given out twice.

use avouch_registry_api::types::SchemaId;

use crate::store::Connection;
use crate::store::statements::{
    CONTEXTS, CONTEXTS_OF_ANYTHING, INCREMENT_COUNTER, RAISE_COUNTER, READ_COUNTER,
};

pub(super) const CHANGES: &str = "changes";

/// The next id of the context, taken.
pub(crate) async fn next_id(
    connection: &mut Connection,
    context: &str,
) -> Result<SchemaId, sqlx::Error> {
    let id = increment(connection, &ids(context)).await?;
    let id = i32::try_from(id).ok().and_then(SchemaId::new);
    id.ok_or_else(|| sqlx::Error::Protocol("schema ids are exhausted".to_owned()))
}

/// Makes sure that no id up to this one is given out; for imported ids.
pub(crate) async fn raise_ids(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<(), sqlx::Error> {
    let name = ids(context);
    let values = [(&name).into(), i64::from(id.get()).into()];
    connection.execute(RAISE_COUNTER, &values).await
}

/// Returns the highest id ever assigned in the context; 0 before the first.
pub(crate) async fn highest_id(
    connection: &mut Connection,
    context: &str,
) -> Result<SchemaId, sqlx::Error> {
    let id = current(connection, &ids(context)).await?;
    let id = SchemaId::new(i32::try_from(id).unwrap_or(i32::MAX));
    id.ok_or_else(|| sqlx::Error::Protocol("the id counter is negative".to_owned()))
}

/// The contexts that have a version, sorted.
pub(crate) async fn contexts(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let rows = connection.rows(CONTEXTS, &[]).await?;
    rows.iter().map(|row| row.get("context")).collect()
}

/// The contexts that have a version, ever gave out an id, or have settings, sorted.
pub(crate) async fn contexts_of_anything(
    connection: &mut Connection,
) -> Result<Vec<String>, sqlx::Error> {
    let rows = connection.rows(CONTEXTS_OF_ANYTHING, &[]).await?;
    rows.iter().map(|row| row.get("context")).collect()
}

/// The next change sequence, taken.
pub(crate) async fn next_change(connection: &mut Connection) -> Result<u64, sqlx::Error> {
    increment(connection, CHANGES).await.map(i64::unsigned_abs)
}

/// The change sequence that was last taken; 0 before the first.
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
