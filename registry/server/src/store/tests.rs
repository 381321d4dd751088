//! Tests of the store: statements on both engines, durable commits, rollback of failed writes.

#[path = "../../tests/support/postgres.rs"]
mod test_postgres;

use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;

use futures_util::poll;
use sqlx::{Executor as _, Row as _};

use super::*;
use crate::store::statements::{ALL, NOTIFY, RAISE_COUNTER, READ_COUNTER};
use crate::store::tests::test_postgres::TestPostgres;

async fn open(directory: &Path) -> Store {
    let database = Database::Sqlite(directory.join("registry.db"));
    Store::open(&database, 1).await.unwrap()
}

fn sqlite_writer(store: &Store) -> &sqlx::SqlitePool {
    match &store.engine {
        Engine::Sqlite { writer, .. } => writer,
        Engine::Postgres { .. } => unreachable!("these tests open files"),
    }
}

// Conformance: registry/stores-9
#[tokio::test]
async fn newer_sqlite_database_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let newer_migration = "INSERT INTO _sqlx_migrations \
         (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, x'00', 1)";
    sqlx::query(newer_migration)
        .execute(sqlite_writer(&store))
        .await
        .unwrap();
    store.close().await;
    let database = Database::Sqlite(directory.path().join("registry.db"));
    let error = Store::open(&database, 1).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 99 }), "{error}");
}

// Conformance: registry/stores-1
#[tokio::test]
async fn sqlite_prepares_all_statements() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (name, statement) in ALL {
        let prepared = sqlite_writer(&store).prepare(statement.text()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
    }
}

/// Statements that scan a table or a context on purpose.
const SCANS: [&str; 11] = [
    "CONTEXTS",
    "ALL_CONTEXTS",
    "LIST_ENTRIES",
    "LIVE_SUBJECTS",
    "ALL_SUBJECTS",
    "DELETED_SUBJECTS",
    "MODES",
    "CONFIGS",
    "ALIASED_CONFIGS",
    "REMOVE_CONFIGS",
    "REMOVE_MODES",
];

// Conformance: registry/stores-1
#[tokio::test]
async fn sqlite_uses_index_for_other_statements() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (name, statement) in ALL {
        let plan = format!("EXPLAIN QUERY PLAN {}", statement.text());
        let steps = sqlx::query(&plan).fetch_all(sqlite_writer(&store)).await;
        let steps = steps.unwrap();
        let scans = steps.iter().any(|step| {
            let step: String = step.get("detail");
            // Rows that the statement itself gathered are no table.
            let is_recursive = step == "SCAN changed";
            (step.starts_with("SCAN") && !is_recursive) || step.ends_with("(context=?)")
        });
        assert_eq!(scans, SCANS.contains(name), "{name}");
    }
}

// Conformance: registry/stores-1
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn postgres_prepares_all_statements() {
    let postgres = TestPostgres::start();
    let database = Database::Postgres(postgres.url().parse().unwrap());
    let store = Store::open(&database, 1).await.unwrap();
    let Engine::Postgres { writer, .. } = &store.engine else {
        unreachable!("this test opens PostgreSQL");
    };
    for (name, statement) in ALL.iter().chain([&("NOTIFY", NOTIFY)]) {
        let prepared = writer.prepare(statement.text()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
    }
}

/// A database of a newer version is not changed.
// Conformance: registry/stores-9
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn newer_postgres_database_is_rejected() {
    let postgres = TestPostgres::start();
    let database = Database::Postgres(postgres.url().parse().unwrap());
    let store = Store::open(&database, 1).await.unwrap();
    let Engine::Postgres { writer, .. } = &store.engine else {
        unreachable!("this test opens PostgreSQL");
    };
    let newer_migration = "INSERT INTO _sqlx_migrations \
         (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, '\\x00', 1)";
    sqlx::query(newer_migration).execute(writer).await.unwrap();
    let error = Store::open(&database, 1).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 99 }), "{error}");
}

// Conformance: registry/stores-2
#[tokio::test]
async fn sqlite_uses_wal_and_full_sync() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2")] {
        let statement = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        let value: String = sqlx::query_scalar(&statement)
            .fetch_one(sqlite_writer(&store))
            .await
            .unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}

// Conformance: registry/stores-3
#[tokio::test]
async fn dropped_write_has_no_effect() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut write = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut write, ".").await.unwrap().get(), 1);
    drop(write);
    let mut write = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut write, ".").await.unwrap().get(), 1);
    assert_eq!(write.commit().await.unwrap(), 1);
    let mut snapshot = store.read().await.unwrap();
    assert_eq!(
        counters::highest_id(&mut snapshot, ".")
            .await
            .unwrap()
            .get(),
        1
    );
}

