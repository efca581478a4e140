//! The meaning of rejections, and the rejections that a fresh token does not cure.

use highlevel::{Delivery, Error, Method, Sms};
use serde_json::{Value, json};

use crate::server::{Action, Server, json as json_response};

/// The predicates of an error that are true, by name.
fn meanings(error: &Error) -> Vec<&'static str> {
    let all = [
        ("contact not found", error.is_contact_not_found()),
        ("without consent", error.is_without_consent()),
        ("window closed", error.is_window_closed()),
        ("provider inaccessible", error.is_provider_inaccessible()),
        ("recipient invalid", error.is_recipient_invalid()),
        ("retryable", error.is_retryable()),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
}

struct Rejection {
    status: &'static str,
    body: Value,
    code: Option<&'static str>,
    meanings: &'static [&'static str],
    messages: &'static [&'static str],
}

#[tokio::test]
async fn rejections_have_a_code_and_a_meaning() {
    for Rejection { status, body, code, meanings: expected, messages } in [
        Rejection {
            status: "400 Bad Request",
            body: json!({ "statusCode": 400, "error": "Bad Request", "message": "Contact not found for id:c-gone",
                "canonicalCode": "CONVERSATIONS_CONTACT_NOT_FOUND", "traceId": "t-1" }),
            code: Some("CONVERSATIONS_CONTACT_NOT_FOUND"),
            meanings: &["contact not found"],
            messages: &["Contact not found for id:c-gone"],
        },
        Rejection {
            status: "400 Bad Request",
            body: json!({ "statusCode": 400, "message": "Cannot send message as DND is active for Email.",
                "canonicalCode": "CONVERSATIONS_MSG_DND_ACTIVE_EMAIL" }),
            code: Some("CONVERSATIONS_MSG_DND_ACTIVE_EMAIL"),
            meanings: &["without consent"],
            messages: &["Cannot send message as DND is active for Email."],
        },
        Rejection {
            status: "400 Bad Request",
            body: json!({ "message": "unsubscribed", "canonicalCode": "CONVERSATIONS_MSG_UNSUBSCRIBED" }),
            code: Some("CONVERSATIONS_MSG_UNSUBSCRIBED"),
            meanings: &["without consent"],
            messages: &["unsubscribed"],
        },
        Rejection {
            status: "401 Unauthorized",
            body: json!({ "statusCode": 401, "message": "You don't have access to the conversationProvider with id: p-9",
                "canonicalCode": "CONVERSATIONS_MSG_PROVIDER_NO_ACCESS" }),
            code: Some("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"),
            meanings: &["provider inaccessible"],
            messages: &["You don't have access to the conversationProvider with id: p-9"],
        },
        Rejection {
            status: "422 Unprocessable Entity",
            body: json!({ "message": "no phone", "canonicalCode": "CONVERSATIONS_MSG_NO_PHONE" }),
            code: Some("CONVERSATIONS_MSG_NO_PHONE"),
            meanings: &["recipient invalid"],
            messages: &["no phone"],
        },
        Rejection {
            status: "400 Bad Request",
            body: json!({ "statusCode": 400, "message": ["contactId should not be empty", "type is wrong"] }),
            code: None,
            meanings: &[],
            messages: &["contactId should not be empty", "type is wrong"],
        },
        Rejection {
            status: "429 Too Many Requests",
            body: json!({ "statusCode": 429, "message": "Too many requests" }),
            code: None,
            meanings: &["retryable"],
            messages: &["Too many requests"],
        },
        Rejection {
            status: "400 Bad Request",
            body: json!({ "message": "new", "canonicalCode": "CONVERSATIONS_MSG_SOMETHING_NEW" }),
            code: Some("CONVERSATIONS_MSG_SOMETHING_NEW"),
            meanings: &[],
            messages: &["new"],
        },
    ] {
        let server = Server::always(Action::Respond(json_response(status, &body))).await;
        let error = server.client().messages().send(Sms::to("c").text("t")).await.expect_err(status);
        assert_eq!((error.code(), error.delivery()), (code, Delivery::Rejected), "{body}");
        assert_eq!(meanings(&error), expected, "{body}");
        assert_eq!(error.messages(), messages, "{body}");
    }
}

#[tokio::test]
async fn a_closed_window_names_its_channel() {
    let body = json!({ "statusCode": 400, "message": "too late", "traceId": "t-2",
        "canonicalCode": "CONVERSATIONS_MSG_CHAT_NO_LONGER_ACTIVE", "arguments": { "channel": "Instagram" } });
    let server = Server::always(Action::Respond(json_response("400 Bad Request", &body))).await;
    let error = server.client().messages().send(Sms::to("c").text("t")).await.expect_err("closed");
    assert_eq!(meanings(&error), ["window closed"]);
    assert_eq!(error.arguments().expect("arguments")["channel"], "Instagram");
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 400 Bad Request: too late \
         (CONVERSATIONS_MSG_CHAT_NO_LONGER_ACTIVE, trace t-2); it was not done"
    );
}

#[tokio::test]
async fn unknown_outcomes_of_messages_are_not_retryable() {
    for (action, is_retryable) in [
        (Action::Close(Vec::new()), false),
        (Action::Respond(json_response("500 Internal Server Error", &json!({}))), false),
        (Action::Respond(json_response("201 Created", &json!({}))), false),
        (Action::Respond(json_response("403 Forbidden", &json!({}))), false),
        (Action::Respond(json_response("429 Too Many Requests", &json!({}))), true),
    ] {
        let server = Server::always(action).await;
        let error = server.client().messages().send(Sms::to("c").text("t")).await.expect_err("a failure");
        assert_eq!(error.is_retryable(), is_retryable, "{error}");
    }
    let server = Server::silent().await;
    let error = server.client().messages().send(Sms::to("c")).await.expect_err("no content");
    assert!(!error.is_retryable(), "{error}");
    let error = server.client().request(Method::GET, "contacts").send().await.expect_err("no slash");
    assert!(!error.is_retryable(), "{error}");
}
