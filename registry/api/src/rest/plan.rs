//! Plans: several schemas checked or registered together.

use serde::{Deserialize, Serialize};

use super::{RegisterRequest, SchemaBody};
use crate::error::ErrorBody;

/// Schemas to check or register together (`POST /v1/plan`, `POST /v1/apply`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanRequest {
    /// The schemas in order; a schema may refer to previous ones.
    pub subjects: Vec<PlanStepRequest>,
}

/// A schema of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStepRequest {
    /// The subject to register under.
    pub subject: String,
    /// True to normalize the schema.
    #[serde(default)]
    pub normalize: bool,
    /// The schema, as in a registration.
    #[serde(flatten)]
    pub schema: RegisterRequest,
}

/// The result of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanBody {
    /// True if no step is rejected.
    pub applicable: bool,
    /// True if all schemas were registered; otherwise none was.
    pub applied: bool,
    /// One step per schema, in the order of the request.
    pub steps: Vec<PlanStepBody>,
}

/// The result for one schema of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStepBody {
    /// The requested subject.
    pub subject: String,
    /// The effect of registering the schema.
    pub action: PlanAction,
    /// The existing or new version. Unless the plan is applied, the id of a new one may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaBody>,
    /// The reason of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// The effect of registering a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanAction {
    /// A new version is registered.
    Register,
    /// The schema is registered already.
    Existing,
    /// The registration is rejected.
    // The name on the wire is older than that of the variant.
    #[serde(rename = "REFUSED")]
    Rejected,
}

/// The error response for a plan that was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedPlanBody {
    /// The error of the first rejected step.
    #[serde(flatten)]
    pub error: ErrorBody,
    /// All steps.
    #[serde(flatten)]
    pub plan: PlanBody,
}
