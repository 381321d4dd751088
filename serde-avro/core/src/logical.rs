//! Values of logical types whose bytes have a structure: decimals and durations.
//!
//! Dates, times, timestamps and UUIDs are plain numbers, strings and bytes. The types here convert
//! between their bytes and numbers, never through a floating-point number.

use crate::codec::{Decode, DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder};

/// A decimal of the schema's scale on bytes: the unscaled value, such as 123 for 1.23 at scale 2.
///
/// Reads any number of bytes of two's complement whose value fits, and writes the fewest, at least
/// one. [`Decimal::to_fixed`] and [`Decimal::from_be_bytes`] convert those of a fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(pub i128);

impl Decimal {
    /// Returns the value of big-endian two's complement, 0 for no bytes, or `None` beyond 128 bits.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let sign = bytes
            .first()
            .map_or(0, |byte| if *byte < 0x80 { 0 } else { 0xff });
        let mut value = [sign; 16];
        // Bytes before the last 16 only repeat the sign, or the value does not fit.
        let (rest, last) = bytes.split_at(bytes.len().saturating_sub(16));
        value[16 - last.len()..].copy_from_slice(last);
        let fits = rest.iter().all(|byte| *byte == sign)
            && (rest.is_empty() || (value[0] < 0x80) == (sign == 0));
        fits.then(|| Self(i128::from_be_bytes(value)))
    }

    /// Returns the fewest bytes of big-endian two's complement, at least one.
    #[must_use]
    pub fn to_be_bytes(self) -> Vec<u8> {
        let bytes = self.0.to_be_bytes();
        bytes[self.leading()..].to_vec()
    }

    /// Returns the bytes of a fixed of `N` bytes, or `None` if the value needs more.
    #[must_use]
    pub fn to_fixed<const N: usize>(self) -> Option<[u8; N]> {
        let bytes = self.0.to_be_bytes();
        let own = &bytes[self.leading()..];
        let mut fixed = [if self.0 < 0 { 0xff } else { 0 }; N];
        fixed
            .get_mut(N.checked_sub(own.len())?..)?
            .copy_from_slice(own);
        Some(fixed)
    }

    /// Returns the number of bytes that only repeat the sign.
    fn leading(self) -> usize {
        let signs = if self.0 < 0 {
            self.0.leading_ones()
        } else {
            self.0.leading_zeros()
        };
        // One bit of the sign remains, and one byte of a value of zero bits.
        ((signs as usize).saturating_sub(1) / 8).min(15)
    }
}

impl Encode for Decimal {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        let bytes = self.0.to_be_bytes();
        out.bytes(&bytes[self.leading()..]);
        Ok(())
    }
}

impl<'de> Decode<'de> for Decimal {
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        let bytes = input.bytes()?;
        Self::from_be_bytes(bytes).ok_or_else(|| input.value_error("the decimal exceeds 128 bits"))
    }
}

/// A decimal with its own scale on bytes (logical type `big-decimal`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BigDecimal {
    /// The unscaled value.
    pub unscaled: Decimal,
    /// The number of digits after the decimal point; negative for a multiple of a power of ten.
    pub scale: i32,
}

impl BigDecimal {
    /// Returns the value of the content of the bytes.
    ///
    /// # Errors
    /// If the content is not a decimal and a scale, or exceeds 128 bits.
    pub fn from_bytes(content: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(content);
        let unscaled = Decimal::decode(&mut input)?;
        let scale = input.int()?;
        input.finish()?;
        Ok(Self { unscaled, scale })
    }

    /// Returns the content of the bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.bytes(&self.unscaled.to_be_bytes());
        out.int(self.scale);
        out.into()
    }
}

impl Encode for BigDecimal {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.bytes(&self.to_bytes());
        Ok(())
    }
}

impl<'de> Decode<'de> for BigDecimal {
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        let content = input.bytes()?;
        let value = Self::from_bytes(content);
        value.map_err(|_| input.value_error("the bytes are not a decimal and its scale"))
    }
}

/// A duration of calendar units (logical type `duration` on a fixed of 12 bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Months.
    pub months: u32,
    /// Days.
    pub days: u32,
    /// Milliseconds.
    pub millis: u32,
}

