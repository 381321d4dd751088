//! The registry as its callers see it: the REST contract as types, how subjects are named, a client
//! over HTTP, and the trait between a broker and a registry. Knows neither store nor server.

#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod freshness;
pub mod records;
#[cfg(feature = "client")]
pub mod remote;
pub mod rest;
pub mod source;
pub mod subject;
pub mod types;
