//! Figures of the log alone, no sockets, against the bare disk: `just bench-log`.
//!
//! Without an argument it measures appends, commits and fetches in alternating rounds and what
//! thousands of partitions cost; with `restart GB...` how long a start takes over that much data.
//! Both write `docs/benchmarks/log.json` and render it into `docs/benchmarks.md`; `render` only
//! renders. Data go below the system's temporary directory, or `AVOUCH_BENCH_DIR`.

mod counted;
mod load;
mod many;
mod raw;
mod report;
mod restart;
mod rounds;

use std::path::PathBuf;

use anyhow::{Result, bail};
use report::Report;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut report = Report::committed().unwrap_or_default();
    match words.as_slice() {
        [] => {
            report.measured(rounds::measured()?, many::measured()?)?;
            report.write()?;
        }
        ["restart", sizes @ ..] if !sizes.is_empty() => {
            for gb in sizes {
                report.restarted(restart::measured(gb.parse()?)?);
            }
            report.write()?;
        }
        ["render"] => {}
        ["fill", dir, gb] => return restart::fill(&PathBuf::from(dir), gb.parse()?),
        _ => bail!("unknown arguments; there are: none, restart GB..., render"),
    }
    report::render()
}

/// A directory of our own that goes when it is dropped.
fn directory() -> Result<tempfile::TempDir> {
    let parent = std::env::var_os("AVOUCH_BENCH_DIR").map(PathBuf::from);
    let parent = parent.unwrap_or_else(std::env::temp_dir);
    Ok(tempfile::Builder::new()
        .prefix("bench-log")
        .tempdir_in(parent)?)
}
