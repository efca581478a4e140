//! The faults that have a name. Adding one is adding a row: the constant, its documentation, the list that the admin
//! API answers, and the test that sees each of them on the wire, all come from the row.

use std::borrow::Cow;
use std::time::Duration;

use super::{Content, Ending, Extent, Fault, Pace};

/// A fault with a name.
pub(crate) struct Named {
    pub(crate) description: &'static str,
    pub(crate) fault: &'static Fault,
}

/// All faults with a name, in the order in which they are documented.
pub(crate) fn all() -> &'static [Named] {
    CATALOGUE
}

/// The fault of that name.
pub(crate) fn named(name: &str) -> Option<&'static Fault> {
    CATALOGUE.iter().map(|named| named.fault).find(|fault| fault.name == name)
}

/// Makes of each row a constant of [`Fault`] and an entry of [`CATALOGUE`].
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
    /// Nothing goes wrong: for the places in a sequence at which a request is left alone.
    NONE "none" {}

    // The network.

    /// RST without an answer.
    RESET "reset" { extent: Extent::Nothing, ending: Ending::Reset }
    /// RST in the middle of the status line.
    RESET_IN_STATUS_LINE "reset-in-status-line" { extent: Extent::Bytes(10), ending: Ending::Reset }
    /// RST after the head of the answer.
    RESET_AFTER_HEAD "reset-after-head" { extent: Extent::Head, ending: Ending::Reset }
    /// RST in the middle of the body.
    RESET_IN_BODY "reset-in-body" { extent: Extent::Body(20), ending: Ending::Reset }
    /// FIN without an answer.
    CLOSE "close" { extent: Extent::Nothing, ending: Ending::Close }
    /// FIN in the middle of the status line.
    CLOSE_IN_STATUS_LINE "close-in-status-line" { extent: Extent::Bytes(10), ending: Ending::Close }
    /// FIN after the head of an answer that was to have a body.
    CLOSE_AFTER_HEAD "close-after-head" { extent: Extent::Head, ending: Ending::Close }
    /// FIN in the middle of the body: `content-length` is larger than what was sent.
    CUT_BODY "cut-body" { extent: Extent::Body(20), ending: Ending::Close }
    /// The request is taken and no byte comes back.
    SILENCE "silence" { extent: Extent::Nothing, ending: Ending::Silence }
    /// Half a status line, then silence.
    STALLED_STATUS_LINE "stalled-status-line" { extent: Extent::Bytes(10), ending: Ending::Silence }
    /// The status line, then silence.
    STALLED_HEADERS "stalled-headers" { extent: Extent::StatusLine, ending: Ending::Silence }
    /// The head, and no byte of the body.
    STALLED_BODY "stalled-body" { extent: Extent::Head, ending: Ending::Silence }
    /// The whole answer, 16 bytes every 20 milliseconds.
    TRICKLE "trickle" { pace: Some(Pace { bytes: 16, every_ms: 20 }) }
    /// The whole answer, one byte every second.
    SLOW_TRICKLE "slow-trickle" { pace: Some(Pace { bytes: 1, every_ms: 1000 }) }
    /// The answer is right, and FIN comes after it although nothing announced that.
    CLOSE_AFTER_ANSWER "close-after-answer" { ending: Ending::Close }
    /// The answer is right, and RST comes after it.
    RESET_AFTER_ANSWER "reset-after-answer" { ending: Ending::Reset }
    /// Something that is not HTTP, then FIN.
    GARBAGE "garbage" { raw: Some(Cow::Borrowed("SSH-2.0-OpenSSH_9.7\r\n")), ending: Ending::Close }
    /// Two headers that contradict each other about the length of the body, then FIN.
    CONTRADICTORY_LENGTH "contradictory-length" {
        raw: Some(Cow::Borrowed("HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}")),
        ending: Ending::Close,
    }
    /// The answer comes after half a second.
    LATENCY "latency" { latency: Duration::from_millis(500) }

    // Answers of the API that say no.

    /// 400.
    BAD_REQUEST "bad-request" { status: Some(400) }
    /// 401.
    UNAUTHORIZED "unauthorized" { status: Some(401) }
    /// 403.
    FORBIDDEN "forbidden" { status: Some(403) }
    /// 404.
    NOT_FOUND "not-found" { status: Some(404) }
    /// 408.
    REQUEST_TIMEOUT "request-timeout" { status: Some(408) }
    /// 409.
    CONFLICT "conflict" { status: Some(409) }
    /// 413 from the proxy in front, as a page.
    TOO_LARGE_PAGE "too-large-page" {
        status: Some(413),
        headers: HTML,
        body: Some(Content::Text(Cow::Borrowed("<html><h1>413 Request Entity Too Large</h1></html>\r\n"))),
    }
    /// 422.
    UNPROCESSABLE "unprocessable" { status: Some(422) }
    /// 429 that does not say how long to wait.
    TOO_MANY_REQUESTS "too-many-requests" { status: Some(429) }
    /// 429 that asks to wait for one second.
    TOO_MANY_REQUESTS_RETRY_AFTER "too-many-requests-retry-after" {
        status: Some(429),
        headers: RETRY_AFTER,
    }
    /// 500.
    INTERNAL_ERROR "internal-error" { status: Some(500) }
    /// 502 from the proxy in front, as a page.
    BAD_GATEWAY_PAGE "bad-gateway-page" {
        status: Some(502),
        headers: HTML,
        body: Some(Content::Text(Cow::Borrowed("<html><h1>502 Bad Gateway</h1></html>\r\n"))),
    }
    /// 503.
    UNAVAILABLE "unavailable" { status: Some(503) }
    /// 503 that asks to wait for one second.
    UNAVAILABLE_RETRY_AFTER "unavailable-retry-after" {
        status: Some(503),
        headers: RETRY_AFTER,
    }
    /// 504 from the proxy in front, as a page.
    GATEWAY_TIMEOUT_PAGE "gateway-timeout-page" {
        status: Some(504),
        headers: HTML,
        body: Some(Content::Text(Cow::Borrowed("<html><h1>504 Gateway Time-out</h1></html>\r\n"))),
    }
    /// 520, which a proxy makes of an answer that it does not understand, without a body.
    UNKNOWN_ERROR "unknown-error" { status: Some(520), body: EMPTY }
    /// 302 to another address.
    REDIRECT "redirect" { status: Some(302), headers: ELSEWHERE, body: EMPTY }
    /// 307 to another address, which asks for the same request again.
    TEMPORARY_REDIRECT "temporary-redirect" {
        status: Some(307),
        headers: ELSEWHERE,
        body: EMPTY,
    }

    // Answers that say yes, and are no receipts.

    /// 201 without a body.
    EMPTY_SUCCESS "empty-success" { status: Some(201), body: EMPTY }
    /// 204.
    NO_CONTENT "no-content" { status: Some(204), body: EMPTY }
    /// 201 with a page.
    PAGE "page" {
        status: Some(201),
        headers: HTML,
        body: Some(Content::Text(Cow::Borrowed("<html><h1>It works!</h1></html>\r\n"))),
    }
    /// The answer is right, and its content type is `text/plain`.
    WRONG_CONTENT_TYPE "wrong-content-type" { headers: PLAIN_TEXT }
    /// 201 with half a JSON object, whole as HTTP sees it.
    BROKEN_JSON "broken-json" {
        status: Some(201),
        body: Some(Content::Text(Cow::Borrowed("{\"conversationId\":\"abc\",\"messag"))),
    }
    /// 201 with JSON that is no receipt.
    WRONG_JSON "wrong-json" {
        status: Some(201),
        body: Some(Content::Text(Cow::Borrowed("[{\"messageId\":5}]"))),
    }
    /// 201 with a body of 2 MiB.
    OVERSIZED "oversized" { status: Some(201), body: Some(Content::Padding(2 * 1024 * 1024)) }
}

type Headers = Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>;

const EMPTY: Option<Content> = Some(Content::Text(Cow::Borrowed("")));
const HTML: Headers = Cow::Borrowed(&[(Cow::Borrowed("content-type"), Cow::Borrowed("text/html"))]);
const PLAIN_TEXT: Headers = Cow::Borrowed(&[(Cow::Borrowed("content-type"), Cow::Borrowed("text/plain"))]);
const RETRY_AFTER: Headers = Cow::Borrowed(&[(Cow::Borrowed("retry-after"), Cow::Borrowed("1"))]);
const ELSEWHERE: Headers = Cow::Borrowed(&[(Cow::Borrowed("location"), Cow::Borrowed("/elsewhere"))]);
