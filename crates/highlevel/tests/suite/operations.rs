//! The three operations: the exact request, and the fields of the receipt.

use std::time::{Duration, SystemTime};

use highlevel::{ApiVersion, CallStatus, Delivery, Email, ErrorKind, Inbound, OutboundCall, Sms, wire};
use serde_json::{Value, json};

use crate::server::{Action, Request, Server, TOKEN, json as json_response, receipt, response};

/// Checks all of a request except the host and the order of the headers.
fn check(request: &Request, line: &str, body: &Value) {
    assert_eq!(request.line, line);
    assert_eq!(request.json(), *body);
    let mut headers: Vec<_> = request.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    headers.retain(|(name, _)| *name != "host");
    headers.sort_unstable();
    let (length, bearer) = (request.body.len().to_string(), format!("Bearer {TOKEN}"));
    assert_eq!(
        headers,
        [
            ("accept", "application/json"),
            ("authorization", bearer.as_str()),
            ("content-length", length.as_str()),
            ("content-type", "application/json"),
            ("user-agent", "highlevel-rust/0.1.0"),
            ("version", "2021-04-15"),
        ]
    );
}

#[tokio::test]
async fn sends_a_message() {
    let server = Server::always(Action::Respond(json_response(
        "201 Created",
        &json!({
            "conversationId": "ABC12h2F6uBrIkfXYazb",
            "messageId": "t22c6DQcTDf3MjRhwf77",
            "emailMessageId": "rnGyqh2F6uBrIkfhFo9A",
            "msg": "Message queued successfully.",
            "status": "pending",
            "newField": [1],
        }),
    )))
    .await;
    let message = Email::to("abc123def456").subject("Order confirmed").html("<p>Thank you!</p>");
    let sent = server.client().messages().send(message).await.expect("a receipt");

    assert_eq!(sent.conversation_id().as_str(), "ABC12h2F6uBrIkfXYazb");
    assert_eq!(sent.message_id().as_str(), "t22c6DQcTDf3MjRhwf77");
    assert_eq!(sent.response().email_message_id.as_ref().expect("an id").as_str(), "rnGyqh2F6uBrIkfhFo9A");
    assert_eq!(sent.response().msg.as_deref(), Some("Message queued successfully."));
    assert_eq!(sent.response().status.as_deref(), Some("pending"));
    assert_eq!(sent.response().extra["newField"], json!([1]));
    check(
        &server.request(),
        "POST /conversations/messages HTTP/1.1",
        &json!({
            "type": "Email",
            "contactId": "abc123def456",
            "subject": "Order confirmed",
            "html": "<p>Thank you!</p>",
            "status": "pending",
        }),
    );
}

#[tokio::test]
async fn adds_an_inbound_message() {
    let body = json!({
        "success": true,
        "conversationId": "ABC12h2F6uBrIkfXYazb",
        "messageId": "t22c6DQcTDf3MjRhwf77",
        "message": "string",
        "contactId": "cI08i1Bls3iTB9bKgFJh",
        "dateAdded": "2024-07-29T15:51:28.071Z",
        "emailMessageId": "rnGyqh2F6uBrIkfhFo9A",
    });
    let server = Server::always(Action::Respond(json_response("200 OK", &body))).await;
    let message =
        Inbound::sms("61d6d1f9cdac7612faf80753").from_contact("abc123def456").text("See you at eight");
    let added = server.client().messages().add_inbound(message).await.expect("a receipt");

    assert_eq!(added.response().success, Some(true));
    assert_eq!(added.conversation_id().as_str(), "ABC12h2F6uBrIkfXYazb");
    assert_eq!(added.message_id().as_str(), "t22c6DQcTDf3MjRhwf77");
    assert_eq!(added.response().message.as_deref(), Some("string"));
    assert_eq!(added.response().contact_id.as_ref().expect("an id").as_str(), "cI08i1Bls3iTB9bKgFJh");
    let time = added.response().date_added.as_ref().and_then(highlevel::Timestamp::to_system_time);
    assert_eq!(time, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071)));
    assert_eq!(added.response().email_message_id.as_ref().expect("an id").as_str(), "rnGyqh2F6uBrIkfhFo9A");
    check(
        &server.request(),
        "POST /conversations/messages/inbound HTTP/1.1",
        &json!({
            "type": "SMS",
            "contactId": "abc123def456",
            "conversationProviderId": "61d6d1f9cdac7612faf80753",
            "message": "See you at eight",
        }),
    );
}

