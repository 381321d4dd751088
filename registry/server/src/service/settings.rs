//! Configurations and modes of subjects, contexts and the whole registry. A subject without
//! settings inherits those of its context, and a context those of `:.__GLOBAL:`. `None` is the
//! default context.

use avouch_registry_api::rest::{ConfigBody, StoredConfigBody};
use avouch_registry_api::types::Mode;
use serde_json::{Map, Value};

use crate::decide::content::Strictness;
use crate::decide::delete::Depth;
use crate::decide::settings::{effective, permit_change, shown, strictness, update};
use crate::decide::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, Prefix, Scope, Subject, Visibility};
use crate::error::RegistryError;
use crate::service::Service;
use crate::service::delete::delete;
use crate::store::{Connection, Page, edges, settings, versions};

/// The effective settings of a subject: its own or inherited ones.
#[derive(Clone, Debug)]
pub(super) struct EffectiveSettings {
    pub(super) config: ConfigBody,
    pub(super) mode: Mode,
}

impl EffectiveSettings {
    /// Returns true if a schema is normalized before it is stored. Imports are never normalized.
    pub(super) fn normalizes(&self, requested: bool) -> bool {
        let requested = requested || self.config.properties.normalize == Some(true);
        requested && !self.mode.is_import()
    }

    /// Returns how strictly a new schema is parsed.
    pub(super) fn strictness(&self) -> Strictness {
        strictness(&self.config.properties, self.mode)
    }
}

/// The contexts from which others inherit.
const PARENTS: [&str; 2] = [DEFAULT_CONTEXT, GLOBAL_CONTEXT];

impl Service {
    /// Returns the configuration of a scope, or the effective one if `inherited` is set.
    pub(crate) async fn config(
        &self,
        subject: Option<&Subject>,
        inherited: bool,
    ) -> Result<ConfigBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let default = self.config.compatibility_default;
        let scope = Scope::of_optional(subject);
        if inherited {
            let effective = self.settings_of(&mut snapshot, subject).await?;
            return Ok(effective.config);
        }
        let own = settings::config(&mut snapshot, scope).await?;
        match (own, without_default(subject)) {
            (None, Some(name)) => Err(RegistryError::SubjectConfigNotFound(name.to_owned())),
            (own, _) => Ok(shown(own.unwrap_or_default(), default)),
        }
    }

    /// Updates the configuration of a scope and returns the stored one.
    pub(crate) async fn put_config(
        &self,
        subject: Option<&Subject>,
        request: &Map<String, Value>,
    ) -> Result<StoredConfigBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let stored = settings::config(&mut transaction, scope).await?;
        let config = update(stored.unwrap_or_default(), request)?;
        self.permit_settings(&mut transaction, subject).await?;
        settings::put_config(&mut transaction, scope, &config).await?;
        self.commit(transaction).await?;
        Ok(config)
    }

    /// Deletes the configuration of a scope and returns it.
    pub(crate) async fn delete_config(
        &self,
        subject: Option<&Subject>,
    ) -> Result<ConfigBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let stored = settings::config(&mut transaction, scope).await?;
        if let (None, Some(name)) = (&stored, without_default(subject)) {
            return Err(RegistryError::SubjectNotFound(name.to_owned()));
        }
        self.permit_settings(&mut transaction, subject).await?;
        settings::remove_config(&mut transaction, scope).await?;
        self.commit(transaction).await?;
        Ok(shown(
            stored.unwrap_or_default(),
            self.config.compatibility_default,
        ))
    }

    /// Returns the mode of a scope, or the effective one if `inherited` is set.
    pub(crate) async fn mode(
        &self,
        subject: Option<&Subject>,
        inherited: bool,
    ) -> Result<Mode, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let scope = Scope::of_optional(subject);
        if inherited {
            return Ok(self.settings_of(&mut snapshot, subject).await?.mode);
        }
        let own = settings::mode(&mut snapshot, scope).await?;
        match (own, without_default(subject)) {
            (None, Some(name)) => Err(RegistryError::SubjectModeNotFound(name.to_owned())),
            (own, _) => Ok(own.unwrap_or(Mode::Readwrite)),
        }
    }

    /// Sets or deletes the mode of a scope. Unless forced, [`Mode::Import`] requires a scope
    /// without live versions and deletes the soft-deleted ones.
    pub(crate) async fn put_mode(
        &self,
        subject: Option<&Subject>,
        mode: Option<Mode>,
        force: bool,
    ) -> Result<(), RegistryError> {
        self.permit_mode_change()?;
        let is_global = subject.is_some_and(Subject::is_global);
        // It is the mode of a whole registry that receives a replication.
        if mode == Some(Mode::Forward) && !is_global {
            return Err(RegistryError::ForwardIsGlobal);
        }
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let before = self.settings_of(&mut transaction, subject).await?.mode;
        // A scope that is in this mode already has versions from an import that continues.
        if mode == Some(Mode::Import) && before != Mode::Import && !force {
            clear_for_import(&mut transaction, subject).await?;
        }
        match mode {
            Some(mode) => settings::put_mode(&mut transaction, scope, mode).await?,
            None => settings::remove_mode(&mut transaction, scope).await?,
        }
        self.commit(transaction).await
    }

    /// Deletes the mode of a scope and returns it. With `recursive`, the modes of all subjects of a
    /// context are deleted too, and a scope without a mode is not an error.
    pub(crate) async fn delete_mode(
        &self,
        subject: Option<&Subject>,
        recursive: bool,
    ) -> Result<Option<Mode>, RegistryError> {
        self.permit_mode_change()?;
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let stored = settings::mode(&mut transaction, scope).await?;
        let shown = match (stored, without_default(subject)) {
            (None, Some(name)) if !recursive => {
                return Err(RegistryError::SubjectNotFound(name.to_owned()));
            }
            (stored, Some(_)) => stored,
            (stored, None) => Some(stored.unwrap_or(Mode::Readwrite)),
        };
        // Without the flag, subjects keep the modes of their own.
        if scope.is_context() && recursive {
            settings::remove_modes(&mut transaction, scope.context).await?;
        }
        settings::remove_mode(&mut transaction, scope).await?;
        self.commit(transaction).await?;
        Ok(shown)
    }

    /// Returns the effective settings of a scope.
    async fn settings_of(
        &self,
        connection: &mut Connection,
        subject: Option<&Subject>,
    ) -> Result<EffectiveSettings, RegistryError> {
        let global = Subject::existing("");
        self.effective_settings(connection, subject.unwrap_or(&global))
            .await
    }

    /// Returns the effective settings of a subject.
    pub(super) async fn effective_settings(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<EffectiveSettings, RegistryError> {
        let scope = Scope::of(subject);
        let default = self.config.compatibility_default;
        let stored = settings::inherited(connection, scope, PARENTS).await?;
        let context = Scope::context(scope.context);
        let [default_context, global] = PARENTS.map(Scope::context);
        let config = |scope| stored.config(scope).cloned();
        let config = match config(scope) {
            // Own settings are completed from the global ones, not from those of the context.
            Some(own) => effective(Some(own), config(default_context), default),
            None => {
                let inherited = config(context).or_else(|| config(global));
                effective(None, inherited, default)
            }
        };
        let mode = [scope, context, global].into_iter();
        let mode = mode.filter_map(|scope| stored.mode(scope)).next();
        Ok(EffectiveSettings {
            config,
            mode: mode.unwrap_or(Mode::Readwrite),
        })
    }

    fn permit_mode_change(&self) -> Result<(), RegistryError> {
        if self.config.mode_mutable {
            return Ok(());
        }
        let message = "Mode changes are not allowed".to_owned();
        Err(RegistryError::NotPermitted(message))
    }

    async fn permit_settings(
        &self,
        connection: &mut Connection,
        subject: Option<&Subject>,
    ) -> Result<(), RegistryError> {
        let mode = self.settings_of(connection, subject).await?.mode;
        permit_change(mode, subject.map(|subject| subject.name.as_str()))
    }
}

