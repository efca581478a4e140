//! Validation against the schemas of an OpenAPI spec.

mod query;
mod schema;
mod unknown;
mod violation;
mod width;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

pub(crate) use query::QueryParameter;
use schema::referenced_schema;
pub(crate) use unknown::UndocumentedFields;
pub use violation::Violation;
pub(crate) use violation::shortened;

/// A parsed OpenAPI spec, with a validator for each of its schemas.
///
/// ```
/// use highlevel_sandbox::Spec;
/// use serde_json::json;
///
/// let spec = Spec::load()?;
/// let schema = spec.request_schema("POST", "/conversations/messages").ok_or("no such operation")?;
/// let violations = spec.validate(schema, &json!({"type": "Email", "contactId": 5, "status": "delivered"}));
///
/// assert_eq!(violations[0].pointer, "/contactId");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Spec {
    document: Value,
    /// The validator of each schema, compiled on first use.
    validators: BTreeMap<String, OnceLock<Result<Validator, SpecError>>>,
}

impl Spec {
    /// Returns the embedded OpenAPI spec. It is parsed once per process.
    ///
    /// # Errors
    ///
    /// Returns an error if the embedded spec is invalid. A test ensures that it is valid.
    pub fn load() -> Result<&'static Self, SpecError> {
        static SPEC: OnceLock<Result<Spec, SpecError>> = OnceLock::new();
        SPEC.get_or_init(|| Self::read(highlevel_spec::OPENAPI_YAML)).as_ref().map_err(Clone::clone)
    }

    /// Returns the embedded spec, or one that rejects all requests if it is invalid. Parsing takes longer than the rest of
    /// the start of a sandbox, so this is called when a request needs the spec.
    pub(crate) fn embedded() -> &'static Self {
        static INVALID: Spec = Spec { document: Value::Null, validators: BTreeMap::new() };
        Self::load().unwrap_or_else(|error| {
            tracing::error!(%error, "the embedded spec is invalid");
            &INVALID
        })
    }

    /// Parses an `OpenAPI` 3.0 document, and compiles all of its schemas.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not YAML, or a schema cannot be compiled.
    pub fn parse(yaml: &str) -> Result<Self, SpecError> {
        let spec = Self::read(yaml)?;
        for name in spec.validators.keys() {
            if let Some(Err(error)) = spec.validator(name) {
                return Err(error.clone());
            }
        }
        Ok(spec)
    }

    /// Parses a document without compiling its schemas.
    pub(crate) fn read(yaml: &str) -> Result<Self, SpecError> {
        let document: Value = serde_saphyr::from_str(yaml)
            .map_err(|error| SpecError(format!("the document is not valid YAML: {error}")))?;
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        let names = schemas.into_iter().flat_map(|schemas| schemas.keys());
        let validators = names.map(|name| (name.clone(), OnceLock::new())).collect();
        Ok(Self { document, validators })
    }

    /// Returns the validator of a schema, or the error of compiling it. Returns `None` if the schema does not exist.
    fn validator(&self, name: &str) -> Option<&Result<Validator, SpecError>> {
        let compile = || {
            // The schemas are at the path that references in the document use.
            let root = json!({
                "$ref": format!("#/components/schemas/{}", violation::escape(name)),
                "components": { "schemas": schema::with_references(&self.document, name) },
            });
            jsonschema::options()
                .with_draft(Draft::Draft7)
                .should_validate_formats(true)
                .with_keyword(width::INT64, |_, _, _| Ok(Box::new(width::Int64)))
                .build(&root)
                .map_err(|error| SpecError(format!("/components/schemas/{name} cannot be compiled: {error}")))
        };
        Some(self.validators.get(name)?.get_or_init(compile))
    }

    /// Validates `value` against a schema of `components/schemas`, and returns the violations ordered by pointer.
    ///
    /// An unknown schema name is a violation as well, so that a misspelt name never passes validation.
    pub fn validate(&self, schema_name: &str, value: &Value) -> Vec<Violation> {
        match self.validator(schema_name) {
            // Nearly all values are valid, and finding that out allocates nothing.
            Some(Ok(validator)) if validator.is_valid(value) => Vec::new(),
            Some(Ok(validator)) => violation::from_errors(validator.iter_errors(value)),
            Some(Err(error)) => vec![Violation {
                pointer: String::new(),
                keyword: "$ref".to_owned(),
                message: error.to_string(),
            }],
            None => vec![Violation {
                pointer: String::new(),
                keyword: "$ref".to_owned(),
                message: format!("schema {schema_name} does not exist in the spec"),
            }],
        }
    }

    /// Returns the JSON pointers of the fields of `value` that are not in the schema.
    pub fn unknown_fields(&self, schema_name: &str, value: &Value) -> Vec<String> {
        self.first_unknown_fields(schema_name, value, usize::MAX).pointers
    }

    /// Returns at most `max` of the [`unknown_fields`](Self::unknown_fields).
    pub(crate) fn first_unknown_fields(
        &self,
        schema_name: &str,
        value: &Value,
        max: usize,
    ) -> UndocumentedFields {
        let schemas = &self.document["components"]["schemas"];
        let mut found = UndocumentedFields { max, ..UndocumentedFields::default() };
        unknown::search(schemas, &schemas[schema_name], value, &mut String::new(), &mut found);
        found
    }

    /// Returns the schema name of an operation's JSON body, for example `SendMessageRequest`.
    pub fn request_schema(&self, method: &str, path: &str) -> Option<&str> {
        // Not a pointer, which allocates for each of its segments.
        let content = self.operation(method, path)?.get("requestBody")?.get("content")?;
        referenced_schema(content.get("application/json")?.get("schema")?)
    }

    /// Returns the schema name of a webhook event's payload. `event` is a key of `x-webhooks`.
    pub fn event_schema(&self, event: &str) -> Option<&str> {
        referenced_schema(self.document.get("x-webhooks")?.get(event)?.get("payload")?)
    }

    /// Returns the `operationId` of the operation with this method and path.
    pub fn operation_id(&self, method: &str, path: &str) -> Option<&str> {
        self.operation(method, path)?.get("operationId")?.as_str()
    }

    /// Returns the scopes that an operation requires.
    pub fn scopes(&self, method: &str, path: &str) -> Vec<&str> {
        let scopes = self.operation(method, path).and_then(|operation| operation.get("x-scopes")?.as_array());
        scopes.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Returns the values of a schema's `enum`, or no values if it has none.
    pub fn allowed_values(&self, schema_name: &str) -> Vec<&str> {
        self.document["components"]["schemas"][schema_name]["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Returns the names of all schemas, for use with [`validate`](Self::validate).
    pub fn schema_names(&self) -> impl Iterator<Item = &str> {
        self.validators.keys().map(String::as_str)
    }

    /// Returns the whole document, with YAML aliases resolved.
    pub fn document(&self) -> &Value {
        &self.document
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.document.get("paths")?.get(path)?.get(method.to_ascii_lowercase())
    }
}

/// An invalid spec. The message contains the location and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl std::fmt::Display for SpecError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::json_size::MAX_VALUES;

    #[test]
    fn all_schemas_of_the_embedded_spec_compile() {
        let spec = Spec::parse(highlevel_spec::OPENAPI_YAML).unwrap();
        assert!(spec.validators.values().all(|validator| matches!(validator.get(), Some(Ok(_)))));
        assert!(spec.validators.len() > 10);
    }

    /// The largest bodies that are accepted: a step is an error of the validator, or a field that is reported.
    #[test]
    fn the_cost_of_violations_and_unknown_fields_is_linear() {
        let spec = Spec::parse(highlevel_spec::OPENAPI_YAML).unwrap();
        let schema = "SendMessageRequest";
        for count in [1, 1_000, MAX_VALUES] {
            let wrong = json!({ "type": "SMS", "contactId": "c", "attachments": vec![0; count] });
            let Some(Ok(validator)) = spec.validator(schema) else { panic!("no validator of {schema}") };
            let mut steps = 0;
            let violations = violation::from_errors(validator.iter_errors(&wrong).inspect(|_| steps += 1));
            let of_entries = violations.iter().filter(|found| found.pointer.starts_with("/attachments/"));
            assert_eq!(of_entries.count(), count);
            assert!(steps <= count + 10, "{steps} steps for {count} entries");
            let bytes: usize = violations.iter().map(|found| found.pointer.len() + found.message.len()).sum();
            assert!(bytes <= 200 * (count + 10), "{bytes} bytes for {count} entries");

            let mut fields = Map::new();
            fields.extend((0..count).map(|number| (format!("field{number}"), json!(0))));
            let found = spec.first_unknown_fields(schema, &Value::Object(fields), usize::MAX);
            assert_eq!((found.pointers.len(), found.more), (count, 0));
            assert!(found.suggestions.len() <= unknown::MAX_SUGGESTIONS);
            let bytes: usize = found.pointers.iter().map(String::len).sum();
            assert!(bytes <= count * "/field00000".len(), "{bytes} bytes for {count} fields");
        }
    }
}
