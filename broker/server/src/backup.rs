//! The parts of a broker that a backup contains. The caller copies the files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use avouch_log::{LogError, Snapshot};

use crate::metadata::StoreError;
use crate::node::Node;
use crate::schema_snapshot;

/// Access to a running broker for backups; clones share it.
///
/// Take the log before the metadata: then the metadata has every topic of a record in the log.
#[derive(Clone, Debug)]
pub struct BackupSource {
    // Weak, because HTTP routes hold it until their server has ended.
    node: Weak<Node>,
    cluster_id: String,
    node_id: i32,
    schema_snapshot: Option<PathBuf>,
}

impl BackupSource {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        let config = &node.config;
        let schemas = config.data_dir.join(schema_snapshot::FILE);
        Self {
            node: Arc::downgrade(node),
            cluster_id: node.metadata.cluster_id().to_owned(),
            node_id: config.node_id,
            schema_snapshot: config.keep_schemas.then_some(schemas),
        }
    }

    /// Returns the cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Returns the broker's id.
    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// Returns the log as of now. Blocks.
    ///
    /// # Errors
    /// If the disk is full or failed, or the log is closed.
    pub fn log(&self) -> Result<Snapshot, LogError> {
        let stopped = || LogError::StorageFailed("the broker is stopped".to_owned());
        self.node.upgrade().ok_or_else(stopped)?.log.snapshot()
    }

    /// Writes a copy of the metadata to the file `to`, which must not exist, without a sync. The
    /// producer ids that the broker may assign after this call are skipped in the copy.
    ///
    /// # Errors
    /// If the database cannot be read or the file cannot be written.
    pub async fn copy_metadata(&self, to: &Path) -> Result<(), StoreError> {
        let node = self.node.upgrade().ok_or(sqlx::Error::PoolClosed)?;
        node.metadata.copy(to).await
    }

    /// Returns the file with the known schemas of a standalone broker; it is replaced as a whole.
    #[must_use]
    pub fn schema_snapshot(&self) -> Option<&Path> {
        self.schema_snapshot.as_deref()
    }
}
