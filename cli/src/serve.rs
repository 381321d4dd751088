//! `avouch serve`: starts a node, announces its addresses, and drains it at a signal.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use avouch_node::{Node, NodeConfig};
use rlimit::Resource;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::banner::Banner;
use crate::config::ServeConfig;
use crate::logging;
use crate::ready_file::ReadyFile;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When something cannot be opened, when the log fails, and when a second signal interrupts the
/// drain.
pub(crate) fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    let suppressed = logging::to_stderr()?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        tokio::spawn(suppressed.report());
        serve(config).await
    });
    // Remaining tasks had their time to drain, or must not delay the exit of a failed process.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    // Before the node starts, so that a signal during recovery is not lost.
    let mut stop = StopSignals::listen()?;
    let mut node_config = config.node.clone();
    node_config.file_handles_max = raise_file_handles();
    let mut node = tokio::select! {
        started = Node::start(node_config) => started?,
        // Interrupting recovery is like a crash, which the next start recovers from.
        () = stop.next() => return Ok(()),
    };
    let _ready_file = config
        .ready_file
        .as_deref()
        .map(|path| {
            ReadyFile::write(path, node.kafka_address(), node.http_address())
                .with_context(|| format!("ready file {}", path.display()))
        })
        .transpose()?;
    let banner = banner(&config.node, &node).to_string();
    // `print!` would panic if stdout is closed.
    if let Err(error) = io::stdout().write_all(banner.as_bytes()) {
        tracing::warn!(%error, "cannot write the startup banner to stdout");
    }
    tokio::select! {
        () = stop.next() => {}
        failure = node.failed() => return Err(failure.into()),
    }
    tracing::info!("draining; a second signal stops the process immediately");
    tokio::select! {
        () = node.shutdown() => Ok(()),
        () = stop.next() => bail!("stopped before the drain was complete"),
    }
}

fn banner<'a>(config: &'a NodeConfig, node: &Node) -> Banner<'a> {
    Banner {
        kafka: node.kafka_address(),
        http: node.http_address(),
        has_registry: config.role.has_registry(),
        data_dir: &config.data_dir,
        durability: config.broker.durability,
    }
}

/// Raises the limit of open files and returns it: each connection holds a file handle, and the
/// usual soft limit is 1024.
fn raise_file_handles() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
        .inspect_err(|error| tracing::warn!(%error, "cannot raise the limit of open files"))
        .or_else(|_| Resource::NOFILE.get_soft())
        .ok()
}

/// SIGINT and SIGTERM, caught after `listen`.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
