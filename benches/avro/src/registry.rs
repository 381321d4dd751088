//! Figures of `just bench-registry`: what the registry costs.

use crate::page::Run;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The name of the figures' file and section.
pub const NAME: &str = "registry";

/// A run of the bench.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Under what it ran.
    #[serde(flatten)]
    pub run: Run,
    /// Against the bare server.
    pub lookups: Lookups,
    /// On SQLite with a sync at every commit.
    pub registrations: Registrations,
    /// In one store.
    pub many: Many,
}

/// `GET /schemas/ids/{id}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lookups {
    /// At once.
    pub connections: usize,
    /// CPU time of the registry for a request.
    pub registry_ns: f64,
    /// CPU time of the bare server for a request.
    pub hello_ns: f64,
}

/// `POST /subjects/{subject}/versions`, each a new schema under a new subject.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registrations {
    /// At once.
    pub clients: usize,
    /// Acknowledged.
    pub per_second: f64,
    /// CPU time of the registry for one.
    pub cpu_us: f64,
}

/// A store of many schemas; times of requests are the registry's CPU time, others elapsed time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// How many.
    pub schemas: usize,
    /// While it was filled.
    pub registered_per_second: f64,
    /// Resident memory that a schema added while the store was filled.
    pub resident_bytes_each: f64,
    /// The same by asking for a fifth of them after a start.
    pub resident_bytes_each_when_asked: f64,
    /// Resident memory of a process that started on them.
    pub resident_bytes_after_start: u64,
    /// Size of the database.
    pub database_bytes_each: f64,
    /// From kill to ready.
    pub start_ms: f64,
    /// One by id, spread over all, most of them for the first time.
    pub by_id_us: f64,
    /// One by its text.
    pub by_text_us: f64,
    /// All names.
    pub list_subjects_ms: f64,
    /// A page of schemas from the middle.
    pub page_of_1000_ms: f64,
}

impl Report {
    /// The section that shows them.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self {
            run,
            lookups,
            registrations,
            many,
        } = self;
        let mut out = format!(
            "## The registry\n\n{}\nOver HTTP with connections that are kept; the bare server is \
             actix-web's hello world in the same run.\n\n| what | figure |\n|---|---|\n",
            run.sentence("the server's")
        );
        let mut row = |what: &str, figure: String| {
            let _ = writeln!(out, "| {what} | {figure} |");
        };
        let ratio = lookups.registry_ns / lookups.hello_ns;
        row(
            "`GET /schemas/ids/{id}`, CPU against the bare server",
            format!(
                "{ratio:.2}x ({:.1} us against {:.1})",
                lookups.registry_ns / 1e3,
                lookups.hello_ns / 1e3
            ),
        );
        row(
            &format!(
                "registrations, {} clients, synchronous=FULL",
                registrations.clients
            ),
            format!(
                "{:.0}/s, {:.0} us CPU each",
                registrations.per_second, registrations.cpu_us
            ),
        );
        let k = many.schemas / 1000;
        row(
            &format!("filling a store with {k},000 schemas"),
            format!("{:.0}/s", many.registered_per_second),
        );
        row(
            "memory a schema: after filling; after looking up a fifth; in the database",
            format!(
                "{:.0} B; {:.0} B; {:.0} B",
                many.resident_bytes_each,
                many.resident_bytes_each_when_asked,
                many.database_bytes_each
            ),
        );
        row(
            "start on it after a kill, resident then",
            format!(
                "{:.0} ms, {:.0} MiB",
                many.start_ms,
                many.resident_bytes_after_start as f64 / f64::from(1 << 20)
            ),
        );
        row(
            "CPU of a look-up in it: by id; by text",
            format!("{:.0} us; {:.0} us", many.by_id_us, many.by_text_us),
        );
        row(
            "all subjects; a page of 1,000 schemas",
            format!(
                "{:.0} ms; {:.0} ms",
                many.list_subjects_ms, many.page_of_1000_ms
            ),
        );
        out
    }
}
