//! JSON for schemas: a bounded reader with source spans, and a writer with the output of Java's.
//!
//! Members keep their order, a repeated key keeps its first position and its last value, and
//! integers keep all digits. The module does not depend on Avro.

mod pointer;
mod read;
mod write;

pub(crate) use pointer::Path;
pub(crate) use read::{Failure, read};
pub(crate) use write::{write_string, write_value};

use crate::span::Span;
use std::borrow::Cow;
use std::ops::Deref;

/// A JSON value with its position. `S` is the type of its strings.
#[derive(Clone, Debug)]
pub(crate) struct Value<S = Box<str>> {
    /// The value.
    pub(crate) json: Json<S>,
    /// The position in the source.
    pub(crate) span: Span,
}

/// The content of a JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json<S = Box<str>> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, as its digits, with `-` if it is negative.
    Integer(S),
    /// Any other number; infinite if it exceeds the range of a double.
    Float(f64),
    /// A string without escapes.
    String(S),
    /// An array.
    Array(Vec<Value<S>>),
    /// An object with unique keys.
    Object(Vec<Member<S>>),
}

/// A key of an object and its value.
#[derive(Clone, Debug)]
pub(crate) struct Member<S = Box<str>> {
    /// The key without escapes.
    pub(crate) key: S,
    /// The value.
    pub(crate) value: Value<S>,
}

/// A value whose strings are borrowed from the source, except those with escapes.
pub(crate) type BorrowedValue<'t> = Value<Cow<'t, str>>;

impl<S: Deref<Target = str>> Value<S> {
    /// Returns the value of a key, if this is an object that has it.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        // Keys are unique, and schema objects have few members, so a linear search is fast.
        self.members()
            .iter()
            .find(|member| *member.key == *key)
            .map(|member| &member.value)
    }

    /// Returns the members of an object, an empty slice for other values.
    pub(crate) fn members(&self) -> &[Member<S>] {
        match &self.json {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// Returns the string, if this is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Json::String(string) = &self.json {
            Some(string)
        } else {
            None
        }
    }

    /// Returns the elements, if this is an array.
    pub(crate) fn elements(&self) -> Option<&[Self]> {
        if let Json::Array(elements) = &self.json {
            Some(elements)
        } else {
            None
        }
    }

    /// Returns a copy that owns its strings.
    pub(crate) fn to_owned_value(&self) -> Value {
        let own = |string: &S| Box::from(&**string);
        let json = match &self.json {
            Json::Null => Json::Null,
            Json::Bool(bool) => Json::Bool(*bool),
            Json::Integer(digits) => Json::Integer(own(digits)),
            Json::Float(float) => Json::Float(*float),
            Json::String(string) => Json::String(own(string)),
            Json::Array(elements) => {
                Json::Array(elements.iter().map(Self::to_owned_value).collect())
            }
            Json::Object(members) => {
                Json::Object(members.iter().map(Member::to_owned_member).collect())
            }
        };
        Value {
            json,
            span: self.span,
        }
    }
}

impl<S: Deref<Target = str>> Member<S> {
    /// Returns a copy that owns its strings.
    pub(crate) fn to_owned_member(&self) -> Member {
        Member {
            key: Box::from(&*self.key),
            value: self.value.to_owned_value(),
        }
    }
}

impl<S> Json<S> {
    /// Returns the kind of the value for messages, with an article.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
