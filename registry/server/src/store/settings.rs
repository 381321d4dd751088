//! Tables `configs` and `modes`. The scope is the name of a subject, or empty for the whole
//! context; no subject has an empty name.

use std::collections::HashMap;

use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::types::{Mode, ParseError};

use crate::decide::subject::Scope;
use crate::store::Connection;
use crate::store::changes::{self, Mark};
use crate::store::connection::{Row, Value};
use crate::store::schemas::{corrupt, decode, encode};
use crate::store::statements::{
    ALIASED_CONFIGS, CONFIG, CONFIGS, INHERITED_SETTINGS, MODE, MODES, PUT_CONFIG, PUT_MODE,
    REMOVE_CONFIG, REMOVE_CONFIGS, REMOVE_MODE, REMOVE_MODES,
};

/// Returns the configuration of a scope.
pub(crate) async fn config(
    connection: &mut Connection,
    scope: Scope<'_>,
) -> Result<Option<StoredConfigBody>, sqlx::Error> {
    let Some(row) = connection.row(CONFIG, &key(scope)).await? else {
        return Ok(None);
    };
    let body: String = row.get("body")?;
    decode(&body).map(Some)
}

/// The settings of several scopes, by context and scope.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    configs: HashMap<(String, String), StoredConfigBody>,
    modes: HashMap<(String, String), Mode>,
}

impl Settings {
    pub(crate) fn config(&self, scope: Scope<'_>) -> Option<&StoredConfigBody> {
        let key = (scope.context.to_owned(), scope.subject.to_owned());
        self.configs.get(&key)
    }

    pub(crate) fn mode(&self, scope: Scope<'_>) -> Option<Mode> {
        let key = (scope.context.to_owned(), scope.subject.to_owned());
        self.modes.get(&key).copied()
    }
}

/// Returns the settings that the effective ones are derived from: those of the scope, of its
/// context, and of two other contexts.
pub(crate) async fn inherited(
    connection: &mut Connection,
    scope: Scope<'_>,
    others: [&str; 2],
) -> Result<Settings, sqlx::Error> {
    let [context, subject] = key(scope);
    let values = [context, others[0].into(), others[1].into(), subject];
    let mut settings = Settings::default();
    for row in connection.rows(INHERITED_SETTINGS, &values).await? {
        let key = (row.get("context")?, row.get("scope")?);
        // One statement returns both tables: a row of `modes` has no body.
        match row.get::<Option<String>>("body")? {
            Some(body) => drop(settings.configs.insert(key, decode(&body)?)),
            None => drop(settings.modes.insert(key, mode_of(&row)?)),
        }
    }
    Ok(settings)
}

fn key(scope: Scope<'_>) -> [Value<'_>; 2] {
    [scope.context.into(), scope.subject.into()]
}

fn mode_of(row: &Row) -> Result<Mode, sqlx::Error> {
    let name: String = row.get("mode")?;
    name.parse()
        .map_err(|error: ParseError| corrupt(error.into()))
}

/// Returns the configurations of a context by scope.
pub(crate) async fn configs(
    connection: &mut Connection,
    context: &str,
) -> Result<Vec<(String, StoredConfigBody)>, sqlx::Error> {
    let rows = connection.rows(CONFIGS, &[context.into()]).await?;
    rows.iter().map(config_of).collect()
}

fn config_of(row: &Row) -> Result<(String, StoredConfigBody), sqlx::Error> {
    let body: String = row.get("body")?;
    Ok((row.get("scope")?, decode(&body)?))
}

/// Returns the modes of a context by scope.
pub(crate) async fn modes(
    connection: &mut Connection,
    context: &str,
) -> Result<Vec<(String, Mode)>, sqlx::Error> {
    let rows = connection.rows(MODES, &[context.into()]).await?;
    let mode = |row: &Row| Ok((row.get("scope")?, mode_of(row)?));
    rows.iter().map(mode).collect()
}

/// Returns the aliases of a context with their subjects, by alias.
pub(crate) async fn aliases(
    connection: &mut Connection,
    context: &str,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = connection.rows(ALIASED_CONFIGS, &[context.into()]).await?;
    let mut aliases = Vec::with_capacity(rows.len());
    for row in &rows {
        let (scope, config) = config_of(row)?;
        aliases.extend(config.properties.alias.map(|alias| (scope, alias)));
    }
    Ok(aliases)
}

/// Stores the configuration of a scope.
pub(crate) async fn put_config(
    connection: &mut Connection,
    scope: Scope<'_>,
    config: &StoredConfigBody,
) -> Result<(), sqlx::Error> {
    changes::mark(connection, Mark::Configs).await?;
    let body = encode(config)?;
    let [context, subject] = key(scope);
    let values = [context, subject, (&body).into()];
    connection.execute(PUT_CONFIG, &values).await
}

/// Deletes the configuration of a scope.
pub(crate) async fn remove_config(
    connection: &mut Connection,
    scope: Scope<'_>,
) -> Result<(), sqlx::Error> {
    changes::mark(connection, Mark::Configs).await?;
    connection.execute(REMOVE_CONFIG, &key(scope)).await
}

/// Deletes all configurations of a context.
pub(crate) async fn remove_configs(
    connection: &mut Connection,
    context: &str,
) -> Result<(), sqlx::Error> {
    changes::mark(connection, Mark::Configs).await?;
    connection.execute(REMOVE_CONFIGS, &[context.into()]).await
}

/// Returns the mode of a scope.
pub(crate) async fn mode(
    connection: &mut Connection,
    scope: Scope<'_>,
) -> Result<Option<Mode>, sqlx::Error> {
    let row = connection.row(MODE, &key(scope)).await?;
    row.as_ref().map(mode_of).transpose()
}

/// Stores the mode of a scope.
pub(crate) async fn put_mode(
    connection: &mut Connection,
    scope: Scope<'_>,
    mode: Mode,
) -> Result<(), sqlx::Error> {
    let [context, subject] = key(scope);
    let values = [context, subject, mode.as_str().into()];
    connection.execute(PUT_MODE, &values).await
}

/// Deletes the mode of a scope.
pub(crate) async fn remove_mode(
    connection: &mut Connection,
    scope: Scope<'_>,
) -> Result<(), sqlx::Error> {
    connection.execute(REMOVE_MODE, &key(scope)).await
}

/// Deletes all modes of a context.
pub(crate) async fn remove_modes(
    connection: &mut Connection,
    context: &str,
) -> Result<(), sqlx::Error> {
    connection.execute(REMOVE_MODES, &[context.into()]).await
}
