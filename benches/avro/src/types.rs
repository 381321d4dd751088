//! Types of the data sets `payment` and `order`, borrowed and owned, as generated code has them.

use avouch_avro::codec::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Implements the codec for a record, field by field.
macro_rules! record {
    ($type:ident $(<$lifetime:lifetime>)?, $($field:ident: $encode:expr, $decode:expr);*) => {
        impl $(<$lifetime>)? Encode for $type $(<$lifetime>)? {
            fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                $(
                    $encode(&self.$field, out)
                        .map_err(|error: EncodeError| error.in_field(stringify!($field)))?;
                )*
                Ok(())
            }
        }

        record!(@decode $type $(<$lifetime>)?, $($field $decode)*);
    };
    (@decode $type:ident <$lifetime:lifetime>, $($field:ident $decode:expr)*) => {
        impl<$lifetime> Decode<$lifetime> for $type<$lifetime> {
            fn decode(input: &mut Decoder<$lifetime>) -> Result<Self, DecodeError> {
                Ok(Self {
                    $($field: $decode(input)
                        .map_err(|error: DecodeError| error.in_field(stringify!($field)))?),*
                })
            }
        }
    };
    (@decode $type:ident, $($field:ident $decode:expr)*) => {
        impl<'a> Decode<'a> for $type {
            fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                Ok(Self {
                    $($field: $decode(input)
                        .map_err(|error: DecodeError| error.in_field(stringify!($field)))?),*
                })
            }
        }
    };
}

/// Encodes an optional value whose null branch is the first.
fn some<T: Encode>(value: &Option<T>, out: &mut Encoder) -> Result<(), EncodeError> {
    codec::encode_option(value.as_ref(), 0, out)
}

/// Decodes an optional value whose null branch is the first.
fn option<'a, T: Decode<'a>>(input: &mut Decoder<'a>) -> Result<Option<T>, DecodeError> {
    codec::decode_option(0, input)
}

/// Owned bytes in the form that serde libraries read fastest.
mod byte_buffer {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

/// Borrowed bytes in the form that serde libraries write fastest.
mod byte_slice {
    use serde::Deserialize;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<&'a [u8], D::Error> {
        Deserialize::deserialize(from)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    New,
    Held,
    Paid,
    Failed,
    Back,
}

impl Encode for Status {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.enum_index(*self as u32);
        Ok(())
    }
}

impl<'a> Decode<'a> for Status {
    #[inline]
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(match input.enum_index(5)? {
            0 => Self::New,
            1 => Self::Held,
            2 => Self::Paid,
            3 => Self::Failed,
            _ => Self::Back,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Payment")]
pub(crate) struct PaymentRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) account: &'a str,
    pub(crate) merchant: &'a str,
    pub(crate) sequence: i64,
    pub(crate) score: f64,
    pub(crate) status: Status,
    #[serde(borrow)]
    pub(crate) note: Option<&'a str>,
    pub(crate) at: i64,
    #[serde(with = "byte_slice")]
    pub(crate) amount: &'a [u8],
    pub(crate) captured: bool,
}

record!(PaymentRef<'a>,
    id: Encode::encode, Decode::decode;
    account: Encode::encode, Decode::decode;
    merchant: Encode::encode, Decode::decode;
    sequence: Encode::encode, Decode::decode;
    score: Encode::encode, Decode::decode;
    status: Encode::encode, Decode::decode;
    note: some, option;
    at: Encode::encode, Decode::decode;
    amount: Encode::encode, Decode::decode;
    captured: Encode::encode, Decode::decode
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) merchant: String,
    pub(crate) sequence: i64,
    pub(crate) score: f64,
    pub(crate) status: Status,
    pub(crate) note: Option<String>,
    pub(crate) at: i64,
    #[serde(with = "byte_buffer")]
    pub(crate) amount: Vec<u8>,
    pub(crate) captured: bool,
}

record!(Payment,
    id: Encode::encode, Decode::decode;
    account: Encode::encode, Decode::decode;
    merchant: Encode::encode, Decode::decode;
    sequence: Encode::encode, Decode::decode;
    score: Encode::encode, Decode::decode;
    status: Encode::encode, Decode::decode;
    note: some, option;
    at: Encode::encode, Decode::decode;
    amount: Encode::encode, Decode::decode;
    captured: Encode::encode, Decode::decode
);

/// A payment of a reader: without `note`, with `currency`, and with `sequence` promoted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evolved {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) merchant: String,
    pub(crate) sequence: f64,
    pub(crate) score: f64,
    pub(crate) status: Status,
    pub(crate) at: i64,
    pub(crate) amount: Vec<u8>,
    pub(crate) captured: bool,
    pub(crate) currency: Option<String>,
}

