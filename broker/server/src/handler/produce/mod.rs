//! Produce (key 0), versions 3 to 13; 0 to 2 are advertised and rejected, see `api_versions`.
//!
//! Behavior:
//! - Checks the batches of a request one after the other (`admission`) and appends them as one
//!   frame before the connection reads its next request, which fixes the order of the log.
//! - Responds when the batches are durable. A rejected batch does not affect the others.
//! - Checks and appends a batch again if its contract changed in between.
//! - With acks=0 there is no response; an error closes the connection.
//!
//! Version notes:
//! - 13: topics by id (KIP-516). An unknown id gets UNKNOWN_TOPIC_ID.

mod order;
mod response;

use avouch_log::{AppendBatch, AppendOutcome, Guard, Log};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use avouch_protocol::types::{PartitionIndex, TopicId};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Call, CloseReason, HandlerFuture, ReceivedRequest, encode};
use crate::admission::{Admitted, ProduceContext, Rejection};
use crate::metadata::TopicKey;
use crate::metrics::Metrics;
use crate::node::Node;
pub(super) use order::AppendOrder;

/// First version of the request with topic ids instead of names.
const FIRST_VERSION_WITH_IDS: i16 = 13;
/// Maximum number of checks of a batch whose contract changes between check and append.
const CHECKS_MAX: usize = 5;

/// Checks and appends the batches of a request. The returned future waits until they are durable.
pub(super) async fn accept(mut received: ReceivedRequest) -> Result<HandlerFuture, CloseReason> {
    let request: ProduceRequest = received.decode().await?;
    let frame = received.reader.memory();
    let ReceivedRequest {
        node, call, memory, ..
    } = received;
    let acks = request.acks;
    let mut production = Production::new(&node, call.version(), request);
    production.check(&node, &call, Some(&frame)).await;
    let order = &call.client.append_order;
    order.wait().await;
    order.push(production.guards());
    // The place in the log is taken here, before the connection reads its next request.
    let outcomes = production.append(&node.log);
    if acks == 0
        && let Some(rejection) = production.first_rejection()
    {
        return Err(CloseReason::RejectedUnacknowledged(rejection.to_string()));
    }
    Ok(async move {
        production.settle(&node, &call, outcomes).await;
        call.client.append_order.pop();
        drop(memory);
        let response = production.into_response();
        if acks != 0 {
            return encode(&node, &call, &response).map(Some);
        }
        match first_error(&response) {
            None => Ok(None),
            Some(error) => Err(CloseReason::RejectedUnacknowledged(error)),
        }
    }
    .boxed())
}

/// Returns the error of the first batch that was not appended.
fn first_error(response: &ProduceResponse) -> Option<String> {
    let mut partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let failed = partitions.find(|partition| partition.error_code != 0)?;
    let code = || format!("error code {}", failed.error_code);
    Some(failed.error_message.clone().unwrap_or_else(code))
}

/// A produce request in progress.
struct Production {
    topics: Vec<RequestedTopic>,
    /// Batches of all topics, in the request's order.
    batches: Vec<Batch>,
}

struct RequestedTopic {
    key: TopicKey,
    batch_count: usize,
}

/// The batch of one partition.
struct Batch {
    /// Index of its topic in the request.
    topic: usize,
    partition: PartitionIndex,
    state: State,
}

enum State {
    /// To be checked, for the first time or because its contract changed.
    Unchecked(Bytes),
    /// To be appended. Boxed, because most batches soon have a smaller state.
    Admitted(Box<Admitted>),
    /// Handed to the log. The records are kept in case the contract has changed.
    Appending {
        records: Bytes,
        record_count: u64,
    },
    Done(AppendOutcome),
    Rejected(Rejection),
}

type Outcomes = oneshot::Receiver<Vec<AppendOutcome>>;

