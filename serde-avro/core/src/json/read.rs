//! The JSON reader.
//!
//! Owns the grammar that Java's schema parser accepts: RFC 8259, and comments (`/* */`, `//`)
//! before and between tokens but not after the value. Its recursion is bounded by the caller's
//! depth, its memory by the text. A lone surrogate escape is refused: no UTF-8 text can hold it.

use super::{Member, Path, Read};
use crate::span::Span;
use std::borrow::Cow;
use std::collections::HashMap;

type Json<'t> = super::Json<Cow<'t, str>>;

/// Digits of a number at most, as Java's reader has it.
const NUMBER_DIGITS_MAX: usize = 1_000;
/// Objects up to this size look their keys up one by one.
const SMALL_OBJECT: usize = 16;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) offset: usize,
    pub(crate) pointer: String,
}

/// A mistake on its way out, which learns its path as it goes: a text without one pays for none.
struct Stop {
    message: &'static str,
    offset: usize,
    /// From the value outwards.
    path: Path,
}

impl Stop {
    fn below_key(mut self, key: &str) -> Self {
        self.path.push_key(key.to_owned());
        self
    }

    fn below_index(mut self, index: usize) -> Self {
        self.path.push_index(index);
        self
    }
}

impl From<Stop> for Mistake {
    fn from(stop: Stop) -> Self {
        Self {
            message: stop.message.into(),
            offset: stop.offset,
            pointer: stop.path.pointer_backwards(),
        }
    }
}

/// Reads a text that is one value nested at most `depth` deep.
///
/// # Errors
/// The first offence against the grammar or the depth.
pub(crate) fn read(text: &str, depth: usize) -> Result<Read<'_>, Mistake> {
    let mut reader = Reader { text, at: 0, depth };
    reader.skip_space()?;
    let value = reader.value()?;
    let rest = text.get(reader.at..).unwrap_or_default();
    let junk = rest.trim_start_matches([' ', '\t', '\n', '\r']);
    if junk.is_empty() {
        return Ok(value);
    }
    reader.at = text.len() - junk.len();
    let stop = reader.stop("unexpected content after the schema; a text holds one schema");
    Err(stop.into())
}

