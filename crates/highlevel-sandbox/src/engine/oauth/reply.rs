//! The replies of the OAuth endpoints.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, PRAGMA, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::api::Call;
use crate::fidelity::Quirk;
use crate::oauth::page::Page;
use crate::oauth::{Rejection, redact};

/// The response to an OAuth request.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body with secrets redacted, for the ledger.
    pub(crate) recorded: String,
    /// The quirk that determined the response.
    pub(crate) quirk: Option<Quirk>,
}

impl Reply {
    /// Sets the quirk that determined the response.
    pub(crate) fn with_quirk(mut self, quirk: Option<Quirk>) -> Self {
        self.quirk = quirk;
        self
    }
}

pub(crate) fn content_type(call: Call<'_>) -> Option<&str> {
    call.headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Returns a token response. Intermediaries must not cache it (RFC 6749, section 5.1).
pub(crate) fn tokens(body: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, body);
    reply.headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

/// Returns an error response in the format of the API.
pub(crate) fn error_reply(status: StatusCode, message: &str) -> Reply {
    let body =
        json!({ "statusCode": status.as_u16(), "message": message, "error": status.canonical_reason() });
    json_reply(status, &body)
}

pub(crate) fn json_reply(status: StatusCode, body: &Value) -> Reply {
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    Reply {
        status,
        headers,
        body: body.to_string(),
        recorded: redact::response(body).to_string(),
        quirk: None,
    }
}

pub(crate) fn html_reply(status: StatusCode, page: Page) -> Reply {
    let policy = HeaderValue::from_str(&page.policy);
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        // Falls back to a policy that forbids everything if the page's policy is not a valid header value.
        (CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'"))),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    Reply { status, headers, recorded: page.html.clone(), body: page.html, quirk: None }
}

pub(crate) fn headers<const N: usize>(headers: [(HeaderName, HeaderValue); N]) -> HeaderMap {
    headers.into_iter().collect()
}

/// Returns the response to a request that an endpoint for companies rejects.
pub(crate) fn rejected(rejection: &Rejection, trace_id: &str) -> Reply {
    json_reply(rejection.status(), &rejection.body(trace_id))
}
