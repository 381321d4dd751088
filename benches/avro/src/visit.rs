//! Visitor for serde_avro_fast: visits every value, checks strings for UTF-8, builds no values.

use serde::Deserialize;
use serde::de::{Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess};
use std::fmt;

/// Any value after a visit.
pub(crate) struct Visited;

impl<'de> Deserialize<'de> for Visited {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

/// Visitor methods that ignore their value.
macro_rules! done {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Visited, E> {
            Ok(Visited)
        })*
    };
}

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Visited;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    done!(visit_bool: bool, visit_i32: i32, visit_i64: i64, visit_u64: u64, visit_f32: f32);
    done!(visit_f64: f64, visit_str: &str, visit_bytes: &[u8]);

    fn visit_unit<E: Error>(self) -> Result<Visited, E> {
        Ok(Visited)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Visited, A::Error> {
        while items.next_element::<Visited>()?.is_some() {}
        Ok(Visited)
    }

    /// Reads keys as strings, so that they are checked for UTF-8.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Visited, A::Error> {
        while entries.next_key::<Visited>()?.is_some() {
            entries.next_value::<Visited>()?;
        }
        Ok(Visited)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Visited, A::Error> {
        let (_, variant) = data.variant::<IgnoredAny>()?;
        variant.newtype_variant::<Visited>()
    }
}
