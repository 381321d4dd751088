//! CPU-bound work, kept off the threads that serve sockets.
//!
//! Work on few bytes runs on the calling thread, since moving it would cost more than the work.
//! Larger work waits for a permit, so that it cannot use more cores than there are, and runs where
//! it does not delay other tasks.

use std::sync::{Arc, LazyLock};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{self, JoinError};

/// Maximum size of work that runs on the calling thread, in bytes of its input.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// Permits for large work; clones share them.
#[derive(Clone, Debug)]
pub struct ComputePool {
    permits: Arc<Semaphore>,
}

impl ComputePool {
    /// Creates a pool that runs up to `concurrency` large works at a time, at least one.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(concurrency.max(1))),
        }
    }

    /// Returns the pool of the process, with one permit for each core.
    #[must_use]
    pub fn shared() -> Self {
        // Cores belong to the process: two pools of this size would oversubscribe them.
        static SHARED: LazyLock<ComputePool> = LazyLock::new(|| ComputePool::new(cores()));
        SHARED.clone()
    }

    /// Runs `work`, whose input has `bytes` bytes, and returns its result. The future stays on its
    /// task, so work that borrows is possible, and the order of the task's steps is kept.
    pub async fn run<R>(&self, bytes: usize, work: impl FnOnce() -> R) -> R {
        if bytes <= INLINE_BYTES_MAX {
            return work();
        }
        let _permit = self.permit().await;
        run_blocking(work)
    }

    /// Runs `work`, whose input has `bytes` bytes, and returns its result. Large work runs on a
    /// blocking thread and completes even if the future is dropped, also below a runtime with one
    /// thread, such as an actix worker.
    ///
    /// # Errors
    /// Returns the panic of large work. Small work panics on the calling thread.
    pub async fn run_detached<R: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, JoinError> {
        if bytes <= INLINE_BYTES_MAX {
            return Ok(work());
        }
        let permit = self.permit().await;
        task::spawn_blocking(move || {
            // Dropping the future does not stop the thread: the permit ends with the work.
            let _permit = permit;
            work()
        })
        .await
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}

/// Returns the number of cores of this machine.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs `work` on the calling thread while another thread serves the other tasks of this one.
pub fn run_blocking<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => task::block_in_place(work),
        // A runtime with one thread has no other thread that could serve its tasks.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LARGE: usize = INLINE_BYTES_MAX + 1;

    // Conformance: contract/3h
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn large_work_delays_no_other_task() {
        // Both must be at the barrier at once, although one thread serves them.
        let met = Arc::new(Barrier::new(2));
        let pool = ComputePool::new(2);
        let works = [(); 2].map(|()| {
            let (met, pool) = (Arc::clone(&met), pool.clone());
            tokio::spawn(async move { pool.run(LARGE, || met.wait().is_leader()).await })
        });
        let mut leaders = 0;
        for work in works {
            leaders += usize::from(work.await.unwrap());
        }
        assert_eq!(leaders, 1);
    }

    /// Counts works that run at a time.
    #[derive(Default)]
    struct Running(AtomicUsize);

    impl Running {
        /// Returns the number of works that ran together with this one.
        fn work(&self) -> usize {
            let running = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::yield_now();
            self.0.fetch_sub(1, Ordering::SeqCst);
            running
        }
    }

    // Conformance: contract/3h
    // Conformance: registry/stores-14
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn large_works_are_limited_to_permits() {
        let pool = ComputePool::new(2);
        let running = Arc::new(Running::default());
        let works: Vec<_> = (0..32)
            .map(|at| {
                let (pool, running) = (pool.clone(), Arc::clone(&running));
                tokio::spawn(async move {
                    if at % 2 == 0 {
                        return pool.run(LARGE, || running.work()).await;
                    }
                    let detached = Arc::clone(&running);
                    let worked = pool.run_detached(LARGE, move || detached.work());
                    worked.await.unwrap()
                })
            })
            .collect();
        for work in works {
            assert!(work.await.unwrap() <= 2);
        }
    }

    // Conformance: registry/stores-14
    #[tokio::test]
    async fn panicking_work_returns_its_permit() {
        let pool = ComputePool::new(1);
        let panicked = pool.run_detached(LARGE, || panic!("broken")).await;
        assert!(panicked.is_err_and(|error: JoinError| error.is_panic()));
        assert_eq!(pool.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn single_thread_runtime_runs_work_inline() {
        let pool = ComputePool::new(1);
        let here = std::thread::current().id();
        for bytes in [0, INLINE_BYTES_MAX, LARGE] {
            let ran = pool.run(bytes, || std::thread::current().id()).await;
            assert_eq!(ran, here);
        }
    }
}
