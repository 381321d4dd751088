//! Measures encoding and decoding of typed values, compared with other libraries.

use crate::measure::{self, Case};
use crate::types::{Evolved, EvolvedRef, Order, Payment, PaymentRef};
use anyhow::{Result, ensure};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use avouch_avro::codec::{self, Decode, Encode};
use avouch_avro::resolution::Resolver;
use avouch_avro::{Schema, from_slice};
use avouch_bench_report::codec::{Report, Row};
use avouch_bench_report::data::{self, Set};
use avouch_bench_report::page::Run;
use serde::{Deserialize, Serialize};
use std::hint::black_box;

const ROUNDS: usize = 9;

pub(crate) fn measured() -> Result<Report> {
    let [payments, orders, ..] = data::sets();
    let rows = vec![
        decoded::<PaymentRef<'_>>("payment", "decode borrowed", &payments)?,
        owned(&payments)?,
        encoded::<PaymentRef<'_>>("payment", &payments)?,
        decoded::<Order<'_>>("order", "decode borrowed", &orders)?,
        encoded::<Order<'_>>("order", &orders)?,
        resolved(&payments)?,
    ];
    Ok(Report::new(Run::new(ROUNDS)?, rows))
}

/// This library decodes plain bytes faster than decimals; compare with its fast case.
fn fast_schema(set: &Set) -> Result<serde_avro_fast::Schema> {
    Ok(set.schema.replace("decimal", "none").parse()?)
}

/// Decodes all records and returns their number.
fn count<'d, T>(records: &[&'d [u8]], read: impl Fn(&'d [u8]) -> Option<T>) -> u64 {
    let read = records
        .iter()
        .filter(|record| black_box(read(record)).is_some());
    read.count() as u64
}

fn row(set: &Set, name: &str, operation: &str, cases: &mut [Case<'_>]) -> Result<Row> {
    for case in &mut *cases {
        let done = (case.work)();
        ensure!(
            done == set.ends.len() as u64,
            "{name}: {done} records by {}",
            case.name
        );
    }
    let medians = measure::medians(cases, ROUNDS);
    let names = cases.iter().map(|case| case.name.to_owned());
    let per_record = medians.into_iter().map(|ns| ns / set.ends.len() as f64);
    Ok(Row::new(name, operation, names.zip(per_record).collect()))
}

fn decoded<'d, T>(name: &str, operation: &str, set: &'d Set) -> Result<Row>
where
    T: Decode<'d> + Deserialize<'d> + PartialEq,
{
    let records = set.records();
    let schema = Schema::parse(&set.schema)?;
    let fast = fast_schema(set)?;
    for record in &records {
        let read = from_slice::<T>(record)?;
        ensure!(read == avouch_avro::serde::from_slice::<T>(record, &schema)?);
        ensure!(read == serde_avro_fast::from_datum_slice::<T>(record, &fast)?);
    }
    let mut cases = [
        Case::new("codec", || {
            count(&records, |record| from_slice::<T>(record).ok())
        }),
        Case::new("serde", || {
            count(&records, |record| {
                avouch_avro::serde::from_slice::<T>(record, &schema).ok()
            })
        }),
        Case::new("serde_avro_fast", || {
            count(&records, |record| {
                serde_avro_fast::from_datum_slice::<T>(record, &fast).ok()
            })
        }),
    ];
    row(set, name, operation, &mut cases)
}

fn owned(set: &Set) -> Result<Row> {
    let records = set.records();
    let schema = Schema::parse(&set.schema)?;
    let fast = fast_schema(set)?;
    let apache_schema = apache_avro::Schema::parse_str(&set.schema.replace("decimal", "none"))?;
    let apache = GenericDatumReader::builder(&apache_schema).build()?;
    let mut cases = [
        Case::new("codec", || {
            count(&records, |record| from_slice::<Payment>(record).ok())
        }),
        Case::new("serde", || {
            count(&records, |record| {
                avouch_avro::serde::from_slice::<Payment>(record, &schema).ok()
            })
        }),
        Case::new("serde_avro_fast", || {
            count(&records, |record| {
                serde_avro_fast::from_datum_slice::<Payment>(record, &fast).ok()
            })
        }),
        Case::new("apache-avro", || {
            count(&records, |mut record| {
                apache.read_deser::<Payment>(&mut record).ok()
            })
        }),
    ];
    row(set, "payment", "decode owned", &mut cases)
}

