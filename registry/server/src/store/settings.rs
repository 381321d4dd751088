//! Tables `configs` and `modes`. The scope is a subject's name, or empty for the whole context: no
//! subject has an empty name.

use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::vocabulary::Mode;

use crate::store::Connection;
use crate::store::schemas::{corrupt, decode, encode};
use crate::store::statements::{
    CONFIG, CONFIGS, MODE, PUT_CONFIG, PUT_MODE, REMOVE_CONFIG, REMOVE_CONFIGS, REMOVE_MODE,
    REMOVE_MODES,
};

/// The scope of settings that hold for the whole context.
pub(crate) const GLOBAL: &str = "";

/// The configuration stored for a scope.
pub(crate) async fn config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<Option<StoredConfigBody>, sqlx::Error> {
    let values = [context.into(), scope.into()];
    let Some(row) = connection.row(CONFIG, &values).await? else {
        return Ok(None);
    };
    let body: String = row.get("body")?;
    decode(&body).map(Some)
}

/// Every alias of the context with the subject behind it, by alias.
pub(crate) async fn aliases(
    connection: &mut Connection,
    context: &str,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = connection.rows(CONFIGS, &[context.into()]).await?;
    let mut aliases = Vec::new();
    for row in rows {
        let body: String = row.get("body")?;
        let scope: String = row.get("scope")?;
        let config: StoredConfigBody = decode(&body)?;
        aliases.extend(config.properties.alias.map(|subject| (scope, subject)));
    }
    Ok(aliases)
}

/// Stores a scope's configuration.
pub(crate) async fn put_config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
    config: &StoredConfigBody,
) -> Result<(), sqlx::Error> {
    let body = encode(config)?;
    let values = [context.into(), scope.into(), (&body).into()];
    connection.execute(PUT_CONFIG, &values).await
}

/// Forgets a scope's configuration.
pub(crate) async fn remove_config(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<(), sqlx::Error> {
    let values = [context.into(), scope.into()];
    connection.execute(REMOVE_CONFIG, &values).await
}

/// Forgets every configuration of the context.
pub(crate) async fn remove_configs(
    connection: &mut Connection,
    context: &str,
) -> Result<(), sqlx::Error> {
    connection.execute(REMOVE_CONFIGS, &[context.into()]).await
}

/// The mode stored for a scope.
pub(crate) async fn mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<Option<Mode>, sqlx::Error> {
    let values = [context.into(), scope.into()];
    let Some(row) = connection.row(MODE, &values).await? else {
        return Ok(None);
    };
    let word: String = row.get("mode")?;
    let mode = word.parse::<Mode>();
    mode.map(Some).map_err(|error| corrupt(error.into()))
}

/// Stores a scope's mode.
pub(crate) async fn put_mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
    mode: Mode,
) -> Result<(), sqlx::Error> {
    let values = [context.into(), scope.into(), mode.as_str().into()];
    connection.execute(PUT_MODE, &values).await
}

/// Forgets a scope's mode.
pub(crate) async fn remove_mode(
    connection: &mut Connection,
    context: &str,
    scope: &str,
) -> Result<(), sqlx::Error> {
    let values = [context.into(), scope.into()];
    connection.execute(REMOVE_MODE, &values).await
}

/// Forgets every mode of the context.
pub(crate) async fn remove_modes(
    connection: &mut Connection,
    context: &str,
) -> Result<(), sqlx::Error> {
    connection.execute(REMOVE_MODES, &[context.into()]).await
}
