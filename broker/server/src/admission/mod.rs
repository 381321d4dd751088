//! Decides whether a batch may be appended. Checks topic, size, structure, CRC, records, duplicate
//! and contract, in this order, and changes nothing except that a topic's first batch decides a
//! contract of `auto`.

mod rejection;
mod walk;

use std::sync::Arc;

use avouch_compute::ComputePool;
use avouch_contract::{
    Accepted, AutoDecisions, Basis, CheckRequest, Checked, Contracts, EffectivePolicy,
    RequestContext, Verdict,
};
use avouch_log::{AppendBatch, DuplicateCheck, Guard, Log, Origin};
use avouch_net::Clock;
use avouch_protocol::batch::{self, BatchHeader, Codec, HEADER_BYTES};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::produce::ProduceRequest;
use avouch_protocol::records;
use avouch_protocol::section::Section;
use avouch_protocol::types::{Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use bytes::Bytes;

use crate::admin::run_to_completion;
use crate::decompressor_pool::DecompressorPool;
use crate::metadata::{Metadata, MetadataError, Topic, TopicKey};
pub(crate) use rejection::Rejection;
use walk::Walked;

/// First version of Produce with zstd (KIP-110).
const ZSTD_VERSION: i16 = 7;
/// `acks` of a producer that waits for all in-sync replicas.
const ACKS_ALL: i16 = -1;

/// Checks batches of producers.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) clock: Clock,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) log: Log,
    pub(crate) contracts: Contracts,
    pub(crate) compute: ComputePool,
    pub(crate) decompressors: DecompressorPool,
    /// `strict.replication`.
    pub(crate) strict_replication: bool,
}

/// The request of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProduceContext<'a> {
    pub(crate) version: i16,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) principal: &'a str,
    /// Shared by all batches of the request, so that they wait for the registry together.
    pub(crate) request: &'a RequestContext,
}

/// A batch that may be appended.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) batch: AppendBatch,
    pub(crate) record_count: u64,
}

/// An accepted check: the schema id tag of the batch, and the condition under which it is valid.
struct Approval {
    tag: u32,
    guard: Guard,
}

impl Admission {
    /// Returns the reason to reject every batch of a request.
    pub(crate) fn reject_request(&self, request: &ProduceRequest) -> Option<Rejection> {
        if !(-1..=1).contains(&request.acks) {
            Some(Rejection::InvalidAcks(request.acks))
        } else if request.transactional_id.is_some() {
            Some(Rejection::Transactional)
        } else {
            None
        }
    }

    /// Returns the reason to reject every batch of a topic: with `strict.replication`, `acks=all`
    /// requires `min.insync.replicas` brokers.
    pub(crate) fn reject_topic(&self, topic: &TopicKey, acks: i16) -> Option<Rejection> {
        if acks != ACKS_ALL || !self.strict_replication {
            return None;
        }
        let cluster = self.metadata.cluster();
        let required = cluster.find(topic)?.settings.min_insync_replicas;
        (required > 1).then_some(Rejection::NotEnoughReplicas(required))
    }

