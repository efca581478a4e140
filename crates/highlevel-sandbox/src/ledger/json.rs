//! Entries as JSON, for the admin API and the event stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Entry, LedgerEvent, RecordedRequest};
use crate::headers::RecordedHeaders;
use crate::json_size::has_too_many_values;
use crate::operation::Operation;

impl Entry {
    /// Returns the event name in the event stream: `request`, `message`, `delivery`, `changed` or `missed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Message(_) => "message",
            Self::Delivery(_) => "delivery",
            Self::Changed(_) => "changed",
            Self::Missed(_) => "missed",
        }
    }

    /// Returns the data of the event in the event stream.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Request(request) => request.to_json(),
            Self::Message(message) => json!(message),
            Self::Delivery(attempt) => attempt.to_json(),
            Self::Changed(what) => json!({ "what": what }),
            Self::Missed(entries) => json!({ "entries": entries }),
        }
    }
}

impl LedgerEvent {
    /// Returns the same as [`Entry::name`].
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Message(_) => "message",
            Self::Delivery(_) => "delivery",
            Self::Changed(_) => "changed",
            Self::Missed(_) => "missed",
        }
    }

    /// Returns the same as [`Entry::to_json`].
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Request(request) => request.to_json(),
            Self::Message(message) => json!(**message),
            other => Entry::from(other.clone()).to_json(),
        }
    }
}

impl RecordedRequest {
    /// Returns the form of the admin API.
    pub(crate) fn to_json(&self) -> Value {
        let violations: Vec<Value> = self
            .violations
            .iter()
            .map(|each| json!({"pointer": each.pointer, "keyword": each.keyword, "message": each.message}))
            .collect();
        json!({
            "id": self.id,
            "number": self.number,
            "receivedAt": self.received_at,
            "durationUs": u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
            "method": self.method,
            "path": self.path,
            "headers": headers(&self.headers),
            "body": body(&self.body),
            "operation": self.operation.map(Operation::id),
            "locationId": self.location_id,
            "fingerprint": self.fingerprint.map(|fingerprint| fingerprint.to_string()),
            "acceptedBefore": self.accepted_before,
            "violations": violations,
            "moreViolations": self.more_violations,
            "tolerated": self.tolerated,
            "unknownFields": self.unknown_fields,
            "suggestions": self.suggestions,
            "moreUnknownFields": self.more_unknown_fields,
            "accepted": self.accepted,
            "messageId": self.message_id,
            "quirk": self.quirk,
            "refusal": self.refusal,
            "note": self.note,
            "fault": self.fault,
            "broken": self.broken,
            "status": self.status,
            "responseHeaders": headers(&self.response_headers),
            "response": body(&self.response),
        })
    }
}

/// Returns headers as pairs, because names can repeat.
fn headers(headers: &RecordedHeaders) -> Value {
    headers.iter().map(|(name, value)| json!([name, value])).collect()
}

/// Returns a body as `{"json": …}`, `{"text": …}` or `{"base64": …}`, and `{}` if it is empty. JSON with too many values
/// is returned as text.
fn body(bytes: &[u8]) -> Value {
    let mut shown = Map::new();
    if bytes.is_empty() {
        // Returns `{}`.
    } else if !has_too_many_values(bytes)
        && let Ok(value) = serde_json::from_slice::<Value>(bytes)
    {
        shown.insert("json".to_owned(), value);
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        shown.insert("text".to_owned(), text.into());
    } else {
        shown.insert("base64".to_owned(), STANDARD.encode(bytes).into());
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_text_or_base64() {
        let cases: [(&[u8], Value); 4] = [
            (b"", json!({})),
            (b"{\"a\":1}", json!({"json": {"a": 1}})),
            (b"<html>", json!({"text": "<html>"})),
            (b"\xff", json!({"base64": "/w=="})),
        ];
        for (bytes, expected) in cases {
            assert_eq!(body(bytes), expected);
        }
    }
}
