//! The servers as processes of their own, with data that vanish.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use avouch_bench_avro::page::checkout;
use serde_json::Value;
use tempfile::TempDir;

use crate::load::now;

const BINARY: &str = "target/release/avouch";
const STEP: Duration = Duration::from_millis(5);
/// Steps until it must be ready.
const STEPS_MAX: usize = 10_000;

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    pub(crate) address: String,
}

impl Process {
    /// A registry of the checkout's release binary, or the one that `AVOUCH_BIN` names. Its data
    /// stand under `target/`, on a real disk.
    pub(crate) fn registry() -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-registry-", checkout().join("target"))?;
        let (child, address) = start(&folder)?;
        Ok(Self {
            child,
            folder,
            address,
        })
    }

    /// The bare server.
    pub(crate) fn hello() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("hello")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("piped above")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            child,
            folder: TempDir::new()?,
            address: address.trim().to_owned(),
        })
    }

    /// Kills the registry and starts it again on its data; how long until it was ready.
    pub(crate) fn restart(&mut self) -> Result<Duration> {
        self.child.kill()?;
        self.child.wait()?;
        let begun = now();
        (self.child, self.address) = start(&self.folder)?;
        Ok(begun.elapsed())
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between the two.
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

    /// Of the database's file, without its log.
    pub(crate) fn database_bytes(&self) -> Result<u64> {
        let path = self.folder.path().join("data/registry.sqlite");
        Ok(fs::metadata(path)?.len())
    }
}

fn start(folder: &TempDir) -> Result<(Child, String)> {
    let binary = std::env::var_os("AVOUCH_BIN").map(PathBuf::from);
    let binary = binary.unwrap_or_else(|| checkout().join(BINARY));
    let ready = folder.path().join("ready");
    // Left by the process before.
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
    for _ in 0..STEPS_MAX {
        if let Ok(text) = fs::read_to_string(&ready) {
            let addresses: Value = serde_json::from_str(&text)?;
            let address = addresses["http"].as_str().context("no HTTP address")?;
            return Ok((child, address.to_owned()));
        }
        let ended = child.try_wait()?;
        ensure!(ended.is_none(), "the registry ended: {ended:?}");
        sleep(STEP);
    }
    bail!("the registry is not ready")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
