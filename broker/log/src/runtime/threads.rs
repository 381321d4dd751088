//! The threads of a log: the writer, which commits rounds, the flusher, which follows it with
//! segments and checkpoints, and one that has the next WAL slot ready. They decide nothing
//! themselves.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::api::LogError;
use crate::locks::lock;
use crate::recovery::Opened;
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::Wish;
use crate::runtime::writer::Writer;
use crate::storage::StorageError;
use crate::wal::{WalLimits, prepare_spare};

/// Ends the threads when the last clone of the log is dropped. That is no close: what is queued is
/// still written, but no checkpoint is taken.
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
        let for_spare = Arc::clone(&shared);
        let running = vec![
            spawn("log-spare", move || prepare_spares(&for_spare)),
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

    /// No threads: tests drive the log themselves.
    #[cfg(test)]
    pub(crate) fn none(shared: Arc<Shared>, flusher: Arc<Flusher>) -> Self {
        Self {
            shared,
            flusher,
            running: Mutex::default(),
        }
    }

    /// Drains the queue, ends the threads and takes the last checkpoint. A second call does
    /// nothing.
    pub(crate) fn close(&self, shared: &Shared) -> Result<(), LogError> {
        self.stop();
        let mut running = lock(&self.running);
        let was_running = !running.is_empty();
        for thread in running.drain(..) {
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
            let taken = self.flusher.final_checkpoint();
            taken.map_err(|error| LogError::StorageFailed(error.to_string()))?;
        }
        Ok(())
    }

    fn stop(&self) {
        self.shared.queue.close();
        self.shared.wake_flusher.raise(Wish::Stop);
        self.shared.wake_spare.raise(Wish::Stop);
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
    while let Some(jobs) = shared.queue.wait_for_round(shared.config.round_bytes_max) {
        let commit = AssertUnwindSafe(|| writer.commit(jobs));
        if panic::catch_unwind(commit).is_err() {
            // What was decided may not be written: nothing may be decided on top of it.
            shared.note_failure(&StorageError::Failed(
                "the log's writer panicked".to_owned(),
            ));
        }
    }
}

/// A spare slot that cannot be made costs speed only, unless a sync failed.
fn prepare_spares(shared: &Shared) {
    let (dir, limits) = (shared.wal_dir(), WalLimits::of(&shared.config));
    loop {
        match shared.wake_spare.wait() {
            Wish::Stop => return,
            Wish::Flush | Wish::Checkpoint => {}
        }
        if let Err(error) = prepare_spare(&*shared.disk, &dir, limits, &shared.slots) {
            shared.note_failure(&error);
        }
    }
}

fn follow(shared: &Shared, flusher: &Flusher) {
    loop {
        let result = match shared.wake_flusher.wait() {
            Wish::Flush => flusher.flush(),
            Wish::Checkpoint => flusher.checkpoint(),
            Wish::Stop => return,
        };
        match result {
            Ok(()) => {}
            Err(StorageError::Failed(_)) => return,
            Err(error) => tracing::warn!(%error, "segments fall behind; it is tried again"),
        }
    }
}
