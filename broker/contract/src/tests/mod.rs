//! Complete checks against a fake registry: batch in, verdict, feed and metric out.

mod cases;
pub(crate) mod fake_source;
mod log;
mod padding;
mod registry;
mod reports;

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_avro::framing;
use avouch_protocol::batch::{Codec, HEADER_BYTES};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{PartitionIndex, TimestampMs};

use super::*;
use crate::tests::fake_source::{FakeRegistry, tokio_clock};

const PAYMENT: &str = r#"{"type": "record", "name": "Payment", "namespace": "pay", "fields": [
    {"name": "id", "type": "string"},
    {"name": "items", "type": {"type": "array", "items": {
        "type": "record", "name": "Item", "fields": [{"name": "price", "type": "double"}]}}}]}"#;
const KEY: &str = r#""string""#;
const ORDER: &str =
    r#"{"type": "record", "name": "Order", "fields": [{"name": "n", "type": "long"}]}"#;
const NULLS: &str = r#"{"type": "array", "items": "null"}"#;
const LIST: &str = r#"{"type": "record", "name": "List", "fields": [
    {"name": "next", "type": ["null", "List"]}]}"#;

/// Schema ids of `payments` and other topics in the registry.
const PAYMENT_ID: i32 = 41;
const KEY_ID: i32 = 5;
const ORDER_ID: i32 = 7;
const DELETED_ID: i32 = 8;
const NULLS_ID: i32 = 9;
const LIST_ID: i32 = 10;
const JSON_ID: i32 = 11;
const NULL_ID: i32 = 12;
const BROKEN_ID: i32 = 13;
const BYTES_ID: i32 = 14;

const VALUE: (&str, &str) = ("avouch.value.validation", "payload");
const BOTH: [(&str, &str); 2] = [VALUE, ("avouch.key.validation", "payload")];

struct World {
    registry: Arc<FakeRegistry>,
    contracts: Contracts,
    metrics: prometheus::Registry,
}

impl World {
    fn new() -> Self {
        Self::over(FakeRegistry::new())
    }

    /// A broker with a remote registry.
    fn apart() -> Self {
        let registry = FakeRegistry::new();
        registry.lag();
        Self::over(registry)
    }

