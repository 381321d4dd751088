//! Client programs that print events as JSON lines: start, read, wait, kill.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::deadline::{Deadline, PROGRAM_LIMIT};

/// Lines buffered between a program and its test.
const LINES_BUFFERED: usize = 1024;

/// An event printed by a program.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A produced value was acknowledged.
    Acked {
        /// The value, or its name in the test.
        value: String,
        /// Partition of the record.
        partition: i32,
        /// Offset of the record.
        offset: i64,
    },
    /// A produced value was rejected, or the client stopped retrying.
    Failed {
        /// The value, or its name in the test.
        value: String,
        /// Kafka's error code, or the client's own (negative) code.
        code: Option<i64>,
        /// Error message of the client.
        text: Option<String>,
    },
    /// Assignment of a group member after a rebalance.
    Assigned {
        /// Partitions in ascending order.
        partitions: Vec<i32>,
    },
    /// A consumed record.
    Record(Record),
    /// A topic was created.
    Created,
    /// A result specific to the program.
    Output(serde_json::Value),
    /// The program completed its command.
    Done,
}

/// A consumed record.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub struct Record {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key; kcat prints a missing key as an empty one.
    pub key: Option<String>,
    /// Value.
    pub value: String,
}

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    events: Receiver<Event>,
    stderr: Option<JoinHandle<String>>,
    deadline: Deadline,
}

impl Running {
    /// Starts `command`.
    ///
    /// # Errors
    /// Fails if the program does not exist.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| name.clone())?;
        let stdout = child.stdout.take().context("stdout is not piped")?;
        let mut stderr = child.stderr.take().context("stderr is not piped")?;
        // A bounded channel slows down a program whose test does not read.
        let (sender, events) = sync_channel(LINES_BUFFERED);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // An invalid line ends the stream: the test detects the missing events.
                let Ok(event) = serde_json::from_str(&line) else {
                    break;
                };
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        // Read on a thread: a full pipe would block the program.
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            drop(stderr.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self {
            child,
            name,
            events,
            stderr: Some(stderr),
            deadline: Deadline::after(PROGRAM_LIMIT),
        })
    }

    /// Writes to the program's stdin and closes it.
    ///
    /// # Errors
    /// Fails if the program does not read its stdin.
    pub fn feed(&mut self, input: &[u8]) -> Result<()> {
        let mut stdin: ChildStdin = self.child.stdin.take().context("stdin is closed")?;
        stdin.write_all(input)?;
        Ok(())
    }

    /// Returns the next event, or `None` at the end of the output.
    ///
    /// # Errors
    /// Fails if the program exceeds its time limit.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        match self.events.recv_timeout(self.deadline.left()) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                drop(self.child.kill());
                let stderr = self.stderr();
                bail!("{} exceeded its time limit: {stderr}", self.name);
            }
        }
    }

    /// Returns the events since the last call, without waiting.
    pub fn new_events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Restarts the time limit.
    pub fn extend(&mut self) {
        self.deadline = Deadline::after(PROGRAM_LIMIT);
    }

    /// Returns the value of the next event for which `pick` returns one; earlier events are
    /// dropped.
    ///
    /// # Errors
    /// Fails if the program exits or exceeds its time limit first; the error names `what`.
    pub fn wait_for<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> Result<T> {
        while let Some(event) = self.next_event()? {
            if let Some(value) = pick(&event) {
                return Ok(value);
            }
        }
        let stderr = self.stderr();
        bail!("{} exited without {what}: {stderr}", self.name);
    }

    /// Waits for the program's exit and returns its remaining events.
    ///
    /// # Errors
    /// Fails if the program fails or exceeds its time limit.
    pub fn finish(mut self) -> Result<Vec<Event>> {
        // Programs that read their commands from stdin exit when it is closed.
        drop(self.child.stdin.take());
        let mut events = Vec::new();
        while let Some(event) = self.next_event()? {
            events.push(event);
        }
        let status: ExitStatus = self.child.wait()?;
        if !status.success() {
            let stderr = self.stderr();
            bail!("{}: {status}\n{stderr}", self.name);
        }
        Ok(events)
    }

    /// Kills the program with SIGKILL and returns its remaining events.
    ///
    /// # Errors
    /// Fails if the program cannot be killed.
    pub fn kill_9(mut self) -> Result<Vec<Event>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.events.iter().collect())
    }

    fn stderr(&mut self) -> String {
        let reader = self.stderr.take();
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program and returns its stdout as text.
///
/// # Errors
/// Fails if the program fails or exceeds its time limit.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    // Files instead of pipes: they cannot fill up while the exit is awaited.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| name.clone())?;
    let status = Deadline::after(PROGRAM_LIMIT).wait(&name, || Ok(child.try_wait()?));
    if status.is_err() {
        drop(child.kill());
        // Without waiting, the killed process would remain a zombie.
        drop(child.wait());
    }
    let text = |file: &mut File| -> Result<String> {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    let stderr = text(&mut stderr)?;
    ensure!(
        status.with_context(|| stderr.clone())?.success(),
        "{name}: {stderr}"
    );
    text(&mut stdout)
}

/// Returns the consumed records among `events`.
pub fn records(events: &[Event]) -> Vec<Record> {
    let record = |event: &Event| match event {
        Event::Record(record) => Some(record.clone()),
        Event::Acked { .. }
        | Event::Failed { .. }
        | Event::Assigned { .. }
        | Event::Created
        | Event::Output(_)
        | Event::Done => None,
    };
    events.iter().filter_map(record).collect()
}

/// Returns the acknowledged values among `events` as the records a consumer must read.
pub fn acked(events: &[Event]) -> Vec<Record> {
    let record = |event: &Event| match event {
        Event::Acked {
            value,
            partition,
            offset,
        } => Some(Record {
            partition: *partition,
            offset: *offset,
            key: None,
            value: value.clone(),
        }),
        Event::Record(_)
        | Event::Failed { .. }
        | Event::Assigned { .. }
        | Event::Created
        | Event::Output(_)
        | Event::Done => None,
    };
    events.iter().filter_map(record).collect()
}
