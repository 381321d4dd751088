//! The bodies of plans: several schemas checked or registered together.

use serde::{Deserialize, Serialize};

use super::{RegisterRequest, SchemaBody};
use crate::error::ErrorBody;

/// Schemas to check or to register together (`POST /v1/plan`, `POST /v1/apply`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanRequest {
    /// In order: a schema may refer to those before it.
    pub subjects: Vec<PlanStepRequest>,
}

/// One schema of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStepRequest {
    /// Where it is to be registered.
    pub subject: String,
    /// Whether its text is normalized.
    #[serde(default)]
    pub normalize: bool,
    /// The schema, as a registration has it.
    #[serde(flatten)]
    pub schema: RegisterRequest,
}

/// What becomes of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanBody {
    /// Whether no step is refused.
    pub applicable: bool,
    /// Whether everything was registered; otherwise nothing was.
    pub applied: bool,
    /// One a schema, in the order of the request.
    pub steps: Vec<PlanStepBody>,
}

/// What becomes of one schema of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStepBody {
    /// The subject as requested.
    pub subject: String,
    /// What registering it does.
    pub action: PlanAction,
    /// The version that it has or gets; unless it was applied, the id of a new one may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaBody>,
    /// Why it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// What registering a schema does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanAction {
    /// A new version.
    Register,
    /// Nothing: it is registered already.
    Existing,
    /// It cannot be registered.
    Refused,
}

/// A plan that was not applied, as a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedPlanBody {
    /// The first refusal.
    #[serde(flatten)]
    pub error: ErrorBody,
    /// All steps.
    #[serde(flatten)]
    pub plan: PlanBody,
}
