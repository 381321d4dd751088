//! The broker's integration tests, in one binary.

mod wire_oracle;
