//! Client families with a common set of commands. Each family runs its own library; only the
//! command line programs are part of this repository.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::checkout;
use crate::krafka_client;
use crate::program::{Event, Running};
use crate::rust_client;

/// Every codec of the protocol, by Kafka's names.
pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Output format of kcat for a consumed record: the JSON event that the other programs print.
const KCAT_FORMAT: &str =
    r#"{"event":"record","partition":%p,"offset":%o,"key":"%k","value":"%s"}\n"#;

/// A third-party client library.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Debian's kcat, with librdkafka 2.0.2.
    Kcat,
    /// confluent-kafka, with a current librdkafka.
    Python,
    /// aiokafka, an implementation of the protocol in Python.
    Aiokafka,
    /// kafkajs.
    Node,
    /// Apache Kafka's Java client.
    Java,
    /// rdkafka, in this process.
    Rust,
    /// krafka, an implementation of the protocol in Rust, in this process.
    Krafka,
}

/// All families.
pub const FAMILIES: [Family; 7] = [
    Family::Kcat,
    Family::Python,
    Family::Aiokafka,
    Family::Node,
    Family::Java,
    Family::Rust,
    Family::Krafka,
];

/// Values to produce: `count` numbered values per codec, in one batch if the client supports it.
#[derive(Clone, Copy, Debug)]
pub struct Produce<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; chosen by the client if `None` (kafkajs: 0).
    pub partition: Option<i32>,
    /// Kafka's names of the codecs.
    pub codecs: &'a [&'a str],
    /// Enables idempotence.
    pub idempotent: bool,
    /// Number of values per codec.
    pub count: usize,
    /// Prefix of the values.
    pub prefix: &'a str,
}

impl Family {
    /// Returns the name of the library.
    pub fn client(self) -> &'static str {
        match self {
            Self::Kcat => "kcat",
            Self::Python => "confluent-kafka",
            Self::Aiokafka => "aiokafka",
            Self::Node => "kafkajs",
            Self::Java => "Java",
            Self::Rust => "rdkafka",
            Self::Krafka => "krafka",
        }
    }

    /// Produces values. kcat does not print offsets: its list is empty, and its exit status 0 means
    /// that all values were acknowledged.
    ///
    /// # Errors
    /// Fails if the program fails; a rejected value is an event, not an error.
    pub fn produce(self, bootstrap: &str, what: &Produce<'_>) -> Result<Vec<Event>> {
        match self {
            Self::Kcat => kcat_produce(bootstrap, what),
            Self::Rust => rust_client::produce(bootstrap, what),
            Self::Krafka => krafka_client::produce(bootstrap, what),
            Self::Python | Self::Aiokafka | Self::Node | Self::Java => {
                let (codecs, count) = (what.codecs.join(","), what.count.to_string());
                let partition = what.partition.map(|partition| partition.to_string());
                let mut args = vec!["--codecs", &codecs, "--count", &count];
                args.extend(["--prefix", what.prefix]);
                args.extend(what.idempotent.then_some("--idempotent"));
                if let Some(partition) = &partition {
                    args.extend(["--partition", partition]);
                }
                self.run(bootstrap, "produce", what.topic, &args)
            }
        }
    }

    /// Reads a topic without a group, up to its current end.
    ///
    /// # Errors
    /// Fails if the program fails.
    pub fn consume(self, bootstrap: &str, topic: &str) -> Result<Vec<Event>> {
        match self {
            Self::Kcat => Running::start(kcat(bootstrap).args([
                "-C",
                "-q",
                "-e",
                "-f",
                KCAT_FORMAT,
                "-t",
                topic,
            ]))?
            .finish(),
            Self::Rust => rust_client::consume(bootstrap, topic),
            Self::Krafka => krafka_client::consume(bootstrap, topic),
            Self::Python | Self::Aiokafka | Self::Node | Self::Java => {
                self.run(bootstrap, "consume", topic, &[])
            }
        }
    }

    /// Reads `count` records as a member of a group, commits each, and leaves the group.
    ///
    /// # Errors
    /// Fails if the program fails.
    pub fn group(
        self,
        bootstrap: &str,
        topic: &str,
        group: &str,
        count: usize,
    ) -> Result<Vec<Event>> {
        let limit = count.to_string();
        match self {
            Self::Kcat => Running::start(
                kcat(bootstrap)
                    .args(["-q", "-u", "-c", &limit, "-f", KCAT_FORMAT])
                    .args(["-X", "auto.offset.reset=earliest"])
                    .args(["-G", group, topic]),
            )?
            .finish(),
            Self::Rust => rust_client::group(bootstrap, topic, group, count),
            Self::Krafka => krafka_client::group(bootstrap, topic, group, count),
            Self::Python | Self::Aiokafka | Self::Node | Self::Java => {
                let args = ["--group", group, "--count", &limit];
                self.run(bootstrap, "group", topic, &args)
            }
        }
    }

    /// Joins a group and reads until the program is killed.
    ///
    /// # Errors
    /// Fails if the program does not start or the family has no program.
    pub fn join(self, bootstrap: &str, topic: &str, group: &str) -> Result<Running> {
        self.start(bootstrap, "group", topic, &["--group", group])
    }

    /// Runs a command of the family's program and waits for its exit.
    ///
    /// # Errors
    /// Fails if the program fails or the family has no program.
    pub fn run(
        self,
        bootstrap: &str,
        command: &str,
        topic: &str,
        args: &[&str],
    ) -> Result<Vec<Event>> {
        self.start(bootstrap, command, topic, args)?.finish()
    }

    /// Starts a command of the family's program.
    ///
    /// # Errors
    /// Fails if the program does not start or the family has no program.
    pub fn start(
        self,
        bootstrap: &str,
        command: &str,
        topic: &str,
        args: &[&str],
    ) -> Result<Running> {
        let mut program = match self {
            Self::Python => python("client.py"),
            Self::Aiokafka => python("aio.py"),
            Self::Node => node(),
            Self::Java => java(),
            Self::Kcat | Self::Rust | Self::Krafka => bail!("{self:?} has no client program"),
        };
        program
            .arg(command)
            .args(["--bootstrap", bootstrap, "--topic", topic])
            .args(args);
        Running::start(&mut program)
    }
}

