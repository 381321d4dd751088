//! Cost of 4,000 partitions with data for one log: memory, close with all partitions dirty, open.
//! Runs in a child process, so that its memory is that of this log.

use std::io::{Write as _, stdout};
use std::process::Command;

use anyhow::{Result, ensure};
use avouch_bench_report::log::Many;
use avouch_log::{Durability, LogConfig};
use avouch_protocol::types::Offset;

use crate::directory;
use crate::load::{BATCH_BYTES, Load, Shape, now};
use crate::process::memory_mib;
use crate::rounds::Scale;

const PARTITIONS: i32 = 4_000;
/// Batches per partition at full scale.
const BATCHES_EACH: usize = 8;

pub(crate) fn measured(scale: Scale) -> Result<Many> {
    let batches = (BATCHES_EACH * scale.round_bytes / Scale::FULL.round_bytes).max(2);
    let mut other = Command::new(std::env::current_exe()?);
    let output = other.args(["many", &batches.to_string()]).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs the measurement in this process and prints JSON for [`measured`].
pub(crate) fn measure_and_print(batches_each: usize) -> Result<()> {
    let json = serde_json::to_vec(&measured_here(batches_each)?)?;
    Ok(stdout().write_all(&json)?)
}

fn measured_here(batches_each: usize) -> Result<Many> {
    let dir = directory()?;
    let config = LogConfig {
        durability: Durability::Fsync,
        ..LogConfig::new(dir.path())
    };
    let mut load = Load::open(config.clone(), Shape::of(PARTITIONS))?;
    let bytes = usize::try_from(PARTITIONS)? * batches_each * BATCH_BYTES;
    load.append(bytes)?;
    let start = now();
    load.log.close()?;
    let close_dirty_ms = start.elapsed().as_secs_f64() * 1e3;
    let (_, loaded_mib) = memory_mib(std::process::id())?;
    drop(load);
    let start = now();
    let load = Load::open(config, Shape::of(PARTITIONS))?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    for partition in &load.partitions {
        load.log.read(*partition, Offset(0), 1)?;
    }
    // Includes memory that the allocator retains from the first log: an upper bound.
    let (opened_mib, _) = memory_mib(std::process::id())?;
    load.log.close()?;
    Ok(Many {
        partitions: load.partitions.len(),
        data_mb: bytes as f64 / 1e6,
        close_dirty_ms,
        open_ms,
        loaded_mib,
        opened_mib,
    })
}
