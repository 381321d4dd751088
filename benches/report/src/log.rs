//! Results of `just bench-log` and `just bench-restart`: the log without sockets compared with the
//! raw disk, the cost of thousands of partitions, and restarts after SIGKILL.

use crate::page::{self, Run};
use crate::targets::{BY_ONE_PARTITION, DEVICE_BYTES, IN_CHECKPOINT, NODE_MIB, RESTART_S};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Name of the JSON file and of the section.
pub const NAME: &str = "log";

/// Results measured so far: the two recipes write one file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Results of `just bench-log`.
    pub measured: Option<Measured>,
    /// Results of `just bench-restart`.
    pub restarts: Option<Restarts>,
}

/// Results of one run of `just bench-log`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Conditions of the run.
    #[serde(flatten)]
    pub run: Run,
    /// MiB appended per round.
    pub round_mib: usize,
    /// Speed of the raw disk.
    pub raw: Raw,
    /// Append throughput and latency.
    pub appends: Vec<AppendRow>,
    /// Bytes that reach the disk.
    pub device: Vec<DeviceRow>,
    /// Fetch throughput.
    pub fetches: Vec<FetchRow>,
    /// One log with thousands of partitions.
    pub many: Many,
    /// The broker process with thousands of partitions.
    pub node: Node,
}

/// The raw disk: one file, one thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Raw {
    /// Sequential write with one sync at the end.
    pub write_mb_per_s: f64,
    /// Sequential write with a sync after each megabyte.
    pub synced_mb_per_s: f64,
    /// Latency of writing and syncing 16 KiB, median.
    pub commit_p50_us: f64,
    /// Latency of writing and syncing 16 KiB, 99th percentile.
    pub commit_p99_us: f64,
    /// Sequential read from the page cache.
    pub cached_mb_per_s: f64,
    /// Sequential read with the file evicted from the page cache.
    pub disk_mb_per_s: f64,
}

/// Appends to one log; times in µs.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendRow {
    /// `fsync` or `os`.
    pub durability: String,
    /// Number of partitions, written round-robin.
    pub partitions: usize,
    /// Throughput of batch bytes.
    pub mb_per_s: f64,
    /// Latency of a commit with no other in flight, median.
    pub lone_p50_us: f64,
    /// Latency of a commit with no other in flight, 99th percentile.
    pub lone_p99_us: f64,
    /// Latency of a commit with a full window in flight, including checkpoints, median.
    pub p50_us: f64,
    /// Latency of a commit with a full window in flight, including checkpoints, 99th percentile.
    pub p99_us: f64,
    /// 99th percentile of commits that do not overlap a checkpoint.
    pub p99_outside_us: f64,
    /// 99th percentile of commits that overlap a checkpoint.
    pub p99_in_checkpoint_us: f64,
    /// Number of checkpoints during the measurement.
    pub checkpoints: usize,
}

/// Write amplification of a load, measured from a warmed-up log until it is closed.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceRow {
    /// Size of a batch.
    pub batch_bytes: usize,
    /// Batches in flight.
    pub window: usize,
    /// Number of partitions, written round-robin.
    pub partitions: usize,
    /// Bytes written to files divided by bytes produced.
    pub written: f64,
    /// Bytes that the operating system wrote to the disk, in whole blocks, divided by bytes
    /// produced.
    pub device: f64,
}

/// Throughput of reading a log from its start to its end; the bytes are copied once, as for a
/// socket.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchRow {
    /// Number of partitions, read one after the other.
    pub partitions: usize,
    /// Newest batches, from memory.
    pub memory_mb_per_s: f64,
    /// Segments in the page cache.
    pub cached_mb_per_s: f64,
    /// Segments not in the page cache.
    pub disk_mb_per_s: f64,
}

/// A process with one log of thousands of partitions; times in ms.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// Number of partitions.
    pub partitions: usize,
    /// Data in all partitions.
    pub data_mb: f64,
    /// Time to close the log with all partitions dirty.
    pub close_dirty_ms: f64,
    /// Time to open the log.
    pub open_ms: f64,
    /// Peak resident memory during the load.
    pub loaded_mib: f64,
    /// Resident memory after opening and one read of each partition.
    pub opened_mib: f64,
}

