//! Coordinators: pure state machines whose state is kept in internal topics, and the shell that
//! gives them time and writes their records. Consumer groups so far.

pub mod group;