impl Production {
    fn new(node: &Node, version: i16, request: ProduceRequest) -> Self {
        let mut topics = Vec::with_capacity(request.topic_data.len());
        let mut batches = Vec::new();
        let rejected = node.admission.reject_request(&request);
        for (topic, data) in request.topic_data.into_iter().enumerate() {
            let key = match version {
                FIRST_VERSION_WITH_IDS.. => TopicKey::Id(TopicId(data.topic_id)),
                _ => TopicKey::Name(data.name),
            };
            let rejected = rejected
                .clone()
                .or_else(|| node.admission.reject_topic(&key, request.acks));
            topics.push(RequestedTopic {
                key,
                batch_count: data.partition_data.len(),
            });
            batches.extend(data.partition_data.into_iter().map(|data| Batch {
                topic,
                partition: PartitionIndex(data.index),
                state: match &rejected {
                    Some(rejection) => State::Rejected(rejection.clone()),
                    None => State::Unchecked(data.records.unwrap_or_default().into_bytes()),
                },
            }));
        }
        Self { topics, batches }
    }

    /// Checks every batch that is unchecked. `frame` is the buffer of the request, if it is still
    /// available.
    async fn check(&mut self, node: &Node, call: &Call, frame: Option<&[u8]>) {
        let request_context = node.contracts.start_request();
        let context = ProduceContext {
            version: call.version(),
            client_id: call.header.client_id.as_deref(),
            principal: call.principal(),
            request: &request_context,
        };
        for batch in &mut self.batches {
            let State::Unchecked(records) = &batch.state else {
                continue;
            };
            let (topic, memory) = (&self.topics[batch.topic].key, frame.unwrap_or(records));
            let admitted = node
                .admission
                .admit(context, topic, batch.partition, records, memory);
            batch.state = match admitted.await {
                Ok(admitted) => State::Admitted(Box::new(admitted)),
                Err(rejection) => State::Rejected(rejection),
            };
        }
    }

    /// Returns what must hold when the log assigns offsets to the admitted batches.
    fn guards(&self) -> Vec<Guard> {
        let batches = self.batches.iter();
        batches
            .filter_map(|batch| match &batch.state {
                State::Admitted(admitted) => admitted.batch.guard.clone(),
                State::Unchecked(_)
                | State::Appending { .. }
                | State::Done(_)
                | State::Rejected(_) => None,
            })
            .collect()
    }

    /// Hands every admitted batch to the log, as one frame. The receiver gets their outcomes once
    /// they are durable.
    fn append(&mut self, log: &Log) -> Option<Outcomes> {
        let mut admitted: Vec<AppendBatch> = Vec::new();
        for batch in &mut self.batches {
            batch.state = match std::mem::replace(&mut batch.state, State::Unchecked(Bytes::new()))
            {
                State::Admitted(ready) => {
                    let appending = State::Appending {
                        records: ready.batch.batch.clone(),
                        record_count: ready.record_count,
                    };
                    admitted.push(ready.batch);
                    appending
                }
                state => state,
            };
        }
        if admitted.is_empty() {
            return None;
        }
        let (sender, outcomes) = oneshot::channel();
        // The receiver is gone if the connection closed meanwhile.
        log.append(
            admitted,
            Box::new(move |appended| drop(sender.send(appended))),
        );
        Some(outcomes)
    }

    /// Waits for the outcome of every batch. Repeats check and append for the batches whose
    /// contract or schemas changed after their check, until each was checked `CHECKS_MAX` times.
    async fn settle(&mut self, node: &Node, call: &Call, outcomes: Option<Outcomes>) {
        let mut pending = outcomes;
        for checks in 1..=CHECKS_MAX {
            let Some(outcomes) = pending else { break };
            // The sender is dropped without outcomes if the log is closed.
            self.apply(outcomes.await.unwrap_or_default(), &node.metrics);
            // A batch that is appended must get its outcome, so the last round appends nothing.
            if checks == CHECKS_MAX {
                break;
            }
            self.check(node, call, None).await;
            pending = self.append(&node.log);
        }
        for batch in &mut self.batches {
            if let State::Done(outcome @ AppendOutcome::Duplicate { .. }) = batch.state {
                let topic = &self.topics[batch.topic].key;
                let original = original_outcome(node, topic, batch.partition, outcome);
                batch.state = State::Done(original.await);
            }
        }
    }

