//! Configuration of a registry, and its only clock.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use avouch_avro::Limits;
use avouch_registry_api::error::ErrorCode;
use avouch_registry_api::types::CompatibilityLevel;

/// Returns the time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Configuration of a registry. The defaults are those of the current Confluent Schema Registry.
#[derive(Clone)]
pub struct RegistryConfig {
    /// Compatibility level if neither the subject nor the global configuration has one. Default:
    /// `BACKWARD`.
    pub compatibility_default: CompatibilityLevel,
    /// Error code of an incompatible schema: 40901, or 409 for clients that expect the code of
    /// older servers. The HTTP status is 409 in both cases. Default: 40901.
    pub incompatible_code: u32,
    /// Permit mode changes. Default: true.
    pub mode_mutable: bool,
    /// Maximum size of a request body in bytes; larger ones are rejected with 413. Each request may
    /// use several times as much memory. Default: 8 MiB.
    pub body_bytes: usize,
    /// Maximum size of a registered schema in bytes. It applies to the canonical form, without
    /// indentation; larger ones are rejected with 42209. Default: 1 MiB.
    pub schema_bytes: usize,
    /// Maximum number of references of a registered schema. Default: 1,000.
    pub schema_references: usize,
    /// Maximum number of branches of a union in a registered schema. Default: 4,096.
    pub schema_branches: usize,
    /// Maximum nesting of types in a registered schema, at most 256, which the parser's stack
    /// allows. Default: 256.
    pub schema_depth: usize,
    /// Number of read-only database connections; each SQLite connection has its own thread.
    /// Default: 4.
    pub readers: u32,
    /// The metric registry to which the registry adds its metrics. Default: a new one.
    pub metrics: prometheus::Registry,
    /// Source of the creation times of versions. Default: the system clock.
    pub clock: Clock,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            compatibility_default: CompatibilityLevel::Backward,
            incompatible_code: ErrorCode::Incompatible.number(),
            mode_mutable: true,
            body_bytes: 8 << 20,
            schema_bytes: 1 << 20,
            schema_references: 1_000,
            schema_branches: Limits::default().branches,
            schema_depth: Limits::default().depth,
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
            .field("schema_bytes", &self.schema_bytes)
            .field("schema_references", &self.schema_references)
            .field("schema_branches", &self.schema_branches)
            .field("schema_depth", &self.schema_depth)
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
