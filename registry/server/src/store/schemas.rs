//! Table `schemas`: the content of each ID.

use crate::decide::content::Content;
use crate::store::changes::{self, Mark};
use crate::store::connection::Row;
use crate::store::statements::{
    CONTENT, CONTENTS_WITH_GUID, CONTENTS_WITH_GUID_ANYWHERE, INSERT_CONTENT, REMOVE_UNUSED_CONTENT,
};
use crate::store::{Connection, edges};
use avouch_registry_api::types::{SchemaId, SchemaType};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns the content of an ID.
pub(crate) async fn content(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<Option<Content>, sqlx::Error> {
    let row = connection
        .row(CONTENT, &[context.into(), id.into()])
        .await?;
    row.as_ref().map(content_of).transpose()
}

/// Returns the IDs with exactly this content in ascending order: at most one, unless imports
/// created more.
pub(crate) async fn ids_of(
    connection: &mut Connection,
    context: &str,
    content: &Content,
) -> Result<Vec<SchemaId>, sqlx::Error> {
    // The GUID is the indexed column; different contents may share one.
    let candidates = with_guid(connection, context, &content.guid().to_string()).await?;
    let same = candidates
        .into_iter()
        .filter(|(_, candidate)| candidate == content);
    Ok(same.map(|(id, _)| id).collect())
}

/// Returns the IDs and contents with a GUID, by ID.
pub(crate) async fn with_guid(
    connection: &mut Connection,
    context: &str,
    guid: &str,
) -> Result<Vec<(SchemaId, Content)>, sqlx::Error> {
    let values = [context.into(), guid.into()];
    let rows = connection.rows(CONTENTS_WITH_GUID, &values).await?;
    rows.iter()
        .map(|row| Ok((row.number("id")?, content_of(row)?)))
        .collect()
}

/// Returns context, ID and content of all schemas with a GUID, by context and ID.
pub(crate) async fn with_guid_anywhere(
    connection: &mut Connection,
    guid: &str,
) -> Result<Vec<(String, SchemaId, Content)>, sqlx::Error> {
    let values = [guid.into()];
    let rows = connection.rows(CONTENTS_WITH_GUID_ANYWHERE, &values);
    rows.await?
        .iter()
        .map(|row| Ok((row.get("context")?, row.number("id")?, content_of(row)?)))
        .collect()
}

/// Stores the content of a new ID.
pub(crate) async fn insert(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
    content: &Content,
) -> Result<(), sqlx::Error> {
    let guid = content.guid().to_string();
    let references = encode(&content.references)?;
    let metadata = content.metadata.as_ref().map(encode).transpose()?;
    let rule_set = content.rule_set.as_ref().map(encode).transpose()?;
    let values = [
        context.into(),
        id.into(),
        (&guid).into(),
        content.schema_type.as_str().into(),
        (&content.text).into(),
        (&references).into(),
        metadata.as_deref().into(),
        rule_set.as_deref().into(),
    ];
    connection.execute(INSERT_CONTENT, &values).await
}

/// Deletes the content and the references of an ID unless a version has it. Called after an ID lost
/// a version.
pub(crate) async fn remove_unused(
    connection: &mut Connection,
    context: &str,
    id: SchemaId,
) -> Result<(), sqlx::Error> {
    changes::mark(connection, Mark::Ids).await?;
    edges::remove_unused(connection, context, id).await?;
    let values = [context.into(), id.into()];
    connection.execute(REMOVE_UNUSED_CONTENT, &values).await
}

/// Decodes the content of a row.
pub(crate) fn content_of(row: &Row) -> Result<Content, sqlx::Error> {
    let schema_type: String = row.get("schema_type")?;
    let references: String = row.get("refs")?;
    let metadata: Option<String> = row.get("metadata")?;
    let rule_set: Option<String> = row.get("rule_set")?;
    Ok(Content {
        schema_type: schema_type
            .parse::<SchemaType>()
            .map_err(|error| corrupt(error.into()))?,
        text: row.get("text")?,
        references: decode(&references)?,
        metadata: metadata.as_deref().map(decode).transpose()?,
        rule_set: rule_set.as_deref().map(decode).transpose()?,
    })
}

/// Encodes a value as JSON for a column.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Decodes a value from a JSON column.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| corrupt(error.into()))
}

/// Returns the error for a column with a value that no version of the registry wrote.
pub(crate) fn corrupt(error: Box<dyn std::error::Error + Send + Sync>) -> sqlx::Error {
    sqlx::Error::Decode(error)
}
