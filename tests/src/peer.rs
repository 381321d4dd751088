//! Brokers for benchmarks: Avouch and Apache Kafka as processes with measured CPU time and memory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::checkout;
use crate::deadline::Deadline;
use crate::kafka_tools::kafka_java;
use crate::node::{Addresses, serve};
use crate::protocol::Connection;

/// Clock ticks per second in `/proc/PID/stat` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Maximum start time of a broker.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A broker and its durability mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Avouch with its default: synced before it is acknowledged.
    Avouch,
    /// Avouch with `--durability os`, comparable to Kafka.
    AvouchOs,
    /// Apache Kafka with its defaults and a heap of 1 GiB.
    Kafka,
}

impl Kind {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avouch => "avouch",
            Self::AvouchOs => "avouch-os",
            Self::Kafka => "kafka",
        }
    }
}

/// A running broker with a temporary data directory. Killed when dropped.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    child: Child,
    bootstrap: String,
    registry: Option<String>,
    _data: TempDir,
}

/// A broker whose data directory is initialized, ready to be started.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
    data: TempDir,
    /// Kafka's configuration file and listener address.
    kafka: Option<(PathBuf, String)>,
}

impl Prepared {
    /// Starts the broker and waits until it has accepted a record.
    ///
    /// # Errors
    /// Fails if the broker does not start.
    pub fn start(self) -> Result<Peer> {
        let Self { kind, data, kafka } = self;
        let peer = match kafka {
            None => avouch(kind, data)?,
            Some((config, bootstrap)) => Peer {
                kind,
                child: spawn_kafka(&config, data.path())?,
                bootstrap,
                registry: None,
                _data: data,
            },
        };
        // Kafka accepts connections before it accepts records.
        Deadline::after(START_LIMIT).wait("a first record", || Ok(peer.accepts_record().ok()))?;
        Ok(peer)
    }
}

impl Peer {
    /// Starts a broker on free ports and waits until it has accepted a record.
    ///
    /// # Errors
    /// Fails if the broker does not start.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::prepare(kind)?.start()
    }

    /// Initializes the data directory. Kafka's storage must be formatted, which starts a separate
    /// Java process.
    ///
    /// # Errors
    /// Fails if the storage cannot be formatted.
    pub fn prepare(kind: Kind) -> Result<Prepared> {
        // In the target directory, because /tmp can be a memory file system.
        let data = tempfile::tempdir_in(checkout().join("target"))?;
        let kafka = match kind {
            Kind::Avouch | Kind::AvouchOs => None,
            Kind::Kafka => Some(format_kafka(data.path())?),
        };
        Ok(Prepared { kind, data, kafka })
    }

    /// Returns the broker and its durability mode.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the `HOST:PORT` for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Returns the base URL of the registry, if the broker has one.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Returns the CPU time used so far, in seconds with a resolution of 0.01 s.
    ///
    /// # Errors
    /// Fails if the process has exited.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The process name can contain spaces and parentheses, so fields are counted after the last
        // parenthesis: state is field 3, utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').context("no process name")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Returns the current and the peak resident memory, in bytes.
    ///
    /// # Errors
    /// Fails if the process has exited.
    pub fn memory_bytes(&self) -> Result<(u64, u64)> {
        memory_bytes(self.child.id())
    }

    /// Resets the peak resident memory to the current value.
    ///
    /// # Errors
    /// Fails if the process has exited.
    pub fn reset_peak_memory(&self) -> Result<()> {
        // Writing 5 resets the peak resident set size (Linux, proc(5)).
        let path = format!("/proc/{}/clear_refs", self.child.id());
        Ok(fs::write(path, "5")?)
    }

    fn accepts_record(&self) -> Result<()> {
        let mut connection = Connection::open(&self.bootstrap)?;
        // The topic may exist from the previous attempt.
        connection.create_topic("started", 1, &[])?;
        let response = connection.produce_values("started", &[Some(b"a record")])?;
        ensure!(response.error_code == 0, "error {}", response.error_code);
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the current and the peak resident memory of a process, in bytes.
///
/// # Errors
/// Fails if the process has exited.
pub fn memory_bytes(pid: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no size")?.parse::<u64>()? * 1_024)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

fn avouch(kind: Kind, data: TempDir) -> Result<Peer> {
    let durability = match kind {
        Kind::AvouchOs => "os",
        Kind::Avouch | Kind::Kafka => "fsync",
    };
    let ready = data.path().join("ready");
    let flags = ["--durability", durability];
    let child = serve(&data.path().join("data"), &flags)
        .args([
            "--kafka-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ])
        .arg("--ready-file")
        .arg(&ready)
        // Log lines cost CPU time; Kafka logs no requests either.
        .env("AVOUCH_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(fs::File::create(data.path().join("log"))?)
        .spawn()
        .context("cannot start avouch; build it first")?;
    let addresses: Addresses = Deadline::after(START_LIMIT).wait("the ready file", || {
        let content = fs::read(&ready).ok();
        Ok(content
            .map(|json| serde_json::from_slice(&json))
            .transpose()?)
    })?;
    Ok(Peer {
        kind,
        child,
        bootstrap: addresses.kafka,
        registry: Some(format!("http://{}", addresses.http)),
        _data: data,
    })
}

/// Formats the storage of a Kafka node that is broker and controller, with replication factors of
/// 1. Returns its configuration file and listener address.
fn format_kafka(data: &Path) -> Result<(PathBuf, String)> {
    let (client, controller) = (free_port()?, free_port()?);
    let config = data.join("server.properties");
    let logs = data.join("data");
    fs::write(
        &config,
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n",
            logs.display()
        ),
    )?;
    format(&config)?;
    Ok((config, format!("127.0.0.1:{client}")))
}

fn spawn_kafka(config: &Path, data: &Path) -> Result<Child> {
    let log = fs::File::create(data.join("log"))?;
    // The options of Kafka's start script.
    let child = kafka_java(&[
        "-Xmx1G",
        "-Xms1G",
        "-server",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent",
    ])
    .arg("kafka.Kafka")
    .arg(config)
    .stdin(Stdio::null())
    .stdout(log.try_clone()?)
    .stderr(log)
    .spawn()?;
    Ok(child)
}

fn format(config: &Path) -> Result<()> {
    let mut command: Command = kafka_java(&[]);
    command
        .arg("kafka.tools.StorageTool")
        .args([
            "format",
            "--cluster-id",
            "AVAVAVAVSAaAVAVAVAVAVA",
            "--config",
        ])
        .arg(config);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
