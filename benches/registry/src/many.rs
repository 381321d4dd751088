//! One database with many schemas: registration, lookups, restart.

use anyhow::{Result, ensure};
use avouch_bench_report::registry::Many;

use crate::http::{self, Request};
use crate::load::{self, Load, now};
use crate::process::Process;

const SCHEMAS: usize = 100_000;
const WRITERS: usize = 32;
const READERS: usize = 4;
/// Step between looked-up ids. A prime, so that the lookups cover all schemas without neighbours
/// in sequence.
const STRIDE: usize = 7_919;
const LOOKUPS: usize = 20_000;

/// Runs the measurements.
pub(crate) fn measured() -> Result<Many> {
    let mut registry = Process::registry()?;
    let empty = registry.resident_bytes()?;
    let filling = Load {
        connections: WRITERS,
        count: SCHEMAS,
        request: load::registration,
    };
    let filled = filling.run(&registry.address)?;
    let full = registry.resident_bytes()?;
    let database = registry.database_bytes()?;
    // After the restart the caches are empty.
    let start = registry.restart()?;
    let restarted = registry.resident_bytes()?;
    let by_id = us_per_request(&registry, |at| {
        Request::get(format!("/schemas/ids/{}", 1 + at * STRIDE % SCHEMAS))
    })?;
    let by_text = us_per_request(&registry, |at| load::lookup(at * STRIDE % SCHEMAS))?;
    let looked_up = registry.resident_bytes()?;
    let started = now();
    let subjects = http::once(&registry.address, &Request::get("/subjects".to_owned()))?;
    let list = started.elapsed();
    ensure!(subjects.status == 200, "/subjects: {}", subjects.status);
    let started = now();
    let page = Request::get(format!("/schemas?offset={}&limit=1000", SCHEMAS / 2));
    let page = http::once(&registry.address, &page)?;
    let page_took = started.elapsed();
    ensure!(page.status == 200, "/schemas: {}", page.status);
    let each = |more: u64, less: u64| more.saturating_sub(less) as f64 / SCHEMAS as f64;
    Ok(Many {
        schemas: SCHEMAS,
        registered_per_second: SCHEMAS as f64 / filled.as_secs_f64(),
        resident_bytes_each: each(full, empty),
        resident_bytes_each_after_lookups: each(looked_up, restarted),
        resident_bytes_after_start: restarted,
        database_bytes_each: database as f64 / SCHEMAS as f64,
        start_ms: start.as_secs_f64() * 1e3,
        by_id_us: by_id,
        by_text_us: by_text,
        list_subjects_ms: list.as_secs_f64() * 1e3,
        page_of_1000_ms: page_took.as_secs_f64() * 1e3,
    })
}

/// Returns the server's CPU time per request in µs.
fn us_per_request(
    registry: &Process,
    request: impl Fn(usize) -> Request + Send + Copy,
) -> Result<f64> {
    let before = registry.cpu_ns()?;
    Load {
        connections: READERS,
        count: LOOKUPS,
        request,
    }
    .run(&registry.address)?;
    Ok((registry.cpu_ns()? - before) as f64 / LOOKUPS as f64 / 1e3)
}
