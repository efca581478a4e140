//! The query parameters of operations.

use serde_json::Value;

use super::Spec;

/// A query parameter of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryParameter<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_required: bool,
    /// The JSON type: `string`, `integer`, …
    pub(crate) kind: &'a str,
    /// The documented values, if they are listed.
    pub(crate) values: &'a [Value],
}

impl QueryParameter<'_> {
    /// Returns `true` if a value is listed, or if no values are.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        self.values.is_empty() || self.values.iter().any(|listed| listed == value)
    }

    /// Returns the documented values, separated by commas.
    pub(crate) fn listed(&self) -> String {
        let values: Vec<&str> = self.values.iter().filter_map(Value::as_str).collect();
        values.join(", ")
    }
}

impl Spec {
    /// Returns the query parameters of an operation.
    pub(crate) fn query_parameters(&self, method: &str, path: &str) -> Vec<QueryParameter<'_>> {
        let parameters =
            self.operation(method, path).and_then(|operation| operation["parameters"].as_array());
        let parameters = parameters.into_iter().flatten().map(|parameter| self.resolved(parameter));
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        in_query
            .filter_map(|parameter| {
                let schema = self.resolved(&parameter["schema"]);
                Some(QueryParameter {
                    name: parameter["name"].as_str()?,
                    is_required: parameter["required"] == true,
                    kind: schema["type"].as_str().unwrap_or("string"),
                    values: schema["enum"].as_array().map_or(&[], Vec::as_slice),
                })
            })
            .collect()
    }

    /// Returns the value that a reference points to, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        target.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let spec = Spec::parse(
            "
            paths:
              /a:
                get:
                  parameters:
                    - $ref: '#/components/parameters/Limit'
                    - {name: id, in: query, required: true, schema: {$ref: '#/components/schemas/Id'}}
                    - {name: Version, in: header, required: true, schema: {type: string}}
            components:
              parameters:
                Limit: {name: limit, in: query, schema: {type: integer}}
              schemas:
                Id: {type: string}
            ",
        )
        .unwrap();
        let found: Vec<_> = spec
            .query_parameters("GET", "/a")
            .iter()
            .map(|parameter| (parameter.name, parameter.is_required, parameter.kind))
            .collect();
        assert_eq!(found, [("limit", false, "integer"), ("id", true, "string")]);
        assert!(spec.query_parameters("POST", "/a").is_empty());
    }
}
