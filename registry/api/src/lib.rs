//! The API of Confluent-compatible schema registries: bodies of the REST API, ids and versions,
//! subject name strategies, error codes, records of exports, and the trait between a broker and a
//! registry.
//!
//! Feature `client` adds an HTTP client of the whole REST API ([`client::RegistryClient`]) and a
//! source of schemas over it ([`remote::RemoteSource`]). Feature `openapi` adds OpenAPI schemas.

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

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
mod readme {}
