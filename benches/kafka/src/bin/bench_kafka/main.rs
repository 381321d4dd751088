//! Avouch and Apache Kafka on this machine in alternating rounds, by one load program: throughput,
//! broker CPU time, the way of single records, memory, start. Writes `docs/benchmarks/broker.json`.
//!
//! ```text
//! bench_kafka [--only PATTERN] [ROUNDS [SECONDS]]
//! ```
//!
//! With a pattern, only rows whose names hold it are measured, and take the place of those of the
//! last whole run. CPU seconds are what counts where others share the machine. Each figure is the
//! median of the rounds; nothing is asserted.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures to three digits"
)]

mod cells;
mod figures;
mod idle;
mod load;
mod report;
mod sync;
mod way;

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use avouch_tests::deadline::now;
use avouch_tests::peer::{Kind, Peer};

use cells::{CELLS, Cell, Rate, WAYS};
use figures::Figures;
use load::{Loaded, create, delete};
use sync::Syncs;

const IDLE_CONSUMERS: usize = 1_000;
const IDLE_ROUNDS: u64 = 3;
/// Of the slower peak, the rate at which single records are followed.
const SHARE_OF_PEAK: f64 = 0.3;
/// The names of rows that are not of a cell or a way.
const START: &str = "start to first record, s";
const REST: &str = "memory, idle, MB";
const LOADED: &str = "memory, loaded, MB";
const HIGHEST: &str = "memory, highest under load, MB";
const IDLE: &str = "idle, 1,000 consumers, % of a core";

/// What is asked for.
#[derive(Debug)]
struct Plan {
    rounds: u64,
    /// Of one load, warming up not counted.
    span: Duration,
    only: Option<String>,
}

fn main() -> Result<()> {
    let plan = Plan::of(std::env::args().skip(1))?;
    let mut figures = Figures::new(plan.only.clone());
    if figures.wants(START) || figures.wants(REST) {
        for round in 0..plan.rounds {
            start_and_rest(&mut figures, round)?;
        }
    }
    let peers = [Peer::start(Kind::Avouch)?, Peer::start(Kind::Kafka)?];
    loads(&mut figures, &peers, &plan)?;
    let mut syncs = Syncs::new()?;
    let share_rate = match wants_share(&figures) {
        true => Some((slower_peak(&figures)? * SHARE_OF_PEAK).round()),
        false => None,
    };
    let os = Peer::start(Kind::AvouchOs)?;
    let [fsync, kafka] = &peers;
    let peers = [fsync, &os, kafka];
    ways(&mut figures, peers, (share_rate, &mut syncs), &plan)?;
    if figures.wants(IDLE) {
        for round in 0..IDLE_ROUNDS {
            idle(&mut figures, peers, round, plan.span * 2)?;
        }
    }
    report::write(&figures, &plan, share_rate, syncs.percentiles_ms())
}

impl Plan {
    fn of(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            rounds: 5,
            span: Duration::from_secs(3),
            only: None,
        };
        let mut numbers = Vec::new();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => plan.only = Some(words.next().context("--only what?")?),
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
            _ => bail!("too many numbers; there are: --only PATTERN, ROUNDS, SECONDS"),
        }
        Ok(plan)
    }
}

/// Seconds to a first record, and memory after it.
fn start_and_rest(figures: &mut Figures, round: u64) -> Result<()> {
    figures.step(&format!("start {}", round + 1));
    for kind in in_turn(round, [Kind::Avouch, Kind::Kafka]) {
        let prepared = Peer::prepare(kind)?;
        let started = now();
        let peer = prepared.start()?;
        figures.note(START, kind, started.elapsed().as_secs_f64());
        figures.note(REST, kind, mb(peer.memory_bytes()?.0));
    }
    Ok(())
}

