//! Apache Kafka's command-line tools, several commands per Java process.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::checkout;
use crate::program::{Event, Running};

/// Options of a Java process that runs for seconds: fast start, little memory.
const SHORT_LIVED: &[&str] = &["-XX:TieredStopAtLevel=1", "-Xmx256m"];

/// Result of one command.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Everything it wrote to stdout and stderr.
    pub output: String,
}

impl Outcome {
    /// Returns the output of a successful command.
    ///
    /// # Errors
    /// Fails if the command failed; the error contains its output.
    pub fn text(&self) -> Result<&str> {
        ensure!(self.status == 0, "exit {}: {}", self.status, self.output);
        Ok(&self.output)
    }

    /// Returns the output lines of a successful command, split at white space: table rows without
    /// alignment.
    ///
    /// # Errors
    /// Like [`Outcome::text`].
    pub fn rows(&self) -> Result<Vec<Vec<&str>>> {
        Ok(self
            .text()?
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<_>| !row.is_empty())
            .collect())
    }
}

/// Runs `commands` one after the other, each a tool name and its arguments. The argument `BROKER`
/// is replaced by `bootstrap`.
///
/// # Errors
/// Fails if Java does not start or exits early; a failed command is an outcome.
pub fn run(bootstrap: &str, commands: &[&str]) -> Result<Vec<Outcome>> {
    let mut java = kafka_java(SHORT_LIVED);
    let mut running = Running::start(java.arg("avouch.kafka.Tools"))?;
    // One process for all commands: starting Java takes longer than most commands.
    running.feed(script(bootstrap, commands)?.as_bytes())?;
    let outcomes = running
        .finish()?
        .into_iter()
        .map(|event| match event {
            Event::Output(outcome) => Ok(serde_json::from_value(outcome)?),
            other => anyhow::bail!("{other:?}"),
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(outcomes.len() == commands.len(), "{outcomes:?}");
    Ok(outcomes)
}

/// Returns a command that runs one tool in a separate process, for tools that print when their
/// process exits. `command` has the form of [`run`].
///
/// # Errors
/// Fails if `command` is empty.
pub fn program(bootstrap: &str, command: &str) -> Result<Command> {
    let mut java = kafka_java(SHORT_LIVED);
    java.args(words(bootstrap, command)?);
    Ok(java)
}

/// Returns a Java command with Kafka's classes in its class path.
pub fn kafka_java(options: &[&str]) -> Command {
    let target = checkout().join("tests/clients/kafka/target");
    let path = format!("{0}/kafka.jar:{0}/lib/*", target.display());
    let mut command = Command::new("java");
    command.args(options).args(["-cp", &path]);
    command
}

/// Returns one line per command, with words separated by tabs.
fn script(bootstrap: &str, commands: &[&str]) -> Result<String> {
    let lines = commands
        .iter()
        .map(|command| Ok(words(bootstrap, command)?.join("\t") + "\n"));
    lines.collect()
}

/// Returns the words of a command, with the class name in place of the tool name.
fn words(bootstrap: &str, command: &str) -> Result<Vec<String>> {
    let mut words = command.split_whitespace();
    let tool = class(words.next().context("no tool name")?);
    let arguments = words.map(|word| match word {
        "BROKER" => bootstrap.to_owned(),
        // As the value of a property: NAME=BROKER.
        other => other.replace("=BROKER", &format!("={bootstrap}")),
    });
    Ok(std::iter::once(tool).chain(arguments).collect())
}

fn class(tool: &str) -> String {
    match tool {
        // Written in Scala and still in the core package.
        "ConfigCommand" => "kafka.admin.ConfigCommand".to_owned(),
        "ConsumerGroupCommand" => {
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand".to_owned()
        }
        other => format!("org.apache.kafka.tools.{other}"),
    }
}
