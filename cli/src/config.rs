//! The configuration of `serve`: flags and environment take precedence over `avouch.toml`, which
//! takes precedence over defaults. Reads neither file nor environment.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

use avouch_broker::{BrokerConfig, StartConfigError};
use avouch_log::LOW_SPACE_BYTES;
use avouch_registry::{PostgresUrl, RegistryConfig};
use avouch_registry_api::types::CompatibilityLevel;

use crate::args::{Durability, HostPort, RawServe};
use crate::broker_settings::BrokerSettings;
use crate::config_file::nearest_hint;

/// The default data directory.
pub(crate) const DATA_DIR: &str = "./avouch-data";

/// The complete configuration of `serve`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServeConfig {
    /// The parts that run in this process.
    pub(crate) role: Role,
    /// The data directory, created if it is missing.
    pub(crate) data_dir: PathBuf,
    /// The database that registry nodes share; `None` for a file in the data directory.
    pub(crate) registry_db: Option<PostgresUrl>,
    /// Settings of the registry; unused by a standalone broker.
    pub(crate) registry: RegistrySettings,
    /// The Kafka listener; unused by a standalone registry.
    pub(crate) kafka_listen: SocketAddr,
    /// The HTTP listener: registry, metrics, health.
    pub(crate) http_listen: SocketAddr,
    /// The address returned to Kafka clients; `None` for the address each connected to.
    pub(crate) advertise: Option<HostPort>,
    /// The file created when the process is ready and deleted at exit.
    pub(crate) ready_file: Option<PathBuf>,
    /// The condition for acknowledging produce requests.
    pub(crate) durability: Durability,
    /// Free disk space below which produce requests are rejected, in bytes.
    pub(crate) low_space_bytes: u64,
    /// Broker configs by Kafka's names, valid for a broker.
    pub(crate) broker_configs: BTreeMap<String, String>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            role: Role::Both,
            data_dir: PathBuf::from(DATA_DIR),
            registry_db: None,
            registry: RegistrySettings::default(),
            kafka_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)),
            http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            advertise: None,
            ready_file: None,
            durability: Durability::Fsync,
            low_space_bytes: LOW_SPACE_BYTES,
            broker_configs: BTreeMap::new(),
        }
    }
}

/// Settings of a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RegistrySettings {
    /// The error code for an incompatible schema.
    pub(crate) incompatible_code: u32,
    /// The compatibility level where none is configured.
    pub(crate) compatibility: CompatibilityLevel,
    /// True if requests can set modes.
    pub(crate) mode_mutable: bool,
    /// Maximum size of a request body, in bytes.
    pub(crate) body_bytes: usize,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        let default = RegistryConfig::default();
        Self {
            incompatible_code: default.incompatible_code,
            compatibility: default.compatibility_default,
            mode_mutable: default.mode_mutable,
            body_bytes: default.body_bytes,
        }
    }
}

/// The parts of Avouch that a process runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Broker and registry, connected within the process.
    Both,
    /// Only the registry.
    RegistryOnly,
    /// Only the broker.
    BrokerOnly {
        /// URL of its registry.
        registry_url: String,
        /// Certificate authorities of an `https://` registry; `None` means the system's.
        registry_ca_file: Option<PathBuf>,
    },
}

impl Role {
    /// Returns whether the process has a Kafka listener.
    pub(crate) fn has_broker(&self) -> bool {
        match self {
            Self::Both | Self::BrokerOnly { .. } => true,
            Self::RegistryOnly => false,
        }
    }
}

/// An invalid option or combination of options.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum ConfigError {
    #[error("registry-only and broker-only are mutually exclusive")]
    BothOnly,
    #[error("broker-only requires registry-url")]
    RegistryUrlMissing,
    #[error("registry-url requires broker-only; this process runs its own registry")]
    RegistryUrlUnused,
    #[error("{0} is not available with broker-only; it configures the registry of this process")]
    RegistryUnused(&'static str),
    #[error("invalid registry-incompatible-code {0}; expected 40901 or 409")]
    IncompatibleCode(u32),
    #[error("broker-config is not available with registry-only")]
    BrokerConfigUnused,
    #[error("broker-config: invalid setting \"{0}\"; expected KEY=VALUE")]
    NoBrokerSetting(String),
    #[error("broker-config: {reason}{hint}")]
    BrokerConfig {
        /// The error.
        reason: String,
        /// A suggested name, or nothing.
        hint: String,
    },
    #[error(
        "{key} {address} is reachable from other machines and there is no authentication; \
         set allow-insecure-listen to allow it"
    )]
    OffLoopback {
        /// The option of the listener.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
}

