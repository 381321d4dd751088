//! Errors of requests.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::error::{ErrorBody, ErrorCode};

/// A request that did not succeed. URLs in it carry no credentials.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The registry rejected the request.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// An error response that is not the registry's, such as a proxy's.
    #[error("{url}: HTTP status {status} without a registry error")]
    Status {
        /// The URL of the request.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// No connection to the registry.
    #[error("{url}: cannot connect: {reason}")]
    Connect {
        /// The URL of the request.
        url: String,
        /// The failure.
        reason: String,
    },
    /// The TLS handshake failed, for example because the certificate is not trusted.
    #[error("{url}: TLS handshake failed: {reason}")]
    Tls {
        /// The URL of the request.
        url: String,
        /// The failure.
        reason: String,
    },
    /// No complete response in time.
    #[error("{url}: no response within {} ms", timeout.as_millis())]
    Timeout {
        /// The URL of the request.
        url: String,
        /// The client's timeout.
        timeout: Duration,
    },
    /// The connection failed during the request or the response.
    #[error("{url}: request failed: {reason}")]
    Transport {
        /// The URL of the request.
        url: String,
        /// The failure.
        reason: String,
    },
    /// The response body exceeds the client's maximum.
    #[error("{url}: response exceeds the maximum of {max_bytes} bytes")]
    TooLarge {
        /// The URL of the request.
        url: String,
        /// The maximum.
        max_bytes: usize,
    },
    /// The response body is not of the expected form.
    #[error("{url}: invalid response: {reason}")]
    Invalid {
        /// The URL of the request.
        url: String,
        /// The fault.
        reason: String,
    },
}

/// An error response of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The URL of the request.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// Error code and message.
    pub body: ErrorBody,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, body, .. } = self;
        write!(
            f,
            "{url}: {} (error code {})",
            body.message, body.error_code
        )
    }
}

impl StdError for Rejection {}

impl ClientError {
    /// Returns the registry's error code, `None` when the request failed otherwise.
    #[must_use]
    pub fn error_code(&self) -> Option<u32> {
        match self {
            Self::Rejected(rejection) => Some(rejection.body.error_code),
            _ => None,
        }
    }

    /// Returns the HTTP status of an error response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected(rejection) => Some(rejection.status),
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the registry rejected the request with this code.
    #[must_use]
    pub fn is(&self, code: ErrorCode) -> bool {
        self.error_code() == Some(code.number())
    }

    pub(super) fn sending(url: String, timeout: Duration, error: &reqwest::Error) -> Self {
        // Before the other cases: a timeout while connecting is also a connect error.
        if error.is_timeout() {
            return Self::Timeout { url, timeout };
        }
        // Also before `is_connect`, which includes failed handshakes.
        if let Some(reason) = tls_failure(error) {
            return Self::Tls { url, reason };
        }
        let reason = root_cause(error);
        if error.is_connect() {
            Self::Connect { url, reason }
        } else {
            Self::Transport { url, reason }
        }
    }
}

/// Returns the innermost error's text: the outer ones only repeat the URL.
pub(super) fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Returns the text of the TLS error that an error stems from.
fn tls_failure(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.to_string());
        }
        // `source` of an I/O error skips the error that it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
