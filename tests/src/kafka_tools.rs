//! Apache Kafka's own command-line tools, many of them in one Java process.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::checkout;
use crate::program::{Event, Running};

/// Options of a Java process that lives for seconds: quick to start, small.
const QUICK: &[&str] = &["-XX:TieredStopAtLevel=1", "-Xmx256m"];

/// What one command came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// Its exit status.
    pub status: i32,
    /// All it wrote, errors included.
    pub printed: String,
}

impl Outcome {
    /// What it printed, of a command that succeeded.
    ///
    /// # Errors
    /// When it failed; the error says with what.
    pub fn text(&self) -> Result<&str> {
        ensure!(self.status == 0, "exit {}: {}", self.status, self.printed);
        Ok(&self.printed)
    }

    /// The lines of a command that succeeded, cut at white space: tables without their spacing.
    ///
    /// # Errors
    /// As [`Outcome::text`].
    pub fn rows(&self) -> Result<Vec<Vec<&str>>> {
        Ok(self
            .text()?
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<_>| !row.is_empty())
            .collect())
    }
}

/// Runs `commands` one after the other, each a tool's name and its arguments. `BROKER` in an
/// argument stands for `bootstrap`.
///
/// # Errors
/// When Java does not start or ends early; a command that fails is an outcome.
pub fn run(bootstrap: &str, commands: &[&str]) -> Result<Vec<Outcome>> {
    let mut java = kafka_java(QUICK);
    let mut running = Running::start(java.arg("avouch.kafka.Tools"))?;
    running.feed(script(bootstrap, commands)?.as_bytes())?;
    let outcomes = running
        .finish()?
        .into_iter()
        .map(|event| match event {
            Event::Told(outcome) => Ok(serde_json::from_value(outcome)?),
            other => anyhow::bail!("{other:?}"),
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(outcomes.len() == commands.len(), "{outcomes:?}");
    Ok(outcomes)
}

/// One tool in a process of its own, which some need: they print when their process ends. Words as
/// for [`run`].
///
/// # Errors
/// When `command` is empty.
pub fn program(bootstrap: &str, command: &str) -> Result<Command> {
    let mut java = kafka_java(QUICK);
    java.args(words(bootstrap, command)?);
    Ok(java)
}

/// Java with all of Kafka's classes.
pub fn kafka_java(options: &[&str]) -> Command {
    let target = checkout().join("tests/clients/kafka/target");
    let path = format!("{0}/kafka.jar:{0}/lib/*", target.display());
    let mut command = Command::new("java");
    command.args(options).args(["-cp", &path]);
    command
}

/// A line a command, its words cut by tabs.
fn script(bootstrap: &str, commands: &[&str]) -> Result<String> {
    let lines = commands
        .iter()
        .map(|command| Ok(words(bootstrap, command)?.join("\t") + "\n"));
    lines.collect()
}

/// A command's words, the tool by its class.
fn words(bootstrap: &str, command: &str) -> Result<Vec<String>> {
    let mut words = command.split_whitespace();
    let tool = class(words.next().context("a tool")?);
    let arguments = words.map(|word| match word {
        "BROKER" => bootstrap.to_owned(),
        other => other.to_owned(),
    });
    Ok(std::iter::once(tool).chain(arguments).collect())
}

fn class(tool: &str) -> String {
    match tool {
        "ConfigCommand" => "kafka.admin.ConfigCommand".to_owned(),
        "ConsumerGroupCommand" => {
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand".to_owned()
        }
        other => format!("org.apache.kafka.tools.{other}"),
    }
}
