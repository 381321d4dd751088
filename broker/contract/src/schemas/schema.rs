//! A registered schema, compiled once and shared by id.
//!
//! Invariant: compiling always ends with a [`Body`], whatever the registry holds. A schema that
//! does not parse is kept as broken, and its records are rejected. Knows no topic.

use std::sync::Arc;

use avouch_avro::schema::{ParseError, Type};
use avouch_avro::validator::{CompileError, Validator};
use avouch_avro::{Limits, Schema};
use avouch_registry_api::source::{RegisteredSchema, SubjectVersion};
use avouch_registry_api::types::{SchemaId, SchemaType};
use thiserror::Error;

/// A schema as the check uses it.
#[derive(Clone, Debug)]
pub struct CompiledSchema {
    /// The schema id.
    pub id: SchemaId,
    /// The requirements on data.
    pub body: Arc<Body>,
    /// Every subject version with the id, soft-deleted ones included.
    pub versions: Vec<SubjectVersion>,
    source: Arc<Source>,
}

/// The registered texts that a schema was compiled from.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    schema_type: SchemaType,
    text: String,
    references: Vec<String>,
}

/// The requirements of a schema on data.
#[derive(Debug)]
pub enum Body {
    /// Avro.
    Avro {
        /// Validates data.
        validator: Box<Validator>,
        /// The name that the record name strategies use: the full name, or the name of the type if
        /// it has none, as in Confluent's serializers.
        record_name: String,
    },
    /// The Avro schema `bytes`, whatever its attributes. Any bytes are valid: Confluent's
    /// serializers for Java, Python and JavaScript write the bare bytes, the one for Go a length
    /// first.
    Bytes,
    /// A schema type whose data is not decoded: `payload` checks as `id`.
    Foreign {
        /// JSON Schema or Protobuf.
        schema_type: SchemaType,
    },
    /// A registered schema that cannot be compiled.
    Broken(BrokenSchema),
}

/// The reason why a registered schema cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BrokenSchema {
    /// A reference does not parse.
    #[error("reference {index}: {error}")]
    Reference {
        /// Index of the reference, from 0.
        index: usize,
        /// The error.
        error: ParseError,
    },
    /// The schema does not parse.
    #[error(transparent)]
    Schema(#[from] ParseError),
    /// The validator's program exceeds its limits.
    #[error(transparent)]
    Program(#[from] CompileError),
    /// The compiler panicked.
    #[error("the schema compiler failed")]
    CompilerFailed,
}

impl CompiledSchema {
    /// Compiles a registered schema. The limits of schemas bound work and memory.
    #[must_use]
    pub fn compile(registered: RegisteredSchema) -> Self {
        let body = match registered.schema_type {
            SchemaType::Avro => compile_avro(&registered).unwrap_or_else(Body::Broken),
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
            source: Arc::new(Source {
                schema_type: registered.schema_type,
                text: registered.text,
                references: registered.references,
            }),
        }
    }

    /// Returns this schema with the versions of `registered`, or `None` if the texts differ.
    pub(crate) fn with_versions_of(&self, registered: &RegisteredSchema) -> Option<Self> {
        let source = &self.source;
        let is_same = source.text == registered.text
            && source.references == registered.references
            && source.schema_type == registered.schema_type;
        is_same.then(|| Self {
            id: self.id,
            body: Arc::clone(&self.body),
            versions: registered.versions.clone(),
            source: Arc::clone(&self.source),
        })
    }

    /// Returns the schema as the registry returned it.
    pub(crate) fn registered(&self) -> RegisteredSchema {
        RegisteredSchema {
            id: self.id,
            schema_type: self.source.schema_type,
            text: self.source.text.clone(),
            references: self.source.references.clone(),
            versions: self.versions.clone(),
        }
    }

    /// Returns whether both have the same texts and versions.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.versions == other.versions
    }

    /// Returns the approximate memory of the schema in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        /// Allocations, map entries and counters of each schema.
        const OVERHEAD_BYTES: usize = 256;
        let body = match &*self.body {
            Body::Avro {
                validator,
                record_name,
            } => validator.memory_bytes() + record_name.len(),
            Body::Bytes | Body::Foreign { .. } | Body::Broken(_) => 0,
        };
        let version = |version: &SubjectVersion| version.subject.len() + size_of_val(version);
        let references = self.source.references.iter().map(String::len);
        let text = self.source.text.len() + references.sum::<usize>();
        OVERHEAD_BYTES + body + text + self.versions.iter().map(version).sum::<usize>()
    }
}

fn compile_avro(registered: &RegisteredSchema) -> Result<Body, BrokenSchema> {
    // The registry's limits may be higher than the defaults, and a schema that it has accepted must
    // not be rejected here. The number of types and the depth still bound work and stack.
    let limits = Limits::default()
        .with_source_bytes(usize::MAX)
        .with_branches(usize::MAX);
    let mut references: Vec<Schema> = Vec::with_capacity(registered.references.len());
    // Dependencies are first, so each reference may use the names of those before it.
    for (index, text) in registered.references.iter().enumerate() {
        let parsed = Schema::parse_with(text, &references, &limits)
            .map_err(|error| BrokenSchema::Reference { index, error })?;
        references.push(parsed);
    }
    let schema = Schema::parse_with(&registered.text, &references, &limits)?;
    let root = &schema.node(schema.root()).kind;
    if matches!(root, Type::Bytes) {
        return Ok(Body::Bytes);
    }
    let validator = Validator::compile(&schema)?;
    let record_name = match schema.name() {
        Some(name) => name.fullname().to_owned(),
        None => root.as_str().to_owned(),
    };
    Ok(Body::Avro {
        validator: Box::new(validator),
        record_name,
    })
}