#[tokio::test]
async fn adds_an_outbound_call() {
    let server = Server::always(Action::Respond(receipt())).await;
    let call = OutboundCall::in_conversation("ve9EPM428h8vShlRW1KT", "61d6d1f9cdac7612faf80753")
        .from("+15037081210")
        .to("+15035550100")
        .status(CallStatus::Completed)
        .at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071));
    let added = server.client().calls().add_outbound(call).await.expect("a receipt");

    assert_eq!(added.message_id().as_str(), "t22c6DQcTDf3MjRhwf77");
    assert_eq!(added.response().success, None);
    check(
        &server.request(),
        "POST /conversations/messages/outbound HTTP/1.1",
        &json!({
            "type": "Call",
            "conversationId": "ve9EPM428h8vShlRW1KT",
            "conversationProviderId": "61d6d1f9cdac7612faf80753",
            "date": "2024-07-29T15:51:28.071Z",
            "call": { "from": "+15037081210", "to": "+15035550100", "status": "completed" },
        }),
    );
}

/// The documented example with all its fields, as the generated type.
#[tokio::test]
async fn sends_a_generated_request_as_it_is() {
    let server = Server::always(Action::Respond(receipt())).await;
    let body = json!({
        "type": "Email", "contactId": "abc123def456", "appointmentId": "appt123",
        "attachments": ["https://storage.com/file1.pdf", "https://storage.com/file2.jpg"],
        "emailFrom": "sender@company.com", "emailCc": ["cc1@company.com", "cc2@company.com"],
        "emailBcc": ["bcc1@company.com", "bcc2@company.com"], "html": "<p>Hello World</p>",
        "message": "Hello, how can I help you today?", "subject": "Important Update",
        "replyMessageId": "msg123", "templateId": "template123", "threadId": "thread123",
        "scheduledTimestamp": 1_669_287_863, "conversationProviderId": "provider123",
        "emailTo": "recipient@company.com", "emailReplyMode": "reply_all", "fromNumber": "+1499499299",
        "toNumber": "+1439499299", "status": "delivered",
    });
    let request: wire::types::SendMessageRequest = serde_json::from_value(body.clone()).expect("a request");
    server.client().messages().send(request).await.expect("a receipt");
    check(&server.request(), "POST /conversations/messages HTTP/1.1", &body);
}

#[tokio::test]
async fn receipts_have_status_headers_and_body() {
    let body = r#"{ "messageId": "m1",  "conversationId": "c1" }"#;
    for (status, number) in [("200 OK", 200), ("201 Created", 201), ("202 Accepted", 202)] {
        let headers = "X-RateLimit-Remaining: 99\r\nContent-Type: application/json\r\nX-Latin1: \u{e9}\r\n";
        let server = Server::always(Action::Respond(response(status, headers, body))).await;
        let sent = server.client().messages().send(Sms::to("c").text("t")).await.expect("a receipt");
        assert_eq!(sent.http_status(), number);
        assert_eq!(sent.attempts(), 1);
        assert_eq!(sent.body(), body.as_bytes());
        assert_eq!(sent.header("x-ratelimit-remaining"), Some("99"));
        assert_eq!(sent.header("X-RateLimit-Remaining"), Some("99"));
        assert_eq!(sent.header("x-latin1"), None, "not ASCII");
        assert_eq!(sent.header("retry-after"), None);
        assert_eq!(sent.header("no name of a header"), None);
        assert_eq!(sent.into_response().message_id, Some("m1".into()));
    }
}

/// Undocumented receipts that still identify the message.
#[tokio::test]
async fn receipts_with_mistyped_fields_are_read() {
    let cases = [
        ("messageIds alone", json!({ "conversationId": "c1", "messageIds": ["m1", "m2"] })),
        ("messageId null", json!({ "conversationId": "c1", "messageId": null, "messageIds": ["m1"] })),
        ("both", json!({ "conversationId": "c1", "messageId": "m1", "messageIds": ["m0"] })),
        ("messageIds null", json!({ "conversationId": "c1", "messageId": "m1", "messageIds": null })),
        ("messageIds a string", json!({ "conversationId": "c1", "messageId": "m1", "messageIds": "m0" })),
        ("forwardData null", json!({ "conversationId": "c1", "messageId": "m1", "forwardData": null })),
        ("msg a number", json!({ "conversationId": "c1", "messageId": "m1", "msg": 1 })),
        ("two mistyped fields", json!({ "conversationId": "c1", "messageId": "m1", "msg": 1, "status": [] })),
    ];
    for (name, body) in cases {
        let server = Server::always(Action::Respond(json_response("201 Created", &body))).await;
        let sent = server.client().messages().send(Sms::to("c").text("t")).await.expect(name);
        assert_eq!((sent.message_id().as_str(), sent.conversation_id().as_str()), ("m1", "c1"), "{name}");
        assert_eq!(serde_json::from_slice::<Value>(sent.body()).expect("JSON"), body, "{name}");
    }
}

