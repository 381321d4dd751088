//! Records and their fields.

use super::super::default::{self, Check, Outcome};
use super::super::{Field, NodeId, Order, Record, Type, hints};
use super::named::Head;
use super::{Checks, Deferred, Parsed, Parser, attributes, is_schema_word};
use crate::json::{self, Json, Read, Value};
use std::collections::HashMap;

/// Attributes of fields to which the specification gives a meaning.
fn is_field_word(key: &str) -> bool {
    matches!(
        key,
        "default" | "doc" | "name" | "order" | "type" | "aliases"
    )
}

impl Parser<'_> {
    pub(super) fn record(
        &mut self,
        value: &Read<'_>,
        space: Option<&str>,
        depth: usize,
        is_error: bool,
    ) -> Parsed<NodeId> {
        let head = self.head(value, space)?;
        let Some(list) = value.member("fields").and_then(Read::elements) else {
            let instead = hints::instead(value, "fields");
            let name = head.name;
            let why = format!("record {name} needs \"fields\", an array of fields{instead}");
            return self.fail_at(value, "fields", why);
        };
        if list.len() > self.limits.fields {
            let (most, count) = (self.limits.fields, list.len());
            let why = format!("a record has at most {most} fields; this one has {count}");
            return self.fail_at(value, "fields", why);
        }
        let Head {
            name,
            doc,
            aliases,
            first,
        } = head;
        let space = name.namespace().map(str::to_owned);
        let (fields, places) = (
            Vec::with_capacity(list.len()),
            HashMap::with_capacity(list.len()),
        );
        let record = Record {
            name,
            aliases,
            doc,
            is_error,
            fields,
            places,
            required: 0,
        };
        let id = self.define(value, Type::Record(Box::new(record)), first, is_schema_word)?;
        self.open.insert(id);
        self.path.push_key("fields");
        for (index, field) in list.iter().enumerate() {
            self.path.push_index(index);
            self.field(id, field, space.as_deref(), depth)?;
            self.path.pop();
        }
        self.path.pop();
        self.open.remove(&id);
        self.same_as_first(id, first, value)
    }

    fn field(
        &mut self,
        record: NodeId,
        value: &Read<'_>,
        space: Option<&str>,
        depth: usize,
    ) -> Parsed<()> {
        let Some(name) = value.member("name").and_then(Read::as_str) else {
            let instead = hints::instead(value, "name");
            let why = format!("a field is an object with a \"name\" and a \"type\"{instead}");
            return self.fail_at(value, "name", why);
        };
        if let Err(why) = self.check_name(name) {
            return self.fail_at(value, "name", format!("wrong field name: {why}"));
        }
        let node = self.part(value, "type", space, depth)?;
        let aliases = self.alias_texts(value)?;
        let order = self.order(value)?;
        let default = self.default(value, name, node)?;
        let doc = value.member("doc").and_then(Read::as_str).map(Into::into);
        let attributes = attributes(value, is_field_word);
        let span = value.span;
        let name: Box<str> = name.into();
        let field = Field {
            name: name.clone(),
            node,
            doc,
            default,
            order,
            aliases,
            attributes,
            span,
        };
        self.path.push_key("default");
        let verdict = self.verdict(&field)?;
        let pointer = (verdict == Outcome::Depends).then(|| self.path.pointer());
        self.path.pop();
        let owner = &mut self.nodes[record.index()];
        let part = value.member("type").map_or(span, |part| part.span);
        owner.child_spans.push(part);
        let Type::Record(owner) = &mut owner.kind else {
            return Ok(());
        };
        let place = owner.fields.len();
        owner.required += usize::from(field.default.is_none());
        let twice = owner.places.insert(name, place).map(|_| field.name.clone());
        owner.fields.push(field);
        if let Some(twice) = twice {
            let why = format!("the record has a field {twice} already; names are unique");
            return self.fail_at(value, "name", why);
        }
        if let Some(pointer) = pointer {
            self.unsettled.entry(record).or_default().insert(place);
            self.deferred.push(Deferred {
                record,
                field: place,
                pointer,
            });
        }
        Ok(())
    }

    /// Whether the field's default is one of its type, as far as that is known by now.
    pub(super) fn verdict(&mut self, field: &Field) -> Parsed<Outcome> {
        let (Some(value), Checks::All) = (&field.default, self.checks) else {
            return Ok(Outcome::Valid);
        };
        let mut check = Check {
            parser: self,
            steps: self.default_steps,
            depth: 0,
        };
        let outcome = check.value(field.node, value);
        self.default_steps = check.steps;
        match outcome {
            Ok(Outcome::Invalid) => {
                let mut given = String::new();
                json::write_value(&value.json, &mut given);
                let mut wanted = self.node(field.node).kind.as_str();
                if self.pending.contains_key(&field.node) {
                    wanted = "type that is defined before this field";
                }
                let advice = hints::default(&self.node(field.node).kind, &value.json);
                let why = format!(
                    "invalid default for field {}: {given} is no {wanted}{advice}",
                    field.name
                );
                self.fail(value.span.start, why)
            }
            Ok(outcome) => Ok(outcome),
            Err(why) => self.fail(value.span.start, why),
        }
    }

    fn default(&self, field: &Read<'_>, name: &str, node: NodeId) -> Parsed<Option<Value>> {
        let Some(value) = field.member("default") else {
            return Ok(None);
        };
        let floating = matches!(self.node(node).kind, Type::Float | Type::Double);
        let Some(text) = value.as_str().filter(|_| floating) else {
            return Ok(Some(value.kept()));
        };
        match default::java_double(text) {
            Some(double) => Ok(Some(Value {
                json: Json::Float(double),
                span: value.span,
            })),
            None if self.checks == Checks::AllButNamesAndDefaults => Ok(Some(value.kept())),
            None => {
                let why = format!("invalid default for field {name}: {text:?} is no number");
                self.fail(value.span.start, why)
            }
        }
    }

    fn order(&self, field: &Read<'_>) -> Parsed<Order> {
        let Some(value) = field.member("order") else {
            return Ok(Order::Ascending);
        };
        match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("ascending") => Ok(Order::Ascending),
            Some("descending") => Ok(Order::Descending),
            Some("ignore") => Ok(Order::Ignore),
            Some(_) | None => {
                let why = "\"order\" is \"ascending\", \"descending\" or \"ignore\"";
                self.fail(value.span.start, why)
            }
        }
    }
}
