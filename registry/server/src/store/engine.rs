//! The two engines: how each is opened, and how a transaction of each begins. SQLite is a file of
//! ours, PostgreSQL is shared with other registry nodes. Knows no table but that of migrations.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationSource, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Acquire, ConnectOptions as _, Connection as _};

use crate::OpenError;
use crate::database::{Database, PostgresUrl};
use crate::store::connection::{Connection, Wait};
use crate::store::transaction::Transaction;

/// How long a statement waits for another process's lock before it fails.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection to PostgreSQL.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What PostgreSQL enforces on each connection, in milliseconds, so that a node that stalls in a
/// transaction holds up the others for no longer than that.
const POSTGRES_TIMEOUTS: [(&str, &str); 3] = [
    ("lock_timeout", "5000"),
    ("statement_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "10000"),
];

/// Connections to a database: one that writes, so that decisions never race, and some that read.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        /// How the one that writes waits.
        wait: Wait,
        /// Keeps the database open. When the last connection closes and the next one opens, SQLite
        /// replays its log and may find there a commit that was reported as failed. While a
        /// connection is open, such a commit stays invisible and the next one overwrites it.
        anchor: SqlitePool,
    },
    Postgres {
        writer: PgPool,
        readers: PgPool,
        /// Whether PostgreSQL answered when it was last asked.
        is_reachable: AtomicBool,
    },
}

impl Engine {
    /// Opens the database and brings it to this version's tables.
    pub(crate) async fn open(database: &Database, readers: u32) -> Result<Self, OpenError> {
        match database {
            Database::Sqlite(path) => open_sqlite(path, readers.max(1)).await,
            Database::Postgres(url) => open_postgres(url, readers.max(1)).await,
        }
    }

    /// A snapshot: everything committed before this call, and nothing after.
    pub(crate) async fn begin_read(&self) -> Result<Connection, sqlx::Error> {
        self.require_reachable()?;
        self.begin_probe().await
    }

    /// A snapshot even when the database did not answer before.
    pub(crate) async fn begin_probe(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => {
                let begun = Transaction::begin(readers, None).await;
                begun.map(|transaction| Connection::Sqlite(transaction, Wait::Asleep))
            }
            Self::Postgres { readers, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let begun = Transaction::begin(readers, Some(begin)).await;
                begun.map(Connection::Postgres)
            }
        }
    }

    /// A transaction that may write. In SQLite it holds the write lock; in PostgreSQL each of its
    /// statements sees what is committed then, and the change counter's row is the write lock.
    pub(super) async fn begin_write(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite { writer, wait, .. } => {
                let begun = Transaction::begin(writer, Some("BEGIN IMMEDIATE")).await;
                begun.map(|transaction| Connection::Sqlite(transaction, *wait))
            }
            Self::Postgres { writer, .. } => {
                self.require_reachable()?;
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
                let begun = Transaction::begin(writer, Some(begin)).await;
                begun.map(Connection::Postgres)
            }
        }
    }

    /// Whether the database answered when it was last asked; a file of ours always does.
    pub(crate) fn is_reachable(&self) -> bool {
        match self {
            Self::Sqlite { .. } => true,
            Self::Postgres { is_reachable, .. } => is_reachable.load(Ordering::Relaxed),
        }
    }

    /// Remembers whether the database answered.
    pub(crate) fn set_reachable(&self, reachable: bool) {
        match self {
            Self::Sqlite { .. } => {}
            Self::Postgres { is_reachable, .. } => {
                is_reachable.store(reachable, Ordering::Relaxed);
            }
        }
    }

    /// While PostgreSQL is known to be away, requests need not wait to find out.
    fn require_reachable(&self) -> Result<(), sqlx::Error> {
        if self.is_reachable() {
            return Ok(());
        }
        let reason = "PostgreSQL does not answer".to_owned();
        Err(sqlx::Error::Protocol(reason))
    }

    /// Waits for running statements and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite {
                writer,
                readers,
                anchor,
                ..
            } => {
                readers.close().await;
                anchor.close().await;
                // Last, since it moves SQLite's log into the file, which the others cannot.
                writer.close().await;
            }
            Self::Postgres {
                writer, readers, ..
            } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

async fn open_sqlite(path: &Path, readers: u32) -> Result<Engine, OpenError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_TIMEOUT);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        // A file of ours does not go away as a server does.
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    migrate(&writer, Embedded::ForSqlite).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(readers)
        .test_before_acquire(false)
        .connect_with(options.clone().read_only(true))
        .await?;
    let anchor = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.read_only(true))
        .await?;
    // SQLite opens its log with the first statement that reads.
    sqlx::query("SELECT COUNT(*) FROM modes")
        .execute(&anchor)
        .await?;
    Ok(Engine::Sqlite {
        writer,
        readers,
        anchor,
        wait: Wait::of_the_writer(),
    })
}

async fn open_postgres(url: &PostgresUrl, readers: u32) -> Result<Engine, OpenError> {
    let options = url.options().options(POSTGRES_TIMEOUTS);
    // A pool would go on trying; the first connection says at once what is wrong.
    let mut first = connect(&options, url).await?;
    migrate(&mut first, Embedded::ForPostgres).await?;
    first.close().await?;
    let pool = |connections| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.clone())
    };
    Ok(Engine::Postgres {
        writer: pool(1),
        // One more, which listens for changes.
        readers: pool(readers + 1),
        is_reachable: AtomicBool::new(true),
    })
}

async fn connect(options: &PgConnectOptions, url: &PostgresUrl) -> Result<PgConnection, OpenError> {
    let refuse = |reason: String| OpenError::Unreachable {
        url: url.clone(),
        reason,
    };
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
    let connected = connecting
        .await
        .map_err(|_elapsed| refuse(format!("no answer within {CONNECT_TIMEOUT:?}")))?;
    connected.map_err(|error| match error {
        sqlx::Error::Database(error) => OpenError::Refused {
            url: url.clone(),
            reason: error.message().to_owned(),
        },
        error => refuse(error.to_string()),
    })
}

async fn migrate<'a, A>(database: A, migrations: Embedded) -> Result<(), OpenError>
where
    A: Acquire<'a>,
    <A::Connection as std::ops::Deref>::Target: Migrate,
{
    let migrated = Migrator::new(migrations).await?.run(database).await;
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(version) => OpenError::Newer { version },
        error => error.into(),
    })
}

/// The migrations that this binary carries, in one text for both engines. The only difference:
/// PostgreSQL is told to compare and sort text byte by byte, as SQLite always does.
#[derive(Clone, Copy, Debug)]
enum Embedded {
    ForSqlite,
    ForPostgres,
}

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (
        1,
        "registry",
        include_str!("../../migrations/0001_registry.sql"),
    ),
    (
        2,
        "contexts",
        include_str!("../../migrations/0002_contexts.sql"),
    ),
    (
        3,
        "changes",
        include_str!("../../migrations/0003_changes.sql"),
    ),
    (
        4,
        "lookups",
        include_str!("../../migrations/0004_lookups.sql"),
    ),
];

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migration = |(version, name, text): (i64, &'static str, &'static str)| {
            let text = match self {
                Self::ForSqlite => text.into(),
                Self::ForPostgres => text.replace(" TEXT", " TEXT COLLATE \"C\"").into(),
            };
            Migration::new(version, name.into(), MigrationType::Simple, text, false)
        };
        let migrations = MIGRATIONS.into_iter().map(migration).collect();
        Box::pin(async move { Ok(migrations) })
    }
}
