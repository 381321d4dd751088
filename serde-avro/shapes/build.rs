//! Generates the types of `schemas/`, of the repository's schemas, and of large schemas.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use avouch_codegen::{Generator, TimeCrate};

const TIMES: &str = "schemas/all_times.avsc";
const FIELDS: usize = 250;
const DEPTH: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let write = |name: &str, code: String| fs::write(Path::new(&out).join(name), code);
    Generator::new()
        .borrowed(true)
        .build(["schemas", "../../schemas"])?;
    let chrono = Generator::new().time(TimeCrate::Chrono);
    write("chrono.rs", chrono.generate_files([TIMES])?)?;
    let time = Generator::new().time(TimeCrate::Time);
    write("time.rs", time.generate_files([TIMES])?)?;
    let raw = Generator::new().time(TimeCrate::Raw);
    write("raw.rs", raw.generate_files([TIMES])?)?;
    let replaced = Generator::new()
        .replace_type("bank.transfer.v3.Money", "crate::own::Money")
        .replace_field("bank.transfer.v3.Party.iban", "crate::own::Iban")
        .rename("bank.transfer.v3.Role", "PartyRole")
        .derive("PartialOrd");
    write(
        "replaced.rs",
        replaced.generate_files(["schemas/bank_transfer.avsc"])?,
    )?;
    let (fields, deep) = (many_fields(), deep());
    let large = [
        ("fields.avsc", fields.as_str()),
        ("deep.avsc", deep.as_str()),
    ];
    write("large.rs", Generator::new().generate(large)?)?;
    Ok(())
}

/// Returns a record with many fields.
fn many_fields() -> String {
    let types = [
        r#""int""#,
        r#""string""#,
        r#""double""#,
        r#"["null", "long"]"#,
    ];
    let field = |at: usize| {
        let ty = types[at % types.len()];
        format!(r#"{{"name": "field{at}", "type": {ty}}}"#)
    };
    let fields: Vec<String> = (0..FIELDS).map(field).collect();
    let fields = fields.join(",");
    format!(r#"{{"type": "record", "name": "Many", "fields": [{fields}]}}"#)
}

/// Returns records, each in a field of the one before it.
fn deep() -> String {
    let innermost = r#""int""#.to_owned();
    (0..DEPTH).rev().fold(innermost, |inner, at| {
        format!(
            r#"{{"type": "record", "name": "Level{at}", "namespace": "deep", "fields": [
                {{"name": "inner", "type": {inner}}}]}}"#
        )
    })
}
