//! Load generator: many requests over a few connections, one in flight per connection.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use crate::http::{Connection, Request};

/// The requests to send.
#[derive(Clone, Copy)]
pub(crate) struct Load<F> {
    pub(crate) connections: usize,
    /// Total number of requests.
    pub(crate) count: usize,
    /// Returns the request with a number.
    pub(crate) request: F,
}

impl<F: Fn(usize) -> Request + Send + Copy> Load<F> {
    /// Sends all requests and returns the elapsed time. Fails if a status is not 200.
    pub(crate) fn run(self, address: &str) -> Result<Duration> {
        let start = now();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.connections)
                .map(|first| scope.spawn(move || self.one(address, first)))
                .collect();
            clients.into_iter().try_for_each(|client| {
                client
                    .join()
                    .map_err(|_panicked| anyhow!("a client panicked"))?
            })
        })?;
        Ok(start.elapsed())
    }

    fn one(self, address: &str, first: usize) -> Result<()> {
        let mut connection = Connection::open(address)?;
        // Connection `first` sends each request whose number is `first` modulo the number of
        // connections.
        for at in (first..self.count).step_by(self.connections) {
            let response = connection.send(&(self.request)(at))?;
            let text = String::from_utf8_lossy(&response.body);
            ensure!(response.status == 200, "{}: {text}", response.status);
        }
        Ok(())
    }
}

/// Returns the registration of a schema unique to `number` under a subject unique to `number`.
pub(crate) fn registration(number: usize) -> Request {
    let body = json!({ "schema": schema(number) }).to_string();
    Request::post(format!("/subjects/bench-{number}/versions"), body)
}

/// Returns the lookup of that schema by its text.
pub(crate) fn lookup(number: usize) -> Request {
    let body = json!({ "schema": schema(number) }).to_string();
    Request::post(format!("/subjects/bench-{number}"), body)
}

/// Returns a record schema of six fields, a typical size.
fn schema(number: usize) -> String {
    let fields = [
        json!({"name": "id", "type": "string"}),
        json!({"name": "amount_cents", "type": "long"}),
        json!({"name": "currency", "type": "string"}),
        json!({"name": "note", "type": ["null", "string"], "default": null}),
        json!({"name": "tags", "type": {"type": "array", "items": "string"}}),
        json!({"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}),
    ];
    let name = format!("Payment{number}");
    json!({"type": "record", "name": name, "namespace": "bench", "fields": fields}).to_string()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
