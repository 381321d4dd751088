//! Latency of one sync on this disk, by which durable records may be slower than others.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::Result;
use avouch_tests::checkout;
use avouch_tests::deadline::now;

const BYTES: usize = 4_096;
const WRITES_PER_ROUND: u64 = 200;

/// A file that is already written to its full size, so that overwriting it changes no metadata.
#[derive(Debug)]
pub(crate) struct Syncs {
    file: File,
    times: Vec<Duration>,
}

impl Syncs {
    pub(crate) fn new() -> Result<Self> {
        let file = tempfile::tempfile_in(checkout().join("target"))?;
        let zeros = vec![0; BYTES * usize::try_from(WRITES_PER_ROUND)?];
        file.write_all_at(&zeros, 0)?;
        file.sync_data()?;
        Ok(Self {
            file,
            times: Vec::new(),
        })
    }

    /// Writes and syncs each block once.
    pub(crate) fn round(&mut self) -> Result<()> {
        for block in 0..WRITES_PER_ROUND {
            let started = now();
            self.file.write_all_at(&[1; BYTES], block * BYTES as u64)?;
            self.file.sync_data()?;
            self.times.push(started.elapsed());
        }
        Ok(())
    }

    /// Returns p50 and p99 of all rounds, or `None` without rounds.
    pub(crate) fn percentiles_ms(mut self) -> Option<(f64, f64)> {
        self.times.sort_unstable();
        let at = |percent: usize| {
            let time = self.times.get(self.times.len() * percent / 100)?;
            Some(time.as_secs_f64() * 1e3)
        };
        at(50).zip(at(99))
    }
}
