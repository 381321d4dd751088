//! SQL statements of the metadata: topics with their configs, tombstones, facts of the cluster.
//!
//! Each change is one transaction and durable when its function returns.

use std::collections::BTreeMap;
use std::path::Path;

use avouch_protocol::types::{TimestampMs, TopicId};
use futures_util::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row, SqliteConnection, SqlitePool};
use thiserror::Error;
use uuid::Uuid;

use super::topic_config::ConfigError;
use super::transaction::Transaction;

/// Metadata that could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database failed.
    #[error("metadata store: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be migrated, for example because a newer version wrote them.
    #[error("metadata store: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The static broker configs are invalid together with the stored ones.
    #[error(transparent)]
    Contradiction(#[from] ConfigError),
    /// A row contains an invalid value.
    #[error("metadata store: {what} is not valid: {value}")]
    BadRow {
        /// The column.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

/// Version, name and SQL of each migration, in ascending order.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (
        1,
        "metadata",
        include_str!("../../migrations/0001_metadata.sql"),
    ),
    (
        2,
        "broker configs",
        include_str!("../../migrations/0002_broker_configs.sql"),
    ),
];

/// The migrations, which the binary contains.
// Not `sqlx::migrate!`: the macro compiles sqlx and SQLite a second time, for the build host.
#[derive(Clone, Copy, Debug)]
struct EmbeddedMigrations;

impl MigrationSource<'static> for EmbeddedMigrations {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migrations = MIGRATIONS
            .map(|(version, name, sql)| {
                let kind = MigrationType::Simple;
                Migration::new(version, name.into(), kind, sql.into(), false)
            })
            .to_vec();
        Box::pin(async move { Ok(migrations) })
    }
}

/// A stored topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicRow {
    /// The id, which is never reused.
    pub(crate) id: TopicId,
    /// The name, unique among topics that are not deleted.
    pub(crate) name: String,
    /// The number of partitions, at least 1.
    pub(crate) partition_count: i32,
    /// The configs set on the topic, without defaults.
    pub(crate) configs: BTreeMap<String, String>,
    /// The decision of `auto` for keys; empty if undecided.
    pub(crate) key_decision: String,
    /// The decision of `auto` for values; empty if undecided.
    pub(crate) value_decision: String,
}

/// The open database.
#[derive(Clone, Debug)]
pub(super) struct Store {
    // Its connection stays open as long as the store. When the last connection closes and the next
    // one opens, SQLite replays its log, which may contain a commit that was reported as failed.
    // While a connection is open, such a commit is invisible and the next one overwrites it.
    /// Connection for reads.
    reader: SqlitePool,
    /// Connection for all changes: SQLite has one writer at a time.
    pub(super) writer: SqlitePool,
}

