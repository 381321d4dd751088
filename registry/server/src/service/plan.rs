//! Plans: the effect of registering several schemas, and their registration in one transaction.

use avouch_registry_api::rest::{
    PlanAction, PlanBody, PlanStepBody, PlanStepRequest, RejectedPlanBody, SchemaBody,
};

use crate::decide::draft::Draft;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::service::{Checks, Service};
use crate::store::Connection;

/// Maximum number of schemas in a plan. More block other writers longer.
const MAX_STEPS: usize = 500;

/// Purpose of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Return the effect only.
    Plan,
    /// Register the schemas if no step is rejected.
    Apply,
}

impl Service {
    /// Plans the steps in order, each on the result of those before it. Nothing is written unless
    /// the plan is applied and no step is rejected.
    pub(crate) async fn plan_all(
        &self,
        requests: Vec<PlanStepRequest>,
        intent: Intent,
    ) -> Result<PlanBody, RegistryError> {
        if requests.len() > MAX_STEPS {
            let message = format!("the plan has more than {MAX_STEPS} schemas");
            return Err(RegistryError::BadRequest(message));
        }
        // Before the write lock is taken, because aliases are read from a snapshot.
        let mut resolved = Vec::with_capacity(requests.len());
        for request in requests {
            let subject = match Subject::writable(&request.subject) {
                Ok(subject) => self.resolve_alias(subject).await,
                Err(error) => Err(error),
            };
            resolved.push((subject, request));
        }
        let mut transaction = self.store.write().await?;
        let mut steps = Vec::with_capacity(resolved.len());
        for (subject, request) in resolved {
            let name = request.subject.clone();
            let step = match subject {
                Ok(subject) => self.step(&mut transaction, &subject, request).await,
                Err(error) => Err(error),
            };
            // A database that fails is no property of the schema, so that the whole plan fails.
            steps.push(match step {
                Err(
                    error @ (RegistryError::Store(_)
                    | RegistryError::StoreTimeout(_)
                    | RegistryError::Internal),
                ) => {
                    return Err(error);
                }
                step => step_body(name, step),
            });
        }
        let is_rejected = |step: &PlanStepBody| step.action == PlanAction::Rejected;
        let applicable = !steps.iter().any(is_rejected);
        let applied = applicable && intent == Intent::Apply;
        if applied {
            self.commit(transaction).await?;
        }
        Ok(PlanBody {
            applicable,
            applied,
            steps,
        })
    }

    async fn step(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        request: PlanStepRequest,
    ) -> Result<(PlanAction, SchemaBody), RegistryError> {
        let draft = Draft::of(request.schema, request.normalize)?;
        let registered = self.register_within(connection, subject, draft, Checks::Compatibility);
        let registered = registered.await?;
        let action = match registered.outcome {
            Outcome::Added => PlanAction::Register,
            // An incompatible schema is an error above.
            Outcome::Existing | Outcome::Incompatible => PlanAction::Existing,
        };
        Ok((action, registered.body))
    }
}

/// Returns the error response of a plan if one of its steps was rejected.
pub(crate) fn rejection(plan: &PlanBody) -> Option<RejectedPlanBody> {
    // Numbers in the message count from 1, as people do.
    let position = plan.steps.iter().position(|step| step.error.is_some())?;
    // The first one: later steps may have failed only because they refer to it.
    let step = &plan.steps[position];
    let mut error = step.error.clone()?;
    let (number, count) = (position + 1, plan.steps.len());
    error.message = format!(
        "nothing was registered: schema {number} of {count}, subject {}: {}",
        step.subject, error.message
    );
    let plan = plan.clone();
    Some(RejectedPlanBody { error, plan })
}

fn step_body(
    subject: String,
    step: Result<(PlanAction, SchemaBody), RegistryError>,
) -> PlanStepBody {
    match step {
        Ok((action, schema)) => PlanStepBody {
            subject,
            action,
            schema: Some(schema),
            error: None,
        },
        Err(error) => PlanStepBody {
            subject,
            action: PlanAction::Rejected,
            schema: None,
            error: Some(error.explained()),
        },
    }
}
