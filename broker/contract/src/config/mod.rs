//! The contract of a topic as its configs state it: the config keys, their values parsed into a
//! policy, and the policy in effect once `auto` is decided.

pub(crate) mod auto;
pub(crate) mod effective;
pub mod keys;
pub(crate) mod parse;
pub(crate) mod policy;
