//! How long a start takes after the process was killed, by how much data there is.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use avouch_broker::log::{Durability, LogConfig};
use serde::{Deserialize, Serialize};

use crate::directory;
use crate::load::{Load, now};

const PARTITIONS: i32 = 6;

/// One start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Restart {
    pub(crate) gb: usize,
    pub(crate) open_ms: f64,
    /// The tail of the write-ahead log that was replayed.
    pub(crate) replayed_mb: f64,
}

/// Has another process fill a log and end without a word, and opens what it left.
pub(crate) fn measured(gb: usize) -> Result<Restart> {
    let dir = directory()?;
    let mut filler = Command::new(std::env::current_exe()?);
    let status = filler
        .arg("fill")
        .arg(dir.path())
        .arg(gb.to_string())
        .status()?;
    ensure!(!status.success(), "the filling process ended well");
    let start = now();
    let (load, report) = Load::open(config(dir.path()), PARTITIONS, 1)?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let partitions = load.partitions.iter();
    let ends = partitions.filter_map(|partition| load.log.bounds(*partition));
    let records: i64 = ends.map(|bounds| bounds.high_watermark.0).sum();
    let wanted = gb * 1_000_000_000 / crate::load::BATCH_BYTES;
    ensure!(
        usize::try_from(records)? >= wanted,
        "only {records} batches"
    );
    load.log.close()?;
    Ok(Restart {
        gb,
        open_ms,
        replayed_mb: report.bytes_replayed as f64 / 1e6,
    })
}

/// Appends that much, then ends like a killed process, with the last checkpoint some way back.
pub(crate) fn fill(dir: &Path, gb: usize) -> Result<()> {
    let (mut load, _) = Load::open(config(dir), PARTITIONS, 256)?;
    load.append(gb * 1_000_000_000 + crate::load::BATCH_BYTES)?;
    std::process::abort();
}

fn config(dir: &Path) -> LogConfig {
    LogConfig {
        durability: Durability::Fsync,
        ..LogConfig::new(dir)
    }
}
