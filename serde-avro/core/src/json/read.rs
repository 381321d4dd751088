//! The JSON reader.
//!
//! It accepts the grammar of Java's schema parser: RFC 8259, and comments (`/* */`, `//`) before
//! and between tokens but not after the value. The recursion is bounded by a depth, the memory by
//! the source. An unpaired surrogate escape is rejected, because UTF-8 cannot represent it.

use super::{BorrowedValue, Member, Path};
use crate::span::Span;
use std::borrow::Cow;
use std::collections::HashMap;

type Json<'t> = super::Json<Cow<'t, str>>;

/// Maximum number of digits of a number, as in Java's reader.
const NUMBER_DIGITS_MAX: usize = 1_000;
/// Objects up to this size are searched linearly; further members are indexed by key.
const SMALL_OBJECT: usize = 16;

/// An error of the reader or of the schema parser, with its position.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) offset: usize,
    pub(crate) pointer: String,
}

/// An error of the reader. Its path is built while the recursion unwinds, so that valid input does
/// not pay for paths.
struct ReadError {
    message: &'static str,
    offset: usize,
    /// The steps from the value outwards.
    path: Path,
}

impl ReadError {
    fn below_key(mut self, key: &str) -> Self {
        self.path.push_key(key.to_owned());
        self
    }

    fn below_index(mut self, index: usize) -> Self {
        self.path.push_index(index);
        self
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self {
            message: error.message.into(),
            offset: error.offset,
            pointer: error.path.pointer_backwards(),
        }
    }
}

/// Reads a source that is one value with at most `depth` levels.
///
/// # Errors
/// Returns the first violation of the grammar or the depth.
pub(crate) fn read(source: &str, depth: usize) -> Result<BorrowedValue<'_>, Failure> {
    let mut reader = Reader {
        source,
        at: 0,
        depth,
    };
    reader.skip_space()?;
    let value = reader.value()?;
    let rest = source.get(reader.at..).unwrap_or_default();
    let trailing = rest.trim_start_matches([' ', '\t', '\n', '\r']);
    if trailing.is_empty() {
        return Ok(value);
    }
    reader.at = source.len() - trailing.len();
    let error = reader.error("unexpected content after the schema");
    Err(error.into())
}

/// Returns the message for a byte that starts no value.
fn unexpected(byte: u8) -> &'static str {
    match byte {
        b']' | b'}' => "expected a JSON value; remove the ',' before the closing bracket",
        b',' => "expected a JSON value before ','",
        b'\'' => "a string needs double quotes",
        b'T' | b'F' | b'N' => "expected a JSON value; true, false and null are in lower case",
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => "expected a JSON value; strings need double quotes",
        _ => "expected a JSON value",
    }
}

