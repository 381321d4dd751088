//! The servers as child processes with temporary data directories.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use avouch_bench_report::page::checkout;
use serde_json::Value;
use tempfile::TempDir;

use crate::load::now;

const BINARY: &str = "target/release/avouch";
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum number of polls before a start fails.
const POLLS_MAX: usize = 10_000;

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    pub(crate) address: String,
}

impl Process {
    /// Starts a registry of the release binary, or of the binary that `AVOUCH_BIN` names. The data
    /// are under `target/`, because `/tmp` can be a memory file system.
    pub(crate) fn registry() -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-registry-", checkout().join("target"))?;
        let (child, address) = start(&folder)?;
        Ok(Self {
            child,
            folder,
            address,
        })
    }

    /// Starts the minimal server.
    pub(crate) fn hello() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("hello")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("stdout is not piped")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            child,
            folder: TempDir::new()?,
            address: address.trim().to_owned(),
        })
    }

    /// Kills the registry, restarts it on its data, and returns the time until it is ready.
    pub(crate) fn restart(&mut self) -> Result<Duration> {
        self.child.kill()?;
        self.child.wait()?;
        let started = now();
        (self.child, self.address) = start(&self.folder)?;
        Ok(started.elapsed())
    }

    /// Returns the CPU time of all threads so far.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread can exit between the listing and the read.
            let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            let on_cpu = stat.split(' ').next().unwrap_or_default();
            sum += on_cpu.parse::<u64>().unwrap_or(0);
        }
        Ok(sum)
    }

    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
    }

    /// Returns the size of the database file, without its write-ahead log.
    pub(crate) fn database_bytes(&self) -> Result<u64> {
        let path = self.folder.path().join("data/registry.sqlite");
        Ok(fs::metadata(path)?.len())
    }
}

fn start(folder: &TempDir) -> Result<(Child, String)> {
    let binary = std::env::var_os("AVOUCH_BIN").map(PathBuf::from);
    let binary = binary.unwrap_or_else(|| checkout().join(BINARY));
    let ready = folder.path().join("ready");
    // The killed process left its ready file.
    drop(fs::remove_file(&ready));
    let mut child = Command::new(&binary)
        .args([
            "serve",
            "--registry-only",
            "--http-listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(folder.path().join("data"))
        .arg("--ready-file")
        .arg(&ready)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log"))?)
        .spawn()
        .with_context(|| format!("{}: build it first", binary.display()))?;
    for _ in 0..POLLS_MAX {
        if let Ok(text) = fs::read_to_string(&ready) {
            let addresses: Value = serde_json::from_str(&text)?;
            let address = addresses["http"].as_str().context("no HTTP address")?;
            return Ok((child, address.to_owned()));
        }
        let ended = child.try_wait()?;
        ensure!(ended.is_none(), "the registry exited: {ended:?}");
        sleep(POLL_INTERVAL);
    }
    bail!("the registry is not ready")
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already, and `drop` cannot return an error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
