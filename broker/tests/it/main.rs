//! The broker's integration tests, in one binary.

#[cfg(test)]
mod wire_oracle;