    /// Applies the outcomes of a frame to its batches, which are those that are being appended.
    fn apply(&mut self, outcomes: Vec<AppendOutcome>, metrics: &Metrics) {
        let mut outcomes = outcomes.into_iter();
        for batch in &mut self.batches {
            let State::Appending {
                records,
                record_count,
            } = &batch.state
            else {
                continue;
            };
            batch.state = match outcomes.next().unwrap_or(AppendOutcome::StorageFailed) {
                AppendOutcome::GuardChanged => State::Unchecked(records.clone()),
                outcome => {
                    if matches!(outcome, AppendOutcome::Appended { .. }) {
                        metrics.produced_bytes.inc_by(records.len() as u64);
                        metrics.produced_records.inc_by(*record_count);
                    }
                    State::Done(outcome)
                }
            };
        }
    }

    fn first_rejection(&self) -> Option<&Rejection> {
        self.batches.iter().find_map(|batch| match &batch.state {
            State::Rejected(rejection) => Some(rejection),
            State::Unchecked(_) | State::Admitted(_) | State::Appending { .. } | State::Done(_) => {
                None
            }
        })
    }

    fn into_response(self) -> ProduceResponse {
        let mut batches = self.batches.into_iter();
        let topics = self.topics.into_iter().map(|topic| {
            let (name, topic_id) = match topic.key {
                TopicKey::Name(name) => (name, Uuid::nil()),
                TopicKey::Id(id) => (String::new(), id.0),
            };
            TopicProduceResponse {
                name,
                topic_id,
                partition_responses: batches
                    .by_ref()
                    .take(topic.batch_count)
                    .map(Batch::into_response)
                    .collect(),
            }
        });
        ProduceResponse {
            responses: topics.collect(),
            ..Default::default()
        }
    }
}

impl Batch {
    fn into_response(self) -> PartitionProduceResponse {
        match self.state {
            State::Done(outcome) => response::appended(self.partition, outcome),
            State::Rejected(rejection) => response::rejected(self.partition, rejection),
            // Retriable: the contract changed after each of the checks.
            State::Unchecked(_) | State::Admitted(_) | State::Appending { .. } => {
                let reason = "the contract changed during each check".to_owned();
                response::rejected(self.partition, Rejection::Unavailable(reason))
            }
        }
    }
}

/// Returns the outcome of a duplicate as its original had it: with the timestamp of LogAppendTime,
/// which is only in the stored batch. Returns `outcome` if there is no such timestamp or compaction
/// has removed the batch.
async fn original_outcome(
    node: &Node,
    topic: &TopicKey,
    partition: PartitionIndex,
    outcome: AppendOutcome,
) -> AppendOutcome {
    let AppendOutcome::Duplicate {
        base_offset,
        log_start,
    } = outcome
    else {
        return outcome;
    };
    let cluster = node.metadata.cluster();
    let stamped = cluster.find(topic).filter(|t| t.settings.log_append_time);
    let Some(target) = stamped.and_then(|topic| topic.partition(partition)) else {
        return outcome;
    };
    let log = node.log.clone();
    // A limit of 0 bytes returns one batch.
    let read = tokio::task::spawn_blocking(move || log.read(target, base_offset, 0)).await;
    let batches = match read {
        Ok(Ok(read)) => read.batches,
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let header = batches
        .first()
        .and_then(|batch| BatchHeader::parse(batch).ok());
    match header {
        Some(header) if header.base_offset == base_offset && header.is_log_append_time() => {
            AppendOutcome::Appended {
                base_offset,
                log_start,
                append_time: Some(header.max_timestamp),
            }
        }
        _ => outcome,
    }
}
