//! Where a registry keeps what it knows: a file of its own, or a PostgreSQL that several share.
//! Invariant: a password never reaches a log or an error.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

/// The database of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file, created if need be; for one process.
    Sqlite(PathBuf),
    /// A PostgreSQL database, for any number of registry nodes.
    Postgres(PostgresUrl),
}

/// The address of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. What it
/// leaves out comes from the environment as with every client of PostgreSQL (`PGPASSWORD`,
/// `PGPASSFILE`, ...).
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct PostgresUrl(String);

impl PostgresUrl {
    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::from_str(&self.0);
        options.expect("the constructor parsed the same text")
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            return Err(
                "a registry database is named postgres://USER@HOST:PORT/DATABASE".to_owned(),
            );
        }
        PgConnectOptions::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PostgresUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Without the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let (user, host, port) = (
            options.get_username(),
            options.get_host(),
            options.get_port(),
        );
        let database = options.get_database().unwrap_or(user);
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url: PostgresUrl = "postgres://ann:s3cret@db.example:5433/registry"
            .parse()
            .unwrap();
        let shown = "postgres://ann@db.example:5433/registry";
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), shown);
    }

    #[test]
    fn other_addresses_are_refused_without_repeating_them() {
        for text in [
            "mysql://a:s3cret@b/c",
            "registry.db",
            "postgres://a:s3cret@b:port/c",
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
