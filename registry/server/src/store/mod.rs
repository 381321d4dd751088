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
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::OpenError;

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
    pub(crate) async fn open(path: &Path, readers: u32) -> Result<Self, OpenError> {
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
        let migrated = Migrator::new(Embedded).await?.run(&writer).await;
        migrated.map_err(|error| match error {
            MigrateError::VersionMissing(version) => OpenError::Newer { version },
            error => error.into(),
        })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registry.db");
        let store = Store::open(&path, 1).await.unwrap();
        let from_the_future = "INSERT INTO _sqlx_migrations \
             (version, description, success, checksum, execution_time) \
             VALUES (99, 'later', TRUE, x'00', 1)";
        sqlx::query(from_the_future)
            .execute(&store.writer)
            .await
            .unwrap();
        store.close().await;
        let error = Store::open(&path, 1).await.unwrap_err();
        assert!(matches!(error, OpenError::Newer { version: 99 }), "{error}");
    }

    #[tokio::test]
    async fn commits_survive_in_wal_mode_with_full_synchronisation() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("registry.db"), 1)
            .await
            .unwrap();
        for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2")] {
            let statement = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            let value: String = sqlx::query_scalar(&statement)
                .fetch_one(&store.writer)
                .await
                .unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
    }

    #[tokio::test]
    async fn a_write_that_is_not_committed_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("registry.db"), 1)
            .await
            .unwrap();
        let mut transaction = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut transaction, ".").await.unwrap(), 1);
        drop(transaction);
        let mut transaction = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut transaction, ".").await.unwrap(), 1);
        assert_eq!(Store::commit(transaction).await.unwrap(), 1);
        let mut snapshot = store.read().await.unwrap();
        assert_eq!(counters::highest_id(&mut snapshot, ".").await.unwrap(), 1);
    }
}
