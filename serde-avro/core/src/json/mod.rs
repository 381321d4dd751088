//! JSON as schema texts need it: bounded reading with source spans, writing byte for byte as Java
//! writes it.
//!
//! Owns the value tree. Members keep their order, a repeated key keeps its first place and its
//! last value, integers keep all their digits. It knows nothing of Avro.

mod pointer;
mod read;
mod write;

pub(crate) use pointer::Path;
pub(crate) use read::{Mistake, read};
pub(crate) use write::{write_string, write_value};

use crate::span::Span;
use std::borrow::Cow;
use std::ops::Deref;

/// A JSON value and where it stood. `S` is what its strings are.
#[derive(Clone, Debug)]
pub(crate) struct Value<S = Box<str>> {
    /// What it is.
    pub(crate) json: Json<S>,
    /// Where it stood in its text.
    pub(crate) span: Span,
}

/// What a JSON value is.
#[derive(Clone, Debug)]
pub(crate) enum Json<S = Box<str>> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, as its digits, with a `-` if it is below zero.
    Integer(S),
    /// Any other number; infinite if it is too large for a double.
    Float(f64),
    /// A string, its escapes resolved.
    String(S),
    /// An array.
    Array(Vec<Value<S>>),
    /// An object, each key once.
    Object(Vec<Member<S>>),
}

/// A key of an object and its value.
#[derive(Clone, Debug)]
pub(crate) struct Member<S = Box<str>> {
    /// The key, its escapes resolved.
    pub(crate) key: S,
    /// The value.
    pub(crate) value: Value<S>,
}

/// A value whose strings stand in the text it was read from, but for those with escapes.
pub(crate) type Read<'t> = Value<Cow<'t, str>>;

impl<S: Deref<Target = str>> Value<S> {
    /// The value of a key, if this is an object that has it.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|member| *member.key == *key)
            .map(|member| &member.value)
    }

    /// The members, none if this is no object.
    pub(crate) fn members(&self) -> &[Member<S>] {
        match &self.json {
            Json::Object(members) => members,
            Json::Null
            | Json::Bool(_)
            | Json::Integer(_)
            | Json::Float(_)
            | Json::String(_)
            | Json::Array(_) => &[],
        }
    }

    /// The string, if this is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Json::String(text) = &self.json {
            Some(text)
        } else {
            None
        }
    }

    /// The elements, if this is an array.
    pub(crate) fn elements(&self) -> Option<&[Self]> {
        if let Json::Array(elements) = &self.json {
            Some(elements)
        } else {
            None
        }
    }

    /// The value with strings of its own.
    pub(crate) fn kept(&self) -> Value {
        let own = |text: &S| Box::from(&**text);
        let json = match &self.json {
            Json::Null => Json::Null,
            Json::Bool(bool) => Json::Bool(*bool),
            Json::Integer(digits) => Json::Integer(own(digits)),
            Json::Float(float) => Json::Float(*float),
            Json::String(text) => Json::String(own(text)),
            Json::Array(elements) => Json::Array(elements.iter().map(Self::kept).collect()),
            Json::Object(members) => Json::Object(members.iter().map(Member::kept).collect()),
        };
        Value {
            json,
            span: self.span,
        }
    }
}

impl<S: Deref<Target = str>> Member<S> {
    /// The member with strings of its own.
    pub(crate) fn kept(&self) -> Member {
        Member {
            key: Box::from(&*self.key),
            value: self.value.kept(),
        }
    }
}

impl<S> Json<S> {
    /// What to call it in a message.
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
