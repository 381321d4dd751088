//! Benchmarks of the Avro crate against other libraries: `just bench-avro`, `just bench-model`.
//!
//! Measures the validator, or with the argument `model` schema parsing and compatibility checks.
//! Writes `docs/benchmarks/avro.json` or `model.json`, and renders `docs/benchmarks.md`. With
//! `look` or `look-model` it only prints the results.

mod measure;
mod model;
mod validation;
mod visit;

use anyhow::{Result, bail};
use avouch_bench_report::page;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            page::write_results("avro", &validation::measured()?)?;
            page::render()
        }
        Some("model") => {
            page::write_results("model", &model::measured()?)?;
            page::render()
        }
        Some("look") => {
            page::print(&validation::measured()?.markdown());
            Ok(())
        }
        Some("look-model") => {
            page::print(&model::measured()?.markdown());
            Ok(())
        }
        Some(other) => bail!("unknown argument {other}; expected model, look or look-model"),
    }
}
