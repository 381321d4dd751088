//! Test support for [`avouch_avro`]: generators, a reference decoder and invariants.
//!
//! A seed produces the same schemas and data on every machine, so a failing test reports its seed
//! and can be repeated. [`schema()`], [`datum()`], [`evolve()`] and [`mutate()`] generate input;
//! [`reference_decoder`] and [`resolution`] are slow implementations of the specification to
//! compare with; [`invariants`] are assertions for property tests and fuzz targets.
//!
//! ```
//! use avouch_avro::{Schema, validator::Validator};
//! use avouch_avro_testing::{self as testing, Random};
//!
//! for seed in 0..100 {
//!     let random = &mut Random::new(seed);
//!     let schema = testing::schema(random);
//!     assert_eq!(schema.to_string().parse(), Ok(schema.clone()), "seed {seed}");
//!
//!     let evolved = testing::evolve(random, &schema);
//!     let compatibility = evolved.can_read(&schema);
//!     let datum = testing::datum(random, &schema);
//!     let outcome = Validator::compile(&schema)?.validate(&datum);
//!     println!("{seed}: {compatibility:?} {outcome:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod data;
mod evolution;
pub mod invariants;
pub mod reference_decoder;
pub mod resolution;
mod schema;

pub use data::{datum, write_long};
pub use evolution::evolve;
pub use schema::schema;

/// A source of pseudo-random numbers: SplitMix64, identical on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Creates a source from a seed. All seeds are equally suitable.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, uniform over all 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `bound - 1`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The modulo bias is irrelevant here: bounds are tiny compared with 2^64.
        let below = self.number() % bound as u64;
        usize::try_from(below).expect("it is below a usize")
    }

    /// Returns true with a probability of one in `chances`.
    ///
    /// # Panics
    /// If `chances` is 0.
    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// Returns one of the values of a slice.
    ///
    /// # Panics
    /// If the slice is empty.
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

/// Returns a copy of `bytes` with one to three changes: a byte set, a bit flipped, a byte removed
/// or inserted, or the end truncated. Applies to data, and to schema strings after lossy conversion
/// to UTF-8.
pub fn mutate(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    // Boundaries of varints, small counts and indexes, and bytes that are invalid in UTF-8.
    const BOUNDARIES: [u8; 12] = [0, 1, 2, 3, 4, 0x7e, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff];
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len() + 1);
        let exists = at < bytes.len();
        match random.below(6) {
            0 if exists => bytes[at] = random.pick(&BOUNDARIES),
            1 if exists => bytes[at] ^= 1 << random.below(8),
            2 if exists => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.pick(&BOUNDARIES)),
            4 => bytes.truncate(at),
            _ => bytes.push(random.byte()),
        }
    }
    bytes
}