/// Returns the name of a scope for which missing settings are an error. The whole registry and the
/// context that all others inherit from have defaults.
fn without_default(subject: Option<&Subject>) -> Option<&str> {
    let subject = subject.filter(|subject| subject.context != GLOBAL_CONTEXT);
    subject.map(|subject| subject.name.as_str())
}

/// Deletes the soft-deleted versions of a scope, so that an import can use their numbers.
async fn clear_for_import(
    connection: &mut Connection,
    subject: Option<&Subject>,
) -> Result<(), RegistryError> {
    let subjects = match subject {
        Some(subject) if !subject.plain().is_empty() => vec![subject.clone()],
        Some(_) | None => {
            let context = Scope::of_optional(subject).context;
            let prefix = Prefix {
                context: (context != GLOBAL_CONTEXT).then(|| context.to_owned()),
                plain: String::new(),
            };
            let all = Visibility::WithDeleted;
            let names = versions::subjects(connection, &prefix, all, Page::ALL).await?;
            names.iter().map(|name| Subject::existing(name)).collect()
        }
    };
    // All checks come before the first deletion, so that an error names the reason and not the
    // state in between.
    let mut selected = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let rows = versions::rows(connection, &subject).await?;
        if rows.iter().any(|row| !row.deleted) {
            let message = "Cannot import since found existing subjects".to_owned();
            return Err(RegistryError::NotPermitted(message));
        }
        selected.push((subject, rows));
    }
    for (subject, rows) in &selected {
        for row in rows {
            let name = &subject.name;
            let version = row.version;
            if !edges::referrers(connection, name, version, true)
                .await?
                .is_empty()
            {
                return Err(RegistryError::ReferenceExists {
                    subject: name.clone(),
                    version,
                });
            }
        }
    }
    for (subject, rows) in &selected {
        delete(connection, subject, rows, Depth::Permanent).await?;
    }
    Ok(())
}
