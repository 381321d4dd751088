//! Configurations and modes, global (no subject) or a subject's own.

use avouch_registry_api::rest::{ConfigBody, StoredConfigBody};
use avouch_registry_api::vocabulary::Mode;
use serde_json::{Map, Value};

use crate::decide::delete::Depth;
use crate::decide::settings::{in_force, mode_in_force, permit_change, shown, update};
use crate::decide::subject::{DEFAULT_CONTEXT, Prefix, Subject, Visibility};
use crate::error::RegistryError;
use crate::service::Service;
use crate::service::delete::delete;
use crate::store::settings::{self, GLOBAL};
use crate::store::{Connection, Page, edges, versions};

impl Service {
    /// A scope's configuration; with `inherited`, what is in force where it has none of its own.
    pub(crate) async fn config(
        &self,
        subject: Option<&Subject>,
        inherited: bool,
    ) -> Result<ConfigBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let default = self.config.compatibility_default;
        let (context, scope) = place(subject);
        let own = settings::config(&mut snapshot, context, scope).await?;
        match (subject, own) {
            (None, own) => Ok(shown(own.unwrap_or_default(), default)),
            (Some(_), Some(own)) if !inherited => Ok(shown(own, default)),
            (Some(subject), _) if inherited => self.config_in_force(&mut snapshot, subject).await,
            (Some(subject), _) => Err(RegistryError::SubjectConfigNotFound(subject.name.clone())),
        }
    }

    /// Changes a scope's configuration and returns all that is stored for it.
    pub(crate) async fn put_config(
        &self,
        subject: Option<&Subject>,
        request: &Map<String, Value>,
    ) -> Result<StoredConfigBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let (context, scope) = place(subject);
        let stored = settings::config(&mut transaction, context, scope).await?;
        let config = update(stored.unwrap_or_default(), request)?;
        self.permit_settings(&mut transaction, subject).await?;
        settings::put_config(&mut transaction, context, scope, &config).await?;
        self.commit(transaction).await?;
        Ok(config)
    }

    /// Forgets a scope's configuration and returns what it was.
    pub(crate) async fn delete_config(
        &self,
        subject: Option<&Subject>,
    ) -> Result<ConfigBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let (context, scope) = place(subject);
        let stored = settings::config(&mut transaction, context, scope).await?;
        if let (Some(subject), None) = (subject, &stored) {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        self.permit_settings(&mut transaction, subject).await?;
        settings::remove_config(&mut transaction, context, scope).await?;
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
        let (context, scope) = place(subject);
        let own = settings::mode(&mut snapshot, context, scope).await?;
        match (subject, own) {
            (_, Some(mode)) => Ok(mode),
            (None, None) => Ok(Mode::Readwrite),
            (Some(subject), None) if inherited => self.mode_in_force(&mut snapshot, subject).await,
            (Some(subject), None) => Err(RegistryError::SubjectModeNotFound(subject.name.clone())),
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
        if mode == Some(Mode::Forward) && subject.is_some() {
            return Err(RegistryError::ForwardIsGlobal);
        }
        let mut transaction = self.store.write().await?;
        let (context, scope) = place(subject);
        let before = match subject {
            Some(subject) => self.mode_in_force(&mut transaction, subject).await?,
            None => {
                let stored = settings::mode(&mut transaction, context, scope).await?;
                mode_in_force(None, stored)
            }
        };
        if mode == Some(Mode::Import) && before != Mode::Import && !force {
            clear_for_import(&mut transaction, subject).await?;
        }
        match mode {
            Some(mode) => settings::put_mode(&mut transaction, context, scope, mode).await?,
            None => settings::remove_mode(&mut transaction, context, scope).await?,
        }
        self.commit(transaction).await
    }

    /// Forgets a scope's mode and returns it. With `recursive`, the global scope takes the modes of
    /// all subjects with it, and a scope without a mode is no error.
    pub(crate) async fn delete_mode(
        &self,
        subject: Option<&Subject>,
        recursive: bool,
    ) -> Result<Option<Mode>, RegistryError> {
        self.permit_mode_change()?;
        let mut transaction = self.store.write().await?;
        let (context, scope) = place(subject);
        let stored = settings::mode(&mut transaction, context, scope).await?;
        let shown = match (subject, stored) {
            (Some(subject), None) if !recursive => {
                return Err(RegistryError::SubjectNotFound(subject.name.clone()));
            }
            (Some(_), stored) => stored,
            (None, stored) => Some(mode_in_force(None, stored)),
        };
        if subject.is_none() && recursive {
            settings::remove_modes(&mut transaction, context).await?;
        }
        settings::remove_mode(&mut transaction, context, scope).await?;
        self.commit(transaction).await?;
        Ok(shown)
    }

    /// The subject that requests for this one act on: itself, or the one its configuration names.
    pub(crate) async fn behind_alias(&self, subject: Subject) -> Result<Subject, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Subject { context, name } = &subject;
        let config = settings::config(&mut snapshot, context, name).await?;
        Ok(match config.and_then(|config| config.properties.alias) {
            None => subject,
            Some(alias) => Subject::within(&subject.context, &alias),
        })
    }

    pub(super) async fn config_in_force(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<ConfigBody, RegistryError> {
        let (context, scope) = place(Some(subject));
        let own = settings::config(connection, context, scope).await?;
        let mut around = settings::config(connection, context, GLOBAL).await?;
        if around.is_none() && context != DEFAULT_CONTEXT {
            around = settings::config(connection, DEFAULT_CONTEXT, GLOBAL).await?;
        }
        Ok(in_force(own, around, self.config.compatibility_default))
    }

    pub(super) async fn mode_in_force(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<Mode, RegistryError> {
        let (context, scope) = place(Some(subject));
        let own = settings::mode(connection, context, scope).await?;
        let mut around = settings::mode(connection, context, GLOBAL).await?;
        if around.is_none() && context != DEFAULT_CONTEXT {
            around = settings::mode(connection, DEFAULT_CONTEXT, GLOBAL).await?;
        }
        Ok(mode_in_force(own, around))
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
        let mode = match subject {
            Some(subject) => self.mode_in_force(connection, subject).await?,
            None => {
                let global = settings::mode(connection, DEFAULT_CONTEXT, GLOBAL).await?;
                mode_in_force(None, global)
            }
        };
        permit_change(mode, subject.map(|subject| subject.name.as_str()))
    }
}

/// Context and scope of a subject's settings, of a context's, or of the global ones: those of the
/// default context.
fn place(subject: Option<&Subject>) -> (&str, &str) {
    match subject {
        Some(subject) if subject.plain().is_empty() => (&subject.context, GLOBAL),
        Some(subject) => (&subject.context, &subject.name),
        None => (DEFAULT_CONTEXT, GLOBAL),
    }
}

async fn clear_for_import(
    connection: &mut Connection,
    subject: Option<&Subject>,
) -> Result<(), RegistryError> {
    let subjects = match subject {
        Some(subject) if !subject.plain().is_empty() => vec![subject.clone()],
        Some(_) | None => {
            let (context, _) = place(subject);
            let prefix = Prefix {
                context: Some(context.to_owned()),
                plain: String::new(),
            };
            let all = Visibility::WithDeleted;
            let names = versions::subjects(connection, &prefix, all, Page::ALL).await?;
            names.iter().map(|name| Subject::existing(name)).collect()
        }
    };
    let mut doomed = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let rows = versions::rows(connection, &subject.context, &subject.name).await?;
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
