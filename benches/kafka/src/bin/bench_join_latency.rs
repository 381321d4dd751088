//! Measures the time from subscribe to assignment of the only member of a new group, at default
//! settings. Groups are measured one after another. Prints one line, with the first group apart.
//!
//! ```text
//! bench_join_latency BOOTSTRAP GROUPS
//! ```
//!
//! The time includes the lookups of metadata and of the coordinator, as in every application.

use std::io::{Write as _, stdout};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT, now};
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::config;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const POLL: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, groups] = args.as_slice() else {
        anyhow::bail!("usage: bench_join_latency BOOTSTRAP GROUPS");
    };
    let groups: u32 = groups.parse()?;
    let topic = format!("group-start-{}", std::process::id());
    let created = Connection::open(bootstrap)?.create_topic(&topic, 3, &[])?;
    ensure!(created.error_code == 0, "{created:?}");
    // The first group of a broker creates the topic `__consumer_offsets` with 50 partitions.
    let first = time_to_assignment(bootstrap, &topic, 0)?;
    let times = (1..=groups).map(|group| time_to_assignment(bootstrap, &topic, group));
    let mut times = times.collect::<Result<Vec<_>>>()?;
    times.sort();
    let median = times.get(times.len() / 2).context("at least one group")?;
    let slowest = times.last().context("at least one group")?;
    writeln!(
        stdout(),
        "first group: assigned after {first:.1?}; {groups} more: {median:.1?} (median), \
         {slowest:.1?} (slowest)"
    )?;
    Ok(())
}

/// Returns the time from subscribe to assignment of a member of a new group.
fn time_to_assignment(bootstrap: &str, topic: &str, group: u32) -> Result<Duration> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", format!("{topic}-{group}"))
        .create()?;
    let started = now();
    consumer.subscribe(&[topic])?;
    Deadline::after(PROGRAM_LIMIT).wait("partitions", || {
        while started.elapsed() < PROGRAM_LIMIT {
            // The topic is empty. Polling serves the callbacks of the group.
            drop(consumer.poll(POLL));
            if consumer.assignment()?.count() > 0 {
                return Ok(Some(started.elapsed()));
            }
        }
        Ok(None)
    })
}
