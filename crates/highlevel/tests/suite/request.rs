//! Requests to any other endpoint.

use std::sync::Mutex;

use highlevel::{Client, Delivery, ErrorKind, Method, RetryPolicy};
use serde_json::json;

use crate::server::{Action, Server, TOKEN, json as json_response, nowhere, response};

fn client(server: &Server) -> Client {
    Client::builder().token(TOKEN).base_url(server.url()).build().expect("a client")
}

#[tokio::test]
async fn requests_have_the_headers_of_calls() {
    let server =
        Server::always(Action::Respond(json_response("200 OK", &json!({ "contact": { "id": "c1" } })))).await;
    let request = client(&server)
        .request(Method::PUT, "/contacts/c1")
        .query("locationId", "l 1&2")
        .query("limit", 20)
        .json(&json!({ "name": "Ada" }));
    let found = request.send_json::<serde_json::Value>().await.expect("a receipt");
    assert_eq!(found.response()["contact"]["id"], "c1");
    assert_eq!((found.http_status(), found.attempts()), (200, 1));

    let seen = server.request();
    assert_eq!(seen.line, "PUT /contacts/c1?locationId=l+1%262&limit=20 HTTP/1.1");
    assert_eq!(seen.json(), json!({ "name": "Ada" }));
    assert_eq!(seen.header("authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen.header("version"), ["2021-04-15"]);
    assert_eq!(seen.header("accept"), ["application/json"]);
    assert!(seen.header("api-version").is_empty());
}

#[tokio::test]
async fn a_get_has_no_body_and_accepts_an_empty_response() {
    let server = Server::always(Action::Respond(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let receipt = client(&server).request(Method::GET, "/contacts/c1").send().await.expect("a receipt");
    assert_eq!((receipt.http_status(), receipt.body()), (204, &b""[..]));
    let seen = server.request();
    assert!(seen.header("content-length").is_empty() && seen.header("content-type").is_empty());
}

#[tokio::test]
async fn only_idempotent_requests_are_retried_and_only_after_transient_failures() {
    struct Case {
        method: Method,
        failure: Action,
        /// `None` if the request succeeds.
        delivery: Option<Delivery>,
        requests: usize,
    }

    let bad_gateway = || Action::Respond(response("502 Bad Gateway", "", ""));
    let internal = || Action::Respond(response("500 Internal Server Error", "", ""));
    let missing = || Action::Respond(response("404 Not Found", "", ""));
    let cases = [
        Case { method: Method::GET, failure: bad_gateway(), delivery: None, requests: 2 },
        Case { method: Method::HEAD, failure: bad_gateway(), delivery: None, requests: 2 },
        Case { method: Method::PUT, failure: bad_gateway(), delivery: None, requests: 2 },
        Case { method: Method::DELETE, failure: bad_gateway(), delivery: None, requests: 2 },
        Case { method: Method::POST, failure: bad_gateway(), delivery: Some(Delivery::Unknown), requests: 1 },
        Case {
            method: Method::PATCH,
            failure: bad_gateway(),
            delivery: Some(Delivery::Unknown),
            requests: 1,
        },
        Case { method: Method::GET, failure: Action::Reset, delivery: None, requests: 2 },
        Case { method: Method::DELETE, failure: Action::Reset, delivery: None, requests: 2 },
        // Without a body, there is no proof that nothing was written.
        Case { method: Method::POST, failure: Action::Reset, delivery: Some(Delivery::Unknown), requests: 1 },
        Case { method: Method::GET, failure: internal(), delivery: Some(Delivery::Unknown), requests: 1 },
        Case { method: Method::POST, failure: internal(), delivery: Some(Delivery::Unknown), requests: 1 },
        Case { method: Method::GET, failure: missing(), delivery: Some(Delivery::Rejected), requests: 1 },
        Case { method: Method::PUT, failure: missing(), delivery: Some(Delivery::Rejected), requests: 1 },
        Case { method: Method::GET, failure: Action::Close(Vec::new()), delivery: None, requests: 2 },
        Case {
            method: Method::PATCH,
            failure: Action::Close(Vec::new()),
            delivery: Some(Delivery::Unknown),
            requests: 1,
        },
    ];
    for (number, Case { method, failure, delivery, requests }) in cases.into_iter().enumerate() {
        let failure = Mutex::new(Some(failure));
        let server = Server::start(move |_| {
            let failure = failure.lock().expect("no panic").take();
            failure.unwrap_or_else(|| Action::Respond(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()))
        })
        .await;
        let result = client(&server).request(method.clone(), "/contacts/c1").send().await;
        assert_eq!(
            result.as_ref().err().map(highlevel::Error::delivery),
            delivery,
            "case {number}, {method}"
        );
        assert_eq!(server.requests().len(), requests, "case {number}, {method}");
        let attempts = result.map_or_else(|error| error.attempts(), |receipt| receipt.attempts());
        assert_eq!(attempts as usize, requests, "case {number}, {method}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_not_overridden_by_a_later_rejection() {
    let first = Mutex::new(true);
    let server = Server::start(move |_| {
        let is_first = std::mem::replace(&mut *first.lock().expect("no panic"), false);
        if is_first { Action::Reset } else { Action::Respond(response("403 Forbidden", "", "")) }
    })
    .await;
    let error = client(&server).request(Method::DELETE, "/contacts/c1").send().await.expect_err("403");
    assert_eq!((error.status(), error.delivery(), error.attempts()), (Some(403), Delivery::Unknown, 2));
}

#[tokio::test]
async fn the_retry_policy_applies_to_requests() {
    let server = Server::always(Action::Respond(response("502 Bad Gateway", "", ""))).await;
    let client = client(&server).with_retry_policy(RetryPolicy::none());
    let error = client.request(Method::GET, "/contacts/c1").send().await.expect_err("502");
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_response_of_an_unexpected_shape_is_accepted() {
    let server = Server::always(Action::Respond(response("200 OK", "", "<html>"))).await;
    let request = client(&server).request(Method::POST, "/contacts/");
    let error = request.send_json::<serde_json::Value>().await.expect_err("HTML is not JSON");
    assert_eq!((error.delivery(), error.kind()), (Delivery::Accepted, ErrorKind::Receipt));
    assert_eq!((error.status(), error.body(), error.attempts()), (Some(200), &b"<html>"[..], 1));
    assert!(std::error::Error::source(&error).is_some());
}

/// A proxy or a server could normalize each of these paths to the path of another resource.
#[tokio::test]
async fn paths_that_could_be_normalized_are_rejected() {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    let client = client(&server);
    for path in [
        "/contacts/../locations/l1",
        "/contacts/..",
        "/contacts/.",
        "/contacts/./c1",
        "/..",
        "/contacts/%2e%2e/locations/l1",
        "/contacts/%2E%2e/locations/l1",
        "/contacts/.%2E/locations/l1",
        "/contacts/%2e./locations/l1",
        "/contacts/%2e/c1",
        "/contacts/%252e%252e/locations/l1",
        "/contacts/%25252e%25252e/locations/l1",
        "/contacts/..;/locations/l1",
        "/contacts/..;a=b/locations/l1",
        "/contacts/..%3Ba/locations/l1",
        "/contacts/..\\locations\\l1",
        "/contacts\\..\\locations/l1",
        "/contacts/..%5clocations%5cl1",
        "/contacts/..%5Clocations/l1",
        "/contacts/a%5cb",
        "/contacts/..%2flocations%2fl1",
        "/contacts/..%2Flocations%2Fl1",
        "/contacts/a%2Fb",
        "/contacts/a%252Fb",
        "//contacts/c1",
        "//example.com/contacts",
        "/contacts//c1",
        "/contacts//",
        "/contacts/%00",
        "/contacts/a%0Ab",
        "/contacts/a%0d%0aX: 1",
        "/contacts/a%7fb",
        "/contacts/\u{85}",
        "/contacts/a\tb",
        "/contacts/.\t./locations/l1",
        "/contacts/\u{a0}",
        "/contacts/%zz",
        "/contacts/100%",
        "/contacts/%2",
        "/contacts/%c0%ae%c0%ae/locations/l1",
        "/contacts/%ff",
    ] {
        let result = client.request(Method::DELETE, path).send().await;
        let lines: Vec<_> = server.requests().into_iter().map(|request| request.line).collect();
        let error = result.expect_err(&format!("{path} arrived as {lines:?}"));
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::InvalidRequest, Delivery::NotSent),
            "{path}"
        );
        assert!(lines.is_empty(), "{path} arrived as {lines:?}");
    }
}
#[tokio::test]
async fn rejected_paths_are_reported_with_the_fix() {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    for (path, text) in [
        ("", "GET : the path `` does not begin with a slash: write it like /contacts/ID"),
        (
            "contacts",
            "GET contacts: the path `contacts` does not begin with a slash: write it like /contacts/ID",
        ),
        (
            "https://example.com/",
            "GET https://example.com/: the path `https://example.com/` does not begin with a slash: write it like \
             /contacts/ID",
        ),
        (
            "/contacts?limit=1",
            "GET /contacts%3Flimit=1: the path has a query or a fragment: add parameters with `.query(…)`",
        ),
        (
            "/contacts/a b",
            "GET /contacts/a%20b: the path `/contacts/a b` contains white space: is an id in it empty or cut?",
        ),
        (
            "/contacts/\n",
            "GET /contacts/%0A: the path `/contacts/\\n` contains white space: is an id in it empty or cut?",
        ),
        (
            "/contacts/..",
            "GET /contacts/..: the path segment `..` is a dot segment, which would name another resource",
        ),
        ("/contacts//", "GET /contacts//: the path has an empty segment: is an id in it empty?"),
        (
            "/contacts/a%2fb",
            "GET /contacts/a%2fb: the path segment `a%2fb` contains a slash or backslash, which would name another \
             resource: pass each segment separately",
        ),
        (
            "/contacts/100%",
            "GET /contacts/100%: the path `/contacts/100%` contains a percent sign without two hexadecimal digits: \
             pass the segments, as in [\"contacts\", id]",
        ),
    ] {
        let error = client(&server).request(Method::GET, path).send().await.expect_err(path);
        assert_eq!(error.to_string(), text);
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::InvalidRequest, Delivery::NotSent));
    }
    assert!(server.requests().is_empty());
}

/// An id remains one segment, or the request is rejected.
#[tokio::test]
async fn segments_are_percent_encoded() {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    let client = client(&server);
    for (id, arrived) in [
        ("ocQHyuzHvysMo5N5VsXc", Some("ocQHyuzHvysMo5N5VsXc")),
        ("a b", Some("a%20b")),
        ("50% off", Some("50%25%20off")),
        ("a?b#c", Some("a%3Fb%23c")),
        ("a&b=c;d", Some("a%26b%3Dc%3Bd")),
        ("+15037081210", Some("%2B15037081210")),
        ("ada@example.com", Some("ada%40example.com")),
        ("custom_objects.pet", Some("custom_objects.pet")),
        ("...", Some("...")),
        ("..a", Some("..a")),
        ("\u{e9}", Some("%C3%A9")),
        ("", None),
        (".", None),
        ("..", None),
        ("../locations/l1", None),
        ("..\\locations\\l1", None),
        ("%2e%2e", None),
        ("%2E.%2flocations", None),
        ("%252e%252e", None),
        ("..;a", None),
        ("a/b", None),
        ("a\\b", None),
        ("a\nb", None),
        ("a\u{0}b", None),
    ] {
        let before = server.requests().len();
        let result = client.request(Method::DELETE, ["contacts", id, "tags"]).send().await;
        let lines: Vec<_> = server.requests().into_iter().skip(before).map(|request| request.line).collect();
        if let Some(arrived) = arrived {
            result.expect(id);
            assert_eq!(lines, [format!("DELETE /contacts/{arrived}/tags HTTP/1.1")]);
        } else {
            let error = result.expect_err(id);
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::InvalidRequest, Delivery::NotSent));
            assert!(lines.is_empty(), "{id} arrived as {lines:?}");
        }
    }
}

/// Documented paths, below a base URL that has a path.
#[tokio::test]
async fn documented_paths_are_sent_unchanged() {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    let base = format!("{}/proxy/v1/", server.url());
    let client = Client::builder().token(TOKEN).base_url(base).build().expect("a client");
    for path in [
        "/contacts/",
        "/contacts/c1",
        "/conversations/messages/upload",
        "/objects/custom_objects.pet/records",
        "/a%20b",
        "/@me",
    ] {
        client.request(Method::GET, path).send().await.expect(path);
        let line = server.requests().pop().expect("a request").line;
        assert_eq!(line, format!("GET /proxy/v1{path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn errors_name_the_method_and_the_path() {
    let server = Server::always(Action::Respond(response("404 Not Found", "", ""))).await;
    let request = client(&server).request(Method::DELETE, "/contacts/c1").query("key", "secret");
    let error = request.send().await.expect_err("404");
    assert_eq!(error.operation(), "DELETE /contacts/c1");
    assert!(error.to_string().starts_with("DELETE /contacts/c1: "), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    let error = client(&server).request(Method::CONNECT, "/contacts").send().await.expect_err("a tunnel");
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::InvalidRequest, 1));
}

/// A request that only reads is neither done nor undone.
#[tokio::test]
async fn errors_of_reading_requests_do_not_mention_the_delivery() {
    struct Case {
        method: Method,
        status: &'static str,
        text: &'static str,
        is_retryable: bool,
    }
    for Case { method, status, text, is_retryable } in [
        Case {
            method: Method::GET,
            status: "404 Not Found",
            text: "GET /contacts/c1: HighLevel responded with 404 Not Found",
            is_retryable: false,
        },
        Case {
            method: Method::GET,
            status: "500 Internal Server Error",
            text: "GET /contacts/c1: HighLevel responded with 500 Internal Server Error",
            is_retryable: true,
        },
        Case {
            method: Method::HEAD,
            status: "503 Service Unavailable",
            text: "HEAD /contacts/c1: HighLevel responded with 503 Service Unavailable",
            is_retryable: true,
        },
        Case {
            method: Method::OPTIONS,
            status: "403 Forbidden",
            text: "OPTIONS /contacts/c1: HighLevel responded with 403 Forbidden",
            is_retryable: false,
        },
        Case {
            method: Method::PUT,
            status: "404 Not Found",
            text: "PUT /contacts/c1: HighLevel responded with 404 Not Found; it was not done",
            is_retryable: false,
        },
        Case {
            method: Method::DELETE,
            status: "502 Bad Gateway",
            text: "DELETE /contacts/c1: HighLevel responded with 502 Bad Gateway; it may have been done, so look before \
                   sending it again",
            is_retryable: true,
        },
        Case {
            method: Method::POST,
            status: "502 Bad Gateway",
            text: "POST /contacts/c1: HighLevel responded with 502 Bad Gateway; it may have been done, so look before \
                   sending it again",
            is_retryable: false,
        },
        Case {
            method: Method::PATCH,
            status: "429 Too Many Requests",
            text: "PATCH /contacts/c1: HighLevel responded with 429 Too Many Requests; it was not done",
            is_retryable: true,
        },
    ] {
        // The body of a response to HEAD is empty.
        let server = Server::always(Action::Close(response(status, "", ""))).await;
        let request = server.client().request(method.clone(), "/contacts/c1");
        let error = request.send().await.expect_err(text);
        assert_eq!(
            (error.to_string().as_str(), error.operation()),
            (text, &*format!("{method} /contacts/c1"))
        );
        assert_eq!(error.is_retryable(), is_retryable, "{text}");
    }
    let client = Client::builder()
        .token(TOKEN)
        .base_url(format!("http://{}", nowhere().await))
        .retry_policy(RetryPolicy::none());
    let client = client.build().expect("a client");
    let error = client.request(Method::GET, "/contacts/c1").send().await.expect_err("no server");
    assert_eq!(error.to_string(), "GET /contacts/c1: no connection to HighLevel; nothing was sent");
    assert!(error.is_retryable());
}
