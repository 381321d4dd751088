//! Settings of a client, checked when it is built.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Url};
use thiserror::Error;

use super::RegistryClient;

/// Default time from sending a request to the end of its response.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Default maximum size of a response body: a listing of large schemas.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// A client that cannot be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The registry's URL is invalid.
    #[error(
        "invalid registry URL {url:?}: {reason}; expected http://HOST:PORT or https://HOST:PORT"
    )]
    Url {
        /// The URL as given.
        url: String,
        /// The fault.
        reason: String,
    },
    /// The CA file cannot be read.
    #[error("cannot read CA file {}: {error}", path.display())]
    ReadCaFile {
        /// The file.
        path: PathBuf,
        /// The failure.
        error: io::Error,
    },
    /// The CA file holds no usable certificate.
    #[error("invalid CA file {}: {reason}; expected PEM certificates", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The HTTP client cannot be set up, for example its TLS configuration.
    #[error("cannot set up the HTTP client: {reason}")]
    Http {
        /// The failure.
        reason: String,
    },
}

/// Builds a [`RegistryClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    url: String,
    timeout: Duration,
    max_response_bytes: usize,
    ca_file: Option<PathBuf>,
}

impl ClientBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
            ca_file: None,
        }
    }

    /// Sets the maximum time from sending a request to the end of its response. Default 30 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets the maximum size of a response body, in bytes. Default 64 MiB.
    pub fn max_response_bytes(self, max_response_bytes: usize) -> Self {
        Self {
            max_response_bytes,
            ..self
        }
    }

    /// Sets a file of PEM certificates of authorities. A registry's `https://` certificate must be
    /// issued by one of them; without a file, by an authority that the operating system trusts.
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        Self {
            ca_file: Some(path.into()),
            ..self
        }
    }

    /// Builds the client. It connects on the first request.
    ///
    /// # Errors
    /// [`BuildError`] when the URL or the CA file is invalid.
    pub fn build(self) -> Result<RegistryClient, BuildError> {
        // Here and not at the first request, so that a typing error stops a process at its start.
        let base = parse_url(&self.url)?;
        let is_tls = base.scheme() == "https";
        // Reading the system's certificates takes milliseconds, so it is left out where unused.
        let mut http = reqwest::Client::builder()
            .tls_built_in_root_certs(is_tls && self.ca_file.is_none())
            // The client has no timeout for a whole request, because an export takes as long as its
            // size requires; `Request::read_any` adds one to all others.
            .connect_timeout(self.timeout)
            .read_timeout(self.timeout)
            .user_agent(concat!("avouch/", env!("CARGO_PKG_VERSION")));
        for certificate in self
            .ca_file
            .as_deref()
            .map_or(Ok(Vec::new()), read_ca_file)?
        {
            http = http.add_root_certificate(certificate);
        }
        let http = http.build().map_err(|error| BuildError::Http {
            reason: super::error::root_cause(&error),
        })?;
        Ok(RegistryClient {
            base,
            http,
            timeout: self.timeout,
            max_response_bytes: self.max_response_bytes,
        })
    }
}

fn parse_url(text: &str) -> Result<Url, BuildError> {
    let invalid = |reason: String| BuildError::Url {
        url: text.to_owned(),
        reason,
    };
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(invalid(format!("unsupported scheme {scheme:?}"))),
    }
}

fn read_ca_file(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let invalid = |reason: String| BuildError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| BuildError::ReadCaFile {
        path: path.to_owned(),
        error,
    })?;
    let certificates = Certificate::from_pem_bundle(&pem);
    let certificates = certificates.map_err(|error| invalid(super::error::root_cause(&error)))?;
    // A file without a PEM block is no parse error, and would leave no trusted certificate.
    if certificates.is_empty() {
        return Err(invalid("it contains no certificate".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_needs_scheme_and_host() {
        for url in [
            "127.0.0.1:8081",
            "mailto:x",
            "ftp://h/",
            "httpx://h/",
            "http://",
        ] {
            let error = RegistryClient::new(url).unwrap_err().to_string();
            assert!(error.contains(url) && error.contains("https://"), "{error}");
        }
        assert!(RegistryClient::new("https://registry.example/").is_ok());
    }

    #[test]
    fn ca_file_must_hold_certificates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let build = || RegistryClient::builder("https://h/").ca_file(&path).build();
        let missing = build().unwrap_err().to_string();
        assert!(missing.starts_with("cannot read CA file"), "{missing}");
        std::fs::write(&path, "none").unwrap();
        let empty = build().unwrap_err().to_string();
        assert!(empty.contains("it contains no certificate"), "{empty}");
    }
}
