//! The named faults. Each is one row of the table: its constant, the documentation, the list in the admin API, and the test
//! that observes each fault on the wire are derived from it.

use std::borrow::Cow;
use std::time::Duration;

use super::effect::{Ending, Extent, Fault, FaultBody, Pace};

/// A fault with a name.
pub(crate) struct Named {
    pub(crate) description: &'static str,
    pub(crate) fault: &'static Fault,
}

/// Returns all named faults in the order of the documentation.
pub(crate) fn all() -> &'static [Named] {
    CATALOGUE
}

/// Returns the fault with this name.
pub(crate) fn named(name: &str) -> Option<&'static Fault> {
    CATALOGUE.iter().map(|named| named.fault).find(|fault| fault.name == name)
}

/// Declares a constant of [`Fault`] and an entry of [`CATALOGUE`] for each row.
macro_rules! catalogue {
    ($( #[doc = $description:literal] $constant:ident $name:literal { $( $field:ident: $value:expr ),* $(,)? } )*) => {
        impl Fault {
            $(
                #[doc = concat!($description, " `", $name, "` in JSON.")]
                pub const $constant: Self =
                    Self { name: Cow::Borrowed($name), $( $field: $value, )* ..Self::PLAIN };
            )*
        }

        const CATALOGUE: &[Named] = &[
            $( Named { description: $description.trim_ascii(), fault: &Fault::$constant } ),*
        ];
    };
}

catalogue! {
    /// No fault; skips a request in a sequence.
    NONE "none" {}

    // The network.

    /// Connection reset, no response.
    RESET "reset" { extent: Extent::Nothing, ending: Ending::Reset }
    /// Connection reset inside the status line.
    RESET_IN_STATUS_LINE "reset-in-status-line" { extent: Extent::Bytes(10), ending: Ending::Reset }
    /// Connection reset after the response headers.
    RESET_AFTER_HEAD "reset-after-head" { extent: Extent::Head, ending: Ending::Reset }
    /// Connection reset inside the response body.
    RESET_IN_BODY "reset-in-body" { extent: Extent::Body(20), ending: Ending::Reset }
    /// Connection closed, no response.
    CLOSE "close" { extent: Extent::Nothing, ending: Ending::Close }
    /// Connection closed inside the status line.
    CLOSE_IN_STATUS_LINE "close-in-status-line" { extent: Extent::Bytes(10), ending: Ending::Close }
    /// Connection closed after the response headers, body missing.
    CLOSE_AFTER_HEAD "close-after-head" { extent: Extent::Head, ending: Ending::Close }
    /// Connection closed inside the response body: `content-length` is larger than the body sent.
    CUT_BODY "cut-body" { extent: Extent::Body(20), ending: Ending::Close }
    /// Hangs: no response at all.
    SILENCE "silence" { extent: Extent::Nothing, ending: Ending::Silence }
    /// Half a status line, then hangs.
    STALLED_STATUS_LINE "stalled-status-line" { extent: Extent::Bytes(10), ending: Ending::Silence }
    /// The status line, then hangs.
    STALLED_HEADERS "stalled-headers" { extent: Extent::StatusLine, ending: Ending::Silence }
    /// The response headers, then hangs before the body.
    STALLED_BODY "stalled-body" { extent: Extent::Head, ending: Ending::Silence }
    /// The full response, 16 bytes every 20 ms.
    TRICKLE "trickle" { pace: Some(Pace { bytes: 16, every_ms: 20 }) }
    /// The full response, 1 byte per second.
    SLOW_TRICKLE "slow-trickle" { pace: Some(Pace { bytes: 1, every_ms: 1000 }) }
    /// Valid response, then an unannounced close.
    CLOSE_AFTER_RESPONSE "close-after-response" { ending: Ending::Close }
    /// Valid response, then a connection reset.
    RESET_AFTER_RESPONSE "reset-after-response" { ending: Ending::Reset }
    /// Bytes that are not HTTP, then the connection is closed.
    GARBAGE "garbage" { raw: Some(Cow::Borrowed("SSH-2.0-OpenSSH_9.7\r\n")), ending: Ending::Close }
    /// Two contradictory `content-length` headers, then the connection is closed.
    CONTRADICTORY_LENGTH "contradictory-length" {
        raw: Some(Cow::Borrowed("HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}")),
        ending: Ending::Close,
    }
    /// 500 ms delay.
    LATENCY "latency" { latency: Duration::from_millis(500) }

    // Error responses.

    /// 400 Bad Request.
    BAD_REQUEST "bad-request" { status: Some(400) }
    /// 401 Unauthorized.
    UNAUTHORIZED "unauthorized" { status: Some(401) }
    /// 403 Forbidden.
    FORBIDDEN "forbidden" { status: Some(403) }
    /// 404 Not Found.
    NOT_FOUND "not-found" { status: Some(404) }
    /// 408 Request Timeout.
    REQUEST_TIMEOUT "request-timeout" { status: Some(408) }
    /// 409 Conflict.
    CONFLICT "conflict" { status: Some(409) }
    /// 413 HTML page from a proxy.
    TOO_LARGE_PAGE "too-large-page" {
        status: Some(413),
        headers: HTML,
        body: Some(FaultBody::Text(Cow::Borrowed("<html><h1>413 Request Entity Too Large</h1></html>\r\n"))),
    }
    /// 422 Unprocessable Entity.
    UNPROCESSABLE "unprocessable" { status: Some(422) }
    /// 429 without `Retry-After`.
    TOO_MANY_REQUESTS "too-many-requests" { status: Some(429) }
    /// 429 with `Retry-After: 1`.
    TOO_MANY_REQUESTS_RETRY_AFTER "too-many-requests-retry-after" {
        status: Some(429),
        headers: RETRY_AFTER,
    }
    /// 500 Internal Server Error.
    INTERNAL_ERROR "internal-error" { status: Some(500) }
    /// 502 HTML page from a proxy.
    BAD_GATEWAY_PAGE "bad-gateway-page" {
        status: Some(502),
        headers: HTML,
        body: Some(FaultBody::Text(Cow::Borrowed("<html><h1>502 Bad Gateway</h1></html>\r\n"))),
    }
    /// 503 Service Unavailable.
    UNAVAILABLE "unavailable" { status: Some(503) }
    /// 503 with `Retry-After: 1`.
    UNAVAILABLE_RETRY_AFTER "unavailable-retry-after" {
        status: Some(503),
        headers: RETRY_AFTER,
    }
    /// 504 HTML page from a proxy.
    GATEWAY_TIMEOUT_PAGE "gateway-timeout-page" {
        status: Some(504),
        headers: HTML,
        body: Some(FaultBody::Text(Cow::Borrowed("<html><h1>504 Gateway Time-out</h1></html>\r\n"))),
    }
    /// 520 (Cloudflare unknown error), empty body.
    UNKNOWN_ERROR "unknown-error" { status: Some(520), body: EMPTY }
    /// 302 redirect to another URL.
    REDIRECT "redirect" { status: Some(302), headers: ELSEWHERE, body: EMPTY }
    /// 307 redirect to another URL, which requires the client to repeat the request.
    TEMPORARY_REDIRECT "temporary-redirect" {
        status: Some(307),
        headers: ELSEWHERE,
        body: EMPTY,
    }

    // Malformed success responses.

    /// 201 with an empty body.
    EMPTY_SUCCESS "empty-success" { status: Some(201), body: EMPTY }
    /// 204 No Content.
    NO_CONTENT "no-content" { status: Some(204), body: EMPTY }
    /// 201 with an HTML page.
    PAGE "page" {
        status: Some(201),
        headers: HTML,
        body: Some(FaultBody::Text(Cow::Borrowed("<html><h1>It works!</h1></html>\r\n"))),
    }
    /// Valid response with content type `text/plain`.
    WRONG_CONTENT_TYPE "wrong-content-type" { headers: PLAIN_TEXT }
    /// 201 with truncated JSON (valid HTTP).
    BROKEN_JSON "broken-json" {
        status: Some(201),
        body: Some(FaultBody::Text(Cow::Borrowed("{\"conversationId\":\"abc\",\"messag"))),
    }
    /// 201 with unexpected JSON.
    WRONG_JSON "wrong-json" {
        status: Some(201),
        body: Some(FaultBody::Text(Cow::Borrowed("[{\"messageId\":5}]"))),
    }
    /// 201 with a 2 MiB body.
    OVERSIZED "oversized" { status: Some(201), body: Some(FaultBody::Padding(2 * 1024 * 1024)) }
}

type Headers = Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>;

const EMPTY: Option<FaultBody> = Some(FaultBody::Text(Cow::Borrowed("")));
const HTML: Headers = Cow::Borrowed(&[(Cow::Borrowed("content-type"), Cow::Borrowed("text/html"))]);
const PLAIN_TEXT: Headers = Cow::Borrowed(&[(Cow::Borrowed("content-type"), Cow::Borrowed("text/plain"))]);
const RETRY_AFTER: Headers = Cow::Borrowed(&[(Cow::Borrowed("retry-after"), Cow::Borrowed("1"))]);
const ELSEWHERE: Headers = Cow::Borrowed(&[(Cow::Borrowed("location"), Cow::Borrowed("/elsewhere"))]);

impl Fault {
    /// Returns one sentence about the effect, or `None` if the fault is not based on the catalogue.
    pub fn description(&self) -> Option<&'static str> {
        all().iter().find(|named| named.fault.name == self.name).map(|named| named.description)
    }

    /// Returns all faults of the catalogue.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        all().iter().map(|named| named.fault)
    }
}
