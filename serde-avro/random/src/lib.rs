//! Random schemas, data of a schema, and what a schema may evolve into: for property tests.
//!
//! Owns the generators. The same seed makes the same schema on every machine, so that a test that
//! fails names its seed and can be run again. It judges nothing: what must hold for the outcome is
//! for the test to say.
//!
//! ```
//! use avouch_avro::{Schema, validator::Validator};
//! use avouch_avro_random::{self as random, Random};
//!
//! for seed in 0..100 {
//!     let random = &mut Random::new(seed);
//!     let schema = random::schema(random);
//!     let text = schema.to_string();
//!     assert_eq!(Schema::parse(&text)?.to_string(), text, "seed {seed}");
//!
//!     let evolved = random::evolve(random, &schema);
//!     let reads = evolved.can_read(&schema);
//!     let datum = random::datum(random, &schema);
//!     let verdict = Validator::compile(&schema)?.validate(&datum);
//!     println!("{seed}: {reads:?} {verdict:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod data;
mod evolution;
mod schema;

pub use data::{datum, write_long};
pub use evolution::evolve;
pub use schema::schema;

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

const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

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