/// A process of the release binary with thousands of partitions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Node {
    /// Number of partitions.
    pub partitions: usize,
    /// Data in all partitions.
    pub data_mb: f64,
    /// Resident memory after the load.
    pub resident_mib: f64,
    /// Peak resident memory.
    pub highest_mib: f64,
}

/// Restarts of the release binary after SIGKILL.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restarts {
    /// Conditions of the run.
    #[serde(flatten)]
    pub run: Run,
    /// One row per data size.
    pub rows: Vec<RestartRow>,
}

/// One restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestartRow {
    /// Data produced before the kill, in GB.
    pub gb: usize,
    /// Time from process start until ready.
    pub ready_ms: f64,
    /// Time from process start until the first record is acknowledged.
    pub first_record_ms: f64,
    /// Size of the part of the write-ahead log that was replayed.
    pub replayed_mb: f64,
}

impl Report {
    /// Returns the committed results, or an empty report if the file does not exist.
    ///
    /// # Errors
    /// Fails if the file has another format.
    pub fn committed() -> Result<Self> {
        // The two recipes write different parts of the file, so the other part must be kept.
        if page::json_path(NAME).exists() {
            return page::committed(NAME);
        }
        Ok(Self::default())
    }

    /// Returns the section as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from("\n## Log\n");
        if let Some(measured) = &self.measured {
            measured.write_to(&mut out);
        }
        if let Some(restarts) = &self.restarts {
            restarts.write_to(&mut out);
        }
        out
    }
}

impl Measured {
    fn write_to(&self, out: &mut String) {
        let raw = &self.raw;
        let _ = write!(
            out,
            "\n{} of {} MiB in batches of 16 KiB, 256 in flight, without sockets. The raw\ndisk \
             in the same rounds: sequential write with one sync {:.0} MB/s, with a sync per \
             megabyte {:.0} MB/s; write and sync of 16 KiB\n{:.0} µs (p50), {:.0} µs (p99); \
             sequential read from the page cache {:.0} MB/s, from the disk {:.0} MB/s. A lone \
             commit has no other commit in flight.\n\n",
            self.run.rounds(),
            self.round_mib,
            raw.write_mb_per_s,
            raw.synced_mb_per_s,
            raw.commit_p50_us,
            raw.commit_p99_us,
            raw.cached_mb_per_s,
            raw.disk_mb_per_s,
        );
        self.write_appends(out);
        self.write_latencies(out);
        self.write_device(out);
        self.write_fetches(out);
        self.write_many(out);
    }

    /// Returns the row with one partition in the same durability mode.
    fn first<'a>(&'a self, row: &'a AppendRow) -> &'a AppendRow {
        let mut all = self.appends.iter();
        let is_first = |other: &&AppendRow| other.durability == row.durability;
        all.find(is_first).unwrap_or(row)
    }

    fn write_appends(&self, out: &mut String) {
        out.push_str(
            "| durability | partitions | MB/s | / raw disk | / 1 partition | target |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.appends {
            let is_synced = row.durability == "fsync";
            // Mode `os` does not sync, so it is compared with unsynced writes.
            let raw = match is_synced {
                true => self.raw.synced_mb_per_s,
                false => self.raw.write_mb_per_s,
            };
            // The first row of each mode has one partition.
            let ratio = row.mb_per_s / self.first(row).mb_per_s;
            let target = match is_synced && row.partitions == 100 {
                true => BY_ONE_PARTITION.cell(ratio, "x of 1 partition"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} | {:.2}x | {ratio:.2}x | {target} |",
                row.durability,
                row.partitions,
                row.mb_per_s,
                row.mb_per_s / raw,
            );
        }
    }

