//! HTTP client with minimal CPU cost: writes requests verbatim, reads responses by length.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result};

/// A request without its host.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    body: String,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(path: String) -> Self {
        let body = String::new();
        Self {
            method: "GET",
            path,
            body,
        }
    }

    pub(crate) fn post(path: String, body: String) -> Self {
        Self {
            method: "POST",
            path,
            body,
        }
    }
}

/// A persistent connection.
pub(crate) struct Connection {
    address: String,
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            reader: BufReader::new(stream),
        })
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<Response> {
        let Request { method, path, body } = request;
        let (host, length) = (&self.address, body.len());
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(text.as_bytes())?;
        self.response()
    }

    fn response(&mut self) -> Result<Response> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            // The empty line after the headers has no colon.
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(Response { status, body })
    }
}

/// Sends one request on a new connection.
pub(crate) fn once(address: &str, request: &Request) -> Result<Response> {
    Connection::open(address)?.send(request)
}
