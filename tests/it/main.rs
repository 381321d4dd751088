//! Whole-system tests: the real binary, and clients that others wrote. `tests/run` installs what
//! they need and builds the binary first.

mod clients;
mod notes;
