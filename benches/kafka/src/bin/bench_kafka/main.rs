//! Compares Avouch with Apache Kafka on this machine, in alternating rounds with one client:
//! throughput, broker CPU time, end-to-end latency, memory and start time. Writes
//! `docs/benchmarks/broker.json`.
//!
//! ```text
//! bench_kafka [--only PATTERN] [ROUNDS [SECONDS]]
//! ```
//!
//! With a pattern, only rows whose names contain it are measured, and replace those of the last
//! whole run. Each result is the median of the rounds. Rates depend on the load of the machine;
//! CPU seconds hardly do. Nothing is asserted.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "results are shown with three digits"
)]

mod idle;
mod latency;
mod load;
mod report;
mod results;
mod sync;
mod workloads;

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use avouch_tests::deadline::now;
use avouch_tests::peer::{Kind, Peer};

use load::{Throughput, create, delete};
use results::Results;
use sync::Syncs;
use workloads::{LATENCY_WORKLOADS, Rate, WORKLOADS, Workload};

const IDLE_CONSUMERS: usize = 1_000;
const IDLE_ROUNDS: u64 = 3;
/// The rate of [`Rate::ShareOfPeak`], as a share of the lower peak rate.
const SHARE_OF_PEAK: f64 = 0.3;
/// Names of the rows without a workload.
const START_ROW: &str = "start to first record, s";
const IDLE_MEMORY_ROW: &str = "memory, idle, MB";
const LOADED_MEMORY_ROW: &str = "memory, loaded, MB";
const PEAK_MEMORY_ROW: &str = "memory, highest under load, MB";
const IDLE_CPU_ROW: &str = "idle, 1,000 consumers, % of a core";

/// The arguments.
#[derive(Debug)]
struct Plan {
    rounds: u64,
    /// Duration of one load, without the warm-up.
    span: Duration,
    only: Option<String>,
}

fn main() -> Result<()> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    let mut results = Results::new(plan.only.clone());
    if results.wants(START_ROW) || results.wants(IDLE_MEMORY_ROW) {
        for round in 0..plan.rounds {
            measure_start(&mut results, round)?;
        }
    }
    let peers = [Peer::start(Kind::Avouch)?, Peer::start(Kind::Kafka)?];
    measure_loads(&mut results, &peers, &plan)?;
    let mut syncs = Syncs::new()?;
    let share_rate = match wants_share(&results) {
        true => Some((lower_peak(&results)? * SHARE_OF_PEAK).round()),
        false => None,
    };
    // Mode `os` is compared in latency and idle CPU time only.
    let os = Peer::start(Kind::AvouchOs)?;
    let [fsync, kafka] = &peers;
    let peers = [fsync, &os, kafka];
    measure_latency(&mut results, peers, (share_rate, &mut syncs), &plan)?;
    if results.wants(IDLE_CPU_ROW) {
        for round in 0..IDLE_ROUNDS {
            measure_idle(&mut results, peers, round, plan.span * 2)?;
        }
    }
    report::write(&results, &plan, share_rate, syncs.percentiles_ms())
}

impl Plan {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            rounds: 5,
            span: Duration::from_secs(3),
            only: None,
        };
        let mut numbers = Vec::new();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => plan.only = Some(words.next().context("--only needs a pattern")?),
                number => numbers.push(number.parse()?),
            }
        }
        match numbers.as_slice() {
            [] => {}
            [rounds] => plan.rounds = *rounds,
            [rounds, seconds] => {
                plan.rounds = *rounds;
                plan.span = Duration::from_secs(*seconds);
            }
            _ => bail!("too many arguments; expected [--only PATTERN] [ROUNDS [SECONDS]]"),
        }
        Ok(plan)
    }
}

/// Measures the time from start to the first record, and the memory after it.
fn measure_start(results: &mut Results, round: u64) -> Result<()> {
    results.step(&format!("start {}", round + 1));
    for kind in alternate(round, [Kind::Avouch, Kind::Kafka]) {
        let prepared = Peer::prepare(kind)?;
        let started = now();
        let peer = prepared.start()?;
        results.add(START_ROW, kind, started.elapsed().as_secs_f64());
        results.add(IDLE_MEMORY_ROW, kind, mb(peer.memory_bytes()?.0));
    }
    Ok(())
}

