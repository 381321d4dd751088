//! Items from definitions: Rust names, types of fields, and unions.

use std::collections::BTreeMap;

use avouch_avro::schema::{self, NodeId};

use super::collect::Definition;
use super::{
    Branch, Enum, Field, Item, ItemId, Kind, Logical, Model, Nullable, Record, SchemaText, Type,
    Union, recursion,
};
use crate::config::{Generator, TimeCrate};
use crate::docs;
use crate::error::{Error, Reason};
use crate::names::{Scope, type_name, value_name};

/// Builds the model of all definitions.
///
/// # Errors
/// If Rust cannot express a type, or an option names an unknown type.
pub(crate) fn build(definitions: &[Definition<'_>], config: &Generator) -> Result<Model, Error> {
    let mut builder = Builder::new(config);
    builder.claim_names(definitions)?;
    for definition in definitions {
        builder.define(definition)?;
    }
    builder.check_options(definitions)?;
    let mut model = builder.finish();
    if let Some((item, field)) = recursion::endless(&model) {
        let name = model.items[item.0]
            .schema
            .as_ref()
            .map(|schema| schema.full_name.clone());
        let name = name.unwrap_or_default();
        let found = definitions
            .iter()
            .find(|definition| definition.full_name == name);
        let definition = found.expect("only records are endless, and each has a definition");
        let reason = Reason::Endless { name, field };
        return Err(definition.unsupported(definition.node(), reason));
    }
    recursion::add_boxes(&mut model);
    Ok(model)
}

struct Builder<'c> {
    config: &'c Generator,
    /// Those of the definitions in the order of full names, then unions.
    items: Vec<Item>,
    ids: BTreeMap<String, ItemId>,
    scopes: BTreeMap<Vec<String>, Scope>,
}

/// The type that contains a type, and the path within it in upper camel case.
struct Owner<'d> {
    definition: &'d Definition<'d>,
    item: ItemId,
    path: String,
}

impl Owner<'_> {
    fn within(&self, step: &str) -> Self {
        Self {
            definition: self.definition,
            item: self.item,
            path: format!("{}{step}", self.path),
        }
    }
}

impl<'c> Builder<'c> {
    fn new(config: &'c Generator) -> Self {
        Self {
            config,
            items: Vec::new(),
            ids: BTreeMap::new(),
            scopes: BTreeMap::new(),
        }
    }

