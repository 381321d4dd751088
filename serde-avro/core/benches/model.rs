//! How long parsing and comparing schemas takes, beside apache-avro: median of many runs.
//!
//! `cargo bench -p avouch-avro --bench model` prints a JSON line for each shape, operation and
//! implementation; with `-- --write FOLDER` it also leaves the shapes there, for the Java twin.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(
    clippy::disallowed_methods,
    reason = "measuring time is what it is for"
)]

use apache_avro::schema_compatibility::SchemaCompatibility;
use avouch_avro::{Schema, compatibility};
use std::hint::black_box;
use std::time::{Duration, Instant};

const RUNS_MAX: usize = 2_001;
const TIME_MAX: Duration = Duration::from_secs(2);

fn main() {
    let shapes = [
        (
            "record of 100 fields",
            record(100, "int"),
            record(100, "long"),
        ),
        (
            "record of 5,000 fields",
            record(5_000, "int"),
            record(5_000, "long"),
        ),
        ("30 records deep", deep(30, "int"), deep(30, "long")),
    ];
    let mut arguments = std::env::args().skip_while(|argument| argument != "--write");
    let folder = arguments.nth(1);
    for (number, (shape, old, new)) in shapes.iter().enumerate() {
        if let Some(folder) = &folder {
            for (side, text) in [("old", old), ("new", new)] {
                let path = format!("{folder}/{number}-{side}.avsc");
                std::fs::write(path, text).expect("the folder can be written");
            }
        }
        measure(shape, old, new);
    }
}

fn measure(shape: &str, old: &str, new: &str) {
    report(shape, "parse", "avouch-avro", || {
        drop(black_box(Schema::parse(old)));
    });
    report(shape, "parse", "apache-avro", || {
        drop(black_box(apache_avro::Schema::parse_str(old)));
    });
    let ours = [new, old].map(|text| Schema::parse(text).expect("the shapes are schemas"));
    report(shape, "compare", "avouch-avro", || {
        drop(black_box(compatibility::check(&ours[0], &ours[1])));
    });
    let theirs = [new, old]
        .map(|text| apache_avro::Schema::parse_str(text).expect("the shapes are schemas"));
    report(shape, "compare", "apache-avro", || {
        drop(black_box(SchemaCompatibility::can_read(
            &theirs[1], &theirs[0],
        )));
    });
}

fn report(shape: &str, operation: &str, implementation: &str, mut run: impl FnMut()) {
    run();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < RUNS_MAX && start.elapsed() < TIME_MAX {
        let before = Instant::now();
        run();
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let median_us = times[times.len() / 2].as_secs_f64() * 1e6;
    println!(
        "{{\"shape\":\"{shape}\",\"operation\":\"{operation}\",\"implementation\":\
         \"{implementation}\",\"median_us\":{median_us:.1},\"runs\":{}}}",
        times.len()
    );
}

/// A record of optional, documented fields of one type.
fn record(fields: usize, kind: &str) -> String {
    let field = |at| {
        let head = format!(r#""name":"field{at}","type":["null","{kind}"]"#);
        format!(r#"{{{head},"default":null,"doc":"The field {at}."}}"#)
    };
    let fields: Vec<_> = (0..fields).map(field).collect();
    let fields = fields.join(",");
    format!(r#"{{"type":"record","name":"R","namespace":"com.example","fields":[{fields}]}}"#)
}

/// Records within records, with a leaf of one type.
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
