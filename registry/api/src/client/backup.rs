//! Backups of a node, which only Avouch has.

use super::{ClientError, RegistryClient};
use crate::rest::{BackupBody, BackupRequest};

impl RegistryClient {
    /// Starts a backup into a directory on the node's machine: `POST /v1/backups`.
    ///
    /// # Errors
    /// Code 409 while another backup runs; see [`ClientError`].
    pub async fn start_backup(&self, request: &BackupRequest) -> Result<BackupBody, ClientError> {
        self.post(&["v1", "backups"]).json(request).send().await
    }

    /// Returns the state of a backup: `GET /v1/backups/{id}`.
    ///
    /// # Errors
    /// Code 404 if the node started no such backup; see [`ClientError`].
    pub async fn backup(&self, id: u64) -> Result<BackupBody, ClientError> {
        self.get(&["v1", "backups", &id.to_string()]).send().await
    }
}
