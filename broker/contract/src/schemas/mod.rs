//! Schemas by id: lookups in the registry, the cache, and the compiled validators.

pub(crate) mod cache;
pub(crate) mod lookup;
pub(crate) mod schema;
