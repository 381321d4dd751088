//! Random schemas, data, mutations and evolutions, from seeds.

mod evolution;

pub(crate) use evolution::evolve;

use avouch_avro::Schema;
use avouch_avro::schema::{NodeId, Type};
use serde_json::{Value, json};

/// SplitMix64: small, and the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// A random schema: every type, names used again, records that contain themselves.
pub(crate) fn schema(random: &mut Random) -> Schema {
    let mut names = Names {
        defined: Vec::new(),
        open: Vec::new(),
    };
    let text = schema_text(random, &mut names, 4).to_string();
    Schema::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

struct Names {
    defined: Vec<String>,
    /// Records around the one at hand, which only unions and blocks may use.
    open: Vec<String>,
}

const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

fn schema_text(random: &mut Random, names: &mut Names, depth: usize) -> Value {
    if depth == 0 || random.one_in(3) {
        return json!(random.pick(&PRIMITIVES));
    }
    if !names.defined.is_empty() && random.one_in(6) {
        let name = random.below(names.defined.len());
        return json!(names.defined[name]);
    }
    let name = format!("N{}", names.defined.len() + names.open.len() * 1_000);
    match random.below(6) {
        0 => json!({"type": "array", "items": part_text(random, names, depth - 1)}),
        1 => json!({"type": "map", "values": part_text(random, names, depth - 1)}),
        2 => {
            let defined = names.defined.len();
            let mut branches = vec![json!("null"), part_text(random, names, depth - 1)];
            if !is_branch(&branches[1]) {
                branches.pop();
                names.defined.truncate(defined);
            }
            branches.push(json!("boolean"));
            branches.dedup();
            json!(branches)
        }
        3 => {
            let symbols: Vec<_> = (0..random.below(70)).map(|at| format!("S{at}")).collect();
            names.defined.push(name.clone());
            json!({"type": "enum", "name": name, "symbols": symbols})
        }
        4 => {
            names.defined.push(name.clone());
            json!({"type": "fixed", "name": name, "size": random.below(5)})
        }
        _ => {
            names.open.push(name.clone());
            let fields: Vec<_> = (0..random.below(5))
                .map(|at| {
                    json!({"name": format!("f{at}"), "type": schema_text(random, names, depth - 1)})
                })
                .collect();
            names.open.pop();
            names.defined.push(name.clone());
            json!({"type": "record", "name": name, "fields": fields})
        }
    }
}

/// A type where a record around it may come again without being endless.
fn part_text(random: &mut Random, names: &mut Names, depth: usize) -> Value {
    if !names.open.is_empty() && random.one_in(3) {
        let name = random.below(names.open.len());
        return json!(names.open[name]);
    }
    schema_text(random, names, depth)
}

fn is_branch(text: &Value) -> bool {
    !text.is_array() && *text != json!("null") && *text != json!("boolean")
}

/// A random datum: valid, but for a depth or a number of items beyond budgets.
pub(crate) fn datum(random: &mut Random, schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    write(random, schema, schema.root(), 24, &mut out);
    out
}

fn write(random: &mut Random, schema: &Schema, id: NodeId, depth: usize, out: &mut Vec<u8>) {
    match &schema.node(id).kind {
        Type::Null => {}
        Type::Boolean => out.push(u8::from(random.one_in(2))),
        Type::Int => {
            let bits = random.below(33);
            let value = i64::from(u32::try_from(random.next() >> 32 >> (32 - bits)).unwrap());
            write_varint(random, u64::try_from(value).unwrap(), 5, out);
        }
        Type::Long => {
            let bits = random.below(64);
            let value = random.next() >> bits;
            write_varint(random, value, 10, out);
        }
        Type::Float => (0..4).for_each(|_| out.push(random.byte())),
        Type::Double => (0..8).for_each(|_| out.push(random.byte())),
        Type::Fixed(fixed) => (0..fixed.size).for_each(|_| out.push(random.byte())),
        Type::Bytes => {
            let length = random.below(12);
            write_long(random, i64::try_from(length).unwrap(), out);
            (0..length).for_each(|_| out.push(random.byte()));
        }
        Type::String => write_text(random, out),
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
        Some(end) if depth < 12 => end,
        Some(_) | None => random.below(branches.len()),
    };
    write_long(random, i64::try_from(branch).unwrap(), out);
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
                write_text(random, &mut block);
            }
            write(random, schema, item, depth.saturating_sub(1), &mut block);
        }
        let count = i64::try_from(items).unwrap();
        if random.one_in(3) {
            write_long(random, -count, out);
            let size = if random.one_in(16) {
                random.below(9)
            } else {
                block.len()
            };
            write_long(random, i64::try_from(size).unwrap(), out);
        } else {
            write_long(random, count, out);
        }
        out.append(&mut block);
    }
    write_long(random, 0, out);
}

fn write_index(random: &mut Random, count: usize, out: &mut Vec<u8>) {
    let index = random.below(count.max(1));
    write_long(random, i64::try_from(index).unwrap(), out);
}

fn write_text(random: &mut Random, out: &mut Vec<u8>) {
    let length = random.below(10);
    let text: String = (0..length)
        .map(|_| random.pick(&['a', 'Z', '7', 'é', '日', '😀']))
        .collect();
    write_long(random, i64::try_from(text.len()).unwrap(), out);
    out.extend(text.as_bytes());
}

pub(crate) fn write_long(random: &mut Random, value: i64, out: &mut Vec<u8>) {
    let zigzag = (value << 1) ^ (value >> 63);
    write_varint(random, zigzag.cast_unsigned(), 5, out);
}

/// A varint, now and then longer than it must be.
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
        *out.last_mut().unwrap() |= 0x80;
        out.resize(start + bytes + random.below(bytes_max - bytes), 0x80);
        out.push(0);
    }
}

/// A datum with something changed: bytes set, flipped, dropped, doubled, cut off or added.
pub(crate) fn mutate(random: &mut Random, datum: &[u8]) -> Vec<u8> {
    const TELLING: [u8; 12] = [0, 1, 2, 3, 4, 0x7e, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff];
    let mut bytes = datum.to_vec();
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len() + 1);
        let there = at < bytes.len();
        match random.below(6) {
            0 if there => bytes[at] = random.pick(&TELLING),
            1 if there => bytes[at] ^= 1 << random.below(8),
            2 if there => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.pick(&TELLING)),
            4 => bytes.truncate(at),
            _ => bytes.push(random.byte()),
        }
    }
    bytes
}
