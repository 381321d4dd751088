//! Where a type stands: its path through the schema, and the bytes of the text it stands on.
//!
//! Owns the spelling of paths. A type that is defined in a referenced schema has no bytes in this
//! text: the span is that of the name that leads there.

use super::{Node, NodeId, Schema, Type};
use crate::span::Span;

/// A place in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// From the root: `/name` for a field, `[]` for the items of an array, `{}` for the values of
    /// a map, `<name>` for a branch of a union. `/` is the whole schema.
    pub path: String,
    /// The bytes of [`Schema::text`]: a definition, or the name that refers to it.
    pub span: Span,
}

impl Schema {
    /// The place that is reached from the root by the parts (fields, branches, items) with these
    /// numbers, each from 0. A number that no part has ends the path.
    #[must_use]
    pub fn site(&self, parts: &[usize]) -> Site {
        let mut path = String::new();
        let mut id = self.root();
        let mut span = self.model.root_span;
        let mut is_here = true;
        for part in parts {
            let node = self.node(id);
            is_here &= !node.is_imported;
            let Some(next) = node.kind.child(*part) else {
                break;
            };
            self.write_step(node, *part, next, &mut path);
            id = next;
            span = match node.child_spans.get(*part) {
                Some(part_span) if is_here => *part_span,
                Some(_) | None => span,
            };
        }
        if path.is_empty() {
            path.push('/');
        }
        Site { path, span }
    }

    /// As [`Schema::site`], but of a field as a whole, not of its type.
    pub(crate) fn field_site(&self, parts: &[usize]) -> Site {
        let mut site = self.site(parts);
        let Some((last, above)) = parts.split_last() else {
            return site;
        };
        let mut id = self.root();
        for part in above {
            if self.node(id).is_imported {
                return site;
            }
            id = self.node(id).kind.child(*part).unwrap_or(id);
        }
        let node = self.node(id);
        if let (Type::Record(record), false) = (&node.kind, node.is_imported)
            && let Some(field) = record.fields.get(*last)
        {
            site.span = field.span;
        }
        site
    }

    fn write_step(&self, node: &Node, part: usize, next: NodeId, path: &mut String) {
        match &node.kind {
            Type::Record(record) => {
                path.push('/');
                path.push_str(record.fields.get(part).map_or("", |field| &field.name));
            }
            Type::Array(_) => path.push_str("[]"),
            Type::Map(_) => path.push_str("{}"),
            Type::Union(_) => {
                path.push('<');
                path.push_str(self.label(next));
                path.push('>');
            }
            _ => {}
        }
    }

    /// What to call a type: its full name, or the word of the specification.
    pub(crate) fn label(&self, id: NodeId) -> &str {
        let node = self.node(id);
        node.name()
            .map_or_else(|| node.kind.as_str(), super::Name::fullname)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    // Conformance: avro/1h
    #[test]
    fn a_place_has_a_path_and_bytes_of_its_own_also_where_a_name_is_used_again() {
        let text = r#"{"type":"record","name":"R","fields":[
            {"name":"ids","type":{"type":"array","items":{"type":"fixed","name":"n.Id","size":2}}},
            {"name":"more","type":{"type":"map","values":["null","n.Id"]}}]}"#;
        let schema = Schema::parse(text).unwrap();
        let table: [(&[usize], &str, &str); 6] = [
            (&[], "/", text),
            (
                &[0, 0],
                "/ids[]",
                r#"{"type":"fixed","name":"n.Id","size":2}"#,
            ),
            (&[1, 0], "/more{}", r#"["null","n.Id"]"#),
            (&[1, 0, 0], "/more{}<null>", r#""null""#),
            (&[1, 0, 1], "/more{}<n.Id>", r#""n.Id""#),
            (&[1, 0, 9], "/more{}", r#"["null","n.Id"]"#),
        ];
        for (parts, path, bytes) in table {
            let site = schema.site(parts);
            assert_eq!(site.path, path);
            assert_eq!(&text[site.span.start..site.span.end], bytes, "{path}");
        }
        let field = schema.field_site(&[1]).span;
        assert!(text[field.start..field.end].starts_with(r#"{"name":"more""#));
    }

    // Conformance: avro/1h
    #[test]
    fn a_place_within_a_referenced_type_is_the_name_that_leads_there() {
        let money =
            r#"{"type":"record","name":"n.Money","fields":[{"name":"cents","type":"long"}]}"#;
        let money = Schema::parse(money).unwrap();
        let text = r#"{"type":"record","name":"R","fields":[{"name":"price","type":"n.Money"}]}"#;
        let schema = Schema::parse_with(text, &[money], &Limits::default()).unwrap();
        for parts in [&[0][..], &[0, 0]] {
            let site = schema.site(parts);
            assert_eq!(&text[site.span.start..site.span.end], r#""n.Money""#);
        }
        assert_eq!(schema.field_site(&[0, 0]).path, "/price/cents");
    }
}
