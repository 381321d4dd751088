//! `avouch log`: prints and verifies the log of a data directory, and marks corrupt ranges as
//! skipped. Inspection only reads and works while a broker is running; `skip` needs exclusive
//! access to the directory.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use avouch_log::inspect::{self, Item, Totals};
use avouch_log::{
    CorruptRange, Listener, Log, LogConfig, OpenError, ReadError, RealDisk, rebuild_checkpoint,
};
use avouch_node::DataDir;
use avouch_protocol::types::{Offset, TopicPartition};

use crate::args::LogCommand;
use crate::config::DATA_DIR;

/// Runs a command on the data directory of its flag or, without one, of the configuration.
///
/// # Errors
/// When the log cannot be read, or the offset is not corrupt.
pub(crate) fn run(command: LogCommand, configured: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let usual = || PathBuf::from(DATA_DIR);
    let place = |flag: Option<PathBuf>| flag.or(configured).unwrap_or_else(usual);
    match command {
        LogCommand::Dump { at } => {
            let dir = place(at.data_dir).join("log");
            show(at.json, |see| inspect::dump(&dir, &RealDisk, see))
        }
        LogCommand::Verify { at } => {
            let dir = place(at.data_dir).join("log");
            show(at.json, |see| inspect::verify(&dir, &RealDisk, see))
        }
        LogCommand::Skip {
            data_dir,
            partition,
            offset,
        } => skip(&place(data_dir), partition, Offset(offset)),
        LogCommand::AcceptLoss { data_dir } => {
            let data_dir = place(data_dir);
            let _locked = DataDir::lock(&data_dir)?;
            let mut config = LogConfig::new(data_dir.join("log"));
            config.accept_loss = true;
            let (log, report) = Log::open(config, Arc::new(RealDisk), Arc::new(Silent))?;
            log.close()?;
            let frames = report.frames_replayed;
            writeln!(
                io::stdout(),
                "opened the log; {frames} WAL frames were replayed"
            )?;
            Ok(ExitCode::SUCCESS)
        }
        LogCommand::RebuildCheckpoint { data_dir } => {
            let data_dir = place(data_dir);
            let _claimed = DataDir::lock(&data_dir)?;
            let partitions = rebuild_checkpoint(&data_dir.join("log"), &RealDisk)?;
            writeln!(io::stdout(), "checkpoint rebuilt: {partitions} partitions")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints the items as they are read, then the totals; fails if one of them is a fault.
fn show(
    json: bool,
    look: impl FnOnce(&mut dyn FnMut(Item)) -> Result<Totals, OpenError>,
) -> anyhow::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let totals = look(&mut |item| {
        // The inspection cannot be stopped, so after a failed write the rest is dropped.
        if written.is_ok() {
            written = if json {
                serde_json::to_writer(&mut out, &item)
                    .map_err(io::Error::from)
                    .and_then(|()| writeln!(out))
            } else {
                writeln!(out, "{item}")
            };
        }
    })?;
    if json {
        serde_json::to_writer(
            &mut out,
            &serde_json::json!({"kind": "totals", "totals": totals}),
        )?;
        writeln!(out)?;
    } else {
        writeln!(out, "{totals}")?;
    }
    written
        .and_then(|()| out.flush())
        .context("standard output")?;
    Ok(if totals.faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Marks the corrupt range that starts at `offset` as skipped.
fn skip(data_dir: &Path, partition: TopicPartition, offset: Offset) -> anyhow::Result<ExitCode> {
    // A running node would not notice the change.
    let _data_dir = DataDir::lock(data_dir)?;
    let config = LogConfig::new(data_dir.join("log"));
    let (log, _) = Log::open(config, Arc::new(RealDisk), Arc::new(Silent))?;
    let result = skip_range(&log, partition, offset);
    // Closed before the result is returned: the mark is durable only then.
    log.close()?;
    let range = result?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{partition}: offsets {} to {} are marked as skipped",
        range.from,
        range.to.plus(-1)
    )?;
    Ok(ExitCode::SUCCESS)
}

fn skip_range(
    log: &Log,
    partition: TopicPartition,
    offset: Offset,
) -> anyhow::Result<CorruptRange> {
    // Finds the corruption again, so that a mistyped offset marks no intact records.
    match log.read(partition, offset, 1) {
        Err(ReadError::Corrupt { range }) => {
            log.skip_corrupt_range(partition, range)?;
            Ok(range)
        }
        Ok(_) => bail!("{partition}: offset {offset} is not corrupt"),
        Err(error) => Err(error).with_context(|| partition.to_string()),
    }
}

/// A listener that ignores all events: no request waits for them here.
struct Silent;

impl Listener for Silent {
    fn advanced(&self, _partitions: &[TopicPartition]) {}

    fn poisoned(&self, _reason: &str) {}

    fn low_space(&self, _is_low: bool) {}

    fn corrupt_range_found(&self, _tp: TopicPartition, _range: CorruptRange) {}
}
