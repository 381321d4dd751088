//! Backups of a running node, and their restoration.
//!
//! A backup is a directory with a manifest and, in `data`, the files of a data directory. One
//! backup is written at a time, by a task that stops with the node. Nothing of it survives the
//! process except the directory, which is no backup without its manifest.

mod files;
mod job;
mod manifest;
mod restore;
pub(crate) mod routes;
mod target;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub use self::files::FileError;
pub(crate) use self::job::BackupSources;
use self::job::Job;
pub use self::manifest::{BackupFile, BadBackup, Manifest, verify_backup};
pub use self::restore::{RestoreError, restore};
use self::target::{BadTarget, Target};

/// Number of backups whose state is kept.
const KEPT_JOBS: usize = 16;

/// The backups of a node; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Backups(Arc<Service>);

#[derive(Debug)]
struct Service {
    sources: BackupSources,
    runtime: Handle,
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Jobs {
    last_id: u64,
    kept: VecDeque<Arc<Job>>,
    task: Option<JoinHandle<()>>,
    is_stopped: bool,
}

/// The reason why a backup was not started.
#[derive(Debug, Error)]
enum NotStarted {
    #[error("backup {id} is running; try again when it has ended")]
    Busy { id: u64 },
    #[error("the node stops")]
    Stopped,
    #[error("the node has nothing to back up: {0}")]
    Nothing(&'static str),
    #[error(transparent)]
    Target(#[from] BadTarget),
}

impl Backups {
    /// Returns the backups of a node with these parts. They run on the current runtime.
    pub(crate) fn new(sources: BackupSources) -> Self {
        Self(Arc::new(Service {
            sources,
            runtime: Handle::current(),
            jobs: Mutex::default(),
        }))
    }

    /// Starts a backup into the directory `to`.
    fn start(&self, to: &Path) -> Result<Arc<Job>, NotStarted> {
        let service = &self.0;
        let mut jobs = service.jobs();
        if jobs.is_stopped {
            return Err(NotStarted::Stopped);
        }
        if jobs.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return Err(NotStarted::Busy { id: jobs.last_id });
        }
        if service.sources.parts().is_empty() {
            return Err(NotStarted::Nothing("its registry is in PostgreSQL"));
        }
        let target = Target::create(to, &service.sources.data_dir)?;
        jobs.last_id += 1;
        let job = Arc::new(Job::new(jobs.last_id, to, &service.sources));
        jobs.kept.push_back(Arc::clone(&job));
        if jobs.kept.len() > KEPT_JOBS {
            jobs.kept.pop_front();
        }
        let running = run(service.sources.clone(), Arc::clone(&job), target);
        jobs.task = Some(service.runtime.spawn(running));
        Ok(job)
    }

    /// Returns a backup of this process, unless many were started after it.
    fn find(&self, id: u64) -> Option<Arc<Job>> {
        let jobs = self.0.jobs();
        jobs.kept.iter().find(|job| job.id == id).cloned()
    }

    /// Stops a running backup, removes its files, and rejects further ones.
    pub(crate) async fn stop(&self) {
        let task = {
            let mut jobs = self.0.jobs();
            jobs.is_stopped = true;
            if let Some(job) = jobs.kept.back() {
                job.progress.stop();
            }
            jobs.task.take()
        };
        if let Some(task) = task {
            // A task that panicked has ended too.
            drop(task.await);
        }
    }
}

impl Service {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(sources: BackupSources, job: Arc<Job>, target: Target) {
    let (id, to) = (job.id, target.path().display().to_string());
    tracing::info!(id, to, "backup started");
    let written = job::write(&sources, target.path(), &job.progress).await;
    match &written {
        Ok(()) => tracing::info!(id, to, "backup completed"),
        Err(error) => {
            tracing::error!(id, to, %error, "backup failed");
            if let Err(error) = target.remove() {
                tracing::warn!(to, %error, "cannot remove the files of a failed backup");
            }
        }
    }
    job.finish(written);
}
