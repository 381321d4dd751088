//! Configurations and modes: a subject's own, a context's, or everyone's. A subject without one has
//! its context's, then that of `:.__GLOBAL:`. No subject stands for the default context.

use avouch_registry_api::rest::{ConfigBody, StoredConfigBody};
use avouch_registry_api::types::Mode;
use serde_json::{Map, Value};

use crate::decide::content::Strictness;
use crate::decide::delete::Depth;
use crate::decide::settings::{in_force, permit_change, shown, strictness, update};
use crate::decide::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, Prefix, Scope, Subject, Visibility};
use crate::error::RegistryError;
use crate::service::Service;
use crate::service::delete::delete;
use crate::store::{Connection, Page, edges, settings, versions};

/// The settings of a subject: its own, or those that it inherits.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    pub(super) config: ConfigBody,
    pub(super) mode: Mode,
}

impl InForce {
    /// Whether what is registered is normalized, asked for or not: what is imported stays as it
    /// was, whoever asks.
    pub(super) fn normalizes(&self, asked_for: bool) -> bool {
        let asked_for = asked_for || self.config.properties.normalize == Some(true);
        asked_for && !self.mode.is_import()
    }

    /// How strictly a text that is to be registered is read.
    pub(super) fn strictness(&self) -> Strictness {
        strictness(&self.config.properties, self.mode)
    }
}

/// The contexts that others inherit from.
const AROUND: [&str; 2] = [DEFAULT_CONTEXT, GLOBAL_CONTEXT];

impl Service {
    /// A scope's configuration; with `inherited`, what is in force where it has none of its own.
    pub(crate) async fn config(
        &self,
        subject: Option<&Subject>,
        inherited: bool,
    ) -> Result<ConfigBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let default = self.config.compatibility_default;
        let scope = Scope::of_optional(subject);
        if inherited {
            let everyone = Subject::existing("");
            let subject = subject.unwrap_or(&everyone);
            return Ok(self.in_force(&mut snapshot, subject).await?.config);
        }
        let own = settings::config(&mut snapshot, scope).await?;
        match (subject, own) {
            (_, Some(own)) => Ok(shown(own, default)),
            (Some(subject), None) if subject.context != GLOBAL_CONTEXT => {
                Err(RegistryError::SubjectConfigNotFound(subject.name.clone()))
            }
            (_, None) => Ok(shown(StoredConfigBody::default(), default)),
        }
    }

    /// Changes a scope's configuration and returns all that is stored for it.
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

    /// Forgets a scope's configuration and returns what it was.
    pub(crate) async fn delete_config(
        &self,
        subject: Option<&Subject>,
    ) -> Result<ConfigBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let stored = settings::config(&mut transaction, scope).await?;
        if let (Some(subject), None) = (subject, &stored)
            && subject.context != GLOBAL_CONTEXT
        {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        self.permit_settings(&mut transaction, subject).await?;
        settings::remove_config(&mut transaction, scope).await?;
        self.commit(transaction).await?;
        Ok(shown(
            stored.unwrap_or_default(),
            self.config.compatibility_default,
        ))
    }

    /// A scope's mode; with `inherited`, what is in force where it has none of its own.
    pub(crate) async fn mode(
        &self,
        subject: Option<&Subject>,
        inherited: bool,
    ) -> Result<Mode, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let scope = Scope::of_optional(subject);
        if inherited {
            let everyone = Subject::existing("");
            let subject = subject.unwrap_or(&everyone);
            return Ok(self.in_force(&mut snapshot, subject).await?.mode);
        }
        let own = settings::mode(&mut snapshot, scope).await?;
        match (subject, own) {
            (_, Some(mode)) => Ok(mode),
            (Some(subject), None) if subject.context != GLOBAL_CONTEXT => {
                Err(RegistryError::SubjectModeNotFound(subject.name.clone()))
            }
            (_, None) => Ok(Mode::Readwrite),
        }
    }

    /// Sets a scope's mode, or clears it. Going to [`Mode::Import`] needs a scope without live
    /// versions and removes the soft-deleted ones, unless forced.
    pub(crate) async fn put_mode(
        &self,
        subject: Option<&Subject>,
        mode: Option<Mode>,
        force: bool,
    ) -> Result<(), RegistryError> {
        self.permit_mode_change()?;
        let is_global = subject.is_some_and(Subject::is_global);
        if mode == Some(Mode::Forward) && !is_global {
            return Err(RegistryError::ForwardIsGlobal);
        }
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let everyone = Subject::existing("");
        let before = subject.unwrap_or(&everyone);
        let before = self.in_force(&mut transaction, before).await?.mode;
        if mode == Some(Mode::Import) && before != Mode::Import && !force {
            clear_for_import(&mut transaction, subject).await?;
        }
        match mode {
            Some(mode) => settings::put_mode(&mut transaction, scope, mode).await?,
            None => settings::remove_mode(&mut transaction, scope).await?,
        }
        self.commit(transaction).await
    }

    /// Forgets a scope's mode and returns it. With `recursive`, a context takes the modes of all
    /// its subjects with it, and a scope without a mode is no error.
    pub(crate) async fn delete_mode(
        &self,
        subject: Option<&Subject>,
        recursive: bool,
    ) -> Result<Option<Mode>, RegistryError> {
        self.permit_mode_change()?;
        let mut transaction = self.store.write().await?;
        let scope = Scope::of_optional(subject);
        let stored = settings::mode(&mut transaction, scope).await?;
        let shown = match (subject, stored) {
            (Some(subject), stored) if subject.context != GLOBAL_CONTEXT => {
                if stored.is_none() && !recursive {
                    return Err(RegistryError::SubjectNotFound(subject.name.clone()));
                }
                stored
            }
            (_, stored) => Some(stored.unwrap_or(Mode::Readwrite)),
        };
        if scope.is_context() && recursive {
            settings::remove_modes(&mut transaction, scope.context).await?;
        }
        settings::remove_mode(&mut transaction, scope).await?;
        self.commit(transaction).await?;
        Ok(shown)
    }

    /// What holds for a subject.
    pub(super) async fn in_force(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<InForce, RegistryError> {
        let scope = Scope::of(subject);
        let default = self.config.compatibility_default;
        let around = settings::around(connection, scope, AROUND).await?;
        let context = Scope::context(scope.context);
        let [default_context, global] = AROUND.map(Scope::context);
        let config = |scope| around.config(scope).cloned();
        let config = match config(scope) {
            Some(own) => in_force(Some(own), config(default_context), default),
            None => {
                let inherited = config(context).or_else(|| config(global));
                in_force(None, inherited, default)
            }
        };
        let mode = [scope, context, global].into_iter();
        let mode = mode.filter_map(|scope| around.mode(scope)).next();
        Ok(InForce {
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
        let everyone = Subject::existing("");
        let in_force = self.in_force(connection, subject.unwrap_or(&everyone));
        let mode = in_force.await?.mode;
        permit_change(mode, subject.map(|subject| subject.name.as_str()))
    }
}

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
    let mut doomed = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let rows = versions::rows(connection, &subject).await?;
        if rows.iter().any(|row| !row.deleted) {
            let message = "Cannot import since found existing subjects".to_owned();
            return Err(RegistryError::NotPermitted(message));
        }
        doomed.push((subject, rows));
    }
    for (subject, rows) in &doomed {
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
    for (subject, rows) in &doomed {
        delete(connection, subject, rows, Depth::Permanent).await?;
    }
    Ok(())
}
