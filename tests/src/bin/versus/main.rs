//! Avouch and Apache Kafka on this machine in alternating rounds, by one load program: throughput,
//! broker CPU time, the way of single records, memory, start. Writes `docs/benchmarks/broker.json`.
//!
//! ```text
//! versus [ROUNDS [SECONDS]]
//! ```
//!
//! CPU seconds are what counts where others share the machine. Each figure is the median of the
//! rounds; nothing is asserted.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures to three digits"
)]

mod cells;
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the data sets are the Avro bench's, which asks more of them"
)]
#[path = "../../../../benches/avro/src/data.rs"]
mod data;
mod idle;
mod load;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write as _, stdout};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use avouch_tests::checkout;
use avouch_tests::deadline::now;
use avouch_tests::peer::{Kind, Peer};
use serde_json::{Value, json};

use cells::CELLS;

const IDLE_CONSUMERS: usize = 1_000;
/// Of the slower peak, the rate at which single records are followed.
const SHARE_OF_PEAK: f64 = 0.3;

/// Figures by name, then by broker, one a round.
type Figures = BTreeMap<String, BTreeMap<&'static str, Vec<f64>>>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (rounds, span) = (number(5)?, Duration::from_secs(number(4)?));
    let mut figures = Figures::new();
    for round in 0..rounds {
        start_and_rest(&mut figures, round)?;
    }
    let peers = [Peer::start(Kind::Avouch)?, Peer::start(Kind::Kafka)?];
    // One round that is not counted: a Java machine gets faster for a while.
    measure(&mut Figures::new(), &peers, rounds, span)?;
    for round in 0..rounds {
        measure(&mut figures, &peers, round, span)?;
    }
    for peer in &peers {
        note(
            &mut figures,
            "memory, loaded, MB",
            peer.kind(),
            mb(peer.memory_bytes()?.1),
        );
    }
    let os = Peer::start(Kind::AvouchOs)?;
    let [fsync, kafka] = &peers;
    let peers = [fsync, &os, kafka];
    let peak = slower_peak(&figures)?;
    for round in 0..rounds {
        for rate in [1_000.0, (peak * SHARE_OF_PEAK).round()] {
            follow(&mut figures, &peers, (round, rate), span)?;
        }
    }
    for peer in peers {
        let percent = idle::percent_of_a_core(peer, IDLE_CONSUMERS, span * 2)?;
        note(
            &mut figures,
            "idle, 1,000 consumers, % of a core",
            peer.kind(),
            percent,
        );
    }
    write(&figures, rounds, span)
}

/// Seconds to a first record, and memory after it.
fn start_and_rest(figures: &mut Figures, round: u64) -> Result<()> {
    for kind in in_turn(round, [Kind::Avouch, Kind::Kafka]) {
        let started = now();
        let peer = Peer::start(kind)?;
        let seconds = started.elapsed().as_secs_f64();
        note(figures, "start to first record, s", kind, seconds);
        note(
            figures,
            "memory, idle, MB",
            kind,
            mb(peer.memory_bytes()?.0),
        );
    }
    Ok(())
}

/// Each load on each broker, one after the other.
fn measure(figures: &mut Figures, peers: &[Peer; 2], round: u64, span: Duration) -> Result<()> {
    for (index, cell) in CELLS.iter().enumerate() {
        for peer in in_turn(round, [&peers[0], &peers[1]]) {
            let topic = format!("cell-{index}-{round}");
            let filled = load::produce(peer, cell, &topic, span)?;
            let mut told = |what: &str, loaded: load::Loaded| {
                let name = |unit: &str| format!("{what}, {}: {unit}", cell.name);
                note(
                    figures,
                    &name("records/s"),
                    peer.kind(),
                    loaded.records_per_second,
                );
                note(
                    figures,
                    &name("CPU s/GB"),
                    peer.kind(),
                    loaded.cpu_seconds_per_gb,
                );
            };
            told("produce", filled.loaded);
            if cell.partitions == 1 {
                told("consume from cache", load::consume(peer, &filled)?);
                if drop_caches().is_ok() {
                    told("consume from disk", load::consume(peer, &filled)?);
                }
            }
        }
    }
    Ok(())
}

/// The way of single records through each broker.
fn follow(
    figures: &mut Figures,
    peers: &[&Peer; 3],
    (round, rate): (u64, f64),
    span: Duration,
) -> Result<()> {
    for peer in in_turn(round, *peers) {
        let topic = format!("way-{rate}-{round}");
        let (p50, p99) = load::latency(peer, &topic, (rate, 1_024), span)?;
        let name = |part: &str| format!("end to end, {rate}/s: {part} ms");
        note(figures, &name("p50"), peer.kind(), p50 / 1e3);
        note(figures, &name("p99"), peer.kind(), p99 / 1e3);
    }
    Ok(())
}

/// Whoever came first comes last in the next round.
fn in_turn<T, const N: usize>(round: u64, mut peers: [T; N]) -> [T; N] {
    if !round.is_multiple_of(2) {
        peers.reverse();
    }
    peers
}

fn note(figures: &mut Figures, name: &str, kind: Kind, value: f64) {
    let line = format!("{name}: {} {value:.3}\n", kind.name());
    // A terminal that is gone does not end a run of minutes.
    drop(stdout().write_all(line.as_bytes()));
    let by_kind = figures.entry(name.to_owned()).or_default();
    by_kind.entry(kind.name()).or_default().push(value);
}

fn slower_peak(figures: &Figures) -> Result<f64> {
    let name = format!("produce, {}: records/s", CELLS[1].name);
    let peaks = figures.get(&name).context("there were rounds")?;
    Ok(peaks
        .values()
        .map(|rounds| median(rounds))
        .fold(f64::INFINITY, f64::min))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Makes the next reads come from the disk; needs root.
fn drop_caches() -> Result<()> {
    Command::new("sync").status()?;
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

fn write(figures: &Figures, rounds: u64, span: Duration) -> Result<()> {
    let rows: Vec<Value> = figures
        .iter()
        .map(|(name, by_kind)| {
            let of = |kind: Kind| by_kind.get(kind.name()).map(|values| median(values));
            json!({
                "name": name,
                "avouch": of(Kind::Avouch),
                "avouch_os": of(Kind::AvouchOs),
                "kafka": of(Kind::Kafka),
                "rounds": by_kind,
            })
        })
        .collect();
    let report = json!({
        "commit": printed("git", &["rev-parse", "--short=12", "HEAD"])?,
        "machine": printed("sh", &["-c", MACHINE])?,
        "load": fs::read_to_string("/proc/loadavg")?.split(' ').next(),
        "rounds": rounds,
        "seconds": span.as_secs(),
        "client": if cfg!(debug_assertions) {
            "one librdkafka client for all, built for tests, which is slower"
        } else {
            "one librdkafka client for all"
        },
        "kafka": "4.1.1, KRaft, heap 1 GiB, defaults: not synced before it acknowledges",
        "avouch": "durability fsync: synced before it acknowledges",
        "avouch_os": "durability os: not synced before it acknowledges",
        "rows": rows,
    });
    let path = checkout().join("docs/benchmarks/broker.json");
    fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    Ok(())
}

const MACHINE: &str =
    "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1; echo \", $(nproc) cores\"";

fn printed(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(checkout())
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().replace('\n', ""))
}
