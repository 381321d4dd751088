//! Measures the validator and other libraries over the data sets.

use crate::measure::{self, Case};
use crate::visit::Visited;
use anyhow::{Context, Result};
use apache_avro::reader::datum::GenericDatumReader;
use avouch_avro::Schema;
use avouch_avro::validator::Validator;
use avouch_bench_report::avro::{CompileRow, Report, SetRow};
use avouch_bench_report::data::{self, Set};
use avouch_bench_report::page::Run;
use std::collections::BTreeMap;
use std::io::{Read, Write};

const ROUNDS: usize = 9;

pub(crate) fn measured() -> Result<Report> {
    let sets = data::sets();
    let rows = sets.iter().map(measured_set).collect::<Result<_>>()?;
    let order = compiled("order", &sets[1].schema)?;
    let wide = compiled("5,000 fields", &data::wide_schema(5_000))?;
    Ok(Report::new(Run::new(ROUNDS)?, rows, vec![order, wide]))
}

fn measured_set(set: &Set) -> Result<SetRow> {
    let validator = Validator::compile(&Schema::parse(&set.schema)?)?;
    let records = set.records();
    for record in &records {
        validator.validate_reference(record)?;
    }
    let apache_schema = apache_avro::Schema::parse_str(&set.schema)?;
    let apache = GenericDatumReader::builder(&apache_schema).build()?;
    // This library decodes plain bytes faster than decimals; compare with its fast case.
    let plain_schema = set.schema.replace("decimal", "none");
    let fast_schema: serde_avro_fast::Schema = plain_schema.parse()?;
    let compressed = lz4_flex::block::compress_prepend_size(set.bytes());
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(set.bytes())?;
    let frame = encoder.finish()?;
    let mut copy = vec![0; set.bytes().len()];
    let mut decompressed = Vec::with_capacity(set.bytes().len());
    let decode = |mut record: &[u8]| apache.read_value(&mut record).is_ok();
    let visit =
        |record: &[u8]| serde_avro_fast::from_datum_slice::<Visited>(record, &fast_schema).is_ok();
    let buffer = &set.buffer;
    let mut cases = [
        Case::new("validate", || {
            count(&records, |record| {
                validator.validate_in(buffer, record).is_ok()
            })
        }),
        Case::new("validate, no slack", || {
            count(&records, |record| validator.validate(record).is_ok())
        }),
        Case::new("validate, plain form", || {
            count(&records, |record| {
                validator.validate_reference(record).is_ok()
            })
        }),
        Case::new("apache-avro", || count(&records, decode)),
        Case::new("serde_avro_fast", || count(&records, visit)),
        Case::new("crc32c", || crc32c::crc32c(set.bytes()).into()),
        Case::new("memcpy", || {
            copy.copy_from_slice(set.bytes());
            u64::from(copy[copy.len() / 2])
        }),
        Case::new("lz4 block", || {
            let bytes = lz4_flex::block::decompress_size_prepended(&compressed);
            bytes.map_or(0, |bytes| bytes.len() as u64)
        }),
        // As for a record batch: a frame of blocks, decompressed into a reused buffer.
        Case::new("lz4 frame", || {
            decompressed.clear();
            let mut decoder = lz4_flex::frame::FrameDecoder::new(&frame[..]);
            let read = decoder.read_to_end(&mut decompressed);
            read.map_or(0, |bytes| bytes as u64)
        }),
    ];
    let medians = measure::medians(&mut cases, ROUNDS);
    let per_record = |ns: f64| ns / set.ends.len() as f64;
    let names = cases.iter().map(|case| case.name.to_owned());
    Ok(SetRow {
        name: set.name.to_owned(),
        records: set.ends.len(),
        bytes: set.bytes().len(),
        ns_per_record: names
            .zip(medians.into_iter().map(per_record))
            .collect::<BTreeMap<_, _>>(),
    })
}

/// Checks every record and returns their number.
///
/// # Panics
/// Panics if a record is rejected: all data are valid.
fn count(records: &[&[u8]], accepts: impl Fn(&[u8]) -> bool) -> u64 {
    let accepted = records.iter().filter(|record| accepts(record)).count();
    assert_eq!(accepted, records.len(), "a valid record was rejected");
    accepted as u64
}

fn compiled(name: &str, schema: &str) -> Result<CompileRow> {
    let schema = Schema::parse(schema).context("benchmark schema")?;
    let memory_bytes = Validator::compile(&schema)?.memory_bytes();
    let mut cases = [Case::new("compile", || {
        Validator::compile(&schema).map_or(0, |validator| validator.memory_bytes() as u64)
    })];
    Ok(CompileRow {
        name: name.to_owned(),
        ns: measure::medians(&mut cases, ROUNDS)[0],
        memory_bytes,
    })
}
