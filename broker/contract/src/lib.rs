//! Contracts: a record that does not satisfy its topic's contract never reaches the log, and its
//! producer receives the record, the field and the reason.
//!
//! A batch passes through `config` (the policy that the topic's configs state, with `auto`
//! decided), `check` (the schema ids that its records name), `schemas` (their validators, usually
//! from the cache), `check::eligibility` (whether the topic allows each schema), `check` again
//! (every record) and `report`. Only `schemas::cache`, which requests schemas, and `report` have
//! effects.
//!
//! Invariant: what cannot be checked is rejected, never accepted. Knows no file and no socket.

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
use avouch_registry_api::source::{SchemaSource, SourceError};
use avouch_registry_api::subject::Part;
use futures_util::future::join_all;

pub use check::LISTED_MAX;
pub use check::basis::Basis;
pub use check::inline_check::Alongside;
pub use config::auto::{AUTO_EXCLUDE_DEFAULT, Decision, parse_exclude};
pub use config::effective::EffectivePolicy;
pub use config::keys;
pub use config::policy::Policy;
pub use report::feed;
pub use schemas::cache::{Arrival, CacheConfig, ClockMs, Schemas};

use check::eligibility::{self, Judgement};
use check::{Batch, Findings, Judgements, PerPart};
use config::effective::{Mode, Rule};
use report::Report;
use report::feed::Feed;
use schemas::cache::Remembered;
use schemas::lookup::Doubt;

/// What contracts are started with.
#[derive(Clone, Debug)]
pub struct ContractConfig {
    /// `avouch.auto.exclude`: topics that `auto` skips, as patterns with `*`.
    pub auto_exclude: Vec<String>,
    /// Bounds of the schema cache.
    pub cache: CacheConfig,
    /// Violations kept for the HTTP API. Default 10,000, about 1 KiB each.
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

/// A batch to be checked. It is sound, and its records are decompressed.
#[derive(Clone, Copy, Debug)]
pub struct CheckRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: PartitionIndex,
    /// What the producer calls itself.
    pub client_id: Option<&'a str>,
    /// Who the producer is, such as `User:ANONYMOUS`.
    pub principal: &'a str,
    /// The batch's header.
    pub header: &'a BatchHeader,
    /// What stands behind the header, decompressed.
    pub records: Section<'a>,
    /// The topic's contract.
    pub policy: &'a EffectivePolicy,
    /// When the request arrived that brought it.
    pub arrival: &'a Arrival,
}

/// A record that violates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Which record of the batch, from 0.
    pub index: i32,
    /// What is wrong with it; the first 16 of a batch have text.
    pub message: Option<String>,
}

/// What a check comes to. It is good for the policy's revision only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The batch may be appended.
    Accept {
        /// The one schema id that all checked keys and values name, 0 when they name none or
        /// several, or some violate in shadow.
        tag: u32,
    },
    /// The batch must not be appended: INVALID_RECORD.
    Reject {
        /// The records that violate, by index, at most [`check::LISTED_MAX`].
        record_errors: Vec<RecordError>,
        /// The first fault and how many records violate.
        message: String,
    },
    /// The registry is behind or away: NOT_ENOUGH_REPLICAS, which clients retry.
    Unavailable {
        /// Why, for the producer.
        reason: String,
    },
    /// The validator itself failed: KAFKA_STORAGE_ERROR.
    Failed {
        /// Why, for the producer.
        reason: String,
    },
}

/// A verdict, and the state of the registry that it is valid for.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict.
    pub verdict: Verdict,
    /// Empty unless the verdict rests on schemas that pass.
    pub basis: Basis,
}

/// A batch of which every record passes.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// As in [`Verdict::Accept`].
    pub tag: u32,
    /// The state of the registry that this is valid for.
    pub basis: Basis,
}