/// All that is produced and consumed; the first round is not counted, since a Java machine gets
/// faster for a while.
fn loads(figures: &mut Figures, peers: &[Peer; 2], plan: &Plan) -> Result<()> {
    let is_memory_wanted = figures.wants(LOADED) || figures.wants(HIGHEST);
    let cells = CELLS.iter().enumerate();
    let wanted: Vec<_> = cells
        .filter(|(_, cell)| {
            let is_read = cell.partitions == 1;
            is_memory_wanted
                || figures.wants(&cell.produced())
                || (is_read && (figures.wants(&cell.cached()) || figures.wants(&cell.read())))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for round in 0..=plan.rounds {
        figures.is_counting = round > 0;
        for peer in peers {
            peer.forget_highest_memory()?;
        }
        for (index, cell) in &wanted {
            figures.step(&format!("round {round} of {}: {}", plan.rounds, cell.name));
            let topic = format!("cell-{index}-{round}");
            for peer in in_turn(round, [&peers[0], &peers[1]]) {
                measure(figures, peer, (cell, &topic), plan.span)?;
            }
        }
        for peer in peers {
            let (resident, highest) = peer.memory_bytes()?;
            figures.note(LOADED, peer.kind(), mb(resident));
            figures.note(HIGHEST, peer.kind(), mb(highest));
            // The disk need not hold the rounds together.
            for (index, _) in &wanted {
                delete(peer, &format!("cell-{index}-{round}"))?;
            }
        }
    }
    figures.is_counting = true;
    Ok(())
}

/// One load on one broker.
fn measure(
    figures: &mut Figures,
    peer: &Peer,
    (cell, topic): (&Cell, &str),
    span: Duration,
) -> Result<()> {
    let filled = load::produce(peer, cell, topic, span)?;
    let mut told = |what: &str, loaded: Loaded| {
        let kind = peer.kind();
        let rate = loaded.records_per_second;
        figures.note(&format!("{what}: records/s"), kind, rate);
        let cpu = loaded.cpu_seconds_per_gb;
        figures.note(&format!("{what}: CPU s/GB"), kind, cpu);
    };
    told(&cell.produced(), filled.loaded);
    if cell.partitions == 1 {
        told(&cell.cached(), load::consume(peer, &filled)?);
        if drop_caches().is_ok() {
            told(&cell.read(), load::consume(peer, &filled)?);
        }
    }
    Ok(())
}

/// The way of single records through each broker; the first round is not counted.
fn ways(
    figures: &mut Figures,
    peers: [&Peer; 3],
    (share_rate, syncs): (Option<f64>, &mut Syncs),
    plan: &Plan,
) -> Result<()> {
    let wanted: Vec<_> = WAYS.iter().filter(|way| figures.wants(way.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for round in 0..=plan.rounds {
        figures.is_counting = round > 0;
        figures.step(&format!("round {round} of {}: single records", plan.rounds));
        syncs.round()?;
        for (index, way) in wanted.iter().enumerate() {
            let rate = match way.rate {
                Rate::PerSecond(rate) => rate,
                Rate::ShareOfPeak => share_rate.context("the rate was looked up")?,
            };
            for peer in in_turn(round, peers) {
                let topic = format!("way-{index}-{round}");
                let (p50, p99) = way::latency(peer, (&way.cell, &topic), rate, plan.span)?;
                let name = |part: &str| format!("{}: {part} ms", way.name);
                figures.note(&name("p50"), peer.kind(), p50);
                figures.note(&name("p99"), peer.kind(), p99);
            }
        }
    }
    Ok(())
}

/// What each broker takes while consumers wait.
fn idle(figures: &mut Figures, peers: [&Peer; 3], round: u64, span: Duration) -> Result<()> {
    figures.step("consumers that wait");
    for peer in in_turn(round, peers) {
        let topic = format!("idle-{round}");
        create(peer, &topic, 1)?;
        let percent = idle::percent_of_a_core(peer, (&topic, IDLE_CONSUMERS), span)?;
        figures.note(IDLE, peer.kind(), percent);
    }
    Ok(())
}

fn wants_share(figures: &Figures) -> bool {
    let mut ways = WAYS.iter();
    ways.any(|way| matches!(way.rate, Rate::ShareOfPeak) && figures.wants(way.name))
}

/// Of this run, or of the last whole one.
fn slower_peak(figures: &Figures) -> Result<f64> {
    let name = format!("{}: records/s", CELLS[1].produced());
    let peaks = figures.medians(&name).or_else(|| report::medians(&name));
    let peaks = peaks.with_context(|| format!("no figures of {name:?}"))?;
    Ok(peaks.into_iter().fold(f64::INFINITY, f64::min))
}

/// Whoever came first comes last in the next round.
fn in_turn<T, const N: usize>(round: u64, mut peers: [T; N]) -> [T; N] {
    if !round.is_multiple_of(2) {
        peers.reverse();
    }
    peers
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Makes the next reads come from the disk; needs root.
fn drop_caches() -> Result<()> {
    Command::new("sync").status()?;
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Result<Plan> {
        Plan::of(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_pattern_may_stand_before_the_numbers() {
        let plan = plan(&["--only", "idle", "2", "1"]).unwrap();
        assert_eq!(plan.only.as_deref(), Some("idle"));
        assert_eq!((plan.rounds, plan.span.as_secs()), (2, 1));
        assert!(self::plan(&["--only"]).is_err());
        assert!(self::plan(&["1", "2", "3"]).is_err());
    }
}
