//! The JSON writer, with the same output as Java's.
//!
//! Strings have only the escapes that JSON requires, `\u` with upper-case digits. Doubles are
//! printed as by `Double.toString` since JDK 19: the shortest digits that parse to the same value.

use super::Json;
use std::fmt::Write as _;
use std::ops::Deref;

/// Appends a value as compact JSON.
pub(crate) fn write_value<S: Deref<Target = str>>(json: &Json<S>, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Integer(digits) => out.push_str(digits),
        Json::Float(float) => write_double(*float, out),
        Json::String(string) => write_string(string, out),
        Json::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(&element.json, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(&member.key, out);
                out.push(':');
                write_value(&member.value.json, out);
            }
            out.push('}');
        }
    }
}

/// Appends a string with quotes and escapes.
pub(crate) fn write_string(string: &str, out: &mut String) {
    out.push('"');
    for c in string.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_double(double: f64, out: &mut String) {
    // JSON has no such numbers; Java writes strings.
    if !double.is_finite() {
        let name = match (double.is_nan(), double > 0.0) {
            (true, _) => "NaN",
            (false, true) => "Infinity",
            (false, false) => "-Infinity",
        };
        return write_string(name, out);
    }
    if double.is_sign_negative() {
        out.push('-');
    }
    let (digits, exponent) = shortest_digits(double.abs());
    let (first, rest) = digits.split_at(1);
    match exponent {
        // Java uses the decimal notation from 10^-3 to less than 10^7.
        0..=6 => {
            let whole = usize::try_from(exponent).unwrap_or_default() + 1;
            let digits = format!("{digits:0<whole$}");
            let (whole, fraction) = digits.split_at(whole);
            push_decimal(whole, fraction, out);
        }
        -3..=-1 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
            push_decimal("0", &format!("{}{digits}", "0".repeat(zeros)), out);
        }
        _ => {
            push_decimal(first, rest, out);
            write!(out, "E{exponent}").expect("writing to a String cannot fail");
        }
    }
}

fn push_decimal(whole: &str, fraction: &str, out: &mut String) {
    out.push_str(whole);
    out.push('.');
    out.push_str(if fraction.is_empty() { "0" } else { fraction });
}

/// Returns the significant digits without trailing zeros, and the decimal exponent of the first
/// one.
fn shortest_digits(double: f64) -> (String, i32) {
    let shortest = format!("{double:e}");
    // Java prints at least two digits, and of those the closest: 4.9E-324 instead of 5E-324.
    let two = format!("{double:.1e}");
    let one_digit = shortest.find('e') == Some(1);
    let chosen = if one_digit && two.parse() == Ok(double) {
        two
    } else {
        shortest
    };
    let (mantissa, exponent) = chosen
        .split_once('e')
        .expect("the format {:e} has an exponent");
    let digits = mantissa.replace('.', "");
    let kept = digits.trim_end_matches('0').len().max(1);
    (
        digits[..kept].to_owned(),
        exponent.parse().expect("the exponent of a double is small"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/2a
    #[test]
    fn doubles_print_as_in_java() {
        let table = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.1, "1.1"),
            (0.001, "0.001"),
            (0.002, "0.002"),
            (0.0001, "1.0E-4"),
            (0.012_345, "0.012345"),
            (1_234_567.0, "1234567.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (100.5, "100.5"),
            (1.1e-7, "1.1E-7"),
            (5e-324, "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (9_007_199_254_740_993.0, "9.007199254740992E15"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (f64::NAN, "\"NaN\""),
        ];
        for (double, expected) in table {
            let mut out = String::new();
            write_double(double, &mut out);
            assert_eq!(out, expected);
        }
    }
}
