//! A running `avouch serve` on free ports. It is ready when it is returned. When it is dropped it
//! is killed and its log is printed, so that a failed test shows the log.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::deadline::eventually;

/// Maximum number of log lines that a failed test shows.
const LOG_LINES_SHOWN: usize = 60;

/// Content of the ready file.
#[derive(Clone, Debug, Deserialize)]
pub struct Addresses {
    /// `HOST:PORT` of the Kafka listener; empty with `--registry-only`.
    #[serde(default)]
    pub kafka: String,
    /// `HOST:PORT` of the registry.
    pub http: String,
    /// Id of the process that wrote the file.
    pub pid: u32,
}

/// A broker with its registry in a temporary directory.
#[derive(Debug)]
pub struct Node {
    child: Child,
    directory: TempDir,
    data_dir: PathBuf,
    addresses: Addresses,
    flags: Vec<String>,
    /// Shell commands that run before the binary.
    limits: &'static str,
}

impl Node {
    /// Starts a node on ports assigned by the operating system.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a node with additional flags of `avouch serve`.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn start_with(flags: &[&str]) -> Result<Self> {
        Self::start_at("127.0.0.1:0", "127.0.0.1:0", flags)
    }

    /// Starts a standalone registry that can be restarted at the same address.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn start_registry() -> Result<Self> {
        let http = format!("127.0.0.1:{}", fixed_port()?);
        Self::start_at("127.0.0.1:0", &http, &["--registry-only"])
    }

    /// Starts a standalone broker that can be restarted at the same address and uses the registry
    /// at `registry_url`.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn start_broker(registry_url: &str) -> Result<Self> {
        let (kafka, http) = (fixed_port()?, fixed_port()?);
        let flags = ["--broker-only", "--registry-url", registry_url];
        let (kafka, http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
        Self::start_at(&kafka, &http, &flags)
    }

    /// Starts a node that can be restarted at the same addresses. Its ports are below the ephemeral
    /// range, so that no outgoing connection can take them while the node is down.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn start_restartable() -> Result<Self> {
        let (kafka, http) = (fixed_port()?, fixed_port()?);
        let (kafka, http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
        Self::start_at(&kafka, &http, &[])
    }

    /// Starts a node with an existing or new data directory, which the caller keeps.
    ///
    /// # Errors
    /// Fails if the node does not become ready; the error contains the log.
    pub fn start_on(data_dir: &Path) -> Result<Self> {
        let any_port = "127.0.0.1:0";
        Self::launch_in(tempfile::tempdir()?, data_dir, any_port, any_port, &[], "")
    }

    /// Starts a node that can be restarted, after the shell commands `limits`, such as
    /// `ulimit -n 400;`.
    ///
    /// # Errors
    /// Fails if the node does not become ready; the error contains the log.
    pub fn start_under(limits: &'static str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let data_dir = directory.path().join("data");
        let (kafka, http) = (fixed_port()?, fixed_port()?);
        let (kafka, http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
        Self::launch_in(directory, &data_dir, &kafka, &http, &[], limits)
    }

    fn start_at(kafka: &str, http: &str, flags: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let data_dir = directory.path().join("data");
        Self::launch_in(directory, &data_dir, kafka, http, flags, "")
    }

    fn launch_in(
        directory: TempDir,
        data_dir: &Path,
        kafka: &str,
        http: &str,
        flags: &[&str],
        limits: &'static str,
    ) -> Result<Self> {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        // The ready file and the log are next to the data directory, not in it.
        let (child, addresses) = launch(directory.path(), data_dir, (kafka, http), &flags, limits)?;
        Ok(Self {
            child,
            directory,
            data_dir: data_dir.to_owned(),
            addresses,
            flags,
            limits,
        })
    }

    /// Returns the `HOST:PORT` for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.addresses.kafka
    }

    /// Returns the base URL of the registry and of Avouch's HTTP API, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// Returns the complete log, including previous runs of a restarted node.
    ///
    /// # Errors
    /// Fails if the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("log"))?)
    }

    /// Returns the startup banner: the stdout of the current process.
    ///
    /// # Errors
    /// Fails if the output cannot be read.
    pub fn banner(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("banner"))?)
    }

    /// Kills the process with SIGKILL and waits for its exit.
    ///
    /// # Errors
    /// Fails if the process cannot be killed.
    pub fn kill_9(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the exit of the process.
    ///
    /// # Errors
    /// Fails if the process does not exit.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.send_sigterm()?;
        self.wait()
    }

    /// Returns whether the process has exited.
    ///
    /// # Errors
    /// Fails if its state cannot be read.
    pub fn has_exited(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends SIGTERM without waiting.
    ///
    /// # Errors
    /// Fails if the process does not exist.
    pub fn send_sigterm(&self) -> Result<()> {
        signal("TERM", self.pid())
    }

    /// Waits for the exit of the process.
    ///
    /// # Errors
    /// Fails if the process does not exit.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        eventually("the exit of the node", || Ok(self.child.try_wait()?))
    }

    /// Restarts a node that has exited, with the same data and addresses.
    ///
    /// # Errors
    /// Fails if the node does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        let Addresses { kafka, http, .. } = self.addresses.clone();
        let directory = self.directory.path();
        let kafka = if kafka.is_empty() {
            "127.0.0.1:0"
        } else {
            &kafka
        };
        (self.child, self.addresses) = launch(
            directory,
            &self.data_dir,
            (kafka, &http),
            &self.flags,
            self.limits,
        )?;
        Ok(())
    }
}

