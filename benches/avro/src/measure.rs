//! Measurement on a shared machine: CPU time of this thread, cases alternating in every round,
//! medians over the rounds.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// Something to measure. `work` runs once per call and returns a number that must be the same
/// every time.
pub(crate) struct Case<'a> {
    pub(crate) name: &'static str,
    pub(crate) work: Box<dyn FnMut() -> u64 + 'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(name: &'static str, work: impl FnMut() -> u64 + 'a) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Minimum CPU time of one round of one case.
const ROUND_NS: u64 = 20_000_000;

/// Returns the median CPU time of one call of each case, in ns.
pub(crate) fn medians(cases: &mut [Case<'_>], rounds: usize) -> Vec<f64> {
    let runs: Vec<u64> = cases.iter_mut().map(runs_a_round).collect();
    let mut times = vec![Vec::with_capacity(rounds); cases.len()];
    for _ in 0..rounds {
        for ((case, runs), times) in cases.iter_mut().zip(&runs).zip(&mut times) {
            times.push(round_ns(case, *runs));
        }
    }
    times.into_iter().map(median).collect()
}

/// Returns the mean CPU time of one call in a round of `runs` calls, in ns.
pub(crate) fn round_ns(case: &mut Case<'_>, runs: u64) -> f64 {
    let start = thread_ns();
    for _ in 0..runs {
        // Without it the compiler could remove work whose result is not used.
        black_box((case.work)());
    }
    (thread_ns() - start) as f64 / runs as f64
}

/// Returns the number of calls per round; also warms the case up.
pub(crate) fn runs_a_round(case: &mut Case<'_>) -> u64 {
    let mut runs = 1;
    loop {
        let start = thread_ns();
        for _ in 0..runs {
            black_box((case.work)());
        }
        if thread_ns() - start >= ROUND_NS {
            return runs;
        }
        runs *= 2;
    }
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let ns = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    u64::try_from(ns).expect("CPU time is not negative")
}