    /// Gives each definition its module and name, in the order of full names.
    fn claim_names(&mut self, definitions: &[Definition<'_>]) -> Result<(), Error> {
        let mut generated: Vec<&Definition<'_>> = definitions
            .iter()
            .filter(|definition| self.is_generated(definition))
            .collect();
        // Numbers of equal names do not depend on the order of the files.
        generated.sort_by(|a, b| a.full_name.cmp(&b.full_name));
        for definition in generated {
            let module = module_of(&definition.full_name);
            let wanted = self.wanted_name(definition)?;
            let name = self
                .scopes
                .entry(module.clone())
                .or_default()
                .claim(&wanted);
            let item = Item {
                module,
                name,
                docs: docs_of(definition),
                schema: Some(schema_text(definition)?),
                // Replaced after all names are known.
                kind: Kind::Wrapper(Type::Null),
                borrowed: None,
            };
            let id = self.push(item);
            self.ids.insert(definition.full_name.clone(), id);
        }
        Ok(())
    }

    fn push(&mut self, item: Item) -> ItemId {
        self.items.push(item);
        ItemId(self.items.len() - 1)
    }

    /// Returns the model, with names for the types that borrow.
    fn finish(mut self) -> Model {
        let mut model = Model {
            items: std::mem::take(&mut self.items),
        };
        if self.config.borrowed {
            let is_borrowing = |ty: &Type| matches!(ty, Type::String | Type::Bytes | Type::Map(_));
            // After all other names, so that the option changes none of them.
            for at in model.containing(is_borrowing) {
                let item = &mut model.items[at];
                let scope = self.scopes.entry(item.module.clone()).or_default();
                item.borrowed = Some(scope.claim(&beside(&item.name, "Ref")));
            }
        }
        model
    }

    /// Returns false for types of the user and for fixed types that have a Rust type already.
    fn is_generated(&self, definition: &Definition<'_>) -> bool {
        let is_fixed = matches!(definition.node().kind, schema::Type::Fixed(_));
        let is_external = self.config.types.contains_key(&definition.full_name);
        !(is_external || is_fixed && Logical::of(definition.node()).is_some())
    }

    fn wanted_name(&self, definition: &Definition<'_>) -> Result<String, Error> {
        let node = definition.node();
        let attribute = node.attribute("x-rust-name").and_then(|name| name.as_str());
        let option = self
            .config
            .names
            .get(&definition.full_name)
            .map(String::as_str);
        let Some(name) = option.or(attribute) else {
            let full_name = &definition.full_name;
            return Ok(type_name(full_name.rsplit('.').next().unwrap_or(full_name)));
        };
        if syn::parse_str::<proc_macro2::Ident>(name).is_err() {
            let name = name.to_owned();
            return Err(definition.unsupported(node, Reason::RustName { name }));
        }
        Ok(name.to_owned())
    }

    fn define(&mut self, definition: &Definition<'_>) -> Result<(), Error> {
        let Some(item) = self.ids.get(&definition.full_name).copied() else {
            return Ok(());
        };
        let owner = Owner {
            definition,
            item,
            path: String::new(),
        };
        let kind = match &definition.node().kind {
            schema::Type::Record(record) => Kind::Record(self.record(record, &owner)?),
            schema::Type::Enum(symbols) => Kind::Enum(enumeration(symbols)),
            schema::Type::Fixed(fixed) => Kind::Fixed(fixed.size),
            schema::Type::Union(branches) => match split(branches, definition) {
                // The union is the type itself.
                (None, others) if others.len() > 1 => {
                    Kind::Union(self.branches(branches, &others, &owner)?)
                }
                _ => Kind::Wrapper(self.ty(definition.node, &owner)?),
            },
            _ => Kind::Wrapper(self.ty(definition.node, &owner)?),
        };
        self.items[item.0].kind = kind;
        Ok(())
    }

    fn record(&mut self, record: &schema::Record, owner: &Owner<'_>) -> Result<Record, Error> {
        let mut scope = Scope::default();
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let key = format!("{}.{}", owner.definition.full_name, field.name);
            let ty = match self.config.fields.get(&key) {
                Some(external) => Type::External(external.clone()),
                None => self.ty(field.node, &owner.within(&type_name(&field.name)))?,
            };
            let default = field.default().map(|default| {
                // Printed by the parser, so it is JSON.
                serde_json::from_str(&default.to_string()).unwrap_or_default()
            });
            fields.push(Field {
                name: scope.claim(&value_name(&field.name)),
                avro_name: field.name.to_string(),
                docs: field_docs(field),
                ty,
                default,
            });
        }
        let has_default = fields.iter().any(|field| field.default.is_some());
        let builder = has_default.then(|| self.claim_beside(owner.item, "Builder"));
        Ok(Record { fields, builder })
    }

    /// Reserves the name of an item with a suffix, in the same module.
    fn claim_beside(&mut self, item: ItemId, suffix: &str) -> String {
        let item = &self.items[item.0];
        let name = beside(&item.name, suffix);
        self.scopes
            .entry(item.module.clone())
            .or_default()
            .claim(&name)
    }