    fn over(registry: Arc<FakeRegistry>) -> Self {
        registry.register(PAYMENT_ID, "payments-value", 3, PAYMENT);
        registry.register(KEY_ID, "payments-key", 1, KEY);
        registry.register(ORDER_ID, "orders-value", 2, ORDER);
        registry.register(DELETED_ID, "retired-value", 1, KEY);
        registry.soft_delete("retired-value");
        registry.register(DELETED_ID, "payments-value", 9, KEY);
        registry.soft_delete("payments-value");
        registry.register(PAYMENT_ID, "payments-value", 3, PAYMENT);
        registry.register(NULLS_ID, "payments-value", 4, NULLS);
        registry.register(LIST_ID, "payments-value", 5, LIST);
        registry.register_as("JSON", JSON_ID, "payments-value", 6, "{}", &[]);
        registry.register(NULL_ID, "payments-value", 7, r#""null""#);
        registry.register(BROKEN_ID, "payments-value", 8, r#"{"type": "recrod"}"#);
        let bytes = r#"{"type": "bytes", "logicalType": "decimal", "precision": 4}"#;
        registry.register(BYTES_ID, "payments-value", 10, bytes);
        registry.register(BYTES_ID, "payments-key", 2, bytes);
        let metrics = prometheus::Registry::new();
        let contracts = Contracts::new(
            Arc::clone(&registry) as Arc<dyn SchemaSource>,
            ContractConfig::default(),
            tokio_clock(),
            &metrics,
        )
        .unwrap();
        Self {
            registry,
            contracts,
            metrics,
        }
    }

    async fn check(&self, policy: &EffectivePolicy, records: &[Rec]) -> Verdict {
        self.check_as("User:ANONYMOUS", policy, records).await
    }

    async fn check_as(
        &self,
        principal: &str,
        policy: &EffectivePolicy,
        records: &[Rec],
    ) -> Verdict {
        let batch = batch(records);
        let header = BatchHeader::parse(&batch).unwrap();
        let context = self.contracts.start_request();
        let request = CheckRequest {
            topic: "payments",
            partition: PartitionIndex(2),
            api_version: 13,
            client_id: Some("till-1"),
            principal,
            header: &header,
            records: batch[HEADER_BYTES..].into(),
            policy,
            context: &context,
        };
        let early = self.inline_check(principal, policy, records);
        let Checked { verdict, basis } =
            self.contracts.check(request, &ComputePool::shared()).await;
        let late = self.inline_check(principal, policy, records);
        for accepted in [early, late].into_iter().flatten() {
            let Accepted { tag, .. } = accepted;
            assert_eq!(verdict, Verdict::Accept { tag }, "both paths agree");
            let sorted = |basis: &Basis| BTreeSet::from_iter(basis.iter());
            let bases = (sorted(&basis), sorted(&accepted.basis));
            assert_eq!(bases.0, bases.1, "both paths have the same basis");
        }
        verdict
    }

    /// Returns the result of an inline check, if any.
    fn inline_check(
        &self,
        principal: &str,
        policy: &EffectivePolicy,
        records: &[Rec],
    ) -> Option<Accepted> {
        let batch = batch(records);
        let section = Section::from(&batch[HEADER_BYTES..]);
        let count = BatchHeader::parse(&batch).unwrap().record_count;
        let context = self.contracts.start_request();
        let mut inline_check = self
            .contracts
            .inline_check("payments", principal, policy, &context)?;
        for record in RecordIter::new(section, count) {
            inline_check.record(section, &record.ok()?);
        }
        inline_check.accepted()
    }

    /// Returns the reported violations: record index, part, reason.
    fn reported(&self) -> Vec<(i32, &'static str, &'static str)> {
        let page = self.contracts.report.feed.since(0, None);
        page.entries
            .iter()
            .map(|entry| (entry.index, entry.part, entry.reason))
            .collect()
    }

    fn messages(&self) -> Vec<String> {
        let page = self.contracts.report.feed.since(0, None);
        page.entries
            .iter()
            .map(|entry| entry.message.clone())
            .collect()
    }
}

#[derive(Clone, Default)]
struct Rec {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Option<Vec<u8>>)>,
}

impl Rec {
    fn key(mut self, key: Vec<u8>) -> Self {
        self.key = Some(key);
        self
    }

    fn header(mut self, key: &'static str, value: Option<Vec<u8>>) -> Self {
        self.headers.push((key, value));
        self
    }
}

fn value(value: Vec<u8>) -> Rec {
    Rec {
        value: Some(value),
        ..Rec::default()
    }
}

fn good() -> Rec {
    value(framed(PAYMENT_ID, &payment("p1", 2)))
}

fn bad() -> Rec {
    let mut cut = framed(PAYMENT_ID, &payment("p1", 2));
    cut.truncate(cut.len() - 3);
    value(cut)
}

fn framed(id: i32, datum: &[u8]) -> Vec<u8> {
    [&framing::prefix(id), datum].concat()
}

/// A payment with a short id and fewer than 64 items, by the specification's encoding.
fn payment(id: &str, items: u8) -> Vec<u8> {
    let mut datum = string(id);
    if items > 0 {
        datum.push(2 * items);
        datum.extend((0..items).flat_map(|n| f64::from(n).to_le_bytes()));
    }
    datum.push(0);
    datum
}

/// A string of fewer than 64 bytes.
fn string(text: &str) -> Vec<u8> {
    let mut datum = vec![u8::try_from(2 * text.len()).unwrap()];
    datum.extend(text.as_bytes());
    datum
}

fn batch(records: &[Rec]) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for record in records {
        let headers: Vec<(&[u8], Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_deref()))
            .collect();
        builder.push(
            record.key.as_deref(),
            record.value.as_deref(),
            TimestampMs(1_000),
            &headers,
        );
    }
    builder.finish()
}

fn policy(configs: &[(&str, &'static str)]) -> EffectivePolicy {
    decided(configs, Decision::Undecided)
}

fn decided(configs: &[(&str, &'static str)], value: Decision) -> EffectivePolicy {
    let get = |name: &str| {
        configs
            .iter()
            .find(|(n, _)| *n == name)
            .map(|&(_, value)| value)
    };
    let policy = Policy::from_configs(get).unwrap();
    EffectivePolicy::resolve(policy, "", value.as_str(), 1)
}
