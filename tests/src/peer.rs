//! Brokers side by side, for benches: Avouch and Apache Kafka as processes whose CPU time and
//! memory can be read.

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

/// Clock ticks of `/proc/PID/stat` in a second, on Linux.
const TICKS_A_SECOND: f64 = 100.0;
/// How long a broker may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which broker, and what its acknowledgements promise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Avouch as it is by default: synced before it is acknowledged.
    Avouch,
    /// Avouch that leaves syncing to the operating system, as Kafka does.
    AvouchOs,
    /// Apache Kafka at its defaults, a heap of 1 GiB.
    Kafka,
}

impl Kind {
    /// What reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avouch => "avouch",
            Self::AvouchOs => "avouch-os",
            Self::Kafka => "kafka",
        }
    }
}

/// A running broker with a data directory of its own. Killed when dropped.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    child: Child,
    bootstrap: String,
    registry: Option<String>,
    _data: TempDir,
}

/// A broker that only needs to be started: its data directory is what it wants it to be.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
    data: TempDir,
    /// Of Kafka, its configuration and where it will listen.
    kafka: Option<(PathBuf, String)>,
}

impl Prepared {
    /// Starts the broker and waits until it has taken a record.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(self) -> Result<Peer> {
        let Self { kind, data, kafka } = self;
        let peer = match kafka {
            None => avouch(kind, data)?,
            Some((config, bootstrap)) => Peer {
                kind,
                child: launched_kafka(&config, data.path())?,
                bootstrap,
                registry: None,
                _data: data,
            },
        };
        Deadline::after(START_LIMIT).wait("a first record", || Ok(peer.takes_a_record().ok()))?;
        Ok(peer)
    }
}

impl Peer {
    /// Starts a broker on free ports and waits until it has taken a record.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::prepare(kind)?.start()
    }

    /// Does what comes before a first start: Kafka's storage has to be formatted, by a Java machine
    /// of its own.
    ///
    /// # Errors
    /// When it can't be.
    pub fn prepare(kind: Kind) -> Result<Prepared> {
        // Beside the build, not in /tmp, which may be memory.
        let data = tempfile::tempdir_in(checkout().join("target"))?;
        let kafka = match kind {
            Kind::Avouch | Kind::AvouchOs => None,
            Kind::Kafka => Some(formatted_kafka(data.path())?),
        };
        Ok(Prepared { kind, data, kafka })
    }

    /// Which it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `HOST:PORT` for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Base URL of its registry, if it has one.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// CPU time it has taken so far, in seconds, to a hundredth.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may hold anything: state is field 3, utime and stime 14 and 15.
        let fields = stat.rsplit_once(')').context("a name in brackets")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_A_SECOND)
    }

    /// Resident memory now and at its highest, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory_bytes(&self) -> Result<(u64, u64)> {
        memory_bytes(self.child.id())
    }

    /// Has the highest resident memory count from now on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn forget_highest_memory(&self) -> Result<()> {
        // 5 resets the high-water mark (Linux, proc(5)).
        let path = format!("/proc/{}/clear_refs", self.child.id());
        Ok(fs::write(path, "5")?)
    }

    fn takes_a_record(&self) -> Result<()> {
        let mut connection = Connection::open(&self.bootstrap)?;
        // It may exist from the last attempt.
        connection.create_topic("started", 1, &[])?;
        let answer = connection.produce_values("started", &[Some(b"a record")])?;
        ensure!(answer.error_code == 0, "error {}", answer.error_code);
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Resident memory of a process now and at its highest, in bytes.
///
/// # Errors
/// When it has ended.
pub fn memory_bytes(pid: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("a size")?.parse::<u64>()? * 1_024)
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
        .env("AVOUCH_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(fs::File::create(data.path().join("log"))?)
        .spawn()
        .context("build avouch first")?;
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

/// One node that is broker and controller, with the replication factors of one node: its
/// configuration and where it will listen.
fn formatted_kafka(data: &Path) -> Result<(PathBuf, String)> {
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

fn launched_kafka(config: &Path, data: &Path) -> Result<Child> {
    let log = fs::File::create(data.join("log"))?;
    // The options of Kafka's own start script.
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