/// Returns the configuration by `flags` (which include the environment), then `file`, then the
/// defaults.
///
/// # Errors
/// When options exclude each other, a broker config is unknown or its value invalid, or a listener
/// would be reachable from other machines without `allow-insecure-listen`.
pub(crate) fn resolve(flags: RawServe, file: RawServe) -> Result<ServeConfig, ConfigError> {
    let raw = layered(flags, file);
    let default = ServeConfig::default();
    let role = role(&raw)?;
    let registry = registry_settings(&raw, &role)?;
    let broker_configs = broker_configs(raw.broker_config)?;
    if !role.has_broker() && !broker_configs.is_empty() {
        return Err(ConfigError::BrokerConfigUnused);
    }
    let config = ServeConfig {
        role,
        data_dir: raw.data_dir.unwrap_or(default.data_dir),
        registry_db: raw.registry_db,
        registry,
        kafka_listen: raw.kafka_listen.unwrap_or(default.kafka_listen),
        http_listen: raw.http_listen.unwrap_or(default.http_listen),
        advertise: raw.advertise,
        ready_file: raw.ready_file,
        durability: raw.durability.unwrap_or(default.durability),
        low_space_bytes: raw.low_space_bytes.unwrap_or(default.low_space_bytes),
        broker_configs,
    };
    if !raw.allow_insecure_listen.unwrap_or(false) {
        require_loopback("http-listen", config.http_listen)?;
        if config.role.has_broker() {
            require_loopback("kafka-listen", config.kafka_listen)?;
        }
    }
    Ok(config)
}

/// Returns the options of `upper`, and those of `lower` where they are missing.
fn layered(upper: RawServe, lower: RawServe) -> RawServe {
    RawServe {
        data_dir: upper.data_dir.or(lower.data_dir),
        kafka_listen: upper.kafka_listen.or(lower.kafka_listen),
        http_listen: upper.http_listen.or(lower.http_listen),
        advertise: upper.advertise.or(lower.advertise),
        ready_file: upper.ready_file.or(lower.ready_file),
        durability: upper.durability.or(lower.durability),
        low_space_bytes: upper.low_space_bytes.or(lower.low_space_bytes),
        registry_only: upper.registry_only.or(lower.registry_only),
        // Those of `upper` come last, because the last value of a name is used.
        broker_config: [lower.broker_config, upper.broker_config].concat(),
        broker_only: upper.broker_only.or(lower.broker_only),
        registry_url: upper.registry_url.or(lower.registry_url),
        registry_ca_file: upper.registry_ca_file.or(lower.registry_ca_file),
        registry_db: upper.registry_db.or(lower.registry_db),
        registry_incompatible_code: upper
            .registry_incompatible_code
            .or(lower.registry_incompatible_code),
        registry_compatibility: upper
            .registry_compatibility
            .or(lower.registry_compatibility),
        registry_mode_mutable: upper.registry_mode_mutable.or(lower.registry_mode_mutable),
        registry_body_bytes: upper.registry_body_bytes.or(lower.registry_body_bytes),
        allow_insecure_listen: upper.allow_insecure_listen.or(lower.allow_insecure_listen),
    }
}

/// Returns the broker configs after checking each of them and their combination.
fn broker_configs(settings: Vec<BrokerSettings>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut configs = BTreeMap::new();
    for (key, value) in settings.into_iter().flat_map(|settings| settings.0) {
        match value {
            Some(value) => configs.insert(key, value),
            None => return Err(ConfigError::NoBrokerSetting(key)),
        };
    }
    let mut unused = BrokerConfig::new(PathBuf::new());
    let pairs = configs.iter();
    let taken = unused.configure(pairs.map(|(key, value)| (key.as_str(), value.as_str())));
    taken.map_err(|error| ConfigError::BrokerConfig {
        hint: match &error {
            StartConfigError::Unknown(name) => nearest_hint(name, BrokerConfig::config_names()),
            _ => String::new(),
        },
        reason: error.to_string(),
    })?;
    Ok(configs)
}

