//! Authorization of requests.

pub(crate) mod authorizer;
