//! Decimals with the precision and the scale of their schema in their type (specification, section
//! Logical Types). The bytes are those of [`logical::Decimal`].

use crate::codec::{Decode, DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder};
use crate::logical;
use std::fmt;
use std::str::FromStr;

/// A decimal of up to `PRECISION` digits, `SCALE` of them after the point; `PRECISION` is at most
/// 38. It is encoded as bytes, in the fewest possible.
///
/// ```
/// use avouch_avro::decimal::ScaledDecimal;
///
/// let fee: ScaledDecimal<12, 4> = "0.25".parse()?;
/// assert_eq!(fee.unscaled(), 2_500);
/// assert_eq!(fee.to_string(), "0.2500");
/// assert!("0.00001".parse::<ScaledDecimal<12, 4>>().is_err());
/// # Ok::<(), avouch_avro::decimal::DecimalError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScaledDecimal<const PRECISION: u32, const SCALE: u32> {
    unscaled: i128,
}

/// The reasons why a text is not a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// The text has other characters than a sign, digits and a point.
    #[error("not a decimal number; expected digits, such as -12.50")]
    Invalid,
    /// The number has more digits after the point than the type.
    #[error("more than {scale} digits after the point")]
    Scale {
        /// The maximum.
        scale: u32,
    },
    /// The number has more digits than the type.
    #[error("more than {precision} digits")]
    Precision {
        /// The maximum.
        precision: u32,
    },
}

impl<const PRECISION: u32, const SCALE: u32> ScaledDecimal<PRECISION, SCALE> {
    /// Creates a decimal of `unscaled` units, each 10 to the power of `-SCALE`. A number with more
    /// than `PRECISION` digits is an error when it is encoded.
    #[must_use]
    pub const fn from_unscaled(unscaled: i128) -> Self {
        Self { unscaled }
    }

    /// Returns the number of units, each 10 to the power of `-SCALE`.
    #[must_use]
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// Appends the decimal as a fixed of `SIZE` bytes.
    ///
    /// # Errors
    /// If the number has more than `PRECISION` digits or does not fit in the bytes.
    pub fn encode_fixed<const SIZE: usize>(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        logical::encode_fixed_decimal::<SIZE>(self.checked()?, out)
    }

    /// Reads a decimal from a fixed of `SIZE` bytes.
    ///
    /// # Errors
    /// If the datum ends or the number does not fit in 128 bits.
    pub fn decode_fixed<const SIZE: usize>(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = input.fixed::<SIZE>()?;
        let decimal = logical::Decimal::from_be_bytes(bytes);
        decimal
            .map(|decimal| Self::from_unscaled(decimal.0))
            .ok_or_else(|| input.value_error("the decimal exceeds 128 bits"))
    }

    fn checked(self) -> Result<logical::Decimal, EncodeError> {
        let maximum = 10_u128.checked_pow(PRECISION).unwrap_or(u128::MAX);
        if self.unscaled.unsigned_abs() < maximum {
            return Ok(logical::Decimal(self.unscaled));
        }
        Err(EncodeError::new(EncodeErrorKind::OutOfRange("decimal")))
    }
}

impl<const PRECISION: u32, const SCALE: u32> Encode for ScaledDecimal<PRECISION, SCALE> {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        self.checked()?.encode(out)
    }
}

impl<'de, const PRECISION: u32, const SCALE: u32> Decode<'de> for ScaledDecimal<PRECISION, SCALE> {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        let decimal = logical::Decimal::decode(input)?;
        Ok(Self::from_unscaled(decimal.0))
    }
}

impl<const PRECISION: u32, const SCALE: u32> fmt::Display for ScaledDecimal<PRECISION, SCALE> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = SCALE as usize;
        let digits = format!(
            "{:0>width$}",
            self.unscaled.unsigned_abs(),
            width = scale + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let number = match fraction {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        };
        out.pad_integral(self.unscaled >= 0, "", &number)
    }
}

