//! A registry without a broker on a free port:
//! `cargo run -p avouch-registry --example serve -- registry.db`.

#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;

use actix_web::{App, HttpServer};
use avouch_registry::{Database, Registry, RegistryConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("registry.db"), Into::into);
    let registry = Registry::open(&Database::Sqlite(path), RegistryConfig::default()).await?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let config = registry.app_config();
    HttpServer::new(move || App::new().configure(config.clone()))
        .workers(1)
        .listen(listener)?
        .run()
        .await?;
    registry.close().await;
    Ok(())
}