record!(Evolved,
    id: Encode::encode, Decode::decode;
    account: Encode::encode, Decode::decode;
    merchant: Encode::encode, Decode::decode;
    sequence: Encode::encode, Decode::decode;
    score: Encode::encode, Decode::decode;
    status: Encode::encode, Decode::decode;
    at: Encode::encode, Decode::decode;
    amount: Encode::encode, Decode::decode;
    captured: Encode::encode, Decode::decode;
    currency: some, option
);

/// As [`Evolved`], borrowed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EvolvedRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) account: &'a str,
    pub(crate) merchant: &'a str,
    pub(crate) sequence: f64,
    pub(crate) score: f64,
    pub(crate) status: Status,
    pub(crate) at: i64,
    pub(crate) amount: &'a [u8],
    pub(crate) captured: bool,
    pub(crate) currency: Option<&'a str>,
}

record!(EvolvedRef<'a>,
    id: Encode::encode, Decode::decode;
    account: Encode::encode, Decode::decode;
    merchant: Encode::encode, Decode::decode;
    sequence: Encode::encode, Decode::decode;
    score: Encode::encode, Decode::decode;
    status: Encode::encode, Decode::decode;
    at: Encode::encode, Decode::decode;
    amount: Encode::encode, Decode::decode;
    captured: Encode::encode, Decode::decode;
    currency: some, option
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address<'a> {
    pub(crate) street: &'a str,
    pub(crate) city: &'a str,
    pub(crate) zip: &'a str,
    #[serde(borrow)]
    pub(crate) country: Option<&'a str>,
}

record!(Address<'a>,
    street: Encode::encode, Decode::decode;
    city: Encode::encode, Decode::decode;
    zip: Encode::encode, Decode::decode;
    country: some, option
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Customer<'a> {
    pub(crate) name: &'a str,
    #[serde(borrow)]
    pub(crate) email: Option<&'a str>,
    #[serde(borrow)]
    pub(crate) address: Address<'a>,
}

record!(Customer<'a>,
    name: Encode::encode, Decode::decode;
    email: some, option;
    address: Encode::encode, Decode::decode
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) sku: &'a str,
    pub(crate) quantity: i32,
    pub(crate) price: f64,
    #[serde(borrow)]
    pub(crate) tags: Vec<&'a str>,
}

record!(Line<'a>,
    sku: Encode::encode, Decode::decode;
    quantity: Encode::encode, Decode::decode;
    price: Encode::encode, Decode::decode;
    tags: Encode::encode, Decode::decode
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Credit<'a> {
    pub(crate) last: i32,
    pub(crate) network: &'a str,
}

record!(Credit<'a>,
    last: Encode::encode, Decode::decode;
    network: Encode::encode, Decode::decode
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Paid<'a> {
    Null,
    #[serde(borrow, rename = "bench.Card")]
    Credit(Credit<'a>),
    String(&'a str),
    Long(i64),
}

impl Encode for Paid<'_> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        match self {
            Self::Null => {
                out.union_index(0);
                Ok(())
            }
            Self::Credit(credit) => {
                out.union_index(1);
                credit
                    .encode(out)
                    .map_err(|error| error.in_branch("bench.Card"))
            }
            Self::String(text) => {
                out.union_index(2);
                text.encode(out)
            }
            Self::Long(number) => {
                out.union_index(3);
                number.encode(out)
            }
        }
    }
}

impl<'a> Decode<'a> for Paid<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(match input.union_index(4)? {
            0 => Self::Null,
            1 => {
                let credit = Credit::decode(input);
                Self::Credit(credit.map_err(|error| error.in_branch("bench.Card"))?)
            }
            2 => Self::String(input.string().map_err(|error| error.in_branch("string"))?),
            _ => Self::Long(input.long().map_err(|error| error.in_branch("long"))?),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order<'a> {
    pub(crate) id: &'a str,
    #[serde(borrow)]
    pub(crate) customer: Customer<'a>,
    #[serde(borrow)]
    pub(crate) lines: Vec<Line<'a>>,
    #[serde(borrow)]
    pub(crate) attributes: BTreeMap<&'a str, &'a str>,
    #[serde(borrow)]
    pub(crate) paid: Paid<'a>,
    #[serde(with = "byte_slice")]
    pub(crate) token: &'a [u8],
    pub(crate) at: i64,
}

/// Encodes the fixed.
fn fixed_out(value: &&[u8], out: &mut Encoder) -> Result<(), EncodeError> {
    out.fixed(value);
    Ok(())
}

/// Decodes the fixed.
fn fixed_in<'a>(input: &mut Decoder<'a>) -> Result<&'a [u8], DecodeError> {
    input.fixed::<16>().map(|bytes| &bytes[..])
}

record!(Order<'a>,
    id: Encode::encode, Decode::decode;
    customer: Encode::encode, Decode::decode;
    lines: Encode::encode, Decode::decode;
    attributes: Encode::encode, Decode::decode;
    paid: Encode::encode, Decode::decode;
    token: fixed_out, fixed_in;
    at: Encode::encode, Decode::decode
);
