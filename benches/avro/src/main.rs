//! Benchmarks of the Avro crate against other libraries: `just bench-avro`, `just bench-model`,
//! `just bench-codec`.
//!
//! Measures the validator, with the argument `model` schema parsing and compatibility checks, with
//! `codec` the codec. Writes `docs/benchmarks/avro.json`, `model.json` or `codec.json`, and renders
//! `docs/benchmarks.md`. With `look`, `look-model` or `look-codec` it only prints the results.

mod codec;
mod measure;
mod model;
mod types;
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
        Some("codec") => {
            page::write_results("codec", &codec::measured()?)?;
            page::render()
        }
        Some("look-codec") => {
            page::print(&codec::measured()?.markdown());
            Ok(())
        }
        Some("look") => {
            page::print(&validation::measured()?.markdown());
            Ok(())
        }
        Some("look-model") => {
            page::print(&model::measured()?.markdown());
            Ok(())
        }
        Some(other) => {
            bail!("unknown argument {other}; expected model, codec, look, look-model or look-codec")
        }
    }
}
