//! A registered schema made ready to judge data by: compiled once, shared by id.
//!
//! Invariant: whatever a registry holds, compiling ends with a [`Body`]; a text that doesn't parse
//! is kept as broken and refuses, it never lets data through. Knows no topic.

use std::sync::Arc;

use avouch_avro::validator::Validator;
use avouch_avro::{Limits, Schema};
use avouch_registry_api::source::{RegisteredSchema, SubjectVersion};
use avouch_registry_api::types::{SchemaId, SchemaType};

/// A schema as the check uses it.
#[derive(Clone, Debug)]
pub struct CompiledSchema {
    /// The schema id.
    pub id: SchemaId,
    /// What data must be.
    pub body: Arc<Body>,
    /// Every subject version that holds the id, soft-deleted ones included.
    pub versions: Vec<SubjectVersion>,
    text: Arc<Text>,
}

/// What a schema was compiled from.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    schema_type: SchemaType,
    text: String,
    references: Vec<String>,
}

/// What data of a schema must be.
#[derive(Debug)]
pub enum Body {
    /// Avro.
    Avro {
        /// Walks data.
        validator: Box<Validator>,
        /// The name that record strategies go by: the full name, or the type's word when it has
        /// none, as Confluent's serializers have it.
        record_name: String,
    },
    /// A type whose data are not decoded here: `payload` checks as `id`.
    Foreign {
        /// JSON Schema or Protobuf.
        schema_type: SchemaType,
    },
    /// A schema that the registry took and that doesn't compile here.
    Broken {
        /// Why.
        reason: String,
    },
}

impl CompiledSchema {
    /// Compiles what the registry holds. Work and memory are bounded by the limits of schemas.
    #[must_use]
    pub fn compile(registered: RegisteredSchema) -> Self {
        let body = match registered.schema_type {
            SchemaType::Avro => {
                compile_avro(&registered).unwrap_or_else(|reason| Body::Broken { reason })
            }
            schema_type @ (SchemaType::Json | SchemaType::Protobuf) => {
                Body::Foreign { schema_type }
            }
        };
        Self::with_body(registered, body)
    }

    pub(crate) fn with_body(registered: RegisteredSchema, body: Body) -> Self {
        Self {
            id: registered.id,
            body: Arc::new(body),
            versions: registered.versions,
            text: Arc::new(Text {
                schema_type: registered.schema_type,
                text: registered.text,
                references: registered.references,
            }),
        }
    }

    /// This one with the versions that the registry has now, if the schema itself is the same.
    pub(crate) fn with_versions_of(&self, registered: &RegisteredSchema) -> Option<Self> {
        let text = &self.text;
        let is_same = text.text == registered.text
            && text.references == registered.references
            && text.schema_type == registered.schema_type;
        is_same.then(|| Self {
            id: self.id,
            body: Arc::clone(&self.body),
            versions: registered.versions.clone(),
            text: Arc::clone(&self.text),
        })
    }

    /// What the registry said of it.
    pub(crate) fn registered(&self) -> RegisteredSchema {
        RegisteredSchema {
            id: self.id,
            schema_type: self.text.schema_type,
            text: self.text.text.clone(),
            references: self.text.references.clone(),
            versions: self.versions.clone(),
        }
    }

    /// Whether the registry said the same of both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text && self.versions == other.versions
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        /// Maps, counters and the like around each.
        const OVERHEAD_BYTES: usize = 256;
        let body = match &*self.body {
            Body::Avro {
                validator,
                record_name,
            } => validator.memory_bytes() + record_name.len(),
            Body::Foreign { .. } => 0,
            Body::Broken { reason } => reason.len(),
        };
        let version = |version: &SubjectVersion| version.subject.len() + size_of_val(version);
        let references = self.text.references.iter().map(String::len);
        let text = self.text.text.len() + references.sum::<usize>();
        OVERHEAD_BYTES + body + text + self.versions.iter().map(version).sum::<usize>()
    }
}

fn compile_avro(registered: &RegisteredSchema) -> Result<Body, String> {
    let limits = Limits::default();
    let mut references: Vec<Schema> = Vec::with_capacity(registered.references.len());
    for (at, text) in registered.references.iter().enumerate() {
        let parsed = Schema::parse_with(text, &references, &limits)
            .map_err(|error| format!("reference {at}: {error}"))?;
        references.push(parsed);
    }
    let schema = Schema::parse_with(&registered.text, &references, &limits)
        .map_err(|error| error.to_string())?;
    let validator = Validator::compile(&schema).map_err(|error| error.to_string())?;
    let record_name = match schema.name() {
        Some(name) => name.fullname().to_owned(),
        None => schema.node(schema.root()).kind.as_str().to_owned(),
    };
    Ok(Body::Avro {
        validator: Box::new(validator),
        record_name,
    })
}
