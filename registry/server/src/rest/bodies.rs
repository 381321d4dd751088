//! The bodies of requests and answers, as the document tells them: the contract's own types.

use avouch_registry_api::error::ErrorBody;
use avouch_registry_api::records::{ImportBody, ImportRequest, Record};
use avouch_registry_api::rest::{
    BuildBody, ChangesBody, ClusterIdBody, CompatibilityBody, ConfigBody, ContextIdBody,
    DeploymentBody, EmptyBody, ModeBody, PlanBody, PlanRequest, RegisterRequest, SchemaBody,
    StoredConfigBody, SubjectVersionBody, TagRequest, VersionBody,
};
use utoipa::openapi::schema::{ArrayBuilder, Schema, empty};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Schemas by the names under which the document has them.
pub(crate) type Components = Vec<(String, RefOr<Schema>)>;

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// What it looks like, in terms of the components.
    pub(crate) schema: fn() -> RefOr<Schema>,
    /// The components that it needs.
    pub(crate) components: fn(&mut Components),
}

impl Body {
    /// One of a type of the contract.
    const fn one<T: ToSchema>() -> Self {
        Self {
            schema: reference::<T>,
            components: needed::<T>,
        }
    }

    /// A list of such.
    const fn list<T: ToSchema>() -> Self {
        Self {
            schema: || ArrayBuilder::new().items(reference::<T>()).into(),
            components: needed::<T>,
        }
    }

    /// A plain value, which needs no component.
    const fn plain<T: PartialSchema>() -> Self {
        Self {
            schema: T::schema,
            components: |_| {},
        }
    }
}

pub(crate) const BUILD: Body = Body::one::<BuildBody>();
pub(crate) const CHANGES: Body = Body::one::<ChangesBody>();
pub(crate) const CLUSTER_ID: Body = Body::one::<ClusterIdBody>();
pub(crate) const COMPATIBILITY: Body = Body::one::<CompatibilityBody>();
pub(crate) const CONFIG: Body = Body::one::<ConfigBody>();
pub(crate) const CONTEXT_IDS: Body = Body::list::<ContextIdBody>();
pub(crate) const DEPLOYMENT: Body = Body::one::<DeploymentBody>();
pub(crate) const EMPTY: Body = Body::one::<EmptyBody>();
pub(crate) const ERROR: Body = Body::one::<ErrorBody>();
pub(crate) const IMPORTED: Body = Body::one::<ImportBody>();
pub(crate) const IMPORT_REQUEST: Body = Body::one::<ImportRequest>();
pub(crate) const MODE: Body = Body::one::<ModeBody>();
pub(crate) const NAMES: Body = Body::plain::<Vec<String>>();
pub(crate) const NUMBER: Body = Body::plain::<i32>();
pub(crate) const NUMBERS: Body = Body::plain::<Vec<i32>>();
pub(crate) const PLAN: Body = Body::one::<PlanBody>();
pub(crate) const PLAN_REQUEST: Body = Body::one::<PlanRequest>();
pub(crate) const RECORDS: Body = Body::list::<Record>();
pub(crate) const REGISTER_REQUEST: Body = Body::one::<RegisterRequest>();
pub(crate) const SCHEMA: Body = Body::one::<SchemaBody>();
pub(crate) const SCHEMAS: Body = Body::list::<SchemaBody>();
pub(crate) const STORED_CONFIG: Body = Body::one::<StoredConfigBody>();
pub(crate) const SUBJECT_VERSIONS: Body = Body::list::<SubjectVersionBody>();
pub(crate) const TAG_REQUEST: Body = Body::one::<TagRequest>();
pub(crate) const VERSIONS: Body = Body::list::<VersionBody>();
/// Associations, of which there are none.
pub(crate) const ASSOCIATIONS: Body = Body {
    schema: || {
        ArrayBuilder::new()
            .items(RefOr::from(empty()))
            .max_items(Some(0))
            .into()
    },
    components: |_| {},
};
/// The text of a schema as it is, which for Avro is JSON.
pub(crate) const TEXT: Body = Body {
    schema: || empty().into(),
    components: |_| {},
};

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn needed<T: ToSchema>(components: &mut Components) {
    components.push((T::name().into_owned(), T::schema()));
    T::schemas(components);
}
