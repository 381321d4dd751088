//! Contracts: a record that violates its topic's contract never reaches the log, and its producer
//! receives the record, the field and the reason.
//!
//! A batch passes through `config` (the policy of the topic's configs, with `auto` decided),
//! `check` (the schema ids of its records), `schemas` (their validators, usually cached),
//! `check::eligibility` (whether the topic allows each schema), `check` again (every record) and
//! `report`. Only `schemas::cache`, which queries the registry, and `report` have side effects.
//!
//! Invariant: a record that cannot be checked is rejected. Knows no file and no socket.

mod check;
mod config;
mod report;
mod schemas;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avouch_compute::ComputePool;
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::section::Section;
use avouch_protocol::types::PartitionIndex;
use avouch_registry_api::source::SchemaSource;
use avouch_registry_api::subject::RecordPart;
use futures_util::future::join_all;

pub use check::LISTED_MAX;
pub use check::basis::Basis;
pub use check::inline_check::InlineCheck;
pub use config::auto::{AUTO_EXCLUDE_DEFAULT, Decision, parse_exclude};
pub use config::effective::EffectivePolicy;
pub use config::keys;
pub use config::policy::Policy;
pub use report::feed;
pub use schemas::cache::{CacheConfig, ClockMs, Schemas};
pub use schemas::lookup::{LookupError, RequestContext};

use check::eligibility::{self, Eligibility};
use check::{Batch, Eligibilities, Findings, PerPart};
use config::effective::{Mode, Rule};
use report::Report;
use report::feed::Feed;
use schemas::cache::CachedLookup;
use schemas::lookup::Staleness;

/// Startup configuration of contracts.
#[derive(Clone, Debug)]
pub struct ContractConfig {
    /// `avouch.auto.exclude`: topics that `auto` skips, as patterns with `*`.
    pub auto_exclude: Vec<String>,
    /// Bounds of the schema cache.
    pub cache: CacheConfig,
    /// Number of violations that the HTTP API retains. Default 10,000, about 1 KiB each.
    pub feed_entries: usize,
}

impl Default for ContractConfig {
    fn default() -> Self {
        Self {
            auto_exclude: AUTO_EXCLUDE_DEFAULT
                .iter()
                .map(|&word| word.to_owned())
                .collect(),
            cache: CacheConfig::default(),
            feed_entries: 10_000,
        }
    }
}

/// A batch to check. Its structure is valid, and its records are decompressed.
#[derive(Clone, Copy, Debug)]
pub struct CheckRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: PartitionIndex,
    /// Version of the Produce request, for log lines.
    pub api_version: i16,
    /// The producer's client id.
    pub client_id: Option<&'a str>,
    /// The producer's principal, such as `User:ANONYMOUS`.
    pub principal: &'a str,
    /// The batch's header.
    pub header: &'a BatchHeader,
    /// The bytes after the header, decompressed.
    pub records: Section<'a>,
    /// The topic's contract.
    pub policy: &'a EffectivePolicy,
    /// The context of the request that contains the batch.
    pub context: &'a RequestContext,
}

/// A record that violates its contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record in the batch, from 0.
    pub index: i32,
    /// The violation; only the first 16 records of a batch have a message.
    pub message: Option<String>,
}

/// The result of a check, valid for the policy's revision only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The batch may be appended.
    Accept {
        /// The schema id of all checked keys and values; 0 if there is none or several, or if some
        /// violate in shadow mode.
        tag: u32,
    },
    /// The batch must not be appended: INVALID_RECORD.
    Reject {
        /// The records that violate, by index, at most [`check::LISTED_MAX`].
        record_errors: Vec<RecordError>,
        /// The first fault and the number of records that violate.
        message: String,
    },
    /// The registry is unavailable: NOT_ENOUGH_REPLICAS, which clients retry.
    Unavailable {
        /// The reason, for the producer.
        reason: String,
    },
    /// The validator itself failed: KAFKA_STORAGE_ERROR.
    Failed {
        /// The reason, for the producer.
        reason: String,
    },
}

/// A verdict, and the state of the registry that it is valid for.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict.
    pub verdict: Verdict,
    /// The eligible schemas; empty if the verdict depends on none.
    pub basis: Basis,
}

/// The result of an inline check of a batch in which every record passes.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// As in [`Verdict::Accept`].
    pub tag: u32,
    /// The state of the registry that this is valid for.
    pub basis: Basis,
}