/// Parses digits with an optional sign and point, such as `-12.50`. Zeros at the end beyond the
/// scale are accepted.
impl<const PRECISION: u32, const SCALE: u32> FromStr for ScaledDecimal<PRECISION, SCALE> {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
            return Err(DecimalError::Invalid);
        }
        let scale = SCALE as usize;
        let (kept, dropped) = fraction.split_at(fraction.len().min(scale));
        if dropped.bytes().any(|digit| digit != b'0') {
            return Err(DecimalError::Scale { scale: SCALE });
        }
        let too_long = DecimalError::Precision {
            precision: PRECISION,
        };
        let significant = format!("{whole}{kept:0<scale$}");
        let significant = significant.trim_start_matches('0');
        if significant.len() > PRECISION as usize {
            return Err(too_long);
        }
        let magnitude: i128 = match significant {
            "" => 0,
            digits => digits.parse().map_err(|_| too_long)?,
        };
        Ok(Self::from_unscaled(if is_negative {
            -magnitude
        } else {
            magnitude
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Money = ScaledDecimal<38, 2>;

    #[test]
    fn decimals_use_the_fewest_bytes() {
        let table: [(i128, &[u8]); 8] = [
            (0, &[2, 0]),
            (127, &[2, 0x7f]),
            (128, &[4, 0, 0x80]),
            (-1, &[2, 0xff]),
            (-128, &[2, 0x80]),
            (-129, &[4, 0xff, 0x7f]),
            (32_768, &[6, 0, 0x80, 0]),
            (1 << 100, &[26, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (unscaled, bytes) in table {
            let decimal = Money::from_unscaled(unscaled);
            assert_eq!(crate::to_vec(&decimal).unwrap(), bytes, "{unscaled}");
            assert_eq!(crate::from_slice::<Money>(bytes).unwrap(), decimal);
        }
    }

    #[test]
    fn decimals_read_sign_padding_of_any_length() {
        let read = |bytes: &[u8]| {
            let mut datum = Encoder::new();
            datum.bytes(bytes);
            crate::from_slice::<Money>(datum.as_slice())
                .map(Money::unscaled)
                .ok()
        };
        assert_eq!(read(&[]), Some(0));
        assert_eq!(read(&[0xff; 20]), Some(-1));
        assert_eq!(
            read(&[&[0; 9][..], &[1; 12]].concat()).map(|n| n >> 88),
            Some(1)
        );
        assert_eq!(read(&[&[0][..], &[0xff; 16]].concat()), None);
        assert_eq!(read(&[1; 17]), None);
        let max = i128::MAX.to_be_bytes();
        assert_eq!(read(&[&[0; 3][..], &max].concat()), Some(i128::MAX));
    }

    #[test]
    fn decimals_beyond_precision_are_not_encoded() {
        let encode = |unscaled| crate::to_vec(&ScaledDecimal::<3, 0>::from_unscaled(unscaled));
        assert!(encode(999).is_ok() && encode(-999).is_ok());
        assert!(encode(1_000).is_err() && encode(i128::MIN).is_err());
        let fixed = |unscaled| {
            let mut out = Encoder::new();
            let decimal = ScaledDecimal::<5, 0>::from_unscaled(unscaled);
            decimal.encode_fixed::<2>(&mut out).ok()?;
            let bytes = out.as_slice().to_vec();
            let read = ScaledDecimal::<5, 0>::decode_fixed::<2>(&mut Decoder::new(&bytes)).unwrap();
            assert_eq!(read, decimal);
            Some(bytes)
        };
        assert_eq!(fixed(-2), Some(vec![0xff, 0xfe]));
        assert_eq!(fixed(32_767), Some(vec![0x7f, 0xff]));
        assert_eq!(fixed(32_768), None);
    }

    #[test]
    fn decimals_parse_and_print_exactly() {
        let parse = |text: &str| text.parse::<ScaledDecimal<5, 2>>();
        let texts = [
            ("1", "1.00"),
            ("-0.05", "-0.05"),
            (".5", "0.50"),
            ("+999.990", "999.99"),
        ];
        for (text, printed) in texts {
            assert_eq!(parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(parse("0.001"), Err(DecimalError::Scale { scale: 2 }));
        assert_eq!(parse("1000"), Err(DecimalError::Precision { precision: 5 }));
        for text in ["", ".", "-", "1e3", "1.2.3", " 1", "0x1"] {
            assert_eq!(parse(text), Err(DecimalError::Invalid), "{text}");
        }
        assert_eq!(ScaledDecimal::<3, 0>::from_unscaled(-7).to_string(), "-7");
    }
}
