//! Idempotent producers by Apache Kafka's own client, all in one process.

use anyhow::{Result, ensure};
use avouch_history::{Event, Place, Producer};
use avouch_tests::family::Family;
use avouch_tests::program::{self, Running};
use serde::Deserialize;

use super::notes::Notes;
use super::{PARTITIONS, TOPIC};

const PRODUCERS: usize = 16;
/// Added to their numbers, so that no producer of librdkafka has the same.
const NUMBERS_FROM: usize = 1_000_000;

/// What the program tells beside its acks.
#[derive(Debug, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Told {
    Sent {
        producer: usize,
        partition: i32,
        value: String,
    },
    Unanswered {
        count: i64,
    },
}

pub(super) struct JavaLoad {
    program: Running,
    notes: Notes,
    unanswered: i64,
}

impl JavaLoad {
    pub(super) fn start(broker: &str, notes: &Notes) -> Result<Self> {
        let (partitions, producers) = (PARTITIONS.to_string(), PRODUCERS.to_string());
        let args = ["--partitions", &partitions, "--producers", &producers];
        let program = Family::Java.start(broker, "load", TOPIC, &args)?;
        Ok(Self {
            program,
            notes: notes.clone(),
            unanswered: 0,
        })
    }

    /// Notes what the program has told since the last time. It must be called often: a program that
    /// is not listened to stands still.
    pub(super) fn listen(&mut self) -> Result<()> {
        for event in self.program.news() {
            ensure!(event != program::Event::Done, "the program has ended");
            self.note(event)?;
        }
        Ok(())
    }

    /// Requests on the wire, as told last.
    pub(super) fn unanswered(&self) -> i64 {
        self.unanswered
    }

    /// Has it stop sending, and waits until everything sent is acknowledged.
    pub(super) fn finish(mut self) -> Result<()> {
        self.program.extend();
        let Self {
            program,
            notes,
            unanswered: _,
        } = self;
        for event in program.finish()? {
            note(&notes, event)?;
        }
        Ok(())
    }

    fn note(&mut self, event: program::Event) -> Result<()> {
        if let Some(count) = note(&self.notes, event)? {
            self.unanswered = count;
        }
        Ok(())
    }
}

/// Takes one event down; the requests on the wire if it tells of them.
fn note(notes: &Notes, event: program::Event) -> Result<Option<i64>> {
    match event {
        program::Event::Acked {
            value,
            partition,
            offset,
        } => notes.note(Event::Acked {
            value,
            at: Place::new(partition, offset),
        }),
        program::Event::Told(told) => match serde_json::from_value(told)? {
            Told::Unanswered { count } => return Ok(Some(count)),
            Told::Sent {
                producer,
                partition,
                value,
            } => notes.note(Event::Sent {
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
