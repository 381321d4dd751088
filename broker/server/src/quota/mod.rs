//! Quotas on what clients may do per second.

pub(crate) mod controller_mutation;
pub(crate) mod repeated_metadata;
