#!/bin/sh
# Shows on sqlx alone that a SQLite connection of a pool loses committed transactions after two failed COMMITs.
#
#   findings/sqlx_failed_commit.sh
#
# Needs cargo and access to crates.io; writes nothing outside a temporary directory. Exits 0 while sqlx behaves as
# described here, and 1 when it no longer does: then the workaround in the stores can be reviewed.
#
# Cause (sqlx-sqlite 0.8.6, src/connection/worker.rs): the worker decreases `transaction_depth` only after a successful
# COMMIT or ROLLBACK, but SQLite rolls a transaction back by itself when its COMMIT fails.
#   1. BEGIN (depth 1), COMMIT fails, SQLite rolls back. The ROLLBACK that follows fails: no transaction is active.
#      The depth stays 1.
#   2. The next transaction is SAVEPOINT _sqlx_savepoint_1 (depth 2). SQLite opens a transaction for it. Its RELEASE
#      fails, SQLite keeps this transaction open, and ROLLBACK TO SAVEPOINT succeeds (depth 1).
#   3. Every later transaction is a savepoint inside that transaction. Its RELEASE succeeds, and nothing is committed.
set -eu

version=0.8.6
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/src"
cat >"$directory/Cargo.toml" <<TOML
[package]
name = "failed-commit"
version = "0.0.0"
edition = "2021"

[dependencies]
sqlx = { version = "=$version", default-features = false, features = ["runtime-tokio", "sqlite"] }
tokio = { version = "1", features = ["macros", "rt"] }

[profile.dev]
debug = false
TOML
cat >"$directory/src/main.rs" <<'RUST'
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::Connection as _;

async fn open(path: &str) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options).await
}

async fn insert(pool: &SqlitePool, value: i64) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let insert = sqlx::query("INSERT INTO t (x) VALUES (?)").bind(value);
    insert.execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Whether sqlx takes the idle connection for one with an open transaction.
async fn is_in_transaction(pool: &SqlitePool) -> Result<bool, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    connection.ping().await?;
    Ok(connection.is_in_transaction())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sqlx::Error> {
    let path = std::env::args().nth(1).expect("a path");
    let pool = open(&path).await?;
    sqlx::query("CREATE TABLE t (x INTEGER)").execute(&pool).await?;

    // A commit hook fails COMMIT on the code path of a log that cannot be written: SQLite rolls back.
    let mut connection = pool.acquire().await?;
    connection.lock_handle().await?.set_commit_hook(|| false);
    drop(connection);
    for value in 1..=2 {
        let error = insert(&pool, value).await.expect_err("the hook fails the commit");
        println!("insert {value}: {error}");
        println!("in a transaction, says sqlx: {}", is_in_transaction(&pool).await?);
    }
    let mut connection = pool.acquire().await?;
    connection.lock_handle().await?.remove_commit_hook();
    drop(connection);

    for value in 3..=5 {
        insert(&pool, value).await?;
        println!("insert {value}: committed, says sqlx");
    }
    pool.close().await;

    let pool = open(&path).await?;
    let stored: Vec<i64> = sqlx::query_scalar("SELECT x FROM t ORDER BY x").fetch_all(&pool).await?;
    println!("stored after a reopen: {stored:?}");
    Ok(())
}
RUST

echo "sqlx $version"
echo "expected: a transaction whose commit() returns Ok is stored; after a failed COMMIT no transaction is open"
CARGO_TARGET_DIR=$directory/target nice cargo run --quiet --manifest-path "$directory/Cargo.toml" -- \
    "$directory/t.sqlite" | tee "$directory/output"
if grep -q '^insert 5: committed' "$directory/output" &&
    grep -q '^stored after a reopen: \[\]$' "$directory/output"; then
    echo "as described: three transactions were committed according to sqlx, and none is stored"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