struct Reader<'t> {
    source: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Result<BorrowedValue<'t>, ReadError> {
        let start = self.at;
        let json = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Json::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Json::Bool(true))?,
            Some(b'f') => self.literal("false", Json::Bool(false))?,
            Some(b'n') => self.literal("null", Json::Null)?,
            Some(other) => return Err(self.error(unexpected(other))),
            None => return Err(self.error("unexpected end of input; expected a JSON value")),
        };
        Ok(BorrowedValue {
            json,
            span: Span {
                start,
                end: self.at,
            },
        })
    }

    /// Reads an array or object one level deeper.
    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json<'t>, ReadError>,
    ) -> Result<Json<'t>, ReadError> {
        if self.depth == 0 {
            return Err(self.error("JSON values nest too deeply"));
        }
        // Not restored after an error, which ends the read.
        self.depth -= 1;
        self.at += 1;
        self.skip_space()?;
        let json = read(self)?;
        self.depth += 1;
        Ok(json)
    }

    fn object(&mut self) -> Result<Json<'t>, ReadError> {
        let mut members = Members::default();
        if self.eat(b'}') {
            return Ok(Json::Object(members.list));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error(match self.peek() {
                    Some(b'}') => "expected a key; remove the ',' before '}'",
                    Some(_) => "a key needs double quotes",
                    None => "unexpected end of input in an object; missing '}'",
                }));
            }
            let key = self.string()?;
            self.skip_space()?;
            if !self.eat(b':') {
                return Err(self.error("expected ':' after the key"));
            }
            self.skip_space()?;
            match self.value() {
                Ok(value) => members.put(key, value),
                Err(error) => return Err(error.below_key(&key)),
            }
            self.skip_space()?;
            if self.eat(b'}') {
                return Ok(Json::Object(members.list));
            }
            if !self.eat(b',') {
                return Err(self.error(match self.peek() {
                    Some(b'"') => "missing ',' before this key",
                    Some(_) => "expected ',' or '}' after the value",
                    None => "unexpected end of input in an object; missing '}'",
                }));
            }
            self.skip_space()?;
        }
    }

    fn array(&mut self) -> Result<Json<'t>, ReadError> {
        let mut elements = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            match self.value() {
                Ok(value) => elements.push(value),
                Err(error) => return Err(error.below_index(elements.len())),
            }
            self.skip_space()?;
            if self.eat(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.eat(b',') {
                return Err(self.error(match self.peek() {
                    Some(b'"' | b'{' | b'[') => "missing ',' before this element",
                    Some(_) => "expected ',' or ']' after the element",
                    None => "unexpected end of input in an array; missing ']'",
                }));
            }
            self.skip_space()?;
        }
    }

    fn literal(&mut self, name: &str, json: Json<'t>) -> Result<Json<'t>, ReadError> {
        if !self.rest().starts_with(name) {
            return Err(self.error("expected a JSON value; strings need double quotes"));
        }
        self.at += name.len();
        Ok(json)
    }

    fn number(&mut self) -> Result<Json<'t>, ReadError> {
        let start = self.at;
        self.eat(b'-');
        if self.eat(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.error("a number must not have leading zeros"));
            }
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.eat(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            whole = false;
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let number = self.source.get(start..self.at).unwrap_or_default();
        // Checked after the scan, which the source bounds.
        if number.bytes().filter(u8::is_ascii_digit).count() > NUMBER_DIGITS_MAX {
            return Err(self.error("a number must not have more than 1000 digits"));
        }
        if whole {
            // Java reads an integer, which has no negative zero.
            return Ok(Json::Integer(if number == "-0" {
                "0".into()
            } else {
                number.into()
            }));
        }
        let float = number.parse().expect("Rust parses every JSON number");
        Ok(Json::Float(float))
    }

    fn digits(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'t, str>, ReadError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if out.is_empty() {
                        // Without escapes the string is borrowed.
                        return Ok(plain.into());
                    }
                    out.push_str(plain);
                    return Ok(out.into());
                }
                Some(b'\\') => {
                    out.push_str(plain);
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.error("a control character must be escaped")),
                None => return Err(self.error("unexpected end of input in a string")),
            }
        }
    }

    /// Returns the bytes up to the next quote, backslash or control character.
    fn plain(&mut self) -> &'t str {
        let rest = self.rest();
        let is_special = |byte: u8| matches!(byte, b'"' | b'\\' | 0..b' ');
        let bytes = rest.bytes().position(is_special).unwrap_or(rest.len());
        self.at += bytes;
        rest.get(..bytes).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            Some(_) | None => return Err(self.error("unknown escape in a string")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, ReadError> {
        let high = self.hex()?;
        let mut code = u32::from(high);
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                // UTF-16: each surrogate contributes ten bits above U+10000.
                code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            }
        }
        // Surrogates that are not a pair have no character.
        char::from_u32(code).ok_or_else(|| {
            // The error is at the escape, not after it.
            self.at = start;
            self.error("unpaired surrogate in an escape")
        })
    }

    fn hex(&mut self) -> Result<u16, ReadError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        // `get` returns None at the end and within a multi-byte character.
        let Some(code) = digits.and_then(|four| u16::from_str_radix(four, 16).ok()) else {
            return Err(self.error("expected four hexadecimal digits"));
        };
        self.at += 4;
        Ok(code)
    }

    fn skip_space(&mut self) -> Result<(), ReadError> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            }
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            if self.rest().starts_with("//") {
                // Java ends a line comment at either character, and at the end of the source.
                self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().get(2..).and_then(|inner| inner.find("*/")) else {
                    return Err(self.error("unterminated comment"));
                };
                // The text and the two characters of each delimiter.
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'t str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn error(&self, message: &'static str) -> ReadError {
        ReadError {
            message,
            offset: self.at,
            path: Path::default(),
        }
    }
}

