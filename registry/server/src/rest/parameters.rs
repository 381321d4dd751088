//! Query parameters and the parts of paths, as the document tells them.

use utoipa::openapi::path::{Parameter as Documented, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};

/// A parameter, wherever it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    name: &'static str,
    kind: Kind,
    description: &'static str,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    /// May be given many times.
    Texts,
    /// `true` in any case; everything else is false.
    Flag,
    Number,
    /// A number of 31 bits.
    Id,
}

macro_rules! parameters {
    ($($constant:ident = $kind:ident $name:literal $description:literal,)*) => {
        $(pub(crate) const $constant: Parameter = Parameter {
            name: $name,
            kind: Kind::$kind,
            description: $description,
        };)*
    };
}

// In the query string.
parameters! {
    ALIASES = Flag "aliases" "Whether the subject's other names are told",
    ASSOCIATION_TYPE = Texts "associationType" "Kinds of association",
    CONTEXT_PREFIX = Text "contextPrefix" "What the names begin with",
    DEFAULT_TO_GLOBAL = Flag "defaultToGlobal" "Whether what is not set here comes from above",
    DELETED = Flag "deleted" "Whether soft-deleted versions count too",
    DELETED_AS_NEGATIVE = Flag "deletedAsNegative" "Whether deleted versions are told below 0",
    DELETED_ONLY = Flag "deletedOnly" "Whether nothing but soft-deleted versions counts",
    DRY_RUN = Flag "dryRun" "Whether nothing is written, and only the answer told",
    EXPLAIN = Flag "explain" "Whether a refusal tells its reasons in parts",
    FETCH_MAX_ID = Flag "fetchMaxId" "Whether the highest id given out so far is told",
    FIND_TAGS = Texts "findTags" "Tags to find in the text; `*` is all of them",
    FORCE = Flag "force" "Whether it is done without the checks that would refuse it",
    FORMAT = Text "format" "`resolved` writes references out; the text stays otherwise",
    KEY = Texts "key" "Names of properties that the metadata must have",
    LATEST_ONLY = Flag "latestOnly" "Whether only the latest version of each subject is told",
    LIFECYCLE = Text "lifecycle" "`STRONG` or `WEAK`",
    LIMIT = Number "limit" "How many are told at most; below 1 is no limit",
    NORMALIZE = Flag "normalize" "Whether the text is normalized first",
    OFFSET = Number "offset" "How many are left out at the start",
    PERMANENT = Flag "permanent" "Whether what was soft-deleted is deleted for good",
    RECURSIVE = Flag "recursive" "Whether the modes of the context's subjects are forgotten too",
    REFERENCE_FORMAT = Text "referenceFormat" "Accepted and ignored: it concerns Protobuf",
    RESOURCE_TYPE = Text "resourceType" "Kind of resource",
    RULE_TYPE = Text "ruleType" "Only versions with a rule of this type",
    SINCE = Number "since" "The sequence number that the caller knows already",
    SUBJECT_WITH_ID = Text "subject" "A subject, which also says which context the id is of",
    SUBJECT_PREFIX = Text "subjectPrefix" "What names begin with; `:.c:` is a context, `:*:` all",
    VALUE = Texts "value" "The values of these properties, in the order of `key`",
    VERBOSE = Flag "verbose" "Whether the reasons are told",
    WAIT_MS = Number "wait_ms" "How long to wait for a change, in milliseconds; 30,000 at most",
}

// In paths.
parameters! {
    CONTEXT = Text "context" "A context's name: `.` is the default one",
    GUID = Text "guid" "A schema's GUID",
    ID = Id "id" "A schema's id",
    NAME = Text "name" "A resource's name, such as a topic's",
    NAMESPACE = Text "namespace" "A resource's namespace, such as a Kafka cluster's id",
    RESOURCE = Text "resource" "A resource's id",
    SUBJECT = Text "subject" "A subject's name; `:.context:name` is one of another context",
    VERSION = Text "version" "A version's number; `latest` and `-1` are the latest one",
}

/// What can stand between the braces of a path.
const IN_PATHS: [Parameter; 8] = [
    CONTEXT, GUID, ID, NAME, NAMESPACE, RESOURCE, SUBJECT, VERSION,
];

/// The parameters between the braces of a path, as far as they are known.
pub(crate) fn in_path(path: &str) -> impl Iterator<Item = Documented> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let known = names.filter_map(|name| IN_PATHS.into_iter().find(|known| known.name == name));
    known.map(|known| known.documented(ParameterIn::Path, Required::True))
}

/// Parameters of the query string.
pub(crate) fn in_query(parameters: &[Parameter]) -> impl Iterator<Item = Documented> {
    let documented = |known: &Parameter| known.documented(ParameterIn::Query, Required::False);
    parameters.iter().map(documented)
}

impl Parameter {
    fn documented(self, place: ParameterIn, required: Required) -> Documented {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(place)
            .required(required)
            .description(Some(self.description))
            .schema(Some(self.kind.schema()))
            .build()
    }
}

impl Kind {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::endpoints::endpoints;

    #[test]
    fn every_brace_of_a_path_is_a_known_parameter() {
        for endpoint in endpoints() {
            let braces = endpoint.path.matches('{').count();
            assert_eq!(in_path(endpoint.path).count(), braces, "{}", endpoint.path);
        }
    }
}
