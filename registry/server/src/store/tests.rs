//! The store alone: both engines take its statements, commits hold, what fails takes back its own.

#[path = "../../tests/support/postgres.rs"]
mod test_postgres;

use std::path::Path;

use sqlx::{Executor as _, Row as _};

use super::*;
use crate::store::statements::{ALL, NOTIFY, READ_COUNTER};
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

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let from_the_future = "INSERT INTO _sqlx_migrations \
         (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, x'00', 1)";
    sqlx::query(from_the_future)
        .execute(sqlite_writer(&store))
        .await
        .unwrap();
    store.close().await;
    let database = Database::Sqlite(directory.path().join("registry.db"));
    let error = Store::open(&database, 1).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 99 }), "{error}");
}

#[tokio::test]
async fn sqlite_takes_every_statement() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (name, statement) in ALL {
        let prepared = sqlite_writer(&store).prepare(statement.text()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
    }
}

/// What reads all of a table, or of a context, on purpose.
const WHOLE: [&str; 11] = [
    "CONTEXTS",
    "CONTEXTS_OF_ANYTHING",
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

#[tokio::test]
async fn sqlite_finds_what_a_statement_asks_for_without_reading_a_whole_context() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (name, statement) in ALL {
        let plan = format!("EXPLAIN QUERY PLAN {}", statement.text());
        let steps = sqlx::query(&plan).fetch_all(sqlite_writer(&store)).await;
        let steps = steps.unwrap();
        let reads_whole = steps.iter().any(|step| {
            let step: String = step.get("detail");
            step.starts_with("SCAN") || step.ends_with("(context=?)")
        });
        assert_eq!(reads_whole, WHOLE.contains(name), "{name}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn postgres_takes_every_statement() {
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

/// The tables of another version are left alone on either engine.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_postgres_of_a_newer_version_is_left_alone() {
    let postgres = TestPostgres::start();
    let database = Database::Postgres(postgres.url().parse().unwrap());
    let store = Store::open(&database, 1).await.unwrap();
    let Engine::Postgres { writer, .. } = &store.engine else {
        unreachable!("this test opens PostgreSQL");
    };
    let from_the_future = "INSERT INTO _sqlx_migrations \
         (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, '\\x00', 1)";
    sqlx::query(from_the_future).execute(writer).await.unwrap();
    let error = Store::open(&database, 1).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 99 }), "{error}");
}

#[tokio::test]
async fn commits_survive_in_wal_mode_with_full_synchronisation() {
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

#[tokio::test]
async fn a_write_that_is_not_committed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut write = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut write, ".").await.unwrap(), 1);
    drop(write);
    let mut write = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut write, ".").await.unwrap(), 1);
    assert_eq!(write.commit().await.unwrap(), 1);
    let mut snapshot = store.read().await.unwrap();
    assert_eq!(counters::highest_id(&mut snapshot, ".").await.unwrap(), 1);
}

/// Futures are polled in order by hand, so that the second and third write wait for their turn
/// while the first holds it.
#[tokio::test]
async fn writes_that_wait_share_a_commit_and_one_that_fails_takes_back_only_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut first = store.write().await.unwrap();
    assert_eq!(counters::next_id(&mut first, ".").await.unwrap(), 1);
    let failing = async {
        let mut write = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut write, ".").await.unwrap(), 2);
        drop(write);
    };
    let third = async {
        let mut write = store.write().await.unwrap();
        assert_eq!(counters::next_id(&mut write, ".").await.unwrap(), 2);
        write.commit().await.unwrap()
    };
    // `join!` polls in order: both are in the queue before the first asks to commit.
    let commit = async { first.commit().await.unwrap() };
    let ((), third, first) = tokio::join!(biased; failing, third, commit);
    assert_eq!((first, third), (1, 1), "one commit, one change sequence");
    let mut snapshot = store.read().await.unwrap();
    assert_eq!(counters::highest_id(&mut snapshot, ".").await.unwrap(), 2);
}

#[tokio::test]
async fn a_store_that_fails_says_so_to_all_who_share_the_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let write = store.write().await.unwrap();
    let next = async {
        let mut write = store.write().await.unwrap();
        // Rolls the shared transaction back behind the store's back.
        let broken = sqlx::query("ROLLBACK");
        match &mut *write {
            Connection::Sqlite(transaction, _) => broken.execute(&mut **transaction).await.unwrap(),
            Connection::Postgres(_) => unreachable!("these tests open files"),
        };
        write.commit().await
    };
    let (next, first) = tokio::join!(biased; next, write.commit());
    assert!(first.is_err() && next.is_err(), "{first:?} {next:?}");
    let mut snapshot = store.read().await.unwrap();
    let row = snapshot.row(READ_COUNTER, &["changes".into()]).await;
    assert!(row.unwrap().is_none());
    assert_eq!(store.write().await.unwrap().commit().await.unwrap(), 1);
}
