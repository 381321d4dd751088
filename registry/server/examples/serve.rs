//! The registry alone on a port of its own, for trying clients against it:
//! `cargo run -p avouch-registry --example serve -- registry.db`.

#![expect(clippy::print_stdout, reason = "it tells where it listens")]

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use avouch_registry::{Database, Registry, RegistryConfig, in_context, not_found};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("registry.db"), Into::into);
    let registry = Registry::open(&Database::Sqlite(path), RegistryConfig::default()).await?;
    let routes = registry.routes();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let application = move || {
        App::new()
            .wrap(from_fn(in_context))
            .configure(routes.clone())
            .default_service(web::to(not_found))
    };
    HttpServer::new(application)
        .workers(1)
        .listen(listener)?
        .run()
        .await?;
    registry.close().await;
    Ok(())
}