impl Drop for Node {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it when the test fails"
    )]
    fn drop(&mut self) {
        // The process may have exited already.
        drop(self.kill_9());
        let log = self.log().unwrap_or_default();
        // The last lines are the relevant ones.
        let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
        for line in log.lines().skip(skipped) {
            eprintln!("| {line}");
        }
    }
}

/// Returns the binary that was built with this test, or the one that `AVOUCH_BIN` names.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("AVOUCH_BIN") {
        return path.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("target/debug"));
    // Tests are in target/debug/deps, other programs in target/debug.
    let profile = match folder.parent() {
        Some(parent) if folder.ends_with("deps") => parent,
        _ => folder,
    };
    profile.join("avouch")
}

/// Returns the command `avouch serve` with `data_dir` and `flags`, without the environment of the
/// test.
pub fn serve(data_dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .env_clear()
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .args(flags);
    command
}

/// Sends the signal `name` (such as `TERM`) to a process.
///
/// # Errors
/// Fails if the process does not exist.
pub fn signal(name: &str, pid: u32) -> Result<()> {
    // `kill` is a shell builtin; the program of that name is not installed everywhere.
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()?;
    if !sent.success() {
        bail!("cannot send {name} to process {pid}");
    }
    Ok(())
}

fn launch(
    directory: &Path,
    data_dir: &Path,
    (kafka, http): (&str, &str),
    flags: &[String],
    limits: &str,
) -> Result<(Child, Addresses)> {
    let ready_file = directory.join("ready.json");
    // A killed process leaves its ready file; it must not be mistaken for the new one.
    drop(fs::remove_file(&ready_file));
    let log = OpenOptions::new()
        .create(true)
        // A restarted node continues the same log.
        .append(true)
        .open(directory.join("log"))?;
    let binary = binary();
    ensure!(binary.exists(), "{}: build it first", binary.display());
    let serve = serve(data_dir, &["--kafka-listen", kafka, "--http-listen", http]);
    // With SIGXFSZ ignored, a write beyond the file size limit fails as on a full disk.
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!(r#"trap "" XFSZ; {limits} exec "$@""#), "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .args(flags)
        .arg("--ready-file")
        .arg(&ready_file)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("banner"))?)
        .stderr(log)
        .spawn()?;
    let addresses = eventually("the ready file", || {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(directory.join("log"))?;
            bail!("avouch exited before it was ready: {status}\n{log}");
        }
        match fs::read(&ready_file) {
            Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
            // The file is created atomically, so it is complete once it exists.
            Err(_) => Ok(None),
        }
    })?;
    Ok((child, addresses))
}

/// Returns a free port below Linux's ephemeral range (32768 and up).
fn fixed_port() -> Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests are processes with neighbouring ids: a large prime keeps their ranges apart.
    let start = u16::try_from(std::process::id().wrapping_mul(7_919) % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        // The listener is closed again at once, because the node must bind the port.
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port");
}
