//! Whether a batch may be appended: topic, size, structure, CRC, records, duplicate, contract, in
//! that order. Nothing has changed anywhere until all of it passed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use avouch_contract::{
    Accepted, Alongside, Arrival, AutoDecisions, Basis, CheckRequest, Contracts, EffectivePolicy,
    LISTED_MAX, RecordError, Verdict,
};
use avouch_log::{AppendBatch, DuplicateCheck, Guard, Origin};
use avouch_protocol::batch::{self, BatchHeader, Codec, HEADER_BYTES, HeaderError};
use avouch_protocol::compress::InflateError;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::produce::ProduceRequest;
use avouch_protocol::records::{self, ClientBatchError, RecordFault, RecordIter};
use avouch_protocol::section::Section;
use avouch_protocol::types::{PartitionIndex, TimestampMs, TopicPartition};
use bytes::Bytes;
use thiserror::Error;

use super::Asker;
use crate::metadata::Topic;
use crate::node::Node;

/// Records whose fault is told in words; the rest are only numbered.
const RECORD_ERRORS_IN_WORDS: usize = 16;
/// The first version of Produce that carries zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;
/// What a record without a timestamp has in its place.
const NO_TIMESTAMP: i64 = -1;

/// A batch that passed.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) batch: AppendBatch,
    pub(super) record_count: u64,
}

