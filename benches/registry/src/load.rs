//! Many requests over a few connections, each of which waits for its answer.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use crate::http::{Connection, Request};

/// What to send.
#[derive(Clone, Copy)]
pub(crate) struct Load<F> {
    pub(crate) connections: usize,
    /// Over all connections.
    pub(crate) count: usize,
    /// The request of this number.
    pub(crate) request: F,
}

impl<F: Fn(usize) -> Request + Send + Copy> Load<F> {
    /// How long it took until all were answered, well.
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
        for at in (first..self.count).step_by(self.connections) {
            let answer = connection.send(&(self.request)(at))?;
            let text = String::from_utf8_lossy(&answer.body);
            ensure!(answer.status == 200, "{}: {text}", answer.status);
        }
        Ok(())
    }
}

/// A schema of its own under a subject of its own.
pub(crate) fn registration(number: usize) -> Request {
    let body = json!({ "schema": schema(number) }).to_string();
    Request::post(format!("/subjects/bench-{number}/versions"), body)
}

/// The look-up that finds it by its text.
pub(crate) fn look_up(number: usize) -> Request {
    let body = json!({ "schema": schema(number) }).to_string();
    Request::post(format!("/subjects/bench-{number}"), body)
}

/// A record of six fields, as most are.
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
