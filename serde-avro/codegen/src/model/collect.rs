//! The named types of several files, each once, with the file that defines it.

use std::collections::BTreeMap;

use avouch_avro::Schema;
use avouch_avro::schema::{Node, NodeId};

use crate::error::{Error, Reason};
use crate::files::{SchemaFile, SchemaFiles};

/// A named type, or the root of a schema without a name.
#[derive(Debug)]
pub(crate) struct Definition<'f> {
    pub(crate) full_name: String,
    pub(crate) file: &'f SchemaFile,
    pub(crate) schema: Schema,
    pub(crate) node: NodeId,
    /// Absent for types within others.
    pub(crate) subject: Option<String>,
}

impl Definition<'_> {
    pub(crate) fn node(&self) -> &Node {
        self.schema.node(self.node)
    }

    /// Returns the error of a type in this definition.
    pub(crate) fn unsupported(&self, node: &Node, reason: Reason) -> Error {
        let before = self.file.text.get(..node.span.start).unwrap_or_default();
        Error::Unsupported {
            path: self.file.path.clone(),
            line: before.matches('\n').count() + 1,
            reason,
        }
    }
}

/// Parses the selected files and those that they need, and returns the types that they define.
///
/// # Errors
/// If a file is invalid, a reference cannot be resolved, or two definitions of a name differ.
pub(crate) fn collect<'f>(
    files: &'f SchemaFiles,
    selected: &[usize],
) -> Result<Vec<Definition<'f>>, Error> {
    let mut needed = Vec::new();
    for at in selected {
        for file in files.order(*at)? {
            if !needed.contains(&file) {
                needed.push(file);
            }
        }
    }
    // The order of the selection has no effect on the output.
    needed.sort_unstable();
    let mut definitions: Vec<Definition<'f>> = Vec::new();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for at in needed {
        let schema = files.parse(at)?;
        for definition in of_file(files.file(at), &schema) {
            let position = positions.get(&definition.full_name);
            match position.and_then(|position| definitions.get(*position)) {
                // Files often repeat a definition that they share.
                Some(other) if is_equal(&definition, other) => {}
                Some(other) => {
                    let reason = Reason::Conflict {
                        name: definition.full_name.clone(),
                        other: other.file.path.clone(),
                    };
                    return Err(definition.unsupported(definition.node(), reason));
                }
                None => {
                    positions.insert(definition.full_name.clone(), definitions.len());
                    definitions.push(definition);
                }
            }
        }
    }
    Ok(definitions)
}

fn is_equal(one: &Definition<'_>, other: &Definition<'_>) -> bool {
    one.schema.definition(one.node) == other.schema.definition(other.node)
}

/// Returns the definitions of one file, each before those in it.
fn of_file<'f>(file: &'f SchemaFile, schema: &Schema) -> Vec<Definition<'f>> {
    let mut found = Vec::new();
    let mut queue = vec![schema.root()];
    let mut seen = std::collections::HashSet::new();
    while let Some(id) = queue.pop() {
        let node = schema.node(id);
        // Imported types are definitions of their own file.
        if node.is_imported || !seen.insert(id) {
            continue;
        }
        // Reversed, because the last one is taken first.
        queue.extend(node.kind.children().rev());
        let full_name = match node.name() {
            Some(name) => name.fullname().to_owned(),
            None if id == schema.root() => file.stem(),
            None => continue,
        };
        let is_root = id == schema.root();
        found.push(Definition {
            full_name,
            file,
            schema: schema.clone(),
            node: id,
            subject: file.subject().filter(|_| is_root),
        });
    }
    found
}