    fn ty(&mut self, id: NodeId, owner: &Owner<'_>) -> Result<Type, Error> {
        let node = owner.definition.schema.node(id);
        if let Some(name) = node.name()
            && let Some(external) = self.config.types.get(name.fullname())
        {
            return Ok(Type::External(external.clone()));
        }
        let is_raw = self.config.time == TimeCrate::Raw;
        if let Some(logical) = Logical::of(node).filter(|logical| !(is_raw && logical.is_time())) {
            return Ok(Type::Logical(logical));
        }
        Ok(match &node.kind {
            schema::Type::Null => Type::Null,
            schema::Type::Boolean => Type::Boolean,
            schema::Type::Int => Type::Int,
            schema::Type::Long => Type::Long,
            schema::Type::Float => Type::Float,
            schema::Type::Double => Type::Double,
            schema::Type::Bytes => Type::Bytes,
            schema::Type::String => Type::String,
            schema::Type::Array(items) => {
                Type::Array(Box::new(self.ty(*items, &owner.within("Item"))?))
            }
            schema::Type::Map(values) => {
                Type::Map(Box::new(self.ty(*values, &owner.within("Value"))?))
            }
            schema::Type::Union(branches) => self.union(id, branches, owner)?,
            schema::Type::Record(_) | schema::Type::Enum(_) | schema::Type::Fixed(_) => {
                let name = node.name().map(schema::Name::fullname).unwrap_or_default();
                Type::Item(self.ids[name])
            }
        })
    }

    fn union(&mut self, id: NodeId, branches: &[NodeId], owner: &Owner<'_>) -> Result<Type, Error> {
        let (null, others) = split(branches, owner.definition);
        let (inner, some) = match others[..] {
            [] if null.is_some() => return Ok(Type::Single(Box::new(Type::Null))),
            [] => {
                let node = owner.definition.schema.node(id);
                return Err(owner.definition.unsupported(node, Reason::EmptyUnion));
            }
            [only] => (self.ty(branches[only], owner)?, Some(only)),
            _ => (self.several(branches, &others, owner)?, None),
        };
        Ok(match null {
            None if some.is_some() => Type::Single(Box::new(inner)),
            None => inner,
            Some(null) => Type::Option(Box::new(Nullable {
                count: branches.len(),
                null,
                some,
                inner,
            })),
        })
    }

    /// Returns a new item for the branches of a union at the positions `others`.
    fn several(
        &mut self,
        all: &[NodeId],
        others: &[usize],
        owner: &Owner<'_>,
    ) -> Result<Type, Error> {
        // A root has no path, and its own name is the wrapper's.
        let suffix = match owner.path.as_str() {
            "" => "Union",
            path => path,
        };
        let name = self.claim_beside(owner.item, suffix);
        let docs = format!("A union in `{}`.", owner.definition.full_name);
        let item = Item {
            module: self.items[owner.item.0].module.clone(),
            name,
            docs: vec![docs],
            schema: None,
            // Reserved before the branches, which may contain unions themselves.
            kind: Kind::Wrapper(Type::Null),
            borrowed: None,
        };
        let id = self.push(item);
        self.items[id.0].kind = Kind::Union(self.branches(all, others, owner)?);
        Ok(Type::Item(id))
    }

    fn branches(
        &mut self,
        all: &[NodeId],
        others: &[usize],
        owner: &Owner<'_>,
    ) -> Result<Union, Error> {
        let names = variant_names(all, others, owner.definition);
        let mut branches = Vec::with_capacity(others.len());
        for (at, name) in others.iter().zip(names) {
            branches.push(Branch {
                index: *at,
                label: label(owner.definition, all[*at]),
                ty: self.ty(all[*at], &owner.within(&name))?,
                name,
            });
        }
        let count = all.len();
        Ok(Union { branches, count })
    }

