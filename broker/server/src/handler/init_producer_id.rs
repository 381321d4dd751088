//! InitProducerId (key 22), versions 0 to 5.
//!
//! Behavior:
//! * Returns a producer id that was never returned before, not even before a crash, for idempotent
//!   producers. The ids in the request do not matter: only transactional producers keep their
//!   ids (KIP-360).
//! * Transactional ids are rejected.

use std::sync::Arc;

use avouch_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::Call;
use crate::admin::Admin;
use crate::error::{KafkaError as _, RequestError};

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let id = match request.transactional_id.as_deref() {
        None => admin.metadata.next_producer_id().await.map_err(|error| {
            tracing::error!(%error, "cannot allocate a producer id");
            RequestError::CoordinatorNotAvailable(error.to_string())
        }),
        Some("") => Err(RequestError::EmptyTransactionalId),
        Some(id) => {
            // Logged, because some clients show no reason.
            tracing::warn!(transactional_id = id, "transactions are not supported");
            Err(RequestError::TransactionsUnsupported)
        }
    };
    match id {
        Ok(id) => InitProducerIdResponse {
            producer_id: id.0,
            producer_epoch: 0,
            ..Default::default()
        },
        Err(error) => InitProducerIdResponse {
            error_code: error.error_code().code(),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        },
    }
}
