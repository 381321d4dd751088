//! Overhead of contract validation in the broker: `just bench-contract`.
//!
//! Produces the same batches to topics that differ only in `avouch.value.validation`, and measures
//! the CPU time of the broker process. Levels alternate in every round. Writes
//! `docs/benchmarks/contract.json` and renders `docs/benchmarks.md`. With the argument `look` it
//! only prints the results; a second argument restricts the run to one codec.

use anyhow::Result;
use avouch_bench_contract::client::{Client, produce_request};
use avouch_bench_contract::node::Node;
use avouch_bench_report::contract::{NAME, Report, Row};
use avouch_bench_report::data::{self, Set};
use avouch_bench_report::page::{self, Run};
use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::types::TimestampMs;
use bytes::Bytes;
use std::io::{Write, stdout};

const ROUNDS: usize = 9;
const BATCH_RECORDS: usize = 1_000;
/// Distinct batches of a case, sent round-robin.
const BATCHES: usize = 8;
/// Bytes of record values produced in one measurement.
const SLICE_BYTES: usize = 48 << 20;
const LEVELS: [&str; 3] = ["none", "id", "payload"];
const CODECS: [(&str, Codec); 3] = [
    ("none", Codec::None),
    ("lz4", Codec::Lz4),
    ("zstd", Codec::Zstd),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => {
            page::write_results(NAME, &measured(None)?)?;
            page::render()
        }
        Some("look") => {
            let shown = measured(arguments.next().as_deref())?.markdown();
            Ok(stdout().write_all(shown.as_bytes())?)
        }
        Some(other) => anyhow::bail!("unknown argument {other}; there is: look [CODEC]"),
    }
}

fn measured(only: Option<&str>) -> Result<Report> {
    let node = Node::start()?;
    let mut client = Client::connect(&node.kafka)?;
    let mut cases = Vec::new();
    // The records `payment` and `order`; the others are not records.
    for set in &data::sets()[..2] {
        for codec in CODECS {
            if only.is_none_or(|only| only == codec.0) {
                cases.push(Case::new(&node, &mut client, set, codec)?);
            }
        }
    }
    for round in 0..ROUNDS {
        for case in &mut cases {
            case.measure(&node, &mut client, round)?;
        }
    }
    Ok(Report {
        run: Run::new(ROUNDS)?,
        rows: cases.into_iter().map(Case::row).collect(),
    })
}

/// One data set in batches of one codec.
struct Case {
    set: &'static str,
    codec: &'static str,
    value_bytes: f64,
    batch_bytes: f64,
    /// Batches per measurement.
    count: usize,
    /// Per level: the requests, and the CPU time of each measurement in ns per record.
    levels: Vec<(Vec<Vec<u8>>, Vec<f64>)>,
}

impl Case {
    /// Creates a topic for each level, with a contract on the schema of the data set.
    fn new(
        node: &Node,
        client: &mut Client,
        set: &Set,
        (codec_name, codec): (&'static str, Codec),
    ) -> Result<Self> {
        let mut case = Self {
            set: set.name,
            codec: codec_name,
            value_bytes: 0.0,
            batch_bytes: 0.0,
            count: SLICE_BYTES * set.ends.len() / set.bytes().len() / BATCH_RECORDS,
            levels: Vec::new(),
        };
        for level in LEVELS {
            let topic = format!("{}-{codec_name}-{level}", set.name);
            let id = node.register(&format!("{topic}-value"), &set.schema)?;
            client.create_topic(&topic, 1, &[("avouch.value.validation", level)])?;
            let values = values(set, id);
            let all: usize = values.iter().map(Vec::len).sum();
            case.value_bytes = all as f64 / values.len() as f64;
            let mut requests = Vec::new();
            let mut bytes = 0;
            // Several batches, so that the CPU caches do not contain a single one.
            for at in 0..BATCHES {
                let batch = batch(codec, &values, at * BATCH_RECORDS, node.ready_at);
                bytes += batch.len();
                requests.push(produce_request((&topic, 0), batch)?);
            }
            case.batch_bytes = bytes as f64 / BATCHES as f64;
            case.levels.push((requests, Vec::new()));
        }
        Ok(case)
    }

    /// Measures every level, starting with a different one in every round.
    fn measure(&mut self, node: &Node, client: &mut Client, round: usize) -> Result<()> {
        let records = self.count * BATCH_RECORDS;
        for at in 0..LEVELS.len() {
            // Rotating the order cancels out drifts of the machine.
            let (requests, times) = &mut self.levels[(round + at) % LEVELS.len()];
            // Background work of the previous level (segment writes) ends during this warm-up.
            client.produce(requests, BATCHES)?;
            let before = node.cpu_ns()?;
            client.produce(requests, self.count)?;
            times.push((node.cpu_ns()? - before) as f64 / records as f64);
        }
        Ok(())
    }

    fn row(self) -> Row {
        let medians: Vec<f64> = self
            .levels
            .into_iter()
            .map(|(_, times)| median(times))
            .collect();
        Row {
            set: self.set.to_owned(),
            codec: self.codec.to_owned(),
            batch_records: BATCH_RECORDS,
            value_bytes: self.value_bytes,
            batch_bytes: self.batch_bytes,
            none_ns: medians[0],
            id_ns: medians[1],
            payload_ns: medians[2],
        }
    }
}

/// Returns the values in Confluent's wire format: magic byte, schema id, datum.
fn values(set: &Set, id: u32) -> Vec<Vec<u8>> {
    let framed = |datum: &&[u8]| [&[0], &id.to_be_bytes()[..], datum].concat();
    set.records().iter().map(framed).collect()
}

fn batch(codec: Codec, values: &[Vec<u8>], start: usize, now: TimestampMs) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for value in values.iter().cycle().skip(start).take(BATCH_RECORDS) {
        // Old timestamps would make retention delete segments during the measurement.
        builder.push(None, Some(value), now, &[]);
    }
    builder.finish()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