/// The second and third write wait for the lock while the first holds it.
// Conformance: registry/stores-3
#[tokio::test]
async fn waiting_writes_share_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut first = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut first, ".").await.unwrap().get(), 1);
    let failing = async {
        let mut write = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut write, ".").await.unwrap().get(), 2);
        drop(write);
    };
    let third = async {
        let mut write = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut write, ".").await.unwrap().get(), 2);
        write.commit().await.unwrap()
    };
    // `join!` polls in order: both are queued before the first commits.
    let commit = async { first.commit().await.unwrap() };
    let ((), third, first) = tokio::join!(biased; failing, third, commit);
    assert_eq!((first, third), (1, 1), "one commit, one change sequence");
    let mut snapshot = store.read().await.unwrap();
    assert_eq!(
        counters::highest_id(&mut snapshot, ".")
            .await
            .unwrap()
            .get(),
        2
    );
}

// Conformance: registry/stores-3
#[tokio::test]
async fn failed_commit_fails_all_its_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let write = store.write().await.unwrap();
    let next = async {
        let mut write = store.write().await.unwrap();
        // Rolls back the shared transaction without the store's knowledge.
        let broken = sqlx::query("ROLLBACK");
        match &mut *write {
            Connection::Sqlite(transaction, ..) => {
                broken
                    .execute(transaction.statement().unwrap())
                    .await
                    .unwrap();
                transaction.succeeded();
            }
            Connection::Postgres(_) => unreachable!("these tests open files"),
        }
        write.commit().await
    };
    let (next, first) = tokio::join!(biased; next, write.commit());
    assert!(first.is_err() && next.is_err(), "{first:?} {next:?}");
    let mut snapshot = store.read().await.unwrap();
    let row = snapshot.row(READ_COUNTER, &["changes".into()]).await;
    assert!(row.unwrap().is_none());
    assert_eq!(store.write().await.unwrap().commit().await.unwrap(), 1);
}

/// Makes SQLite fail every COMMIT of the writer's connection: it rolls back, as it does when it
/// cannot write its log.
async fn fail_commits(store: &Store) {
    let mut connection = sqlite_writer(store).acquire().await.unwrap();
    let mut handle = connection.lock_handle().await.unwrap();
    handle.set_commit_hook(|| false);
}

async fn highest_id(store: &Store) -> i32 {
    let mut snapshot = store.read().await.unwrap();
    counters::highest_id(&mut snapshot, ".")
        .await
        .unwrap()
        .get()
}

// Conformance: registry/stores-13
#[tokio::test]
async fn acknowledged_writes_survive_failed_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for _ in 0..2 {
        fail_commits(&store).await;
        let mut write = store.write().await.unwrap();
        counters::next_id(&mut write, ".").await.unwrap();
        assert!(write.commit().await.is_err());
    }
    let mut connection = sqlite_writer(&store).acquire().await.unwrap();
    connection.lock_handle().await.unwrap().remove_commit_hook();
    drop(connection);
    for id in 1..=3 {
        let mut write = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut write, ".").await.unwrap().get(), id);
        write.commit().await.unwrap();
    }
    store.close().await;
    assert_eq!(highest_id(&open(directory.path()).await).await, 3);
}

/// SQLite deletes its log when the last connection closes.
// Conformance: registry/stores-13
#[tokio::test]
async fn database_stays_open_without_other_connections() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let Engine::Sqlite { readers, .. } = &store.engine else {
        unreachable!("these tests open files");
    };
    readers.close().await;
    fail_commits(&store).await;
    assert!(store.write().await.unwrap().commit().await.is_err());
    while sqlite_writer(&store).size() > 0 {
        tokio::task::yield_now().await;
    }
    let log = directory.path().join("registry.db-wal");
    assert!(log.exists());
    store.close().await;
}

/// SQLite rolls a transaction back when a read fails with an I/O error.
// Conformance: registry/stores-13
#[tokio::test]
async fn snapshots_are_current_after_a_failed_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut snapshot = store.read().await.unwrap();
    match &mut *snapshot {
        Connection::Sqlite(transaction, ..) => {
            let rollback = sqlx::query("ROLLBACK");
            let connection = transaction.statement().unwrap();
            rollback.execute(connection).await.unwrap();
            transaction.succeeded();
        }
        Connection::Postgres(_) => unreachable!("these tests open files"),
    }
    drop(snapshot);
    for id in 1..=3 {
        let mut write = store.write().await.unwrap();
        counters::next_id(&mut write, ".").await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(highest_id(&store).await, id);
    }
}

// Conformance: registry/stores-13
#[tokio::test]
async fn writes_with_a_failed_statement_cannot_commit() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut write = store.write().await.unwrap();
    counters::next_id(&mut write, ".").await.unwrap();
    // Without its values, which may not be null.
    assert!(write.execute(RAISE_COUNTER, &[]).await.is_err());
    assert!(write.row(READ_COUNTER, &["changes".into()]).await.is_err());
    assert!(write.commit().await.is_err());
    assert_eq!(highest_id(&store).await, 0);
    store.write().await.unwrap().commit().await.unwrap();
}

