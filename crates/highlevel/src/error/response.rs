//! The response that an error carries.

use bytes::Bytes;
use highlevel_wire::RawResponse;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::text::{excerpt, printable};

/// The fields that contain a message, in order of precedence. The OAuth endpoints use `error_description`; `error` is often
/// only the reason phrase of the status.
const MESSAGE_FIELDS: [&str; 7] =
    ["message", "error_description", "msg", "detail", "description", "errors", "error"];

/// The fields in which an error body can be nested.
const WRAPPERS: [&str; 3] = ["error", "message", "response"];

/// The maximum depth at which messages are read.
const MAX_DEPTH: usize = 8;

/// A response that is not a receipt.
pub(super) struct ErrorResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) details: Details,
}

/// The details of an error body of any shape.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Details {
    pub(super) messages: Vec<String>,
    pub(super) code: Option<String>,
    pub(super) arguments: Option<Map<String, Value>>,
    pub(super) trace_id: Option<String>,
}

impl ErrorResponse {
    pub(super) fn new(response: RawResponse) -> Self {
        let details = Details::read(&response.body);
        Self { status: response.status.as_u16(), headers: response.headers, body: response.body, details }
    }
}

impl Details {
    fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let mut messages = Vec::new();
        collect(&body, &mut messages, 0);
        let text: fn(&Value) -> Option<String> =
            |value| Some(value.as_str()?.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            messages,
            code: find(&body, "canonicalCode", 0, text),
            arguments: find(&body, "arguments", 0, |value| value.as_object().cloned()),
            trace_id: find(&body, "traceId", 0, text),
        }
    }

    /// Returns the messages, the code and the trace id for `Display`; empty if there are none.
    pub(super) fn summary(&self) -> String {
        let shown = |text: &str| printable(&excerpt(text));
        let messages = match &*self.messages {
            [] => String::new(),
            messages => format!(": {}", shown(&messages.join("; "))),
        };
        let code = self.code.as_deref().map(shown);
        let trace = self.trace_id.as_deref().map(|trace| format!("trace {}", shown(trace)));
        let ids: Vec<String> = code.into_iter().chain(trace).collect();
        if ids.is_empty() { messages } else { format!("{messages} ({})", ids.join(", ")) }
    }
}

/// Returns a field of the body, or of an object that the body is wrapped in.
fn find<T>(body: &Value, name: &str, depth: usize, read: fn(&Value) -> Option<T>) -> Option<T> {
    let inner = || WRAPPERS.iter().find_map(|wrapper| find(body.get(*wrapper)?, name, depth + 1, read));
    body.get(name).and_then(read).or_else(|| if depth < MAX_DEPTH { inner() } else { None })
}

/// Collects the messages of a value: of a string, of a list, and of objects that have a message or list the violated
/// constraints of a field. An object without a message is shown as JSON. The body itself is a
/// list or an object.
fn collect(value: &Value, messages: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Null => {}
        Value::String(_) | Value::Bool(_) | Value::Number(_) if depth == 0 => {}
        Value::String(text) if text.trim().is_empty() => {}
        Value::String(text) => messages.push(text.clone()),
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, messages, depth + 1)),
        Value::Object(fields) => {
            let before = messages.len();
            for field in MESSAGE_FIELDS.iter().filter_map(|name| fields.get(*name)) {
                collect(field, messages, depth + 1);
                if messages.len() > before {
                    return;
                }
            }
            if let Some(Value::Object(constraints)) = fields.get("constraints") {
                constraints.values().for_each(|text| collect(text, messages, depth + 1));
            }
            fields.get("children").into_iter().for_each(|children| collect(children, messages, depth + 1));
            if messages.len() == before && depth > 0 && !fields.is_empty() {
                messages.push(value.to_string());
            }
        }
        Value::Bool(_) | Value::Number(_) => messages.push(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_from_bodies_of_any_shape() {
        struct Case {
            body: Value,
            messages: &'static [&'static str],
        }
        for Case { body, messages } in [
            Case { body: json!({ "message": "no phone" }), messages: &["no phone"] },
            Case {
                body: json!({ "message": ["a is empty", "b is empty"] }),
                messages: &["a is empty", "b is empty"],
            },
            Case {
                body: json!({ "message": [["a"], ["b", 7]], "error": "Bad Request" }),
                messages: &["a", "b", "7"],
            },
            Case {
                body: json!({ "message": { "message": ["a", "b"], "error": "e" } }),
                messages: &["a", "b"],
            },
            Case { body: json!({ "error": { "message": "inner" }, "traceId": "t" }), messages: &["inner"] },
            Case { body: json!({ "error": { "error": { "message": "deep" } } }), messages: &["deep"] },
            Case { body: json!({ "errors": [{ "detail": "a" }, { "msg": "b" }] }), messages: &["a", "b"] },
            Case {
                body: json!({ "message": [
                    { "property": "contactId", "constraints": { "isNotEmpty": "empty", "isString": "no text" } },
                    { "property": "call", "children": [{ "property": "to", "constraints": { "isPhone": "no number" } }] },
                ] }),
                messages: &["empty", "no text", "no number"],
            },
            Case {
                body: json!({ "error": "UnAuthorized!", "error_description": "no code" }),
                messages: &["no code"],
            },
            Case { body: json!({ "message": "", "error": "Bad Request" }), messages: &["Bad Request"] },
            Case { body: json!({ "message": [], "error": "Bad Request" }), messages: &["Bad Request"] },
            Case { body: json!({ "message": { "code": 7 } }), messages: &["{\"code\":7}"] },
            Case { body: json!({ "status": 400, "message": "too large" }), messages: &["too large"] },
            Case { body: json!(["a", { "message": "b" }]), messages: &["a", "b"] },
            Case { body: json!("a"), messages: &[] },
            Case { body: json!({ "statusCode": 400, "message": null }), messages: &[] },
            Case { body: json!({}), messages: &[] },
            Case { body: json!(7), messages: &[] },
        ] {
            assert_eq!(Details::read(body.to_string().as_bytes()).messages, messages, "{body}");
        }
    }

    #[test]
    fn codes_are_read_from_bodies_and_their_wrappers() {
        let fields =
            json!({ "canonicalCode": "A_B", "arguments": { "channel": "Facebook" }, "traceId": "t" });
        let expected = Details {
            code: Some("A_B".to_owned()),
            arguments: json!({ "channel": "Facebook" }).as_object().cloned(),
            trace_id: Some("t".to_owned()),
            ..Details::default()
        };
        for body in [
            fields.clone(),
            json!({ "error": fields }),
            json!({ "message": fields }),
            json!({ "error": { "response": fields } }),
        ] {
            let read = Details::read(body.to_string().as_bytes());
            assert_eq!(Details { messages: Vec::new(), ..read }, expected, "{body}");
        }
        for body in [
            json!({ "canonicalCode": 7, "arguments": [], "traceId": null }),
            json!({ "canonicalCode": " " }),
            json!([{ "canonicalCode": "A_B" }]),
        ] {
            let read = Details::read(body.to_string().as_bytes());
            assert_eq!((read.code, read.arguments, read.trace_id), (None, None, None), "{body}");
        }
    }

    #[test]
    fn hostile_bodies_end() {
        let deep = format!("{}1{}", "{\"error\":".repeat(100), "}".repeat(100));
        assert_eq!(Details::read(deep.as_bytes()).messages.len(), 1);
        let wide = json!({ "message": vec!["a"; 10_000] }).to_string();
        assert_eq!(Details::read(wide.as_bytes()).messages.len(), 10_000);
    }
}