/// Why a batch is refused. Nothing of it reaches the log.
#[derive(Clone, Debug, Error)]
pub(super) enum Refusal {
    #[error("acks must be 0, 1 or -1, not {0}")]
    InvalidAcks(i16),
    #[error("transactions are not served")]
    Transactional,
    #[error("There is no such topic or partition.")]
    UnknownPartition,
    #[error("Topic {0} is the broker's own.")]
    InternalTopic(String),
    #[error("min.insync.replicas is {0}, and one replica is all there is.")]
    NotEnoughReplicas(i64),
    #[error("There is no record batch.")]
    NoBatch,
    #[error("zstd needs Produce version {ZSTD_SINCE} or newer.")]
    ZstdTooEarly,
    #[error("Batch of {bytes} bytes is larger than max.message.bytes, {max}.")]
    TooLarge { bytes: usize, max: usize },
    #[error("{0}")]
    Inflate(#[from] InflateError),
    #[error("The batch's CRC does not match its bytes.")]
    BadCrc,
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Structure(#[from] ClientBatchError),
    #[error("{message}")]
    Records {
        error: ErrorCode,
        errors: Vec<RecordError>,
        message: String,
    },
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Storage(String),
}

impl Refusal {
    /// Kafka's code for it. Structure faults are permanent, so that no client retries them for
    /// ever; a CRC that does not match may be the network's doing and is worth another try.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidAcks(_) => ErrorCode::InvalidRequiredAcks,
            Self::Transactional => ErrorCode::InvalidTxnState,
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::InternalTopic(_) => ErrorCode::InvalidTopicException,
            Self::TooLarge { .. } | Self::Inflate(InflateError::TooLarge { .. }) => {
                ErrorCode::MessageTooLarge
            }
            Self::Structure(ClientBatchError::AppendTime) => ErrorCode::InvalidTimestamp,
            Self::BadCrc | Self::Header(HeaderError::Truncated { .. }) => ErrorCode::CorruptMessage,
            Self::ZstdTooEarly | Self::Header(HeaderError::UnknownCodec(_)) => {
                ErrorCode::UnsupportedCompressionType
            }
            Self::NoBatch | Self::Inflate(_) | Self::Header(_) | Self::Structure(_) => {
                ErrorCode::InvalidRecord
            }
            Self::Records { error, .. } => *error,
            Self::Unavailable(_) | Self::NotEnoughReplicas(_) => ErrorCode::NotEnoughReplicas,
            Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// What refuses every batch of a request at once.
pub(super) fn request_refusal(request: &ProduceRequest) -> Option<Refusal> {
    if !(-1..=1).contains(&request.acks) {
        Some(Refusal::InvalidAcks(request.acks))
    } else if request.transactional_id.is_some() {
        Some(Refusal::Transactional)
    } else {
        None
    }
}

/// What refuses every batch of a topic: `acks=all` asks for more replicas than there are, and that
/// counts.
pub(super) fn replicas_refusal(node: &Node, topic: &str, acks: i16) -> Option<Refusal> {
    const ALL: i16 = -1;
    if acks != ALL || !node.config.strict_replication {
        return None;
    }
    let cluster = node.metadata.cluster();
    let asked = cluster.topic(topic)?.settings.min_insync_replicas;
    (asked > 1).then_some(Refusal::NotEnoughReplicas(asked))
}

/// Checks one partition's batch. `memory` is what it stands in: the request's frame.
pub(super) async fn admit(
    asker: Asker<'_>,
    topic_name: &str,
    index: PartitionIndex,
    records: Bytes,
    memory: &[u8],
) -> Result<Admitted, Refusal> {
    let Asker {
        node,
        call,
        arrival,
    } = asker;
    let cluster = node.metadata.cluster();
    let topic = cluster.topic(topic_name).ok_or(Refusal::UnknownPartition)?;
    let target = topic.partition(index).ok_or(Refusal::UnknownPartition)?;
    if topic.is_internal() {
        return Err(Refusal::InternalTopic(topic_name.to_owned()));
    }
    let header = structure(topic, &records)?;
    let codec = header.codec()?;
    if codec == Codec::Zstd && call.version() < ZSTD_SINCE {
        return Err(Refusal::ZstdTooEarly);
    }
    let now = node.clock.now();
    let inflation = node.config.limits.inflation();
    let section = Section::within(memory, &records[HEADER_BYTES..]);
    let inflated = node
        .decompressors
        .decompress(codec, section, inflation)
        .await?;
    let section = inflated.section();
    let duplicate = header.has_producer()
        && matches!(
            node.log.find_duplicate(target, &header),
            DuplicateCheck::Duplicate { .. }
        );
    // A duplicate is answered from the original, which was checked when it came.
    let alongside = (!duplicate && !topic.policy.is_undecided()).then(|| {
        node.contracts
            .alongside(topic.name(), call.principal(), &topic.policy, arrival)
    });
    let walk = || walk_safely(topic, &header, section, now, alongside.flatten());
    let Walked {
        greatest_timestamp,
        accepted,
    } = node.compute.run(section.bytes().len(), walk).await?;
    let checked = match accepted {
        Some(Accepted { tag, basis }) => Checked {
            tag,
            guard: guard(node, topic, topic.policy.revision, &basis),
        },
        None if duplicate => Checked {
            tag: 0,
            guard: lapsed_guard(),
        },
        None => check(asker, topic, target, &header, section).await?,
    };
    Ok(Admitted {
        batch: AppendBatch {
            target,
            batch: with_max_timestamp(&records, &header, greatest_timestamp),
            tag: checked.tag,
            append_time: topic.settings.log_append_time.then_some(now),
            guard: Some(checked.guard),
            origin: Origin::Client,
        },
        record_count: u64::try_from(header.record_count).unwrap_or(0),
    })
}

/// The header of exactly one sound batch.
fn structure(topic: &Topic, records: &Bytes) -> Result<BatchHeader, Refusal> {
    if records.is_empty() {
        return Err(Refusal::NoBatch);
    }
    let max = topic.settings.max_message_bytes;
    if records.len() > max {
        return Err(Refusal::TooLarge {
            bytes: records.len(),
            max,
        });
    }
    let header = BatchHeader::parse(records)?;
    records::verify_client_header(&header, records.len())?;
    if !batch::crc_matches(records) {
        return Err(Refusal::BadCrc);
    }
    if header.is_transactional() {
        return Err(Refusal::Transactional);
    }
    Ok(header)
}

/// What a walk over all records found.
struct Walked {
    greatest_timestamp: TimestampMs,
    /// Present if it is known already that the contract accepts the batch.
    accepted: Option<Accepted>,
}

/// Walks every record; a validator that panics refuses the batch.
fn walk_safely(
    topic: &Topic,
    header: &BatchHeader,
    section: Section<'_>,
    now: TimestampMs,
    alongside: Option<Alongside<'_>>,
) -> Result<Walked, Refusal> {
    let walk = || walk(topic, header, section, now, alongside);
    catch_unwind(AssertUnwindSafe(walk)).unwrap_or_else(|_| {
        tracing::error!(
            topic = topic.name(),
            "the validator panicked, batch refused"
        );
        Err(Refusal::Storage("the validator failed".to_owned()))
    })
}

/// Walks every record: all are sound, have a key where the topic is compacted, and a timestamp
/// within the topic's bounds. Takes the contract's check along.
fn walk(
    topic: &Topic,
    header: &BatchHeader,
    section: Section<'_>,
    now: TimestampMs,
    mut alongside: Option<Alongside<'_>>,
) -> Result<Walked, Refusal> {
    let settings = &topic.settings;
    let mut faults = Faults::default();
    let mut greatest = i64::MIN;
    let earliest = now.0.saturating_sub(settings.timestamp_before_max_ms);
    let latest = now.0.saturating_add(settings.timestamp_after_max_ms);
    let in_bounds = |timestamp| {
        settings.log_append_time
            || timestamp == NO_TIMESTAMP
            || (earliest..=latest).contains(&timestamp)
    };
    for record in RecordIter::new(section, header.record_count) {
        let record = record.map_err(ClientBatchError::from)?;
        if record.offset_delta != record.index {
            let fault = RecordFault::BadOffsetDelta(record.offset_delta);
            let (index, at) = (record.index, record.position);
            return Err(ClientBatchError::from(records::RecordError { index, at, fault }).into());
        }
        let timestamp = header
            .base_timestamp
            .0
            .saturating_add(record.timestamp_delta);
        greatest = greatest.max(timestamp);
        if let Some(alongside) = &mut alongside {
            alongside.record(section, &record);
        }
        if settings.compacted && record.key.is_none() {
            faults.add(ErrorCode::InvalidRecord, record.index, || {
                "Compacted topic cannot accept message without key.".to_owned()
            });
        } else if !in_bounds(timestamp) {
            faults.add(ErrorCode::InvalidTimestamp, record.index, || {
                format!("Timestamp {timestamp} is outside {earliest} to {latest}.")
            });
        }
    }
    faults.into_result().map(|()| Walked {
        greatest_timestamp: TimestampMs(greatest),
        accepted: alongside.and_then(Alongside::accepted),
    })
}

/// The batch with the greatest timestamp of its records in the header, where a client had it
/// wrong: retention and look-ups by time rest on it.
fn with_max_timestamp(records: &Bytes, header: &BatchHeader, greatest: TimestampMs) -> Bytes {
    if header.max_timestamp == greatest {
        return records.clone();
    }
    let mut corrected = records.to_vec();
    batch::stamp_max_timestamp(&mut corrected, greatest);
    corrected.into()
}

/// Faults found in a walk; the first gives the batch its code and message.
#[derive(Default)]
struct Faults {
    first: Option<(ErrorCode, String)>,
    errors: Vec<RecordError>,
}

impl Faults {
    fn add(&mut self, error: ErrorCode, index: i32, message: impl FnOnce() -> String) {
        let message = (self.errors.len() < RECORD_ERRORS_IN_WORDS).then(message);
        if self.first.is_none() {
            self.first = Some((error, message.clone().unwrap_or_default()));
        }
        if self.errors.len() < LISTED_MAX {
            self.errors.push(RecordError { index, message });
        }
    }

    fn into_result(self) -> Result<(), Refusal> {
        match self.first {
            None => Ok(()),
            Some((error, message)) => Err(Refusal::Records {
                error,
                errors: self.errors,
                message,
            }),
        }
    }
}

/// Holds while the topic's contract has this revision and the schemas are those of the verdict.
fn guard(node: &Node, topic: &Topic, revision: u64, basis: &Basis) -> Guard {
    let mut guard = Guard::new(topic.revision.clone(), revision);
    for (current, expected) in node.contracts.conditions(basis) {
        guard.add(current, expected);
    }
    guard
}

/// Never holds. A duplicate was not checked: should its original be forgotten before the log looks
/// for it, it must not be appended but come back to be checked.
fn lapsed_guard() -> Guard {
    Guard::new(Arc::default(), u64::MAX)
}

struct Checked {
    tag: u32,
    guard: Guard,
}

/// Checks the records against the topic's contract, which is decided now where `auto` is open.
async fn check(
    asker: Asker<'_>,
    topic: &Topic,
    target: TopicPartition,
    header: &BatchHeader,
    records: Section<'_>,
) -> Result<Checked, Refusal> {
    let Asker {
        node,
        call,
        arrival,
    } = asker;
    let (policy, revision) = contract_in_force(node, topic, arrival).await?;
    if !Contracts::needs_check(&policy) {
        let guard = guard(node, topic, revision, &Basis::default());
        return Ok(Checked { tag: 0, guard });
    }
    let request = CheckRequest {
        topic: topic.name(),
        partition: target.partition,
        client_id: call.header.client_id.as_deref(),
        principal: call.principal(),
        header,
        records,
        policy: &policy,
        arrival,
    };
    let avouch_contract::Checked { verdict, basis } =
        node.contracts.check(request, &node.compute).await;
    match verdict {
        Verdict::Accept { tag } => Ok(Checked {
            tag,
            guard: guard(node, topic, revision, &basis),
        }),
        Verdict::Reject {
            record_errors,
            message,
        } => Err(Refusal::Records {
            error: ErrorCode::InvalidRecord,
            errors: record_errors,
            message,
        }),
        Verdict::Unavailable { reason } => Err(Refusal::Unavailable(reason)),
        Verdict::Failed { reason } => Err(Refusal::Storage(reason)),
    }
}

/// The topic's contract with `auto` decided as far as it can be now, and its revision.
async fn contract_in_force(
    node: &Arc<Node>,
    topic: &Topic,
    arrival: &Arrival,
) -> Result<(Arc<EffectivePolicy>, u64), Refusal> {
    if !topic.policy.is_undecided() {
        return Ok((topic.policy.clone(), topic.policy.revision));
    }
    let is_empty = node.is_empty(topic.id());
    let contracts = &node.contracts;
    let AutoDecisions { if_empty, if_used } = contracts
        .decide_auto(&topic.policy, topic.name(), is_empty, arrival)
        .await
        .map_err(|error| Refusal::Unavailable(error.to_string()))?;
    if if_empty.0.is_undecided() && if_empty.1.is_undecided() {
        return Ok((topic.policy.clone(), topic.policy.revision));
    }
    let decided = node
        .decide(topic.id(), if_empty, if_used)
        .await
        .map_err(|error| Refusal::Storage(error.to_string()))?;
    Ok((decided.policy.clone(), decided.policy.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: contract/3i
    #[test]
    fn what_was_taken_for_a_duplicate_is_never_appended_unchecked() {
        assert!(!lapsed_guard().holds());
    }
}
