//! The command line as types. The option structs are also the tables of `avouch.toml`, so that a
//! flag, its `AVOUCH_*` environment variable and its key share one name. Defaults are applied in
//! `config`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use avouch_node::PostgresUrl;
use avouch_protocol::types::TopicPartition;
use avouch_registry_api::client::{BuildError, RegistryClient};
use avouch_registry_api::types::CompatibilityLevel;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::broker_settings::BrokerSettings;

/// A Kafka-compatible broker with a schema registry inside. Records that violate the contract of
/// their topic are rejected before they reach the log.
#[derive(Debug, Parser)]
#[command(name = "avouch", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Configuration file [default: ./avouch.toml if it exists].
    #[arg(long, global = true, value_name = "FILE", env = "AVOUCH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker and the registry.
    Serve(Box<RawServe>),
    /// Check, register, export and import schemas.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Inspect the log of a data directory.
    #[command(subcommand)]
    Log(LogCommand),
    /// Generate Rust types from schemas.
    ///
    /// A path is a schema file, or a directory with .avsc files at any depth; of files
    /// SUBJECT/VERSION.avsc in a directory the newest version counts. Types that a file does not
    /// define are searched below its directory.
    Codegen(CodegenArgs),
    /// Back up a running node, or verify a backup.
    ///
    /// The node writes its log, metadata and registry into a new directory on its machine, as of
    /// one point in time, while it serves clients. Example: avouch backup --to /backups/2026-12-01
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Backup {
        #[command(flatten)]
        start: StartBackup,
        #[command(subcommand)]
        command: Option<BackupCommand>,
    },
    /// Restore a backup into an empty data directory.
    ///
    /// Verifies the checksums of all files first. Example:
    /// avouch restore --from /backups/2026-12-01 --data-dir ./avouch-data
    Restore {
        /// Directory of the backup.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Data directory, which must not exist or be empty [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StartBackup {
    /// Directory to create for the backup, on the machine of the node.
    // Always present without a subcommand.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) to: Option<PathBuf>,
    /// URL of the node's HTTP listener [default: http-listen of the configuration file, or
    /// http://127.0.0.1:8081].
    #[arg(long, value_name = "URL", env = "AVOUCH_HTTP")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Verify the checksums of all files of a backup.
    Verify {
        /// Directory of the backup.
        directory: PathBuf,
    },
}

