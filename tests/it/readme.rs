//! The README's snippets, run as they stand there but for the node's addresses.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::checkout;
use avouch_tests::node::Node;
use avouch_tests::program::printed;
use avouch_tests::registry::file;

/// The code under this heading of "Clients", for a node.
fn snippet(node: &Node, heading: &str) -> Result<String> {
    let readme = file("README.md")?;
    let head = format!("<details><summary>{heading}</summary>");
    let (_, rest) = readme.split_once(&head).with_context(|| head.clone())?;
    let (details, _) = rest.split_once("</details>").context("an end")?;
    let (_, fenced) = details.split_once("```").context("code")?;
    let (_, code) = fenced.split_once('\n').context("a first line")?;
    let (code, _) = code.split_once("```").context("an end of the code")?;
    let code = code.replace("127.0.0.1:9092", node.bootstrap());
    Ok(code.replace("http://127.0.0.1:8081", &node.url()))
}

// Conformance: main-job/9e
#[test]
fn the_readmes_kcat_and_curl_lines_work() -> Result<()> {
    let node = Node::start()?;
    let lines = snippet(&node, "kcat and curl")?;
    let told = printed(Command::new("bash").args(["-euo", "pipefail", "-c", &lines]))?;
    assert_eq!(told.trim_end(), "0@0 hello\n[]");
    Ok(())
}

// Conformance: main-job/9e
#[test]
fn the_readmes_python_produces_and_its_javascript_consumes() -> Result<()> {
    let node = Node::start()?;
    let python = checkout().join("tests/.tools/venv/bin/python");
    let code = snippet(&node, "Python")?;
    let told = printed(
        Command::new(python)
            .current_dir(checkout())
            .args(["-c", &code]),
    )?;
    assert_eq!(told, "0\n", "the record's offset");

    // It consumes for ever: what counts is its first record.
    let mut consumer = Command::new("node")
        .current_dir(checkout().join("tests/clients/node"))
        .args(["-e", &snippet(&node, "JavaScript")?])
        .env("KAFKAJS_NO_PARTITIONER_WARNING", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = consumer.stdout.take().context("its output")?;
    let is_record =
        |line: &std::io::Result<String>| !matches!(line, Ok(line) if line.starts_with('{'));
    let record = BufReader::new(stdout).lines().find(is_record);
    consumer.kill()?;
    consumer.wait()?;
    ensure!(
        matches!(&record, Some(Ok(line)) if line == "0 0"),
        "{record:?}"
    );
    Ok(())
}
