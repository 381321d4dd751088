//! The `avouch` binary: parses the command line, calls the module of the command, and reports an
//! error as one line on stderr with exit code 1.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "commands write their results to the standard streams"
)]

mod args;
mod backup;
mod banner;
mod broker_settings;
mod codegen;
mod config;
mod config_file;
mod log;
mod logging;
mod ready_file;
mod schema;
mod schema_transfer;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use avouch_node::{DataDir, REGISTRY_FILE, accept_loss};
use clap::Parser as _;
use tokio::runtime;

use crate::args::{BackupCommand, Cli, Command, SchemaCommand};
use crate::config_file::ConfigFile;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // The alternate form prints all causes on one line.
            eprintln!("avouch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = ConfigFile::load(cli.config.as_deref(), Path::new("avouch.toml"))?;
    match cli.command {
        Command::Serve(flags) => serve::run(config::resolve(*flags, file.serve)?),
        Command::Codegen(command) => codegen::run(&command),
        Command::Log(command) => log::run(command, file.serve.data_dir),
        Command::Backup { start, command } => match command {
            Some(BackupCommand::Verify { directory }) => backup::verify(&directory),
            None => block_on(backup::run(start, file.serve.http_listen)),
        },
        Command::Restore { from, data_dir } => {
            let data_dir = data_dir.or(file.serve.data_dir);
            let usual = || PathBuf::from(config::DATA_DIR);
            backup::restore(&from, &data_dir.unwrap_or_else(usual))
        }
        Command::Schema(SchemaCommand::Check { paths, options }) => {
            let report = schema::check(&paths, options.or(file.schema).level())?;
            print!("{report}");
            Ok(if report.compatible() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Schema(SchemaCommand::Register {
            subject,
            file: path,
            options,
        }) => {
            let registry = options.or(file.client).connect()?;
            let id = block_on(schema::register(&registry, &subject, &path))
                .with_context(|| format!("{} as {subject}", path.display()))?;
            println!("{id}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema(SchemaCommand::Export {
            file: path,
            options,
        }) => {
            let registry = options.or(file.client).connect()?;
            let records = block_on(schema_transfer::export(&registry, &path))
                .with_context(|| path.display().to_string())?;
            println!("{records} records");
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema(SchemaCommand::Import {
            force,
            file: path,
            options,
        }) => {
            let registry = options.or(file.client).connect()?;
            let imported = block_on(schema_transfer::import(&registry, &path, force))
                .with_context(|| path.display().to_string())?;
            println!("{} records, {} skipped", imported.records, imported.skipped);
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema(SchemaCommand::AcceptLoss { data_dir }) => {
            let data_dir = data_dir.or(file.serve.data_dir);
            accept_registry_loss(&data_dir.unwrap_or_else(|| PathBuf::from(config::DATA_DIR)))
        }
    }
}

fn accept_registry_loss(data_dir: &Path) -> anyhow::Result<ExitCode> {
    // Taken so that no running process notices the loss only at its next start.
    let _data_dir = DataDir::lock(data_dir)?;
    let database = data_dir.join(REGISTRY_FILE);
    let is_accepted = accept_loss(&database).with_context(|| database.display().to_string())?;
    if !is_accepted {
        bail!("{} is not lost; nothing was changed", database.display());
    }
    println!("the next start creates an empty registry");
    Ok(ExitCode::SUCCESS)
}

/// Runs the requests of a command to the end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One request at a time needs no worker threads.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}