/// Decisions of `auto` for keys and for values: of an empty topic, and of a topic with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoDecisions {
    /// The decisions if the topic is empty.
    pub if_empty: (Decision, Decision),
    /// The decisions if the topic has records.
    pub if_used: (Decision, Decision),
}

/// The contracts of all topics.
#[derive(Clone)]
pub struct Contracts {
    schemas: Schemas,
    report: Arc<Report>,
    auto_exclude: Arc<[String]>,
    clock: ClockMs,
}

impl Contracts {
    /// Creates contracts over the schemas of `source`, and registers their metric in `metrics`.
    ///
    /// # Errors
    /// If the metric's name is taken.
    pub fn new(
        source: Arc<dyn SchemaSource>,
        config: ContractConfig,
        clock: ClockMs,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            schemas: Schemas::new(source, config.cache, Arc::clone(&clock)),
            report: Arc::new(Report::register(metrics, config.feed_entries)?),
            auto_exclude: config.auto_exclude.into(),
            clock,
        })
    }

    /// Returns the context of a request that arrives now. All lookups for the request share one
    /// deadline, and negative results from before its arrival are not valid for it.
    #[must_use]
    pub fn start_request(&self) -> RequestContext {
        self.schemas.start_request()
    }

    /// Returns the schema cache, which the caller may save and restore across a restart.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Returns whether batches of a topic need [`Self::check`].
    #[must_use]
    pub fn needs_check(policy: &EffectivePolicy) -> bool {
        policy.checks_anything()
    }

    /// Returns a check for the pass that parses a batch's records; `None` if nothing of the batch
    /// is checked. If it does not accept the batch, call [`Self::check`].
    #[must_use]
    pub fn inline_check<'a>(
        &'a self,
        topic: &'a str,
        principal: &str,
        policy: &'a EffectivePolicy,
        context: &'a RequestContext,
    ) -> Option<InlineCheck<'a>> {
        (policy.checks_anything() && !policy.bypasses(principal))
            .then(|| InlineCheck::new(&self.schemas, topic, policy, context))
    }

    /// Returns the epochs of a basis, each with its value at the verdict. A batch may get its
    /// offset only while they are unchanged. An epoch moves before a change of its schema is
    /// acknowledged, or when the change feed delivers the change.
    pub fn conditions<'a>(
        &'a self,
        basis: &'a Basis,
    ) -> impl Iterator<Item = (Arc<AtomicU64>, u64)> + 'a {
        basis
            .iter()
            .map(|(id, epoch)| (Arc::clone(self.schemas.epoch(id)), epoch))
    }

    /// Checks a batch and reports its violations. Ready immediately if all schemas are cached and
    /// current and `compute` has a permit.
    pub async fn check(&self, request: CheckRequest<'_>, compute: &ComputePool) -> Checked {
        let mut basis = Basis::default();
        let verdict = self.verdict(request, &mut basis, compute).await;
        Checked { verdict, basis }
    }

    async fn verdict(
        &self,
        request: CheckRequest<'_>,
        basis: &mut Basis,
        compute: &ComputePool,
    ) -> Verdict {
        let policy = request.policy;
        // Control batches have no keys and values of clients.
        if !policy.checks_anything()
            || request.header.is_control()
            || policy.bypasses(request.principal)
        {
            return Verdict::Accept { tag: 0 };
        }
        let batch = Batch {
            section: request.records,
            record_count: request.header.record_count,
        };
        // Two passes: all missing schemas are looked up at once between them, and neither pass
        // waits.
        let bytes = request.records.bytes().len();
        let ids = compute
            .run(bytes, || check::schema_ids(batch, policy))
            .await;
        let ids = match ids {
            Ok(ids) => ids,
            Err(error) => return unsound(&error),
        };
        let eligibilities = self.eligibilities(&request, &ids, basis).await;
        if let Some(verdict) = unavailable_verdict(policy, &eligibilities) {
            return verdict;
        }
        let check = || {
            // A panic must reject this batch only. The closure borrows nothing that it could leave
            // in an inconsistent state.
            catch_unwind(AssertUnwindSafe(|| {
                check::check_batch(batch, policy, &eligibilities)
            }))
            .ok()
        };
        match compute.run(bytes, check).await {
            Some(Ok(findings)) => {
                self.report.findings(&request, &findings, (self.clock)());
                verdict(&request, findings)
            }
            Some(Err(error)) => unsound(&error),
            None => {
                tracing::error!(
                    topic = request.topic,
                    "the validator panicked, batch rejected"
                );
                Verdict::Failed {
                    reason: "the validator failed".to_owned(),
                }
            }
        }
    }

    /// Decides `auto` for keys and for values. A result is undecided if it was decided before, if
    /// there is nothing to decide, or if no subject exists yet.
    ///
    /// # Errors
    /// If the registry does not respond in time. Nothing may be appended then, because the subject
    /// may exist.
    pub async fn decide_auto(
        &self,
        policy: &EffectivePolicy,
        topic: &str,
        topic_is_empty: bool,
        context: &RequestContext,
    ) -> Result<AutoDecisions, LookupError> {
        let (mut if_empty, mut if_used) = <(PerPart<_>, PerPart<_>)>::default();
        for part in [RecordPart::Key, RecordPart::Value] {
            if policy.is_part_undecided(part) {
                let part_policy = policy.policy.part(part);
                let subjects = part_policy.fixed_subjects(topic, part);
                // An excluded topic needs no lookup. The first record of an empty topic decides
                // permanently, so a cached absence is confirmed then.
                let exists = !config::auto::is_excluded(topic, &self.auto_exclude)
                    && self.any_exists(&subjects, topic_is_empty, context).await?;
                let decide = |is_empty| {
                    config::auto::decide_auto(
                        part_policy,
                        topic,
                        &self.auto_exclude,
                        exists,
                        is_empty,
                    )
                };
                *if_empty.part_mut(part) = decide(true);
                *if_used.part_mut(part) = decide(false);
            }
        }
        Ok(AutoDecisions {
            if_empty: (if_empty.key, if_empty.value),
            if_used: (if_used.key, if_used.value),
        })
    }

    /// Returns the feed of the newest violations, which the caller may serve.
    #[must_use]
    pub fn feed(&self) -> Arc<Feed> {
        Arc::clone(&self.report.feed)
    }

    async fn any_exists(
        &self,
        subjects: &[String],
        confirm_absence: bool,
        context: &RequestContext,
    ) -> Result<bool, LookupError> {
        // One after the other: a listed subject that exists makes the others irrelevant.
        for subject in subjects {
            let exists = self
                .schemas
                .subject_exists(subject, context, confirm_absence);
            if exists.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the eligibility of each id of a batch: from the cache where it is current, else by
    /// lookups. Adds the eligible schemas to `basis`.
    async fn eligibilities(
        &self,
        request: &CheckRequest<'_>,
        ids: &PerPart<Vec<i32>>,
        basis: &mut Basis,
    ) -> Eligibilities {
        let mut eligibilities = Eligibilities::default();
        let mut missing: Vec<(Rule<'_>, usize, i32, u64)> = Vec::new();
        for rule in check::rules(request.policy).into_iter().flatten() {
            let checked = eligibilities.part_mut(rule.part);
            for (at, &id) in ids.part(rule.part).iter().enumerate() {
                // Before the cache is read: a change in between must be noticed.
                let epoch = self.schemas.epoch(id).load(Ordering::Acquire);
                let Some(cached) = self.schemas.cached(id) else {
                    missing.push((rule, at, id, epoch));
                    // Replaced below by the result of the lookup.
                    checked.push((id, Eligibility::Unavailable(LookupError::Aborted)));
                    continue;
                };
                let schema = cached.schema.as_ref();
                let eligibility = eligibility::check_eligibility(rule, request.topic, id, schema);
                let (schemas, context) = (&self.schemas, request.context);
                match valid_epoch(schemas, context, epoch, &cached, &eligibility) {
                    Some(epoch) => basis.add_eligible(id, epoch, &eligibility),
                    None => missing.push((rule, at, id, epoch)),
                }
                checked.push((id, eligibility));
            }
        }
        if !missing.is_empty() {
            let lookups = missing
                .iter()
                .map(|&(rule, _, id, _)| self.look_up(request, rule, id));
            // Concurrent, so that a batch waits once for the registry, whatever number of schemas
            // it has.
            let results = join_all(lookups).await;
            for (&(rule, at, id, epoch), result) in missing.iter().zip(results) {
                let checked = &mut eligibilities.part_mut(rule.part)[at].1;
                // A failed lookup leaves the state before it.
                let epoch = result.as_ref().map_or(epoch, |(_, epoch)| *epoch);
                merge_lookup(checked, result.map(|(eligibility, _)| eligibility));
                basis.add_eligible(id, epoch, checked);
            }
        }
        eligibilities
    }

    /// Looks up an id and returns its eligibility with the epoch that it is valid for.
    async fn look_up(
        &self,
        request: &CheckRequest<'_>,
        rule: Rule<'_>,
        id: i32,
    ) -> Result<(Eligibility, u64), LookupError> {
        // Twice at most: a shared lookup may have been sent before the request arrived, the next
        // one was not.
        loop {
            let found = self.schemas.lookup(id, request.context).await?;
            let schema = found.schema.as_ref();
            let eligibility = eligibility::check_eligibility(rule, request.topic, id, schema);
            let epoch = self.schemas.epoch(id).load(Ordering::Acquire);
            let (at, staleness) = (found.fetched_at, staleness(&eligibility));
            if self.schemas.is_valid(at, epoch, request.context, staleness) {
                return Ok((eligibility, at.epoch));
            }
        }
    }
}

impl fmt::Debug for Contracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contracts")
            .field("schemas", &self.schemas)
            .finish_non_exhaustive()
    }
}

