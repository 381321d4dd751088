//! Restart time of the release binary after SIGKILL, by the amount of data.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use avouch_bench_contract::client::{Client, produce_request};
use avouch_bench_contract::node::Node;
use avouch_bench_report::log::{RestartRow, Restarts};
use avouch_bench_report::page::{Run, checkout};

use crate::load::now;
use crate::whole_broker::batch;

const TOPIC: &str = "restarted";
const PARTITIONS: i32 = 6;
/// Records per batch: about 1 MB, the default maximum of a topic.
const RECORDS: usize = 1_000;
const GB: u64 = 1_000_000_000;
/// Additional disk space: the write-ahead log, and space that must stay free.
const RESERVED_BYTES: u64 = 3 * GB;

/// Measures one restart for each data size.
pub(crate) fn measured(sizes_gb: &[usize]) -> Result<Restarts> {
    for gb in sizes_gb {
        // All sizes are checked first, so that a run of several minutes does not fail at its end.
        ensure_room(*gb)?;
    }
    let rows = sizes_gb.iter().map(|gb| {
        crate::print_progress(&format!("restart with {gb} GB"));
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
    node.restart()?;
    let ready_ms = started.elapsed().as_secs_f64() * 1e3;
    let base_offset = Client::connect(&node.kafka)?.produce(&requests, 1)?;
    let first_record_ms = started.elapsed().as_secs_f64() * 1e3;
    // Every acknowledged record must have survived: the next offset is their number.
    let recovered = usize::try_from(base_offset)?;
    ensure!(
        recovered == laps * RECORDS,
        "{recovered} of {} records",
        laps * RECORDS
    );
    Ok(RestartRow {
        gb,
        ready_ms,
        first_record_ms,
        replayed_mb: replayed_bytes(&node.log()?)? / 1e6,
    })
}

/// Returns the number of replayed bytes from the broker's log line about recovery.
fn replayed_bytes(log: &str) -> Result<f64> {
    let rest = log.split_once("bytes_replayed: ");
    let (_, rest) = rest.context("no bytes_replayed in the broker's log")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    Ok(digits.unwrap_or_default().parse()?)
}

fn ensure_room(gb: usize) -> Result<()> {
    let wanted = u64::try_from(gb)? * GB + RESERVED_BYTES;
    let free = free_bytes(&checkout().join("target"))?;
    ensure!(
        free >= wanted,
        "{gb} GB of data need {} GB of free disk space; {} GB are free",
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
    fn replayed_bytes_are_parsed_from_log() {
        let log = "INFO log recovered report=RecoveryReport { frames_replayed: 3, \
                   bytes_replayed: 4711, torn_tail: false }\n";
        assert_eq!(replayed_bytes(log).unwrap(), 4711.0);
        assert!(replayed_bytes("nothing").is_err());
    }
}
