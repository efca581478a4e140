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
pub(crate) fn exchange() -> RequestContext {
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

async fn send(address: &str, transport: reqwest::Client, exchange: &RequestContext) -> Outcome {
    let client = Client::new_with_client(address, transport, exchange.clone());
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
        Err(Error::CommunicationError(_)) => "no answer",
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
async fn answers() {
    /// Name, response, outcome of the operation, status, body, and the end of reading it.
    type Case<'c> = (&'c str, Vec<u8>, &'c str, u16, &'c str, &'c str);
    let long = "x".repeat(LIMIT + 1);
    let exact = format!("{RECEIPT}{}", " ".repeat(LIMIT - RECEIPT.len()));
    let one_more = format!("{exact} ");
    let half = &RECEIPT[..20];
    let cut_long = &long[..LIMIT];
    let cases: Vec<Case> = vec![
        ("200 with JSON", whole("200 OK", RECEIPT), "ok", 200, RECEIPT, "complete"),
        ("201 with JSON", whole("201 Created", RECEIPT), "ok", 201, RECEIPT, "complete"),
        ("201 in chunks", chunked(&[half, &RECEIPT[20..]], true), "ok", 201, RECEIPT, "complete"),
        (
            "201 until the connection closes",
            format!("HTTP/1.1 201 Created\r\nx-trace: t1\r\n\r\n{RECEIPT}").into_bytes(),
            "ok",
            201,
            RECEIPT,
            "complete",
        ),
        ("201 without a body", whole("201 Created", ""), "not the documented body", 201, "", "complete"),
        ("201 with HTML", whole("201 Created", HTML), "not the documented body", 201, HTML, "complete"),
        ("201 with other JSON", whole("201 Created", "[]"), "not the documented body", 201, "[]", "complete"),
        ("202", whole("202 Accepted", RECEIPT), "not a documented status", 202, RECEIPT, "complete"),
        (
            "204",
            b"HTTP/1.1 204 No Content\r\nx-trace: t1\r\n\r\n".to_vec(),
            "not a documented status",
            204,
            "",
            "complete",
        ),
        (
            "302",
            whole("302 Found\r\nlocation: /elsewhere", ""),
            "not a documented status",
            302,
            "",
            "complete",
        ),
        ("400 with HTML", whole("400 Bad Request", HTML), "not a documented status", 400, HTML, "complete"),
        ("401", whole("401 Unauthorized", "{}"), "not a documented status", 401, "{}", "complete"),
        ("422 with HTML", whole("422 Odd", HTML), "not a documented status", 422, HTML, "complete"),
        ("429 with HTML", whole("429 Slow down", HTML), "not a documented status", 429, HTML, "complete"),
        ("500", whole("500 Oh", "oops"), "not a documented status", 500, "oops", "complete"),
        ("as long as the limit", whole("201 Created", &exact), "ok", 201, &exact, "complete"),
        ("one byte longer", whole("201 Created", &one_more), "ok", 201, &exact, "too large"),
        (
            "too long, with its length",
            whole("201 Created", &long),
            "not the documented body",
            201,
            cut_long,
            "too large",
        ),
        (
            "too long, in chunks",
            chunked(&[&long[..200], &long[200..]], true),
            "not the documented body",
            201,
            cut_long,
            "too large",
        ),
        (
            "a promise of more than there is memory, and too much of it",
            promised(usize::MAX >> 2, &long),
            "not the documented body",
            201,
            cut_long,
            "too large",
        ),
        (
            "an error that is too long",
            whole("500 Oh", &long),
            "not a documented status",
            500,
            cut_long,
            "too large",
        ),
        ("cut", promised(RECEIPT.len(), half), "not the documented body", 201, half, "cut"),
        ("cut in chunks", chunked(&[half], false), "not the documented body", 201, half, "cut"),
        ("cut before the first byte", promised(10, ""), "not the documented body", 201, "", "cut"),
        ("cut after the receipt", promised(RECEIPT.len() + 1, RECEIPT), "ok", 201, RECEIPT, "cut"),
    ];
    for (name, bytes, outcome, status, body, ended) in cases {
        let (address, server) = serve(vec![Reply::Close(bytes)]).await;
        let exchange = exchange();
        let result = send(&address, transport(), &exchange).await;
        assert_eq!(kind(&result), outcome, "{name}: {result:?}");
        let observation = exchange.take();
        assert!(observation.written, "{name}");
        let answer = observation.response.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(answer.status.as_u16(), status, "{name}");
        assert_eq!(answer.headers["x-trace"], "t1", "{name}");
        assert!(!answer.redirected, "{name}");
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{name}");
        assert_eq!(end(&answer.end), ended, "{name}: {:?}", answer.end);
        // The generated operation received the same response.
        if let Ok(value) = &result {
            assert_eq!(value.status().as_u16(), status, "{name}");
            assert_eq!(value.headers()["x-trace"], "t1", "{name}");
        }
        assert!(exchange.take().response.is_none(), "{name}: an answer can be taken once");
        assert_eq!(server.await.expect("the server ends").len(), 1, "{name}: one request");
    }
}

#[tokio::test]
async fn an_answer_that_stalls() {
    let cases = [
        ("in the body", promised(RECEIPT.len(), &RECEIPT[..20]), Some((&RECEIPT[..20], "timeout"))),
        ("before the body", promised(RECEIPT.len(), ""), Some(("", "timeout"))),
        ("in the head", b"HTTP/1.1 201 Cre".to_vec(), None),
        ("before the head", Vec::new(), None),
    ];
    for (name, bytes, expected) in cases {
        let (address, server) = serve(vec![Reply::Hold(bytes)]).await;
        let exchange = RequestContext::new(RequestSettings { timeout: Duration::from_millis(300), ..data() });
        let result = send(&address, transport(), &exchange).await;
        let observation = exchange.take();
        assert!(observation.written, "{name}");
        let found = observation.response.as_ref().map(|answer| (answer.body.as_ref(), end(&answer.end)));
        assert_eq!(found, expected.map(|(body, end)| (body.as_bytes(), end)), "{name}");
        if expected.is_none() {
            assert!(matches!(&result, Err(Error::CommunicationError(error)) if error.is_timeout()), "{name}");
        }
        server.await.expect("the server ends");
    }
}

#[tokio::test]
async fn no_answer() {
    let exchange = exchange();
    let result = send(&nowhere().await, transport(), &exchange).await;
    assert!(matches!(&result, Err(Error::CommunicationError(error)) if error.is_connect()), "{result:?}");
    let observation = exchange.take();
    assert!(!observation.written, "nothing listens, so nothing was written");
    assert!(observation.response.is_none());

    for (name, bytes) in [
        ("closed at once", &b""[..]),
        ("closed in the head", b"HTTP/1.1 201 Created\r\ncontent-"),
        ("not HTTP", b"SSH-2.0-x\r\n"),
    ] {
        let (address, server) = serve(vec![Reply::Close(bytes.to_vec())]).await;
        let exchange = self::exchange();
        let result = send(&address, transport(), &exchange).await;
        assert_eq!(kind(&result), "no answer", "{name}");
        let observation = exchange.take();
        assert!(observation.written, "{name}");
        assert!(observation.response.is_none(), "{name}");
        assert_eq!(server.await.expect("the server ends").len(), 1, "{name}: it is not sent again");
    }
}

/// The transport of the SDK follows no redirect. One that does is seen.
#[tokio::test]
async fn a_redirect_that_was_followed_is_seen() {
    let redirect = whole("302 Found\r\nlocation: /elsewhere\r\nconnection: close", "");
    let (address, server) = serve(vec![Reply::Close(redirect), Reply::Close(whole("200 OK", RECEIPT))]).await;
    let exchange = exchange();
    let following = builder().build().expect("a transport");
    send(&address, following, &exchange).await.expect("the second answer is one");
    assert!(exchange.take().response.expect("an answer").redirected);
    let lines: Vec<String> = server.await.expect("it ends").into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["POST /conversations/messages HTTP/1.1", "GET /elsewhere HTTP/1.1"]);
}

/// A redirect that asks for the same request again cannot be followed: the body is there once.
#[tokio::test]
async fn the_body_cannot_be_sent_again_by_the_transport() {
    let redirect = whole("307 Again\r\nlocation: /elsewhere\r\nconnection: close", "");
    let (address, server) = serve(vec![Reply::Close(redirect)]).await;
    let exchange = exchange();
    let following = builder().build().expect("a transport");
    let result = send(&address, following, &exchange).await;
    assert_eq!(kind(&result), "not a documented status");
    assert_eq!(exchange.take().response.expect("an answer").status.as_u16(), 307);
    assert_eq!(server.await.expect("the server ends").len(), 1);
}

#[test]
fn the_token_is_not_printed() {
    let exchange = exchange();
    let client = Client::new_with_client("http://localhost", transport(), exchange.clone());
    for text in [
        format!("{exchange:?}"),
        format!("{exchange:#?}"),
        format!("{client:?}"),
        format!("{:?}", data()),
        format!("{:?}", exchange.take()),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn clones_are_the_same_call() {
    let exchange = exchange();
    assert!(!exchange.clone().take().written);
    assert!(exchange.take().response.is_none());
}
