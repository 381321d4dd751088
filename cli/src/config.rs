//! The configuration of `serve`: flags and environment take precedence over `avouch.toml`, which
//! takes precedence over defaults. Reads neither file nor environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use avouch_node::{BrokerConfig, NodeConfig, RegistryConfig, Role, StartConfigError};
use thiserror::Error;

use crate::args::RawServe;
use crate::broker_settings::BrokerSettings;
use crate::config_file::nearest_hint;

/// The default data directory.
pub(crate) const DATA_DIR: &str = "./avouch-data";

/// The complete configuration of `serve`.
#[derive(Clone, Debug)]
pub(crate) struct ServeConfig {
    /// The node to run.
    pub(crate) node: NodeConfig,
    /// The file created when the process is ready and deleted at exit.
    pub(crate) ready_file: Option<PathBuf>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        let mut node = NodeConfig::new(DATA_DIR);
        node.kafka_listen.set_port(9092);
        node.http_listen.set_port(8081);
        Self {
            node,
            ready_file: None,
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
    #[error("broker-config: {error}{hint}")]
    BrokerConfig {
        /// The error.
        error: StartConfigError,
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
    let mut config = ServeConfig::default();
    let node = &mut config.node;
    node.role = role(&raw)?;
    configure_registry(&mut node.registry, &raw, &node.role)?;
    // An invalid setting is reported before an unused one: it is wrong in any case.
    if configure_broker(&mut node.broker, raw.broker_config)? && !node.role.has_broker() {
        return Err(ConfigError::BrokerConfigUnused);
    }
    node.data_dir = raw.data_dir.unwrap_or_else(|| DATA_DIR.into());
    node.registry_database = raw.registry_db;
    node.kafka_listen = raw.kafka_listen.unwrap_or(node.kafka_listen);
    node.http_listen = raw.http_listen.unwrap_or(node.http_listen);
    if let Some(count) = raw.http_max_connections {
        node.http.connections_max = count;
    }
    if let Some(bytes) = raw.http_memory_bytes {
        node.http.memory_bytes_max = bytes;
    }
    node.broker.advertise = raw.advertise.map(|at| (at.host, at.port));
    if let Some(durability) = raw.durability {
        node.broker.durability = durability.into();
    }
    if let Some(bytes) = raw.low_space_bytes {
        node.broker.low_space_bytes = bytes;
    }
    config.ready_file = raw.ready_file;
    if !raw.allow_insecure_listen.unwrap_or(false) {
        require_loopback("http-listen", config.node.http_listen)?;
        if config.node.role.has_broker() {
            require_loopback("kafka-listen", config.node.kafka_listen)?;
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
        http_max_connections: upper.http_max_connections.or(lower.http_max_connections),
        http_memory_bytes: upper.http_memory_bytes.or(lower.http_memory_bytes),
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
        registry_schema_bytes: upper.registry_schema_bytes.or(lower.registry_schema_bytes),
        registry_schema_references: upper
            .registry_schema_references
            .or(lower.registry_schema_references),
        registry_schema_branches: upper
            .registry_schema_branches
            .or(lower.registry_schema_branches),
        registry_schema_depth: upper.registry_schema_depth.or(lower.registry_schema_depth),
        allow_insecure_listen: upper.allow_insecure_listen.or(lower.allow_insecure_listen),
    }
}

/// Sets the broker configs after checking each of them and their combination. Returns true if there
/// is one.
fn configure_broker(
    broker: &mut BrokerConfig,
    settings: Vec<BrokerSettings>,
) -> Result<bool, ConfigError> {
    // A later setting of a name replaces an earlier one, even if the earlier one is invalid.
    let mut configs = BTreeMap::new();
    for (key, value) in settings.into_iter().flat_map(|settings| settings.0) {
        match value {
            Some(value) => configs.insert(key, value),
            None => return Err(ConfigError::NoBrokerSetting(key)),
        };
    }
    let pairs = configs.iter();
    let taken = broker.configure(pairs.map(|(key, value)| (key.as_str(), value.as_str())));
    taken.map_err(|error| ConfigError::BrokerConfig {
        hint: match &error {
            StartConfigError::Unknown(name) => nearest_hint(name, BrokerConfig::config_names()),
            _ => String::new(),
        },
        error,
    })?;
    Ok(!configs.is_empty())
}

fn role(raw: &RawServe) -> Result<Role, ConfigError> {
    // A flag that is false is the same as none, so that it can override the file.
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

fn configure_registry(
    registry: &mut RegistryConfig,
    raw: &RawServe,
    role: &Role,
) -> Result<(), ConfigError> {
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
        ("registry-schema-bytes", raw.registry_schema_bytes.is_some()),
        (
            "registry-schema-references",
            raw.registry_schema_references.is_some(),
        ),
        (
            "registry-schema-branches",
            raw.registry_schema_branches.is_some(),
        ),
        ("registry-schema-depth", raw.registry_schema_depth.is_some()),
    ];
    if let Some((key, _)) = given
        .iter()
        .find(|(_, given)| *given && !role.has_registry())
    {
        return Err(ConfigError::RegistryUnused(key));
    }
    if let Some(code) = raw.registry_incompatible_code {
        if ![409, 40901].contains(&code) {
            return Err(ConfigError::IncompatibleCode(code));
        }
        registry.incompatible_code = code;
    }
    if let Some(level) = raw.registry_compatibility {
        registry.compatibility_default = level;
    }
    if let Some(mutable) = raw.registry_mode_mutable {
        registry.mode_mutable = mutable;
    }
    if let Some(bytes) = raw.registry_body_bytes {
        registry.body_bytes = bytes;
    }
    if let Some(bytes) = raw.registry_schema_bytes {
        registry.schema_bytes = bytes;
    }
    if let Some(references) = raw.registry_schema_references {
        registry.schema_references = references;
    }
    if let Some(branches) = raw.registry_schema_branches {
        registry.schema_branches = branches;
    }
    if let Some(depth) = raw.registry_schema_depth {
        registry.schema_depth = depth;
    }
    Ok(())
}

fn require_loopback(key: &'static str, address: SocketAddr) -> Result<(), ConfigError> {
    // `::ffff:127.0.0.1` is an IPv4 address in IPv6 form.
    if address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(ConfigError::OffLoopback { key, address })
    }
}

#[cfg(test)]
mod tests {
    use avouch_log::Durability;
    use avouch_registry_api::types::CompatibilityLevel;

    use super::*;

    /// How the expected configuration differs from the default.
    type Change = fn(&mut NodeConfig);

    /// Returns the options in these lines of TOML.
    fn raw(toml: &str) -> RawServe {
        toml::from_str(toml).unwrap()
    }

    /// Flags, file, and the change of the defaults that they make.
    const PRECEDENCE: [(&str, &str, Change); 18] = [
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
        ("advertise = 'k.example:19092'", "durability = 'os'", |c| {
            c.broker.advertise = Some(("k.example".to_owned(), 19092));
            c.broker.durability = Durability::Os;
        }),
        ("durability = 'fsync'", "durability = 'os'", |_| {}),
        ("http-memory-bytes = 8", "http-max-connections = 7", |c| {
            (c.http.connections_max, c.http.memory_bytes_max) = (7, 8);
        }),
        ("", "low-space-bytes = 7", |c| c.broker.low_space_bytes = 7),
        (
            "broker-config.num.partitions = 1",
            "[broker-config]\nnum.partitions = 2\nlog.retention.ms = 3",
            |c| {
                let given = [("num.partitions", "1"), ("log.retention.ms", "3")];
                c.broker.configure(given).unwrap();
            },
        ),
        ("registry-only = true", "", |c| c.role = Role::RegistryOnly),
        ("registry-only = false", "registry-only = true", |_| {}),
        (
            "registry-db = 'postgres://a/b'",
            "registry-db = 'postgres://c/d'",
            |c| c.registry_database = "postgres://a/b".parse().ok(),
        ),
        (
            "registry-incompatible-code = 409\nregistry-compatibility = 'FULL'",
            "registry-mode-mutable = false\nregistry-compatibility = 'NONE'",
            |c| {
                c.registry.incompatible_code = 409;
                c.registry.compatibility_default = CompatibilityLevel::Full;
                c.registry.mode_mutable = false;
            },
        ),
        ("registry-body-bytes = 7", "", |c| c.registry.body_bytes = 7),
        ("", "registry-schema-bytes = 8", |c| {
            c.registry.schema_bytes = 8;
        }),
        (
            "registry-schema-references = 9",
            "registry-schema-branches = 10\nregistry-schema-depth = 11",
            |c| {
                c.registry.schema_references = 9;
                c.registry.schema_branches = 10;
                c.registry.schema_depth = 11;
            },
        ),
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

    // Conformance: registry/rest-8
    #[test]
    fn flags_override_file_and_file_overrides_defaults() {
        for (flags, file, change) in PRECEDENCE {
            let mut expected = ServeConfig::default().node;
            change(&mut expected);
            let resolved = resolve(raw(flags), raw(file)).unwrap().node;
            // The configurations of broker and registry have no equality.
            let shown = (format!("{resolved:?}"), format!("{expected:?}"));
            assert_eq!(shown.0, shown.1, "{flags} over {file}");
        }
    }

    #[test]
    fn ready_file_flag_overrides_file() {
        let resolved = resolve(raw("ready-file = 'a'"), raw("ready-file = 'b'")).unwrap();
        assert_eq!(resolved.ready_file, Some("a".into()));
        assert_eq!(resolve(raw(""), raw("")).unwrap().ready_file, None);
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
            let rejected = resolve(raw(flags), RawServe::default()).unwrap_err();
            assert_eq!(rejected, expected, "{flags}");
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
