//! A broker process of the checkout's release binary with a temporary data directory. Shared with
//! other benchmarks of the whole broker.

use anyhow::{Context, Result, ensure};
use avouch_bench_report::page::checkout;
use avouch_protocol::types::TimestampMs;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

const BINARY: &str = "target/release/avouch";
/// Poll interval for the ready file: the error of a measured start time.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Maximum number of polls before a start fails.
const POLLS_MAX: usize = 60_000;

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct Node {
    process: Child,
    folder: TempDir,
    /// Address of the Kafka listener.
    pub kafka: String,
    http: String,
    /// Time at which the broker was ready: a record timestamp that retention does not delete.
    pub ready_at: TimestampMs,
}

impl Node {
    /// Starts a broker and waits until it is ready. The data are under `target/`, because `/tmp`
    /// can be a memory file system.
    ///
    /// # Errors
    /// Fails if the broker exits or is not ready in time.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-node-", checkout().join("target"))?;
        let mut node = Self {
            process: spawn(folder.path())?,
            folder,
            kafka: String::new(),
            http: String::new(),
            ready_at: TimestampMs(-1),
        };
        node.wait_until_ready()?;
        Ok(node)
    }

    /// Kills the process with SIGKILL.
    ///
    /// # Errors
    /// Fails if the process cannot be killed.
    pub fn kill_9(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        // A killed process leaves its ready file, which must not be mistaken for the new one.
        Ok(fs::remove_file(self.folder.path().join("ready"))?)
    }

    /// Restarts a killed broker on its data and waits until it is ready.
    ///
    /// # Errors
    /// Fails if the broker exits or is not ready in time.
    pub fn restart(&mut self) -> Result<()> {
        self.process = spawn(self.folder.path())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let ready = self.folder.path().join("ready");
        for _ in 0..POLLS_MAX {
            if let Ok(text) = fs::read_to_string(&ready) {
                let addresses: Value = serde_json::from_str(&text)?;
                let address = |key: &str| addresses[key].as_str().map(str::to_owned);
                self.kafka = address("kafka").context("no Kafka address")?;
                self.http = address("http").context("no HTTP address")?;
                let written = fs::metadata(&ready)?
                    .modified()?
                    .duration_since(UNIX_EPOCH)?;
                self.ready_at = TimestampMs(i64::try_from(written.as_millis())?);
                return Ok(());
            }
            // Checked after the file: a process that fails at once has not written it.
            let ended = self.process.try_wait()?;
            ensure!(ended.is_none(), "the broker exited: {ended:?}");
            sleep(POLL_INTERVAL);
        }
        anyhow::bail!("the broker is not ready")
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the log output since the last start.
    ///
    /// # Errors
    /// Fails if the log file cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Registers a schema and returns its id.
    ///
    /// # Errors
    /// Fails if the registry rejects the schema.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        let body = json!({ "schema": schema }).to_string();
        let mut stream = TcpStream::connect(&self.http)?;
        write!(
            stream,
            "POST /subjects/{subject}/versions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len()
        )?;
        let mut response = String::new();
        // With `Connection: close` the response ends with the stream.
        stream.read_to_string(&mut response)?;
        let (_, body) = response.split_once("\r\n\r\n").context("no body")?;
        let body: Value = serde_json::from_str(body).with_context(|| response.clone())?;
        let id = body["id"].as_u64().with_context(|| response.clone())?;
        Ok(u32::try_from(id)?)
    }

    /// Returns the CPU time of all threads so far, in ns. `schedstat` has a finer resolution than
    /// the clock ticks of `/proc/PID/stat`.
    ///
    /// # Errors
    /// Fails if the process has exited.
    pub fn cpu_ns(&self) -> Result<u64> {
        let tasks = format!("/proc/{}/task", self.process.id());
        let mut sum = 0;
        for task in fs::read_dir(tasks)? {
            // A thread can exit between the listing and the read.
            let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            let on_cpu = stat.split(' ').next().unwrap_or_default();
            sum += on_cpu.parse::<u64>().unwrap_or(0);
        }
        Ok(sum)
    }
}

fn spawn(folder: &Path) -> Result<Child> {
    Command::new(checkout().join(BINARY))
        .args(["serve", "--kafka-listen", "127.0.0.1:0"])
        .args(["--http-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--ready-file")
        .arg(folder.join("ready"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log"))?)
        .spawn()
        .with_context(|| format!("{BINARY}: build it first"))
}

impl Drop for Node {
    fn drop(&mut self) {
        // The process may have exited already, and `drop` cannot return an error.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
