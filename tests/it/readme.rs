//! The README's snippets, run unchanged except for the addresses of the node.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::checkout;
use avouch_tests::node::Node;
use avouch_tests::program::stdout_of;
use avouch_tests::registry::file;

/// Returns the code under a heading of the section "Clients", with the addresses of a node.
fn snippet(node: &Node, heading: &str) -> Result<String> {
    let readme = file("README.md")?;
    let head = format!("<details><summary>{heading}</summary>");
    let (_, rest) = readme.split_once(&head).with_context(|| head.clone())?;
    let (details, _) = rest.split_once("</details>").context("no </details>")?;
    let (_, fenced) = details.split_once("```").context("no code block")?;
    let (_, code) = fenced.split_once('\n').context("no line break")?;
    let (code, _) = code.split_once("```").context("unclosed code block")?;
    let code = code.replace("127.0.0.1:9092", node.bootstrap());
    Ok(code.replace("http://127.0.0.1:8081", &node.url()))
}

// Conformance: main-job/9e
#[test]
fn readme_kcat_and_curl_commands_work() -> Result<()> {
    let node = Node::start()?;
    let lines = snippet(&node, "kcat and curl")?;
    let output = stdout_of(Command::new("bash").args(["-euo", "pipefail", "-c", &lines]))?;
    assert_eq!(output.trim_end(), "0@0 hello\n[]");
    Ok(())
}

// Conformance: main-job/9e
#[test]
fn readme_python_and_javascript_snippets_work() -> Result<()> {
    let node = Node::start()?;
    let python = checkout().join("tests/.tools/venv/bin/python");
    let code = snippet(&node, "Python")?;
    let output = stdout_of(
        Command::new(python)
            .current_dir(checkout())
            .args(["-c", &code]),
    )?;
    assert_eq!(output, "0\n", "offset of the record");

    // The snippet consumes forever; the test waits for its first record.
    let mut consumer = Command::new("node")
        .current_dir(checkout().join("tests/clients/node"))
        .args(["-e", &snippet(&node, "JavaScript")?])
        .env("KAFKAJS_NO_PARTITIONER_WARNING", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = consumer.stdout.take().context("stdout is not piped")?;
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
