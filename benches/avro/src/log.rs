//! Figures of `just bench-log` and `just bench-restart`: the log alone beside the bare disk, what
//! thousands of partitions cost, and starts after a kill.

use crate::page::{self, Run};
use crate::targets::{BY_ONE_PARTITION, DEVICE_BYTES, IN_CHECKPOINT, NODE_MIB, RESTART_S};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The name of the figures' file and section.
pub const NAME: &str = "log";

/// What is known so far: the two recipes write one file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Of `just bench-log`.
    pub measured: Option<Measured>,
    /// Of `just bench-restart`.
    pub restarts: Option<Restarts>,
}

/// One run of the log's bench.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Under what it ran.
    #[serde(flatten)]
    pub run: Run,
    /// Bytes appended in a round.
    pub round_mib: usize,
    /// The bare disk.
    pub raw: Raw,
    /// Appends.
    pub appends: Vec<AppendRow>,
    /// What reaches the disk.
    pub device: Vec<DeviceRow>,
    /// Fetches.
    pub fetches: Vec<FetchRow>,
    /// The log with thousands of partitions.
    pub many: Many,
    /// The whole broker with as many.
    pub node: Node,
}

/// The bare disk, one file, one thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Raw {
    /// Written from start to end, and synced once.
    pub write_mb_per_s: f64,
    /// Synced after each megabyte.
    pub synced_mb_per_s: f64,
    /// 16 KiB, written and synced.
    pub commit_p50_us: f64,
    /// The same.
    pub commit_p99_us: f64,
    /// Read from start to end, from the page cache.
    pub cached_mb_per_s: f64,
    /// The same with the page cache emptied of it.
    pub disk_mb_per_s: f64,
}

/// Appends to one log; times in µs.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendRow {
    /// `fsync` or `os`.
    pub durability: String,
    /// All of them are written to in turn.
    pub partitions: usize,
    /// Of batches.
    pub mb_per_s: f64,
    /// A commit that is alone.
    pub lone_p50_us: f64,
    /// The same.
    pub lone_p99_us: f64,
    /// A commit among as many as the window takes, checkpoints included.
    pub p50_us: f64,
    /// The same.
    pub p99_us: f64,
    /// Of those that meet no checkpoint.
    pub p99_outside_us: f64,
    /// Of those that meet one.
    pub p99_in_checkpoint_us: f64,
    /// How many were taken.
    pub checkpoints: usize,
}

/// What a load writes, from a log that has gone round to its being closed.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceRow {
    /// Of a batch.
    pub batch_bytes: usize,
    /// Batches unanswered at a time.
    pub window: usize,
    /// All of them are written to in turn.
    pub partitions: usize,
    /// Bytes written to files, by bytes produced.
    pub written: f64,
    /// What of it the system put on the disk, by bytes produced: whole blocks.
    pub device: f64,
}

/// Reading a log from its start to its end, the bytes copied as to a socket.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchRow {
    /// Read in turn.
    pub partitions: usize,
    /// The newest, from memory.
    pub memory_mb_per_s: f64,
    /// From segments in the page cache.
    pub cached_mb_per_s: f64,
    /// From segments that are not.
    pub disk_mb_per_s: f64,
}

/// A process with one log of thousands of partitions; times in ms.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// How many.
    pub partitions: usize,
    /// In all of them.
    pub data_mb: f64,
    /// Closing with all of them dirty.
    pub close_dirty_ms: f64,
    /// Opening.
    pub open_ms: f64,
    /// The most that was resident under the load.
    pub loaded_mib: f64,
    /// Resident after opening and one read of each.
    pub opened_mib: f64,
}

/// The released binary with thousands of partitions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Node {
    /// How many.
    pub partitions: usize,
    /// In all of them.
    pub data_mb: f64,
    /// Resident after that.
    pub resident_mib: f64,
    /// The most that was.
    pub highest_mib: f64,
}

/// Starts of the released binary after it was killed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restarts {
    /// Under what they ran.
    #[serde(flatten)]
    pub run: Run,
    /// By the data there are.
    pub rows: Vec<RestartRow>,
}

/// One start.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestartRow {
    /// Produced before the kill.
    pub gb: usize,
    /// From the start of the process until it is ready.
    pub ready_ms: f64,
    /// Until it has taken a record besides.
    pub first_record_ms: f64,
    /// The tail of the write-ahead log that was replayed.
    pub replayed_mb: f64,
}

