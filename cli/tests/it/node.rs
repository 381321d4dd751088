//! A running `avouch serve` as a value: started, known to be ready, stopped, never left behind.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The binary in `directory`, with nothing of the caller's environment.
pub(crate) fn avouch(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avouch"));
    command.current_dir(directory).env_clear();
    command
}

/// A node that is ready. Dropped without [`Node::stop`], it is killed.
pub(crate) struct Node {
    child: Child,
    card: String,
    ready_file: PathBuf,
}

impl Node {
    /// A node on free ports with `flags`, started in `directory`.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::start_with(avouch(directory), directory, flags)
    }

    /// The same with a prepared `command`.
    pub(crate) fn start_with(mut command: Command, directory: &Path, flags: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let ready_file = directory.join(format!("ready-{number}.json"));
        command
            .args([
                "serve",
                "--kafka-listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
            ])
            .arg("--ready-file")
            .arg(&ready_file)
            .args(flags);
        Self::spawn(command, ready_file)
    }

    /// A node with nothing but what `command` says, which includes where the ready file is.
    pub(crate) fn start_bare(mut command: Command, ready_file: &Path) -> Self {
        command.arg("serve");
        Self::spawn(command, ready_file.to_owned())
    }

    fn spawn(mut command: Command, ready_file: PathBuf) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let card = read_card(&mut child);
        Self {
            child,
            card,
            ready_file,
        }
    }

    /// What the node printed when it was ready.
    pub(crate) fn card(&self) -> &str {
        &self.card
    }

    /// Where it wrote its addresses.
    pub(crate) fn ready_file(&self) -> PathBuf {
        self.ready_file.clone()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its HTTP address, `HOST:PORT`.
    pub(crate) fn http(&self) -> String {
        self.address("http")
    }

    /// Its Kafka address, `HOST:PORT`.
    pub(crate) fn kafka(&self) -> String {
        self.address("kafka")
    }

    fn address(&self, listener: &str) -> String {
        let ready = std::fs::read(&self.ready_file).unwrap();
        let ready: Value = serde_json::from_slice(&ready).unwrap();
        ready[listener].as_str().unwrap().to_owned()
    }

    /// Sends `signal` (as `kill` spells it) and waits: the exit code, and what it logged.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        // A shell has `kill` built in; the program of that name is not on every machine.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill {signal} {}", self.pid())])
            .status()
            .unwrap();
        assert!(sent.success());
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the card to its third command. The card comes last, so the node is ready by then.
fn read_card(child: &mut Child) -> String {
    let mut card = String::new();
    let mut commands = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        card.push_str(&line);
        card.push('\n');
        commands = commands
            .map(|count| count + 1)
            .or((line == "try").then_some(0));
        if commands == Some(3) {
            return card;
        }
    }
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    panic!("no card, only {card:?}; stderr:\n{stderr}");
}

/// Status and body of one HTTP request without a body.
pub(crate) fn http_status(address: &str, method: &str, path: &str) -> (u16, String) {
    http(address, method, path, &[], "")
}

/// Status and body of one HTTP request.
pub(crate) fn http(
    address: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    write!(stream, "{head}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