/// The schemas and the output of the generator.
#[derive(Args, Clone, Debug)]
pub(crate) struct CodegenArgs {
    /// Directories or files with schemas.
    #[arg(required_unless_present = "dependencies", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Language of the types.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub(crate) lang: Language,
    /// Directory of the output, which is one file, mod.rs.
    #[arg(long, value_name = "DIR", required_unless_present = "dependencies")]
    pub(crate) out: Option<PathBuf>,
    /// Write nothing, and exit with 3 if the output is not up to date.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print the lines for `[dependencies]` that the output needs.
    #[arg(long, conflicts_with_all = ["paths", "out", "check"])]
    pub(crate) dependencies: bool,
    /// Crate with the types of dates and times.
    #[arg(long, value_enum, default_value_t = TimeTypes::Jiff)]
    pub(crate) time: TimeTypes,
    /// Also generate types that borrow strings and bytes from the datum.
    #[arg(long)]
    pub(crate) borrowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeTypes {
    Jiff,
    Chrono,
    Time,
    /// Numbers, as in the encoding.
    Raw,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the content of the log: partitions, segments, batches, the write-ahead log.
    ///
    /// Reads only, also while a broker is running. Exits with 1 if the log is corrupt.
    Dump {
        #[command(flatten)]
        at: LogPlace,
    },
    /// Verify all checksums of the log and print corruption.
    ///
    /// Reads only, also while a broker is running. Exits with 1 if the log is corrupt.
    Verify {
        #[command(flatten)]
        at: LogPlace,
    },
    /// Mark a corrupt offset range as skipped, so that consumers continue after it.
    ///
    /// Consumers receive CORRUPT_MESSAGE until then. The broker must be stopped. The records of the
    /// range are lost.
    Skip {
        /// Data directory [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
        /// The partition as in the broker's log: TOPIC-ID-INDEX.
        partition: TopicPartition,
        /// The first corrupt offset, as in the broker's log.
        offset: i64,
    },
    /// Rebuild a missing checkpoint of the log from segments and WAL.
    ///
    /// Reads all segments. The broker must be stopped; it does the same at startup if the
    /// checkpoint is corrupt. Records deleted by DeleteRecords can reappear, and skipped ranges are
    /// corrupt again.
    RebuildCheckpoint {
        /// Data directory [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Open a log with missing or cut files, whose records are lost.
    ///
    /// The broker must be stopped. It starts afterwards with the records that remain.
    AcceptLoss {
        /// Data directory [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// The log to inspect and the output format.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogPlace {
    /// Data directory [default: ./avouch-data].
    #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Check that every version is compatible with the previous ones.
    ///
    /// A path is a directory of subjects, the directory of a subject, or a file in it:
    /// schemas/SUBJECT/VERSION.avsc. A type that a file does not define is taken from the newest
    /// version of the subject that defines it. Exits with 1 if a version is incompatible.
    Check {
        /// Directories or files to check.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        options: RawSchema,
    },
    /// Register a schema and print its id.
    ///
    /// Types that the file does not define are searched in the other .avsc files below its
    /// directory. These are registered first, under the full name of their type, or for
    /// SUBJECT/VERSION.avsc under SUBJECT.
    Register {
        /// Subject to register the schema under, such as payments-value.
        #[arg(long)]
        subject: String,
        /// File with an Avro schema (.avsc).
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
    /// Export the content of a registry to a file: schemas with ids and versions, soft-deleted ones
    /// included, and settings.
    ///
    /// Each line is a record of Confluent's topic _schemas: {"key": ..., "value": ...}.
    Export {
        /// File to write.
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
    /// Import the records of a file into a registry and keep their ids and versions.
    ///
    /// Accepts the output of export and of Kafka's tools for the topic _schemas: kcat -J, or keys
    /// and values separated by a tab. The registry is in mode IMPORT during the import.
    Import {
        /// Import even if the registry has subjects.
        #[arg(long)]
        force: bool,
        /// File to read.
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
    /// Accept that the registry's database registry.sqlite is lost.
    ///
    /// The next start creates an empty registry. Its schema ids continue after those that the lost
    /// one can have assigned, so that none is assigned twice.
    AcceptLoss {
        /// Data directory [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// Options of `serve` from one source: flags with environment, or the file's `[serve]`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawServe {
    /// Data directory [default: ./avouch-data].
    #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the Kafka listener; with port 0 the system assigns a port
    /// [default: 127.0.0.1:9092].
    #[arg(long, value_name = "IP:PORT", env = "AVOUCH_KAFKA_LISTEN")]
    pub(crate) kafka_listen: Option<SocketAddr>,
    /// Address of the listener for registry and metrics; with port 0 the system assigns a port
    /// [default: 127.0.0.1:8081].
    #[arg(long, value_name = "IP:PORT", env = "AVOUCH_HTTP_LISTEN")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Maximum number of open HTTP connections [default: 1000].
    #[arg(long, value_name = "COUNT", env = "AVOUCH_HTTP_MAX_CONNECTIONS")]
    pub(crate) http_max_connections: Option<usize>,
    /// Maximum memory of HTTP request and response bodies [default: 67108864].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_HTTP_MEMORY_BYTES")]
    pub(crate) http_memory_bytes: Option<usize>,
    /// Address that Kafka clients connect to [default: the one each client connected to].
    #[arg(long, value_name = "HOST:PORT", env = "AVOUCH_ADVERTISE")]
    pub(crate) advertise: Option<HostPort>,
    /// File with the addresses as JSON, created when the process is ready and deleted at exit.
    #[arg(long, value_name = "PATH", env = "AVOUCH_READY_FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Condition for acknowledging a produce request [default: fsync].
    #[arg(long, value_enum, env = "AVOUCH_DURABILITY")]
    pub(crate) durability: Option<Durability>,
    /// Free disk space below which produce requests are rejected [default: 536870912].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_LOW_SPACE_BYTES")]
    pub(crate) low_space_bytes: Option<u64>,
    /// Broker config with Kafka's name, such as num.partitions=3; repeatable.
    ///
    /// In the environment variable, separate several with line breaks or commas.
    #[arg(long, value_name = "KEY=VALUE", env = "AVOUCH_BROKER_CONFIG")]
    #[serde(deserialize_with = "one_table")]
    pub(crate) broker_config: Vec<BrokerSettings>,
    /// Run only the registry.
    // The flag alone means true. A value needs `=`, because the next argument could be a flag.
    #[arg(long, env = "AVOUCH_REGISTRY_ONLY", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) registry_only: Option<bool>,
    /// Run only the broker, with the registry at --registry-url.
    #[arg(long, env = "AVOUCH_BROKER_ONLY", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) broker_only: Option<bool>,
    /// URL of the registry of a --broker-only broker, http:// or https://.
    #[arg(long, value_name = "URL", env = "AVOUCH_REGISTRY_URL")]
    pub(crate) registry_url: Option<String>,
    /// PEM file of the certificate authorities that may issue the certificate of --registry-url
    /// [default: the operating system's].
    #[arg(long, value_name = "FILE", env = "AVOUCH_REGISTRY_CA_FILE")]
    pub(crate) registry_ca_file: Option<PathBuf>,
    /// PostgreSQL database that registry nodes share: postgres://USER@HOST:PORT/DATABASE
    /// [default: an SQLite file in the data directory].
    #[arg(
        long,
        value_name = "URL",
        env = "AVOUCH_REGISTRY_DB",
        // The URL may contain a password, which the help would print.
        hide_env_values = true
    )]
    pub(crate) registry_db: Option<PostgresUrl>,
    /// Error code for an incompatible schema: 40901, or 409 as in older registries
    /// [default: 40901].
    #[arg(long, value_name = "CODE", env = "AVOUCH_REGISTRY_INCOMPATIBLE_CODE")]
    pub(crate) registry_incompatible_code: Option<u32>,
    /// Compatibility level where none is configured: NONE, or BACKWARD, FORWARD or FULL, each also
    /// with the suffix _TRANSITIVE [default: BACKWARD].
    #[arg(long, value_name = "LEVEL", env = "AVOUCH_REGISTRY_COMPATIBILITY")]
    pub(crate) registry_compatibility: Option<CompatibilityLevel>,
    /// Allow requests to set modes such as READONLY and IMPORT [default: true].
    #[arg(long, env = "AVOUCH_REGISTRY_MODE_MUTABLE", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) registry_mode_mutable: Option<bool>,
    /// Maximum size of a request body; each request can use several times as much memory
    /// [default: 8388608].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_REGISTRY_BODY_BYTES")]
    pub(crate) registry_body_bytes: Option<usize>,
    /// Maximum size of a registered schema in canonical form, without indentation
    /// [default: 1048576].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_REGISTRY_SCHEMA_BYTES")]
    pub(crate) registry_schema_bytes: Option<usize>,
    /// Maximum number of references of a registered schema [default: 1000].
    #[arg(long, value_name = "N", env = "AVOUCH_REGISTRY_SCHEMA_REFERENCES")]
    pub(crate) registry_schema_references: Option<usize>,
    /// Maximum number of branches of a union in a registered schema [default: 4096].
    #[arg(long, value_name = "N", env = "AVOUCH_REGISTRY_SCHEMA_BRANCHES")]
    pub(crate) registry_schema_branches: Option<usize>,
    /// Maximum nesting of types in a registered schema; 256 is also the upper limit [default: 256].
    #[arg(long, value_name = "N", env = "AVOUCH_REGISTRY_SCHEMA_DEPTH")]
    pub(crate) registry_schema_depth: Option<usize>,
    /// Allow listeners on non-loopback addresses, although there is no authentication.
    #[arg(long, env = "AVOUCH_ALLOW_INSECURE_LISTEN", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) allow_insecure_listen: Option<bool>,
}

/// Options of the commands that use a running registry, from one source: flags with environment, or
/// the file's `[client]`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawClient {
    /// URL of the registry, http:// or https:// [default: http://127.0.0.1:8081].
    #[arg(long, value_name = "URL", env = "AVOUCH_REGISTRY")]
    registry: Option<String>,
    /// PEM file of the certificate authorities that may issue the registry's certificate
    /// [default: the operating system's].
    #[arg(long, value_name = "FILE", env = "AVOUCH_REGISTRY_CA_FILE")]
    registry_ca_file: Option<PathBuf>,
}

impl RawClient {
    /// Returns these options, and those of `other` where they are missing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            registry: self.registry.or(other.registry),
            registry_ca_file: self.registry_ca_file.or(other.registry_ca_file),
        }
    }

    /// Returns a client of the registry; it connects on the first request.
    ///
    /// # Errors
    /// When the URL or the CA file is invalid.
    pub(crate) fn connect(self) -> Result<RegistryClient, BuildError> {
        let url = self.registry.as_deref();
        let mut client = RegistryClient::builder(url.unwrap_or("http://127.0.0.1:8081"));
        if let Some(ca_file) = self.registry_ca_file {
            client = client.ca_file(ca_file);
        }
        client.build()
    }
}

/// Options of local schema checks from one source: flags with environment, or the file's
/// `[schema]`.
#[derive(Args, Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawSchema {
    /// Compatibility level: NONE, or BACKWARD, FORWARD or FULL, each also with the suffix
    /// _TRANSITIVE [default: BACKWARD].
    #[arg(long, value_name = "LEVEL", env = "AVOUCH_COMPATIBILITY")]
    compatibility: Option<CompatibilityLevel>,
}

impl RawSchema {
    /// Returns these options, and those of `other` where they are missing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            compatibility: self.compatibility.or(other.compatibility),
        }
    }

    /// Returns the compatibility level to check.
    pub(crate) fn level(self) -> CompatibilityLevel {
        self.compatibility.unwrap_or(CompatibilityLevel::Backward)
    }
}

