//! Minimal actix-web server with the same number of workers as Avouch, for comparison.

use std::io::Write as _;
use std::net::TcpListener;

use actix_web::{App, HttpServer, rt, web};
use anyhow::Result;

/// Serves until the process is killed. Prints the address to stdout.
pub(crate) fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    // The parent process waits for the address.
    stdout.flush()?;
    let server = HttpServer::new(|| App::new().route("/", web::get().to(hello)));
    let server = server.workers(1).listen(listener)?.run();
    Ok(rt::System::new().block_on(server)?)
}

async fn hello() -> &'static str {
    "Hello, world!"
}
