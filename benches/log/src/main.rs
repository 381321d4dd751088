//! Benchmark of the log without sockets, compared with the raw disk: `just bench-log`.
//!
//! Without an argument it measures appends, commits and fetches in alternating rounds, write
//! amplification, and the cost of thousands of partitions for a log and for a broker process.
//! `look` runs a short version and only prints the results. `restart GB...` measures the restart
//! time of the release binary after SIGKILL with that amount of data. Results are written to
//! `docs/benchmarks/log.json` and rendered into `docs/benchmarks.md`. Data are stored in `target/`,
//! or in `AVOUCH_BENCH_DIR`.

mod counting_disk;
mod device;
mod fetches;
mod load;
mod many;
mod process;
mod raw;
mod restart;
mod rounds;
mod statistics;
mod whole_broker;

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::{Result, bail};
use avouch_bench_report::log::{Measured, NAME, Report};
use avouch_bench_report::page::{self, Run, checkout};
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
        // Used only by the benchmark itself, which starts a child process.
        ["many", batches_each] => many::measure_and_print(batches_each.parse()?),
        _ => bail!("unknown arguments; there are: none, look, restart GB..."),
    }
}

fn measured(scale: Scale) -> Result<Measured> {
    print_progress("appends, fetches and the raw disk");
    let rounds = rounds::measured(scale)?;
    print_progress("write amplification");
    let device = device::measured(scale)?;
    print_progress("one log with 4,000 partitions");
    let many = many::measured(scale)?;
    print_progress("a broker process with 4,000 partitions");
    let node = whole_broker::measured(scale)?;
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
    page::write_results(NAME, &report)?;
    page::render()
}

/// Prints the current measurement. A closed stdout does not abort a run of several minutes.
fn print_progress(step: &str) {
    drop(writeln!(stdout(), "{step}"));
}

/// Creates a temporary directory. Not in `/tmp`, which can be a memory file system.
fn directory() -> Result<tempfile::TempDir> {
    let parent = std::env::var_os("AVOUCH_BENCH_DIR").map(PathBuf::from);
    let parent = parent.unwrap_or_else(|| checkout().join("target"));
    Ok(tempfile::Builder::new()
        .prefix("bench-log-")
        .tempdir_in(parent)?)
}
