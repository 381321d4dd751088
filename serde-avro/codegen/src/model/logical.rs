//! Logical types (specification, section Logical Types). Invalid ones are ignored, as the
//! specification requires.

use avouch_avro::schema::{Node, Type};

/// The digits of the largest precision whose numbers fit in 128 bits. Decimals with more are bytes.
const DIGITS_MAX: u32 = 38;

/// A logical type that has a Rust type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    /// On bytes, or on a fixed of `size` bytes.
    Decimal {
        precision: u32,
        scale: u32,
        size: Option<usize>,
    },
    BigDecimal,
    UuidString,
    UuidFixed,
    Duration,
}

impl Logical {
    /// Returns the logical type of a node.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        let name = node.logical_type()?;
        Some(match (&node.kind, name) {
            (Type::Int, "date") => Self::Date,
            (Type::Int, "time-millis") => Self::TimeMillis,
            (Type::Long, "time-micros") => Self::TimeMicros,
            (Type::Long, "timestamp-millis") => Self::TimestampMillis,
            (Type::Long, "timestamp-micros") => Self::TimestampMicros,
            (Type::Long, "timestamp-nanos") => Self::TimestampNanos,
            (Type::Long, "local-timestamp-millis") => Self::LocalTimestampMillis,
            (Type::Long, "local-timestamp-micros") => Self::LocalTimestampMicros,
            (Type::Long, "local-timestamp-nanos") => Self::LocalTimestampNanos,
            (Type::Bytes, "decimal") => decimal(node, None)?,
            (Type::Bytes, "big-decimal") => Self::BigDecimal,
            (Type::Fixed(fixed), "decimal") => decimal(node, Some(fixed.size))?,
            (Type::String, "uuid") => Self::UuidString,
            (Type::Fixed(fixed), "uuid") if fixed.size == 16 => Self::UuidFixed,
            (Type::Fixed(fixed), "duration") if fixed.size == 12 => Self::Duration,
            _ => return None,
        })
    }

    /// Returns true for dates, times and timestamps.
    pub(crate) fn is_time(self) -> bool {
        self.time_name().is_some()
    }

    /// Returns the name of a date, time or timestamp in the names of conversion functions.
    pub(crate) fn time_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Date => "date",
            Self::TimeMillis => "time_millis",
            Self::TimeMicros => "time_micros",
            Self::TimestampMillis => "timestamp_millis",
            Self::TimestampMicros => "timestamp_micros",
            Self::TimestampNanos => "timestamp_nanos",
            Self::LocalTimestampMillis => "local_timestamp_millis",
            Self::LocalTimestampMicros => "local_timestamp_micros",
            Self::LocalTimestampNanos => "local_timestamp_nanos",
            _ => return None,
        })
    }
}

fn decimal(node: &Node, size: Option<usize>) -> Option<Logical> {
    let number = |key| {
        node.attribute(key)
            .map(|value| value.to_string().parse::<u32>())
    };
    let precision = number("precision")?.ok()?;
    let scale = match number("scale") {
        None => 0,
        Some(scale) => scale.ok()?,
    };
    // The specification requires that an invalid logical type is ignored.
    let fits = size.is_none_or(|size| precision <= digits(size));
    let is_valid = (1..=DIGITS_MAX).contains(&precision) && scale <= precision;
    (is_valid && fits).then_some(Logical::Decimal {
        precision,
        scale,
        size,
    })
}

/// Returns the number of decimal digits that a signed integer of `size` bytes always holds.
fn digits(size: usize) -> u32 {
    // 8 * size - 1 bits; log10(2) as a fraction whose error is below one digit up to 1 MiB.
    let bits = (8 * u64::try_from(size).unwrap_or(u64::MAX / 8)).saturating_sub(1);
    u32::try_from(bits.saturating_mul(30_102_999_566) / 100_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use avouch_avro::Schema;

    fn of(text: &str) -> Option<Logical> {
        let schema = Schema::parse(text).unwrap();
        Logical::of(schema.node(schema.root()))
    }

    #[test]
    fn invalid_logical_types_are_ignored() {
        let decimal = |precision, scale, size| {
            Some(Logical::Decimal {
                precision,
                scale,
                size,
            })
        };
        let bytes = |rest| format!(r#"{{"type":"bytes","logicalType":"decimal"{rest}}}"#);
        let fixed = |size, rest| {
            format!(r#"{{"type":"fixed","name":"F","size":{size},"logicalType":"decimal"{rest}}}"#)
        };
        let table = [
            (bytes(r#","precision":4,"scale":2"#), decimal(4, 2, None)),
            (bytes(r#","precision":4"#), decimal(4, 0, None)),
            (bytes(""), None),
            (bytes(r#","precision":0"#), None),
            (bytes(r#","precision":38"#), decimal(38, 0, None)),
            (bytes(r#","precision":39"#), None),
            (bytes(r#","precision":2,"scale":3"#), None),
            (fixed(4, r#","precision":9"#), decimal(9, 0, Some(4))),
            (fixed(4, r#","precision":10"#), None),
            (fixed(8, r#","precision":18"#), decimal(18, 0, Some(8))),
            (r#"{"type":"long","logicalType":"date"}"#.into(), None),
            (
                r#"{"type":"fixed","name":"U","size":15,"logicalType":"uuid"}"#.into(),
                None,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(of(&text), expected, "{text}");
        }
    }
}
