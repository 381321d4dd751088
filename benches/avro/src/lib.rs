//! Benchmarks of the Avro crate against other libraries, and modules shared with the other
//! benchmark crates: data sets, and the page with all results.

mod broker_report;
pub mod contract;
pub mod data;
pub mod log;
mod measure;
mod model;
mod model_report;
pub mod page;
pub mod registry;
mod report;
mod targets;
mod validation;
mod visit;

use anyhow::{Result, bail};

/// Runs the benchmark that the argument names; see `main`.
///
/// # Errors
/// Fails if a measurement or a write fails, or the argument is unknown.
pub fn run(argument: Option<&str>) -> Result<()> {
    match argument {
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
        Some("render") => page::render(),
        Some(other) => bail!("unknown argument {other}; there are: model look look-model render"),
    }
}
