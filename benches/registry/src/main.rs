//! Benchmark of the registry as a separate process over HTTP: lookups by id compared with a minimal
//! server of the same framework, registrations with synced commits, and a database with many
//! schemas.
//!
//! `just bench-registry` runs it and writes the results. With the argument `hello` the program is
//! the minimal server.

mod hello;
mod http;
mod load;
mod many;
mod process;

use anyhow::{Result, ensure};
use avouch_bench_report::page;
use avouch_bench_report::registry::{Lookups, NAME, Registrations, Report};

use crate::http::Request;
use crate::load::{Load, median};
use crate::process::Process;

/// Rounds of the alternating measurements.
const ROUNDS: usize = 5;
const LOOKUP_CONNECTIONS: usize = 4;
/// Requests to each server per round.
const LOOKUPS: usize = 20_000;
const WRITERS: usize = 32;
const REGISTRATIONS: usize = 3_000;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("hello") {
        return hello::serve();
    }
    let report = Report {
        lookups: lookups()?,
        registrations: registrations()?,
        many: many::measured()?,
        run: page::Run::new(ROUNDS)?,
    };
    page::write_results(NAME, &report)?;
    page::render()
}

/// Measures lookups of one schema by id, repeated registrations of that schema, lists of
/// associations, and as many requests to the minimal server, alternating.
fn lookups() -> Result<Lookups> {
    let registry = Process::registry()?;
    let registered = http::once(&registry.address, &load::registration(0))?;
    ensure!(registered.status == 200, "{registered:?}");
    let hello = Process::hello()?;
    let requests: [fn() -> Request; 4] = [
        || Request::get("/schemas/ids/1".to_owned()),
        || Request::get("/".to_owned()),
        || load::registration(0),
        || Request::get("/associations/resources/-/topic?resourceType=topic".to_owned()),
    ];
    let servers = [&registry, &hello, &registry, &registry];
    let mut times = [const { Vec::new() }; 4];
    for round in 0..=ROUNDS {
        let mut turns: Vec<_> = servers.iter().zip(requests).zip(&mut times).collect();
        // The order alternates, so that no server always runs first.
        turns.rotate_left(round % 4);
        for ((server, request), times) in turns {
            let load = Load {
                connections: LOOKUP_CONNECTIONS,
                count: LOOKUPS,
                request: move |_| request(),
            };
            let before = server.cpu_ns()?;
            load.run(&server.address)?;
            let ns = (server.cpu_ns()? - before) as f64 / LOOKUPS as f64;
            // The first round is a warm-up that fills caches.
            if round > 0 {
                times.push(ns);
            }
        }
    }
    let [
        registry_ns,
        hello_ns,
        repeated_registration_ns,
        associations_ns,
    ] = times.map(median);
    Ok(Lookups {
        connections: LOOKUP_CONNECTIONS,
        registry_ns,
        hello_ns,
        repeated_registration_ns,
        associations_ns,
    })
}

/// Measures registrations of new schemas under new subjects by concurrent clients.
fn registrations() -> Result<Registrations> {
    let registry = Process::registry()?;
    let (mut rates, mut cpu_us) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Each round registers other schemas: a repeated registration writes nothing.
        let first = round * REGISTRATIONS;
        let before = registry.cpu_ns()?;
        let took = Load {
            connections: WRITERS,
            count: REGISTRATIONS,
            request: move |at| load::registration(first + at),
        }
        .run(&registry.address)?;
        rates.push(REGISTRATIONS as f64 / took.as_secs_f64());
        cpu_us.push((registry.cpu_ns()? - before) as f64 / REGISTRATIONS as f64 / 1e3);
    }
    Ok(Registrations {
        clients: WRITERS,
        per_second: median(rates),
        cpu_us: median(cpu_us),
    })
}
