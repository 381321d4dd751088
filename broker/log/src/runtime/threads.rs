//! The threads of a log: the writer commits batches of jobs, the flusher writes segments and
//! checkpoints, and a third one preallocates the next WAL file.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::api::LogError;
use crate::locks::lock;
use crate::recovery::Opened;
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::FlusherTask;
use crate::runtime::writer::Writer;
use crate::storage::StorageError;
use crate::wal::{WalLimits, preallocate_file};

/// Stops the threads when the last clone of the log is dropped. Queued jobs are still committed,
/// but no checkpoint is taken.
#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    pub(crate) flusher: Arc<Flusher>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start(opened: Opened) -> Self {
        let Opened {
            shared,
            writer,
            flusher,
            report: _,
        } = opened;
        let for_writer = Arc::clone(&shared);
        let for_flusher = (Arc::clone(&shared), Arc::clone(&flusher));
        let for_preallocator = Arc::clone(&shared);
        let running = vec![
            spawn("log-spare", move || preallocate_files(&for_preallocator)),
            spawn("log-writer", move || write(writer, &for_writer)),
            spawn("log-flusher", move || {
                follow(&for_flusher.0, &for_flusher.1);
            }),
        ];
        Self {
            shared,
            flusher,
            running: Mutex::new(running),
        }
    }

    /// Starts no threads, for tests that run each step themselves.
    #[cfg(test)]
    pub(crate) fn none(shared: Arc<Shared>, flusher: Arc<Flusher>) -> Self {
        Self {
            shared,
            flusher,
            running: Mutex::default(),
        }
    }

    /// Drains the queue, stops the threads and takes the last checkpoint. A second call has no
    /// effect.
    pub(crate) fn close(&self, shared: &Shared) -> Result<(), LogError> {
        self.stop();
        let mut running = lock(&self.running);
        let was_running = !running.is_empty();
        for thread in running.drain(..) {
            // A panic leaves a partly written segment, so the next start must recover from the WAL.
            if thread.join().is_err() {
                shared.note_failure(&StorageError::Failed(
                    "the log's flusher panicked".to_owned(),
                ));
            }
        }
        drop(running);
        if let Some(reason) = shared.poison() {
            return Err(LogError::StorageFailed(reason.to_owned()));
        }
        if was_running {
            // All threads have ended, so nothing is appended after this checkpoint and a start
            // replays nothing.
            let taken = self.flusher.final_checkpoint();
            taken.map_err(|error| LogError::StorageFailed(error.to_string()))?;
        }
        Ok(())
    }

    fn stop(&self) {
        // The order matters: the writer drains the queue before it stops, and may still wake the
        // flusher.
        self.shared.queue.close();
        self.shared.wake_flusher.raise(FlusherTask::Stop);
        self.shared.wake_preallocator.raise(FlusherTask::Stop);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .expect("a process that cannot start three threads cannot serve")
}

fn write(mut writer: Writer, shared: &Shared) {
    while let Some(jobs) = shared.queue.wait_for_batch(shared.config.commit_bytes_max) {
        let commit = AssertUnwindSafe(|| writer.commit(jobs));
        if panic::catch_unwind(commit).is_err() {
            // The decided changes may not be written, so no further change may be decided after
            // them.
            shared.note_failure(&StorageError::Failed(
                "the log's writer panicked".to_owned(),
            ));
        }
    }
}

/// Preallocates files on request. A failure costs only speed, unless it is a failed sync.
fn preallocate_files(shared: &Shared) {
    let (dir, limits) = (shared.wal_dir(), WalLimits::of(&shared.config));
    loop {
        match shared.wake_preallocator.wait() {
            FlusherTask::Stop => return,
            FlusherTask::Flush | FlusherTask::Checkpoint => {}
        }
        if let Err(error) = preallocate_file(&*shared.disk, &dir, limits, &shared.wal_files) {
            shared.note_failure(&error);
        }
    }
}

fn follow(shared: &Shared, flusher: &Flusher) {
    loop {
        let result = match shared.wake_flusher.wait() {
            FlusherTask::Flush => flusher.flush(),
            FlusherTask::Checkpoint => flusher.checkpoint(),
            FlusherTask::Stop => return,
        };
        match result {
            Ok(()) => {}
            // The log is poisoned: no further checkpoint may be taken.
            Err(StorageError::Failed(_)) => return,
            // The listener received the error, and the next task repeats the write.
            Err(StorageError::Full | StorageError::WalFull | StorageError::NoHandle(_)) => {}
        }
    }
}