/// Returns the epoch for which an eligibility from the cache is valid, or `None` if the registry
/// must be queried. `epoch` is the id's, read before the cache.
fn valid_epoch(
    schemas: &Schemas,
    context: &RequestContext,
    epoch: u64,
    cached: &CachedLookup,
    eligibility: &Eligibility,
) -> Option<u64> {
    let fetched_at = cached.fetched_at;
    if schemas.is_valid(fetched_at, epoch, context, staleness(eligibility)) {
        return Some(fetched_at.epoch);
    }
    // While the registry is unreachable, the last eligible schema stays eligible.
    let is_eligible = matches!(eligibility, Eligibility::Eligible(_));
    (is_eligible && !schemas.is_reachable()).then_some(epoch)
}

/// Returns the changes that may make an eligibility stale.
fn staleness(eligibility: &Eligibility) -> Staleness {
    match eligibility {
        Eligibility::Eligible(_) | Eligibility::Broken(_) => Staleness::Received,
        Eligibility::Ineligible(_) | Eligibility::Unavailable(_) => Staleness::Unreceived,
    }
}

/// Replaces a cached eligibility by the result of a lookup. If the lookup failed, an eligible
/// schema stays eligible.
fn merge_lookup(cached: &mut Eligibility, result: Result<Eligibility, LookupError>) {
    match (result, &cached) {
        (Ok(eligibility), _) => *cached = eligibility,
        (Err(_), Eligibility::Eligible(_)) => {}
        (Err(error), _) => *cached = Eligibility::Unavailable(error),
    }
}

