//! Avro for contracts: the schema model, its texts, the compatibility relation, the compiled
//! validator and the framing that names a datum's schema.

pub mod compatibility;
pub mod framing;
pub mod json;
pub mod schema;
pub mod validator;

pub use schema::{Limits, ParseError, Schema};
