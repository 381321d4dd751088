//! A running `avouch serve`, which is killed when it is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use avouch_protocol::chunk::joined;
use avouch_protocol::frame;
use avouch_protocol::header::{RequestHeader, ResponseHeader};
use avouch_protocol::message::Message;
use avouch_protocol::reader::Reader;
use serde_json::Value;

/// Returns the command of the binary in `directory`, with an empty environment.
pub(crate) fn avouch(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avouch"));
    command.current_dir(directory).env_clear();
    command
}

/// A node that is ready. It is killed when it is dropped without [`Node::stop`].
pub(crate) struct Node {
    child: Child,
    banner: String,
    ready_file: PathBuf,
}

impl Node {
    /// Starts a node on free ports with `flags` in `directory`.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::start_with(avouch(directory), directory, flags)
    }

    /// Starts a node with a prepared `command`.
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

    /// Starts a node with only the options of `command`, which include `ready_file`.
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
        let banner = read_banner(&mut child);
        Self {
            child,
            banner,
            ready_file,
        }
    }

    /// Returns the startup banner.
    pub(crate) fn banner(&self) -> &str {
        &self.banner
    }

    /// Returns the path of the ready file.
    pub(crate) fn ready_file(&self) -> PathBuf {
        self.ready_file.clone()
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the HTTP address, `HOST:PORT`.
    pub(crate) fn http(&self) -> String {
        self.address("http")
    }

    /// Returns the Kafka address, `HOST:PORT`.
    pub(crate) fn kafka(&self) -> String {
        self.address("kafka")
    }

    fn address(&self, listener: &str) -> String {
        let ready = std::fs::read(&self.ready_file).unwrap();
        let ready: Value = serde_json::from_slice(&ready).unwrap();
        ready[listener].as_str().unwrap().to_owned()
    }

    /// Sends `signal`, such as `-TERM`, waits, and returns the exit code and the log.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        // `kill` is built into every shell; not every machine has the program.
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
        // Fails after `stop`, when the process has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the banner to its third command. The node prints it last, so it is ready then.
fn read_banner(child: &mut Child) -> String {
    let mut banner = String::new();
    let mut commands = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        banner.push_str(&line);
        banner.push('\n');
        commands = commands
            .map(|count| count + 1)
            .or((line == "try").then_some(0));
        if commands == Some(3) {
            return banner;
        }
    }
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    panic!("incomplete banner {banner:?}; stderr:\n{stderr}");
}

/// Sends an HTTP request without a body and returns status and body of the response.
pub(crate) fn http_status(address: &str, method: &str, path: &str) -> (u16, String) {
    http(address, method, path, &[], "")
}

/// Sends an HTTP request and returns status and body of the response.
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
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Sends a Kafka request on a new connection and returns its response.
pub(crate) fn kafka_request<Q: Message, R: Message>(address: &str, version: i16, request: &Q) -> R {
    let header = RequestHeader {
        api_key: Q::API.code(),
        api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let mut stream = TcpStream::connect(address).unwrap();
    let sent = joined(&frame::request(&header, request).unwrap()).unwrap();
    stream.write_all(&sent).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut response = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut response).unwrap();
    let mut reader = Reader::new(response.into());
    ResponseHeader::decode(&mut reader, Q::API, version).unwrap();
    R::decode(&mut reader, version).unwrap()
}
