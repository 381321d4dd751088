//! The database of a registry: an SQLite file, or a PostgreSQL database that several nodes share.
//! Invariant: a password never appears in a log or an error.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

/// The database of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file for one process, created if it does not exist.
    Sqlite(PathBuf),
    /// A PostgreSQL database, for any number of registry nodes.
    Postgres(PostgresUrl),
}

/// The address of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Missing
/// parts are taken from the environment (`PGPASSWORD`, `PGPASSFILE`, ...).
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct PostgresUrl(String);

impl PostgresUrl {
    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::from_str(&self.0);
        options.expect("the constructor parsed the same text")
    }
}

/// Reason why a text is not a [`PostgresUrl`]. Does not contain the text, which may have a
/// password.
#[derive(Debug, Error)]
pub enum PostgresUrlError {
    /// The scheme is not that of PostgreSQL.
    #[error("invalid registry database; expected postgres://USER@HOST:PORT/DATABASE")]
    Scheme,
    /// The URL is malformed.
    #[error("invalid registry database: {0}")]
    Malformed(#[source] sqlx::Error),
}

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, PostgresUrlError> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            return Err(PostgresUrlError::Scheme);
        }
        PgConnectOptions::from_str(text).map_err(PostgresUrlError::Malformed)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PostgresUrl {
    type Error = PostgresUrlError;

    fn try_from(text: String) -> Result<Self, PostgresUrlError> {
        text.parse()
    }
}

/// Omits the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let (user, host, port) = (
            options.get_username(),
            options.get_host(),
            options.get_port(),
        );
        // PostgreSQL's default.
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
    fn printed_url_omits_password() {
        let url: PostgresUrl = "postgres://ann:s3cret@db.example:5433/registry"
            .parse()
            .unwrap();
        let shown = "postgres://ann@db.example:5433/registry";
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), shown);
    }

    #[test]
    fn error_does_not_repeat_url() {
        for text in [
            "mysql://a:s3cret@b/c",
            "registry.db",
            "postgres://a:s3cret@b:port/c",
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
