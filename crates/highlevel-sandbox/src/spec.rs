//! The specification as something to validate with.

mod schema;
mod unknown;
mod violation;
mod width;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use schema::referenced_schema;
pub use violation::Violation;
pub(crate) use violation::shortened;

/// The specification, parsed, with a validator for each of its schemas.
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
    /// All of `components/schemas`, as JSON Schema.
    schemas: Value,
    /// For each of them, compiled when it is needed first.
    validators: BTreeMap<String, OnceLock<Result<Validator, SpecError>>>,
}

impl Spec {
    /// Returns the embedded OpenAPI spec. It is parsed once per process.
    ///
    /// # Errors
    ///
    /// The embedded specification is not valid, which a test rules out.
    pub fn load() -> Result<&'static Self, SpecError> {
        static SPEC: OnceLock<Result<Spec, SpecError>> = OnceLock::new();
        SPEC.get_or_init(|| Self::read(highlevel_spec::OPENAPI_YAML)).as_ref().map_err(Clone::clone)
    }

    /// Reads an `OpenAPI` 3.0 document.
    ///
    /// # Errors
    ///
    /// The text is not YAML, or one of its schemas cannot be compiled.
    pub fn parse(yaml: &str) -> Result<Self, SpecError> {
        let spec = Self::read(yaml)?;
        for name in spec.validators.keys() {
            if let Some(Err(error)) = spec.validator(name) {
                return Err(error.clone());
            }
        }
        Ok(spec)
    }

    /// Reads a document, and compiles none of its schemas yet.
    pub(crate) fn read(yaml: &str) -> Result<Self, SpecError> {
        let document: Value = serde_saphyr::from_str(yaml)
            .map_err(|error| SpecError(format!("the document is not YAML: {error}")))?;
        let schemas = schema::json_schemas(&document);
        let validators = schemas.keys().map(|name| (name.clone(), OnceLock::new())).collect();
        Ok(Self { document, schemas: schemas.into(), validators })
    }

    /// The validator of a schema, if there is such a schema, or why it cannot be compiled.
    fn validator(&self, name: &str) -> Option<&Result<Validator, SpecError>> {
        let compile = || {
            // Each validator sees all schemas under the path that the document's references name.
            let root = json!({
                "$ref": format!("#/components/schemas/{}", violation::escape(name)),
                "components": { "schemas": self.schemas },
            });
            jsonschema::options()
                .with_draft(Draft::Draft7)
                .should_validate_formats(true)
                .with_keyword(width::INT64, |_, _, _| Ok(Box::new(width::Int64)))
                .build(&root)
                .map_err(|error| SpecError(format!("/components/schemas/{name} cannot be used: {error}")))
        };
        Some(self.validators.get(name)?.get_or_init(compile))
    }

    /// Every fault of `value` by the named schema of `components/schemas`, in the order of their pointers.
    ///
    /// A name that the specification does not have is a fault as well, so that a typing error never passes as valid.
    pub fn validate(&self, schema_name: &str, value: &Value) -> Vec<Violation> {
        match self.validator(schema_name) {
            Some(Ok(validator)) => violation::from_errors(validator.iter_errors(value)),
            Some(Err(error)) => vec![Violation {
                pointer: String::new(),
                keyword: "$ref".to_owned(),
                message: error.to_string(),
            }],
            None => vec![Violation {
                pointer: String::new(),
                keyword: "$ref".to_owned(),
                message: format!("the specification has no schema {schema_name}"),
            }],
        }
    }

    /// The JSON pointers of the fields of `value` that the named schema and those that it refers to do not have.
    pub fn unknown_fields(&self, schema_name: &str, value: &Value) -> Vec<String> {
        self.first_unknown_fields(schema_name, value, usize::MAX).0
    }

    /// At most `max` of the [`unknown_fields`](Self::unknown_fields), and how many there are besides.
    pub(crate) fn first_unknown_fields(
        &self,
        schema_name: &str,
        value: &Value,
        max: usize,
    ) -> (Vec<String>, usize) {
        let schemas = &self.document["components"]["schemas"];
        let (mut found, mut more) = (Vec::new(), 0);
        unknown::fields(schemas, &schemas[schema_name], value, &mut String::new(), &mut |pointer: &str| {
            if found.len() < max { found.push(pointer.to_owned()) } else { more += 1 }
        });
        (found, more)
    }

    /// The name of the schema of an operation's JSON body, for example `SendMessageRequest`.
    pub fn request_schema(&self, method: &str, path: &str) -> Option<&str> {
        let schema =
            self.operation(method, path)?.pointer("/requestBody/content/application~1json/schema")?;
        referenced_schema(schema)
    }

    /// The name of the schema of a webhook event's payload, by the event's name under `x-webhooks`.
    pub fn event_schema(&self, event: &str) -> Option<&str> {
        referenced_schema(self.document.get("x-webhooks")?.get(event)?.get("payload")?)
    }

    /// The `operationId` of what is served under a method and a path.
    pub fn operation_id(&self, method: &str, path: &str) -> Option<&str> {
        self.operation(method, path)?.get("operationId")?.as_str()
    }

    /// The scopes that an operation demands of a token.
    pub fn scopes(&self, method: &str, path: &str) -> Vec<&str> {
        let scopes = self.operation(method, path).and_then(|operation| operation.get("x-scopes")?.as_array());
        scopes.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The values that a named schema lists in its `enum`; none when it has no `enum`.
    pub fn allowed_values(&self, schema_name: &str) -> Vec<&str> {
        self.document["components"]["schemas"][schema_name]["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The names of all schemas that [`validate`](Self::validate) takes.
    pub fn schema_names(&self) -> impl Iterator<Item = &str> {
        self.validators.keys().map(String::as_str)
    }

    /// The whole document as it was written, aliases resolved.
    pub fn document(&self) -> &Value {
        &self.document
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.document.get("paths")?.get(path)?.get(method.to_ascii_lowercase())
    }
}

/// The specification cannot be used. Its text says where and why.
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
    use super::*;

    #[test]
    fn every_schema_of_the_embedded_specification_can_be_compiled() {
        let spec = Spec::parse(highlevel_spec::OPENAPI_YAML).unwrap();
        assert!(spec.validators.values().all(|validator| matches!(validator.get(), Some(Ok(_)))));
        assert!(spec.validators.len() > 10);
    }
}