/// What `auto` comes to for keys and for values of a topic that has no record yet, and of one that
/// has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoDecisions {
    /// Without a record.
    pub if_empty: (Decision, Decision),
    /// With records.
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
    /// Contracts over `source`; `clock` is monotonic, in ms; the metric is registered in `metrics`.
    ///
    /// # Errors
    /// When the metric's name is taken.
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

    /// The arrival of a request: what it asks the registry for is bounded together, and a "no" that
    /// was asked for before doesn't count for it.
    #[must_use]
    pub fn arrive(&self) -> Arrival {
        self.schemas.arrive()
    }

    /// What is known of the registry's schemas, to be kept while a registry apart is away.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Whether batches of a topic need [`Self::check`] at all.
    #[must_use]
    pub fn needs_check(policy: &EffectivePolicy) -> bool {
        policy.checks_anything()
    }

    /// A check to go along with the first walk over a batch's records; `None` when nothing of the
    /// batch is to be checked. Where it doesn't accept the batch, call
    /// [`Self::check`].
    #[must_use]
    pub fn alongside<'a>(
        &'a self,
        topic: &'a str,
        principal: &str,
        policy: &'a EffectivePolicy,
        arrival: &'a Arrival,
    ) -> Option<Alongside<'a>> {
        (policy.checks_anything() && !policy.bypasses(principal))
            .then(|| Alongside::new(&self.schemas, topic, policy, arrival))
    }

    /// Returns the numbers that must not have moved when a batch with this basis gets its offset,
    /// each with its value at the verdict. They move before a change of a schema is acknowledged,
    /// or when the change feed delivers it.
    pub fn conditions<'a>(
        &'a self,
        basis: &'a Basis,
    ) -> impl Iterator<Item = (Arc<AtomicU64>, u64)> + 'a {
        basis
            .iter()
            .map(|(id, epoch)| (Arc::clone(self.schemas.epoch(id)), epoch))
    }

    /// Checks a batch, and reports what violates. Ready at once when all schemas are cached and
    /// current, and `compute` has a permit.
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
        let bytes = request.records.bytes().len();
        let ids = compute
            .run(bytes, || check::schema_ids(batch, policy))
            .await;
        let ids = match ids {
            Ok(ids) => ids,
            Err(error) => return unsound(&error),
        };
        let judgements = self.judgements(&request, &ids, basis).await;
        if let Some(verdict) = undecidable(policy, &judgements) {
            return verdict;
        }
        let check = || {
            catch_unwind(AssertUnwindSafe(|| {
                check::check_batch(batch, policy, &judgements)
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
                    "the validator panicked, batch refused"
                );
                Verdict::Failed {
                    reason: "the validator failed".to_owned(),
                }
            }
        }
    }

    /// What `auto` comes to for keys and for values, as far as it can be told now. Each is
    /// undecided when it is decided already or there is nothing to decide. For a topic that is
    /// empty it is asked for anew whether its subject exists, because the first record decides.
    ///
    /// # Errors
    /// When the registry doesn't answer in time: nothing may be appended then, because the subject
    /// may exist.
    pub async fn decide_auto(
        &self,
        policy: &EffectivePolicy,
        topic: &str,
        topic_is_empty: bool,
        arrival: &Arrival,
    ) -> Result<AutoDecisions, SourceError> {
        let (mut if_empty, mut if_used) = <(PerPart<_>, PerPart<_>)>::default();
        for part in [Part::Key, Part::Value] {
            if policy.is_part_undecided(part) {
                let part_policy = policy.policy.part(part);
                let subjects = part_policy.fixed_subjects(topic, part);
                // Whether the subject exists is asked only where it matters.
                let exists = !config::auto::is_excluded(topic, &self.auto_exclude)
                    && self.any_exists(&subjects, topic_is_empty, arrival).await?;
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
        may_be_unheard: bool,
        arrival: &Arrival,
    ) -> Result<bool, SourceError> {
        for subject in subjects {
            let exists = self
                .schemas
                .subject_exists(subject, arrival, may_be_unheard);
            if exists.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the judgement of each id of a batch: from the cache where it is current, else by
    /// lookups. Adds the schemas that pass to `basis`.
    async fn judgements(
        &self,
        request: &CheckRequest<'_>,
        ids: &PerPart<Vec<i32>>,
        basis: &mut Basis,
    ) -> Judgements {
        let mut judgements = Judgements::default();
        let mut asked: Vec<(Rule<'_>, usize, i32, u64)> = Vec::new();
        for rule in check::rules(request.policy).into_iter().flatten() {
            let judged = judgements.part_mut(rule.part);
            for (at, &id) in ids.part(rule.part).iter().enumerate() {
                // Before the cache is read: a change in between must show.
                let epoch = self.schemas.epoch(id).load(Ordering::Acquire);
                let Some(remembered) = self.schemas.remembered(id) else {
                    asked.push((rule, at, id, epoch));
                    judged.push((id, Judgement::Unavailable(String::new())));
                    continue;
                };
                let judgement =
                    eligibility::check_eligibility(rule, request.topic, id, &remembered.answer);
                let (schemas, arrival) = (&self.schemas, request.arrival);
                match epoch_in_force(schemas, arrival, epoch, &remembered, &judgement) {
                    Some(epoch) => basis.add_passed(id, epoch, &judgement),
                    None => asked.push((rule, at, id, epoch)),
                }
                judged.push((id, judgement));
            }
        }
        if !asked.is_empty() {
            let answers = join_all(
                asked
                    .iter()
                    .map(|&(rule, _, id, _)| self.ask(request, rule, id)),
            );
            for (&(rule, at, id, epoch), answer) in asked.iter().zip(answers.await) {
                let judged = &mut judgements.part_mut(rule.part)[at].1;
                // A lookup that failed leaves what was known before it.
                let epoch = answer.as_ref().map_or(epoch, |(_, epoch)| *epoch);
                judge_again(judged, id, answer.map(|(judgement, _)| judgement));
                basis.add_passed(id, epoch, judged);
            }
        }
        judgements
    }

    /// Looks up an id and returns its judgement with the epoch that it belongs to. A lookup that
    /// was sent before the request arrived may not be valid for it; the next one is.
    async fn ask(
        &self,
        request: &CheckRequest<'_>,
        rule: Rule<'_>,
        id: i32,
    ) -> Result<(Judgement, u64), String> {
        loop {
            let answered = self.schemas.look_up(id, request.arrival).await?;
            let judgement =
                eligibility::check_eligibility(rule, request.topic, id, &answered.answer);
            let epoch = self.schemas.epoch(id).load(Ordering::Acquire);
            let doubt = doubt(&judgement);
            let asked_at = answered.asked_at;
            if self.schemas.stands(asked_at, epoch, request.arrival, doubt) {
                return Ok((judgement, asked_at.epoch));
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

/// Returns the epoch as of which a judgement from the cache is valid, or `None` if the registry
/// must be queried. `epoch` is the id's, read before the cache. While the registry is unreachable,
/// what passed last goes on passing.
fn epoch_in_force(
    schemas: &Schemas,
    arrival: &Arrival,
    epoch: u64,
    remembered: &Remembered,
    judgement: &Judgement,
) -> Option<u64> {
    if schemas.stands(remembered.asked_at, epoch, arrival, doubt(judgement)) {
        return Some(remembered.asked_at.epoch);
    }
    let passes = matches!(judgement, Judgement::Passes(_));
    (passes && !schemas.is_reachable()).then_some(epoch)
}

/// The changes that may make a judgement outdated.
fn doubt(judgement: &Judgement) -> Doubt {
    match judgement {
        Judgement::Passes(_) | Judgement::Broken(_) => Doubt::Change,
        Judgement::Fails(_) | Judgement::Unavailable(_) => Doubt::Unheard,
    }
}

/// Puts in what the registry's answer comes to. While it is away, what passed goes on passing.
fn judge_again(judged: &mut Judgement, id: i32, answer: Result<Judgement, String>) {
    match (answer, &judged) {
        (Ok(judgement), _) => *judged = judgement,
        (Err(_), Judgement::Passes(_)) => {}
        (Err(reason), _) => {
            *judged = Judgement::Unavailable(format!("schema id {id} not visible yet: {reason}"));
        }
    }
}

/// The verdict when an enforced rule meets a schema of which nothing can be told.
fn undecidable(policy: &EffectivePolicy, judgements: &Judgements) -> Option<Verdict> {
    let mut rules = check::rules(policy).into_iter().flatten();
    rules.find_map(|rule| {
        let mut judged = judgements.part(rule.part).iter();
        let verdict = judged.find_map(|(_, judgement)| match judgement {
            Judgement::Passes(_) | Judgement::Fails(_) => None,
            Judgement::Unavailable(reason) => Some(Verdict::Unavailable {
                reason: reason.clone(),
            }),
            Judgement::Broken(reason) => Some(Verdict::Failed {
                reason: reason.clone(),
            }),
        })?;
        match rule.mode {
            Mode::Enforce => Some(verdict),
            Mode::Shadow => {
                tracing::debug!(
                    part = rule.part.as_str(),
                    ?verdict,
                    "not checked, in shadow"
                );
                None
            }
        }
    })
}

fn verdict(request: &CheckRequest<'_>, findings: Findings) -> Verdict {
    if findings.refused == 0 {
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
        findings.refused, request.header.record_count, request.topic
    );
    let error = |(index, message)| RecordError { index, message };
    Verdict::Reject {
        record_errors: findings.listed.into_iter().map(error).collect(),
        message,
    }
}

/// The records were walked before; should they not be whole now, nothing may be appended.
fn unsound(error: &avouch_protocol::records::RecordError) -> Verdict {
    Verdict::Reject {
        record_errors: Vec::new(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
