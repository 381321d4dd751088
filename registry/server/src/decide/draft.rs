//! A request's schema before it is understood: checked for shape, completed from the subject's
//! latest version where the request leaves something out.

use avouch_registry_api::rest::{Metadata, RegisterRequest, RuleSet, SchemaReference};
use avouch_registry_api::vocabulary::SchemaType;

use crate::decide::content::Content;
use crate::error::RegistryError;

/// The references one schema may name directly.
const MAX_REFERENCES: usize = 100;

/// The schema a request asks about.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    schema_type: SchemaType,
    text: Option<String>,
    /// A version of -1 still stands for the latest.
    pub(crate) references: Vec<SchemaReference>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    /// The version it must get.
    pub(crate) version: Option<i32>,
    /// The id it must get.
    pub(crate) id: Option<i32>,
    /// Whether the request asks for the normalized text.
    pub(crate) normalize: bool,
}

impl Draft {
    /// # Errors
    /// [`RegistryError::InvalidSchema`] for an unknown type, an incomplete reference, a version
    /// that is none.
    pub(crate) fn of(request: RegisterRequest, normalize: bool) -> Result<Self, RegistryError> {
        let schema_type = match request.schema_type.as_deref() {
            None | Some("") => SchemaType::Avro,
            Some(word) => word.parse().map_err(|_unknown| {
                RegistryError::InvalidSchema(format!("Invalid schema type {word}"))
            })?,
        };
        let version = match request.version {
            None | Some(0) => None,
            Some(version) if version > 0 => Some(version),
            Some(version) => {
                return Err(RegistryError::InvalidSchema(format!(
                    "Invalid version {version}"
                )));
            }
        };
        Ok(Self {
            schema_type,
            text: request.schema.filter(|text| !text.is_empty()),
            references: references(request.references.unwrap_or_default())?,
            metadata: request.metadata,
            rule_set: request.rule_set,
            version,
            id: request.id.filter(|&id| id >= 0),
            normalize,
        })
    }

    /// Fills what a registration leaves out from the subject's latest version: the text, and the
    /// notes and rules, which stay in force until they are replaced.
    pub(crate) fn inherit(&mut self, latest: &Content) {
        if self.text.is_none() {
            self.schema_type = latest.schema_type;
            self.text = Some(latest.text.clone());
            self.references.clone_from(&latest.references);
        }
        if self.metadata.is_none() {
            self.metadata.clone_from(&latest.metadata);
        }
        if self.rule_set.is_none() {
            self.rule_set.clone_from(&latest.rule_set);
        }
    }

    /// The content as drafted; its text is not canonical yet. `references` are the draft's, with
    /// the latest versions put in.
    pub(crate) fn content(
        self,
        references: Vec<SchemaReference>,
    ) -> Result<Content, RegistryError> {
        let empty = || RegistryError::InvalidSchema("Empty schema".to_owned());
        Ok(Content {
            schema_type: self.schema_type,
            text: self.text.ok_or_else(empty)?,
            references,
            metadata: self.metadata,
            rule_set: self.rule_set,
        })
    }
}

fn references(
    requested: Vec<avouch_registry_api::rest::ReferenceRequest>,
) -> Result<Vec<SchemaReference>, RegistryError> {
    if requested.len() > MAX_REFERENCES {
        let message = format!("More than {MAX_REFERENCES} references");
        return Err(RegistryError::InvalidSchema(message));
    }
    let complete = |reference: avouch_registry_api::rest::ReferenceRequest| {
        let whole = (reference.name, reference.subject, reference.version);
        let (Some(name), Some(subject), Some(version)) = whole else {
            let message = "A reference needs name, subject and version".to_owned();
            return Err(RegistryError::InvalidSchema(message));
        };
        Ok(SchemaReference {
            name,
            subject,
            version,
        })
    };
    requested.into_iter().map(complete).collect()
}

/// The message for a schema that could not be understood, in Confluent's form.
pub(crate) fn invalid_schema(subject: &str, content: &Content, reason: &str) -> RegistryError {
    const SHOWN_CHARS: usize = 10 * 1024;
    let text: String = content.text.chars().take(SHOWN_CHARS).collect();
    let references: Vec<String> = content
        .references
        .iter()
        .map(
            |SchemaReference {
                 name,
                 subject,
                 version,
             }| {
                format!("{{name='{name}', subject='{subject}', version={version}}}")
            },
        )
        .collect();
    let references = references.join(", ");
    let schema_type = content.schema_type;
    let guid = content.guid();
    let metadata = or_null(content.metadata.as_ref());
    let rule_set = or_null(content.rule_set.as_ref());
    RegistryError::InvalidSchema(format!(
        "Invalid schema {{subject={subject},version=0,id=-1,guid={guid},schemaType={schema_type},\
         references=[{references}],metadata={metadata},ruleSet={rule_set},schema={text}}} with \
         refs [{references}] of type {schema_type}, details: {reason}"
    ))
}

fn or_null<T: serde::Serialize>(value: Option<&T>) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> Result<Draft, RegistryError> {
        Draft::of(serde_json::from_str(json).unwrap(), false)
    }

    #[test]
    fn a_request_of_the_wrong_shape_is_an_invalid_schema() {
        let table = [
            (
                r#"{"schema":"x","schemaType":"THRIFT"}"#,
                "Invalid schema type THRIFT",
            ),
            (
                r#"{"schema":"x","references":[{"name":"n","subject":"s"}]}"#,
                "A reference needs name, subject and version",
            ),
            (r#"{"schema":"x","version":-7}"#, "Invalid version -7"),
        ];
        for (json, message) in table {
            assert_eq!(draft(json).unwrap_err().to_string(), message);
        }
        let empty = draft("{}").unwrap().content(Vec::new()).unwrap_err();
        assert_eq!(empty.to_string(), "Empty schema");
    }

    #[test]
    fn what_a_request_leaves_out_comes_from_the_latest_version() {
        let json = r#"{"schema":"\"int\"","metadata":{"properties":{"owner":"pay"}}}"#;
        let latest = draft(json).unwrap().content(Vec::new()).unwrap();
        let mut text_only = draft(r#"{"schema":"\"long\""}"#).unwrap();
        text_only.inherit(&latest);
        let content = text_only.content(Vec::new()).unwrap();
        assert_eq!(content.text, "\"long\"");
        assert_eq!(content.metadata, latest.metadata);

        let mut nothing = draft("{}").unwrap();
        nothing.inherit(&latest);
        assert_eq!(nothing.content(Vec::new()).unwrap(), latest);
    }
}
