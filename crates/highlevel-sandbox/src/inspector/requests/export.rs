//! Exports the filtered requests as HAR 1.2 and as JSON. The ledger has no credentials, so neither have the exports.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::search::Search;
use crate::engine::Engine;
use crate::headers::RecordedHeaders;
use crate::inspector::filter::Filter;
use crate::ledger::RecordedRequest;

/// The maximum number of exported requests, and the size of the entries after which an export ends, in bytes.
const MOST: usize = 1_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Returns the newest matching requests as HAR 1.2, oldest first.
pub(super) fn har(state: &Engine, filter: &Filter, base_url: &str) -> Vec<u8> {
    let (entries, is_cut) = entries(state, filter, |request| entry(request, base_url));
    let comment = if is_cut { "truncated to the newest requests" } else { "" };
    let creator = json!({"name": "highlevel-sandbox", "version": env!("CARGO_PKG_VERSION")});
    format!(
        r#"{{"log":{{"version":"1.2","creator":{creator},"comment":"{comment}","entries":[{}]}}}}"#,
        entries.join(",\n")
    )
    .into_bytes()
}

/// Returns the newest matching requests in the form of the admin API, newest first.
pub(super) fn json(state: &Engine, filter: &Filter) -> Vec<u8> {
    let (mut entries, is_cut) = entries(state, filter, RecordedRequest::to_json);
    entries.reverse();
    format!(r#"{{"truncated":{is_cut},"requests":[{}]}}"#, entries.join(",\n")).into_bytes()
}

/// Returns the serialized entries, oldest first, and `true` if there are more.
fn entries(
    state: &Engine,
    filter: &Filter,
    serialize: impl Fn(&RecordedRequest) -> Value,
) -> (Vec<String>, bool) {
    let search = Search::new(state, filter);
    let contact_of = |id: &str| state.model().message(id).map(|message| message.contact_id.to_string());
    let (mut bytes, mut is_full) = (0, false);
    let (mut entries, more) = state.ledger.collect(MOST, |request| {
        if is_full || !search.fits(request, contact_of) {
            return None;
        }
        if bytes > MAX_BYTES {
            is_full = true;
            return None;
        }
        let entry = serialize(request).to_string();
        bytes += entry.len();
        Some(entry)
    });
    entries.reverse();
    (entries, more || is_full)
}

fn entry(request: &RecordedRequest, base_url: &str) -> Value {
    let milliseconds = request.duration.as_secs_f64() * 1000.0;
    let slash = if request.path.starts_with('/') { "" } else { "/" };
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let query = form_urlencoded::parse(query.as_bytes());
    let reason = StatusCode::from_u16(request.status).ok().and_then(|status| status.canonical_reason());
    let mut sent = json!({
        "method": request.method,
        "url": format!("{base_url}{slash}{}", request.path),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers(&request.headers),
        "queryString": query.map(|(name, value)| pair(&name, &value)).collect::<Vec<_>>(),
        "headersSize": -1,
        "bodySize": request.body.len(),
    });
    if !request.body.is_empty() {
        sent["postData"] = content(&request.body, request.header("content-type"));
    }
    let mut body = content(&request.response, request.response_header("content-type"));
    body["size"] = request.response.len().into();
    json!({
        "startedDateTime": request.received_at,
        "time": milliseconds,
        "request": sent,
        "response": {
            "status": request.status,
            "statusText": reason.unwrap_or_default(),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": headers(&request.response_headers),
            "content": body,
            "redirectURL": request.response_header("location").unwrap_or_default(),
            "headersSize": -1,
            "bodySize": request.response.len(),
        },
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "comment": format!("request {}", request.id),
    })
}

fn pair(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn headers(headers: &RecordedHeaders) -> Vec<Value> {
    headers.iter().map(|(name, value)| pair(name, value)).collect()
}

/// Returns a body as text, or in base64 if it is not UTF-8.
fn content(body: &[u8], media_type: Option<&str>) -> Value {
    let mut content = Map::new();
    content.insert("mimeType".to_owned(), media_type.unwrap_or_default().into());
    if let Ok(text) = std::str::from_utf8(body) {
        content.insert("text".to_owned(), text.into());
    } else {
        content.insert("encoding".to_owned(), "base64".into());
        content.insert("text".to_owned(), STANDARD.encode(body).into());
    }
    content.into()
}
