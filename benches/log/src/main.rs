//! Figures of the log alone, no sockets, against the bare disk: `just bench-log`.
//!
//! Without an argument it measures appends, commits and fetches in alternating rounds, what reaches
//! the disk, and what thousands of partitions cost a log and a whole broker; `look` does a little
//! of that and only prints. `restart GB...` measures how long the released binary takes to start
//! over that much data after a kill. The figures go to `docs/benchmarks/log.json` and from there
//! into `docs/benchmarks.md`. Data go below `target/`, or `AVOUCH_BENCH_DIR`.

mod counted;
mod device;
mod fetches;
mod load;
mod many;
mod process;
mod raw;
mod restart;
mod rounds;
mod statistics;
mod whole;

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::{Result, bail};
use avouch_bench_avro::log::{Measured, NAME, Report};
use avouch_bench_avro::page::{self, Run, checkout};
use rounds::Scale;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let measured = measured(Scale::FULL)?;
            commit(|report| report.measured = Some(measured))
        }
        ["look"] => {
            let report = Report {
                measured: Some(measured(Scale::LOOK)?),
                restarts: None,
            };
            page::print(&report.markdown());
            Ok(())
        }
        ["restart", sizes @ ..] if !sizes.is_empty() => {
            let sizes = sizes.iter().map(|gb| gb.parse());
            let restarts = restart::measured(&sizes.collect::<Result<Vec<_>, _>>()?)?;
            commit(|report| report.restarts = Some(restarts))
        }
        ["many", batches_each] => many::measure_and_print(batches_each.parse()?),
        _ => bail!("unknown arguments; there are: none, look, restart GB..."),
    }
}

fn measured(scale: Scale) -> Result<Measured> {
    tell("appends, fetches and the bare disk");
    let rounds = rounds::measured(scale)?;
    tell("what reaches the disk");
    let device = device::measured(scale)?;
    tell("one log with 4,000 partitions");
    let many = many::measured(scale)?;
    tell("the whole broker with 4,000 partitions");
    let node = whole::measured(scale)?;
    Ok(Measured {
        run: Run::new(scale.rounds)?,
        round_mib: scale.round_bytes >> 20,
        raw: rounds.raw,
        appends: rounds.appends,
        device,
        fetches: rounds.fetches,
        many,
        node,
    })
}

fn commit(change: impl FnOnce(&mut Report)) -> Result<()> {
    let mut report = Report::committed()?;
    change(&mut report);
    page::commit_figures(NAME, &report)?;
    page::render()
}

/// Says what is being measured. A terminal that is gone does not end a run of minutes.
fn tell(what: &str) {
    drop(writeln!(stdout(), "{what}"));
}

/// A directory of our own that goes when it is dropped. Not in /tmp, which may be memory.
fn directory() -> Result<tempfile::TempDir> {
    let parent = std::env::var_os("AVOUCH_BENCH_DIR").map(PathBuf::from);
    let parent = parent.unwrap_or_else(|| checkout().join("target"));
    Ok(tempfile::Builder::new()
        .prefix("bench-log-")
        .tempdir_in(parent)?)
}