fn role(raw: &RawServe) -> Result<Role, ConfigError> {
    let only = (
        raw.registry_only.unwrap_or(false),
        raw.broker_only.unwrap_or(false),
    );
    match (only, raw.registry_url.clone()) {
        ((true, true), _) => Err(ConfigError::BothOnly),
        ((false, true), Some(registry_url)) => Ok(Role::BrokerOnly {
            registry_url,
            registry_ca_file: raw.registry_ca_file.clone(),
        }),
        ((false, true), None) => Err(ConfigError::RegistryUrlMissing),
        ((_, false), Some(_)) => Err(ConfigError::RegistryUrlUnused),
        ((true, false), None) => Ok(Role::RegistryOnly),
        ((false, false), None) => Ok(Role::Both),
    }
}

fn registry_settings(raw: &RawServe, role: &Role) -> Result<RegistrySettings, ConfigError> {
    let default = RegistrySettings::default();
    let given = [
        ("registry-db", raw.registry_db.is_some()),
        (
            "registry-incompatible-code",
            raw.registry_incompatible_code.is_some(),
        ),
        (
            "registry-compatibility",
            raw.registry_compatibility.is_some(),
        ),
        ("registry-mode-mutable", raw.registry_mode_mutable.is_some()),
        ("registry-body-bytes", raw.registry_body_bytes.is_some()),
    ];
    let has_registry = match role {
        Role::Both | Role::RegistryOnly => true,
        Role::BrokerOnly { .. } => false,
    };
    if let Some((key, _)) = given.iter().find(|(_, given)| *given && !has_registry) {
        return Err(ConfigError::RegistryUnused(key));
    }
    let incompatible_code = raw
        .registry_incompatible_code
        .unwrap_or(default.incompatible_code);
    if ![409, 40901].contains(&incompatible_code) {
        return Err(ConfigError::IncompatibleCode(incompatible_code));
    }
    Ok(RegistrySettings {
        incompatible_code,
        compatibility: raw.registry_compatibility.unwrap_or(default.compatibility),
        mode_mutable: raw.registry_mode_mutable.unwrap_or(default.mode_mutable),
        body_bytes: raw.registry_body_bytes.unwrap_or(default.body_bytes),
    })
}

