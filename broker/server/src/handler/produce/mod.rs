//! Produce (key 0), versions 3 to 12; 0 to 2 are advertised and refused, see `api_versions`.
//!
//! The request's batches are admitted one after the other (`admit`) and appended as one frame
//! before the connection reads its next request: that is the order of the log (`order`). The reply
//! waits for durability. A refused batch leaves the others of its request alone. With acks=0 there
//! is no reply; what would have been an error closes the connection.

mod admit;
mod order;
mod reply;

use std::sync::Arc;

use avouch_contract::Arrival;
use avouch_log::{AppendBatch, AppendOutcome, Guard};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use avouch_protocol::types::PartitionIndex;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::{Call, CloseReason, Reply, Taken, encode};
use crate::node::Node;
use admit::{Admitted, Refusal};
pub(super) use order::AppendOrder;

/// How often a batch is checked again because its topic's contract changed under it.
const CHECKS_MAX: usize = 5;

/// Appends what the request may append; the reply's future waits for it to be durable.
pub(super) async fn accept(mut taken: Taken) -> Result<Reply, CloseReason> {
    let request: ProduceRequest = taken.decode().await?;
    let frame = taken.reader.memory();
    let Taken {
        node, call, memory, ..
    } = taken;
    let acks = request.acks;
    let arrival = node.contracts.arrive();
    let asker = Asker {
        node: &node,
        call: &call,
        arrival: &arrival,
    };
    let mut production = Production::admit(asker, request, &frame).await;
    call.client.append_order.wait().await;
    call.client.append_order.begin(production.guards());
    let outcomes = production.append(&node);
    if acks == 0
        && let Some(refusal) = production.first_refusal()
    {
        return Err(CloseReason::RefusedUnacknowledged(refusal.to_string()));
    }
    Ok(async move {
        production.settle(&node, &call, outcomes).await;
        call.client.append_order.settle();
        drop(memory);
        let response = production.response();
        if acks != 0 {
            return encode(&node, &call, &response).map(Some);
        }
        match first_error(&response) {
            None => Ok(None),
            Some(error) => Err(CloseReason::RefusedUnacknowledged(error)),
        }
    }
    .boxed())
}

/// What became of the first batch that was not appended.
fn first_error(response: &ProduceResponse) -> Option<String> {
    let mut partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let failed = partitions.find(|partition| partition.error_code != 0)?;
    let code = || format!("error code {}", failed.error_code);
    Some(failed.error_message.clone().unwrap_or_else(code))
}

/// A produce request on its way: what became of each batch so far.
struct Production {
    topics: Vec<(String, Vec<Entry>)>,
}

struct Entry {
    index: PartitionIndex,
    state: State,
}

enum State {
    /// To be appended. Boxed: most entries soon hold an outcome instead.
    Admitted(Box<Admitted>),
    /// In the log's hands; kept to be checked again should the contract have changed.
    Appending {
        records: Bytes,
        record_count: u64,
    },
    Done(AppendOutcome),
    Refused(Refusal),
}

/// Who asks for batches to be appended.
#[derive(Clone, Copy)]
struct Asker<'a> {
    node: &'a Arc<Node>,
    call: &'a Call,
    /// The request's; all of its batches wait for the registry together.
    arrival: &'a Arrival,
}

type Outcomes = oneshot::Receiver<Vec<AppendOutcome>>;

impl Production {
    async fn admit(asker: Asker<'_>, request: ProduceRequest, frame: &[u8]) -> Self {
        let mut topics = Vec::with_capacity(request.topic_data.len());
        let refused = admit::request_refusal(&request);
        for topic in request.topic_data {
            let mut entries = Vec::with_capacity(topic.partition_data.len());
            let refused = refused
                .clone()
                .or_else(|| admit::replicas_refusal(asker.node, &topic.name, request.acks));
            for partition in topic.partition_data {
                let index = PartitionIndex(partition.index);
                let state = match &refused {
                    Some(refusal) => State::Refused(refusal.clone()),
                    None => {
                        let records = partition.records.unwrap_or_default().into_bytes();
                        State::admit(asker, &topic.name, index, records, frame).await
                    }
                };
                entries.push(Entry { index, state });
            }
            topics.push((topic.name, entries));
        }
        Self { topics }
    }

    /// What must still hold when the log gives the admitted batches their offsets.
    fn guards(&self) -> Vec<Guard> {
        self.topics
            .iter()
            .flat_map(|(_, entries)| entries)
            .filter_map(|entry| match &entry.state {
                State::Admitted(admitted) => admitted.batch.guard.clone(),
                State::Appending { .. } | State::Done(_) | State::Refused(_) => None,
            })
            .collect()
    }

