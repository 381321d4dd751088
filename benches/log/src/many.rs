//! What 4,000 partitions with data cost: memory, closing with all of them dirty, opening again.

use anyhow::{Context as _, Result};
use avouch_broker::log::{Durability, LogConfig};
use avouch_broker::types::Offset;
use serde::{Deserialize, Serialize};

use crate::directory;
use crate::load::{BATCH_BYTES, Load, now};

const PARTITIONS: i32 = 4_000;
const BATCHES_EACH: usize = 8;

/// Times in ms.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Many {
    pub(crate) partitions: i32,
    pub(crate) data_mb: f64,
    pub(crate) close_dirty_ms: f64,
    pub(crate) open_ms: f64,
    /// Resident after opening and after one read of each partition from disk.
    pub(crate) resident_mib: f64,
}

pub(crate) fn measured() -> Result<Many> {
    let dir = directory()?;
    let config = LogConfig {
        durability: Durability::Fsync,
        ..LogConfig::new(dir.path())
    };
    let (mut load, _) = Load::open(config.clone(), PARTITIONS, 256)?;
    let bytes = usize::try_from(PARTITIONS)? * BATCHES_EACH * BATCH_BYTES;
    load.append(bytes / 2)?;
    load.append(bytes / 2)?;
    let start = now();
    load.log.close()?;
    let close_dirty_ms = start.elapsed().as_secs_f64() * 1e3;
    drop(load);
    let before = resident_mib()?;
    let start = now();
    let (load, _) = Load::open(config, PARTITIONS, 1)?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    for partition in &load.partitions {
        load.log.read(*partition, Offset(0), 1)?;
    }
    let after = resident_mib()?;
    load.log.close()?;
    Ok(Many {
        partitions: PARTITIONS,
        data_mb: bytes as f64 / 1e6,
        close_dirty_ms,
        open_ms,
        // What the allocator kept of the first log counts too: it is an upper bound.
        resident_mib: after.max(before),
    })
}

fn resident_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.context("VmRSS in /proc/self/status")?.parse()?;
    Ok(kib / 1024.0)
}