/// Returns the verdict if an enforced rule needs a schema that is unavailable or broken.
fn unavailable_verdict(policy: &EffectivePolicy, eligibilities: &Eligibilities) -> Option<Verdict> {
    let mut rules = check::rules(policy).into_iter().flatten();
    rules.find_map(|rule| {
        let mut checked = eligibilities.part(rule.part).iter();
        let verdict = checked.find_map(|(id, eligibility)| match eligibility {
            Eligibility::Eligible(_) | Eligibility::Ineligible(_) => None,
            Eligibility::Unavailable(error) => Some(Verdict::Unavailable {
                reason: format!("schema id {id} not visible yet: {error}"),
            }),
            Eligibility::Broken(reason) => Some(Verdict::Failed {
                reason: format!("schema id {id} is invalid: {reason}"),
            }),
        })?;
        match rule.mode {
            Mode::Enforce => Some(verdict),
            Mode::Shadow => {
                let part = rule.part.as_str();
                tracing::debug!(part, ?verdict, "not checked, in shadow mode");
                None
            }
        }
    })
}

fn verdict(request: &CheckRequest<'_>, findings: Findings) -> Verdict {
    // Violations in shadow mode do not reject the batch, but then it has no tag.
    if findings.rejected == 0 {
        let tag = findings
            .only_id
            .and_then(|id| u32::try_from(id).ok())
            .unwrap_or(0);
        return Verdict::Accept { tag };
    }
    let first = match findings.listed.first() {
        Some((index, Some(fault))) => format!("; record {index}: {fault}"),
        Some((_, None)) | None => String::new(),
    };
    let message = format!(
        "{} of {} records violate the contract of topic {}{first}",
        findings.rejected, request.header.record_count, request.topic
    );
    let error = |(index, message)| RecordError { index, message };
    Verdict::Reject {
        record_errors: findings.listed.into_iter().map(error).collect(),
        message,
    }
}

/// Returns the verdict on records that do not parse. The caller has parsed them before, so this is
/// a second line of defence.
fn unsound(error: &avouch_protocol::records::RecordError) -> Verdict {
    Verdict::Reject {
        record_errors: Vec::new(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
