//! Random data of a schema.
//!
//! The remaining depth bounds the size: below 16 blocks are empty, below 12 unions take their
//! smallest branch.

use crate::Random;
use avouch_avro::Schema;
use avouch_avro::schema::{NodeId, Type};

/// Returns a random datum of a schema. It is valid with two exceptions: it may exceed the depth or
/// the number of items of a validator's budget, and a few blocks declare a wrong size.
pub fn datum(random: &mut Random, schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    write(random, schema, schema.root(), 24, &mut out);
    out
}

fn write(random: &mut Random, schema: &Schema, id: NodeId, depth: usize, out: &mut Vec<u8>) {
    match &schema.node(id).kind {
        Type::Null => {}
        Type::Boolean => out.push(u8::from(random.one_in(2))),
        Type::Int => {
            // All lengths of varints are equally likely, not all values.
            let bits = random.below(33);
            let value = random.number() >> 32 >> (32 - bits);
            write_varint(random, value, 5, out);
        }
        Type::Long => {
            let bits = random.below(64);
            let value = random.number() >> bits;
            write_varint(random, value, 10, out);
        }
        Type::Float => (0..4).for_each(|_| out.push(random.byte())),
        Type::Double => (0..8).for_each(|_| out.push(random.byte())),
        Type::Fixed(fixed) => (0..fixed.size).for_each(|_| out.push(random.byte())),
        Type::Bytes => {
            let length = random.below(12);
            write_size(random, length, out);
            (0..length).for_each(|_| out.push(random.byte()));
        }
        Type::String => write_string(random, out),
        Type::Enum(symbols) => write_index(random, symbols.symbols.len(), out),
        Type::Union(branches) => write_union(random, schema, branches, depth, out),
        Type::Array(item) => write_blocks(random, schema, *item, false, depth, out),
        Type::Map(item) => write_blocks(random, schema, *item, true, depth, out),
        Type::Record(record) => {
            if depth > 0 {
                for field in &record.fields {
                    write(random, schema, field.node, depth - 1, out);
                }
            }
        }
    }
}

fn write_union(
    random: &mut Random,
    schema: &Schema,
    branches: &[NodeId],
    depth: usize,
    out: &mut Vec<u8>,
) {
    if branches.is_empty() {
        return;
    }
    let small = |id: &NodeId| matches!(schema.node(*id).kind, Type::Null | Type::Boolean);
    let branch = match branches.iter().position(small) {
        // Ends recursive data.
        Some(end) if depth < 12 => end,
        Some(_) | None => random.below(branches.len()),
    };
    write_size(random, branch, out);
    write(
        random,
        schema,
        branches[branch],
        depth.saturating_sub(1),
        out,
    );
}

fn write_blocks(
    random: &mut Random,
    schema: &Schema,
    item: NodeId,
    is_map: bool,
    depth: usize,
    out: &mut Vec<u8>,
) {
    let blocks = if depth < 16 {
        0
    } else {
        random.pick(&[0, 1, 1, 2])
    };
    for _ in 0..blocks {
        let items = 1 + random.below(3);
        let mut block = Vec::new();
        for _ in 0..items {
            if is_map {
                write_string(random, &mut block);
            }
            write(random, schema, item, depth.saturating_sub(1), &mut block);
        }
        if random.one_in(3) {
            // A negative count is followed by the size of the block in bytes.
            write_long(random, -long(items), out);
            let size = if random.one_in(16) {
                random.below(9)
            } else {
                block.len()
            };
            write_size(random, size, out);
        } else {
            write_size(random, items, out);
        }
        out.append(&mut block);
    }
    write_long(random, 0, out);
}

fn write_index(random: &mut Random, count: usize, out: &mut Vec<u8>) {
    let index = random.below(count.max(1));
    write_size(random, index, out);
}

fn write_string(random: &mut Random, out: &mut Vec<u8>) {
    let length = random.below(10);
    let string: String = (0..length)
        .map(|_| random.pick(&['a', 'Z', '7', 'é', '日', '😀']))
        .collect();
    write_size(random, string.len(), out);
    out.extend(string.as_bytes());
}

fn write_size(random: &mut Random, size: usize, out: &mut Vec<u8>) {
    write_long(random, long(size), out);
}

fn long(size: usize) -> i64 {
    i64::try_from(size).expect("sizes here are small")
}

/// Appends a long in the binary encoding, zigzag and varint; one in 40 is longer than necessary.
pub fn write_long(random: &mut Random, value: i64, out: &mut Vec<u8>) {
    let zigzag = (value << 1) ^ (value >> 63);
    write_varint(random, zigzag.cast_unsigned(), 5, out);
}

/// Appends a varint; one in 40 is padded with continuation bytes, up to `bytes_max` in total.
fn write_varint(random: &mut Random, value: u64, bytes_max: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
    let bytes = out.len() - start;
    if random.one_in(40) && bytes < bytes_max {
        // An over-long form: the last byte continues, then zeros up to a byte without the bit.
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.resize(start + bytes + random.below(bytes_max - bytes), 0x80);
        out.push(0);
    }
}
