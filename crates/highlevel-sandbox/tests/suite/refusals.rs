//! Rejected requests: status, messages, and the order of the checks.

use highlevel_sandbox::{Spec, Strictness};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND, authorised, bare, execute, post};
use crate::conformance::{Sandbox, StartChecked};

/// Asserts the shape of an error.
async fn check(name: &str, sandbox: &Sandbox, request: RequestBuilder, status: u16, error: &str) -> Value {
    let response = execute(request).await;
    let body = response.body;
    assert_eq!(response.status, status, "{name}: {body}");
    assert_eq!(response.headers["content-type"], "application/json; charset=utf-8", "{name}");
    assert_eq!(body["statusCode"], status, "{name}");
    // The documentation shows the name of the status in a 401 and a 422, but not in a 400.
    let error = if status == 400 { Value::Null } else { json!(error) };
    assert_eq!(body["error"], error, "{name}");
    assert_eq!(body["traceId"].as_str().map(str::len), Some(36), "{name}: {body}");
    assert!(sandbox.messages().is_empty(), "{name}: it was stored");
    body["message"].clone()
}

#[tokio::test]
async fn invalid_routes_tokens_versions_and_bodies_are_rejected() {
    struct Row {
        name: &'static str,
        request: RequestBuilder,
        status: u16,
        error: &'static str,
        message: &'static str,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    let token = s.token().to_owned();
    let post_to = |path: &str| bare(s, Method::POST, path);
    let invalid_token = "Invalid token: access token is invalid";
    let valid = json!({"type": "SMS", "contactId": s.contact_id(), "status": "pending", "message": "Hello"});
    let row = |name, request, status, error, message| Row { name, request, status, error, message };
    let cases = [
        row("no route", post_to("/nope"), 404, "Not Found", "Cannot POST /nope"),
        row(
            "no such method",
            bare(s, Method::GET, "/conversations/messages?limit=5"),
            404,
            "Not Found",
            "Cannot GET /conversations/messages?limit=5",
        ),
        row(
            "no token",
            post_to(SEND).header("Version", "v3").json(&valid),
            401,
            "Unauthorized",
            "the Authorization header is missing; send `Authorization: Bearer <token>`",
        ),
        row(
            "wrong token",
            post_to(SEND).bearer_auth("pit-wrong").json(&valid),
            401,
            "Unauthorized",
            invalid_token,
        ),
        row(
            "wrong scheme",
            post_to(SEND).header("Authorization", format!("Basic {token}")).json(&valid),
            401,
            "Unauthorized",
            invalid_token,
        ),
        row(
            "no version",
            post_to(SEND).bearer_auth(&token).json(&valid),
            401,
            "Unauthorized",
            "version header was not found.",
        ),
        row(
            "unknown version",
            post_to(SEND).bearer_auth(&token).header("Version", "2020-01-01").json(&json!({})),
            400,
            "Bad Request",
            "Invalid API version segment '2020-01-01' at position 0",
        ),
        row(
            "not JSON by its type",
            authorised(s, SEND).header("Content-Type", "text/plain").body(valid.to_string()),
            400,
            "Bad Request",
            "the Content-Type header is `text/plain`, but must be `application/json`",
        ),
        row(
            "no type",
            authorised(s, SEND).body(valid.to_string()),
            400,
            "Bad Request",
            "the Content-Type header is missing, but must be `application/json`",
        ),
        row(
            "cut JSON",
            authorised(s, SEND).header("Content-Type", "application/json").body("{\"type\":"),
            400,
            "Bad Request",
            "the body is not valid JSON: EOF while parsing a value at line 1 column 8",
        ),
        row(
            "no body",
            authorised(s, SEND).header("Content-Type", "application/json"),
            400,
            "Bad Request",
            "the body is empty, but must be a JSON object",
        ),
        row(
            "too large",
            authorised(s, SEND).header("Content-Type", "application/json").body(vec![b' '; 1024 * 1024 + 1]),
            413,
            "Payload Too Large",
            "request entity too large: a body has at most 1048576 bytes",
        ),
    ];
    for Row { name, request, status, error, message } in cases {
        assert_eq!(check(name, s, request, status, error).await, message, "{name}");
    }
}

#[tokio::test]
async fn invalid_bodies_are_rejected_with_all_violations() {
    let sandbox = Sandbox::builder().strictness(Strictness::Documented).start_checked().await.unwrap();
    let s = &sandbox;
    let (contact, provider) = (s.contact_id(), s.conversation_provider_id());
    let cases: &[(&str, Value, &[&str])] = &[
        (
            SEND,
            json!({"type": "SMS", "contactId": 5}),
            &[
                "contactId must be a string, found the number 5 (at /contactId)",
                "status is required, but it is missing (at /status)",
            ],
        ),
        // The schema is checked before references.
        (
            SEND,
            json!({"type": "SMS", "contactId": "unknown", "status": "sent", "message": "Hello"}),
            &["status must be one of delivered, failed, pending, read; found \"sent\" (at /status)"],
        ),
        (
            INBOUND,
            json!({"type": "SMS", "conversationProviderId": provider}),
            &["conversationId or contactId is required, but both are missing (at /conversationId)"],
        ),
        (
            INBOUND,
            json!({"type": "WhatsApp", "contactId": contact, "message": "Hello"}),
            &["conversationProviderId is required, but it is missing (at /conversationProviderId)"],
        ),
        // All violations at once, from the schema and from the sandbox's checks.
        (
            INBOUND,
            json!({"type": "Custom", "attachments": {}}),
            &[
                "attachments must be an array, found an object (at /attachments)",
                "conversationId or contactId is required, but both are missing (at /conversationId)",
            ],
        ),
        (
            OUTBOUND,
            json!({"type": "Call", "conversationProviderId": provider}),
            &["conversationId or contactId is required, but both are missing (at /conversationId)"],
        ),
        (
            OUTBOUND,
            json!({"type": "SMS", "contactId": contact, "message": "Hello"}),
            &[
                "conversationId is required, but it is missing (at /conversationId)",
                "type must be one of Call; found \"SMS\"; send messages with POST /conversations/messages (at /type)",
            ],
        ),
        (INBOUND, json!([]), &["the body must be an object, found an array (at the top)"]),
    ];
    for (path, body, messages) in cases {
        let name = format!("{path} {body}");
        let found = check(&name, s, authorised(s, path).json(body), 422, "Unprocessable Entity").await;
        assert_eq!(found, json!(messages), "{name}");
    }
}

#[tokio::test]
async fn references_to_missing_records_are_rejected() {
    struct Row {
        path: &'static str,
        body: Value,
        field: &'static str,
        text: &'static str,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    let (conversation, provider) = (s.conversation_id(), s.conversation_provider_id());
    let cases = [
        Row {
            path: INBOUND,
            body: json!({"type": "SMS", "conversationId": "none", "message": "Hello"}),
            field: "conversationId",
            text: "\"none\"",
        },
        Row {
            path: INBOUND,
            body: json!({"type": "SMS", "conversationId": conversation, "contactId": "ve9EPM428h8vShlRW1KT", "message": "Hello"}),
            field: "conversationId",
            text: "is with the contact \"abc123def456\", but contactId is \"ve9EPM428h8vShlRW1KT\"",
        },
        Row {
            path: OUTBOUND,
            body: json!({"type": "Call", "conversationId": "none", "conversationProviderId": provider}),
            field: "conversationId",
            text: "\"none\"",
        },
    ];
    for Row { path, body, field, text } in cases {
        let name = format!("{path} {body}");
        let message = check(&name, s, authorised(s, path).json(&body), 400, "Bad Request").await;
        let message = message.as_str().unwrap();
        assert!(message.starts_with(&format!("{field}: ")), "{name}: {message}");
        assert!(message.contains(text), "{name}: {message}");
    }
}

#[tokio::test]
async fn every_version_of_the_spec_is_accepted() {
    let sandbox = Sandbox::start().await.unwrap();
    let versions = Spec::load().unwrap().allowed_values("ApiVersion");
    let body =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    assert!(versions.contains(&"2021-04-15"));
    for version in versions {
        let request =
            bare(&sandbox, Method::POST, SEND).bearer_auth(sandbox.token()).header("Version", version);
        assert_eq!(execute(request.json(&body)).await.status, 201, "{version}");
    }
}

#[tokio::test]
async fn errors_have_the_documented_shape() {
    let sandbox = Sandbox::start().await.unwrap();
    let spec = Spec::load().unwrap();
    let cases = [
        (json!({}), "UnprocessableEntityError"),
        (
            json!({"type": "SMS", "contactId": "unknown", "status": "pending", "message": "Hello"}),
            "BadRequestError",
        ),
    ];
    for (body, schema) in cases {
        let response = post(&sandbox, SEND, &body).await;
        assert_eq!(spec.validate(schema, &response.body), [], "{}", response.body);
    }
    let unauthorised = execute(bare(&sandbox, Method::POST, SEND)).await;
    assert_eq!(spec.validate("UnauthorizedError", &unauthorised.body), []);
}
