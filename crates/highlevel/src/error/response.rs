//! The response that an error carries.

use bytes::Bytes;
use highlevel_wire::RawResponse;
use http::HeaderMap;
use serde_json::Value;

use super::text::{excerpt, printable};

/// A response that is not a receipt.
pub(super) struct ErrorResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) messages: Vec<String>,
    pub(super) trace_id: Option<String>,
}

impl ErrorResponse {
    pub(super) fn new(response: RawResponse) -> Self {
        let (messages, trace_id) = read_messages(&response.body);
        Self {
            status: response.status.as_u16(),
            headers: response.headers,
            body: response.body,
            messages,
            trace_id,
        }
    }

    /// Returns the server's messages and the trace id for `Display`; empty if there are none.
    pub(super) fn details(&self) -> String {
        let messages = match &*self.messages {
            [] => String::new(),
            messages => format!(": {}", printable(&excerpt(&messages.join("; ")))),
        };
        let trace = self.trace_id.as_deref().map(excerpt);
        let trace = trace.map(|trace| format!(" (trace {})", printable(&trace))).unwrap_or_default();
        messages + &trace
    }
}

/// Reads the messages and the trace id of a body of any shape.
fn read_messages(body: &[u8]) -> (Vec<String>, Option<String>) {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return (Vec::new(), None) };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // The OAuth endpoints use the other two fields.
    let message = ["message", "error_description", "error"]
        .into_iter()
        .find_map(|name| body.get(name).filter(|value| !value.is_null()));
    let messages = match message {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.iter().map(text).collect(),
        Some(message) => vec![text(message)],
    };
    (messages, body.get("traceId").and_then(Value::as_str).map(str::to_owned))
}
