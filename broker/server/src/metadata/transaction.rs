//! A transaction on the metadata database.
//!
//! A connection returns to its pool only after a successful COMMIT. A failed statement, a failed
//! COMMIT and a dropped future close the connection instead.
//!
//! BEGIN and COMMIT are plain statements, because sqlx counts open transactions itself. After a
//! failed COMMIT, when SQLite has rolled back, its count is wrong: the next transaction on the
//! connection would be a savepoint, which commits nothing. SQLite rejects BEGIN inside a
//! transaction and COMMIT outside one, so a successful COMMIT means that the complete transaction
//! is durable.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, Sqlite, SqliteConnection, SqlitePool};

/// An open transaction. Dropping it discards its changes and closes the connection.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    is_committed: bool,
}

impl Transaction {
    /// Starts a transaction that holds the write lock.
    ///
    /// # Errors
    /// If no connection can be opened, or another process holds the lock.
    pub(super) async fn begin(pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        let mut transaction = Self {
            connection: pool.acquire().await?,
            is_committed: false,
        };
        transaction.execute("BEGIN IMMEDIATE").await?;
        Ok(transaction)
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// If SQLite cannot write or sync its log; the changes are discarded then.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        // Set only after SQLite has confirmed: a dropped future leaves it false.
        self.is_committed = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_committed {
            // Closing rolls back whatever is open on the connection.
            self.connection.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use avouch_contract::Decision;
    use avouch_protocol::types::TimestampMs;
    use futures_util::poll;

    use super::*;
    use crate::metadata::alter::{Alteration, Change, Operation};
    use crate::metadata::store::Store;
    use crate::metadata::{
        CreateRules, Metadata, MetadataError, PRODUCER_ID_BLOCK, Scope, TopicRequest, TopicRow,
    };

    async fn open(path: &Path) -> Metadata {
        let rules = CreateRules {
            default_partition_count: 1,
            partitions_max: 100,
            strict_replication: false,
            node_id: 1,
        };
        Metadata::open(path, rules, BTreeMap::new()).await.unwrap()
    }

    async fn create(metadata: &Metadata, name: &str) -> Result<(), MetadataError> {
        let request = TopicRequest {
            name: name.to_owned(),
            partition_count: 2,
            replication_factor: 1,
            ..TopicRequest::default()
        };
        let created = metadata.create(&request, false, TimestampMs(1), |_| ());
        created.await.map(|_| ())
    }

    fn set(name: &str, value: &str) -> Alteration {
        Alteration::Change(vec![Change {
            name: name.to_owned(),
            operation: Operation::Set,
            value: value.to_owned(),
        }])
    }

    /// Makes SQLite fail every COMMIT of the writer's connection: it rolls back, as it does when it
    /// cannot write its log.
    async fn fail_commits(store: &Store) {
        let mut connection = store.writer.acquire().await.unwrap();
        let mut handle = connection.lock_handle().await.unwrap();
        handle.set_commit_hook(|| false);
    }

    async fn let_commits_succeed(store: &Store) {
        let mut connection = store.writer.acquire().await.unwrap();
        connection.lock_handle().await.unwrap().remove_commit_hook();
    }

    fn rows(metadata: &Metadata) -> Vec<TopicRow> {
        let cluster = metadata.cluster();
        let mut rows: Vec<_> = cluster.topics().map(|topic| topic.row.clone()).collect();
        rows.sort_by(|left, right| left.name.cmp(&right.name));
        rows
    }

    // Conformance: broker/admin-21
    #[tokio::test]
    async fn acknowledged_metadata_survives_failed_commits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.sqlite");
        let metadata = open(&path).await;
        create(&metadata, "deleted").await.unwrap();
        let deleted = metadata.cluster().topic("deleted").unwrap().id();
        for _ in 0..2 {
            fail_commits(&metadata.store).await;
            let failed = create(&metadata, "kept").await;
            assert!(matches!(failed, Err(MetadataError::Store(_))), "{failed:?}");
            assert!(metadata.cluster().topic("kept").is_none());
            fail_commits(&metadata.store).await;
            assert!(metadata.next_producer_id().await.is_err());
        }
        let_commits_succeed(&metadata.store).await;

        create(&metadata, "kept").await.unwrap();
        let kept = metadata.cluster().topic("kept").unwrap().id();
        let retention = set("retention.ms", "7");
        let altered = metadata.alter_topic("kept", &retention, false);
        altered.await.unwrap();
        let retention = set("log.retention.ms", "8");
        let altered = metadata.alter_broker(Scope::Cluster, &retention, false);
        altered.await.unwrap();
        let added = metadata.create_partitions("kept", 5, None, false, |_| ());
        added.await.unwrap();
        let decided = metadata.decide(kept, || (Decision::Payload, Decision::Payload));
        decided.await.unwrap();
        metadata.delete(deleted, TimestampMs(2)).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..=PRODUCER_ID_BLOCK {
            ids.push(metadata.next_producer_id().await.unwrap());
        }
        assert!(ids.is_sorted_by(|left, right| left < right));
        metadata.close().await;

        let reopened = open(&path).await;
        assert_eq!(rows(&reopened), rows(&metadata));
        let (stored, acknowledged) = (reopened.cluster(), metadata.cluster());
        assert_eq!(stored.broker_configs(), acknowledged.broker_configs());
        assert_eq!(reopened.tombstones().await.unwrap(), [deleted]);
        let next = reopened.next_producer_id().await.unwrap();
        assert!(Some(&next) > ids.last(), "{next:?} was issued before");
    }

    // Conformance: broker/admin-21
    #[tokio::test]
    async fn failed_transactions_close_their_connection() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("m.sqlite")).await.unwrap();
        let pool = &store.writer;
        let cases = [
            ("committed", true),
            ("failed statement", false),
            ("failed commit", false),
            ("dropped transaction", false),
            ("dropped commit", false),
        ];
        for (case, is_kept) in cases {
            // A temporary table exists as long as its connection.
            let mark = "CREATE TEMP TABLE IF NOT EXISTS mark (x INTEGER)";
            sqlx::query(mark).execute(pool).await.unwrap();
            let mut transaction = Transaction::begin(pool).await.unwrap();
            let insert = "INSERT INTO cluster (name, value) VALUES (?, '')";
            let inserted = sqlx::query(insert).bind(case).execute(&mut *transaction);
            inserted.await.unwrap();
            match case {
                "committed" => transaction.commit().await.unwrap(),
                "failed statement" => {
                    let failed = transaction.execute("DELETE FROM no_such_table").await;
                    assert!(failed.is_err());
                    drop(transaction);
                }
                "failed commit" => {
                    let mut handle = transaction.lock_handle().await.unwrap();
                    handle.set_commit_hook(|| false);
                    drop(handle);
                    assert!(transaction.commit().await.is_err());
                }
                "dropped commit" => {
                    let (release, released) = std::sync::mpsc::channel::<()>();
                    let mut handle = transaction.lock_handle().await.unwrap();
                    // Runs on SQLite's thread: COMMIT continues once the sender is dropped.
                    handle.set_commit_hook(move || released.recv().is_err());
                    drop(handle);
                    let mut committing = Box::pin(transaction.commit());
                    assert!(poll!(committing.as_mut()).is_pending());
                    drop(committing);
                    drop(release);
                }
                _ => drop(transaction),
            }
            let marked = sqlx::query("SELECT * FROM mark").execute(pool).await;
            assert_eq!(marked.is_ok(), is_kept, "{case}: {marked:?}");
        }
    }

    /// SQLite deletes its log when the last connection closes.
    // Conformance: broker/admin-21
    #[tokio::test]
    async fn database_stays_open_after_failed_transactions() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("m.sqlite")).await.unwrap();
        drop(Transaction::begin(&store.writer).await.unwrap());
        while store.writer.size() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(dir.path().join("m.sqlite-wal").exists());
    }
}
