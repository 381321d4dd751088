//! Results of `just bench-registry`: CPU time, throughput and memory of the registry.

use crate::page::Run;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Name of the JSON file and of the section.
pub const NAME: &str = "registry";

/// Results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Conditions of the run.
    #[serde(flatten)]
    pub run: Run,
    /// Lookups by id, compared with a minimal server.
    pub lookups: Lookups,
    /// Registrations on SQLite with a sync at every commit.
    pub registrations: Registrations,
    /// One database with many schemas.
    pub many: Many,
}

/// `GET /schemas/ids/{id}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lookups {
    /// Concurrent connections.
    pub connections: usize,
    /// CPU time of the registry per request.
    pub registry_ns: f64,
    /// CPU time of the minimal server per request.
    pub hello_ns: f64,
    /// CPU time of the registry per registration of a stored schema, which some clients repeat for
    /// every record.
    pub repeated_registration_ns: f64,
    /// CPU time of the registry per list of associations, which some clients request for every
    /// record.
    pub associations_ns: f64,
}

/// `POST /subjects/{subject}/versions`, each with a new schema and a new subject.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registrations {
    /// Concurrent clients.
    pub clients: usize,
    /// Acknowledged registrations per second.
    pub per_second: f64,
    /// CPU time of the registry per registration.
    pub cpu_us: f64,
}

/// A database with many schemas. Fields in µs are CPU time of the registry; fields in ms are
/// elapsed time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// Number of schemas.
    pub schemas: usize,
    /// Registrations per second while the database is filled.
    pub registered_per_second: f64,
    /// Resident memory per schema after filling.
    pub resident_bytes_each: f64,
    /// Resident memory per schema after a restart and lookups of a fifth of the schemas.
    #[serde(rename = "resident_bytes_each_when_asked")]
    pub resident_bytes_each_after_lookups: f64,
    /// Resident memory of a restarted process.
    pub resident_bytes_after_start: u64,
    /// Size of the database per schema.
    pub database_bytes_each: f64,
    /// Time from SIGKILL until ready.
    pub start_ms: f64,
    /// A lookup by id, spread over all schemas, most of them not cached.
    pub by_id_us: f64,
    /// A lookup by schema string.
    pub by_text_us: f64,
    /// The list of all subjects.
    pub list_subjects_ms: f64,
    /// A page of 1,000 schemas from the middle.
    pub page_of_1000_ms: f64,
}

impl Lookups {
    /// Returns names and results: the lookup, and the requests that some clients repeat.
    fn rows(&self) -> [(&'static str, String); 3] {
        let lookup = self.registry_ns;
        let result = |ns: f64, base: f64| format!("{:.2}x ({:.1} us)", ns / base, ns / 1e3);
        let hello = self.hello_ns;
        let by_id = format!(
            "{}; minimal server {:.1} us",
            result(lookup, hello),
            hello / 1e3
        );
        [
            (
                "`GET /schemas/ids/{id}`, CPU time relative to the minimal server",
                by_id,
            ),
            (
                "repeated registration of a stored schema, CPU time relative to that lookup",
                result(self.repeated_registration_ns, lookup) + ", target: ≤ 3x",
            ),
            (
                "list of a topic's associations, CPU time relative to that lookup",
                result(self.associations_ns, lookup),
            ),
        ]
    }
}

impl Report {
    /// Returns the section as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self {
            run,
            lookups,
            registrations,
            many,
        } = self;
        let mut out = format!(
            "## Registry\n\n{}\nHTTP with persistent connections. The minimal server is \
             actix-web's hello world in the same run.\n\n| measurement | result |\n|---|---|\n",
            run.sentence("the server's")
        );
        let mut row = |name: &str, result: String| {
            let _ = writeln!(out, "| {name} | {result} |");
        };
        for (name, result) in lookups.rows() {
            row(name, result);
        }
        row(
            &format!(
                "registrations, {} clients, synchronous=FULL",
                registrations.clients
            ),
            format!(
                "{:.0}/s, {:.0} us CPU time each",
                registrations.per_second, registrations.cpu_us
            ),
        );
        let k = many.schemas / 1000;
        row(
            &format!("registration of {k},000 schemas in one database"),
            format!("{:.0}/s", many.registered_per_second),
        );
        row(
            "size per schema: memory after registration; memory after lookups of a fifth; database",
            format!(
                "{:.0} B; {:.0} B; {:.0} B",
                many.resident_bytes_each,
                many.resident_bytes_each_after_lookups,
                many.database_bytes_each
            ),
        );
        row(
            "restart after SIGKILL, resident memory after it",
            format!(
                "{:.0} ms, {:.0} MiB",
                many.start_ms,
                many.resident_bytes_after_start as f64 / f64::from(1 << 20)
            ),
        );
        row(
            "CPU time of a lookup: by id; by schema string",
            format!("{:.0} us; {:.0} us", many.by_id_us, many.by_text_us),
        );
        row(
            "list of all subjects; a page of 1,000 schemas",
            format!(
                "{:.0} ms; {:.0} ms",
                many.list_subjects_ms, many.page_of_1000_ms
            ),
        );
        out
    }
}
