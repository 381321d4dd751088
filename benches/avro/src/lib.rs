//! Figures of the Avro core against its peers, and what other benches share with them: data sets
//! and the page that shows all figures.

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

/// Does what the argument asks for; see `main`.
///
/// # Errors
/// When something can't be measured or written, or the argument is unknown.
pub fn run(argument: Option<&str>) -> Result<()> {
    match argument {
        None => {
            page::commit_figures("avro", &validation::measured()?)?;
            page::render()
        }
        Some("model") => {
            page::commit_figures("model", &model::measured()?)?;
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
