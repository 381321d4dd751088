//! The command line as types. The option structs double as the tables of `avouch.toml`: one
//! spelling for a flag, its `AVOUCH_*` twin and its key. Resolves no defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use avouch_protocol::types::TopicPartition;
use avouch_registry::PostgresUrl;
use avouch_registry_api::client::{BuildError, RegistryClient};
use avouch_registry_api::types::CompatibilityLevel;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Deserializer};

use crate::broker_settings::BrokerSettings;

/// An event broker with a schema registry built in: records that break their topic's contract never
/// reach the log.
#[derive(Debug, Parser)]
#[command(name = "avouch", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Configuration file; without it ./avouch.toml is read if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "AVOUCH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run broker and registry.
    Serve(RawServe),
    /// Work with schemas.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Look into a data directory's log.
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print everything that stands in the log: partitions, segments, batches, the write-ahead log.
    ///
    /// Changes nothing, and works beside a running broker. Exits 1 when something is damaged.
    Dump {
        #[command(flatten)]
        at: LogPlace,
    },
    /// Read everything in the log and print what is not as it was written.
    ///
    /// Changes nothing, and works beside a running broker. Exits 1 when something is damaged.
    Verify {
        #[command(flatten)]
        at: LogPlace,
    },
    /// Have consumers pass over damaged offsets instead of being told CORRUPT_MESSAGE.
    ///
    /// Needs a broker that is stopped. What was lost stays lost.
    Skip {
        /// Where everything is kept [default: ./avouch-data].
        #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
        data_dir: Option<PathBuf>,
        /// The partition as the broker's log line names it: TOPIC-ID-INDEX.
        partition: TopicPartition,
        /// The first damaged offset, as the broker's log line names it.
        offset: i64,
    },
}

/// Which log to look into, and in which form to tell.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogPlace {
    /// Where everything is kept [default: ./avouch-data].
    #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON, an object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Check that every version is compatible with those before it.
    ///
    /// A path is a folder of subjects, a subject's folder, or a file in one:
    /// schemas/SUBJECT/VERSION.avsc. Exits 1 when a version is incompatible.
    Check {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        options: RawSchema,
    },
    /// Register a schema and print its id.
    Register {
        /// The subject to register under, such as payments-value.
        #[arg(long)]
        subject: String,
        /// An .avsc file.
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
    /// Write everything in a registry to a file: ids, versions, deleted ones, settings.
    ///
    /// A line is a record of Confluent's topic _schemas: {"key": ..., "value": ...}.
    Export {
        /// The file to write.
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
    /// Store the records of a file in a registry, ids and versions as they are.
    ///
    /// Reads what export writes and what Kafka's tools print of the topic _schemas: kcat -J, or
    /// keys and values apart by a tab. The registry is in mode IMPORT meanwhile.
    Import {
        /// Import although the registry has subjects.
        #[arg(long)]
        force: bool,
        /// The file to read.
        file: PathBuf,
        #[command(flatten)]
        options: RawClient,
    },
}

/// What one source (flags with environment, or the file's `[serve]`) says about `serve`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawServe {
    /// Where everything is kept [default: ./avouch-data].
    #[arg(long, value_name = "DIR", env = "AVOUCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Kafka listener; port 0 takes a free one [default: 127.0.0.1:9092].
    #[arg(long, value_name = "IP:PORT", env = "AVOUCH_KAFKA_LISTEN")]
    pub(crate) kafka_listen: Option<SocketAddr>,
    /// Registry and metrics listener; port 0 takes a free one [default: 127.0.0.1:8081].
    #[arg(long, value_name = "IP:PORT", env = "AVOUCH_HTTP_LISTEN")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Address given to Kafka clients [default: the one each client connected to].
    #[arg(long, value_name = "HOST:PORT", env = "AVOUCH_ADVERTISE")]
    pub(crate) advertise: Option<HostPort>,
    /// Written as JSON when ready, removed at exit.
    #[arg(long, value_name = "PATH", env = "AVOUCH_READY_FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// What an acknowledgement means [default: fsync].
    #[arg(long, value_enum, env = "AVOUCH_DURABILITY")]
    pub(crate) durability: Option<Durability>,
    /// Producers are refused while the disk has less than this left [default: 536870912].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_LOW_SPACE_BYTES")]
    pub(crate) low_space_bytes: Option<u64>,
    /// A broker config under Kafka's name, such as num.partitions=3; can be given again and again.
    ///
    /// In the environment, several stand one a line, or apart by commas.
    #[arg(long, value_name = "KEY=VALUE", env = "AVOUCH_BROKER_CONFIG")]
    #[serde(deserialize_with = "one_table")]
    pub(crate) broker_config: Vec<BrokerSettings>,
    /// Run the registry alone.
    #[arg(long, env = "AVOUCH_REGISTRY_ONLY", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) registry_only: Option<bool>,
    /// Run the broker alone, with the registry at --registry-url.
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
    /// The PostgreSQL database that registry nodes share, as postgres://USER@HOST:PORT/DATABASE
    /// [default: a file in the data directory].
    #[arg(
        long,
        value_name = "URL",
        env = "AVOUCH_REGISTRY_DB",
        hide_env_values = true
    )]
    pub(crate) registry_db: Option<PostgresUrl>,
    /// The error code for an incompatible schema: 40901, or 409 as older registries answered
    /// [default: 40901].
    #[arg(long, value_name = "CODE", env = "AVOUCH_REGISTRY_INCOMPATIBLE_CODE")]
    pub(crate) registry_incompatible_code: Option<u32>,
    /// The compatibility level where nothing sets one: NONE, or BACKWARD, FORWARD or FULL, each
    /// also as ..._TRANSITIVE [default: BACKWARD].
    #[arg(long, value_name = "LEVEL", env = "AVOUCH_REGISTRY_COMPATIBILITY")]
    pub(crate) registry_compatibility: Option<CompatibilityLevel>,
    /// Whether modes such as READONLY and IMPORT can be set [default: true].
    #[arg(long, env = "AVOUCH_REGISTRY_MODE_MUTABLE", value_parser = BoolishValueParser::new(),
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) registry_mode_mutable: Option<bool>,
    /// The largest request body; more costs that much memory a request [default: 2097152].
    #[arg(long, value_name = "BYTES", env = "AVOUCH_REGISTRY_BODY_BYTES")]
    pub(crate) registry_body_bytes: Option<usize>,
    /// Allow listeners that other machines can reach, although nobody has to log in.
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

