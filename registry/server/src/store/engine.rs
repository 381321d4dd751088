//! The two engines: connection pools, migrations and the start of transactions. An SQLite file
//! belongs to one process; several registry nodes share a PostgreSQL database.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use avouch_registry_api::types::SchemaId;
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
use crate::decide::subject::DEFAULT_CONTEXT;
use crate::store::connection::{Connection, Wait};
use crate::store::counters;
use crate::store::ids_file::{IdBounds, IdsFile};
use crate::store::transaction::Transaction;

/// Time after which a statement that waits for the lock of another process fails.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a request that waits for a connection to PostgreSQL fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeouts that PostgreSQL enforces on each connection, in milliseconds. They bound the time for
/// which a node that stalls in a transaction blocks the others.
const POSTGRES_TIMEOUTS: [(&str, &str); 3] = [
    ("lock_timeout", "5000"),
    ("statement_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "10000"),
];

/// Number of IDs that a copy skips in each context. A registry assigns fewer between its last
/// backup and its loss, so none of them is assigned again.
const IDS_SKIPPED: i64 = 1_000;

/// Connections to a database: one that writes, so that decisions never race, and several that read.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        /// The way in which the writer waits.
        wait: Wait,
        /// Keeps the database open. When the last connection closes and the next one opens, SQLite
        /// replays its log and may find there a commit that was reported as failed. While a
        /// connection is open, such a commit stays invisible and the next one overwrites it.
        anchor: SqlitePool,
    },
    Postgres {
        writer: PgPool,
        readers: PgPool,
        /// True if PostgreSQL responded to the last request.
        is_reachable: AtomicBool,
    },
}

impl Engine {
    /// Opens the database and migrates its tables. An SQLite database has a file with the bounds of
    /// its IDs.
    pub(crate) async fn open(
        database: &Database,
        readers: u32,
    ) -> Result<(Self, Option<IdsFile>), OpenError> {
        match database {
            Database::Sqlite(path) => {
                let (engine, ids) = open_sqlite(path, readers.max(1)).await?;
                Ok((engine, Some(ids)))
            }
            Database::Postgres(url) => Ok((open_postgres(url, readers.max(1)).await?, None)),
        }
    }

    /// Begins a snapshot, which has everything committed before this call and nothing after.
    pub(crate) async fn begin_read(&self) -> Result<Connection, sqlx::Error> {
        self.require_reachable()?;
        self.begin_probe().await
    }