    /// Checks the batch of one partition. `memory` is the buffer that contains `records`.
    ///
    /// # Errors
    /// The reason why the batch may not be appended.
    pub(crate) async fn admit(
        &self,
        context: ProduceContext<'_>,
        key: &TopicKey,
        index: PartitionIndex,
        records: &Bytes,
        memory: &[u8],
    ) -> Result<Admitted, Rejection> {
        let cluster = self.metadata.cluster();
        let topic = cluster.find(key).ok_or(match key {
            TopicKey::Name(_) => Rejection::UnknownPartition,
            TopicKey::Id(_) => Rejection::UnknownTopicId,
        })?;
        let target = topic.partition(index).ok_or(Rejection::UnknownPartition)?;
        if topic.is_internal() {
            return Err(Rejection::InternalTopic(topic.name().to_owned()));
        }
        // Before decompression: the CRC covers the compressed bytes.
        let header = parse_batch(topic, records)?;
        let codec = header.codec()?;
        if codec == Codec::Zstd && context.version < ZSTD_VERSION {
            return Err(Rejection::ZstdTooEarly);
        }
        let now = self.clock.now();
        let section = Section::within(memory, &records[HEADER_BYTES..]);
        let decompressed = self
            .decompressors
            .decompress(codec, section, topic.settings.decompression)
            .await
            .map_err(|error| Rejection::decompression(error, topic.settings.decompression))?;
        let section = decompressed.section();
        // The response to a duplicate is that of its original, which was checked.
        let is_duplicate = header.has_producer()
            && matches!(
                self.log.find_duplicate(target, &header),
                DuplicateCheck::Duplicate { .. }
            );
        // An undecided `auto` needs the registry, so `check` decides it after the walk.
        let contract = (!is_duplicate && !topic.policy.is_undecided()).then(|| {
            let (policy, principal) = (&topic.policy, context.principal);
            self.contracts
                .inline_check(topic.name(), principal, policy, context.request)
        });
        // The contract is checked in the same pass as the structure where possible, which saves a
        // second pass over most batches.
        let walk = || walk::walk(topic, &header, section, now, contract.flatten());
        let Walked {
            max_timestamp,
            accepted,
        } = self.compute.run(section.bytes().len(), walk).await?;
        let approval = match accepted {
            Some(Accepted { tag, basis }) => Approval {
                tag,
                guard: self.guard(topic, topic.policy.revision, &basis),
            },
            None if is_duplicate => Approval {
                tag: 0,
                guard: failing_guard(),
            },
            None => self.check(context, topic, target, &header, section).await?,
        };
        Ok(Admitted {
            batch: AppendBatch {
                target,
                batch: with_max_timestamp(records, &header, max_timestamp),
                tag: approval.tag,
                append_time: topic.settings.log_append_time.then_some(now),
                guard: Some(approval.guard),
                origin: Origin::Client,
            },
            record_count: u64::try_from(header.record_count).unwrap_or(0),
        })
    }

    /// Checks the records against the topic's contract. Decides `auto` first if it is undecided.
    async fn check(
        &self,
        context: ProduceContext<'_>,
        topic: &Topic,
        target: TopicPartition,
        header: &BatchHeader,
        records: Section<'_>,
    ) -> Result<Approval, Rejection> {
        let (policy, revision) = self.effective_policy(topic, context.request).await?;
        if !Contracts::needs_check(&policy) {
            let guard = self.guard(topic, revision, &Basis::default());
            return Ok(Approval { tag: 0, guard });
        }
        let request = CheckRequest {
            topic: topic.name(),
            partition: target.partition,
            api_version: context.version,
            client_id: context.client_id,
            principal: context.principal,
            header,
            records,
            policy: &policy,
            context: context.request,
        };
        let Checked { verdict, basis } = self.contracts.check(request, &self.compute).await;
        match verdict {
            Verdict::Accept { tag } => Ok(Approval {
                tag,
                guard: self.guard(topic, revision, &basis),
            }),
            Verdict::Reject {
                record_errors,
                message,
            } => Err(Rejection::Records {
                error: ErrorCode::InvalidRecord,
                errors: record_errors,
                message,
            }),
            Verdict::Unavailable { reason } => Err(Rejection::Unavailable(reason)),
            Verdict::Failed { reason } => Err(Rejection::Storage(reason)),
        }
    }