fn encoded<'d, T>(name: &str, set: &'d Set) -> Result<Row>
where
    T: Decode<'d> + Encode + Serialize,
{
    let schema = Schema::parse(&set.schema)?;
    let fast = fast_schema(set)?;
    let apache_schema = apache_avro::Schema::parse_str(&set.schema.replace("decimal", "none"))?;
    let apache = GenericDatumWriter::builder(&apache_schema).build()?;
    let records = set.records();
    let values: Result<Vec<T>, _> = records.iter().map(|record| from_slice(record)).collect();
    let values = values?;
    let mut config = serde_avro_fast::ser::SerializerConfig::new(&fast);
    let mut buffer = Vec::with_capacity(4_096);
    let mut fast_buffer = Vec::with_capacity(4_096);
    let mut apache_buffer = Vec::with_capacity(4_096);
    let mut cases = vec![
        Case::new("codec", || {
            let encoded = values.iter().filter(|value| {
                buffer.clear();
                black_box(codec::append(*value, &mut buffer)).is_ok()
            });
            encoded.count() as u64
        }),
        Case::new("serde", || {
            let encoded = values
                .iter()
                .filter(|value| black_box(avouch_avro::serde::to_vec(*value, &schema)).is_ok());
            encoded.count() as u64
        }),
        Case::new("serde_avro_fast", || {
            let encoded = values.iter().filter(|value| {
                fast_buffer.clear();
                let to = std::mem::take(&mut fast_buffer);
                match serde_avro_fast::to_datum(*value, to, &mut config) {
                    Ok(buffer) => {
                        fast_buffer = buffer;
                        true
                    }
                    Err(_) => false,
                }
            });
            encoded.count() as u64
        }),
    ];
    // Its enums for unions have another form than that of `order`.
    if name == "payment" {
        cases.push(Case::new("apache-avro", || {
            let encoded = values.iter().filter(|value| {
                apache_buffer.clear();
                apache.write_ser(&mut apache_buffer, *value).is_ok()
            });
            encoded.count() as u64
        }));
    }
    row(set, name, "encode", &mut cases)
}

/// Measures a reader that drops a field, promotes one and adds one.
fn resolved(set: &Set) -> Result<Row> {
    let writer = Schema::parse(&set.schema)?;
    let reader = set
        .schema
        .replace(r#"{"name":"note","type":["null","string"]},"#, "")
        .replace(
            r#"{"name":"sequence","type":"long"}"#,
            r#"{"name":"sequence","type":"double"}"#,
        )
        .replace(
            r#"{"name":"captured","type":"boolean"}"#,
            r#"{"name":"captured","type":"boolean"},
               {"name":"currency","type":["null","string"],"default":null}"#,
        );
    let resolver = Resolver::new(&writer, &Schema::parse(&reader)?)?;
    ensure!(!resolver.is_identity() && resolver.reads_all(), "{reader}");
    let records = set.records();
    let mut owned_buffer = Vec::new();
    let mut borrowed_buffer = Vec::new();
    let mut cases = [
        Case::new("plain owned", || {
            count(&records, |record| from_slice::<Payment>(record).ok())
        }),
        Case::new("resolved owned", || {
            let read = records.iter().filter(|record| {
                let datum = resolver.resolve(record, &mut owned_buffer);
                datum.is_ok_and(|datum| black_box(from_slice::<Evolved>(datum)).is_ok())
            });
            read.count() as u64
        }),
        Case::new("plain borrowed", || {
            count(&records, |record| from_slice::<PaymentRef<'_>>(record).ok())
        }),
        Case::new("resolved borrowed", || {
            let read = records.iter().filter(|record| {
                let datum = resolver.resolve(record, &mut borrowed_buffer);
                datum.is_ok_and(|datum| black_box(from_slice::<EvolvedRef<'_>>(datum)).is_ok())
            });
            read.count() as u64
        }),
    ];
    row(set, "payment", "resolve and decode", &mut cases)
}