/// Why no value starts with this byte.
fn no_value(byte: u8) -> &'static str {
    match byte {
        b']' | b'}' => "expected a JSON value; no ',' before a closing bracket",
        b',' => "expected a JSON value; one ',' between two is enough",
        b'\'' => "a string needs double quotes",
        b'T' | b'F' | b'N' => "expected a JSON value; true, false and null are in lower case",
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => "expected a JSON value; names need double quotes",
        _ => "expected a JSON value",
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Result<Read<'t>, Stop> {
        let start = self.at;
        let json = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Json::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Json::Bool(true))?,
            Some(b'f') => self.literal("false", Json::Bool(false))?,
            Some(b'n') => self.literal("null", Json::Null)?,
            Some(other) => return Err(self.stop(no_value(other))),
            None => return Err(self.stop("the text ends where a JSON value should start")),
        };
        Ok(Read {
            json,
            span: Span {
                start,
                end: self.at,
            },
        })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json<'t>, Stop>,
    ) -> Result<Json<'t>, Stop> {
        if self.depth == 0 {
            return Err(self.stop("nested too deeply"));
        }
        self.depth -= 1;
        self.at += 1;
        self.skip_space()?;
        let json = read(self)?;
        self.depth += 1;
        Ok(json)
    }

    fn object(&mut self) -> Result<Json<'t>, Stop> {
        let mut members = Members::default();
        if self.eat(b'}') {
            return Ok(Json::Object(members.list));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.stop(match self.peek() {
                    Some(b'}') => "no ',' before '}'; a key must follow it",
                    Some(_) => "a key needs double quotes",
                    None => "the text ends where a key should start; a '}' is missing",
                }));
            }
            let key = self.string()?;
            self.skip_space()?;
            if !self.eat(b':') {
                return Err(self.stop("expected ':' after the key"));
            }
            self.skip_space()?;
            match self.value() {
                Ok(value) => members.put(key, value),
                Err(stop) => return Err(stop.below_key(&key)),
            }
            self.skip_space()?;
            if self.eat(b'}') {
                return Ok(Json::Object(members.list));
            }
            if !self.eat(b',') {
                return Err(self.stop(match self.peek() {
                    Some(b'"') => "a ',' is missing before this key",
                    Some(_) => "expected ',' or '}' after the value",
                    None => "the text ends within an object; a '}' is missing",
                }));
            }
            self.skip_space()?;
        }
    }

    fn array(&mut self) -> Result<Json<'t>, Stop> {
        let mut elements = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            match self.value() {
                Ok(value) => elements.push(value),
                Err(stop) => return Err(stop.below_index(elements.len())),
            }
            self.skip_space()?;
            if self.eat(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.eat(b',') {
                return Err(self.stop(match self.peek() {
                    Some(b'"' | b'{' | b'[') => "a ',' is missing before this element",
                    Some(_) => "expected ',' or ']' after the element",
                    None => "the text ends within an array; a ']' is missing",
                }));
            }
            self.skip_space()?;
        }
    }

    fn literal(&mut self, word: &str, json: Json<'t>) -> Result<Json<'t>, Stop> {
        if !self.rest().starts_with(word) {
            return Err(self.stop("expected a JSON value; names need double quotes"));
        }
        self.at += word.len();
        Ok(json)
    }

    fn number(&mut self) -> Result<Json<'t>, Stop> {
        let start = self.at;
        self.eat(b'-');
        if self.eat(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.stop("a number has no leading zeros"));
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
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.bytes().filter(u8::is_ascii_digit).count() > NUMBER_DIGITS_MAX {
            return Err(self.stop("a number has at most 1000 digits"));
        }
        if whole {
            return Ok(Json::Integer(if text == "-0" {
                "0".into()
            } else {
                text.into()
            }));
        }
        let float = text
            .parse()
            .expect("the grammar of JSON numbers is within that of Rust's");
        Ok(Json::Float(float))
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.stop("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'t, str>, Stop> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if out.is_empty() {
                        return Ok(plain.into());
                    }
                    out.push_str(plain);
                    return Ok(out.into());
                }
                Some(b'\\') => {
                    out.push_str(plain);
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.stop("a control character needs an escape")),
                None => return Err(self.stop("the text ends inside a string")),
            }
        }
    }

    /// What stands before the next byte that means something within a string.
    fn plain(&mut self) -> &'t str {
        let rest = self.rest();
        let telling = |byte: u8| matches!(byte, b'"' | b'\\' | 0..b' ');
        let bytes = rest.bytes().position(telling).unwrap_or(rest.len());
        self.at += bytes;
        rest.get(..bytes).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, Stop> {
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
            Some(_) | None => return Err(self.stop("unknown escape in a string")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Stop> {
        let high = self.hex()?;
        let mut code = u32::from(high);
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            }
        }
        char::from_u32(code).ok_or_else(|| {
            self.at = start;
            self.stop("half a surrogate pair is no character")
        })
    }

    fn hex(&mut self) -> Result<u16, Stop> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|four| u16::from_str_radix(four, 16).ok()) else {
            return Err(self.stop("expected four hexadecimal digits"));
        };
        self.at += 4;
        Ok(code)
    }

    fn skip_space(&mut self) -> Result<(), Stop> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            }
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            if self.rest().starts_with("//") {
                self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().get(2..).and_then(|inner| inner.find("*/")) else {
                    return Err(self.stop("the comment has no end"));
                };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn stop(&self, message: &'static str) -> Stop {
        Stop {
            message,
            offset: self.at,
            path: Path::default(),
        }
    }
}

/// An object's members while they are read, in linear time however many there are.
#[derive(Default)]
struct Members<'t> {
    list: Vec<Member<Cow<'t, str>>>,
    places: HashMap<Cow<'t, str>, usize>,
}

impl<'t> Members<'t> {
    fn put(&mut self, key: Cow<'t, str>, value: Read<'t>) {
        match self.place(&key).and_then(|place| self.list.get_mut(place)) {
            Some(member) => member.value = value,
            None => {
                if self.list.len() >= SMALL_OBJECT {
                    self.places.insert(key.clone(), self.list.len());
                }
                self.list.push(Member { key, value });
            }
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        let mut small = self.list.iter().take(SMALL_OBJECT);
        let place = small.position(|member| *member.key == *key);
        place.or_else(|| self.places.get(key).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write_value;

    // Conformance: avro/2a
    #[test]
    fn texts_come_out_as_java_prints_them() {
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
    fn what_json_forbids_is_refused_at_its_place() {
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
            let mistake = read(text, 4).unwrap_err();
            assert_eq!(
                (mistake.offset, &*mistake.pointer),
                (offset, pointer),
                "{text}"
            );
        }
    }

    // Conformance: avro/1e
    #[test]
    fn a_large_object_keeps_first_places_and_last_values() {
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
