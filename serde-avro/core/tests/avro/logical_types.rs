//! Values of logical types in valid data that fastavro cannot represent.

use avouch_avro::Schema;
use avouch_avro::schema::{NodeId, Type};
use std::collections::BTreeSet;

pub(crate) const DATES: &str = "supports dates and timestamps of the years 1 to 9999";
pub(crate) const TIMES: &str = "supports times within a day";
pub(crate) const UUIDS: &str = "supports UUIDs of 32 hexadecimal digits";

/// The days from 0001-01-01 to 9999-12-31, relative to 1970-01-01.
const DAYS: std::ops::RangeInclusive<i128> = -719_162..=2_932_896;
const HOUR_MILLIS: i128 = 60 * 60 * 1_000;
const DAY_MILLIS: i128 = 24 * HOUR_MILLIS;

/// Returns the reasons why fastavro rejects a datum that is valid without logical types.
pub(crate) fn unsupported_by_fastavro(schema: &Schema, datum: &[u8]) -> BTreeSet<&'static str> {
    let mut walk = Walk {
        schema,
        datum,
        at: 0,
        found: BTreeSet::new(),
    };
    walk.value(schema.root());
    walk.found
}

struct Walk<'a> {
    schema: &'a Schema,
    datum: &'a [u8],
    at: usize,
    found: BTreeSet<&'static str>,
}

impl Walk<'_> {
    fn value(&mut self, id: NodeId) {
        let schema = self.schema;
        let node = schema.node(id);
        let logical = node.logical_type();
        match &node.kind {
            Type::Null => {}
            Type::Boolean => self.at += 1,
            Type::Int | Type::Long => {
                let number = self.long();
                self.found
                    .extend(unsupported_number(logical, number.into()));
            }
            Type::Float => self.at += 4,
            Type::Double => self.at += 8,
            Type::Fixed(fixed) => self.at += fixed.size,
            Type::Bytes => drop(self.bytes()),
            Type::String => {
                let text = self.bytes();
                let digits: Vec<_> = text.iter().filter(|byte| **byte != b'-').collect();
                let is_uuid =
                    digits.len() == 32 && digits.iter().all(|byte| byte.is_ascii_hexdigit());
                if logical == Some("uuid") && !is_uuid {
                    self.found.insert(UUIDS);
                }
            }
            Type::Enum(_) => drop(self.long()),
            Type::Union(branches) => {
                let branch = usize::try_from(self.long()).unwrap();
                self.value(branches[branch]);
            }
            Type::Array(item) => self.blocks(*item, false),
            Type::Map(item) => self.blocks(*item, true),
            Type::Record(record) => {
                for field in &record.fields {
                    self.value(field.node);
                }
            }
        }
    }

    fn blocks(&mut self, item: NodeId, is_map: bool) {
        loop {
            let count = self.long();
            if count == 0 {
                return;
            }
            if count < 0 {
                self.long();
            }
            for _ in 0..count.unsigned_abs() {
                if is_map {
                    self.bytes();
                }
                self.value(item);
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.long()).unwrap();
        let start = self.at;
        self.at += length;
        self.datum[start..self.at].to_vec()
    }

    fn long(&mut self) -> i64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.datum[self.at];
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            }
            shift += 7;
        }
    }
}

fn unsupported_number(logical: Option<&str>, number: i128) -> Option<&'static str> {
    let (days, hours) = match logical? {
        "date" => (number, 0),
        // fastavro divides toward zero, so a negative time of less than an hour is accepted.
        "time-millis" => (0, number / HOUR_MILLIS),
        "time-micros" => (0, number / (1_000 * HOUR_MILLIS)),
        "timestamp-millis" | "local-timestamp-millis" => (number.div_euclid(DAY_MILLIS), 0),
        "timestamp-micros" | "local-timestamp-micros" => (number.div_euclid(1_000 * DAY_MILLIS), 0),
        _ => (0, 0),
    };
    if !DAYS.contains(&days) {
        return Some(DATES);
    }
    (!(0..24).contains(&hours)).then_some(TIMES)
}
