//! Idempotent producers of Apache Kafka's Java client, all in one process.

use anyhow::{Result, ensure};
use avouch_history::{Event, PartitionOffset, Producer};
use avouch_tests::family::Family;
use avouch_tests::program::{self, Running};
use serde::Deserialize;

use super::recorder::Recorder;
use super::{PARTITIONS, TOPIC};

const PRODUCERS: usize = 16;
/// Added to the producer numbers, so that they differ from those of librdkafka's producers.
const NUMBERS_FROM: usize = 1_000_000;

/// Output of the program in addition to acknowledgements.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Output {
    Sent {
        producer: usize,
        partition: i32,
        value: String,
    },
    InFlight {
        count: i64,
    },
}

pub(super) struct JavaLoad {
    program: Running,
    recorder: Recorder,
    in_flight: i64,
}

impl JavaLoad {
    pub(super) fn start(broker: &str, recorder: &Recorder) -> Result<Self> {
        let (partitions, producers) = (PARTITIONS.to_string(), PRODUCERS.to_string());
        let args = ["--partitions", &partitions, "--producers", &producers];
        let program = Family::Java.start(broker, "load", TOPIC, &args)?;
        Ok(Self {
            program,
            recorder: recorder.clone(),
            in_flight: 0,
        })
    }

    /// Records the new events of the program. Must be called often: the program blocks when the
    /// event buffer is full.
    pub(super) fn record_events(&mut self) -> Result<()> {
        for event in self.program.new_events() {
            ensure!(event != program::Event::Done, "the program has exited");
            self.record(event)?;
        }
        Ok(())
    }

    /// Returns the requests in flight as last reported by the program.
    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight
    }

    /// Stops sending and waits until all sent records are acknowledged.
    pub(super) fn finish(mut self) -> Result<()> {
        // The time limit was started with the program.
        self.program.extend();
        let Self {
            program,
            recorder,
            in_flight: _,
        } = self;
        for event in program.finish()? {
            record(&recorder, event)?;
        }
        Ok(())
    }

    fn record(&mut self, event: program::Event) -> Result<()> {
        if let Some(count) = record(&self.recorder, event)? {
            self.in_flight = count;
        }
        Ok(())
    }
}

/// Records one event. Returns the number of requests in flight if the event contains it.
fn record(recorder: &Recorder, event: program::Event) -> Result<Option<i64>> {
    match event {
        program::Event::Acked {
            value,
            partition,
            offset,
        } => recorder.record(Event::Acked {
            value,
            at: PartitionOffset::new(partition, offset),
        }),
        program::Event::Output(output) => match serde_json::from_value(output)? {
            Output::InFlight { count } => return Ok(Some(count)),
            Output::Sent {
                producer,
                partition,
                value,
            } => recorder.record(Event::Sent {
                producer: Producer(NUMBERS_FROM + producer),
                partition,
                value,
            }),
        },
        program::Event::Failed { .. }
        | program::Event::Assigned { .. }
        | program::Event::Record(_)
        | program::Event::Created
        | program::Event::Done => {}
    }
    Ok(None)
}
