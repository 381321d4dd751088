//! Defaults and attributes as JSON values.

use crate::json::{self, Member, Value};
use std::fmt;

/// A JSON value of a schema: a default or an attribute. Displays as compact JSON, as Java writes
/// it.
#[derive(Clone, Copy, Debug)]
pub struct JsonValue<'s>(&'s Value);

impl<'s> JsonValue<'s> {
    pub(super) fn new(value: &'s Value) -> Self {
        Self(value)
    }

    /// Returns the string, if the value is a string.
    #[must_use]
    pub fn as_str(self) -> Option<&'s str> {
        self.0.as_str()
    }
}

impl fmt::Display for JsonValue<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = String::new();
        json::write_value(&self.0.json, &mut json);
        out.write_str(&json)
    }
}

/// Returns the keys and values of members.
pub(super) fn iter(members: &[Member]) -> impl Iterator<Item = (&str, JsonValue<'_>)> {
    let members = members.iter();
    members.map(|member| (&*member.key, JsonValue::new(&member.value)))
}

/// Returns the value of a key.
pub(super) fn find<'s>(members: &'s [Member], key: &str) -> Option<JsonValue<'s>> {
    let found = members.iter().find(|member| *member.key == *key)?;
    Some(JsonValue::new(&found.value))
}
