//! What changed after a change sequence, so that a node forgets that and no more. Versions note the
//! sequence of their last change; what leaves no row behind, and settings, move a mark in table
//! `counters`.

use avouch_registry_api::types::SchemaId;

use crate::store::Connection;
use crate::store::counters::CHANGES;
use crate::store::statements::{CHANGED_IDS, MARKS, MOVE_MARK};

/// Changed versions whose ids are told apart; when more changed, everything is taken to have.
const MAX_TOLD: i64 = 1_000;

/// What can be gone or different without a version to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Ids that lost their last version, or a version that became another id's.
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

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// How far changes went.
    pub(crate) seq: u64,
    /// Context and id of whatever was registered, deleted or brought back somewhere; `None` when
    /// any may have been.
    pub(crate) ids: Option<Vec<(String, SchemaId)>>,
    /// Whether a configuration may be another.
    pub(crate) configs: bool,
}

/// Says that the transaction changes what the mark stands for.
pub(crate) async fn note(connection: &mut Connection, mark: Mark) -> Result<(), sqlx::Error> {
    connection.execute(MOVE_MARK, &[mark.name().into()]).await
}

/// What changed after `seq`, as of the connection's snapshot.
pub(crate) async fn since(connection: &mut Connection, seq: u64) -> Result<News, sqlx::Error> {
    let before = i64::try_from(seq).unwrap_or(i64::MAX);
    let (mut reached, mut ids, mut configs) = (before, Some(Vec::new()), false);
    for row in connection.rows(MARKS, &[]).await? {
        let (name, value): (String, i64) = (row.get("name")?, row.get("value")?);
        if name == CHANGES {
            reached = value;
        } else if value > before && name == Mark::Ids.name() {
            ids = None;
        } else if value > before && name == Mark::Configs.name() {
            configs = true;
        }
    }
    if reached > before && ids.is_some() {
        let limit = MAX_TOLD + 1;
        let rows = connection
            .rows(CHANGED_IDS, &[before.into(), limit.into()])
            .await?;
        let id = |row: &crate::store::connection::Row| Ok((row.get("context")?, row.number("id")?));
        let changed: Vec<_> = rows.iter().map(id).collect::<Result<_, sqlx::Error>>()?;
        let is_told = i64::try_from(changed.len()).is_ok_and(|count| count <= MAX_TOLD);
        ids = is_told.then_some(changed);
    }
    Ok(News {
        seq: reached.unsigned_abs(),
        ids,
        configs,
    })
}
