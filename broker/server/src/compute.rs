//! Work that takes a core for long, kept off the threads that serve sockets.
//!
//! Small work runs where it is: handing it over would cost more than it does. Large work runs while
//! another thread takes over what this one serves, a few at a time, so that it can neither hold up
//! other connections nor take all cores. It stays in its place among what its task does, so a
//! connection's order is not its business. Knows nothing of what is worked on.

use std::sync::Arc;

use avouch_contract::Executor;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task;

/// Work on so many bytes runs where it is.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;

/// Places for large work.
#[derive(Clone, Debug)]
pub(crate) struct Compute {
    places: Arc<Semaphore>,
}

impl Compute {
    /// `places` large works run at a time, at least one.
    #[must_use]
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
        }
    }

    /// Does `work` on `bytes` bytes, when there is a place for it.
    pub(crate) async fn run<R>(&self, bytes: usize, work: impl FnOnce() -> R) -> R {
        if bytes <= INLINE_BYTES_MAX {
            return work();
        }
        let _place = self
            .places
            .acquire()
            .await
            .expect("the semaphore is never closed");
        apart(work)
    }
}

impl Executor for Compute {
    async fn run<R: Send>(&self, bytes: usize, work: impl FnOnce() -> R + Send) -> R {
        Self::run(self, bytes, work).await
    }
}

impl Default for Compute {
    /// As many places as there are cores.
    fn default() -> Self {
        Self::new(cores())
    }
}

/// Cores of this machine.
#[must_use]
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Does `work` while another thread serves what this one does. A runtime with one thread has none
/// to take over.
pub(crate) fn apart<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    // Conformance: contract/3h
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn large_work_holds_up_no_other_task() {
        // Both must be there at once, although one thread serves them.
        let met = Arc::new(Barrier::new(2));
        let compute = Compute::new(2);
        let works = [(); 2].map(|()| {
            let (met, compute) = (Arc::clone(&met), compute.clone());
            tokio::spawn(async move {
                compute
                    .run(INLINE_BYTES_MAX + 1, || met.wait().is_leader())
                    .await
            })
        });
        let mut leaders = 0;
        for work in works {
            leaders += usize::from(work.await.unwrap());
        }
        assert_eq!(leaders, 1);
    }

    // Conformance: contract/3h
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_large_work_runs_than_there_are_places() {
        let compute = Compute::new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let works: Vec<_> = (0..16)
            .map(|_| {
                let (compute, running) = (compute.clone(), Arc::clone(&running));
                tokio::spawn(async move {
                    compute
                        .run(INLINE_BYTES_MAX + 1, || {
                            let most = running.fetch_add(1, Ordering::SeqCst) + 1;
                            std::thread::yield_now();
                            running.fetch_sub(1, Ordering::SeqCst);
                            most
                        })
                        .await
                })
            })
            .collect();
        for work in works {
            assert!(work.await.unwrap() <= 2);
        }
    }

    #[tokio::test]
    async fn small_work_and_a_runtime_with_one_thread_need_no_other() {
        let compute = Compute::new(1);
        let here = std::thread::current().id();
        for bytes in [0, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1] {
            let ran = compute.run(bytes, || std::thread::current().id()).await;
            assert_eq!(ran, here);
        }
    }
}
