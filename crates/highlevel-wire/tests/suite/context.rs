//! The observations of a call: status, headers, the part of the body that was read, and whether a byte was written.

use std::fmt::Write as _;
use std::time::Duration;

use highlevel_wire::types::{SendMessageRequest, SendMessageResponse, SendMessageType, SendStatus};
use highlevel_wire::{Client, End, Error, RequestContext, RequestSettings, ResponseValue};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use crate::server::{Reply, nowhere, serve};

/// Long enough for any machine; no test waits for it.
const LONG: Duration = Duration::from_secs(120);
const LIMIT: usize = 256;

/// The data of a call in these tests.
pub(crate) fn data() -> RequestSettings {
    let mut authorization = HeaderValue::from_static("Bearer secret-token");
    authorization.set_sensitive(true);
    RequestSettings {
        authorization: Some(authorization),
        version: HeaderValue::from_static("2021-04-15"),
        user_agent: None,
        timeout: LONG,
        gate: None,
        body_limit: LIMIT,
    }
}

/// A call that has not been made.
pub(crate) fn request_context() -> RequestContext {
    RequestContext::new(data())
}

/// A transport without redirects, and without the proxies of the environment.
pub(crate) fn transport() -> reqwest::Client {
    transport_builder().build().expect("a transport")
}

/// The same before it is built.
pub(crate) fn transport_builder() -> reqwest::ClientBuilder {
    builder().redirect(Policy::none())
}

/// Beside other crates of the workspace, reqwest is compiled with rustls but without a provider, and asks the process
/// for one even where no TLS is spoken.
fn builder() -> reqwest::ClientBuilder {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

type Outcome = Result<ResponseValue<SendMessageResponse>, Error<()>>;

async fn send(address: &str, transport: reqwest::Client, context: &RequestContext) -> Outcome {
    let client = Client::new_with_client(address, transport, context.clone());
    client
        .send_message(&SendMessageRequest::new("contact", SendStatus::Delivered, SendMessageType::Sms))
        .await
}

/// The result of the generated operation.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::InvalidResponsePayload(..)) => "not the documented body",
        Err(Error::UnexpectedResponse(_)) => "not a documented status",
        Err(Error::CommunicationError(_)) => "no response",
        Err(_) => "something else",
    }
}

fn end(end: &End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::TooLarge => "too large",
        End::Cut(error) if is_timeout(&**error) => "timeout",
        End::Cut(_) => "cut",
        _ => "something else",
    }
}

