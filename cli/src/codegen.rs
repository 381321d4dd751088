//! `avouch codegen`: writes the Rust types of schemas, or compares them with a file.

use std::process::ExitCode;

use anyhow::Context as _;
use avouch_codegen::{Generator, TimeCrate};

use crate::args::{CodegenArgs, Language, TimeTypes};

/// The exit code of `--check` for output that is not up to date.
const STALE: u8 = 3;

/// Runs the command.
///
/// # Errors
/// If a schema is invalid or cannot be expressed, or a file cannot be read or written. No file is
/// changed then.
pub(crate) fn run(command: &CodegenArgs) -> anyhow::Result<ExitCode> {
    let Language::Rust = command.lang;
    let generator = Generator::new()
        .borrowed(command.borrowed)
        .time(match command.time {
            TimeTypes::Jiff => TimeCrate::Jiff,
            TimeTypes::Chrono => TimeCrate::Chrono,
            TimeTypes::Time => TimeCrate::Time,
            TimeTypes::Raw => TimeCrate::Raw,
        });
    if command.dependencies {
        print!("{}", generator.dependencies());
        return Ok(ExitCode::SUCCESS);
    }
    let out = command.out.as_deref().context("--out is required")?;
    let path = out.join("mod.rs");
    if !command.check {
        generator.write_files(&command.paths, &path)?;
        return Ok(ExitCode::SUCCESS);
    }
    if generator.is_current(&command.paths, &path)? {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "avouch: {} is not up to date; run codegen without --check",
        path.display()
    );
    Ok(ExitCode::from(STALE))
}
