//! How soon a lone member of a new group has its partitions, at default settings: from subscribing
//! to being assigned. One group after the other, the first told apart; prints one line.
//!
//! ```text
//! bench_join_latency BOOTSTRAP GROUPS
//! ```
//!
//! Metadata and the coordinator are looked up within that time, as every application does it.

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
        anyhow::bail!("group_start BOOTSTRAP GROUPS");
    };
    let groups: u32 = groups.parse()?;
    let topic = format!("group-start-{}", std::process::id());
    let created = Connection::open(bootstrap)?.create_topic(&topic, 3, &[])?;
    ensure!(created.error_code == 0, "{created:?}");
    // A broker's first group makes the topic of committed offsets with its fifty partitions.
    let first = assigned_within(bootstrap, &topic, 0)?;
    let times = (1..=groups).map(|group| assigned_within(bootstrap, &topic, group));
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

/// How long a new member of a new group waits for its partitions.
fn assigned_within(bootstrap: &str, topic: &str, group: u32) -> Result<Duration> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", format!("{topic}-{group}"))
        .create()?;
    let started = now();
    consumer.subscribe(&[topic])?;
    Deadline::after(PROGRAM_LIMIT).wait("partitions", || {
        while started.elapsed() < PROGRAM_LIMIT {
            // No record comes; polling serves the group's callbacks.
            drop(consumer.poll(POLL));
            if consumer.assignment()?.count() > 0 {
                return Ok(Some(started.elapsed()));
            }
        }
        Ok(None)
    })
}
