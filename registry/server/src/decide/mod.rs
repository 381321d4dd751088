//! Pure decisions: values in, values out. No SQL, HTTP, tasks or clocks. The service reads what a
//! decision needs and writes its result in the same transaction.

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
