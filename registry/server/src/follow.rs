//! Keeps a registry node informed of what other nodes on the same PostgreSQL change. The change
//! sequence in the database is the truth and is read at least every [`POLL_INTERVAL`]; a
//! notification only makes the next reading come sooner. Tells the store whether the database
//! answers at all.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};

use crate::service::Service;
use crate::store::{CHANGES_CHANNEL, Engine};

/// The longest time between two readings: the bound on how long a node may not know of a change.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Follows the database until the future is dropped; a file of ours changes by us alone.
pub(crate) async fn follow(service: Arc<Service>) {
    match &service.store.engine {
        Engine::Sqlite { .. } => {}
        Engine::Postgres { readers, .. } => follow_postgres(&service, readers).await,
    }
}

async fn follow_postgres(service: &Service, pool: &PgPool) {
    let mut listener = None;
    let mut was_disconnected = false;
    loop {
        let was_reachable = service.store.engine.is_reachable();
        let is_reachable = match service.catch_up(was_disconnected).await {
            Ok(()) => {
                was_disconnected = false;
                true
            }
            Err(error) => {
                if was_reachable {
                    tracing::error!(%error, "the registry's database does not answer");
                }
                listener = None;
                was_disconnected = true;
                false
            }
        };
        if is_reachable && !was_reachable {
            tracing::info!("the registry's database answers again");
        }
        service.store.engine.set_reachable(is_reachable);
        service.freshness().set_reachable(is_reachable);
        if is_reachable && listener.is_none() {
            listener = listen(pool).await;
        }
        // A lost connection, like no notification, only means that the next reading is due.
        let was_listening = listener.is_some();
        let _hint = tokio::time::timeout(POLL_INTERVAL, hint(&mut listener)).await;
        // A database that is restored under a running node closes its connections.
        was_disconnected |= was_listening && listener.is_none();
    }
}

async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANGES_CHANNEL).await.ok()?;
    Some(listener)
}

/// Resolves when another node may have changed something.
async fn hint(listener: &mut Option<PgListener>) {
    let Some(listening) = listener else {
        return std::future::pending().await;
    };
    if !matches!(listening.try_recv().await, Ok(Some(_))) {
        *listener = None;
    }
}
