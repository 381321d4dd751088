//! The registry as its clients meet it: the true application on a port of its own, over a database
//! in a directory that vanishes, driven by HTTP alone.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod checklist;
mod client;
mod compatibility;
mod concurrency;
mod content;
mod contexts;
mod deletes;
mod document;
mod errors;
mod explanations;
mod identity;
mod limits;
mod normalize;
mod postgres;
mod recall;
mod references;
mod remote;
mod server;
mod settings;
#[path = "../support/postgres.rs"]
mod test_postgres;
mod transfer;

use avouch_registry_api::types::SchemaId;

fn schema_id(number: i32) -> SchemaId {
    SchemaId::new(number).unwrap()
}