fn is_timeout(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

/// Head and body with the right length.
fn whole(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nx-trace: t1\r\n\r\n{body}", body.len()).into_bytes()
}

/// A head that promises `length` bytes, and this much of them.
fn promised(length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 201 Created\r\ncontent-length: {length}\r\nx-trace: t1\r\n\r\n{body}").into_bytes()
}

/// A body in chunks, ended or not.
fn chunked(chunks: &[&str], ended: bool) -> Vec<u8> {
    let mut text = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\nx-trace: t1\r\n\r\n".to_owned();
    for chunk in chunks {
        write!(text, "{:x}\r\n{chunk}\r\n", chunk.len()).expect("a string takes it");
    }
    if ended {
        text.push_str("0\r\n\r\n");
    }
    text.into_bytes()
}

const RECEIPT: &str = r#"{"conversationId":"c1","messageId":"m1","new":1}"#;
const HTML: &str = "<html><body>Too many requests</body></html>";

#[tokio::test]
async fn responses_are_captured_as_far_as_they_were_read() {
    struct Row<'r> {
        name: &'static str,
        bytes: Vec<u8>,
        outcome: &'static str,
        status: u16,
        body: &'r str,
        end: &'static str,
    }
    fn row<'r>(
        name: &'static str,
        bytes: Vec<u8>,
        outcome: &'static str,
        expected: (u16, &'r str, &'static str),
    ) -> Row<'r> {
        let (status, body, end) = expected;
        Row { name, bytes, outcome, status, body, end }
    }

    let long = "x".repeat(LIMIT + 1);
    let exact = format!("{RECEIPT}{}", " ".repeat(LIMIT - RECEIPT.len()));
    let one_more = format!("{exact} ");
    let half = &RECEIPT[..20];
    let cut_long = &long[..LIMIT];
    let rows = vec![
        row("200 with JSON", whole("200 OK", RECEIPT), "ok", (200, RECEIPT, "complete")),
        row("201 with JSON", whole("201 Created", RECEIPT), "ok", (201, RECEIPT, "complete")),
        row("201 in chunks", chunked(&[half, &RECEIPT[20..]], true), "ok", (201, RECEIPT, "complete")),
        row(
            "201 until the connection closes",
            format!("HTTP/1.1 201 Created\r\nx-trace: t1\r\n\r\n{RECEIPT}").into_bytes(),
            "ok",
            (201, RECEIPT, "complete"),
        ),
        row("201 without a body", whole("201 Created", ""), "not the documented body", (201, "", "complete")),
        row("201 with HTML", whole("201 Created", HTML), "not the documented body", (201, HTML, "complete")),
        row(
            "201 with other JSON",
            whole("201 Created", "[]"),
            "not the documented body",
            (201, "[]", "complete"),
        ),
        row("202", whole("202 Accepted", RECEIPT), "not a documented status", (202, RECEIPT, "complete")),
        row(
            "204",
            b"HTTP/1.1 204 No Content\r\nx-trace: t1\r\n\r\n".to_vec(),
            "not a documented status",
            (204, "", "complete"),
        ),
        row(
            "302",
            whole("302 Found\r\nlocation: /elsewhere", ""),
            "not a documented status",
            (302, "", "complete"),
        ),
        row(
            "400 with HTML",
            whole("400 Bad Request", HTML),
            "not a documented status",
            (400, HTML, "complete"),
        ),
        row("401", whole("401 Unauthorized", "{}"), "not a documented status", (401, "{}", "complete")),
        row("422 with HTML", whole("422 Odd", HTML), "not a documented status", (422, HTML, "complete")),
        row(
            "429 with HTML",
            whole("429 Slow down", HTML),
            "not a documented status",
            (429, HTML, "complete"),
        ),
        row("500", whole("500 Oh", "oops"), "not a documented status", (500, "oops", "complete")),
        row("as long as the limit", whole("201 Created", &exact), "ok", (201, &exact, "complete")),
        row("one byte longer", whole("201 Created", &one_more), "ok", (201, &exact, "too large")),
        row(
            "too long, with its length",
            whole("201 Created", &long),
            "not the documented body",
            (201, cut_long, "too large"),
        ),
        row(
            "too long, in chunks",
            chunked(&[&long[..200], &long[200..]], true),
            "not the documented body",
            (201, cut_long, "too large"),
        ),
        row(
            "a promise of more than there is memory, and too much of it",
            promised(usize::MAX >> 2, &long),
            "not the documented body",
            (201, cut_long, "too large"),
        ),
        row(
            "an error that is too long",
            whole("500 Oh", &long),
            "not a documented status",
            (500, cut_long, "too large"),
        ),
        row("cut", promised(RECEIPT.len(), half), "not the documented body", (201, half, "cut")),
        row("cut in chunks", chunked(&[half], false), "not the documented body", (201, half, "cut")),
        row("cut before the first byte", promised(10, ""), "not the documented body", (201, "", "cut")),
        row("cut after the receipt", promised(RECEIPT.len() + 1, RECEIPT), "ok", (201, RECEIPT, "cut")),
    ];
    for Row { name, bytes, outcome, status, body, end: expected_end } in rows {
        let (address, server) = serve(vec![Reply::Close(bytes)]).await;
        let context = request_context();
        let result = send(&address, transport(), &context).await;
        assert_eq!(kind(&result), outcome, "{name}: {result:?}");
        let trace = context.take();
        assert!(trace.written, "{name}");
        let response = trace.response.unwrap_or_else(|| panic!("{name}: no response"));
        assert_eq!(response.status.as_u16(), status, "{name}");
        assert_eq!(response.headers["x-trace"], "t1", "{name}");
        assert!(!response.redirected, "{name}");
        assert_eq!(String::from_utf8_lossy(&response.body), body, "{name}");
        assert_eq!(end(&response.end), expected_end, "{name}: {:?}", response.end);
        // The generated operation received the same response.
        if let Ok(value) = &result {
            assert_eq!(value.status().as_u16(), status, "{name}");
            assert_eq!(value.headers()["x-trace"], "t1", "{name}");
        }
        assert!(context.take().response.is_none(), "{name}: a response can be taken once");
        assert_eq!(server.await.expect("the server ends").len(), 1, "{name}: one request");
    }
}