#[tokio::test]
async fn receipts_name_each_message() {
    let cases = [
        ("an id", json!({ "conversationId": "c1", "messageId": "m1" }), vec!["m1"]),
        ("a list", json!({ "conversationId": "c1", "messageIds": ["m1", "m2"] }), vec!["m1", "m2"]),
        (
            "both",
            json!({ "conversationId": "c1", "messageId": "m1", "messageIds": ["m1", "m2"] }),
            vec!["m1"],
        ),
    ];
    for (name, body, expected) in cases {
        let server = Server::always(Action::Respond(json_response("201 Created", &body))).await;
        let sent = server.client().messages().send(Sms::to("c").text("t")).await.expect(name);
        let ids: Vec<&str> = sent.message_ids().map(highlevel::MessageId::as_str).collect();
        assert_eq!(ids, expected, "{name}");
        assert_eq!(sent.message_id().as_str(), "m1", "{name}");
    }
}

#[tokio::test]
async fn responses_without_a_message_id_are_no_receipts() {
    for (name, body) in [
        ("no id", json!({ "conversationId": "c1", "msg": "Message queued successfully." })),
        ("empty list", json!({ "conversationId": "c1", "messageIds": [] })),
        ("nulls", json!({ "conversationId": "c1", "messageId": null, "messageIds": null })),
        ("mistyped ids", json!({ "conversationId": "c1", "messageId": 7, "messageIds": "m1" })),
    ] {
        let server = Server::always(Action::Respond(json_response("201 Created", &body))).await;
        let error = server.client().messages().send(Sms::to("c").text("t")).await.expect_err(name);
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Receipt, Delivery::Accepted), "{name}");
        assert_eq!(server.requests().len(), 1, "{name}: accepted requests are not retried");
    }
}

#[tokio::test]
async fn version_user_agent_and_path_are_sent_as_configured() {
    let versions = [
        (ApiVersion::V2021_04_15, "2021-04-15"),
        (ApiVersion::V2021_07_28, "2021-07-28"),
        (ApiVersion::V2023_02_21, "2023-02-21"),
        (ApiVersion::V3, "v3"),
        (ApiVersion::from("2031-01-01"), "2031-01-01"),
    ];
    for (version, text) in versions {
        let server = Server::always(Action::Respond(receipt())).await;
        let client =
            server.builder().version(version).user_agent("front-desk/1.4").build().expect("a client");
        client.messages().send(Sms::to("c").text("t")).await.expect("a receipt");
        let request = server.request();
        assert_eq!(request.header("version"), [text]);
        assert_eq!(request.header("user-agent"), ["front-desk/1.4"]);
        assert_eq!(request.header("api-version"), [""; 0]);
    }
    let stems =
        [("", ""), ("/", ""), ("//", ""), ("/stem", "/stem"), ("/a/b/", "/a/b"), ("/a%20b", "/a%20b")];
    for (stem, expected) in stems {
        let server = Server::always(Action::Respond(receipt())).await;
        let url = format!("{}{stem}", server.url());
        let client = server.builder().base_url(url).build().expect("a client");
        assert_eq!(client.base_url(), format!("{}{expected}", server.url()));
        client.messages().send(Sms::to("c").text("t")).await.expect("a receipt");
        assert_eq!(server.request().line, format!("POST {expected}/conversations/messages HTTP/1.1"));
    }
}

#[tokio::test]
async fn timeouts_can_be_unlimited() {
    let server = Server::always(Action::Respond(receipt())).await;
    let builder = server.builder().connect_timeout(Duration::MAX).attempt_timeout(Duration::MAX);
    let client = builder.idle_timeout(Duration::MAX).build().expect("a client");
    for _ in 0..2 {
        client.messages().send(Sms::to("c").text("t")).await.expect("a receipt");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_generated_client_carries_token_and_version() {
    let server = Server::always(Action::Respond(receipt())).await;
    let (wire, exchange) = server.client().wire().await.expect("a token");
    let request = Sms::to("abc123def456").text("Your table is ready").into();
    let response = wire.send_message(&request).await.expect("a response");
    assert_eq!(response.into_inner().message_id, Some("t22c6DQcTDf3MjRhwf77".into()));
    let trace = exchange.take();
    assert!(trace.written);
    assert_eq!(trace.response.expect("a response").status.as_u16(), 201);
    check(
        &server.request(),
        "POST /conversations/messages HTTP/1.1",
        &json!({
            "type": "SMS", "contactId": "abc123def456", "message": "Your table is ready", "status": "pending",
        }),
    );
}
