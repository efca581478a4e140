//! The delivery state and the text of each failure of a call, over real connections.
//!
//! The texts are a contract: programs log them, and people act on them.

use std::error::Error as _;
use std::time::Duration;

use highlevel::{Client, Delivery, Error, ErrorKind, RetryPolicy, Sms};

use crate::server::{Action, Server, TOKEN, nowhere, response};

const MIB: usize = 1024 * 1024;
const HTML: &str = "<html><body>Sorry</body></html>";

/// The expected properties of an error.
struct Expected {
    delivery: Delivery,
    kind: ErrorKind,
    status: Option<u16>,
    body: Vec<u8>,
    messages: &'static [&'static str],
    trace_id: Option<&'static str>,
    retry_after: Option<u64>,
    /// `true` if the error has a source.
    source: bool,
    text: &'static str,
}

/// Returns an error without a response.
fn without_response(delivery: Delivery, kind: ErrorKind, text: &'static str) -> Expected {
    Expected {
        delivery,
        kind,
        status: None,
        body: Vec::new(),
        messages: &[],
        trace_id: None,
        retry_after: None,
        source: true,
        text,
    }
}

/// Returns an error with a response.
fn with_response(status: u16, delivery: Delivery, body: impl AsRef<[u8]>, text: &'static str) -> Expected {
    let kind = if (200..300).contains(&status) { ErrorKind::Receipt } else { ErrorKind::Status };
    let body = body.as_ref().to_vec();
    Expected { status: Some(status), body, source: false, ..without_response(delivery, kind, text) }
}

/// Checks that an error has the expected properties, and contains no secret.
fn check(name: &str, error: &Error, expected: &Expected) {
    assert_eq!(error.to_string(), expected.text, "{name}");
    assert_eq!(error.delivery(), expected.delivery, "{name}");
    assert_eq!(error.kind(), expected.kind, "{name}");
    assert_eq!(error.status(), expected.status, "{name}");
    assert!(error.body() == expected.body, "{name}: {:?}", String::from_utf8_lossy(error.body()));
    assert_eq!(error.messages(), expected.messages, "{name}");
    assert_eq!(error.trace_id(), expected.trace_id, "{name}");
    assert_eq!(error.retry_after(), expected.retry_after.map(Duration::from_secs), "{name}");
    assert_eq!(error.source().is_some(), expected.source, "{name}: {error:?}");
    assert_eq!(error.attempts(), 1, "{name}");
    assert_eq!(error.operation(), "send_message", "{name}");
    let shown = format!("{error:?} {error:#?}");
    assert!(!shown.contains(TOKEN), "{name}: {shown}");
}

async fn send(client: &Client) -> Result<(), Error> {
    client.messages().send(Sms::to("abc123def456").text("Your table is ready")).await.map(drop)
}

/// Returns a client with a short timeout if there is no response, and a long one otherwise.
fn client_for(server: &Server, action: &Action) -> Client {
    let stalls = matches!(action, Action::Stall(_));
    let timeout = Duration::from_secs(if stalls { 1 } else { 30 });
    server.builder().attempt_timeout(timeout).build().expect("a client")
}

/// Sends a message, checks the error, and that the server has received one request.
async fn run(name: &str, action: Action, expected: Expected) {
    let server = Server::always(action.clone()).await;
    let error = send(&client_for(&server, &action)).await.expect_err(name);
    check(name, &error, &expected);
    let request = server.request();
    assert_eq!(request.line, "POST /conversations/messages HTTP/1.1", "{name}");
    assert_eq!(request.json()["message"], "Your table is ready", "{name}");
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let refused = Client::builder()
        .token(TOKEN)
        .retry_policy(RetryPolicy::none())
        .base_url(format!("http://{}", nowhere().await));
    let name = Client::builder()
        .token(TOKEN)
        .retry_policy(RetryPolicy::none())
        .base_url("https://does-not-exist.invalid");
    for (name, builder) in [("nothing listens", refused), ("no such name", name)] {
        let error = send(&builder.build().expect("a client")).await.expect_err(name);
        let text = "send_message: no connection to HighLevel; nothing was sent";
        check(name, &error, &without_response(Delivery::NotSent, ErrorKind::Connect, text));
    }
}

