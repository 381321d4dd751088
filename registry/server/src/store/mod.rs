//! What the registry remembers, in SQL. Each file below owns the statements of one table; all of
//! them run unchanged on SQLite and PostgreSQL, and all take the connection of whoever holds the
//! transaction. Invariant: content under an id never changes, and counters only grow.

pub(crate) mod counters;
pub(crate) mod edges;
pub(crate) mod schemas;
pub(crate) mod settings;
pub(crate) mod versions;

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

/// The connection every statement runs on.
pub(crate) type Connection = sqlx::SqliteConnection;

/// How long a statement waits for another process's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An open database: one writer, so that decisions never race, and a few readers.
#[derive(Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the file, creating it if need be, and brings it to this version's tables.
    pub(crate) async fn open(path: &Path, readers: u32) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        Migrator::new(Embedded).await?.run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(readers.max(1))
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer, readers })
    }

    /// A snapshot: everything committed before this call, and nothing after.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// The write lock with the newest state under it. Dropped without a commit, nothing happened.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Commits, and returns the change sequence that the commit reached.
    pub(crate) async fn commit(
        mut transaction: Transaction<'static, Sqlite>,
    ) -> Result<u64, sqlx::Error> {
        let seq = counters::next_change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Waits for running statements and closes the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The migrations that this binary carries.
#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let first = Migration::new(
            1,
            "registry".into(),
            MigrationType::Simple,
            include_str!("../../migrations/0001_registry.sql").into(),
            false,
        );
        Box::pin(async move { Ok(vec![first]) })
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