/// The condition for acknowledging a produce request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// The disk has confirmed the write: records survive a power failure.
    Fsync,
    /// The operating system has the write: records survive only a crash of avouch.
    Os,
}

impl From<Durability> for avouch_log::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Fsync => Self::Fsync,
            Durability::Os => Self::Os,
        }
    }
}

/// A host name or IP address with a port, as returned to clients.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct HostPort {
    /// Name, IPv4 address, or IPv6 address without brackets; never empty.
    pub(crate) host: String,
    /// The port, never 0.
    pub(crate) port: u16,
}

/// A text that is not a host and a port.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("invalid address \"{0}\"; expected HOST:PORT")]
pub(crate) struct HostPortError(String);

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HostPortError(text.to_owned());
        // From the right, because an IPv6 address in brackets contains colons too.
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port
            .parse()
            .ok()
            // Clients cannot connect to port 0.
            .filter(|port| *port != 0)
            .ok_or_else(wrong)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        // `::1:9092` is ambiguous: the last part could belong to the address.
        if host.is_empty() || (bracketed.is_none() && host.contains(':')) {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

fn one_table<'de, D: Deserializer<'de>>(table: D) -> Result<Vec<BrokerSettings>, D::Error> {
    // A file has one table, the command line one value per flag; both become a list.
    BrokerSettings::deserialize(table).map(|settings| vec![settings])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn host_and_port_are_separated() {
        let cases = [
            ("kafka.example:9092", Some(("kafka.example", 9092))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("[::1]:9092", Some(("::1", 9092))),
            ("::1:9092", None),
            ("kafka.example", None),
            (":9092", None),
            ("[]:9092", None),
            ("kafka:0", None),
            ("kafka:65536", None),
        ];
        for (text, expected) in cases {
            let parsed = text.parse::<HostPort>().ok();
            let parsed = parsed.as_ref().map(|at| (at.host.as_str(), at.port));
            assert_eq!(parsed, expected, "{text}");
        }
    }

    // Conformance: main-job/1b
    #[test]
    fn serve_options_have_environment_variables() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        let mut options = 0;
        for option in serve
            .get_arguments()
            .filter(|option| !option.is_global_set())
        {
            let long = option.get_long().unwrap();
            if ["help", "version"].contains(&long) {
                continue;
            }
            options += 1;
            let variable = format!("AVOUCH_{}", long.to_uppercase().replace('-', "_"));
            let named = option
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(named, Some(variable));
        }
        assert!(options >= 12, "{options}");
    }

    #[test]
    fn switches_accept_an_optional_value() {
        let registry_only = |args: &[&str]| {
            let cli = Cli::try_parse_from([&["avouch", "serve"], args].concat()).ok()?;
            match cli.command {
                Command::Serve(raw) => raw.registry_only,
                _ => None,
            }
        };
        assert_eq!(registry_only(&[]), None);
        assert_eq!(registry_only(&["--registry-only"]), Some(true));
        assert_eq!(registry_only(&["--registry-only=no"]), Some(false));
    }
}