/// One server responds in plain text, one never responds.
#[tokio::test]
async fn servers_without_tls_receive_nothing() {
    struct Row {
        name: &'static str,
        builder: highlevel::ClientBuilder,
        kind: ErrorKind,
        text: &'static str,
    }

    let moment = Duration::from_millis(100);
    let silent = Server::silent().await;
    let https = silent.url().replace("http://", "https://");
    let builder = || Client::builder().token(TOKEN).retry_policy(RetryPolicy::none()).base_url(&https);
    let connect = "send_message: no connection to HighLevel; nothing was sent";
    let attempt = "send_message: no connection to HighLevel in time; nothing was sent";
    let rows = [
        Row {
            name: "connect timeout",
            builder: builder().connect_timeout(moment),
            kind: ErrorKind::Connect,
            text: connect,
        },
        Row {
            name: "attempt timeout",
            builder: builder().attempt_timeout(moment),
            kind: ErrorKind::Timeout,
            text: attempt,
        },
    ];
    for Row { name, builder, kind, text } in rows {
        let error = send(&builder.build().expect("a client")).await.expect_err(name);
        check(name, &error, &without_response(Delivery::NotSent, kind, text));
    }
    assert_eq!(silent.connections(), 2);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let https = format!("https://{}", listener.local_addr().expect("an address"));
    let plain = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = vec![0; 16 * 1024];
        let length = stream.read(&mut hello).await.expect("a TLS greeting");
        stream.write_all(&response("400 Bad Request", "", "speak HTTP")).await.expect("a response");
        hello.truncate(length);
        hello
    });
    let client = Client::builder()
        .token(TOKEN)
        .retry_policy(RetryPolicy::none())
        .base_url(https)
        .build()
        .expect("a client");
    let error = send(&client).await.expect_err("no TLS");
    check("plain HTTP", &error, &without_response(Delivery::NotSent, ErrorKind::Connect, connect));
    let hello = plain.await.expect("no panic");
    let has = |text: &[u8]| hello.windows(text.len()).any(|part| part == text);
    assert_eq!(hello.first(), Some(&0x16), "a TLS handshake");
    assert!(!has(TOKEN.as_bytes()) && !has(b"Your table is ready") && !has(b"POST"));
}

#[tokio::test]
async fn without_a_response_the_delivery_is_unknown() {
    let broken = "send_message: the connection broke before HighLevel responded; it may have been done, so look before \
                  sending it again";
    let late = "send_message: HighLevel did not respond in time; it may have been done, so look before sending it again";
    let connection = || without_response(Delivery::Unknown, ErrorKind::Connection, broken);
    let timeout = || without_response(Delivery::Unknown, ErrorKind::Timeout, late);
    run("closed", Action::Close(Vec::new()), connection()).await;
    run("reset", Action::Reset, connection()).await;
    run("half a status line", Action::Close(b"HTTP/1.1 20".to_vec()), connection()).await;
    run("half the headers", Action::Close(b"HTTP/1.1 201 Created\r\ncontent-".to_vec()), connection()).await;
    run("not HTTP", Action::Close(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), connection()).await;
    run("silence", Action::Stall(Vec::new()), timeout()).await;
    run("half a status line, silence", Action::Stall(b"HTTP/1.1 20".to_vec()), timeout()).await;
    // An informational response is not the final one.
    run("only 100 Continue", Action::Stall(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), timeout()).await;
}

