//! The query string of a request.

use std::collections::BTreeMap;

use crate::fidelity::Strictness;
use crate::spec::{QueryParameter, Violation};

/// The parameters of a query string. Of repeated parameters, the first one counts.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Parses the query of a request target.
    pub(super) fn parse(target: &str) -> Self {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(parameters)
    }

    /// Returns a parameter, if it has a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns a parameter as a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Returns the requested number of records on a page.
    pub(super) fn limit(&self, default: usize, max: usize) -> usize {
        let limit = self.number("limit").and_then(|limit| usize::try_from(limit).ok());
        limit.filter(|limit| *limit > 0).unwrap_or(default).min(max)
    }

    pub(super) fn violations(
        &self,
        parameters: &[QueryParameter<'_>],
        strictness: Strictness,
    ) -> Vec<Violation> {
        let violations = parameters.iter().filter_map(|parameter| {
            let pointer = format!("/{}", parameter.name);
            match self.get(parameter.name) {
                None if parameter.is_required => {
                    Some(Violation::new(&pointer, "required", "is required, but it is missing"))
                }
                Some(value) if parameter.kind == "integer" && value.parse::<i64>().is_err() => {
                    Some(Violation::new(&pointer, "type", "must be an integer"))
                }
                // Which other values the live API accepts is not known.
                Some(value) if strictness == Strictness::Documented && !parameter.accepts(value) => {
                    Some(Violation::new(&pointer, "enum", &format!("must be one of {}", parameter.listed())))
                }
                _ => None,
            }
        });
        violations.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_validated() {
        let query = Query::parse("/a?number=%2B1503&q=a+b&empty=&number=2&limit=7");
        assert_eq!(query.get("number"), Some("+1503"));
        assert_eq!((query.get("q"), query.get("empty"), query.get("other")), (Some("a b"), None, None));
        for (target, limit) in
            [("/a", 20), ("/a?limit=7", 7), ("/a?limit=1000", 100), ("/a?limit=0", 20), ("/a?limit=-1", 20)]
        {
            assert_eq!(Query::parse(target).limit(20, 100), limit, "{target}");
        }
        let orders = [json!("asc"), json!("desc")];
        let parameters = [
            QueryParameter { name: "locationId", is_required: true, kind: "string", values: &[] },
            QueryParameter { name: "limit", is_required: false, kind: "integer", values: &[] },
            QueryParameter { name: "sort", is_required: false, kind: "string", values: &orders },
        ];
        let orders_are_checked = |strictness| {
            !Query::parse("/a?locationId=b&sort=up").violations(&parameters, strictness).is_empty()
        };
        assert!(orders_are_checked(Strictness::Documented));
        assert!(!orders_are_checked(Strictness::Lenient));
        let messages = |target: &str| -> Vec<String> {
            Query::parse(target)
                .violations(&parameters, Strictness::Documented)
                .into_iter()
                .map(|each| each.message)
                .collect()
        };
        assert_eq!(
            messages("/a?limit=x"),
            [
                "locationId is required, but it is missing (at /locationId)",
                "limit must be an integer (at /limit)"
            ]
        );
        assert!(messages("/a?locationId=b&limit=2").is_empty());
    }
}
