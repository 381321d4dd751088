//! A transaction on a connection of a pool, for either engine.
//!
//! Invariant: a connection returns to its pool only after a transaction in which every step
//! succeeded. A BEGIN, statement or COMMIT that fails, and a future that is dropped while one runs,
//! close the connection. sqlx 0.8 would hand it out again: on SQLite with a transaction depth that
//! is too high after a failed COMMIT, so that the next transaction is a savepoint whose release
//! commits nothing; on PostgreSQL inside the transaction of a BEGIN whose future was dropped.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Database, Pool, TransactionManager as _};

/// An open transaction. Dropping it discards its changes.
#[derive(Debug)]
pub(crate) struct Transaction<E: Database> {
    connection: PoolConnection<E>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The transaction has started, and every statement so far has succeeded.
    Open,
    /// A step runs, or it failed, or its future was dropped: the transaction may have ended.
    Unknown,
    /// Committed.
    Ended,
}

impl<E: Database> Transaction<E> {
    /// Begins a transaction with `statement`, or with a plain BEGIN.
    pub(super) async fn begin(
        pool: &Pool<E>,
        statement: Option<&'static str>,
    ) -> Result<Self, sqlx::Error> {
        let mut connection = pool.acquire().await?;
        // A rollback runs after the transaction is dropped and reports no error; if it failed, sqlx
        // still counts the transaction.
        while connection.is_in_transaction() {
            connection.close().await?;
            connection = pool.acquire().await?;
        }
        let mut transaction = Self {
            connection,
            state: State::Unknown,
        };
        E::TransactionManager::begin(&mut transaction.connection, statement.map(Into::into))
            .await?;
        transaction.state = State::Open;
        Ok(transaction)
    }

    /// Returns the connection for one statement. Once the statement has succeeded, the caller calls
    /// [`Self::succeeded`]; until then no other statement runs and nothing can be committed.
    ///
    /// # Errors
    /// If an earlier statement failed: SQLite may have rolled the transaction back, and would then
    /// commit each further statement by itself.
    pub(super) fn statement(&mut self) -> Result<&mut E::Connection, sqlx::Error> {
        self.require_open()?;
        self.state = State::Unknown;
        Ok(&mut self.connection)
    }

    /// Returns the connection for a ROLLBACK TO SAVEPOINT, which may follow a failed statement: it
    /// succeeds only in a transaction that still has the savepoint.
    pub(super) fn rollback_statement(&mut self) -> &mut E::Connection {
        self.state = State::Unknown;
        &mut self.connection
    }

    /// Notes that the statement succeeded.
    pub(super) fn succeeded(&mut self) {
        self.state = State::Open;
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// If a statement failed before, or the database cannot commit; the changes are discarded then.
    /// If the connection to PostgreSQL ends while it commits, the outcome is unknown.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.require_open()?;
        self.state = State::Unknown;
        // At depth 1, which `begin` made sure of, this is COMMIT and not the release of a
        // savepoint; SQLite rejects it unless a transaction is open.
        E::TransactionManager::commit(&mut self.connection).await?;
        self.state = State::Ended;
        Ok(())
    }

    fn require_open(&self) -> Result<(), sqlx::Error> {
        if self.state == State::Open {
            return Ok(());
        }
        let reason = "an earlier statement of the transaction failed".to_owned();
        Err(sqlx::Error::Protocol(reason))
    }
}

impl<E: Database> Drop for Transaction<E> {
    fn drop(&mut self) {
        match self.state {
            State::Open => E::TransactionManager::start_rollback(&mut self.connection),
            State::Unknown => self.connection.close_on_drop(),
            State::Ended => {}
        }
    }
}
