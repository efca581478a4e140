//! Refusals about a message that exists: of status updates and of recordings.

use highlevel_sandbox::{ConversationProvider, ProviderKind, Refusal, Strictness};
use reqwest::Method;
use serde_json::{Value, json};

use super::rows::{CONTACT, PHONE, call, provider, sms, to};
use super::{check, send, start};
use crate::caller::{OUTBOUND, SEND};

#[tokio::test]
async fn status_updates_are_refused_as_by_the_live_api() {
    let sandbox = start(Strictness::Lenient).await;
    let stored = async |body: &Value| {
        let response = send(&sandbox, Method::POST, SEND, body).await;
        response.body["messageId"].as_str().unwrap().to_owned()
    };
    let update = async |id: &str, body: Value| {
        send(&sandbox, Method::PUT, &format!("/conversations/messages/{id}/status"), &body).await
    };
    let through = json!({ "message": "Hello", "conversationProviderId": provider(ProviderKind::Sms) });
    let delivered = || json!({ "status": "delivered" });
    let without = stored(&sms()).await;
    let email = stored(&to("Email", json!({ "html": "<p>Hello</p>" }))).await;
    let own = stored(&to("SMS", through)).await;
    let before = sandbox.messages();

    check(
        "no provider",
        &sandbox,
        &update(&without, delivered()).await,
        Refusal::MessageWithoutProvider,
        None,
    );
    for id in [&*email, "none"] {
        let text = format!("No message found for the id: {id} passed in params");
        check(id, &sandbox, &update(id, delivered()).await, Refusal::UnknownMessage, Some(&text));
    }
    let response = update(&own, json!({ "status": "failed" })).await;
    check("no error", &sandbox, &response, Refusal::FailedWithoutError, None);
    assert_eq!(response.body["message"], json!(["error must be an object"]));
    assert_eq!(sandbox.messages(), before, "a refused update changes nothing");

    let failed = json!({ "status": "failed", "error": { "message": "the number is not in service" } });
    assert_eq!(update(&own, failed).await.status, 200);
    let message = sandbox.message(&own).unwrap();
    assert_eq!(message.history.last().unwrap().error.as_deref(), Some("the number is not in service"));

    // The owner of the provider has changed since.
    let second = stored(&to(
        "SMS",
        json!({ "message": "Hello", "conversationProviderId": provider(ProviderKind::Sms) }),
    ))
    .await;
    let moved =
        ConversationProvider::new(provider(ProviderKind::Sms)).kind(ProviderKind::Sms).app("another-app");
    sandbox.put_provider(moved).unwrap();
    let text =
        format!("You don't have access to the conversationProvider with id: {}", provider(ProviderKind::Sms));
    check(
        "another app",
        &sandbox,
        &update(&second, delivered()).await,
        Refusal::ForeignProvider,
        Some(&text),
    );
}

#[tokio::test]
async fn calls_added_as_pending_are_completed_later() {
    for status in ["completed", "delivered"] {
        let sandbox = start(Strictness::Lenient).await;
        let mut pending = call(CONTACT, json!({ "to": PHONE }));
        pending["call"]["status"] = json!("pending");
        let id = send(&sandbox, Method::POST, OUTBOUND, &pending).await.body["messageId"].clone();
        let id = id.as_str().unwrap();
        assert_eq!(sandbox.message(id).unwrap().status, "pending");
        let path = format!("/conversations/messages/{id}/status");
        let response = send(&sandbox, Method::PUT, &path, &json!({ "status": status })).await;
        assert_eq!((response.status.as_u16(), &response.body["status"]), (200, &json!("completed")));
        assert_eq!(sandbox.message(id).unwrap().status, "completed", "{status}");
        // A call is not read, and only calls can be completed.
        let response = send(&sandbox, Method::PUT, &path, &json!({ "status": "read" })).await;
        assert_eq!(response.status, 400, "{}", response.body);
        let through = json!({ "message": "Hello", "conversationProviderId": provider(ProviderKind::Sms) });
        let sms = send(&sandbox, Method::POST, SEND, &to("SMS", through)).await.body["messageId"].clone();
        let path = format!("/conversations/messages/{}/status", sms.as_str().unwrap());
        let response = send(&sandbox, Method::PUT, &path, &json!({ "status": "completed" })).await;
        assert_eq!(response.status, 400, "{}", response.body);
    }
}

#[tokio::test]
async fn recordings_are_refused_as_by_the_live_api() {
    let sandbox = start(Strictness::Lenient).await;
    let location = sandbox.location_id().to_owned();
    let mut pending = call(CONTACT, json!({ "to": PHONE }));
    pending["call"]["status"] = json!("pending");
    for (path, body) in [(SEND, sms()), (OUTBOUND, pending)] {
        let id = send(&sandbox, Method::POST, path, &body).await.body["messageId"].clone();
        let id = id.as_str().unwrap();
        for path in [
            format!("/conversations/messages/{id}/locations/{location}/recording"),
            format!("/conversations/locations/{location}/messages/{id}/transcription"),
        ] {
            let response = crate::caller::call(&sandbox, Method::GET, &path, None).await;
            check(&path, &sandbox, &response, Refusal::RecordingNotFound, None);
        }
    }
}
