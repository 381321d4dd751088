//! Administration of topics and configs, as the handlers of several APIs need it.

pub(crate) mod configs;
pub(crate) mod topics;