impl Duration {
    /// Returns the value of the bytes of the fixed.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        let number = |at: usize| {
            let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
            u32::from_le_bytes(chunk.copied().unwrap_or_default())
        };
        Self {
            months: number(0),
            days: number(4),
            millis: number(8),
        }
    }

    /// Returns the bytes of the fixed.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (chunk, number) in bytes
            .chunks_mut(4)
            .zip([self.months, self.days, self.millis])
        {
            chunk.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

impl Encode for Duration {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.fixed(&self.to_bytes());
        Ok(())
    }
}

impl<'de> Decode<'de> for Duration {
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.fixed().map(|bytes| Self::from_bytes(*bytes))
    }
}

/// Encodes a decimal as a fixed of `N` bytes.
///
/// # Errors
/// If the value needs more bytes.
pub fn encode_fixed_decimal<const N: usize>(
    value: Decimal,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let Some(bytes) = value.to_fixed::<N>() else {
        return Err(EncodeError::new(EncodeErrorKind::OutOfRange("decimal")));
    };
    out.fixed(&bytes);
    Ok(())
}

#[cfg(feature = "serde")]
mod with_serde {
    use super::{BigDecimal, Decimal, Duration};
    use serde::de::{Deserialize, Deserializer, Error, Visitor};
    use serde::ser::{Serialize, Serializer};
    use std::fmt;

    /// Reads bytes and converts them.
    struct Bytes<T>(fn(&[u8]) -> Option<T>);

    impl<T> Visitor<'_> for Bytes<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("bytes of the logical type")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
            self.0(bytes).ok_or_else(|| E::custom("the bytes are no value of the logical type"))
        }
    }

    /// Implements both traits through bytes.
    macro_rules! bytes {
        ($($type:ident $read:expr, $write:ident);*) => {
            $(
                impl Serialize for $type {
                    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                        serializer.serialize_bytes(&self.$write())
                    }
                }

                impl<'de> Deserialize<'de> for $type {
                    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                        source.deserialize_bytes(Bytes($read))
                    }
                }
            )*
        };
    }

    bytes!(
        Decimal Decimal::from_be_bytes, to_be_bytes;
        BigDecimal |bytes| BigDecimal::from_bytes(bytes).ok(), to_bytes;
        Duration |bytes| bytes.try_into().ok().map(Duration::from_bytes), to_bytes
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_slice, to_vec};

    // Conformance: codec/3b
    #[test]
    fn decimals_read_any_number_of_bytes() {
        let cases: [(&[u8], i128); 7] = [
            (b"", 0),
            (&[0], 0),
            (&[0, 0x7b], 123),
            (&[0xff, 0x80], -128),
            (&[0xff; 20], -1),
            (&[0, 0xff], 255),
            (&[0; 40], 0),
        ];
        for (bytes, value) in cases {
            assert_eq!(
                Decimal::from_be_bytes(bytes),
                Some(Decimal(value)),
                "{bytes:?}"
            );
        }
        let beyond = [&[0][..], &[0xff; 16]].concat();
        assert_eq!(Decimal::from_be_bytes(&beyond), None);
        for value in [0, 1, -1, 127, 128, -128, -129, i128::MAX, i128::MIN] {
            let decimal = Decimal(value);
            let bytes = decimal.to_be_bytes();
            assert_eq!(Decimal::from_be_bytes(&bytes), Some(decimal));
            assert_eq!(
                from_slice::<Decimal>(&to_vec(&decimal).unwrap()).unwrap(),
                decimal
            );
            // One byte less has another value.
            assert_ne!(
                Decimal::from_be_bytes(&bytes[1..]),
                Some(decimal).filter(|_| value != 0)
            );
            let fixed = decimal.to_fixed::<20>().unwrap();
            assert_eq!(Decimal::from_be_bytes(&fixed), Some(decimal));
        }
        assert_eq!(Decimal(128).to_fixed::<1>(), None);
        assert_eq!(Decimal(-128).to_fixed::<1>(), Some([0x80]));
    }

    // Conformance: codec/3b
    #[test]
    fn structured_logical_types_round_trip() {
        let big = BigDecimal {
            unscaled: Decimal(-12_345),
            scale: 3,
        };
        let bytes = to_vec(&big).unwrap();
        assert_eq!(bytes, [8, 4, 0xcf, 0xc7, 6]);
        assert_eq!(from_slice::<BigDecimal>(&bytes).unwrap(), big);
        let duration = Duration {
            months: 1,
            days: 2,
            millis: u32::MAX,
        };
        let bytes = to_vec(&duration).unwrap();
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(from_slice::<Duration>(&bytes).unwrap(), duration);
    }
}
