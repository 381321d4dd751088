//! Sites: the path of a type through a schema, and its position in the source.
//!
//! A type of a referenced schema is not in this source. Its span is that of the name that refers to
//! it or to the type around it.

use super::{Node, NodeId, Schema, Type};
use crate::span::Span;

/// A location in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The path from the root: `/name` for a field, `[]` for the items of an array, `{}` for the
    /// values of a map, `<name>` for a branch of a union. `/` is the whole schema.
    pub path: String,
    /// The bytes of [`Schema::source`] with the definition or the name that refers to it.
    pub span: Span,
}

impl Schema {
    /// Returns the site that is reached from the root through the children with these indexes, each
    /// from 0 in the order of [`Type::children`]. An index that no child has ends the path.
    #[must_use]
    pub fn site(&self, indexes: &[usize]) -> Site {
        let mut path = String::new();
        let mut id = self.root();
        let mut span = self.model.root_span;
        let mut in_source = true;
        for index in indexes {
            let node = self.node(id);
            // Below an imported type the span stays that of the name.
            in_source &= !node.is_imported;
            let Some(next) = node.kind.child(*index) else {
                break;
            };
            self.write_step(node, *index, next, &mut path);
            id = next;
            span = match node.child_spans.get(*index) {
                Some(child_span) if in_source => *child_span,
                Some(_) | None => span,
            };
        }
        if path.is_empty() {
            path.push('/');
        }
        Site { path, span }
    }

    /// As [`Schema::site`], with the span of the whole field instead of its type.
    pub(crate) fn field_site(&self, indexes: &[usize]) -> Site {
        let mut site = self.site(indexes);
        let Some((last, above)) = indexes.split_last() else {
            return site;
        };
        let mut id = self.root();
        for index in above {
            // The field is in another source; the span stays that of the name.
            if self.node(id).is_imported {
                return site;
            }
            id = self.node(id).kind.child(*index).unwrap_or(id);
        }
        let node = self.node(id);
        // The record itself may be imported, its parent not.
        if let (Type::Record(record), false) = (&node.kind, node.is_imported)
            && let Some(field) = record.fields.get(*last)
        {
            site.span = field.span;
        }
        site
    }

    fn write_step(&self, node: &Node, index: usize, next: NodeId, path: &mut String) {
        match &node.kind {
            Type::Record(record) => {
                path.push('/');
                path.push_str(record.fields.get(index).map_or("", |field| &field.name));
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

    /// Returns the full name of a named type, or the name of an unnamed type.
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
    fn used_names_have_their_own_site() {
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
        for (indexes, path, bytes) in table {
            let site = schema.site(indexes);
            assert_eq!(site.path, path);
            assert_eq!(&text[site.span.range()], bytes, "{path}");
        }
        let field = schema.field_site(&[1]).span;
        assert!(text[field.range()].starts_with(r#"{"name":"more""#));
    }

    // Conformance: avro/1h
    #[test]
    fn sites_in_references_span_the_referring_name() {
        let money =
            r#"{"type":"record","name":"n.Money","fields":[{"name":"cents","type":"long"}]}"#;
        let money = Schema::parse(money).unwrap();
        let text = r#"{"type":"record","name":"R","fields":[{"name":"price","type":"n.Money"}]}"#;
        let schema = Schema::parse_with(text, &[money], &Limits::default()).unwrap();
        for indexes in [&[0][..], &[0, 0]] {
            let site = schema.site(indexes);
            assert_eq!(&text[site.span.range()], r#""n.Money""#);
        }
        assert_eq!(schema.field_site(&[0, 0]).path, "/price/cents");
    }
}