fn require_loopback(key: &'static str, address: SocketAddr) -> Result<(), ConfigError> {
    if address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(ConfigError::OffLoopback { key, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the expected configuration differs from the default.
    type Change = fn(&mut ServeConfig);

    /// Returns the options in these lines of TOML.
    fn raw(toml: &str) -> RawServe {
        toml::from_str(toml).unwrap()
    }

    // Conformance: registry/rest-8
    #[test]
    fn flags_override_file_and_file_overrides_defaults() {
        let cases: [(&str, &str, Change); 15] = [
            ("", "", |_| {}),
            ("data-dir = 'a'", "", |c| c.data_dir = "a".into()),
            ("", "data-dir = 'b'", |c| c.data_dir = "b".into()),
            ("data-dir = 'a'", "data-dir = 'b'", |c| {
                c.data_dir = "a".into();
            }),
            (
                "kafka-listen = '127.0.0.2:0'",
                "http-listen = '[::1]:80'",
                |c| {
                    c.kafka_listen = "127.0.0.2:0".parse().unwrap();
                    c.http_listen = "[::1]:80".parse().unwrap();
                },
            ),
            (
                "advertise = 'k.example:19092'",
                "durability = 'os'\nready-file = 'r'",
                |c| {
                    c.advertise = Some("k.example:19092".parse().unwrap());
                    c.durability = Durability::Os;
                    c.ready_file = Some("r".into());
                },
            ),
            ("durability = 'fsync'", "durability = 'os'", |_| {}),
            ("", "low-space-bytes = 7", |c| c.low_space_bytes = 7),
            (
                "broker-config.num.partitions = 1",
                "[broker-config]\nnum.partitions = 2\nlog.retention.ms = 3",
                |c| {
                    let given = [("num.partitions", "1"), ("log.retention.ms", "3")];
                    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
                    c.broker_configs = given.into();
                },
            ),
            ("registry-only = true", "", |c| c.role = Role::RegistryOnly),
            ("registry-only = false", "registry-only = true", |_| {}),
            (
                "registry-db = 'postgres://a/b'",
                "registry-db = 'postgres://c/d'",
                |c| c.registry_db = "postgres://a/b".parse().ok(),
            ),
            (
                "registry-incompatible-code = 409\nregistry-compatibility = 'FULL'",
                "registry-mode-mutable = false\nregistry-compatibility = 'NONE'",
                |c| {
                    c.registry.incompatible_code = 409;
                    c.registry.compatibility = CompatibilityLevel::Full;
                    c.registry.mode_mutable = false;
                },
            ),
            ("registry-body-bytes = 7", "", |c| c.registry.body_bytes = 7),
            (
                "broker-only = true\nregistry-ca-file = 'ca.pem'",
                "registry-url = 'https://r'",
                |c| {
                    c.role = Role::BrokerOnly {
                        registry_url: "https://r".to_owned(),
                        registry_ca_file: Some("ca.pem".into()),
                    };
                },
            ),
        ];
        for (flags, file, change) in cases {
            let mut expected = ServeConfig::default();
            change(&mut expected);
            let resolved = resolve(raw(flags), raw(file));
            assert_eq!(resolved, Ok(expected), "{flags} over {file}");
        }
    }

    #[test]
    fn mutually_exclusive_options_are_rejected() {
        let cases = [
            (
                "registry-only = true\nbroker-only = true",
                ConfigError::BothOnly,
            ),
            ("broker-only = true", ConfigError::RegistryUrlMissing),
            ("registry-url = 'http://r'", ConfigError::RegistryUrlUnused),
            (
                "registry-only = true\nregistry-url = 'http://r'",
                ConfigError::RegistryUrlUnused,
            ),
            (
                "broker-only = true\nregistry-url = 'http://r'\nregistry-db = 'postgres://r'",
                ConfigError::RegistryUnused("registry-db"),
            ),
            (
                "broker-only = true\nregistry-url = 'http://r'\nregistry-mode-mutable = true",
                ConfigError::RegistryUnused("registry-mode-mutable"),
            ),
            (
                "registry-incompatible-code = 400",
                ConfigError::IncompatibleCode(400),
            ),
            (
                "registry-only = true\nbroker-config.num.partitions = 1",
                ConfigError::BrokerConfigUnused,
            ),
        ];
        for (flags, expected) in cases {
            assert_eq!(
                resolve(raw(flags), RawServe::default()),
                Err(expected),
                "{flags}"
            );
        }
    }

    #[test]
    fn non_loopback_listeners_require_the_flag() {
        let cases = [
            ("kafka-listen = '0.0.0.0:9092'", Some("kafka-listen")),
            ("http-listen = '192.168.0.1:8081'", Some("http-listen")),
            ("kafka-listen = '[::]:9092'", Some("kafka-listen")),
            (
                "kafka-listen = '[::ffff:10.0.0.1]:9092'",
                Some("kafka-listen"),
            ),
            ("kafka-listen = '[::ffff:127.0.0.1]:9092'", None),
            (
                "kafka-listen = '0.0.0.0:9092'\nallow-insecure-listen = true",
                None,
            ),
            ("kafka-listen = '0.0.0.0:9092'\nregistry-only = true", None),
            (
                "http-listen = '0.0.0.0:8081'\nregistry-only = true",
                Some("http-listen"),
            ),
        ];
        for (flags, expected) in cases {
            let rejected = match resolve(raw(flags), RawServe::default()) {
                Err(ConfigError::OffLoopback { key, .. }) => Some(key),
                Ok(_) => None,
                Err(other) => panic!("{flags}: {other}"),
            };
            assert_eq!(rejected, expected, "{flags}");
        }
    }
}