    /// Returns the topic's contract and its revision, with `auto` decided if that is possible now.
    async fn effective_policy(
        &self,
        topic: &Topic,
        request: &RequestContext,
    ) -> Result<(Arc<EffectivePolicy>, u64), Rejection> {
        if !topic.policy.is_undecided() {
            return Ok((Arc::clone(&topic.policy), topic.policy.revision));
        }
        let is_empty = is_empty(&self.metadata, &self.log, topic.id());
        let decisions = self
            .contracts
            .decide_auto(&topic.policy, topic.name(), is_empty, request)
            .await
            .map_err(|error| Rejection::Unavailable(format!("registry unavailable: {error}")))?;
        let (key, value) = decisions.if_empty;
        if key.is_undecided() && value.is_undecided() {
            return Ok((Arc::clone(&topic.policy), topic.policy.revision));
        }
        let decided = self
            .decide(topic.id(), decisions)
            .await
            .map_err(|error| Rejection::Storage(error.to_string()))?;
        Ok((Arc::clone(&decided.policy), decided.policy.revision))
    }

    /// Stores the decision of `auto`: `if_empty` if nothing was ever appended to the topic,
    /// including what is not durable yet, else `if_used`.
    async fn decide(
        &self,
        id: TopicId,
        decisions: AutoDecisions,
    ) -> Result<Arc<Topic>, MetadataError> {
        let (metadata, log) = (Arc::clone(&self.metadata), self.log.clone());
        // Evaluated under the metadata lock, after the contract's revision was raised: a batch
        // appended under the old revision is counted, and a later one fails its guard.
        // The change completes even if the connection closes.
        run_to_completion(async move {
            let decision = || {
                if is_empty(&metadata, &log, id) {
                    decisions.if_empty
                } else {
                    decisions.if_used
                }
            };
            metadata.decide(id, decision).await
        })
        .await
    }

    /// Returns a guard that holds while the topic's contract has this revision and its schemas are
    /// those of the check.
    fn guard(&self, topic: &Topic, revision: u64, basis: &Basis) -> Guard {
        let mut guard = Guard::new(Arc::clone(&topic.revision), revision);
        for (current, expected) in self.contracts.conditions(basis) {
            guard.add(current, expected);
        }
        guard
    }
}

/// Parses the header of a batch and verifies that the bytes are exactly one valid batch.
fn parse_batch(topic: &Topic, records: &Bytes) -> Result<BatchHeader, Rejection> {
    if records.is_empty() {
        return Err(Rejection::NoBatch);
    }
    let max = topic.settings.max_message_bytes;
    if records.len() > max {
        return Err(Rejection::TooLarge {
            bytes: records.len(),
            max,
        });
    }
    let header = BatchHeader::parse(records)?;
    records::verify_client_header(&header, records.len())?;
    if !batch::crc_matches(records) {
        return Err(Rejection::BadCrc);
    }
    if header.is_transactional() {
        return Err(Rejection::Transactional);
    }
    Ok(header)
}

/// Returns the batch with the maximum timestamp of its records in the header. Retention and lookups
/// by time depend on it, and some clients write a wrong one.
fn with_max_timestamp(records: &Bytes, header: &BatchHeader, max_timestamp: TimestampMs) -> Bytes {
    if header.max_timestamp == max_timestamp {
        return records.clone();
    }
    let mut corrected = records.to_vec();
    batch::stamp_max_timestamp(&mut corrected, max_timestamp);
    corrected.into()
}

/// Returns a guard that never holds. A duplicate is not checked against the contract: if its
/// original is forgotten before the log compares them, the batch must not be appended.
fn failing_guard() -> Guard {
    Guard::new(Arc::default(), u64::MAX)
}

/// Returns true if no batch ever got an offset in the topic.
fn is_empty(metadata: &Metadata, log: &Log, id: TopicId) -> bool {
    let cluster = metadata.cluster();
    let mut partitions = cluster
        .topic_by_id(id)
        .into_iter()
        .flat_map(|topic| topic.partitions());
    partitions.all(|partition| {
        let next = log.next_offset(partition);
        next.is_none_or(|next| next == Offset(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: contract/3i
    #[test]
    fn duplicates_are_never_appended_unchecked() {
        assert!(!failing_guard().holds());
    }
}
