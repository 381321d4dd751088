//! `/config` and `/mode`, each for the whole registry or for one subject or context.

use super::{ClientError, RegistryClient};
use crate::rest::{ConfigBody, ModeBody, StoredConfigBody};
use crate::types::Mode;

impl RegistryClient {
    /// Returns the configuration of a subject, or the global one: `GET /config` and
    /// `GET /config/{subject}`. With `inherited`, the effective one of a subject that has none.
    ///
    /// # Errors
    /// Code 40408 when the subject has no configuration; see [`ClientError`].
    pub async fn config(
        &self,
        subject: Option<&str>,
        inherited: bool,
    ) -> Result<ConfigBody, ClientError> {
        let request = self.get(&scope("config", subject));
        request.flag("defaultToGlobal", inherited).send().await
    }

    /// Changes a configuration and returns what is stored then: `PUT /config` and
    /// `PUT /config/{subject}`. Properties that the request leaves out stay.
    ///
    /// # Errors
    /// Code 42203 for an unknown level, 42205 in a read-only mode; see [`ClientError`].
    pub async fn set_config(
        &self,
        subject: Option<&str>,
        config: &StoredConfigBody,
    ) -> Result<StoredConfigBody, ClientError> {
        let request = self.put(&scope("config", subject));
        request.json(config).send().await
    }

    /// Deletes a configuration and returns it: `DELETE /config` and `DELETE /config/{subject}`.
    ///
    /// # Errors
    /// Code 40401 when the subject has none; see [`ClientError`].
    pub async fn delete_config(&self, subject: Option<&str>) -> Result<ConfigBody, ClientError> {
        self.delete(&scope("config", subject)).send().await
    }

    /// Returns the mode of a subject, or the global one: `GET /mode` and `GET /mode/{subject}`.
    /// With `inherited`, the effective one of a subject that has none.
    ///
    /// # Errors
    /// Code 40409 when the subject has no mode; see [`ClientError`].
    pub async fn mode(
        &self,
        subject: Option<&str>,
        inherited: bool,
    ) -> Result<Option<Mode>, ClientError> {
        let request = self.get(&scope("mode", subject));
        let body: ModeBody = request.flag("defaultToGlobal", inherited).send().await?;
        Ok(body.mode)
    }

    /// Sets a mode, or clears it with `None`: `PUT /mode` and `PUT /mode/{subject}`. Mode `IMPORT`
    /// needs an empty scope unless `force` is set.
    ///
    /// # Errors
    /// Code 42205 when modes cannot be changed; see [`ClientError`].
    pub async fn set_mode(
        &self,
        subject: Option<&str>,
        mode: Option<Mode>,
        force: bool,
    ) -> Result<(), ClientError> {
        let request = self.put(&scope("mode", subject)).flag("force", force);
        request.json(&ModeBody { mode }).send_for_nothing().await
    }

    /// Deletes a mode and returns it: `DELETE /mode` and `DELETE /mode/{subject}`. With
    /// `recursive`, those of a context's subjects are deleted too.
    ///
    /// # Errors
    /// Code 40401 when the subject has none; see [`ClientError`].
    pub async fn delete_mode(
        &self,
        subject: Option<&str>,
        recursive: bool,
    ) -> Result<Option<Mode>, ClientError> {
        let request = self.delete(&scope("mode", subject));
        let body: ModeBody = request.flag("recursive", recursive).send().await?;
        Ok(body.mode)
    }
}

fn scope<'a>(root: &'a str, subject: Option<&'a str>) -> Vec<&'a str> {
    [root].into_iter().chain(subject).collect()
}
