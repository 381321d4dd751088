//! Backups of a node (`/v1/backups`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A request for a backup (`POST /v1/backups`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The absolute path of a directory on the node's machine. It does not exist, or it is empty.
    pub to: String,
}

/// A backup, running or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupBody {
    /// The number of the backup since the node started.
    pub id: u64,
    /// The directory.
    pub to: String,
    /// The state.
    pub state: BackupState,
    /// Number of complete files.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Estimated size in bytes; 0 until it is known.
    pub bytes_expected: u64,
    /// The parts of the node that the backup contains.
    pub parts: Vec<BackupPart>,
    /// The registry that the backup does not contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<OmittedRegistry>,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    /// Files are being copied.
    Running,
    /// The backup is complete and durable.
    Completed,
    /// The backup failed and its files were removed.
    Failed,
}

/// A part of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum BackupPart {
    /// The log and the metadata of the broker.
    Broker,
    /// The SQLite database of the registry.
    Registry,
}

/// A registry that is not part of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OmittedRegistry {
    /// The registry of the node is in PostgreSQL.
    Postgres,
    /// The registry is another process.
    Remote,
}

impl fmt::Display for OmittedRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => {
                "the registry is in PostgreSQL and not part of the backup; back it up with pg_dump"
            }
            Self::Remote => "the registry at registry-url is not part of the backup",
        })
    }
}
