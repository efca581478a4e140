//! The exact request of each operation.

use std::time::{Duration, SystemTime};

use highlevel_wire::types::{
    CallDetails, CallStatus, Forward, InboundMessageRequest, InboundMessageType, OutboundCallRequest,
    OutboundCallType, SendMessageRequest, SendMessageType, SendStatus, UserId,
};
use highlevel_wire::{Client, Timestamp};
use serde_json::{Value, json};

use crate::context::{data, request_context, transport};
use crate::server::{Reply, Request, serve};

const RECEIPT: &[u8] =
    b"HTTP/1.1 201 Created\r\ncontent-length: 40\r\n\r\n{\"conversationId\":\"c1\",\"messageId\":\"m1\"}\n";

/// An operation and its body.
enum Call {
    Send(Box<SendMessageRequest>),
    Inbound(Box<InboundMessageRequest>),
    Outbound(Box<OutboundCallRequest>),
}

async fn request(base: &str, call: &Call) -> Request {
    let (address, server) = serve(vec![Reply::Close(RECEIPT.to_vec())]).await;
    let client = Client::new_with_client(&format!("{address}{base}"), transport(), request_context());
    let conversation = match call {
        Call::Send(body) => client.send_message(body).await.map(|sent| sent.into_inner().conversation_id),
        Call::Inbound(body) => {
            client.add_inbound_message(body).await.map(|added| added.into_inner().conversation_id)
        }
        Call::Outbound(body) => {
            client.add_outbound_call(body).await.map(|added| added.into_inner().conversation_id)
        }
    };
    assert_eq!(conversation.expect("a receipt").as_str(), "c1");
    server.await.expect("the server ends").pop().expect("a request")
}

fn sms() -> SendMessageRequest {
    SendMessageRequest::new("contact", SendStatus::Delivered, SendMessageType::Sms)
}

#[tokio::test]
async fn each_operation_sends_its_documented_request() {
    struct Row {
        name: &'static str,
        call: Call,
        path: &'static str,
        body: Value,
    }

    let mut full = sms();
    full.message = Some("Grüße \u{1f44b} \"x\"\n".to_owned());
    full.scheduled_timestamp = Some(1_669_287_863);
    full.attachments = vec!["https://storage.com/file1.pdf".to_owned()];
    full.mentions = vec![UserId::from("u1"), UserId::from("u2")];
    full.uses_native_scheduling_ai = Some(false);
    let mut forward = Forward::new();
    forward.is_forwarded = Some(true);
    full.forward = Some(forward);
    let mut far = sms();
    far.scheduled_timestamp = Some(i64::MAX);

    let mut inbound = InboundMessageRequest::new(InboundMessageType::Unknown("NEW_CHANNEL".to_owned()));
    inbound.contact_id = Some("contact".into());
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071);
    inbound.date = Some(Timestamp::from(moment));

    let mut outbound = OutboundCallRequest::new("provider", OutboundCallType::Call);
    let mut details = CallDetails::new();
    details.to = Some("+15037081210".to_owned());
    details.status = Some(CallStatus::NoAnswer);
    outbound.call = Some(details);

    let cases = vec![
        Row {
            name: "the smallest message",
            call: Call::Send(Box::new(sms())),
            path: "/conversations/messages",
            body: json!({ "contactId": "contact", "status": "delivered", "type": "SMS" }),
        },
        Row {
            name: "a message with fields of each kind",
            call: Call::Send(Box::new(full)),
            path: "/conversations/messages",
            body: json!({
                "contactId": "contact", "status": "delivered", "type": "SMS",
                "message": "Grüße \u{1f44b} \"x\"\n", "scheduledTimestamp": 1_669_287_863,
                "attachments": ["https://storage.com/file1.pdf"], "mentions": ["u1", "u2"],
                "usesNativeSchedulingAi": false, "forward": { "isForwarded": true },
            }),
        },
        Row {
            name: "the largest integer",
            call: Call::Send(Box::new(far)),
            path: "/conversations/messages",
            body: json!({
                "contactId": "contact", "status": "delivered", "type": "SMS",
                "scheduledTimestamp": 9_223_372_036_854_775_807_i64,
            }),
        },
        Row {
            name: "an inbound message over a channel of tomorrow",
            call: Call::Inbound(Box::new(inbound)),
            path: "/conversations/messages/inbound",
            body: json!({ "type": "NEW_CHANNEL", "contactId": "contact", "date": "2024-07-29T15:51:28.071Z" }),
        },
        Row {
            name: "a call",
            call: Call::Outbound(Box::new(outbound)),
            path: "/conversations/messages/outbound",
            body: json!({
                "type": "Call", "conversationProviderId": "provider",
                "call": { "to": "+15037081210", "status": "no-answer" },
            }),
        },
    ];
    for Row { name, call, path, body } in cases {
        let request = request("", &call).await;
        assert_eq!(request.line, format!("POST {path} HTTP/1.1"), "{name}");
        assert_eq!(request.header("authorization"), ["Bearer secret-token"], "{name}");
        assert_eq!(request.header("version"), ["2021-04-15"], "{name}");
        assert_eq!(request.header("accept"), ["application/json"], "{name}");
        assert_eq!(request.header("content-type"), ["application/json"], "{name}");
        assert_eq!(request.header("content-length"), [request.body.len().to_string()], "{name}");
        assert_eq!(request.header("user-agent"), Vec::<&str>::new(), "{name}");
        let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["accept", "authorization", "content-length", "content-type", "host", "version"],
            "{name}: nothing else goes out, neither `api-version` nor `transfer-encoding`"
        );
        let sent: Value = serde_json::from_slice(&request.body).expect("the body is JSON");
        assert_eq!(sent, body, "{name}");
        let text = String::from_utf8(request.body).expect("JSON is UTF-8");
        assert!(!text.contains("null"), "{name}: fields that are empty are left out: {text}");
    }
}

#[tokio::test]
async fn the_path_is_appended_to_an_unchanged_base() {
    let cases = [
        ("", "/conversations/messages"),
        ("/stem", "/stem/conversations/messages"),
        ("/a/b", "/a/b/conversations/messages"),
        // The caller removes the trailing slash of a base URL.
        ("/", "//conversations/messages"),
    ];
    for (base, path) in cases {
        assert_eq!(
            request(base, &Call::Send(Box::new(sms()))).await.line,
            format!("POST {path} HTTP/1.1"),
            "{base}"
        );
    }
}

#[tokio::test]
async fn a_custom_user_agent_is_sent() {
    let (address, server) = serve(vec![Reply::Close(RECEIPT.to_vec())]).await;
    let mut data = data();
    data.user_agent = Some("bridge/1.0".parse().expect("a header"));
    let client = Client::new_with_client(&address, transport(), highlevel_wire::RequestContext::new(data));
    client.send_message(&sms()).await.expect("a receipt");
    let request = server.await.expect("the server ends").pop().expect("a request");
    assert_eq!(request.header("user-agent"), ["bridge/1.0"]);
}