    /// Begins a snapshot even if the database did not respond before.
    pub(crate) async fn begin_probe(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => {
                let started = Transaction::begin(readers, None).await;
                started.map(|transaction| Connection::sqlite(transaction, Wait::Sleep))
            }
            Self::Postgres { readers, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let started = Transaction::begin(readers, Some(begin)).await;
                started.map(Connection::Postgres)
            }
        }
    }

    /// Begins a transaction that may write. In SQLite it holds the write lock. In PostgreSQL each
    /// statement sees what is committed when it starts, and the row of the change counter is the
    /// lock.
    pub(super) async fn begin_write(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite { writer, wait, .. } => {
                let started = Transaction::begin(writer, Some("BEGIN IMMEDIATE")).await;
                started.map(|transaction| Connection::sqlite(transaction, *wait))
            }
            Self::Postgres { writer, .. } => {
                self.require_reachable()?;
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
                let started = Transaction::begin(writer, Some(begin)).await;
                started.map(Connection::Postgres)
            }
        }
    }

    /// Returns true if the database responded to the last request; SQLite always does.
    pub(crate) fn is_reachable(&self) -> bool {
        match self {
            Self::Sqlite { .. } => true,
            Self::Postgres { is_reachable, .. } => is_reachable.load(Ordering::Relaxed),
        }
    }

    /// Records whether the database responded.
    pub(crate) fn set_reachable(&self, reachable: bool) {
        match self {
            Self::Sqlite { .. } => {}
            Self::Postgres { is_reachable, .. } => {
                is_reachable.store(reachable, Ordering::Relaxed);
            }
        }
    }

    /// Fails at once while PostgreSQL is known to be unreachable, instead of after the timeout.
    fn require_reachable(&self) -> Result<(), sqlx::Error> {
        if self.is_reachable() {
            return Ok(());
        }
        let reason = "PostgreSQL is unreachable".to_owned();
        Err(sqlx::Error::Protocol(reason))
    }

    /// Writes a copy of an SQLite database to the file `to`, which must not exist, without a sync.
    /// The copy does not assign the next [`IDS_SKIPPED`] IDs of each context. Returns false for
    /// PostgreSQL, which has backups of its own.
    pub(super) async fn copy(&self, to: &Path) -> Result<bool, sqlx::Error> {
        let Self::Sqlite { readers, .. } = self else {
            return Ok(false);
        };
        let path = to.to_str().ok_or_else(|| {
            let reason = format!("{} is not UTF-8", to.display());
            sqlx::Error::Configuration(reason.into())
        })?;
        // On a connection of its own, because it lasts as long as reading the whole database.
        let mut source = readers.connect_options().connect().await?;
        sqlx::query("VACUUM INTO ?")
            .bind(path)
            .execute(&mut source)
            .await?;
        source.close().await?;
        let options = SqliteConnectOptions::new().filename(to);
        let copy = SqlitePoolOptions::new().max_connections(1);
        let copy = copy.connect_with(options).await?;
        let transaction = Transaction::begin(&copy, Some("BEGIN IMMEDIATE")).await?;
        let mut connection = Connection::sqlite(transaction, Wait::Sleep);
        for (context, highest) in counters::highest_ids(&mut connection).await? {
            let last = i32::try_from(highest.saturating_add(IDS_SKIPPED)).unwrap_or(i32::MAX);
            if let Some(id) = SchemaId::new(last) {
                counters::raise_ids(&mut connection, &context, id).await?;
            }
        }
        connection.commit().await?;
        copy.close().await;
        Ok(true)
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
                // Last, because only this connection can checkpoint the WAL into the file.
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

async fn open_sqlite(path: &Path, readers: u32) -> Result<(Engine, IdsFile), OpenError> {
    let known = known_ids(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode the default, NORMAL, syncs at checkpoints only and may lose the last commits.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Another process with the file, such as a backup, may hold its lock.
        .busy_timeout(LOCK_TIMEOUT);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        // A file does not disconnect as a server does.
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    migrate(&writer, Embedded::ForSqlite).await?;
    let ids = restored_ids(&writer, path, known).await?;
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
    // SQLite opens the WAL with the first statement that reads.
    sqlx::query("SELECT COUNT(*) FROM modes")
        .execute(&anchor)
        .await?;
    let engine = Engine::Sqlite {
        writer,
        readers,
        anchor,
        wait: Wait::of_the_writer(),
    };
    Ok((engine, ids))
}

/// Returns what the file next to the database records of its IDs.
///
/// # Errors
/// [`OpenError::Missing`] if the database existed and its loss was not accepted.
fn known_ids(path: &Path) -> Result<Option<IdBounds>, OpenError> {
    let missing = |highest: Option<i64>| OpenError::Missing {
        path: path.to_owned(),
        highest,
    };
    match (IdBounds::read(path), path.exists()) {
        (Ok(Some(known)), false) if !known.is_loss_accepted() => {
            Err(missing(known.by_context().get(DEFAULT_CONTEXT).copied()))
        }
        (Ok(known), _) => Ok(known),
        // The file is written anew from the database.
        (Err(error), true) => {
            let path = path.display();
            tracing::warn!(%error, %path, "bounds of the schema IDs are unreadable");
            Ok(None)
        }
        (Err(_unreadable), false) => Err(missing(None)),
    }
}

/// Raises the ID counters of a database that replaces a lost one, and writes the file with the
/// bounds of the IDs.
async fn restored_ids(
    writer: &SqlitePool,
    path: &Path,
    known: Option<IdBounds>,
) -> Result<IdsFile, OpenError> {
    let transaction = Transaction::begin(writer, Some("BEGIN IMMEDIATE")).await?;
    let mut connection = Connection::sqlite(transaction, Wait::Sleep);
    if let Some(known) = known.as_ref().filter(|known| known.is_loss_accepted()) {
        for (context, &bound) in known.by_context() {
            let bound = i32::try_from(bound).unwrap_or(i32::MAX);
            if let Some(id) = SchemaId::new(bound) {
                counters::raise_ids(&mut connection, context, id).await?;
            }
        }
    }
    let highest = counters::highest_ids(&mut connection).await?;
    connection.commit().await?;
    let is_new = known.as_ref().is_none_or(IdBounds::is_loss_accepted);
    let mut file = IdsFile::new(path, known);
    // Without this file a later loss is not noticed, which is no reason not to start.
    if let Err(error) = file.cover(&highest, is_new) {
        tracing::warn!(%error, path = %path.display(), "cannot write the bounds of the schema IDs");
    }
    Ok(file)
}

async fn open_postgres(url: &PostgresUrl, readers: u32) -> Result<Engine, OpenError> {
    let options = url.options().options(POSTGRES_TIMEOUTS);
    // A pool would retry; a single connection reports the error at once.
    let mut first = connect(&options, url).await?;
    migrate(&mut first, Embedded::ForPostgres).await?;
    first.close().await?;
    let pool = |connections| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            // Lazily, since the database has just responded.
            .connect_lazy_with(options.clone())
    };
    Ok(Engine::Postgres {
        // One connection, because `Writer` runs one transaction at a time.
        writer: pool(1),
        // One more, which listens for changes.
        readers: pool(readers + 1),
        is_reachable: AtomicBool::new(true),
    })
}

async fn connect(options: &PgConnectOptions, url: &PostgresUrl) -> Result<PgConnection, OpenError> {
    let unreachable = |reason: String| OpenError::Unreachable {
        url: url.clone(),
        reason,
    };
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
    let connected = connecting
        .await
        .map_err(|_elapsed| unreachable(format!("no response within {CONNECT_TIMEOUT:?}")))?;
    connected.map_err(|error| match error {
        sqlx::Error::Database(error) => OpenError::Rejected {
            url: url.clone(),
            reason: error.message().to_owned(),
        },
        error => unreachable(error.to_string()),
    })
}

async fn migrate<'a, A>(database: A, migrations: Embedded) -> Result<(), OpenError>
where
    A: Acquire<'a>,
    <A::Connection as std::ops::Deref>::Target: Migrate,
{
    let migrated = Migrator::new(migrations).await?.run(database).await;
    migrated.map_err(|error| match error {
        // The database has a migration that this binary does not know.
        MigrateError::VersionMissing(version) => OpenError::Newer { version },
        error => error.into(),
    })
}

/// The embedded migrations, with the same text for both engines except for one difference: in
/// PostgreSQL the collation compares text byte by byte, as SQLite does.
#[derive(Clone, Copy, Debug)]
enum Embedded {
    ForSqlite,
    ForPostgres,
}

// The text of a released migration must not change, comments included: sqlx compares its checksum
// with that of the database.
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
                // Names are listed in the order of their bytes on both engines.
                Self::ForPostgres => text.replace(" TEXT", " TEXT COLLATE \"C\"").into(),
            };
            Migration::new(version, name.into(), MigrationType::Simple, text, false)
        };
        let migrations = MIGRATIONS.into_iter().map(migration).collect();
        Box::pin(async move { Ok(migrations) })
    }
}
