//! Integration tests over HTTP: each starts the application on a free port, with a database in a
//! temporary directory.

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
mod fast_path;
mod identity;
mod import_export;
mod limits;
mod normalize;
mod postgres;
mod references;
mod remote;
mod repeated;
mod server;
mod settings;
#[path = "../support/postgres.rs"]
mod test_postgres;
mod v1;

use avouch_registry_api::types::SchemaId;

fn schema_id(number: i32) -> SchemaId {
    SchemaId::new(number).unwrap()
}
