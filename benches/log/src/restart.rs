//! How long the released binary takes to start after it was killed, by how much data there is.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use avouch_bench_avro::log::{RestartRow, Restarts};
use avouch_bench_avro::page::{Run, checkout};
use avouch_bench_contract::client::{Client, produce_request};
use avouch_bench_contract::node::Node;

use crate::load::now;
use crate::whole::batch;

const TOPIC: &str = "restarted";
const PARTITIONS: i32 = 6;
/// About a megabyte, the most that a topic takes by default.
const RECORDS: usize = 1_000;
const GB: u64 = 1_000_000_000;
/// What the write-ahead log takes besides, and what must stay free.
const SPARE_BYTES: u64 = 3 * GB;

/// One start for each of so many GB.
pub(crate) fn measured(sizes_gb: &[usize]) -> Result<Restarts> {
    for gb in sizes_gb {
        ensure_room(*gb)?;
    }
    let rows = sizes_gb.iter().map(|gb| {
        crate::tell(&format!("a start over {gb} GB"));
        row(*gb)
    });
    Ok(Restarts {
        rows: rows.collect::<Result<_>>()?,
        run: Run::new(1)?,
    })
}

fn row(gb: usize) -> Result<RestartRow> {
    let mut node = Node::start()?;
    let mut client = Client::connect(&node.kafka)?;
    client.create_topic(TOPIC, PARTITIONS, &[])?;
    let batch = batch(node.ready_at, RECORDS);
    let requests = (0..PARTITIONS)
        .map(|partition| produce_request((TOPIC, partition), batch.clone()))
        .collect::<Result<Vec<_>>>()?;
    let bytes = u64::try_from(gb)? * GB;
    let laps = usize::try_from(bytes / batch.len() as u64)?.div_ceil(requests.len());
    client.produce(&requests, laps * requests.len())?;
    node.kill_9()?;
    let started = now();
    node.start_again()?;
    let ready_ms = started.elapsed().as_secs_f64() * 1e3;
    let base_offset = Client::connect(&node.kafka)?.produce(&requests, 1)?;
    let first_record_ms = started.elapsed().as_secs_f64() * 1e3;
    let kept = usize::try_from(base_offset)?;
    ensure!(
        kept == laps * RECORDS,
        "{kept} of {} records",
        laps * RECORDS
    );
    Ok(RestartRow {
        gb,
        ready_ms,
        first_record_ms,
        replayed_mb: replayed_bytes(&node.log()?)? / 1e6,
    })
}

/// What the broker says of its recovery.
fn replayed_bytes(log: &str) -> Result<f64> {
    let behind = log.split_once("bytes_replayed: ");
    let (_, behind) = behind.context("the broker does not say what it replayed")?;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next();
    Ok(digits.unwrap_or_default().parse()?)
}

fn ensure_room(gb: usize) -> Result<()> {
    let wanted = u64::try_from(gb)? * GB + SPARE_BYTES;
    let free = free_bytes(&checkout().join("target"))?;
    ensure!(
        free >= wanted,
        "{gb} GB of data need {} GB of free disk, and there are {}",
        wanted / GB,
        free / GB
    );
    Ok(())
}

fn free_bytes(path: &Path) -> Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replayed_is_read_from_the_log() {
        let log = "INFO log recovered report=RecoveryReport { frames_replayed: 3, \
                   bytes_replayed: 4711, torn_tail: false }\n";
        assert_eq!(replayed_bytes(log).unwrap(), 4711.0);
        assert!(replayed_bytes("nothing").is_err());
    }
}