impl Store {
    /// Opens or creates the database at `path`.
    ///
    /// # Errors
    /// If the file cannot be opened or a newer version wrote it.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Readers do not block the writer in WAL mode; FULL syncs each commit.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let one = || SqlitePoolOptions::new().max_connections(1);
        let writer = one().connect_with(options.clone()).await?;
        Migrator::new(EmbeddedMigrations)
            .await?
            .run(&writer)
            .await?;
        let reader = one()
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.read_only(true))
            .await?;
        // SQLite opens its log with the first statement that reads.
        sqlx::query("SELECT COUNT(*) FROM topics")
            .execute(&reader)
            .await?;
        Ok(Self { reader, writer })
    }

    /// Returns the value of a fact of the cluster; sets it to `default` if it has none.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn fact_or_insert(
        &self,
        name: &str,
        default: &str,
    ) -> Result<String, StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        let value = fact_or_insert(&mut transaction, name, default).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Allocates `count` ids from the fact `name`, the next free id, which starts at 1. Returns the
    /// first of them.
    ///
    /// # Errors
    /// If the database fails or the fact is not a number; then no id is allocated.
    pub(super) async fn take_ids(&self, name: &'static str, count: i64) -> Result<i64, StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        let first = fact_or_insert(&mut transaction, name, "1").await?;
        let first: i64 = first.parse().map_err(|_| StoreError::BadRow {
            what: name,
            value: first.clone(),
        })?;
        sqlx::query("UPDATE cluster SET value = ? WHERE name = ?")
            .bind(first.saturating_add(count).to_string())
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(first)
    }

    /// Returns all topics that are not deleted.
    ///
    /// # Errors
    /// If the database fails or a row is invalid.
    pub(super) async fn topics(&self) -> Result<Vec<TopicRow>, StoreError> {
        // Two queries instead of a join, which would repeat each topic for each of its configs.
        let mut configs: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for row in sqlx::query("SELECT topic_id, name, value FROM topic_configs")
            .fetch_all(&self.reader)
            .await?
        {
            configs
                .entry(row.try_get(0)?)
                .or_default()
                .insert(row.try_get(1)?, row.try_get(2)?);
        }
        let select = "SELECT id, name, partition_count, key_decision, value_decision FROM topics";
        let mut topics = Vec::new();
        for row in sqlx::query(select).fetch_all(&self.reader).await? {
            let id: String = row.try_get(0)?;
            let partition_count: i64 = row.try_get(2)?;
            topics.push(TopicRow {
                id: parse_id(&id)?,
                name: row.try_get(1)?,
                partition_count: i32::try_from(partition_count).map_err(|_| {
                    StoreError::BadRow {
                        what: "partition_count",
                        value: partition_count.to_string(),
                    }
                })?,
                configs: configs.remove(&id).unwrap_or_default(),
                key_decision: row.try_get(3)?,
                value_decision: row.try_get(4)?,
            });
        }
        Ok(topics)
    }

    /// Returns the ids of deleted topics.
    ///
    /// # Errors
    /// If the database fails or a row is invalid.
    pub(super) async fn tombstones(&self) -> Result<Vec<TopicId>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM topic_tombstones")
            .fetch_all(&self.reader)
            .await?;
        ids.iter().map(|id| parse_id(id)).collect()
    }

    /// Writes a new topic.
    ///
    /// # Errors
    /// If the database fails or a topic has the name already.
    pub(super) async fn insert(
        &self,
        topic: &TopicRow,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        let id = topic.id.to_string();
        let mut transaction = Transaction::begin(&self.writer).await?;
        let insert = "INSERT INTO topics (id, name, partition_count, created_ms, key_decision, \
                      value_decision) VALUES (?, ?, ?, ?, ?, ?)";
        sqlx::query(insert)
            .bind(&id)
            .bind(&topic.name)
            .bind(i64::from(topic.partition_count))
            .bind(now.0)
            .bind(&topic.key_decision)
            .bind(&topic.value_decision)
            .execute(&mut *transaction)
            .await?;
        for (name, value) in &topic.configs {
            sqlx::query("INSERT INTO topic_configs (topic_id, name, value) VALUES (?, ?, ?)")
                .bind(&id)
                .bind(name)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Replaces all configs of a topic.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn set_topic_configs(
        &self,
        id: TopicId,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        sqlx::query("DELETE FROM topic_configs WHERE topic_id = ?")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        for (name, value) in configs {
            sqlx::query("INSERT INTO topic_configs (topic_id, name, value) VALUES (?, ?, ?)")
                .bind(id.to_string())
                .bind(name)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the dynamic broker configs of `scope`.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn broker_configs(
        &self,
        scope: &str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = sqlx::query("SELECT name, value FROM broker_configs WHERE scope = ?")
            .bind(scope)
            .fetch_all(&self.reader)
            .await?;
        let pairs = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        pairs.collect()
    }

    /// Replaces all broker configs of `scope`.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn set_broker_configs(
        &self,
        scope: &str,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        sqlx::query("DELETE FROM broker_configs WHERE scope = ?")
            .bind(scope)
            .execute(&mut *transaction)
            .await?;
        for (name, value) in configs {
            sqlx::query("INSERT INTO broker_configs (scope, name, value) VALUES (?, ?, ?)")
                .bind(scope)
                .bind(name)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Changes the number of a topic's partitions.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn set_partition_count(
        &self,
        id: TopicId,
        count: i32,
    ) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        sqlx::query("UPDATE topics SET partition_count = ? WHERE id = ?")
            .bind(i64::from(count))
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Stores decisions of `auto`. Earlier decisions stay.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn decide(
        &self,
        id: TopicId,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        // The database keeps an earlier decision even if the caller's snapshot is outdated.
        let update = "UPDATE topics SET \
                      key_decision = CASE key_decision WHEN '' THEN ? ELSE key_decision END, \
                      value_decision = CASE value_decision WHEN '' THEN ? ELSE value_decision END \
                      WHERE id = ?";
        let mut transaction = Transaction::begin(&self.writer).await?;
        sqlx::query(update)
            .bind(key)
            .bind(value)
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes a topic and inserts its tombstone.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn delete(
        &self,
        topic: &TopicRow,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        let id = topic.id.to_string();
        let mut transaction = Transaction::begin(&self.writer).await?;
        sqlx::query("INSERT INTO topic_tombstones (id, name, deleted_ms) VALUES (?, ?, ?)")
            .bind(&id)
            .bind(&topic.name)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        for delete in [
            // The configs reference the topic, so they are deleted first.
            "DELETE FROM topic_configs WHERE topic_id = ?",
            "DELETE FROM topics WHERE id = ?",
        ] {
            sqlx::query(delete)
                .bind(&id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a copy of the database to the file `to`, which must not exist, without a sync. The
    /// copy does not allocate the next `count` ids of the fact `name`.
    ///
    /// # Errors
    /// If the database cannot be read or the file cannot be written.
    pub(super) async fn copy(
        &self,
        to: &Path,
        (name, count): (&'static str, i64),
    ) -> Result<(), StoreError> {
        let path = to.to_str().ok_or_else(|| StoreError::BadRow {
            what: "path",
            value: to.display().to_string(),
        })?;
        // On a connection of its own, because it lasts as long as reading the whole database.
        let mut source = self.reader.connect_options().connect().await?;
        sqlx::query("VACUUM INTO ?")
            .bind(path)
            .execute(&mut source)
            .await?;
        source.close().await?;
        let mut copy = SqliteConnectOptions::new().filename(to).connect().await?;
        let skip = "INSERT INTO cluster (name, value) VALUES (?, ?) \
                    ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + ?";
        sqlx::query(skip)
            .bind(name)
            .bind(count.to_string())
            .bind(count)
            .execute(&mut copy)
            .await?;
        // Closing moves everything into the one file.
        copy.close().await?;
        Ok(())
    }

    /// Closes the database.
    pub(super) async fn close(&self) {
        // The writer is closed last: the last connection moves SQLite's log into the database file,
        // which a read-only connection cannot.
        self.reader.close().await;
        self.writer.close().await;
    }
}

async fn fact_or_insert(
    connection: &mut SqliteConnection,
    name: &str,
    default: &str,
) -> Result<String, sqlx::Error> {
    // One statement, because another process may open the database at the same time.
    let insert = "INSERT INTO cluster (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
    sqlx::query(insert)
        .bind(name)
        .bind(default)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT value FROM cluster WHERE name = ?")
        .bind(name)
        .fetch_one(connection)
        .await
}

fn parse_id(text: &str) -> Result<TopicId, StoreError> {
    Uuid::parse_str(text)
        .map(TopicId)
        .map_err(|_| StoreError::BadRow {
            what: "topic id",
            value: text.to_owned(),
        })
}
