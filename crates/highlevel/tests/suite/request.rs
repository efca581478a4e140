//! Requests to any other endpoint.

use std::sync::Mutex;

use highlevel::{Client, Delivery, ErrorKind, Method, RetryPolicy};
use serde_json::json;

use crate::server::{Act, Server, TOKEN, answer, json as json_answer};

fn client(server: &Server) -> Client {
    Client::builder().token(TOKEN).base_url(server.url()).build().expect("a client")
}

#[tokio::test]
async fn it_goes_out_with_everything_a_call_has() {
    let server =
        Server::always(Act::Answer(json_answer("200 OK", &json!({ "contact": { "id": "c1" } })))).await;
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
async fn a_get_has_no_body_and_an_empty_answer_is_fine() {
    let server = Server::always(Act::Answer(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let receipt = client(&server).request(Method::GET, "/contacts/c1").send().await.expect("a receipt");
    assert_eq!((receipt.http_status(), receipt.body()), (204, &b""[..]));
    let seen = server.request();
    assert!(seen.header("content-length").is_empty() && seen.header("content-type").is_empty());
}

/// Each method, each failure: what is made again, what it ends with, and how often the server was asked.
#[tokio::test]
async fn only_what_is_idempotent_is_made_again_after_what_passes() {
    let bad_gateway = || Act::Answer(answer("502 Bad Gateway", "", ""));
    let internal = || Act::Answer(answer("500 Internal Server Error", "", ""));
    let missing = || Act::Answer(answer("404 Not Found", "", ""));
    let rows: [(Method, Act, Option<Delivery>, usize); 15] = [
        (Method::GET, bad_gateway(), None, 2),
        (Method::HEAD, bad_gateway(), None, 2),
        (Method::PUT, bad_gateway(), None, 2),
        (Method::DELETE, bad_gateway(), None, 2),
        (Method::POST, bad_gateway(), Some(Delivery::Unknown), 1),
        (Method::PATCH, bad_gateway(), Some(Delivery::Unknown), 1),
        (Method::GET, Act::Reset, None, 2),
        (Method::DELETE, Act::Reset, None, 2),
        // There is no body by which it would show that something was written.
        (Method::POST, Act::Reset, Some(Delivery::Unknown), 1),
        (Method::GET, internal(), Some(Delivery::Unknown), 1),
        (Method::POST, internal(), Some(Delivery::Unknown), 1),
        (Method::GET, missing(), Some(Delivery::Rejected), 1),
        (Method::PUT, missing(), Some(Delivery::Rejected), 1),
        (Method::GET, Act::Close(Vec::new()), None, 2),
        (Method::PATCH, Act::Close(Vec::new()), Some(Delivery::Unknown), 1),
    ];
    for (row, (method, first, delivery, requests)) in rows.into_iter().enumerate() {
        let failure = Mutex::new(Some(first));
        let server = Server::start(move |_| {
            let failure = failure.lock().expect("no panic").take();
            failure.unwrap_or_else(|| Act::Answer(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()))
        })
        .await;
        let result = client(&server).request(method.clone(), "/contacts/c1").send().await;
        assert_eq!(result.as_ref().err().map(highlevel::Error::delivery), delivery, "row {row}, {method}");
        assert_eq!(server.requests().len(), requests, "row {row}, {method}");
        let attempts = result.map_or_else(|error| error.attempts(), |receipt| receipt.attempts());
        assert_eq!(attempts as usize, requests, "row {row}, {method}");
    }
}

/// What may have been done stays so, whatever comes after it.
#[tokio::test]
async fn a_later_refusal_does_not_undo_an_earlier_attempt() {
    let first = Mutex::new(true);
    let server = Server::start(move |_| {
        let is_first = std::mem::replace(&mut *first.lock().expect("no panic"), false);
        if is_first { Act::Reset } else { Act::Answer(answer("403 Forbidden", "", "")) }
    })
    .await;
    let error = client(&server).request(Method::DELETE, "/contacts/c1").send().await.expect_err("403");
    assert_eq!((error.status(), error.delivery(), error.attempts()), (Some(403), Delivery::Unknown, 2));
}

#[tokio::test]
async fn the_policy_holds_here_too() {
    let server = Server::always(Act::Answer(answer("502 Bad Gateway", "", ""))).await;
    let client = client(&server).with_retry_policy(RetryPolicy::none());
    let error = client.request(Method::GET, "/contacts/c1").send().await.expect_err("502");
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn an_answer_of_another_shape_was_done() {
    let server = Server::always(Act::Answer(answer("200 OK", "", "<html>"))).await;
    let request = client(&server).request(Method::POST, "/contacts/");
    let error = request.send_json::<serde_json::Value>().await.expect_err("HTML is no JSON");
    assert_eq!((error.delivery(), error.kind()), (Delivery::Accepted, ErrorKind::Receipt));
    assert_eq!((error.status(), error.body(), error.attempts()), (Some(200), &b"<html>"[..], 1));
    assert!(std::error::Error::source(&error).is_some());
}

/// None of these paths may reach a server: each could become the path of another resource on the way.
#[tokio::test]
async fn paths_that_could_change_on_the_way_are_rejected() {
    let server = Server::always(Act::Answer(answer("200 OK", "", ""))).await;
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
    let server = Server::always(Act::Answer(answer("200 OK", "", ""))).await;
    for (path, text) in [
        ("", "request GET : the path `` does not begin with a slash: write it like /contacts/ID"),
        (
            "contacts",
            "request GET contacts: the path `contacts` does not begin with a slash: write it like /contacts/ID",
        ),
        (
            "https://example.com/",
            "request GET https://example.com/: the path `https://example.com/` does not begin with a slash: write it like \
             /contacts/ID",
        ),
        (
            "/contacts?limit=1",
            "request GET /contacts%3Flimit=1: the path has a query or a fragment: add parameters with `.query(…)`",
        ),
        (
            "/contacts/a b",
            "request GET /contacts/a%20b: the path `/contacts/a b` contains white space: is an id in it empty or cut?",
        ),
        (
            "/contacts/\n",
            "request GET /contacts/%0A: the path `/contacts/\\n` contains white space: is an id in it empty or cut?",
        ),
        (
            "/contacts/..",
            "request GET /contacts/..: the path segment `..` is a dot segment, which would name another resource",
        ),
        ("/contacts//", "request GET /contacts//: the path has an empty segment: is an id in it empty?"),
        (
            "/contacts/a%2fb",
            "request GET /contacts/a%2fb: the path segment `a%2fb` contains a slash or backslash, which would name another \
             resource: pass each segment separately",
        ),
        (
            "/contacts/100%",
            "request GET /contacts/100%: the path `/contacts/100%` contains a percent sign without two hexadecimal digits: \
             pass the segments, as in [\"contacts\", id]",
        ),
    ] {
        let error = client(&server).request(Method::GET, path).send().await.expect_err(path);
        assert_eq!(error.to_string(), text);
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::InvalidRequest, Delivery::NotSent));
    }
    assert!(server.requests().is_empty());
}

/// An id in a segment stays a segment, or the request is rejected.
#[tokio::test]
async fn segments_are_percent_encoded() {
    let server = Server::always(Act::Answer(answer("200 OK", "", ""))).await;
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

/// Paths of the API as its documentation writes them, below a base URL with a path of its own.
#[tokio::test]
async fn documented_paths_arrive_as_they_are() {
    let server = Server::always(Act::Answer(answer("200 OK", "", ""))).await;
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
    let server = Server::always(Act::Answer(answer("404 Not Found", "", ""))).await;
    let request = client(&server).request(Method::DELETE, "/contacts/c1").query("key", "secret");
    let error = request.send().await.expect_err("404");
    assert_eq!(error.target(), Some("DELETE /contacts/c1"));
    assert!(error.to_string().starts_with("request DELETE /contacts/c1: "), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    let error = client(&server).request(Method::CONNECT, "/contacts").send().await.expect_err("a tunnel");
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::InvalidRequest, 1));
}
