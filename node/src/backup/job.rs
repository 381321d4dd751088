//! One backup: copies the log as of one point in time, then the databases as of later ones.
//!
//! The order makes the parts consistent: the metadata has every topic of a record in the log, and
//! the registry every schema id.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use avouch_broker::{BackupSource, METADATA_FILE, StoreError};
use avouch_log::{LogError, SnapshotContent};
use avouch_net::Clock;
use avouch_registry::{CopyError, Registry};
use avouch_registry_api::rest::{BackupBody, BackupPart, BackupState, OmittedRegistry};
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::files::{self, FileError, FileSum, Progress};
use super::manifest::{BackupFile, DATA, Manifest};
use crate::{REGISTRY_FILE, data_dir};

/// Content of the format file, so that no node starts on the files of a backup and changes them.
const GUARD: &str = "backup; use avouch restore";

/// The parts of the node that a backup reads.
#[derive(Clone, Debug)]
pub(crate) struct BackupSources {
    pub(crate) data_dir: PathBuf,
    pub(crate) broker: Option<BackupSource>,
    /// A registry with an SQLite database.
    pub(crate) registry: Option<Registry>,
    pub(crate) omitted: Option<OmittedRegistry>,
}

impl BackupSources {
    pub(super) fn parts(&self) -> Vec<BackupPart> {
        let broker = self.broker.is_some().then_some(BackupPart::Broker);
        let registry = self.registry.is_some().then_some(BackupPart::Registry);
        broker.into_iter().chain(registry).collect()
    }
}

