//! Keeps a connection's batches in the order of its requests.
//!
//! The log appends batches in the order in which it receives them. A batch whose contract or schema
//! changed before it got its offset is appended again later; until that is settled, newer requests
//! of the connection wait.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use avouch_log::Guard;
use tokio::sync::Notify;

/// The requests of a connection whose outcomes are pending. One task appends, another one settles,
/// both in the order of the requests.
#[derive(Debug, Default)]
pub(crate) struct AppendOrder {
    /// The guards of each request, oldest first. Bounded by the requests in flight of a connection.
    pending: Mutex<VecDeque<Vec<Guard>>>,
    settled: Notify,
}

impl AppendOrder {
    /// Waits until no pending batch needs to be appended again.
    pub(super) async fn wait(&self) {
        // A guard may still fail between here and the writer; batches under the same contract then
        // fail together and keep their order.
        while self.has_failed_guard() {
            self.settled.notified().await;
        }
    }

    /// Adds a request, directly before its batches are appended.
    pub(super) fn push(&self, guards: Vec<Guard>) {
        self.lock().push_back(guards);
    }

    /// Removes the oldest request, which has all its outcomes.
    pub(super) fn pop(&self) {
        self.lock().pop_front();
        self.settled.notify_one();
    }

    fn has_failed_guard(&self) -> bool {
        self.lock().iter().flatten().any(|guard| !guard.holds())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<Guard>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn requests_wait_for_batches_with_failed_guards() {
        let revision = Arc::new(AtomicU64::new(1));
        let guard = Guard::new(Arc::clone(&revision), 1);
        let order = AppendOrder::default();
        order.push(vec![guard.clone()]);
        order.push(vec![guard]);
        assert!(order.wait().now_or_never().is_some());
        revision.store(2, Ordering::Release);
        for _ in 0..2 {
            assert!(order.wait().now_or_never().is_none());
            order.pop();
        }
        assert!(order.wait().now_or_never().is_some());
    }
}
