//! Path and query parameters, each a type: `params(path::Id, query::Deleted)` documents them,
//! [`Params`](crate::rest::request::Params) reads a query parameter by the same type.

use utoipa::openapi::path::{Parameter as Documented, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};

/// A parameter of the API.
pub(crate) trait Parameter {
    /// Its name in the URL.
    const NAME: &'static str;
}

/// Form of a parameter's value.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    /// Texts, one for each time that the parameter is given.
    Texts,
    /// `true` in any case; everything else is false.
    Flag,
    /// A count or a sequence number; 0 if it is not given.
    Number,
    /// A positive number of 31 bits.
    Id,
}

macro_rules! parameters {
    ($place:ident, $(
        $(#[doc = $description:literal])* $name:ident = $form:ident $spelling:literal;
    )*) => {$(
        $(#[doc = $description])*
        pub(crate) struct $name;

        impl Parameter for $name {
            const NAME: &'static str = $spelling;
        }

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Documented> {
                let description = concat!($($description),*).trim_ascii();
                vec![documented($spelling, ParameterIn::$place, description, Form::$form)]
            }
        }
    )*};
}

/// Parameters in the path.
pub(crate) mod path {
    use utoipa::IntoParams;

    use super::{Documented, Form, Parameter, ParameterIn, documented};

    parameters! { Path,
        /// Context name; `.` is the default context
        Context = Text "context";
        /// Schema GUID
        Guid = Text "guid";
        /// Schema ID
        Id = Id "id";
        /// Resource name, such as a topic name
        Name = Text "name";
        /// Namespace of the resource, such as a Kafka cluster ID
        Namespace = Text "namespace";
        /// Resource ID
        Resource = Text "resource";
        /// Subject name; `:.context:name` is a subject of another context
        Subject = Text "subject";
        /// Version number; `latest` or `-1` is the latest version
        Version = Text "version";
    }
}

/// Parameters in the query string.
pub(crate) mod query {
    use utoipa::IntoParams;

    use super::{Documented, Form, Parameter, ParameterIn, documented};

    parameters! { Query,
        /// Include the aliases of each subject, and select subjects by the prefix of an alias too
        Aliases = Flag "aliases";
        /// Association types; accepted and ignored, because there are no associations
        AssociationType = Texts "associationType";
        /// Return only contexts whose names have this prefix
        ContextPrefix = Text "contextPrefix";
        /// Return the inherited setting if the scope has none of its own
        DefaultToGlobal = Flag "defaultToGlobal";
        /// Include soft-deleted versions
        Deleted = Flag "deleted";
        /// Include soft-deleted versions, as negative numbers
        DeletedAsNegative = Flag "deletedAsNegative";
        /// Return soft-deleted versions only
        DeletedOnly = Flag "deletedOnly";
        /// Validate and return the response without storing anything
        DryRun = Flag "dryRun";
        /// Include structured findings in an error response
        Explain = Flag "explain";
        /// Include the highest ID that the context has assigned
        FetchMaxId = Flag "fetchMaxId";
        /// Tags to locate in the schema; `*` locates all of them
        FindTags = Texts "findTags";
        /// Skip the checks that could reject the request
        Force = Flag "force";
        /// `resolved` replaces references by the referenced types; any other value returns the
        /// stored schema
        Format = Text "format";
        /// Metadata property names; the values are given by `value`
        Key = Texts "key";
        /// Return only the latest version of each subject
        LatestOnly = Flag "latestOnly";
        /// `STRONG` or `WEAK` selects versions with an association, of which there are none; `NONE`
        /// selects those without
        Lifecycle = Text "lifecycle";
        /// Maximum number of results; below 1 means no limit of the request
        Limit = Number "limit";
        /// Normalize the schema first
        Normalize = Flag "normalize";
        /// Number of results to skip
        Offset = Number "offset";
        /// Delete permanently what is soft-deleted
        Permanent = Flag "permanent";
        /// Delete the modes of all subjects of the context too
        Recursive = Flag "recursive";
        /// `qualified` adds the context to the subjects of references, unless it is the default one
        ReferenceFormat = Text "referenceFormat";
        /// Resource name, such as a topic name; accepted and ignored
        ResourceName = Text "resourceName";
        /// Namespace of the resource, such as a Kafka cluster ID; accepted and ignored
        ResourceNamespace = Text "resourceNamespace";
        /// Resource type; selects versions with an association, of which there are none
        ResourceType = Text "resourceType";
        /// Return only versions with a rule of this type
        RuleType = Text "ruleType";
        /// Last change sequence number that the client knows
        Since = Number "since";
        /// Subject that has the ID; it also selects the context in which the ID is looked up
        SubjectOfId = Text "subject";
        /// Return only subjects whose names have this prefix; `:.context:` selects a context, `:*:`
        /// all contexts
        SubjectPrefix = Text "subjectPrefix";
        /// Metadata property values, in the order of `key`
        Value = Texts "value";
        /// Include the reasons why the schema is incompatible
        Verbose = Flag "verbose";
        /// Maximum time to wait for a change, in milliseconds, up to 30,000
        WaitMs = Number "wait_ms";
    }
}

fn documented(name: &str, place: ParameterIn, description: &'static str, form: Form) -> Documented {
    let required = if place == ParameterIn::Path {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(form.schema()))
        .build()
}

impl Form {
    fn schema(self) -> RefOr<Schema> {
        let one = |kind| ObjectBuilder::new().schema_type(kind);
        let format = |known| Some(SchemaFormat::KnownFormat(known));
        match self {
            Self::Text => one(Type::String).into(),
            Self::Texts => ArrayBuilder::new().items(one(Type::String)).into(),
            Self::Flag => one(Type::Boolean).default(Some(false.into())).into(),
            Self::Number => one(Type::Integer).format(format(KnownFormat::Int64)).into(),
            Self::Id => one(Type::Integer).format(format(KnownFormat::Int32)).into(),
        }
    }
}
