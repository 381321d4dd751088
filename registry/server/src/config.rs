//! What can be set about a registry, and its only clock.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use avouch_registry_api::error::ErrorCode;
use avouch_registry_api::types::CompatibilityLevel;

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Settings of a registry; the defaults are Confluent Schema Registry's newest.
#[derive(Clone)]
pub struct RegistryConfig {
    /// The level where neither subject nor global configuration names one.
    pub compatibility_default: CompatibilityLevel,
    /// The error code for an incompatible schema: 40901, or 409 for clients that compare with what
    /// older servers answered. The HTTP status is 409 either way.
    pub incompatible_code: u32,
    /// Whether modes can be changed.
    pub mode_mutable: bool,
    /// Bytes of a request body at most; larger ones are refused with 413. More costs that much
    /// memory a request.
    pub body_bytes: usize,
    /// Connections that read, each with a thread of its own.
    pub readers: u32,
    /// Where the registry's metrics are added.
    pub metrics: prometheus::Registry,
    /// When versions are created.
    pub clock: Clock,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            compatibility_default: CompatibilityLevel::Backward,
            incompatible_code: ErrorCode::Incompatible.number(),
            mode_mutable: true,
            body_bytes: 2 << 20,
            readers: 4,
            metrics: prometheus::Registry::new(),
            clock: Arc::new(system_time_ms),
        }
    }
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("compatibility_default", &self.compatibility_default)
            .field("incompatible_code", &self.incompatible_code)
            .field("mode_mutable", &self.mode_mutable)
            .field("body_bytes", &self.body_bytes)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the registry's only clock")]
fn system_time_ms() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
