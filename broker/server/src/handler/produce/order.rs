//! Keeps a connection's batches in the order of its requests.
//!
//! The log appends batches in the order in which they are handed to it. Only a batch whose contract
//! or schema changed before it got its offset is handed over again, later. While there may be such
//! a one, nothing newer of its connection is handed over.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use avouch_log::Guard;
use tokio::sync::Notify;

/// What one connection has handed to the log and not heard of yet. One task hands over, another
/// one settles, both in the order of the requests.
#[derive(Debug, Default)]
pub(crate) struct AppendOrder {
    /// The guards of each request, oldest first; as many requests as a connection may pipeline.
    unsettled: Mutex<VecDeque<Vec<Guard>>>,
    settled: Notify,
}

impl AppendOrder {
    /// Returns when nothing that was handed over may have to be handed over again, except together
    /// with what is handed over now.
    pub(super) async fn wait(&self) {
        while self.has_lapsed() {
            self.settled.notified().await;
        }
    }

    /// A request's batches are about to be handed over under these guards.
    pub(super) fn begin(&self, guards: Vec<Guard>) {
        self.lock().push_back(guards);
    }

    /// The oldest request has all its outcomes.
    pub(super) fn settle(&self) {
        self.lock().pop_front();
        self.settled.notify_one();
    }

    fn has_lapsed(&self) -> bool {
        self.lock().iter().flatten().any(|guard| !guard.holds())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<Guard>>> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::FutureExt;

    use super::*;

    // Conformance: broker/produce-7
    #[test]
    fn nothing_passes_a_batch_whose_guard_has_lapsed_until_it_is_settled() {
        let revision = Arc::new(AtomicU64::new(1));
        let guard = Guard::new(Arc::clone(&revision), 1);
        let order = AppendOrder::default();
        order.begin(vec![guard.clone()]);
        order.begin(vec![guard]);
        assert!(order.wait().now_or_never().is_some());
        revision.store(2, Ordering::Release);
        for _ in 0..2 {
            assert!(order.wait().now_or_never().is_none());
            order.settle();
        }
        assert!(order.wait().now_or_never().is_some());
    }
}
