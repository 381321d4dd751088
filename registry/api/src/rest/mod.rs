//! Bodies of the REST API's requests and responses. Empty and absent properties are left out when
//! written; unknown properties are ignored when read. Names and order of the properties are
//! Confluent Schema Registry's.

mod backup;
mod compatibility;
mod plan;
mod schema;
mod server;
mod settings;

pub use backup::{BackupBody, BackupPart, BackupRequest, BackupState, OmittedRegistry};
pub use compatibility::{ClosestBody, CompatibilityBody, FindingBody, PlaceBody};
pub use plan::{
    PlanAction, PlanBody, PlanRequest, PlanStepBody, PlanStepRequest, RejectedPlanBody,
};
pub use schema::{
    ContextIdBody, EntityType, Metadata, ReferenceRequest, RegisterRequest, Rule, RuleSet,
    SchemaBody, SchemaEntity, SchemaReference, SchemaTags, SubjectVersionBody, TagRequest,
    VersionBody,
};
pub use server::{
    AssociationBody, BuildBody, ChangesBody, ClusterIdBody, ClusterScope, DeploymentBody, EmptyBody,
};
pub use settings::{ConfigBody, ConfigProperties, ModeBody, StoredConfigBody};

/// The content type of requests and responses.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
