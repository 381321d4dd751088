//! Measures schema parsing and compatibility checks, compared with apache-avro and Java.
//!
//! Java runs in a separate process, is warmed up there, and takes part in every round.

use crate::measure::{self, Case};
use anyhow::{Context, Result, ensure};
use apache_avro::schema_compatibility::SchemaCompatibility;
use avouch_avro::Schema;
use avouch_bench_report::model::{Report, Row};
use avouch_bench_report::page::{Run, checkout};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const ROUNDS: usize = 9;
const JAVA_PROJECT: &str = "serde-avro/core/tests/oracle/java";

/// Two versions of a schema; the later one can read data of the earlier one.
struct Shape {
    name: &'static str,
    earlier: String,
    later: String,
}

pub(crate) fn measured() -> Result<Report> {
    let shapes = shapes();
    let mut java = Java::start(&shapes)?;
    let mut rows = Vec::new();
    for (number, shape) in shapes.iter().enumerate() {
        let Shape {
            name,
            earlier,
            later,
        } = shape;
        let parses = vec![
            Case::new("avouch-avro", || {
                Schema::parse(earlier).map_or(0, |schema| schema.source().len() as u64)
            }),
            Case::new("apache-avro", || {
                u64::from(apache_avro::Schema::parse_str(earlier).is_ok())
            }),
        ];
        let us = medians(parses, &mut java, &format!("parse {number}"))?;
        rows.push(Row::new(name, "parse", us));
        let avouch = (Schema::parse(later)?, Schema::parse(earlier)?);
        ensure!(avouch.0.can_read(&avouch.1)?.is_compatible(), "{name}");
        let apache = (
            apache_avro::Schema::parse_str(later)?,
            apache_avro::Schema::parse_str(earlier)?,
        );
        let compares = vec![
            Case::new("avouch-avro", || {
                u64::from(avouch.0.can_read(&avouch.1).is_ok())
            }),
            Case::new("apache-avro", || {
                u64::from(SchemaCompatibility::can_read(&apache.1, &apache.0).is_ok())
            }),
        ];
        let us = medians(compares, &mut java, &format!("compare {number}"))?;
        rows.push(Row::new(name, "compare", us));
    }
    Ok(Report::new(Run::new(ROUNDS)?, rows))
}

/// Returns the median CPU time of each implementation in microseconds.
fn medians(
    mut cases: Vec<Case<'_>>,
    java: &mut Java,
    request: &str,
) -> Result<BTreeMap<String, f64>> {
    let runs: Vec<u64> = cases.iter_mut().map(measure::runs_a_round).collect();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (case, runs) in cases.iter_mut().zip(&runs) {
            let ns = measure::round_ns(case, *runs);
            times.entry(case.name.to_owned()).or_default().push(ns);
        }
        let ns = java.round_ns(request)?;
        times.entry("Java".to_owned()).or_default().push(ns);
    }
    let medians = times.into_iter();
    Ok(medians
        .map(|(name, ns)| (name, measure::median(ns) / 1e3))
        .collect())
}

/// A Java process that runs one round per request line.
struct Java {
    process: Child,
    requests: ChildStdin,
    responses: BufReader<ChildStdout>,
}

impl Java {
    fn start(shapes: &[Shape]) -> Result<Self> {
        let project = checkout().join(JAVA_PROJECT);
        let folder = project.join("target/shapes");
        std::fs::create_dir_all(&folder)?;
        for (number, shape) in shapes.iter().enumerate() {
            std::fs::write(folder.join(format!("{number}-old.avsc")), &shape.earlier)?;
            std::fs::write(folder.join(format!("{number}-new.avsc")), &shape.later)?;
        }
        let classpath = Self::classpath(&project)?;
        let mut process = Command::new("java")
            .args(["-Xmx512m", "-classpath", &classpath, "Bench"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("java")?;
        let requests = process.stdin.take().context("stdin is not piped")?;
        let responses = process.stdout.take().context("stdout is not piped")?;
        Ok(Self {
            process,
            requests,
            responses: BufReader::new(responses),
        })
    }

    /// Compiles the project and returns the class path with its dependencies.
    fn classpath(project: &Path) -> Result<String> {
        let list = project.join("target/classpath");
        let status = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(project)
            .arg(format!("-Dmdep.outputFile={}", list.display()))
            .args([
                "compile",
                "org.apache.maven.plugins:maven-dependency-plugin:3.7.1:build-classpath",
            ])
            .status()
            .context("mvn")?;
        ensure!(status.success(), "mvn failed: {status}");
        let classes = project.join("target/classes");
        let dependencies = std::fs::read_to_string(&list)?;
        Ok(format!("{}:{}", classes.display(), dependencies.trim()))
    }

    fn round_ns(&mut self, request: &str) -> Result<f64> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut response = String::new();
        self.responses.read_line(&mut response)?;
        response.trim().parse().context("response of Java")
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn shapes() -> [Shape; 3] {
    let shape = |name, of: &dyn Fn(&str) -> String| Shape {
        name,
        earlier: of("int"),
        later: of("long"),
    };
    [
        shape("record of 100 fields", &|kind| record(100, kind)),
        shape("record of 5,000 fields", &|kind| record(5_000, kind)),
        shape("30 records deep", &|kind| deep(30, kind)),
    ]
}

/// Returns a record schema with optional, documented fields of one type.
fn record(fields: usize, kind: &str) -> String {
    let field = |at| {
        let head = format!(r#""name":"field{at}","type":["null","{kind}"]"#);
        format!(r#"{{{head},"default":null,"doc":"The field {at}."}}"#)
    };
    let fields: Vec<_> = (0..fields).map(field).collect();
    let fields = fields.join(",");
    format!(r#"{{"type":"record","name":"R","namespace":"com.example","fields":[{fields}]}}"#)
}

/// Returns nested records with a leaf of one type.
fn deep(levels: usize, kind: &str) -> String {
    let mut text = format!("\"{kind}\"");
    for at in 0..levels {
        text = format!(
            r#"{{"type":"record","name":"R{at}","fields":[
                {{"name":"id","type":"string"}},{{"name":"inner","type":{text}}}]}}"#
        );
    }
    text
}
