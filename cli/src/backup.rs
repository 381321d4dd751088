//! `avouch backup` and `avouch restore`: starts a backup of a running node and waits for it,
//! verifies a backup, and restores one into an empty data directory.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{self, Path};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use avouch_node::{Manifest, verify_backup};
use avouch_registry_api::client::RegistryClient;
use avouch_registry_api::rest::{BackupBody, BackupRequest, BackupState, OmittedRegistry};

use crate::args::StartBackup;

/// Interval between two requests for the progress.
const INTERVAL: Duration = Duration::from_millis(200);

/// Starts a backup on the node at the URL of its flag, or at `listen`, and waits for its end.
///
/// # Errors
/// When the node is unreachable, rejects the request, or the backup fails.
pub(crate) async fn run(
    options: StartBackup,
    listen: Option<SocketAddr>,
) -> anyhow::Result<ExitCode> {
    let to = options.to.context("--to is missing")?;
    // The node has another working directory.
    let to = path::absolute(&to).with_context(|| to.display().to_string())?;
    let to = to.to_str().context("the path of the backup is not UTF-8")?;
    let url = options.http.unwrap_or_else(|| url_of(listen));
    let node = RegistryClient::new(&url).context("--http")?;
    let request = BackupRequest { to: to.to_owned() };
    let mut backup = node.start_backup(&request).await?;
    let shows_progress = io::stderr().is_terminal();
    while backup.state == BackupState::Running {
        tokio::time::sleep(INTERVAL).await;
        backup = node.backup(backup.id).await?;
        if shows_progress {
            let BackupBody {
                bytes,
                bytes_expected,
                ..
            } = backup;
            eprint!("\r{bytes} of about {bytes_expected} bytes");
        }
    }
    if shows_progress {
        eprintln!();
    }
    if let Some(error) = &backup.error {
        bail!("backup failed: {error}");
    }
    let BackupBody { files, bytes, .. } = backup;
    print(
        &format!("backup of {files} files, {bytes} bytes: {to}"),
        backup.omitted,
    )
}

/// Returns the URL of a listener, which is reachable at a loopback address.
fn url_of(listen: Option<SocketAddr>) -> String {
    let mut address = listen.unwrap_or_else(|| ([127, 0, 0, 1], 8081).into());
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    format!("http://{address}")
}

/// Verifies the checksums of a backup.
///
/// # Errors
/// When the backup is incomplete or corrupt.
pub(crate) fn verify(directory: &Path) -> anyhow::Result<ExitCode> {
    let manifest = verify_backup(directory)?;
    print(&format!("intact: {}", content(&manifest)), manifest.omitted)
}

/// Restores a backup into an empty data directory.
///
/// # Errors
/// When the backup is incomplete or corrupt, or the data directory is not empty.
pub(crate) fn restore(from: &Path, data_dir: &Path) -> anyhow::Result<ExitCode> {
    let manifest = avouch_node::restore(from, data_dir)?;
    let start = format!(
        "restored {}\nstart the node: avouch serve --data-dir {}",
        content(&manifest),
        data_dir.display()
    );
    print(&start, manifest.omitted)
}

fn content(manifest: &Manifest) -> String {
    let (files, bytes) = (manifest.files.len(), manifest.bytes());
    let cluster = manifest.cluster_id.as_deref();
    let cluster = cluster.map_or_else(String::new, |id| format!(" of cluster {id}"));
    format!("{files} files, {bytes} bytes{cluster}")
}

fn print(text: &str, omitted: Option<OmittedRegistry>) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    if let Some(omitted) = omitted {
        writeln!(out, "{omitted}")?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_url_is_a_loopback_address() {
        let cases = [
            (None, "http://127.0.0.1:8081"),
            (Some("0.0.0.0:80"), "http://127.0.0.1:80"),
            (Some("[::1]:81"), "http://[::1]:81"),
        ];
        for (listen, expected) in cases {
            let listen = listen.map(|address| address.parse().unwrap());
            assert_eq!(url_of(listen), expected);
        }
    }
}