    /// Hands every admitted batch to the log, as one frame.
    fn append(&mut self, node: &Node) -> Option<Outcomes> {
        let mut batches: Vec<AppendBatch> = Vec::new();
        for entry in self.topics.iter_mut().flat_map(|(_, entries)| entries) {
            if let State::Admitted(admitted) = &entry.state {
                let appending = State::Appending {
                    records: admitted.batch.batch.clone(),
                    record_count: admitted.record_count,
                };
                if let State::Admitted(admitted) = std::mem::replace(&mut entry.state, appending) {
                    batches.push(admitted.batch);
                }
            }
        }
        (!batches.is_empty()).then(|| node.append(batches))
    }

    /// Waits until every batch has its outcome; a batch whose contract changed in between is
    /// checked and appended again.
    async fn settle(&mut self, node: &Arc<Node>, call: &Call, outcomes: Option<Outcomes>) {
        let mut outcomes = outcomes;
        for _ in 0..CHECKS_MAX {
            let Some(pending) = outcomes.take() else {
                return;
            };
            // A dropped sender means that the log is gone.
            let mut settled = pending.await.unwrap_or_default().into_iter();
            let arrival = node.contracts.arrive();
            let asker = Asker {
                node,
                call,
                arrival: &arrival,
            };
            for (topic, entries) in &mut self.topics {
                for entry in entries {
                    let State::Appending {
                        records,
                        record_count,
                    } = &entry.state
                    else {
                        continue;
                    };
                    let outcome = settled.next().unwrap_or(AppendOutcome::StorageFailed);
                    if matches!(outcome, AppendOutcome::Appended { .. }) {
                        node.metrics.produced_bytes.inc_by(records.len() as u64);
                        node.metrics.produced_records.inc_by(*record_count);
                    }
                    entry.state = match outcome {
                        AppendOutcome::GuardChanged => {
                            let batch = records.clone();
                            State::admit(asker, topic, entry.index, batch, records).await
                        }
                        AppendOutcome::Duplicate { .. } => {
                            State::Done(original(node, topic, entry.index, outcome).await)
                        }
                        outcome => State::Done(outcome),
                    };
                }
            }
            outcomes = self.append(node);
        }
    }

    fn first_refusal(&self) -> Option<&Refusal> {
        self.topics
            .iter()
            .flat_map(|(_, entries)| entries)
            .find_map(|entry| match &entry.state {
                State::Refused(refusal) => Some(refusal),
                State::Admitted(_) | State::Appending { .. } | State::Done(_) => None,
            })
    }

    fn response(self) -> ProduceResponse {
        let topic = |(name, entries): (String, Vec<Entry>)| TopicProduceResponse {
            name,
            partition_responses: entries.into_iter().map(Entry::response).collect(),
        };
        ProduceResponse {
            responses: self.topics.into_iter().map(topic).collect(),
            ..Default::default()
        }
    }
}

/// A duplicate's outcome as it was the first time: with the time that its topic stamped into it. It
/// stays a duplicate where no time was stamped, or compaction has taken the batch since.
async fn original(
    node: &Arc<Node>,
    topic: &str,
    index: PartitionIndex,
    outcome: AppendOutcome,
) -> AppendOutcome {
    let cluster = node.metadata.cluster();
    let stamped = cluster.topic(topic).filter(|t| t.settings.log_append_time);
    let target = stamped.and_then(|topic| topic.partition(index));
    let (
        AppendOutcome::Duplicate {
            base_offset,
            log_start,
        },
        Some(target),
    ) = (outcome, target)
    else {
        return outcome;
    };
    let log = node.log.clone();
    let read = tokio::task::spawn_blocking(move || log.read(target, base_offset, 0));
    let batches = match read.await {
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

impl State {
    async fn admit(
        asker: Asker<'_>,
        topic: &str,
        index: PartitionIndex,
        records: Bytes,
        memory: &[u8],
    ) -> Self {
        match admit::admit(asker, topic, index, records, memory).await {
            Ok(admitted) => Self::Admitted(Box::new(admitted)),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

impl Entry {
    fn response(self) -> PartitionProduceResponse {
        let index = self.index;
        match self.state {
            State::Done(outcome) => reply::outcome(index, outcome),
            State::Refused(refusal) => reply::refusal(index, refusal),
            // The contract kept changing: the client may try again.
            State::Admitted(_) | State::Appending { .. } => reply::refusal(
                index,
                Refusal::Unavailable("the contract keeps changing".into()),
            ),
        }
    }
}