/// The commit fails, and is dropped before it can report that; the next one succeeds.
// Conformance: registry/stores-13
#[tokio::test]
async fn dropped_commits_are_not_confirmed_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let mut connection = sqlite_writer(&store).acquire().await.unwrap();
    let mut handle = connection.lock_handle().await.unwrap();
    // Runs on SQLite's thread: COMMIT fails once the sender is dropped.
    handle.set_commit_hook(move || released.recv().is_ok());
    drop(handle);
    drop(connection);
    let mut first = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut first, ".").await.unwrap().get(), 1);
    // The queue for the lock: second, commit of the first, third, commit of the second.
    let mut second = Box::pin(store.write());
    assert!(poll!(second.as_mut()).is_pending());
    let mut first = Box::pin(first.commit());
    assert!(poll!(first.as_mut()).is_pending());
    let mut second = second.await.unwrap();
    assert_eq!(counters::next_id(&mut second, ".").await.unwrap().get(), 2);
    let mut third = Box::pin(store.write());
    assert!(poll!(third.as_mut()).is_pending());
    let mut second = Box::pin(second.commit());
    assert!(poll!(second.as_mut()).is_pending());
    assert!(poll!(first.as_mut()).is_pending(), "COMMIT runs");
    drop(first);
    drop(release);
    let mut third = third.await.unwrap();
    assert_eq!(counters::next_id(&mut third, ".").await.unwrap().get(), 1);
    let (second, third) = tokio::join!(second, third.commit());
    assert!(second.is_err() && third.is_ok(), "{second:?} {third:?}");
    assert_eq!(highest_id(&store).await, 1);
}

/// sqlx does not roll back on PostgreSQL when the future of a BEGIN is dropped.
// Conformance: registry/stores-13
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn dropped_begin_leaves_no_postgres_transaction() {
    let postgres = TestPostgres::start();
    let database = Database::Postgres(postgres.url().parse().unwrap());
    let store = Store::open(&database, 1).await.unwrap();
    let Engine::Postgres { writer, .. } = &store.engine else {
        unreachable!("this test opens PostgreSQL");
    };
    // Dropped at each point where it waits, the last of which is for the response to BEGIN.
    for waits in 1.. {
        let mut begin = Box::pin(store.engine.begin_write());
        let mut left = waits;
        let has_started = poll_fn(|context| match begin.as_mut().poll(context) {
            Poll::Ready(started) => Poll::Ready(started.is_ok()),
            Poll::Pending => {
                left -= 1;
                if left == 0 {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            }
        })
        .await;
        drop(begin);
        let outside = sqlx::query("SAVEPOINT probe").execute(writer).await;
        let error = outside.expect_err("SAVEPOINT fails outside a transaction");
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("25P01"), "{error}");
        if has_started {
            break;
        }
    }
}

/// Returns the next ID of the default context.
async fn assigned(store: &Store) -> i32 {
    let mut write = store.write().await.unwrap();
    let id = counters::next_id(&mut write, ".").await.unwrap();
    write.commit().await.unwrap();
    id.get()
}

// Conformance: registry/stores-15
#[tokio::test]
async fn lost_database_is_no_first_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sqlite");
    let database = Database::Sqlite(path.clone());
    assert!(!accept_loss(&path).unwrap(), "nothing is lost");
    let store = Store::open(&database, 1).await.unwrap();
    assert_eq!(assigned(&store).await, 1);
    store.close().await;
    let store = Store::open(&database, 1).await.unwrap();
    assert_eq!(assigned(&store).await, 2, "a restart skips no ID");
    store.close().await;
    assert!(!accept_loss(&path).unwrap(), "it exists");

    std::fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        let error = Store::open(&database, 1).await.unwrap_err().to_string();
        assert!(error.contains("registry.sqlite is missing"), "{error}");
        assert!(error.contains("IDs up to 1001"), "{error}");
        assert!(error.contains("avouch schema accept-loss"), "{error}");
        assert!(!error.contains('\n') && !path.exists(), "{error}");
    }
    assert!(accept_loss(&path).unwrap());
    let store = Store::open(&database, 1).await.unwrap();
    assert_eq!(assigned(&store).await, 1_002, "no ID is assigned again");
    store.close().await;

    // Only the loss that was accepted.
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        Store::open(&database, 1).await,
        Err(OpenError::Missing { .. })
    ));
    let ids = path.with_extension("ids");
    std::fs::write(&ids, "unreadable").unwrap();
    assert!(matches!(
        Store::open(&database, 1).await,
        Err(OpenError::Missing { .. })
    ));
}

// Conformance: operation/backup-3
#[tokio::test]
async fn copy_skips_ids_assigned_later() {
    let directory = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        let database = Database::Sqlite(directory.path().join(name));
        Store::open(&database, 1).await.unwrap()
    };
    let store = open("registry.sqlite").await;
    assert_eq!(assigned(&store).await, 1);
    assert!(store.copy(&directory.path().join("copy")).await.unwrap());
    let later = [assigned(&store).await, assigned(&store).await];
    let next = assigned(&open("copy").await).await;
    assert!(later.iter().all(|id| *id < next), "{later:?} {next}");
}
