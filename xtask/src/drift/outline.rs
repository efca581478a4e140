//! The parts of an OpenAPI document that are compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The operations of a document, by method and path. Path parameters have no names: `GET /conversations/{}`.
pub(super) type Outline = BTreeMap<String, Operation>;

/// The fields and statuses of an operation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Operation {
    /// Parameters and fields by place, for example `header Version`, `request call.to` or `response messageIds[]`.
    pub(super) fields: BTreeMap<String, Field>,
    /// The documented statuses.
    pub(super) statuses: BTreeSet<String>,
}

/// A field or a parameter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// The type, for example `string` or `array or string`. `None` if the document does not contain it.
    pub(super) kind: Option<String>,
    pub(super) is_required: bool,
    pub(super) values: BTreeSet<String>,
}

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Returns the operations of a document. Bodies of errors are not compared: the vendor keeps them in another file.
pub(super) fn outline(document: &Value) -> Outline {
    let mut outline = Outline::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let name = format!("{} {}", method.to_uppercase(), anonymous(path));
                outline.insert(name, Reader { document }.operation(operation));
            }
        }
    }
    outline
}

/// Removes the names of path parameters, and the slash at the end.
fn anonymous(path: &str) -> String {
    let segments = path.trim_end_matches('/').split('/');
    let segments = segments.map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

struct Reader<'d> {
    document: &'d Value,
}

impl<'d> Reader<'d> {
    fn operation(&self, operation: &'d Value) -> Operation {
        let mut found = Operation::default();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = self.resolve(parameter);
            let name = parameter["name"].as_str().unwrap_or_default();
            // The names of path parameters differ without effect.
            if parameter["in"] != "path" {
                let place = format!("{} {name}", parameter["in"].as_str().unwrap_or_default());
                let is_required = parameter["required"] == true;
                self.field(&parameter["schema"], &place, is_required, &mut Vec::new(), &mut found.fields);
            }
        }
        let body = self.resolve(&operation["requestBody"]);
        self.body(body, "request", &mut found.fields);
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            found.statuses.insert(status.clone());
            if status == "200" || status == "201" {
                self.body(self.resolve(response), "response", &mut found.fields);
            }
        }
        found
    }

    /// Adds the fields of a JSON body.
    fn body(&self, body: &'d Value, place: &str, fields: &mut BTreeMap<String, Field>) {
        if let Some(schema) = body.pointer("/content/application~1json/schema") {
            self.children(schema, place, ' ', &mut Vec::new(), fields);
        }
    }

    fn field(
        &self,
        schema: &'d Value,
        place: &str,
        is_required: bool,
        parents: &mut Vec<&'d str>,
        fields: &mut BTreeMap<String, Field>,
    ) {
        let kind = self.kind(schema);
        let mut values = BTreeSet::new();
        for part in self.parts(schema) {
            values.extend(part["enum"].as_array().into_iter().flatten().map(text));
        }
        fields.insert(place.to_owned(), Field { kind, is_required, values });
        self.children(schema, place, '.', parents, fields);
    }

    /// Adds the fields within a schema. A schema that contains itself is not followed twice.
    fn children(
        &self,
        schema: &'d Value,
        place: &str,
        separator: char,
        parents: &mut Vec<&'d str>,
        fields: &mut BTreeMap<String, Field>,
    ) {
        let reference = schema["$ref"].as_str();
        if reference.is_some_and(|reference| parents.contains(&reference)) {
            return;
        }
        parents.extend(reference);
        for part in self.parts(schema) {
            let required = part.get("x-required-by-reference").unwrap_or(&part["required"]);
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                let is_required =
                    required.as_array().is_some_and(|names| names.iter().any(|each| each == name.as_str()));
                self.field(property, &format!("{place}{separator}{name}"), is_required, parents, fields);
            }
            if let Some(items) = part.get("items").filter(|items| items.get("$ref").is_some()) {
                self.children(items, &format!("{place}[]"), '.', parents, fields);
            } else if part["items"]["properties"].is_object() {
                self.children(&part["items"], &format!("{place}[]"), '.', parents, fields);
            }
        }
        if reference.is_some() {
            parents.pop();
        }
    }

    /// Returns the schema and the schemas that `allOf` joins, references resolved.
    fn parts(&self, schema: &'d Value) -> Vec<&'d Value> {
        let schema = self.resolve(schema);
        let joined = schema["allOf"].as_array().into_iter().flatten();
        std::iter::once(schema).chain(joined.map(|part| self.resolve(part))).collect()
    }

    fn kind(&self, schema: &'d Value) -> Option<String> {
        if schema["$ref"].as_str().is_some() && self.resolve(schema).is_null() {
            return None;
        }
        let parts = self.parts(schema);
        let branches = parts.iter().flat_map(|part| part["oneOf"].as_array().into_iter().flatten());
        let mut kinds: Vec<String> = branches.filter_map(|branch| self.kind(branch)).collect();
        kinds.extend(parts.iter().filter_map(|part| part["type"].as_str()).map(str::to_owned));
        kinds.sort_unstable();
        kinds.dedup();
        Some(if kinds.is_empty() { "any".to_owned() } else { kinds.join(" or ") })
    }

    /// Follows a reference within the document. Returns `null` for one to another file.
    fn resolve(&self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let target = reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
                target.unwrap_or(&Value::Null)
            }
            None => value,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