#[tokio::test]
async fn a_success_with_an_unreadable_receipt_is_accepted() {
    let unread = |status, body: &[u8], text| with_response(status, Delivery::Accepted, body, text);
    let broke = "send_message: HighLevel responded with 201, but the response was cut off; it was accepted, so do not send it again";
    let half = b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"messageId\":\"m".to_vec();
    let cut = || Expected { source: true, ..unread(201, b"{\"messageId\":\"m", broke) };
    run("body cut", Action::Close(half.clone()), cut()).await;
    run("body stalls", Action::Stall(half), cut()).await;
    run(
        "headers, then silence",
        Action::Stall(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n".to_vec()),
        Expected { source: true, ..unread(201, b"", broke) },
    )
    .await;
    run(
        "chunks cut",
        Action::Close(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n".to_vec()),
        Expected { source: true, ..unread(201, b"{}", broke) },
    )
    .await;

    let empty = |status, text| unread(status, b"", text);
    let rows = [
        (
            "200 OK",
            empty(
                200,
                "send_message: HighLevel responded with 200 and no body; it was accepted, so do not send it again",
            ),
        ),
        (
            "201 Created",
            empty(
                201,
                "send_message: HighLevel responded with 201 and no body; it was accepted, so do not send it again",
            ),
        ),
        (
            "202 Accepted",
            empty(
                202,
                "send_message: HighLevel responded with 202 and no body; it was accepted, so do not send it again",
            ),
        ),
    ];
    for (status, expected) in rows {
        run(status, Action::Respond(response(status, "", "")), expected).await;
    }
    let text =
        "send_message: HighLevel responded with 204 and no body; it was accepted, so do not send it again";
    run("204", Action::Respond(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), empty(204, text)).await;

    let unreadable = "send_message: HighLevel responded with 201 and a body that is not a receipt; it was accepted, so do not send \
               it again";
    let bodies = [
        HTML,
        "[]",
        "null",
        "{}",
        "\"m1\"",
        r#"{"messageId":"m1"}"#,
        r#"{"conversationId":"c1"}"#,
        r#"{"conversationId":"c1","messageIds":[]}"#,
        r#"{"conversationId":"c1","messageId":1}"#,
        r#"{"conversationId":"c1","messageId":"m1"} "#.trim_end_matches("} "),
    ];
    for body in bodies {
        let expected = Expected { source: true, ..unread(201, body.as_bytes(), unreadable) };
        run(body, Action::Respond(response("201 Created", "", body)), expected).await;
    }
    let body = r#"{"success":false,"message":"queued","traceId":"t1"}"#;
    let text = "send_message: HighLevel responded with 202 and a body that is not a receipt: queued (trace t1); it was \
                accepted, so do not send it again";
    let expected = Expected {
        source: true,
        messages: &["queued"],
        trace_id: Some("t1"),
        ..unread(202, body.as_bytes(), text)
    };
    run("another object", Action::Respond(response("202 Accepted", "", body)), expected).await;
}

#[tokio::test]
async fn a_response_that_is_too_large_is_accepted() {
    let chunked = |body: &[u8]| {
        let mut bytes = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(8000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend([chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let larger = vec![b' '; MIB + 1];
    let text = "send_message: HighLevel responded with 201 and more than 1048576 bytes; it was accepted, so do not send it \
                again";
    let expected = || with_response(201, Delivery::Accepted, &larger[..MIB], text);
    run("with its length", Action::Respond(response("201 Created", "", &larger)), expected()).await;
    run("in chunks", Action::Respond(chunked(&larger)), expected()).await;
    run("without an end", Action::Close([b"HTTP/1.1 201 Created\r\n\r\n", &larger[..]].concat()), expected())
        .await;

    let text = "send_message: HighLevel responded with 413 Payload Too Large; it was not done";
    let expected = with_response(413, Delivery::Rejected, &larger[..MIB], text);
    run("a refusal", Action::Respond(response("413 Payload Too Large", "", &larger)), expected).await;

    // The largest response that is read: a receipt and white space.
    let mut most = br#"{"conversationId":"c1","messageId":"m1"}"#.to_vec();
    most.resize(MIB, b' ');
    for action in [Action::Respond(response("201 Created", "", &most)), Action::Respond(chunked(&most))] {
        send(&Server::always(action).await.client()).await.expect("a receipt");
    }
}

#[tokio::test]
async fn rejections_are_reported_with_their_message() {
    let trace = "0f7b1c9e-2f6d-4f3c-9f55-6f1c7c1f0a11";
    let body = format!(r#"{{"statusCode":400,"message":"Contact not found","traceId":"{trace}"}}"#);
    let expected = Expected {
        messages: &["Contact not found"],
        trace_id: Some(trace),
        ..with_response(
            400,
            Delivery::Rejected,
            &body,
            "send_message: HighLevel responded with 400 Bad Request: Contact not found (trace \
             0f7b1c9e-2f6d-4f3c-9f55-6f1c7c1f0a11); it was not done",
        )
    };
    run("400", Action::Respond(response("400 Bad Request", "", &body)), expected).await;

    let body =
        r#"{"statusCode":401,"message":"Invalid token: access token is invalid","error":"Unauthorized"}"#;
    let expected = Expected {
        messages: &["Invalid token: access token is invalid"],
        ..with_response(
            401,
            Delivery::Rejected,
            body,
            "send_message: HighLevel responded with 401 Unauthorized: Invalid token: access token is invalid; it was not done",
        )
    };
    run("401", Action::Respond(response("401 Unauthorized", "", body)), expected).await;

    let body = r#"{"statusCode":422,"message":["type must be a string","contactId\nis empty",7],"error":"Unprocessable Entity"}"#;
    let expected = Expected {
        messages: &["type must be a string", "contactId\nis empty", "7"],
        ..with_response(
            422,
            Delivery::Rejected,
            body,
            "send_message: HighLevel responded with 422 Unprocessable Entity: type must be a string; contactId\\nis empty; 7; \
             it was not done",
        )
    };
    run("422", Action::Respond(response("422 Unprocessable Entity", "", body)), expected).await;

    // A message in another format is shown unchanged, and may be missing.
    let bodies: [(&str, &'static [&'static str], &'static str); 4] = [
        (
            r#"{"message":{"code":7}}"#,
            &["{\"code\":7}"],
            "send_message: HighLevel responded with 400 Bad Request: {\"code\":7}; it was not done",
        ),
        (
            r#"{"message":null,"traceId":7}"#,
            &[],
            "send_message: HighLevel responded with 400 Bad Request; it was not done",
        ),
        (
            "[\"message\"]",
            &["message"],
            "send_message: HighLevel responded with 400 Bad Request: message; it was not done",
        ),
        ("", &[], "send_message: HighLevel responded with 400 Bad Request; it was not done"),
    ];
    for (body, messages, text) in bodies {
        let expected = Expected { messages, ..with_response(400, Delivery::Rejected, body, text) };
        run(body, Action::Respond(response("400 Bad Request", "", body)), expected).await;
    }

    let rows = [
        ("403 Forbidden", 403, "send_message: HighLevel responded with 403 Forbidden; it was not done"),
        ("404 Not Found", 404, "send_message: HighLevel responded with 404 Not Found; it was not done"),
        ("409 Conflict", 409, "send_message: HighLevel responded with 409 Conflict; it was not done"),
        ("413 Large", 413, "send_message: HighLevel responded with 413 Payload Too Large; it was not done"),
        (
            "415 What",
            415,
            "send_message: HighLevel responded with 415 Unsupported Media Type; it was not done",
        ),
        (
            "429 Too Many Requests",
            429,
            "send_message: HighLevel responded with 429 Too Many Requests; it was not done",
        ),
    ];
    for (status, number, text) in rows {
        let expected = with_response(number, Delivery::Rejected, HTML, text);
        run(status, Action::Respond(response(status, "content-type: text/html\r\n", HTML)), expected).await;
    }
    let cut = Action::Close(b"HTTP/1.1 404 Not Found\r\ncontent-length: 90\r\n\r\n{".to_vec());
    let text = "send_message: HighLevel responded with 404 Not Found; it was not done";
    run("404, cut", cut, with_response(404, Delivery::Rejected, "{", text)).await;
}

#[tokio::test]
async fn retry_after_is_read() {
    let text = "send_message: HighLevel responded with 429 Too Many Requests; it was not done";
    let rows = [
        ("", None),
        ("Retry-After: 7\r\n", Some(7)),
        ("retry-after:  0 \r\n", Some(0)),
        ("Retry-After: 1.5\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", Some(0)),
        ("Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:29:00 GMT\r\n", Some(60)),
        // The maximum is a year.
        ("Retry-After: 99999999999999999999\r\n", Some(365 * 24 * 60 * 60)),
    ];
    for (header, retry_after) in rows {
        let expected = Expected { retry_after, ..with_response(429, Delivery::Rejected, "", text) };
        run(header, Action::Respond(response("429 Too Many Requests", header, "")), expected).await;
    }
}

#[tokio::test]
async fn server_errors_leave_the_delivery_unknown() {
    let rows = [
        ("405 No", "405 Method Not Allowed"),
        ("408 Late", "408 Request Timeout"),
        ("418 Tea", "418 I'm a teapot"),
        ("499 Gone", "499"),
        ("500 Error", "500 Internal Server Error"),
        ("501 No", "501 Not Implemented"),
        ("502 Bad", "502 Bad Gateway"),
        ("503 Busy", "503 Service Unavailable"),
        ("504 Late", "504 Gateway Timeout"),
        ("599 Odd", "599"),
    ];
    for (status, shown) in rows {
        let text = format!(
            "send_message: HighLevel responded with {shown}; it may have been done, so look before sending it again"
        );
        let number = status[..3].parse().expect("a number");
        let expected = with_response(number, Delivery::Unknown, HTML, text.leak());
        run(status, Action::Respond(response(status, "content-type: text/html\r\n", HTML)), expected).await;
    }
    // HighLevel also responds with 500 to a wrong token or provider. The text is shown, but the delivery stays unknown.
    let body = r#"{"statusCode":500,"message":"Internal server error","traceId":"t1"}"#;
    let expected = Expected {
        messages: &["Internal server error"],
        trace_id: Some("t1"),
        ..with_response(
            500,
            Delivery::Unknown,
            body,
            "send_message: HighLevel responded with 500 Internal Server Error: Internal server error (trace t1); it may have \
             been done, so look before sending it again",
        )
    };
    run("500", Action::Respond(response("500 Internal Server Error", "", body)), expected).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let rows = [
        ("301 Moved Permanently", 301),
        ("302 Found", 302),
        ("303 See Other", 303),
        ("307 Temporary Redirect", 307),
        ("308 Permanent Redirect", 308),
    ];
    for (status, number) in rows {
        let text = format!("send_message: HighLevel responded with {status}; it was not done");
        let expected = with_response(number, Delivery::Rejected, "", text.leak());
        run(status, Action::Respond(response(status, "location: /elsewhere\r\n", "")), expected).await;
    }
}

/// The HTTP client is configured to accept https addresses only.
#[tokio::test]
async fn a_request_that_cannot_be_built_is_not_sent() {
    let server = Server::silent().await;
    let client = server.builder().http_client(|http| http.https_only(true)).build().expect("a client");
    let error = send(&client).await.expect_err("only https");
    let text = "send_message: the request could not be written; nothing was sent";
    check("https only", &error, &without_response(Delivery::NotSent, ErrorKind::Connection, text));
    assert_eq!(server.connections(), 0);
}

/// Long messages are truncated in the text of an error, and available as a whole.
#[tokio::test]
async fn long_messages_are_truncated_in_texts() {
    let long = "ü".repeat(5000);
    let body = serde_json::json!({ "message": [long, long], "traceId": long }).to_string();
    let server = Server::always(Action::Respond(response("400 Bad Request", "", &body))).await;
    let error = send(&server.client()).await.expect_err("400");
    assert_eq!(error.messages(), [long.clone(), long.clone()]);
    assert_eq!(error.trace_id(), Some(long.as_str()));
    assert_eq!(error.body(), body.as_bytes());
    let start = "ü".repeat(1000);
    assert_eq!(
        error.to_string(),
        format!(
            "send_message: HighLevel responded with 400 Bad Request: {start}… (trace {start}…); it was not done"
        )
    );
    let body: String = body.chars().take(1000).collect();
    assert!(format!("{error:?}").contains(&format!("body: {:?}", format!("{body}…"))));
}