impl Report {
    /// What is committed; nothing if nothing is.
    ///
    /// # Errors
    /// When the file is not one of ours.
    pub fn committed() -> Result<Self> {
        if page::json_path(NAME).exists() {
            return page::committed(NAME);
        }
        Ok(Self::default())
    }

    /// The section that shows them.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from("\n## The log alone\n");
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
            "\n{} of {} MiB in batches of 16 KiB, 256 unanswered at a time. The bare\ndisk in the \
             same rounds: {:.0} MB/s written and synced once, {:.0} MB/s synced each megabyte, \
             {:.0} µs (p50) and {:.0} µs (p99) for\n16 KiB synced, {:.0} MB/s read from the page \
             cache, {:.0} MB/s from the disk. A lone commit is one with no other waiting.\n\n",
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

    /// The row of one partition in the same mode.
    fn first<'a>(&'a self, row: &'a AppendRow) -> &'a AppendRow {
        let mut all = self.appends.iter();
        let is_first = |other: &&AppendRow| other.durability == row.durability;
        all.find(is_first).unwrap_or(row)
    }

    fn write_appends(&self, out: &mut String) {
        out.push_str(
            "| durability | partitions | MB/s | by the bare disk | by 1 partition | must |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.appends {
            let is_synced = row.durability == "fsync";
            let bare = match is_synced {
                true => self.raw.synced_mb_per_s,
                false => self.raw.write_mb_per_s,
            };
            let ratio = row.mb_per_s / self.first(row).mb_per_s;
            let must = match is_synced && row.partitions == 100 {
                true => BY_ONE_PARTITION.cell(ratio, "x of 1 partition"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} | {:.2}x | {ratio:.2}x | {must} |",
                row.durability,
                row.partitions,
                row.mb_per_s,
                row.mb_per_s / bare,
            );
        }
    }

    fn write_latencies(&self, out: &mut String) {
        out.push_str(
            "\nA commit: alone, and among 256, checkpoints included, with what it takes by 1 \
             partition. One meets a checkpoint from the first\nbyte that is moved to segments for \
             it until its name is durable.\n\n\
             | durability | partitions | lone p50 | lone p99 | p50 | p99 | p99 outside a \
             checkpoint | inside | checkpoints | must |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.appends {
            let first = self.first(row);
            let by = |us: f64, first: f64| format!("{:.2} ms, {:.2}x", us / 1e3, us / first);
            let inside = row.p99_in_checkpoint_us / row.p99_outside_us;
            let must = match row.durability == "fsync" {
                true => IN_CHECKPOINT.cell(inside, "x inside"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {:.2} ms | {inside:.2}x | {} | {must} |",
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
            "\nBytes by bytes produced, synced, until the log was closed: written to files, and \
             what the system put on the disk of it, whole\nblocks.\n\n\
             | batches of | unanswered | partitions | written | to the disk | must |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.device {
            // Smaller commits are rounded up to blocks: that is the disk's share, not ours.
            let must = match row.batch_bytes >= 16 << 10 {
                true => DEVICE_BYTES.cell(row.device, "x"),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {} KiB | {} | {} | {:.2}x | {:.2}x | {must} |",
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
            "\nFetches of a megabyte each, copied as to a socket, by what the bare disk gives.\n\n\
             | partitions | from memory | from the page cache | from the disk |\n\
             |---|---|---|---|\n",
        );
        for row in &self.fetches {
            let by = |mb: f64, bare: f64| format!("{mb:.0} MB/s, {:.2}x", mb / bare);
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
            "\n{} partitions with {:.0} MB in one log: closed in {:.0} ms with all of them dirty, \
             opened in {:.0} ms; at most {:.0} MiB resident under\nthe load, {:.0} MiB after \
             opening and a read of each. The whole broker with {} and {:.0} MB: {:.0} MiB \
             resident, {:.0} MiB at its\nhighest ({}).\n",
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
            "\nStarts of the broker after kill -9, with what it had not checkpointed replayed. \
             {}.\n\n| data | ready after | first record after | replayed | must |\n\
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
                RESTART_S.cell(row.ready_ms / 1e3, " s"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_shown_before_anything_else_was_measured() {
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