#[tokio::test]
async fn stalled_responses_end_with_the_timeout() {
    let cases = [
        ("in the body", promised(RECEIPT.len(), &RECEIPT[..20]), Some((&RECEIPT[..20], "timeout"))),
        ("before the body", promised(RECEIPT.len(), ""), Some(("", "timeout"))),
        ("in the head", b"HTTP/1.1 201 Cre".to_vec(), None),
        ("before the head", Vec::new(), None),
    ];
    for (name, bytes, expected) in cases {
        let (address, server) = serve(vec![Reply::Hold(bytes)]).await;
        let context = RequestContext::new(RequestSettings { timeout: Duration::from_millis(300), ..data() });
        let result = send(&address, transport(), &context).await;
        let trace = context.take();
        assert!(trace.written, "{name}");
        let found = trace.response.as_ref().map(|response| (response.body.as_ref(), end(&response.end)));
        assert_eq!(found, expected.map(|(body, end)| (body.as_bytes(), end)), "{name}");
        if expected.is_none() {
            assert!(matches!(&result, Err(Error::CommunicationError(error)) if error.is_timeout()), "{name}");
        }
        server.await.expect("the server ends");
    }
}

#[tokio::test]
async fn failures_without_a_response_report_whether_the_request_was_written() {
    let context = request_context();
    let result = send(&nowhere().await, transport(), &context).await;
    assert!(matches!(&result, Err(Error::CommunicationError(error)) if error.is_connect()), "{result:?}");
    let trace = context.take();
    assert!(!trace.written, "no server listens, so nothing was written");
    assert!(trace.response.is_none());

    for (name, bytes) in [
        ("closed at once", &b""[..]),
        ("closed in the head", b"HTTP/1.1 201 Created\r\ncontent-"),
        ("not HTTP", b"SSH-2.0-x\r\n"),
    ] {
        let (address, server) = serve(vec![Reply::Close(bytes.to_vec())]).await;
        let context = request_context();
        let result = send(&address, transport(), &context).await;
        assert_eq!(kind(&result), "no response", "{name}");
        let trace = context.take();
        assert!(trace.written, "{name}");
        assert!(trace.response.is_none(), "{name}");
        assert_eq!(server.await.expect("the server ends").len(), 1, "{name}: it is not resent");
    }
}

/// The transport of the SDK follows no redirect. If another transport follows one, the context reports it.
#[tokio::test]
async fn followed_redirects_are_reported() {
    let redirect = whole("302 Found\r\nlocation: /elsewhere\r\nconnection: close", "");
    let (address, server) = serve(vec![Reply::Close(redirect), Reply::Close(whole("200 OK", RECEIPT))]).await;
    let context = request_context();
    let following = builder().build().expect("a transport");
    send(&address, following, &context).await.expect("the second response is a receipt");
    assert!(context.take().response.expect("a response").redirected);
    let lines: Vec<String> = server.await.expect("it ends").into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["POST /conversations/messages HTTP/1.1", "GET /elsewhere HTTP/1.1"]);
}

/// A redirect that requires the same request cannot be followed, because the body can be sent once only.
#[tokio::test]
async fn the_transport_cannot_resend_the_body() {
    let redirect = whole("307 Temporary Redirect\r\nlocation: /elsewhere\r\nconnection: close", "");
    let (address, server) = serve(vec![Reply::Close(redirect)]).await;
    let context = request_context();
    let following = builder().build().expect("a transport");
    let result = send(&address, following, &context).await;
    assert_eq!(kind(&result), "not a documented status");
    assert_eq!(context.take().response.expect("a response").status.as_u16(), 307);
    assert_eq!(server.await.expect("the server ends").len(), 1);
}

#[test]
fn the_token_is_not_printed() {
    let context = request_context();
    let client = Client::new_with_client("http://localhost", transport(), context.clone());
    for text in [
        format!("{context:?}"),
        format!("{context:#?}"),
        format!("{client:?}"),
        format!("{:?}", data()),
        format!("{:?}", context.take()),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn clones_share_their_state() {
    let context = request_context();
    assert!(!context.clone().take().written);
    assert!(context.take().response.is_none());
}
