//! What one sync of the disk takes: what durable records may be later than those that are not.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::Result;
use avouch_tests::checkout;
use avouch_tests::deadline::now;

const BYTES: usize = 4_096;
const A_ROUND: u64 = 200;

/// A file whose bytes are all there, so that writing it again changes no metadata.
#[derive(Debug)]
pub(crate) struct Syncs {
    file: File,
    took: Vec<Duration>,
}

impl Syncs {
    pub(crate) fn new() -> Result<Self> {
        let file = tempfile::tempfile_in(checkout().join("target"))?;
        let zeros = vec![0; BYTES * usize::try_from(A_ROUND)?];
        file.write_all_at(&zeros, 0)?;
        file.sync_data()?;
        Ok(Self {
            file,
            took: Vec::new(),
        })
    }

    /// Writes and syncs one block after the other.
    pub(crate) fn round(&mut self) -> Result<()> {
        for block in 0..A_ROUND {
            let started = now();
            self.file.write_all_at(&[1; BYTES], block * BYTES as u64)?;
            self.file.sync_data()?;
            self.took.push(started.elapsed());
        }
        Ok(())
    }

    /// p50 and p99 of all rounds, if there were any.
    pub(crate) fn percentiles_ms(mut self) -> Option<(f64, f64)> {
        self.took.sort_unstable();
        let at = |percent: usize| {
            let took = self.took.get(self.took.len() * percent / 100)?;
            Some(took.as_secs_f64() * 1e3)
        };
        at(50).zip(at(99))
    }
}
