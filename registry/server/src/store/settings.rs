//! Tables `configs` and `modes`. The scope is a subject's name, or empty for the whole context: no
//! subject has an empty name.

use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::vocabulary::Mode;

use crate::store::Connection;
use crate::store::schemas::{corrupt, decode, encode};

/// The scope of settings that hold for the whole context.
pub(crate) const GLOBAL: &str = "";

/// The configuration stored for a scope.
pub(crate) async fn config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<Option<StoredConfigBody>, sqlx::Error> {
    let statement = "SELECT body FROM configs WHERE context = $1 AND scope = $2";
    let query = sqlx::query_scalar(statement).bind(context).bind(scope);
    let body: Option<String> = query.fetch_optional(connection).await?;
    body.as_deref().map(decode).transpose()
}

/// Stores a scope's configuration.
pub(crate) async fn put_config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
    config: &StoredConfigBody,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO configs (context, scope, body) VALUES ($1, $2, $3) \
         ON CONFLICT (context, scope) DO UPDATE SET body = excluded.body";
    let query = sqlx::query(statement)
        .bind(context)
        .bind(scope)
        .bind(encode(config)?);
    query.execute(connection).await?;
    Ok(())
}

/// Forgets a scope's configuration.
pub(crate) async fn remove_config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM configs WHERE context = $1 AND scope = $2";
    sqlx::query(statement)
        .bind(context)
        .bind(scope)
        .execute(connection)
        .await?;
    Ok(())
}

/// The mode stored for a scope.
pub(crate) async fn mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<Option<Mode>, sqlx::Error> {
    let statement = "SELECT mode FROM modes WHERE context = $1 AND scope = $2";
    let query = sqlx::query_scalar(statement).bind(context).bind(scope);
    let mode: Option<String> = query.fetch_optional(connection).await?;
    mode.map(|word| word.parse())
        .transpose()
        .map_err(|error: avouch_registry_api::vocabulary::UnknownWord| corrupt(error.into()))
}

/// Stores a scope's mode.
pub(crate) async fn put_mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
    mode: Mode,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO modes (context, scope, mode) VALUES ($1, $2, $3) \
         ON CONFLICT (context, scope) DO UPDATE SET mode = excluded.mode";
    sqlx::query(statement)
        .bind(context)
        .bind(scope)
        .bind(mode.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets a scope's mode.
pub(crate) async fn remove_mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM modes WHERE context = $1 AND scope = $2";
    sqlx::query(statement)
        .bind(context)
        .bind(scope)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets every mode of the context.
pub(crate) async fn remove_modes(
    connection: &mut Connection,
    context: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM modes WHERE context = $1")
        .bind(context)
        .execute(connection)
        .await?;
    Ok(())
}
