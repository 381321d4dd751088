//! Table `schemas`: what each id stands for.

use avouch_registry_api::vocabulary::SchemaType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::decide::content::Content;
use crate::store::Connection;

/// The columns that [`content_of`] reads; statements that join call the table `s`.
pub(crate) const CONTENT_COLUMNS: &str = "s.schema_type, s.text, s.refs, s.metadata, s.rule_set";

/// The content of an id.
pub(crate) async fn content(
    connection: &mut Connection,
    context: &str,
    id: i32,
) -> Result<Option<Content>, sqlx::Error> {
    let statement =
        format!("SELECT {CONTENT_COLUMNS} FROM schemas s WHERE s.context = $1 AND s.id = $2");
    let row = sqlx::query(&statement)
        .bind(context)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(content_of).transpose()
}

/// The ids that stand for exactly this content, ascending: one, unless imports brought more.
pub(crate) async fn ids_of(
    connection: &mut Connection,
    context: &str,
    content: &Content,
) -> Result<Vec<i32>, sqlx::Error> {
    let candidates = with_guid(connection, context, &content.guid().to_string()).await?;
    let same = candidates
        .into_iter()
        .filter(|(_, candidate)| candidate == content);
    Ok(same.map(|(id, _)| id).collect())
}

/// The ids and contents with a GUID, by id.
pub(crate) async fn with_guid(
    connection: &mut Connection,
    context: &str,
    guid: &str,
) -> Result<Vec<(i32, Content)>, sqlx::Error> {
    let statement = format!(
        "SELECT s.id, {CONTENT_COLUMNS} FROM schemas s \
         WHERE s.context = $1 AND s.guid = $2 ORDER BY s.id"
    );
    let query = sqlx::query(&statement).bind(context).bind(guid);
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("id")?, content_of(row)?)))
        .collect()
}

/// Stores the content of a new id.
pub(crate) async fn insert(
    connection: &mut Connection,
    context: &str,
    id: i32,
    content: &Content,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO schemas \
         (context, id, guid, schema_type, text, refs, metadata, rule_set) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(statement)
        .bind(context)
        .bind(id)
        .bind(content.guid().to_string())
        .bind(content.schema_type.as_str())
        .bind(&content.text)
        .bind(encode(&content.references)?)
        .bind(content.metadata.as_ref().map(encode).transpose()?)
        .bind(content.rule_set.as_ref().map(encode).transpose()?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets an id that no version holds any more; what it referred to is released.
pub(crate) async fn remove_unused(
    connection: &mut Connection,
    context: &str,
    id: i32,
) -> Result<(), sqlx::Error> {
    let unused = "NOT EXISTS (SELECT 1 FROM versions v WHERE v.context = $1 AND v.id = $2)";
    for table in ["edges", "schemas"] {
        let statement = format!("DELETE FROM {table} WHERE context = $1 AND id = $2 AND {unused}");
        sqlx::query(&statement)
            .bind(context)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Reads [`CONTENT_COLUMNS`].
pub(crate) fn content_of(row: &SqliteRow) -> Result<Content, sqlx::Error> {
    let schema_type: &str = row.try_get("schema_type")?;
    let metadata: Option<&str> = row.try_get("metadata")?;
    let rule_set: Option<&str> = row.try_get("rule_set")?;
    Ok(Content {
        schema_type: schema_type
            .parse::<SchemaType>()
            .map_err(|error| corrupt(error.into()))?,
        text: row.try_get("text")?,
        references: decode(row.try_get("refs")?)?,
        metadata: metadata.map(decode).transpose()?,
        rule_set: rule_set.map(decode).transpose()?,
    })
}

/// A value as the JSON text of a column.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A value from the JSON text of a column.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| corrupt(error.into()))
}

/// A column that holds what no version of ours wrote.
pub(crate) fn corrupt(error: Box<dyn std::error::Error + Send + Sync>) -> sqlx::Error {
    sqlx::Error::Decode(error)
}