    fn check_options(&self, definitions: &[Definition<'_>]) -> Result<(), Error> {
        let is_field = |key: &str| {
            let (record, field) = key.rsplit_once('.').unwrap_or_default();
            let mut records = definitions.iter().filter(|other| other.full_name == record);
            records.any(|record| match &record.node().kind {
                schema::Type::Record(record) => record.position(field).is_some(),
                _ => false,
            })
        };
        let config = self.config;
        let types = config.types.keys().chain(config.names.keys());
        let unknown =
            types.filter(|name| !definitions.iter().any(|other| other.full_name == **name));
        let fields = config.fields.keys().filter(|key| !is_field(key));
        match unknown.chain(fields).next() {
            None => Ok(()),
            Some(name) => Err(Error::UnknownOption { name: name.clone() }),
        }
    }
}

/// Returns a name with a suffix, without the underscore of a reserved name between them.
fn beside(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", name.trim_end_matches('_'))
}

/// Returns the position of null in a union, and the positions of the other branches.
fn split(branches: &[NodeId], definition: &Definition<'_>) -> (Option<usize>, Vec<usize>) {
    let kind = |id: NodeId| &definition.schema.node(id).kind;
    let null = branches
        .iter()
        .position(|id| matches!(kind(*id), schema::Type::Null));
    let others = (0..branches.len()).filter(|at| Some(*at) != null);
    (null, others.collect())
}

fn enumeration(symbols: &schema::Enum) -> Enum {
    let mut scope = Scope::default();
    Enum {
        variants: symbols
            .symbols
            .iter()
            .map(|symbol| (scope.claim(&type_name(symbol)), symbol.to_string()))
            .collect(),
        default: symbols
            .default
            .as_ref()
            .and_then(|default| symbols.symbols.iter().position(|symbol| symbol == default)),
    }
}

/// Returns the names of the variants: simple names of named types, with their namespace if two are
/// equal, and the names of unnamed types.
fn variant_names(all: &[NodeId], others: &[usize], definition: &Definition<'_>) -> Vec<String> {
    let labels: Vec<String> = others
        .iter()
        .map(|at| label(definition, all[*at]))
        .collect();
    let simple = |label: &String| type_name(label.rsplit('.').next().unwrap_or(label));
    let count = |name: &String| labels.iter().filter(|label| simple(label) == *name).count();
    let mut scope = Scope::default();
    let names = labels.iter().map(|label| match simple(label) {
        name if count(&name) > 1 => type_name(label),
        name => name,
    });
    names.map(|name| scope.claim(&name)).collect()
}

fn label(definition: &Definition<'_>, id: NodeId) -> String {
    let node = definition.schema.node(id);
    let name = node.name().map(schema::Name::fullname);
    name.unwrap_or(node.kind.as_str()).to_owned()
}

fn module_of(full_name: &str) -> Vec<String> {
    let (namespace, _) = full_name.rsplit_once('.').unwrap_or_default();
    let components = namespace
        .split('.')
        .filter(|component| !component.is_empty());
    components.map(value_name).collect()
}

fn schema_text(definition: &Definition<'_>) -> Result<SchemaText, Error> {
    let schema = definition.schema.definition(definition.node);
    let json = schema.to_string();
    // The generated code parses it within the default limits.
    if let Err(error) = avouch_avro::Schema::parse(&json) {
        let message = error.message().to_owned();
        return Err(definition.unsupported(definition.node(), Reason::Limit { message }));
    }
    Ok(SchemaText {
        full_name: definition.full_name.clone(),
        json,
        fingerprint: schema.rabin_fingerprint(),
        subject: definition.subject.clone(),
    })
}

fn docs_of(definition: &Definition<'_>) -> Vec<String> {
    let node = definition.node();
    let named = node.kind.named();
    let doc = named.and_then(|named| named.doc);
    let aliases = named.map(|named| named.aliases).unwrap_or_default();
    let (kind, name) = (node.kind.as_str(), &definition.full_name);
    let aliases = aliases.iter().map(|alias| alias.fullname().to_owned());
    let aliases: Vec<String> = aliases.collect();
    documented(doc, &format!("Avro {kind} `{name}`."), &aliases)
}

fn field_docs(field: &schema::Field) -> Vec<String> {
    let aliases = field.aliases.iter().map(|alias| alias.to_string());
    let aliases: Vec<String> = aliases.collect();
    let doc = field.doc.as_deref();
    documented(doc, &format!("Field `{}`.", field.name), &aliases)
}

fn documented(doc: Option<&str>, without: &str, aliases: &[String]) -> Vec<String> {
    let mut lines = docs::lines(doc.unwrap_or_default());
    if lines.is_empty() {
        lines.push(without.to_owned());
    }
    if !aliases.is_empty() {
        let names: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
        lines.extend([String::new(), format!("Aliases: {}.", names.join(", "))]);
    }
    lines
}
