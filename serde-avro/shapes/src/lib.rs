//! Generated types, compiled once for all tests.

// Names and documentation come from the schemas, so no lint is allowed here: generated code has no
// warnings of its own.
include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// Dates and times of the crate `chrono`.
pub mod with_chrono {
    include!(concat!(env!("OUT_DIR"), "/chrono.rs"));
}

/// Dates and times of the crate `time`.
pub mod with_time {
    include!(concat!(env!("OUT_DIR"), "/time.rs"));
}

/// Dates and times as numbers.
pub mod with_numbers {
    include!(concat!(env!("OUT_DIR"), "/raw.rs"));
}

/// A schema with types of [`own`].
pub mod with_own_types {
    include!(concat!(env!("OUT_DIR"), "/replaced.rs"));
}

/// Records with many fields and of many levels.
pub mod large {
    include!(concat!(env!("OUT_DIR"), "/large.rs"));
}

/// Types that replace generated ones.
pub mod own {
    use avouch_avro::codec::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder};

    /// An account number without spaces.
    #[derive(Clone, Debug, PartialEq, PartialOrd)]
    pub struct Iban(pub String);

    impl Encode for Iban {
        fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
            self.0.encode(out)
        }
    }

    impl<'de> Decode<'de> for Iban {
        fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
            input.string().map(|text| Self(text.replace(' ', "")))
        }
    }

    /// An amount whose currency is its position in the schema.
    #[derive(Clone, Debug, PartialEq, PartialOrd)]
    pub struct Money(pub Vec<u8>, pub i32);

    impl Encode for Money {
        fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
            out.bytes(&self.0);
            out.int(self.1);
            Ok(())
        }
    }

    impl<'de> Decode<'de> for Money {
        fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
            Ok(Self(input.bytes()?.to_vec(), input.int()?))
        }
    }
}
