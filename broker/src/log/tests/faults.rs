//! Appending and reading, without crashes.
