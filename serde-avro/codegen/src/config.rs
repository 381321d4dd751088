//! The options of the generator.

use std::collections::BTreeMap;

/// Generates Rust types from schemas. The default has no options.
///
/// Overrides name types by their full name, such as `com.example.Money`, and fields by that of
/// their record with the name of the field, such as `com.example.Order.total`.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    pub(crate) time: TimeCrate,
    pub(crate) borrowed: bool,
    pub(crate) derives: Vec<String>,
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) names: BTreeMap<String, String>,
}

/// The crate with the types of dates, times and timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeCrate {
    /// `jiff`: `civil::Date`, `civil::Time`, `Timestamp`, and `civil::DateTime` for local
    /// timestamps.
    #[default]
    Jiff,
    /// `chrono`: `NaiveDate`, `NaiveTime`, `DateTime<Utc>` and `NaiveDateTime`.
    Chrono,
    /// `time`: `Date`, `Time`, `UtcDateTime` and `PrimitiveDateTime`.
    Time,
    /// No crate: the numbers of the encoding, `i32` and `i64`.
    Raw,
}

impl Generator {
    /// Creates a generator without options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the crate of dates and times.
    #[must_use]
    pub fn time(mut self, time: TimeCrate) -> Self {
        self.time = time;
        self
    }

    /// Also generates a type `NameRef<'de>` for each type with strings or bytes, which borrows them
    /// from the datum.
    #[must_use]
    pub fn borrowed(mut self, is_borrowed: bool) -> Self {
        self.borrowed = is_borrowed;
        self
    }

    /// Adds a derive macro to all types, such as `serde::Serialize`.
    #[must_use]
    pub fn derive(mut self, path: impl Into<String>) -> Self {
        self.derives.push(path.into());
        self
    }

    /// Uses a type of the caller for a named type. It implements `Encode` and `Decode` of
    /// `avouch_avro::codec`, and `Debug`, `Clone` and `PartialEq`. The path is valid in every
    /// module, such as `crate::Money`.
    #[must_use]
    pub fn replace_type(mut self, full_name: impl Into<String>, path: impl Into<String>) -> Self {
        self.types.insert(full_name.into(), path.into());
        self
    }

    /// Uses a type of the caller for a field, as in [`Generator::replace_type`].
    #[must_use]
    pub fn replace_field(mut self, field: impl Into<String>, path: impl Into<String>) -> Self {
        self.fields.insert(field.into(), path.into());
        self
    }

    /// Sets the Rust name of a type, before the attribute `x-rust-name` of its schema.
    #[must_use]
    pub fn rename(mut self, full_name: impl Into<String>, name: impl Into<String>) -> Self {
        self.names.insert(full_name.into(), name.into());
        self
    }
}
