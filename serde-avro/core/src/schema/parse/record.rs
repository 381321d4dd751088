//! Records and fields.

use super::super::default::{self, Check, Outcome};
use super::super::{Field, NodeId, Order, Record, Type, hints};
use super::named::Head;
use super::{Checks, Deferred, Parsed, Parser, attributes, is_schema_key};
use crate::json::{self, BorrowedValue, Json, Value};
use std::collections::HashMap;

/// Returns whether the specification defines an attribute of fields.
fn is_field_key(key: &str) -> bool {
    matches!(
        key,
        "default" | "doc" | "name" | "order" | "type" | "aliases"
    )
}

impl Parser<'_> {
    pub(super) fn record(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
        depth: usize,
        is_error: bool,
    ) -> Parsed<NodeId> {
        let head = self.head(value, namespace)?;
        let Some(list) = value.member("fields").and_then(BorrowedValue::elements) else {
            let (name, hint) = (head.name, hints::similar_key(value, "fields"));
            let message = format!("record {name} needs \"fields\", an array of fields{hint}");
            return self.fail_at(value, "fields", message);
        };
        if list.len() > self.limits.fields {
            let (name, count, max) = (head.name, list.len(), self.limits.fields);
            let message = format!("record {name} has {count} fields; the maximum is {max}");
            return self.fail_at(value, "fields", message);
        }
        let Head {
            name,
            doc,
            aliases,
            first,
        } = head;
        let namespace = name.namespace().map(str::to_owned);
        let record = Record {
            name,
            aliases,
            doc,
            is_error,
            fields: Vec::with_capacity(list.len()),
            positions: HashMap::with_capacity(list.len()),
            required: 0,
        };
        let id = self.define(value, Type::Record(Box::new(record)), first, is_schema_key)?;
        // The name is in scope before the fields are parsed, so that they may use it.
        self.open.insert(id);
        self.path.push_key("fields");
        for (index, field) in list.iter().enumerate() {
            self.path.push_index(index);
            self.field(id, field, namespace.as_deref(), depth)?;
            self.path.pop();
        }
        self.path.pop();
        self.open.remove(&id);
        self.merge_definition(id, first, value)
    }

    fn field(
        &mut self,
        record: NodeId,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
        depth: usize,
    ) -> Parsed<()> {
        let Some(name) = value.member("name").and_then(BorrowedValue::as_str) else {
            let hint = hints::similar_key(value, "name");
            let message = format!("a field must be an object with \"name\" and \"type\"{hint}");
            return self.fail_at(value, "name", message);
        };
        if let Err(error) = self.check_name(name) {
            return self.fail_at(value, "name", format!("invalid field name: {error}"));
        }
        let node = self.child(value, "type", namespace, depth)?;
        let aliases = self.alias_names(value)?;
        let order = self.order(value)?;
        let default = self.default(value, name, node)?;
        let doc = value
            .member("doc")
            .and_then(BorrowedValue::as_str)
            .map(Into::into);
        let attributes = attributes(value, is_field_key);
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
        // Errors of the default point to it, not to the field.
        self.path.push_key("default");
        let outcome = self.check_default(&field)?;
        let pointer = (outcome == Outcome::Undecided).then(|| self.path.pointer());
        self.path.pop();
        let owner = &mut self.nodes[record.index()];
        let type_span = value.member("type").map_or(span, |kind| kind.span);
        owner.child_spans.push(type_span);
        let Type::Record(owner) = &mut owner.kind else {
            return Ok(());
        };
        let position = owner.fields.len();
        // Counted once here, so that the check of a default need not visit every field.
        owner.required += usize::from(field.default.is_none());
        let known = owner.positions.insert(name, position);
        let duplicate = known.map(|_| field.name.clone());
        owner.fields.push(field);
        if let Some(name) = duplicate {
            return self.fail_at(value, "name", format!("duplicate field {name}"));
        }
        if let Some(pointer) = pointer {
            self.undecided.entry(record).or_default().insert(position);
            self.deferred.push(Deferred {
                record,
                field: position,
                pointer,
            });
        }
        Ok(())
    }

    /// Checks the default of a field against its type, as far as types are defined.
    pub(super) fn check_default(&mut self, field: &Field) -> Parsed<Outcome> {
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
                let kind = &self.node(field.node).kind;
                let cause = if self.pending.contains_key(&field.node) {
                    "its type is not defined before the field".to_owned()
                } else {
                    let hint = hints::default(kind, &value.json);
                    let expected = match kind {
                        Type::Union(_) => "a value of one of the branches",
                        other => other.as_str(),
                    };
                    format!("expected {expected}{hint}")
                };
                let message = format!("invalid default {given} of field {}: {cause}", field.name);
                self.fail(value.span.start, message)
            }
            Ok(outcome) => Ok(outcome),
            Err(error) => self.fail(value.span.start, error.to_string()),
        }
    }

    /// Returns the default; a string for a float or double is converted to a number, as in Java.
    fn default(
        &self,
        field: &BorrowedValue<'_>,
        name: &str,
        node: NodeId,
    ) -> Parsed<Option<Value>> {
        let Some(value) = field.member("default") else {
            return Ok(None);
        };
        let floating = matches!(self.node(node).kind, Type::Float | Type::Double);
        // Java also converts strings, such as "NaN" and "1.5f".
        let Some(text) = value.as_str().filter(|_| floating) else {
            return Ok(Some(value.to_owned_value()));
        };
        match default::java_double(text) {
            Some(double) => Ok(Some(Value {
                json: Json::Float(double),
                span: value.span,
            })),
            None if self.checks == Checks::Legacy => Ok(Some(value.to_owned_value())),
            None => {
                let message =
                    format!("invalid default {text:?} of field {name}: expected a number");
                self.fail(value.span.start, message)
            }
        }
    }

    fn order(&self, field: &BorrowedValue<'_>) -> Parsed<Order> {
        let Some(value) = field.member("order") else {
            return Ok(Order::Ascending);
        };
        // Java ignores the case.
        match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("ascending") => Ok(Order::Ascending),
            Some("descending") => Ok(Order::Descending),
            Some("ignore") => Ok(Order::Ignore),
            Some(_) | None => {
                let mut given = String::new();
                json::write_value(&value.json, &mut given);
                let message =
                    format!("unknown order {given}; expected ascending, descending or ignore");
                self.fail(value.span.start, message)
            }
        }
    }
}
