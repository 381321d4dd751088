//! DescribeProducers (key 61), version 0 (KIP-664).
//!
//! Behavior:
//! * Returns the idempotent producers that each partition stores, with the sequence number and the
//!   timestamp of the last batch of each. No producer has a transaction.

use std::sync::Arc;

use avouch_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::error::code_and_message;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in topic.partition_indexes {
            let producers = admin.describe_producers(&topic.name, index).await;
            let (error_code, error_message) = code_and_message(&producers);
            let producers = producers.unwrap_or_default().into_iter();
            let states = producers.map(|(producer, timestamp)| ProducerState {
                producer_id: producer.id.0,
                producer_epoch: i32::from(producer.epoch.0),
                last_sequence: producer.last_sequence.0,
                last_timestamp: timestamp.map_or(-1, |timestamp| timestamp.0),
                coordinator_epoch: -1,
                current_txn_start_offset: -1,
            });
            partitions.push(PartitionResponse {
                partition_index: index,
                error_code,
                error_message,
                active_producers: states.collect(),
            });
        }
        topics.push(TopicResponse {
            name: topic.name,
            partitions,
        });
    }
    DescribeProducersResponse {
        topics,
        ..Default::default()
    }
}
