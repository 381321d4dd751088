//! A client of the registry's whole REST API, over `http://` and `https://`. Works against any
//! Confluent-compatible registry; the documentation of a method names its `/v1` route if it works
//! with Avouch only.
//!
//! Each method sends one request and returns its decoded response. A response with an error status
//! is a [`ClientError::Rejected`], which carries Confluent's error code and message. Every request
//! has a timeout, and every response body a maximum size.

mod backup;
mod builder;
mod error;
mod request;
mod schemas;
mod server;
mod settings;
mod subjects;
mod v1;

use std::time::Duration;

use reqwest::Url;

pub use builder::{BuildError, ClientBuilder};
pub use error::{ClientError, Rejection};
pub use schemas::{SchemaOptions, SchemasOptions};
pub use server::AssociationOptions;
pub use subjects::{
    CompatibilityOptions, DeleteMode, LookupOptions, RegisterOptions, VersionOptions,
};
pub use v1::{ApplyOutcome, Export};

/// A client of one registry; clones share its connections.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    base: Url,
    http: reqwest::Client,
    timeout: Duration,
    max_response_bytes: usize,
}

impl RegistryClient {
    /// Returns a client for the registry at `url`, such as `http://127.0.0.1:8081`, with default
    /// settings. It connects on the first request.
    ///
    /// # Errors
    /// [`BuildError`] when `url` is not an absolute `http://` or `https://` URL.
    pub fn new(url: &str) -> Result<Self, BuildError> {
        Self::builder(url).build()
    }

    /// Returns a builder for a client of the registry at `url`.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }
}

/// The versions that a request includes, by deletion state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    /// Live versions.
    #[default]
    Exclude,
    /// Live and soft-deleted versions.
    Include,
    /// Soft-deleted versions.
    Only,
}

/// The form in which a schema is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As it is stored.
    #[default]
    Stored,
    /// With the definitions of its references written out.
    Resolved,
}

/// A part of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries to skip.
    pub offset: u64,
    /// Maximum number of entries; `None` leaves the limit to the registry.
    pub limit: Option<u64>,
}
