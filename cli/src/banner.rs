//! The startup banner: addresses, data directory, and commands to try. Every command works as
//! printed, from any directory.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use avouch_log::Durability;

/// The content of the banner.
#[derive(Debug)]
pub(crate) struct Banner<'a> {
    /// `None` for a registry without broker.
    pub(crate) kafka: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
    /// True if the HTTP listener serves a registry besides metrics.
    pub(crate) has_registry: bool,
    pub(crate) data_dir: &'a Path,
    pub(crate) durability: Durability,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let http = self.http;
        writeln!(f, "avouch {}", env!("CARGO_PKG_VERSION"))?;
        if let Some(kafka) = self.kafka {
            writeln!(f, "  kafka       {kafka}")?;
        }
        let name = if self.has_registry {
            "registry"
        } else {
            // Padded to the width of the other name.
            "metrics "
        };
        writeln!(f, "  {name}    http://{http}")?;
        writeln!(f, "  data        {}", self.data_dir.display())?;
        let durability = match self.durability {
            Durability::Fsync => "fsync (acknowledged means on disk)",
            Durability::Os => "os (acknowledged means handed to the operating system)",
        };
        writeln!(f, "  durability  {durability}")?;
        writeln!(f, "try")?;
        if let Some(kafka) = self.kafka {
            writeln!(f, "  echo hello | kcat -P -b {kafka} -t greetings")?;
            writeln!(f, "  kcat -C -e -b {kafka} -t greetings")?;
        } else {
            writeln!(f, "  curl http://{http}/subjects")?;
            writeln!(f, "  curl http://{http}/config")?;
        }
        if self.has_registry {
            let body = r#"{"schema": "\"string\""}"#;
            let url = format!("http://{http}/subjects/names-value/versions");
            writeln!(f, "  curl --json '{body}' {url}")
        } else {
            writeln!(f, "  curl http://{http}/metrics")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(kafka: bool, has_registry: bool) -> String {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let durability = Durability::Fsync;
        let data_dir = Path::new("./avouch-data");
        let kafka = kafka.then(|| address(9092));
        Banner {
            kafka,
            http: address(8081),
            has_registry,
            data_dir,
            durability,
        }
        .to_string()
    }

    // Conformance: main-job/1a
    #[test]
    fn banner_shows_addresses_settings_and_commands() {
        let expected = r#"  kafka       127.0.0.1:9092
  registry    http://127.0.0.1:8081
  data        ./avouch-data
  durability  fsync (acknowledged means on disk)
try
  echo hello | kcat -P -b 127.0.0.1:9092 -t greetings
  kcat -C -e -b 127.0.0.1:9092 -t greetings
  curl --json '{"schema": "\"string\""}' http://127.0.0.1:8081/subjects/names-value/versions
"#;
        let banner = banner(true, true);
        let (_version, rest) = banner.split_once('\n').unwrap();
        assert_eq!(rest, expected);
    }

    #[test]
    fn banner_omits_parts_that_are_not_served() {
        let broker = banner(true, false);
        assert!(
            broker.contains("metrics     http://127.0.0.1:8081\n"),
            "{broker}"
        );
        assert!(!broker.contains("/subjects"), "{broker}");
        let registry = banner(false, true);
        assert!(!registry.contains("kafka"), "{registry}");
        assert!(!registry.contains("kcat"), "{registry}");
    }
}
