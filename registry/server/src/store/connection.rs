//! Statements of a transaction on either engine, their parameters and rows. The only place that
//! distinguishes the engines when a statement runs; knows no statement.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::pin::pin;
use std::task::Poll;
use std::thread::available_parallelism;

use avouch_registry_api::types::{SchemaId, Version};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Decode, Encode, Postgres, Row as _, Sqlite, Type};

use crate::store::statements::{Statement, UNDO_MEMBER};
use crate::store::transaction::Transaction;

/// A transaction of one engine. Dropping it without a commit discards its changes.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(Transaction<Sqlite>, Wait, AssignedIds),
    Postgres(Transaction<Postgres>),
}

/// The highest schema ID that a transaction has assigned in each context.
pub(crate) type AssignedIds = BTreeMap<String, i64>;

/// The way of waiting for SQLite's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The task sleeps until the result wakes it.
    Sleep,
    /// The task polls for the time of a short statement, which is less than it takes to wake it on
    /// another core, and sleeps after that. For the one write at a time, which all others wait for.
    /// A commit waits for the disk, so it never polls.
    Poll,
}

impl Wait {
    /// Takes some tens of microseconds.
    const POLLS: u32 = 500;

    /// Returns how the writer waits: with one core, polling would keep SQLite's thread from
    /// running.
    pub(crate) fn of_the_writer() -> Self {
        match available_parallelism() {
            Ok(cores) if cores.get() > 1 => Self::Poll,
            Ok(_) | Err(_) => Self::Sleep,
        }
    }

    async fn until<F: Future>(self, result: F) -> F::Output {
        let mut result = pin!(result);
        let mut polls = match self {
            Self::Sleep => 1,
            Self::Poll => Self::POLLS,
        };
        poll_fn(|context| {
            while polls > 1 {
                if let Poll::Ready(result) = result.as_mut().poll(context) {
                    return Poll::Ready(result);
                }
                polls -= 1;
                spin_loop();
            }
            result.as_mut().poll(context)
        })
        .await
    }
}

impl Connection {
    pub(super) fn sqlite(transaction: Transaction<Sqlite>, wait: Wait) -> Self {
        Self::Sqlite(transaction, wait, AssignedIds::new())
    }

    /// Returns all rows of a query.
    pub(crate) async fn rows(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, sqlx::Error> {
        let text = statement.text();
        Ok(match self {
            Self::Sqlite(transaction, wait, _) => {
                let rows = bound::<Sqlite>(text, values).fetch_all(transaction.statement()?);
                let rows = wait.until(rows).await?;
                transaction.succeeded();
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(transaction) => {
                let rows = bound::<Postgres>(text, values).fetch_all(transaction.statement()?);
                let rows = rows.await?;
                transaction.succeeded();
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Returns the first row of a query.
    pub(crate) async fn row(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, sqlx::Error> {
        let text = statement.text();
        Ok(match self {
            Self::Sqlite(transaction, wait, _) => {
                let row = bound::<Sqlite>(text, values).fetch_optional(transaction.statement()?);
                let row = wait.until(row).await?;
                transaction.succeeded();
                row.map(Row::Sqlite)
            }
            Self::Postgres(transaction) => {
                let row = bound::<Postgres>(text, values).fetch_optional(transaction.statement()?);
                let row = row.await?;
                transaction.succeeded();
                row.map(Row::Postgres)
            }
        })
    }

    /// Executes a statement that returns no rows.
    pub(crate) async fn execute(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<(), sqlx::Error> {
        let text = statement.text();
        match self {
            Self::Sqlite(transaction, wait, _) => {
                let done = bound::<Sqlite>(text, values).execute(transaction.statement()?);
                wait.until(done).await?;
                transaction.succeeded();
            }
            Self::Postgres(transaction) => {
                let done = bound::<Postgres>(text, values).execute(transaction.statement()?);
                done.await?;
                transaction.succeeded();
            }
        }
        Ok(())
    }

    /// Discards what the last member of the transaction did, which may have failed half-way.
    pub(super) async fn undo_member(&mut self) -> Result<(), sqlx::Error> {
        let text = UNDO_MEMBER.text();
        match self {
            Self::Sqlite(transaction, wait, _) => {
                let undone = sqlx::query(text).execute(transaction.rollback_statement());
                wait.until(undone).await?;
                transaction.succeeded();
            }
            Self::Postgres(transaction) => {
                let undone = sqlx::query(text).execute(transaction.rollback_statement());
                undone.await?;
                transaction.succeeded();
            }
        }
        Ok(())
    }

    /// Remembers an assigned ID until the commit. Only the file of an SQLite database needs it.
    pub(super) fn assigned(&mut self, context: &str, id: i64) {
        if let Self::Sqlite(_, _, ids) = self {
            let highest = ids.entry(context.to_owned()).or_insert(id);
            *highest = id.max(*highest);
        }
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction, ..) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Int(i32),
    Long(i64),
    Flag(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::OptionalText(text)
    }
}

impl From<SchemaId> for Value<'_> {
    fn from(id: SchemaId) -> Self {
        Self::Int(id.get())
    }
}

impl From<Version> for Value<'_> {
    fn from(version: Version) -> Self {
        Self::Int(version.get())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A row of either engine.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Returns the value of a column.
    ///
    /// # Errors
    /// If the column does not exist or has another type.
    pub(crate) fn get<T: Column>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// Returns the number in a column as a schema id or a version.
    ///
    /// # Errors
    /// If the column does not exist or its value is out of range.
    pub(crate) fn number<T>(&self, column: &str) -> Result<T, sqlx::Error>
    where
        T: TryFrom<i32, Error: Into<BoxDynError>>,
    {
        let number = self.get::<i32>(column)?;
        // A value out of range is corrupt data, or was written by another program.
        T::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}

/// A type that a column of either engine can be decoded to.
pub(crate) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

fn bound<'q, E: Database>(
    text: &'static str,
    values: &[Value<'q>],
) -> Query<'q, E, E::Arguments<'q>>
where
    &'q str: Encode<'q, E> + Type<E>,
    Option<&'q str>: Encode<'q, E> + Type<E>,
    i32: Encode<'q, E> + Type<E>,
    i64: Encode<'q, E> + Type<E>,
    bool: Encode<'q, E> + Type<E>,
{
    let query = sqlx::query::<E>(text);
    values.iter().fold(query, |query, value| match *value {
        Value::Text(text) => query.bind(text),
        Value::OptionalText(text) => query.bind(text),
        Value::Int(number) => query.bind(number),
        Value::Long(number) => query.bind(number),
        Value::Flag(flag) => query.bind(flag),
    })
}
