//! The registry as its callers see it: the REST contract as types, and the traits between a broker
//! and a registry. Knows neither store nor server.

pub mod source;
