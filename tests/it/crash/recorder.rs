//! The history, recorded by several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use avouch_history::{Event, History};

#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    history: Arc<Mutex<History>>,
    acked: Arc<AtomicUsize>,
}

impl Recorder {
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, event: Event) {
        let is_ack = matches!(event, Event::Acked { .. });
        // Counted after it is recorded: a counted acknowledgement is always in the history.
        self.history().record(event);
        self.acked.fetch_add(usize::from(is_ack), Ordering::Relaxed);
    }

    /// Returns the number of records acknowledged so far.
    pub(super) fn acked(&self) -> usize {
        self.acked.load(Ordering::Relaxed)
    }
}