/// The members of an object while it is read. Takes linear time for any number of members.
#[derive(Default)]
struct Members<'t> {
    list: Vec<Member<Cow<'t, str>>>,
    indexes: HashMap<Cow<'t, str>, usize>,
}

impl<'t> Members<'t> {
    fn put(&mut self, key: Cow<'t, str>, value: BorrowedValue<'t>) {
        match self.index(&key).and_then(|index| self.list.get_mut(index)) {
            Some(member) => member.value = value,
            None => {
                // Only members after the first ones are indexed; a small object allocates no map.
                if self.list.len() >= SMALL_OBJECT {
                    self.indexes.insert(key.clone(), self.list.len());
                }
                self.list.push(Member { key, value });
            }
        }
    }

    fn index(&self, key: &str) -> Option<usize> {
        let mut small = self.list.iter().take(SMALL_OBJECT);
        let index = small.position(|member| *member.key == *key);
        index.or_else(|| self.indexes.get(key).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write_value;

    // Conformance: avro/2a
    #[test]
    fn values_print_as_in_java() {
        let table = [
            (
                " [1 , -0, 1.10, 1e5, 1e400, -0.0] ",
                r#"[1,0,1.1,100000.0,"Infinity",-0.0]"#,
            ),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            ("/* c */ [1, // d\n 2/**/]", "[1,2]"),
            (r#""\u00e9\/\ud83d\ude00\u001f""#, r#""é/😀\u001F""#),
            ("18446744073709551616", "18446744073709551616"),
        ];
        for (text, expected) in table {
            let mut out = String::new();
            write_value(&read(text, 8).unwrap().json, &mut out);
            assert_eq!(out, expected, "{text}");
        }
    }

    // Conformance: avro/1a
    #[test]
    fn invalid_json_is_rejected_at_its_position() {
        let table = [
            ("", 0, ""),
            ("[1,]", 3, "/1"),
            ("{\"a\":tru}", 5, "/a"),
            ("{\"a\" 1}", 5, ""),
            ("[01]", 2, "/0"),
            ("[1.]", 3, "/0"),
            ("\"a\tb\"", 2, ""),
            ("\"\\x\"", 2, ""),
            ("[\"\\ud800\"]", 2, "/0"),
            ("\"\\u12\"", 3, ""),
            ("1 /**/", 2, ""),
            ("/* ", 0, ""),
            ("[[[[[1]]]]]", 4, "/0/0/0/0"),
            ("{\"a/b~\":[nul]}", 9, "/a~1b~0/0"),
        ];
        for (text, offset, pointer) in table {
            let failure = read(text, 4).unwrap_err();
            assert_eq!(
                (failure.offset, &*failure.pointer),
                (offset, pointer),
                "{text}"
            );
        }
    }

    // Conformance: avro/1e
    #[test]
    fn repeated_keys_keep_position_and_last_value() {
        let keys = |value: u32| (0..100).map(move |at| format!("\"k{at}\":{value}"));
        let text = format!(
            "{{{}}}",
            keys(1).chain(keys(2)).collect::<Vec<_>>().join(",")
        );
        let mut out = String::new();
        write_value(&read(&text, 1).unwrap().json, &mut out);
        assert_eq!(
            out,
            format!("{{{}}}", keys(2).collect::<Vec<_>>().join(","))
        );
    }
}