/// Returns a command for a Python program of `tests/clients`, with the packages that `tests/run`
/// installed.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(checkout().join("tests/.tools/venv/bin/python"));
    command.arg(clients().join("python").join(script));
    command
}

/// Returns a kcat command connected to `bootstrap`.
pub fn kcat(bootstrap: &str) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap]);
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    command.arg(clients().join("node/client.js"));
    command
}

/// Returns a command for the Java programs of `tests/clients`.
pub fn java() -> Command {
    let target = clients().join("java/target");
    let path = format!("{0}/clients.jar:{0}/lib/*", target.display());
    let mut command = Command::new("java");
    // The programs run for seconds: a fast start and little memory matter more than throughput.
    command
        .args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", &path])
        .arg("avouch.clients.Main");
    command
}

fn clients() -> PathBuf {
    checkout().join("tests/clients")
}

/// Produces with kcat: one process per codec, one value per line of stdin.
fn kcat_produce(bootstrap: &str, what: &Produce<'_>) -> Result<Vec<Event>> {
    for codec in what.codecs {
        let mut command = kcat(bootstrap);
        command.args(["-P", "-z", codec, "-t", what.topic]);
        command.args(["-X", "linger.ms=20"]);
        if let Some(partition) = what.partition {
            command.args(["-p", &partition.to_string()]);
        }
        if what.idempotent {
            command.args(["-X", "enable.idempotence=true"]);
        }
        let mut running = Running::start(&mut command)?;
        running.feed((values(what, codec).join("\n") + "\n").as_bytes())?;
        running.finish()?;
    }
    Ok(Vec::new())
}

/// Returns the values that every family sends for `what` and one codec. The suffix repeats, so
/// that the values are compressible.
pub fn values(what: &Produce<'_>, codec: &str) -> Vec<String> {
    let (prefix, tail) = (what.prefix, " and so on".repeat(12));
    (0..what.count)
        .map(|i| format!("{prefix}-{codec}-{i}{tail}"))
        .collect()
}
