//! A running `avouch serve` on free ports: ready when it is returned, killed when it is dropped,
//! and its log printed then, so that a failed test shows it.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::deadline::eventually;

/// Lines of the log that a failed test shows.
const LOG_LINES_SHOWN: usize = 60;

/// What the ready file says.
#[derive(Clone, Debug, Deserialize)]
pub struct Addresses {
    /// `HOST:PORT` of the Kafka listener; empty for a registry alone.
    #[serde(default)]
    pub kafka: String,
    /// `HOST:PORT` of the registry.
    pub http: String,
    /// Of the process that wrote the file.
    pub pid: u32,
}

/// A broker with its registry, in a directory of its own.
#[derive(Debug)]
pub struct Node {
    child: Child,
    directory: TempDir,
    addresses: Addresses,
    flags: Vec<String>,
}

impl Node {
    /// A node on ports of the system's choice.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further flags of `avouch serve`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_with(flags: &[&str]) -> Result<Self> {
        Self::start_at("127.0.0.1:0", "127.0.0.1:0", flags)
    }

    /// A registry without a broker, to be restarted at its address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_registry() -> Result<Self> {
        let http = format!("127.0.0.1:{}", quiet_port()?);
        Self::start_at("127.0.0.1:0", &http, &["--registry-only"])
    }

    /// A broker without a registry, to be restarted at its address; `registry_url` is whom it asks.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_broker(registry_url: &str) -> Result<Self> {
        let (kafka, http) = (quiet_port()?, quiet_port()?);
        let flags = ["--broker-only", "--registry-url", registry_url];
        let (kafka, http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
        Self::start_at(&kafka, &http, &flags)
    }

    /// A node on ports that stay its own while it is down: below those that the system gives to
    /// outgoing connections, one of which could otherwise take a listener's place.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_to_be_restarted() -> Result<Self> {
        let (kafka, http) = (quiet_port()?, quiet_port()?);
        let (kafka, http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
        Self::start_at(&kafka, &http, &[])
    }

    fn start_at(kafka: &str, http: &str, flags: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (child, addresses) = launch(directory.path(), kafka, http, &flags)?;
        Ok(Self {
            child,
            directory,
            addresses,
            flags,
        })
    }

    /// `HOST:PORT` for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.addresses.kafka
    }

    /// Base URL of the registry and of our own API, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything it has logged, restarts included.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("log"))?)
    }

    /// What it has printed on stdout since its last start: the card.
    ///
    /// # Errors
    /// When the output cannot be read.
    pub fn card(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("card"))?)
    }

    /// Ends the process as a power cut would, as far as a process can tell.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub fn kill_9(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to stop and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.ask_to_stop()?;
        self.wait()
    }

    /// Asks the process to stop and does not wait.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn ask_to_stop(&self) -> Result<()> {
        signal("TERM", self.pid())
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// When it does not end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        eventually("the node's end", || Ok(self.child.try_wait()?))
    }

    /// Starts a node that has ended again, on the same data and the same addresses.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        let Addresses { kafka, http, .. } = self.addresses.clone();
        let directory = self.directory.path();
        let kafka = if kafka.is_empty() {
            "127.0.0.1:0"
        } else {
            &kafka
        };
        (self.child, self.addresses) = launch(directory, kafka, &http, &self.flags)?;
        Ok(())
    }
}

impl Drop for Node {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it when the test fails"
    )]
    fn drop(&mut self) {
        // It may have ended already, which is what we want too.
        drop(self.kill_9());
        let log = self.log().unwrap_or_default();
        let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
        for line in log.lines().skip(skipped) {
            eprintln!("| {line}");
        }
    }
}

/// The release binary beside the test's own build, or what `AVOUCH_BIN` names.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("AVOUCH_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap_or_default();
    // target/debug/deps/it-0123
    let target = test.ancestors().nth(3).unwrap_or(Path::new("target"));
    target.join("release/avouch")
}

/// `avouch serve` on `data_dir` and `flags`, without anything of the caller's environment.
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

/// Sends `name` (such as `TERM`) to a process.
///
/// # Errors
/// When there is no such process.
pub fn signal(name: &str, pid: u32) -> Result<()> {
    // A shell has `kill` built in; the program of that name is not on every machine.
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()?;
    if !sent.success() {
        bail!("process {pid} cannot be sent {name}");
    }
    Ok(())
}

fn launch(
    directory: &Path,
    kafka: &str,
    http: &str,
    flags: &[String],
) -> Result<(Child, Addresses)> {
    let ready_file = directory.join("ready.json");
    // One that a killed process left behind must not be taken for the new one's.
    drop(fs::remove_file(&ready_file));
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("log"))?;
    let binary = binary();
    ensure!(binary.exists(), "{}: build it first", binary.display());
    let serve = serve(
        &directory.join("data"),
        &["--kafka-listen", kafka, "--http-listen", http],
    );
    // A write beyond a limit on file sizes fails, as on a full disk, and sends no signal.
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .args(flags)
        .arg("--ready-file")
        .arg(&ready_file)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("card"))?)
        .stderr(log)
        .spawn()?;
    let addresses = eventually("the ready file", || {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(directory.join("log"))?;
            bail!("avouch ended before it was ready: {status}\n{log}");
        }
        match fs::read(&ready_file) {
            Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
            Err(_) => Ok(None),
        }
    })?;
    Ok((child, addresses))
}

/// A free port below the range that Linux gives to outgoing connections (32768 and up).
fn quiet_port() -> Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port");
}
