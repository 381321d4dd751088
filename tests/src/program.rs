//! A client program that speaks JSON lines: started, listened to, waited for or killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::deadline::{Deadline, PROGRAM_LIMIT};

/// Lines that a program may be ahead of its test.
const LINES_BUFFERED: usize = 1024;

/// What a program tells.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A produced value was acknowledged.
    Acked {
        /// The value, or the name it goes by.
        value: String,
        /// Where it is.
        partition: i32,
        /// Where it is there.
        offset: i64,
    },
    /// A produced value was refused, or given up.
    Failed {
        /// The value, or the name it goes by.
        value: String,
        /// Kafka's error code, or the client's own (negative) one.
        code: Option<i64>,
        /// What the client says about it.
        text: Option<String>,
    },
    /// The partitions of a group's member after a rebalance.
    Assigned {
        /// In ascending order.
        partitions: Vec<i32>,
    },
    /// A consumed record.
    Record(Record),
    /// A topic was created.
    Created,
    /// A result of a program's own kind.
    Told(serde_json::Value),
    /// The program did what it was asked.
    Done,
}

/// A consumed record.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub struct Record {
    /// Where it was.
    pub partition: i32,
    /// Where it was there.
    pub offset: i64,
    /// Its key; kcat shows none as an empty one.
    pub key: Option<String>,
    /// Its value.
    pub value: String,
}

/// A program that runs. Killed when dropped.
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
    /// When there is no such program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| name.clone())?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut stderr = child.stderr.take().context("stderr is piped")?;
        let (sender, events) = sync_channel(LINES_BUFFERED);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A line that is no event ends the stream: the test sees that events are missing.
                let Ok(event) = serde_json::from_str(&line) else {
                    break;
                };
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
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
    /// When the program does not read.
    pub fn feed(&mut self, input: &[u8]) -> Result<()> {
        let mut stdin: ChildStdin = self.child.stdin.take().context("fed already")?;
        stdin.write_all(input)?;
        Ok(())
    }

    /// The program's next event, `None` at its end.
    ///
    /// # Errors
    /// When the program takes too long.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        match self.events.recv_timeout(self.deadline.left()) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                drop(self.child.kill());
                let stderr = self.stderr();
                bail!("{} takes too long: {stderr}", self.name);
            }
        }
    }

    /// The events since the last call of this kind, without waiting.
    pub fn news(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Lets the program take the whole limit once more from now on.
    pub fn extend(&mut self) {
        self.deadline = Deadline::after(PROGRAM_LIMIT);
    }

    /// The next event for which `pick` gives a value; those before it are dropped.
    ///
    /// # Errors
    /// When the program ends or takes too long before that; `what` names what was waited for.
    pub fn wait_for<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> Result<T> {
        while let Some(event) = self.next_event()? {
            if let Some(value) = pick(&event) {
                return Ok(value);
            }
        }
        let stderr = self.stderr();
        bail!("{} ended without {what}: {stderr}", self.name);
    }

    /// Waits for the program's end: what it told until then.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn finish(mut self) -> Result<Vec<Event>> {
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

    /// Ends the program with no chance to say goodbye: what it told until then.
    ///
    /// # Errors
    /// When it cannot be killed.
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

/// Runs a program that speaks plain text to its end: what it printed.
///
/// # Errors
/// When it fails or takes too long.
pub fn printed(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
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

/// The consumed records among `events`.
pub fn records(events: &[Event]) -> Vec<Record> {
    let record = |event: &Event| match event {
        Event::Record(record) => Some(record.clone()),
        Event::Acked { .. }
        | Event::Failed { .. }
        | Event::Assigned { .. }
        | Event::Created
        | Event::Told(_)
        | Event::Done => None,
    };
    events.iter().filter_map(record).collect()
}

/// The acknowledged values among `events`, as the records that they must have become.
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
        | Event::Told(_)
        | Event::Done => None,
    };
    events.iter().filter_map(record).collect()
}
