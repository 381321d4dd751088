//! InitProducerId (key 22), versions 0 to 5, for idempotent producers.
//!
//! Ids are never handed out twice, not even after a crash. A producer gets a new one whatever it
//! had before, as with Kafka: only transactional ones keep theirs (KIP-360). Transactional ids are
//! not served and refused clearly.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    match request.transactional_id.as_deref() {
        None => {}
        Some("") => return refused(ErrorCode::InvalidRequest),
        Some(id) => {
            tracing::warn!(transactional_id = id, "transactions are not served");
            return refused(ErrorCode::TransactionalIdAuthorizationFailed);
        }
    }
    match node.metadata.next_producer_id().await {
        Ok(id) => InitProducerIdResponse {
            producer_id: id.0,
            producer_epoch: 0,
            ..Default::default()
        },
        Err(error) => {
            tracing::error!(%error, "no producer id");
            refused(ErrorCode::CoordinatorNotAvailable)
        }
    }
}
