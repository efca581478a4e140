//! Messages that exist, and transcriptions.

use highlevel::wire::types::ExportChannel;
use highlevel::{Delivery, EmailProgress, EmailStatus, ErrorKind, MessageExport, Number, Status};
use serde_json::json;

use super::{Call, Case, call, check, message};
use crate::server::{Action, Server, json as json_response};

const TRANSCRIPTION: &str = "GET /conversations/locations/l1/messages/m1/transcription HTTP/1.1";
const MESSAGE: &str = "GET /conversations/messages/m1 HTTP/1.1";
const EMAIL: &str = "GET /conversations/messages/email/e1 HTTP/1.1";
const LIST: &str = "GET /conversations/v1/messages?limit=100 HTTP/1.1";

#[allow(clippy::too_many_lines, reason = "a table")]
fn messages() -> Vec<Case> {
    let email = json!({ "id": "e1", "subject": "Hello", "to": ["ada@example.com"], "from": "desk@example.com", "cc": "a@b.c" });
    let read_email: Call = call!(|client| {
        let read = client.messages().get_email(&"e1".into()).await?;
        Ok(format!("{} {:?}", read.response().id, read.response().subject))
    });
    let read_message: Call = call!(|client| {
        let read = client.messages().get(&"m1".into()).await?;
        Ok(format!(
            "{} {:?}",
            read.message().id,
            read.message().alt_id.as_ref().map(highlevel::AltId::as_str)
        ))
    });
    let list: Call = call!(|client| {
        let listed = client.messages().list(&"v1".into()).collect().await?;
        Ok(listed.iter().map(|message| message.id.as_str()).collect::<Vec<_>>().join(" "))
    });
    let transcribe: Call = call!(|client| {
        let read = client.calls().transcription(&"m1".into()).await?;
        let start = read.sentences()[0].start_time.as_ref().and_then(Number::as_f64);
        Ok(format!("{:?} {start:?}", read.sentences()[0].transcript))
    });
    let case = |name, call, line, response, returns| Case {
        name,
        call,
        line,
        body: None,
        response,
        returns,
        is_repeated: true,
    };
    let mut call = message("m1");
    call["meta"] = json!({ "call": { "duration": "120", "status": "completed" } });
    call["attachments"] = json!({ "odd": true });
    let sentence =
        json!({ "mediaChannel": "1", "sentenceIndex": "0", "startTime": "34.5", "transcript": "Hello" });
    vec![
        case(
            "get",
            read_message,
            MESSAGE,
            json!({ "message": message("m1"), "traceId": "t" }),
            "m1 Some(\"a1\")",
        ),
        case("get, as the vendor's file has it", read_message, MESSAGE, message("m1"), "m1 Some(\"a1\")"),
        case(
            "get a call with odd fields",
            read_message,
            MESSAGE,
            json!({ "message": call }),
            "m1 Some(\"a1\")",
        ),
        case("get an email", read_email, EMAIL, email.clone(), "e1 Some(\"Hello\")"),
        case(
            "get a wrapped email",
            read_email,
            EMAIL,
            json!({ "emailMessage": email }),
            "e1 Some(\"Hello\")",
        ),
        case(
            "list",
            list,
            LIST,
            json!({ "messages": { "lastMessageId": "m2", "nextPage": false, "messages": [message("m1"), message("m2")] } }),
            "m1 m2",
        ),
        case(
            "list, as the vendor's file has it, with an odd message",
            list,
            LIST,
            json!({ "lastMessageId": "m2", "nextPage": false,
                "messages": [message("m1"), { "id": "m2", "type": "TYPE_SMS", "from": {} }] }),
            "m1 m2",
        ),
        case("list nothing", list, LIST, json!({ "messages": { "nextPage": false, "messages": null } }), ""),
        case("transcription", transcribe, TRANSCRIPTION, json!([sentence]), "Some(\"Hello\") Some(34.5)"),
        case(
            "transcription, as the vendor's file has it",
            transcribe,
            TRANSCRIPTION,
            sentence,
            "Some(\"Hello\") Some(34.5)",
        ),
        case(
            "export",
            call!(|client| {
                let export =
                    MessageExport::all().channel(ExportChannel::Email).with_contact("c1").page_size(100);
                Ok(client.messages().export(export).collect().await?.len().to_string())
            }),
            "GET /conversations/messages/export?channel=Email&contactId=c1&limit=100&locationId=l1 HTTP/1.1",
            json!({ "messages": [message("m1")], "nextCursor": null, "total": 1 }),
            "1",
        ),
        Case {
            name: "status",
            call: call!(|client| {
                let status = Status::failed("Not in service").code("30003");
                let set = client.messages().set_status(&"m1".into(), status).await?;
                Ok(format!("{:?}", set.response().status))
            }),
            line: "PUT /conversations/messages/m1/status HTTP/1.1",
            body: Some(
                json!({ "status": "failed", "error": { "code": "30003", "message": "Not in service" } }),
            ),
            response: json!({ "conversationId": "v1", "messageId": "m1", "status": "failed" }),
            returns: "Some(\"failed\")",
            is_repeated: true,
        },
        Case {
            name: "status of an email",
            call: call!(|client| {
                let progress = EmailProgress::new(EmailStatus::Delivered)
                    .recipient("ada@example.com", EmailStatus::Delivered)
                    .failed_recipient("grace@example.com", "Mailbox not found");
                let set = client.messages().set_email_status(&"e1".into(), progress).await?;
                Ok(format!("{:?}", set.response().success))
            }),
            line: "PUT /conversations/messages/email/e1/status HTTP/1.1",
            body: Some(json!({ "status": "delivered", "recipients": [
                { "emailId": "ada@example.com", "status": "delivered" },
                { "emailId": "grace@example.com", "status": "failed", "failReason": "Mailbox not found" },
            ] })),
            response: json!({ "success": true, "message": "Updated" }),
            returns: "Some(true)",
            is_repeated: true,
        },
        Case {
            name: "cancel",
            call: call!(|client| {
                Ok(format!("{:?}", client.messages().cancel(&"m1".into()).await?.response().message))
            }),
            line: "DELETE /conversations/messages/m1/schedule HTTP/1.1",
            body: None,
            response: json!({ "status": 200, "message": "Cancelled" }),
            returns: "Some(\"Cancelled\")",
            is_repeated: false,
        },
        Case {
            name: "cancel an email",
            call: call!(|client| {
                Ok(format!("{:?}", client.messages().cancel_email(&"e1".into()).await?.response().message))
            }),
            line: "DELETE /conversations/messages/email/e1/schedule HTTP/1.1",
            body: None,
            response: json!({ "message": "Cancelled" }),
            returns: "Some(\"Cancelled\")",
            is_repeated: false,
        },
        Case {
            name: "attachments",
            call: call!(|client| {
                let set =
                    client.messages().set_attachments(&"m1".into(), ["https://x.example/a.mp3"]).await?;
                Ok(set.http_status().to_string())
            }),
            line: "PUT /conversations/messages/m1/attachments HTTP/1.1",
            body: Some(json!({ "attachments": ["https://x.example/a.mp3"] })),
            response: json!({}),
            returns: "200",
            is_repeated: true,
        },
    ]
}

#[tokio::test]
async fn messages_are_read_and_changed() {
    check(messages()).await;
}

#[tokio::test]
async fn a_failed_cancellation_inside_a_success_is_a_rejection() {
    let body = json!({ "status": 404, "message": "No scheduled message", "traceId": "t" });
    let server = Server::always(Action::Respond(json_response("200 OK", &body))).await;
    let error = server.client().messages().cancel(&"m1".into()).await.expect_err("a failure");
    assert_eq!((error.delivery(), error.kind()), (Delivery::Rejected, ErrorKind::Status));
    assert_eq!(error.messages(), ["No scheduled message"]);
    assert_eq!(error.trace_id(), Some("t"));
}
