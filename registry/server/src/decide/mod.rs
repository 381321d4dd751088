//! The registry's decisions: values in, values out. Nothing here knows SQL, HTTP, tasks or clocks;
//! whoever calls has read what the decision needs and writes what it says, in one transaction.

pub(crate) mod closest;
pub(crate) mod compatibility;
pub(crate) mod content;
pub(crate) mod delete;
pub(crate) mod draft;
pub(crate) mod metadata;
pub(crate) mod register;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod subject;
pub(crate) mod tags;
