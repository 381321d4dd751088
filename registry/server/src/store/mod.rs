//! What the registry remembers, in SQL. Each file of a table owns what its rows mean; all
//! statements stand in one file and run unchanged on SQLite and PostgreSQL, each on the connection
//! of whoever holds the transaction. Invariant: content under an id never changes while a version
//! holds the id, and counters only grow.

pub(crate) mod changes;
mod connection;
pub(crate) mod counters;
pub(crate) mod edges;
mod engine;
pub(crate) mod schemas;
pub(crate) mod settings;
mod statements;
mod transaction;
pub(crate) mod versions;
mod writer;

use std::ops::{Deref, DerefMut};

use crate::OpenError;
use crate::database::Database;

pub(crate) use self::connection::Connection;
pub(crate) use self::engine::Engine;
pub(crate) use self::writer::Write;
use self::writer::Writer;

/// Where PostgreSQL tells other nodes of a commit.
pub(crate) const CHANGES_CHANNEL: &str = "avouch_registry";

/// An open database.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) engine: Engine,
    writer: Writer,
}

impl Store {
    /// Opens the database, creating a file if need be, and brings it to this version's tables.
    pub(crate) async fn open(database: &Database, readers: u32) -> Result<Self, OpenError> {
        Ok(Self {
            engine: Engine::open(database, readers).await?,
            writer: Writer::default(),
        })
    }

    /// Whether nobody but this process changes the database.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.engine, Engine::Sqlite { .. })
    }

    /// A snapshot: everything committed before this call, and nothing after.
    pub(crate) async fn read(&self) -> Result<Snapshot, sqlx::Error> {
        self.engine.begin_read().await.map(Snapshot)
    }

    /// The turn to write, with the newest state under it. Dropped without a commit, nothing
    /// happened.
    pub(crate) async fn write(&self) -> Result<Write, sqlx::Error> {
        self.writer.turn(&self.engine).await
    }

    /// Waits for running statements and closes the database.
    pub(crate) async fn close(&self) {
        self.engine.close().await;
    }
}

/// One state of the database, to read from.
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
    /// Rows to skip.
    pub(crate) offset: i64,
    /// Rows to return at most.
    pub(crate) limit: i64,
}

impl Page {
    /// Everything.
    pub(crate) const ALL: Self = Self {
        offset: 0,
        limit: i64::MAX,
    };

    /// The page of rows that are already at hand.
    pub(crate) fn of<T>(self, rows: Vec<T>) -> Vec<T> {
        let offset = usize::try_from(self.offset).unwrap_or(0);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        rows.into_iter().skip(offset).take(limit).collect()
    }
}

#[cfg(test)]
mod tests;
