//! Random schemas, data of a schema, and what a schema may evolve into: for property tests.
//!
//! Owns the generators. The same seed makes the same schema on every machine, so that a test that
//! fails names its seed and can be run again. It judges nothing: what must hold for the outcome is
//! for the test to say.
//!
//! ```
//! use avouch_avro::{Schema, compatibility, validator::Validator};
//! use avouch_avro_random::{self as random, Random};
//!
//! for seed in 0..100 {
//!     let random = &mut Random::new(seed);
//!     let schema = random::schema(random);
//!     let text = schema.canonical_text();
//!     assert_eq!(Schema::parse(&text)?.canonical_text(), text, "seed {seed}");
//!
//!     let evolved = random::evolve(random, &schema);
//!     let reads = compatibility::check(&evolved, &schema);
//!     let datum = random::datum(random, &schema);
//!     let verdict = Validator::compile(&schema)?.validate(&datum);
//!     println!("{seed}: {reads:?} {verdict:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod data;
mod evolution;

pub use data::{datum, write_long};
pub use evolution::evolve;

use avouch_avro::Schema;
use serde_json::{Value, json};

/// A source of numbers: SplitMix64, small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source that a seed stands for; any seed is as good as another.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, from all 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, from 0.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let below = self.number() % bound as u64;
        usize::try_from(below).expect("it is below a usize")
    }

    /// True once in so many `chances`, on average.
    ///
    /// # Panics
    /// If `chances` is 0.
    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// One of several values.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }
}

/// A random schema, some four types deep: every type, names used again, records that contain
/// themselves by a union, an array or a map. Unions have null or boolean among their branches, so
/// that data can end.
///
/// # Panics
/// If what it wrote is no schema, which is a fault of the parser or of this.
pub fn schema(random: &mut Random) -> Schema {
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

/// Bytes with one to three things changed: a byte set, flipped, dropped or added, or the end cut
/// off. Good for data and, as UTF-8 with replacements, for texts.
pub fn mutate(random: &mut Random, datum: &[u8]) -> Vec<u8> {
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
