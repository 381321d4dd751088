//! Writes docs/compatibility.md from what the tests have shown: `matrix FILE`, a line of client and
//! feature each, as `avouch_tests::matrix` notes them. Versions are read where they are pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use avouch_tests::checkout;

const HEAD: &str = "# Clients\n\nWhat our own tests show of clients that others wrote, against the \
    real binary. Made by `just compatibility` from\nthe tests of one run that passed, not by hand; \
    an empty cell says that no test of ours asks for it.\n\n";

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("matrix FILE")?;
    let lines = fs::read_to_string(&path).with_context(|| path.clone())?;
    let page = checkout().join("docs/compatibility.md");
    fs::write(page, format!("{HEAD}{}", table(&lines)?))?;
    Ok(())
}

/// A row a feature, a column a client.
fn table(lines: &str) -> Result<String> {
    let mut features: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in lines.lines() {
        let (client, feature) = line.split_once('\t').context("client, tab, feature")?;
        features.entry(feature).or_default().insert(client);
    }
    let clients: BTreeSet<&str> = features.values().flatten().copied().collect();
    let mut out = String::from("| |");
    for client in &clients {
        write!(out, " {client} {} |", version(client)?)?;
    }
    write!(out, "\n|---|{}\n", "---|".repeat(clients.len()))?;
    for (feature, by) in &features {
        write!(out, "| {feature} |")?;
        for client in &clients {
            out.push_str(if by.contains(client) { " yes |" } else { " |" });
        }
        out.push('\n');
    }
    Ok(out)
}

/// The version that the tests run.
fn version(client: &str) -> Result<String> {
    let pinned = |path: &str, before: &str| -> Result<String> {
        let text = fs::read_to_string(checkout().join(path))?;
        let behind = text.split_once(before).context(before.to_owned())?.1;
        let is_version = |c: &char| c.is_ascii_alphanumeric() || *c == '.' || *c == '-';
        Ok(behind.chars().take_while(is_version).collect())
    };
    let python = "tests/clients/python/requirements.txt";
    match client {
        "confluent-kafka" => pinned(python, "confluent-kafka=="),
        "aiokafka" => pinned(python, "aiokafka=="),
        "kafkajs" => pinned("tests/clients/node/package.json", "\"kafkajs\": \""),
        "Java" => pinned(
            "tests/clients/java/pom.xml",
            "<artifactId>kafka-clients</artifactId>\n      <version>",
        ),
        "Kafka's tools" => pinned(
            "tests/clients/kafka/pom.xml",
            "<artifactId>kafka-tools</artifactId>\n      <version>",
        ),
        "rdkafka" | "krafka" => {
            let entry = format!("name = \"{client}\"\nversion = \"");
            pinned("Cargo.lock", &entry)
        }
        "kcat" => {
            let output = Command::new("kcat").arg("-V").output()?;
            let text = String::from_utf8(output.stdout)?;
            let version = text.split("Version ").nth(1).context("kcat's version")?;
            Ok(version.split(' ').next().unwrap_or_default().to_owned())
        }
        _ => Ok(String::new()),
    }
}
