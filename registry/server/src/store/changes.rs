//! Changes after a change sequence number, so that a node invalidates only what changed. Versions
//! have the number of their last change. Deletions, which leave no row, and settings update a mark
//! in table `counters`.

use avouch_registry_api::types::SchemaId;

use crate::store::Connection;
use crate::store::connection::Row;
use crate::store::counters::CHANGES;
use crate::store::statements::{CHANGED_IDS, MARKS, MOVE_MARK};

/// Maximum number of changed versions to list; if more changed, everything is invalidated.
const MAX_LISTED: i64 = 1_000;

/// Changes without a version that has their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// IDs that lost their last version, or a version that now has another ID.
    Ids,
    /// Configurations.
    Configs,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Ids => "changes:ids",
            Self::Configs => "changes:configs",
        }
    }
}

/// Changes after a change sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The current change sequence number.
    pub(crate) seq: u64,
    /// Context and ID of registered, deleted or restored versions; `None` if any ID may have
    /// changed.
    pub(crate) ids: Option<Vec<(String, SchemaId)>>,
    /// A configuration may have changed.
    pub(crate) configs: bool,
}

impl Changes {
    /// Returns a change that may concern everything.
    pub(crate) fn everything(seq: u64) -> Self {
        Self {
            seq,
            ids: None,
            configs: true,
        }
    }
}

/// Sets a mark to the change sequence number of the transaction.
pub(crate) async fn mark(connection: &mut Connection, mark: Mark) -> Result<(), sqlx::Error> {
    connection.execute(MOVE_MARK, &[mark.name().into()]).await
}

/// Returns the changes after `seq` in the connection's snapshot.
pub(crate) async fn since(connection: &mut Connection, seq: u64) -> Result<Changes, sqlx::Error> {
    let before = i64::try_from(seq).unwrap_or(i64::MAX);
    // Without a row, nothing was ever changed.
    let (mut reached, mut ids, mut configs) = (before, Some(Vec::new()), false);
    for row in connection.rows(MARKS, &[]).await? {
        let (name, value): (String, i64) = (row.get("name")?, row.get("value")?);
        if name == CHANGES {
            reached = value;
        // Which IDs lost their last version is not recorded, so that any may have.
        } else if value > before && name == Mark::Ids.name() {
            ids = None;
        } else if value > before && name == Mark::Configs.name() {
            configs = true;
        }
    }
    if reached > before && ids.is_some() {
        // One more than the maximum, to recognize that there are more.
        let limit = MAX_LISTED + 1;
        let rows = connection
            .rows(CHANGED_IDS, &[before.into(), limit.into()])
            .await?;
        let id = |row: &Row| Ok((row.get("context")?, row.number("id")?));
        let changed: Vec<_> = rows.iter().map(id).collect::<Result<_, sqlx::Error>>()?;
        let is_complete = i64::try_from(changed.len()).is_ok_and(|count| count <= MAX_LISTED);
        ids = is_complete.then_some(changed);
    }
    Ok(Changes {
        // The counter starts at 0 and only grows.
        seq: reached.unsigned_abs(),
        ids,
        configs,
    })
}
