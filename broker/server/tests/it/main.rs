//! The broker's integration tests, in one binary.

mod requests;
