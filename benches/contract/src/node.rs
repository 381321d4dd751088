//! A broker of the checkout's release binary, as a process of its own, with data that vanish.

use anyhow::{Context, Result, ensure};
use avouch_bench_avro::page::checkout;
use avouch_broker::types::TimestampMs;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

const BINARY: &str = "target/release/avouch";
const STEP: Duration = Duration::from_millis(20);
/// Steps until it must be ready.
const STEPS_MAX: usize = 1_000;

/// A running broker; killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    process: Child,
    _folder: TempDir,
    /// Where it speaks Kafka.
    pub(crate) kafka: String,
    http: String,
    /// When it was ready: a time for records that retention leaves alone.
    pub(crate) ready_at: TimestampMs,
}

impl Node {
    /// Starts it, and waits until it is ready. Its data stand under `target/`, on a real disk.
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-contract-", checkout().join("target"))?;
        let ready = folder.path().join("ready");
        let process = Command::new(checkout().join(BINARY))
            .args(["serve", "--kafka-listen", "127.0.0.1:0"])
            .args(["--http-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()
            .with_context(|| format!("{BINARY}: build it first"))?;
        let mut node = Self {
            process,
            _folder: folder,
            kafka: String::new(),
            http: String::new(),
            ready_at: TimestampMs(-1),
        };
        for _ in 0..STEPS_MAX {
            if let Ok(text) = fs::read_to_string(&ready) {
                let addresses: Value = serde_json::from_str(&text)?;
                let address = |key: &str| addresses[key].as_str().map(str::to_owned);
                node.kafka = address("kafka").context("no Kafka address")?;
                node.http = address("http").context("no HTTP address")?;
                let written = fs::metadata(&ready)?
                    .modified()?
                    .duration_since(UNIX_EPOCH)?;
                node.ready_at = TimestampMs(i64::try_from(written.as_millis())?);
                return Ok(node);
            }
            let ended = node.process.try_wait()?;
            ensure!(ended.is_none(), "the broker ended: {ended:?}");
            sleep(STEP);
        }
        anyhow::bail!("the broker is not ready")
    }

    /// Registers a schema; its id.
    pub(crate) fn register(&self, subject: &str, schema: &str) -> Result<u32> {
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
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
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

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
