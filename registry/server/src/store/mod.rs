//! The SQL store. Each table has a file that reads and writes its rows; all statements are in one
//! file and run unchanged on SQLite and PostgreSQL. Invariant: the content of an ID never changes
//! while a version has the ID, and counters only increase.

pub(crate) mod changes;
mod connection;
pub(crate) mod counters;
pub(crate) mod edges;
mod engine;
mod ids_file;
pub(crate) mod schemas;
pub(crate) mod settings;
mod statements;
mod transaction;
pub(crate) mod versions;
mod writer;

use std::ops::{Deref, DerefMut};
use std::path::Path;

use crate::OpenError;
use crate::database::Database;

pub(crate) use self::connection::Connection;
pub(crate) use self::engine::Engine;
pub use self::ids_file::accept_loss;
pub(crate) use self::writer::Write;
use self::writer::Writer;

/// The PostgreSQL channel that notifies other nodes of a commit.
pub(crate) const CHANGES_CHANNEL: &str = "avouch_registry";

/// An open database.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) engine: Engine,
    writer: Writer,
}

impl Store {
    /// Opens the database, creates the file if it does not exist, and migrates the tables.
    pub(crate) async fn open(database: &Database, readers: u32) -> Result<Self, OpenError> {
        let (engine, ids) = Engine::open(database, readers).await?;
        Ok(Self {
            engine,
            writer: Writer::new(ids),
        })
    }

    /// Returns true if only this process changes the database.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.engine, Engine::Sqlite { .. })
    }

    /// Returns a snapshot, which has everything committed before this call and nothing after.
    pub(crate) async fn read(&self) -> Result<Snapshot, sqlx::Error> {
        self.engine.begin_read().await.map(Snapshot)
    }

    /// Waits for the write lock and returns a transaction on the current state. Dropping it without
    /// a commit discards its changes.
    pub(crate) async fn write(&self) -> Result<Write, sqlx::Error> {
        self.writer.begin(&self.engine).await
    }

    /// Writes a copy of an SQLite database to a new file; see [`Engine::copy`].
    pub(crate) async fn copy(&self, to: &Path) -> Result<bool, sqlx::Error> {
        self.engine.copy(to).await
    }

    /// Waits for running statements and closes the database.
    pub(crate) async fn close(&self) {
        self.engine.close().await;
    }
}

/// A read-only transaction on one state of the database.
#[derive(Debug)]
pub(crate) struct Snapshot(Connection);

impl Deref for Snapshot {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Snapshot {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// One page of a listing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Number of rows to skip.
    pub(crate) offset: i64,
    /// Maximum number of rows.
    pub(crate) limit: i64,
}

impl Page {
    /// All rows.
    pub(crate) const ALL: Self = Self {
        offset: 0,
        limit: i64::MAX,
    };

    /// Returns the page of rows that are in memory already.
    pub(crate) fn of<T>(self, rows: Vec<T>) -> Vec<T> {
        let offset = usize::try_from(self.offset).unwrap_or(0);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        rows.into_iter().skip(offset).take(limit).collect()
    }
}

#[cfg(test)]
mod tests;