    fn write_latencies(&self, out: &mut String) {
        out.push_str(
            "\nCommit latency: without other commits (lone), and with 256 in flight including \
             checkpoints; the ratio is to 1 partition. A commit is\ninside a checkpoint if it \
             overlaps the time from the checkpoint's first write to a segment until its rename is \
             durable.\n\n\
             | durability | partitions | lone p50 | lone p99 | p50 | p99 | p99 outside \
             checkpoints | inside / outside | checkpoints | target |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.appends {
            let first = self.first(row);
            let by = |us: f64, first: f64| format!("{:.2} ms, {:.2}x", us / 1e3, us / first);
            // Checkpoints must not delay commits that overlap them.
            let inside = row.p99_in_checkpoint_us / row.p99_outside_us;
            let target = match row.durability == "fsync" {
                true => IN_CHECKPOINT.cell(inside, "x inside"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {:.2} ms | {inside:.2}x | {} | {target} |",
                row.durability,
                row.partitions,
                by(row.lone_p50_us, first.lone_p50_us),
                by(row.lone_p99_us, first.lone_p99_us),
                by(row.p50_us, first.p50_us),
                by(row.p99_us, first.p99_us),
                row.p99_outside_us / 1e3,
                row.checkpoints,
            );
        }
    }

    fn write_device(&self, out: &mut String) {
        out.push_str(
            "\nWrite amplification in mode fsync until the log is closed: bytes written to files, \
             and whole blocks written to the disk, divided by\nbytes produced.\n\n\
             | batch size | in flight | partitions | files | disk | target |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.device {
            // Smaller commits are dominated by rounding up to whole blocks.
            let target = match row.batch_bytes >= 16 << 10 {
                true => DEVICE_BYTES.cell(row.device, "x"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} KiB | {} | {} | {:.2}x | {:.2}x | {target} |",
                row.batch_bytes >> 10,
                row.window,
                row.partitions,
                row.written,
                row.device,
            );
        }
    }

    fn write_fetches(&self, out: &mut String) {
        out.push_str(
            "\nFetch throughput, one megabyte per read, copied once as for a socket; the ratio is \
             to the raw disk.\n\n\
             | partitions | memory | page cache | disk |\n\
             |---|---|---|---|\n",
        );
        for row in &self.fetches {
            let by = |mb: f64, raw: f64| format!("{mb:.0} MB/s, {:.2}x", mb / raw);
            let _ = writeln!(
                out,
                "| {} | {:.0} MB/s | {} | {} |",
                row.partitions,
                row.memory_mb_per_s,
                by(row.cached_mb_per_s, self.raw.cached_mb_per_s),
                by(row.disk_mb_per_s, self.raw.disk_mb_per_s),
            );
        }
    }

    fn write_many(&self, out: &mut String) {
        let (many, node) = (&self.many, &self.node);
        let _ = write!(
            out,
            "\nOne log with {} partitions and {:.0} MB: close with all partitions dirty {:.0} ms, \
             open {:.0} ms; peak resident memory during\nthe load {:.0} MiB, {:.0} MiB after open \
             and one read of each partition. Broker process with {} partitions and {:.0} MB: \
             {:.0} MiB\nresident, peak {:.0} MiB ({}).\n",
            many.partitions,
            many.data_mb,
            many.close_dirty_ms,
            many.open_ms,
            many.loaded_mib,
            many.opened_mib,
            node.partitions,
            node.data_mb,
            node.resident_mib,
            node.highest_mib,
            NODE_MIB.cell(node.highest_mib, " MiB"),
        );
    }
}

impl Restarts {
    fn write_to(&self, out: &mut String) {
        let _ = write!(
            out,
            "\nRestart of the broker after SIGKILL, including replay of the write-ahead log. \
             {}.\n\n| data | ready after | first record after | replayed | target |\n\
             |---|---|---|---|---|\n",
            self.run.place(),
        );
        for row in &self.rows {
            let _ = writeln!(
                out,
                "| {} GB | {:.0} ms | {:.0} ms | {:.0} MB | {} |",
                row.gb,
                row.ready_ms,
                row.first_record_ms,
                row.replayed_mb,
                // The target applies to all data sizes: a restart must not depend on the amount of
                // data.
                RESTART_S.cell(row.ready_ms / 1e3, " s"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_render_without_other_results() {
        let restarts = Restarts {
            run: Run::new(1).unwrap(),
            rows: vec![RestartRow {
                gb: 30,
                ready_ms: 412.4,
                first_record_ms: 420.0,
                replayed_mb: 200.2,
            }],
        };
        let report = Report {
            measured: None,
            restarts: Some(restarts),
        };
        let json = serde_json::to_string(&report).unwrap();
        let page = serde_json::from_str::<Report>(&json).unwrap().markdown();
        let row = "| 30 GB | 412 ms | 420 ms | 200 MB | ≤ 2 s: met |\n";
        assert!(page.ends_with(row), "{page}");
    }
}