/// Measures throughput and memory under load. The first round is a warm-up, because a JVM becomes
/// faster while it compiles.
fn measure_loads(results: &mut Results, peers: &[Peer; 2], plan: &Plan) -> Result<()> {
    let is_memory_wanted = results.wants(LOADED_MEMORY_ROW) || results.wants(PEAK_MEMORY_ROW);
    let workloads = WORKLOADS.iter().enumerate();
    let wanted: Vec<_> = workloads
        .filter(|(_, workload)| {
            let is_consumed = workload.partitions == 1;
            is_memory_wanted
                || results.wants(&workload.produce_row())
                || (is_consumed
                    && (results.wants(&workload.cached_row())
                        || results.wants(&workload.disk_row())))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for round in 0..=plan.rounds {
        results.is_counting = round > 0;
        for peer in peers {
            peer.reset_peak_memory()?;
        }
        for (index, workload) in &wanted {
            let rounds = plan.rounds;
            results.step(&format!("round {round} of {rounds}: {}", workload.name));
            let topic = format!("workload-{index}-{round}");
            for peer in alternate(round, [&peers[0], &peers[1]]) {
                measure_load(results, peer, (workload, &topic), plan.span)?;
            }
        }
        for peer in peers {
            let (resident, highest) = peer.memory_bytes()?;
            results.add(LOADED_MEMORY_ROW, peer.kind(), mb(resident));
            results.add(PEAK_MEMORY_ROW, peer.kind(), mb(highest));
            // The disk may not have room for the records of all rounds.
            for (index, _) in &wanted {
                delete(peer, &format!("workload-{index}-{round}"))?;
            }
        }
    }
    results.is_counting = true;
    Ok(())
}

/// Measures one workload on one broker.
fn measure_load(
    results: &mut Results,
    peer: &Peer,
    (workload, topic): (&Workload, &str),
    span: Duration,
) -> Result<()> {
    let filled = load::produce(peer, workload, topic, span)?;
    let mut add = |name: &str, throughput: Throughput| {
        let kind = peer.kind();
        let rate = throughput.records_per_second;
        results.add(&format!("{name}: records/s"), kind, rate);
        let cpu = throughput.cpu_seconds_per_gb;
        results.add(&format!("{name}: CPU s/GB"), kind, cpu);
    };
    add(&workload.produce_row(), filled.throughput);
    if workload.partitions == 1 {
        add(&workload.cached_row(), load::consume(peer, &filled)?);
        // Without root there are no results from disk.
        if drop_caches().is_ok() {
            add(&workload.disk_row(), load::consume(peer, &filled)?);
        }
    }
    Ok(())
}

/// Measures the end-to-end latency of each broker. The first round is a warm-up.
fn measure_latency(
    results: &mut Results,
    peers: [&Peer; 3],
    (share_rate, syncs): (Option<f64>, &mut Syncs),
    plan: &Plan,
) -> Result<()> {
    let wanted: Vec<_> = LATENCY_WORKLOADS
        .iter()
        .filter(|latency| results.wants(latency.name))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for round in 0..=plan.rounds {
        results.is_counting = round > 0;
        results.step(&format!("round {round} of {}: latency", plan.rounds));
        syncs.round()?;
        for (index, latency) in wanted.iter().enumerate() {
            let rate = match latency.rate {
                Rate::PerSecond(rate) => rate,
                Rate::ShareOfPeak => share_rate.context("no peak rate")?,
            };
            for peer in alternate(round, peers) {
                let topic = format!("latency-{index}-{round}");
                let workload = (&latency.workload, topic.as_str());
                let (p50, p99) = latency::measure(peer, workload, rate, plan.span)?;
                let name = |part: &str| format!("{}: {part} ms", latency.name);
                results.add(&name("p50"), peer.kind(), p50);
                results.add(&name("p99"), peer.kind(), p99);
            }
        }
    }
    Ok(())
}

/// Measures the CPU time of each broker while consumers poll an empty topic.
fn measure_idle(
    results: &mut Results,
    peers: [&Peer; 3],
    round: u64,
    span: Duration,
) -> Result<()> {
    results.step("idle consumers");
    for peer in alternate(round, peers) {
        let topic = format!("idle-{round}");
        create(peer, &topic, 1)?;
        let percent = idle::percent_of_a_core(peer, (&topic, IDLE_CONSUMERS), span)?;
        results.add(IDLE_CPU_ROW, peer.kind(), percent);
    }
    Ok(())
}

fn wants_share(results: &Results) -> bool {
    let mut latencies = LATENCY_WORKLOADS.iter();
    latencies
        .any(|latency| matches!(latency.rate, Rate::ShareOfPeak) && results.wants(latency.name))
}

/// Returns the lower peak rate of the two brokers, from this run or from the last whole one.
fn lower_peak(results: &Results) -> Result<f64> {
    let name = format!("{}: records/s", WORKLOADS[1].produce_row());
    let peaks = results.medians(&name).or_else(|| report::medians(&name));
    let peaks = peaks.with_context(|| format!("no results of {name:?}"))?;
    Ok(peaks.into_iter().fold(f64::INFINITY, f64::min))
}

/// Reverses the order in every second round, so that no broker is always the first.
fn alternate<T, const N: usize>(round: u64, mut peers: [T; N]) -> [T; N] {
    if !round.is_multiple_of(2) {
        peers.reverse();
    }
    peers
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Drops the page cache, so that the next reads are from disk. Needs root.
fn drop_caches() -> Result<()> {
    Command::new("sync").status()?;
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Result<Plan> {
        Plan::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn pattern_precedes_rounds_and_seconds() {
        let plan = plan(&["--only", "idle", "2", "1"]).unwrap();
        assert_eq!(plan.only.as_deref(), Some("idle"));
        assert_eq!((plan.rounds, plan.span.as_secs()), (2, 1));
        assert!(self::plan(&["--only"]).is_err());
        assert!(self::plan(&["1", "2", "3"]).is_err());
    }
}