/// The reason of a failed backup.
#[derive(Debug, Error)]
pub(super) enum BackupError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the log: {0}")]
    Log(#[from] LogError),
    #[error(transparent)]
    Metadata(#[from] StoreError),
    #[error(transparent)]
    Registry(#[from] CopyError),
    #[error("the task ended: {0}")]
    Task(#[from] JoinError),
}

/// A backup, running or ended.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    to: PathBuf,
    parts: Vec<BackupPart>,
    omitted: Option<OmittedRegistry>,
    pub(super) progress: Arc<Progress>,
    outcome: OnceLock<Result<(), BackupError>>,
}

impl Job {
    pub(super) fn new(id: u64, to: &Path, sources: &BackupSources) -> Self {
        Self {
            id,
            to: to.to_owned(),
            parts: sources.parts(),
            omitted: sources.omitted,
            progress: Arc::default(),
            outcome: OnceLock::new(),
        }
    }

    /// Records the outcome; only the first call has an effect.
    pub(super) fn finish(&self, outcome: Result<(), BackupError>) {
        // A job ends once.
        drop(self.outcome.set(outcome));
    }

    pub(super) fn body(&self) -> BackupBody {
        // Read first, so that the counters of an ended backup are the final ones.
        let (state, error) = match self.outcome.get() {
            None => (BackupState::Running, None),
            Some(Ok(())) => (BackupState::Completed, None),
            Some(Err(error)) => (BackupState::Failed, Some(error.to_string())),
        };
        let progress = &self.progress;
        BackupBody {
            id: self.id,
            to: self.to.display().to_string(),
            state,
            files: progress.files.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            bytes_expected: progress.bytes_expected.load(Ordering::Relaxed),
            parts: self.parts.clone(),
            omitted: self.omitted,
            error,
        }
    }
}

/// Writes a backup into the empty directory `dir`.
pub(super) async fn write(
    sources: &BackupSources,
    dir: &Path,
    progress: &Arc<Progress>,
) -> Result<(), BackupError> {
    let mut manifest = Manifest::new(Clock::start().now().0);
    manifest.parts = sources.parts();
    manifest.omitted = sources.omitted;
    let data = dir.join(DATA);
    files::create_dir(&data)?;
    if let Some(broker) = &sources.broker {
        manifest.cluster_id = Some(broker.cluster_id().to_owned());
        manifest.node_id = Some(broker.node_id());
        // The log first: topics and schemas exist before the records that need them.
        manifest.files = copy_log(broker, &data, progress).await?;
        let to = data.join(METADATA_FILE);
        broker.copy_metadata(&to).await?;
        let sum = adopt(to, progress).await?;
        manifest
            .files
            .push(BackupFile::new(METADATA_FILE.to_owned(), sum));
        manifest
            .files
            .extend(copy_schemas(broker, &data, progress).await?);
    }
    if let Some(registry) = &sources.registry {
        let to = data.join(REGISTRY_FILE);
        registry.copy(&to).await?;
        let sum = adopt(to, progress).await?;
        manifest
            .files
            .push(BackupFile::new(REGISTRY_FILE.to_owned(), sum));
    }
    let (dir, progress) = (dir.to_owned(), Arc::clone(progress));
    Ok(spawn_blocking(move || seal(manifest, &dir, &progress)).await??)
}

async fn copy_log(
    broker: &BackupSource,
    data: &Path,
    progress: &Arc<Progress>,
) -> Result<Vec<BackupFile>, BackupError> {
    let (broker, data, progress) = (broker.clone(), data.to_owned(), Arc::clone(progress));
    spawn_blocking(move || {
        let snapshot = broker.log()?;
        let size = |content: &SnapshotContent| match content {
            SnapshotContent::Bytes(bytes) => bytes.len() as u64,
            SnapshotContent::Prefix { bytes, .. } => *bytes,
        };
        let sizes = snapshot.files().iter().map(|file| size(&file.content));
        progress
            .bytes_expected
            .store(sizes.sum(), Ordering::Relaxed);
        let mut copied = Vec::new();
        for file in snapshot.files() {
            let name = Path::new("log").join(&file.name);
            let to = data.join(&name);
            files::create_dir(to.parent().unwrap_or(&data))?;
            let sum = match &file.content {
                SnapshotContent::Bytes(content) => files::write(&to, content, &progress)?,
                SnapshotContent::Prefix { path, bytes } => {
                    files::copy(path, *bytes, &to, &progress)?
                }
            };
            copied.push(BackupFile::new(name.display().to_string(), sum));
        }
        Ok(copied)
    })
    .await?
}

/// Copies the known schemas of a standalone broker.
async fn copy_schemas(
    broker: &BackupSource,
    data: &Path,
    progress: &Arc<Progress>,
) -> Result<Option<BackupFile>, BackupError> {
    let Some(path) = broker.schema_snapshot().map(Path::to_owned) else {
        return Ok(None);
    };
    let (data, progress) = (data.to_owned(), Arc::clone(progress));
    let copied = spawn_blocking(move || {
        let Ok(content) = std::fs::read(&path) else {
            // It is written once there are schemas, and the registry has them all.
            return Ok(None);
        };
        let name = path.file_name().unwrap_or_default();
        let sum = files::write(&data.join(name), &content, &progress)?;
        Ok(Some(BackupFile::new(name.display().to_string(), sum)))
    });
    copied.await?
}

async fn adopt(path: PathBuf, progress: &Arc<Progress>) -> Result<FileSum, BackupError> {
    let progress = Arc::clone(progress);
    Ok(spawn_blocking(move || files::adopt(&path, &progress)).await??)
}

/// Makes all names durable, then writes the manifest.
fn seal(mut manifest: Manifest, dir: &Path, progress: &Progress) -> Result<(), FileError> {
    let data = dir.join(DATA);
    files::write(
        &data.join(data_dir::FORMAT_FILE),
        GUARD.as_bytes(),
        progress,
    )?;
    for directory in manifest.directories(&data) {
        files::sync_dir(&directory)?;
    }
    files::sync_dir(dir)?;
    if progress.is_stopped() {
        return Err(FileError::Stopped);
    }
    manifest.write(dir)?;
    files::sync_dir(dir.parent().unwrap_or(dir))
}