/// What one source says about local schema checks: the file's `[schema]`.
#[derive(Args, Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawSchema {
    /// NONE, or BACKWARD, FORWARD or FULL, each also as ..._TRANSITIVE [default: BACKWARD].
    #[arg(long, value_name = "LEVEL", env = "AVOUCH_COMPATIBILITY")]
    compatibility: Option<CompatibilityLevel>,
}

impl RawSchema {
    /// These options, and where one is missing, the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            compatibility: self.compatibility.or(other.compatibility),
        }
    }

    /// The compatibility level to check.
    pub(crate) fn level(self) -> CompatibilityLevel {
        self.compatibility.unwrap_or(CompatibilityLevel::Backward)
    }
}

/// When a produce request is acknowledged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// Once the disk has confirmed the write: survives a power cut.
    Fsync,
    /// Once the operating system has it: survives a crash of avouch only.
    Os,
}

/// A host name or IP address with a port, as clients are told it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets; never empty.
    pub(crate) host: String,
    /// 1 and up.
    pub(crate) port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("\"{text}\" is not HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(wrong)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
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
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

fn one_table<'de, D: Deserializer<'de>>(table: D) -> Result<Vec<BrokerSettings>, D::Error> {
    BrokerSettings::deserialize(table).map(|settings| vec![settings])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn host_and_port_are_told_apart() {
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
    fn every_option_of_serve_has_its_environment_twin() {
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
            let twin = format!("AVOUCH_{}", long.to_uppercase().replace('-', "_"));
            let named = option
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(named, Some(twin));
        }
        assert!(options >= 12, "{options}");
    }

    #[test]
    fn a_switch_can_be_given_bare_or_with_a_value() {
        let registry_only = |args: &[&str]| {
            let cli = Cli::try_parse_from([&["avouch", "serve"], args].concat()).ok()?;
            match cli.command {
                Command::Serve(raw) => raw.registry_only,
                Command::Schema(_) | Command::Log(_) => None,
            }
        };
        assert_eq!(registry_only(&[]), None);
        assert_eq!(registry_only(&["--registry-only"]), Some(true));
        assert_eq!(registry_only(&["--registry-only=no"]), Some(false));
    }
}
