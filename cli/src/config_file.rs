//! `avouch.toml`: one file with a table for each kind of command. An unknown key is an error that
//! suggests the most similar known key. The known keys are derived from the flags.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::{Table, Value};

use crate::args::{RawClient, RawSchema, RawServe};

/// The tables of `avouch.toml`; a missing table is empty.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// `[serve]`
    pub(crate) serve: RawServe,
    /// `[client]`
    pub(crate) client: RawClient,
    /// `[schema]`
    pub(crate) schema: RawSchema,
}

/// A configuration file that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {fault}", path.display())]
pub(crate) struct ConfigFileError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, Error)]
enum Fault {
    #[error("{0}")]
    Unreadable(std::io::Error),
    #[error("{0}")]
    NotToml(String),
    #[error("unknown key \"{key}\"{hint}")]
    UnknownTopKey { key: String, hint: String },
    #[error("unknown key \"{key}\" in [{table}]{hint}")]
    UnknownKey {
        table: &'static str,
        key: String,
        hint: String,
    },
    #[error("[{table}] {reason}")]
    InvalidValue { table: &'static str, reason: String },
}

impl ConfigFile {
    /// Reads the file `named`, or without it the file `usual` if it exists.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or contains an unknown key or an invalid value.
    pub(crate) fn load(named: Option<&Path>, usual: &Path) -> Result<Self, ConfigFileError> {
        let path = named.unwrap_or(usual);
        let fail = |fault| ConfigFileError {
            path: path.to_owned(),
            fault,
        };
        match fs::read_to_string(path) {
            Ok(text) => parse(&text).map_err(fail),
            // The default file is optional. A file that the user names must exist.
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(fail(Fault::Unreadable(error))),
        }
    }
}

fn parse(text: &str) -> Result<ConfigFile, Fault> {
    let mut top: Table = text.parse().map_err(|error: toml::de::Error| {
        // Spans count bytes from 0; editors count lines from 1.
        let line = error.span().map_or(1, |span| {
            text.bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1
        });
        Fault::NotToml(format!("line {line}: {}", one_line(error.message())))
    })?;
    let file = ConfigFile {
        serve: take_table(&mut top, "serve")?,
        client: take_table(&mut top, "client")?,
        schema: take_table(&mut top, "schema")?,
    };
    // The known tables were removed above, so what is left is unknown.
    match top.keys().next() {
        None => Ok(file),
        Some(key) => Err(Fault::UnknownTopKey {
            key: key.clone(),
            hint: table_hint(key),
        }),
    }
}

/// Removes the table `name` from `top` and parses it as options.
fn take_table<T: Args + DeserializeOwned + Default>(
    top: &mut Table,
    name: &'static str,
) -> Result<T, Fault> {
    let table = match top.remove(name) {
        None => return Ok(T::default()),
        Some(Value::Table(table)) => table,
        Some(_) => {
            return Err(Fault::InvalidValue {
                table: name,
                reason: "must be a table".to_owned(),
            });
        }
    };
    let known = keys::<T>();
    // Checked here, because the error of serde suggests no similar key.
    if let Some(key) = table.keys().find(|key| !known.contains(key)) {
        let hint = nearest_hint(key, known.iter().map(String::as_str));
        return Err(Fault::UnknownKey {
            table: name,
            key: key.clone(),
            hint,
        });
    }
    table
        .try_into()
        .map_err(|error: toml::de::Error| Fault::InvalidValue {
            table: name,
            reason: one_line(&error.to_string()),
        })
}

/// Returns the keys of a table: the long flags of its options.
fn keys<T: Args>() -> Vec<String> {
    let command = T::augment_args(Command::new("keys"));
    command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect()
}

/// Returns a hint for a key outside all tables: its table, or the table with a similar name.
fn table_hint(key: &str) -> String {
    let tables = [
        ("serve", keys::<RawServe>()),
        ("client", keys::<RawClient>()),
        ("schema", keys::<RawSchema>()),
    ];
    match tables
        .iter()
        .find(|(_, keys)| keys.iter().any(|known| known == key))
    {
        Some((table, _)) => format!("; it belongs in [{table}]"),
        None => nearest_hint(key, tables.iter().map(|(table, _)| *table)),
    }
}

/// Returns a hint with the known key most similar to an unknown one, or an empty string.
pub(crate) fn nearest_hint<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    // Environment variables have underscores where keys have hyphens.
    let spelled = key.replace('_', "-");
    known
        .map(|candidate| (strsim::jaro_winkler(&spelled, candidate), candidate))
        // Below this similarity a suggestion is more confusing than helpful.
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, candidate)| {
            format!("; did you mean \"{candidate}\"?")
        })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_line_with_a_hint() {
        let cases = [
            (
                "[serve]\ndata-dri = 'x'",
                r#"unknown key "data-dri" in [serve]; did you mean "data-dir"?"#,
            ),
            (
                "[serve]\ndata_dir = 'x'",
                r#"unknown key "data_dir" in [serve]; did you mean "data-dir"?"#,
            ),
            ("[serve]\nzzz = 1", r#"unknown key "zzz" in [serve]"#),
            (
                "[client]\nregistri = 'x'",
                r#"unknown key "registri" in [client]; did you mean "registry"?"#,
            ),
            (
                "[schema]\ncompat = 'x'",
                r#"unknown key "compat" in [schema]; did you mean "compatibility"?"#,
            ),
            (
                "[server]\ndata-dir = 'x'",
                r#"unknown key "server"; did you mean "serve"?"#,
            ),
            (
                "kafka-listen = 'x'",
                r#"unknown key "kafka-listen"; it belongs in [serve]"#,
            ),
            ("serve = 3", "[serve] must be a table"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn invalid_values_and_syntax_name_their_place() {
        let cases = [
            ("[serve]\nkafka-listen = 'nowhere'", "kafka-listen"),
            ("[serve]\ndurability = 'maybe'", "durability"),
            (
                "[serve]\nadvertise = 'kafka'",
                "invalid address \"kafka\"; expected HOST:PORT",
            ),
            ("[serve]\n\ndata-dir = ", "line 3: "),
        ];
        for (text, expected) in cases {
            let fault = parse(text).unwrap_err().to_string();
            assert!(
                fault.contains(expected) && !fault.contains('\n'),
                "{text}: {fault}"
            );
        }
    }

    #[test]
    fn every_flag_is_a_key() {
        for key in keys::<RawServe>() {
            let fault = parse(&format!("[serve]\n{key} = []")).unwrap_err();
            assert!(
                matches!(fault, Fault::InvalidValue { .. }),
                "{key}: {fault}"
            );
        }
    }

    #[test]
    fn missing_file_fails_only_when_named() {
        let missing = tempfile::tempdir().unwrap().path().join("avouch.toml");
        assert!(ConfigFile::load(None, &missing).is_ok());
        assert!(ConfigFile::load(Some(&missing), Path::new("unused")).is_err());
    }
}
