//! Applies a fault to a response: edits its parts, and selects the bytes to write.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::effect::{Ending, Extent, Fault, FaultBody};

/// The parts of an HTTP response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResponseParts {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The bytes that are written to the socket instead of a response of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) bytes: Bytes,
    /// The bytes of one chunk, and the time between two chunks.
    pub(crate) pace: Option<(usize, Duration)>,
    /// Never [`Ending::Normal`].
    pub(crate) ending: Ending,
}

/// Replaces status, headers and body of a response as the fault specifies.
pub(crate) fn edit(fault: &Fault, response: &mut ResponseParts, trace_id: &str) {
    if let Some(status) = fault.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        response.status = status;
        if status.is_client_error() || status.is_server_error() {
            response.body = error_body(status, trace_id);
        }
    }
    match &fault.body {
        Some(FaultBody::Text(text)) => response.body = Bytes::from(text.clone().into_owned()),
        Some(FaultBody::Padding(bytes)) => response.body = Bytes::from(vec![b' '; *bytes]),
        None => {}
    }
    if response.body.is_empty() {
        response.headers.remove(CONTENT_TYPE);
    }
    for (name, value) in fault.headers.iter() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value.as_ref()))
        {
            response.headers.insert(name, value);
        }
    }
}

/// Returns the body of an error, in the shape of the API.
fn error_body(status: StatusCode, trace_id: &str) -> Bytes {
    let reason = status.canonical_reason();
    let message = reason.unwrap_or("Unknown error");
    let body = json!({
        "statusCode": status.as_u16(),
        "message": message,
        "error": reason,
        "traceId": trace_id,
    });
    Bytes::from(body.to_string())
}

/// Returns the bytes to write for a fault that the HTTP server cannot produce.
pub(crate) fn script(fault: &Fault, response: &ResponseParts) -> Script {
    let whole = match &fault.raw {
        Some(raw) => Bytes::from(raw.clone().into_owned()),
        None => serialized(response),
    };
    let line = end_of(&whole, b"\r\n");
    let head = end_of(&whole, b"\r\n\r\n");
    let length = match fault.extent {
        Extent::Everything => whole.len(),
        Extent::Nothing => 0,
        Extent::Bytes(bytes) => bytes,
        Extent::StatusLine => line,
        Extent::Head => head,
        Extent::Body(bytes) => head.saturating_add(bytes),
    };
    Script {
        bytes: whole.slice(..length.min(whole.len())),
        pace: fault.pace.map(|pace| (pace.bytes, Duration::from_millis(pace.every_ms))),
        // After a partial response the client cannot find the beginning of the next one.
        ending: if fault.ending == Ending::Normal { Ending::Close } else { fault.ending },
    }
}

fn end_of(bytes: &[u8], mark: &[u8]) -> usize {
    bytes.windows(mark.len()).position(|window| window == mark).map_or(bytes.len(), |at| at + mark.len())
}

/// Serializes a response as HTTP/1.1.
fn serialized(response: &ResponseParts) -> Bytes {
    let reason = response.status.canonical_reason().unwrap_or_default();
    let mut bytes = Vec::with_capacity(1024 + response.body.len());
    bytes.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", response.status.as_u16()).as_bytes());
    for (name, value) in response.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if response.status != StatusCode::NO_CONTENT {
        bytes.extend_from_slice(format!("content-length: {}\r\n", response.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&response.body);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> ResponseParts {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ResponseParts { status: StatusCode::CREATED, headers, body: Bytes::from_static(b"{\"a\":1}") }
    }

    #[test]
    fn a_script_has_the_bytes_of_the_extent() {
        let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n";
        let whole = format!("{head}{{\"a\":1}}");
        let cases = [
            (Extent::Everything, whole.as_str()),
            (Extent::Nothing, ""),
            (Extent::Bytes(10), "HTTP/1.1 2"),
            (Extent::Bytes(usize::MAX), &whole),
            (Extent::StatusLine, "HTTP/1.1 201 Created\r\n"),
            (Extent::Head, head),
            (Extent::Body(3), &whole[..head.len() + 3]),
            (Extent::Body(usize::MAX), &whole),
        ];
        for (extent, expected) in cases {
            let script = script(&Fault::NONE.sending(extent), &response());
            assert_eq!(String::from_utf8_lossy(&script.bytes), expected, "{extent:?}");
            assert_eq!(script.ending, Ending::Close);
        }
    }

    #[test]
    fn a_fault_replaces_status_headers_and_body() {
        let edited = |fault: &Fault| {
            let mut response = response();
            edit(fault, &mut response, "trace");
            let content_type =
                response.headers.get(CONTENT_TYPE).map(|value| value.to_str().expect("text").to_owned());
            (response.status.as_u16(), content_type, String::from_utf8_lossy(&response.body).into_owned())
        };
        let json = Some("application/json".to_owned());
        let original = "{\"a\":1}".to_owned();
        let error = r#"{"error":"Service Unavailable","message":"Service Unavailable","statusCode":503,"traceId":"trace"}"#;
        let page = "<html><h1>502 Bad Gateway</h1></html>\r\n".to_owned();
        let cases = [
            (Fault::RESET, (201, json.clone(), original.clone())),
            (Fault::UNAVAILABLE, (503, json.clone(), error.to_owned())),
            (Fault::BAD_GATEWAY_PAGE, (502, Some("text/html".to_owned()), page)),
            (Fault::EMPTY_SUCCESS, (201, None, String::new())),
            (Fault::WRONG_CONTENT_TYPE, (201, Some("text/plain".to_owned()), original.clone())),
            (Fault::status(202), (202, json, original)),
        ];
        for (fault, expected) in cases {
            assert_eq!(edited(&fault), expected, "{}", fault.name());
        }
    }
}
