//! A broker of the checkout's release binary, as a process of its own, with data that vanish. Other
//! benches of whole brokers use it, too.

use anyhow::{Context, Result, ensure};
use avouch_bench_avro::page::checkout;
use avouch_broker::types::TimestampMs;
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
/// Between two looks for the ready file: what a start may seem longer than it was.
const STEP: Duration = Duration::from_millis(1);
/// Steps until it must be ready.
const STEPS_MAX: usize = 60_000;

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct Node {
    process: Child,
    folder: TempDir,
    /// Where it speaks Kafka.
    pub kafka: String,
    http: String,
    /// When it was ready: a time for records that retention leaves alone.
    pub ready_at: TimestampMs,
}

impl Node {
    /// Starts it, and waits until it is ready. Its data stand under `target/`, on a real disk.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-node-", checkout().join("target"))?;
        let mut node = Self {
            process: launched(folder.path())?,
            folder,
            kafka: String::new(),
            http: String::new(),
            ready_at: TimestampMs(-1),
        };
        node.wait_until_ready()?;
        Ok(node)
    }

    /// Kills it as a power cut would, as far as a process can tell.
    ///
    /// # Errors
    /// When that can't be done.
    pub fn kill_9(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(fs::remove_file(self.folder.path().join("ready"))?)
    }

    /// Starts one that was killed on what it left behind, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = launched(self.folder.path())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let ready = self.folder.path().join("ready");
        for _ in 0..STEPS_MAX {
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
            let ended = self.process.try_wait()?;
            ensure!(ended.is_none(), "the broker ended: {ended:?}");
            sleep(STEP);
        }
        anyhow::bail!("the broker is not ready")
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged since it was started last.
    ///
    /// # Errors
    /// When that can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Registers a schema; its id.
    ///
    /// # Errors
    /// When the registry refuses it.
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
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (_, body) = reply.split_once("\r\n\r\n").context("no body")?;
        let body: Value = serde_json::from_str(body).with_context(|| reply.clone())?;
        let id = body["id"].as_u64().with_context(|| reply.clone())?;
        Ok(u32::try_from(id)?)
    }

    /// CPU time of all its threads so far, in ns: finer than the clock ticks of `/proc/PID/stat`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_ns(&self) -> Result<u64> {
        let tasks = format!("/proc/{}/task", self.process.id());
        let mut sum = 0;
        for task in fs::read_dir(tasks)? {
            // A thread may end between the two.
            let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            let on_cpu = stat.split(' ').next().unwrap_or_default();
            sum += on_cpu.parse::<u64>().unwrap_or(0);
        }
        Ok(sum)
    }
}

fn launched(folder: &Path) -> Result<Child> {
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
        // It may have ended by itself; there is nobody to tell.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
