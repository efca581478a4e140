//! Accepted requests: their responses, and the stored records.

use highlevel_sandbox::{Contact, MessageDirection, ProviderKind, Spec, SuccessStatus};
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND, post};
use crate::conformance::{Sandbox, StartChecked};

#[tokio::test]
async fn examples_of_the_spec_are_accepted_unchanged() {
    let sandbox = Sandbox::start().await.unwrap();
    let spec = Spec::load().unwrap();
    let document = spec.document();
    let mut accepted = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let examples = &item["post"]["requestBody"]["content"]["application/json"]["examples"];
        for example in examples.as_object().into_iter().flatten().map(|(_, example)| example) {
            let name = example["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let body = &document["components"]["examples"][name]["value"];

            let answered = post(&sandbox, path, body).await;

            assert_eq!(answered.status, 201, "{name}: {}", answered.body);
            let response =
                item["post"]["responses"]["201"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let content = &document["components"]["responses"][response]["content"]["application/json"];
            let schema = content["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            assert_eq!(spec.validate(schema, &answered.body), [], "{name}");
            assert_eq!(sandbox.messages().last().unwrap().request, *body, "{name}");
            accepted += 1;
        }
    }
    assert_eq!(accepted, 3);
}

#[tokio::test]
async fn a_stored_message_equals_its_response() {
    let sandbox = Sandbox::start().await.unwrap();
    let contact = sandbox.contact_id();
    let conversation = sandbox.conversation_id();
    let custom = sandbox.provider_id(ProviderKind::CustomSms);
    let calls = sandbox.provider_id(ProviderKind::Call);
    let call = json!({"to": sandbox.contact(contact).unwrap().phone});
    let cases = [
        (
            SEND,
            json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"}),
            MessageDirection::Outbound,
        ),
        (
            SEND,
            json!({"type": "Email", "contactId": contact, "status": "pending", "html": "<p>Hello</p>"}),
            MessageDirection::Outbound,
        ),
        (
            INBOUND,
            json!({"type": "SMS", "contactId": contact, "message": "Hello"}),
            MessageDirection::Inbound,
        ),
        (
            INBOUND,
            json!({"type": "Email", "conversationId": conversation, "html": "<p>Hello</p>"}),
            MessageDirection::Inbound,
        ),
        (
            INBOUND,
            json!({"type": "Custom", "contactId": contact, "conversationProviderId": custom, "message": "Hello"}),
            MessageDirection::Inbound,
        ),
        (
            OUTBOUND,
            json!({"type": "Call", "conversationId": conversation, "conversationProviderId": calls, "call": call}),
            MessageDirection::Outbound,
        ),
        (
            OUTBOUND,
            json!({"type": "Call", "contactId": contact, "conversationProviderId": calls, "call": call}),
            MessageDirection::Outbound,
        ),
    ];
    for (path, body, direction) in &cases {
        let response = post(&sandbox, path, body).await;
        let message = sandbox.messages().pop().unwrap();
        let is_email = body["type"] == "Email";

        assert_eq!(response.status, 201, "{path} {body}: {}", response.body);
        assert_eq!(message.direction, *direction, "{path} {body}");
        assert_eq!(message.contact_id, contact);
        assert_eq!(message.conversation_id, conversation);
        assert_eq!(message.location_id, sandbox.location_id());
        assert_eq!(response.body["messageId"], *message.id);
        assert_eq!(response.body["conversationId"], *message.conversation_id);
        assert_eq!(response.body.get("emailMessageId").is_some(), is_email, "{body}");
        assert_eq!(response.body["emailMessageId"].as_str(), message.email_message_id.as_deref());
        for id in [Some(&message.id), message.email_message_id.as_ref()].into_iter().flatten() {
            assert!(id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
        if *path != SEND {
            assert_eq!(response.body["success"], true);
        }
    }
    assert_eq!(sandbox.messages().len(), cases.len());
}

#[tokio::test]
async fn sending_to_a_contact_without_a_conversation_creates_one() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_contact(Contact::new("newcomer").phone("+15035550140")).unwrap();
    let send = json!({"type": "SMS", "contactId": "newcomer", "status": "pending", "message": "Hello"});

    let first = post(&sandbox, SEND, &send).await;
    let second = post(&sandbox, SEND, &send).await;
    let conversation = &first.body["conversationId"];
    let reply =
        post(&sandbox, INBOUND, &json!({"type": "SMS", "conversationId": conversation, "message": "Hello"}))
            .await;

    assert_eq!(first.status, 201);
    assert_ne!(*conversation, *sandbox.conversation_id());
    assert_eq!(second.body["conversationId"], *conversation);
    assert_eq!(reply.status, 201);
    assert_eq!(sandbox.messages().pop().unwrap().contact_id, "newcomer");
}

#[tokio::test]
async fn a_reply_joins_the_thread_of_its_email() {
    let sandbox = Sandbox::start().await.unwrap();
    let contact = sandbox.contact_id();
    let first = post(
        &sandbox,
        SEND,
        &json!({"type": "Email", "contactId": contact, "status": "pending", "html": "<p>Hello</p>"}),
    )
    .await;
    let cases: [(Value, Option<&str>); 3] = [
        (first.body["emailMessageId"].clone(), first.body["messageId"].as_str()),
        (json!("unknown"), None),
        (first.body["messageId"].clone(), None),
    ];
    for (replied_to, thread) in cases {
        let body = json!({"type": "Email", "contactId": contact, "emailMessageId": replied_to, "html": "<p>Hello</p>"});
        post(&sandbox, INBOUND, &body).await;
        let reply = sandbox.messages().pop().unwrap();
        assert_eq!(reply.thread_id.as_deref(), Some(thread.unwrap_or(&reply.id)), "{body}");
    }
}

#[tokio::test]
async fn the_builder_sets_token_app_key_and_success_status() {
    let sandbox = Sandbox::builder()
        .token("chosen")
        .app_id("app")
        .signing_key([7; 32])
        .success_status(SuccessStatus::Ok200)
        .start_checked()
        .await
        .unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});

    assert_eq!(post(&sandbox, SEND, &send).await.status, 200);
    assert_eq!((sandbox.token(), sandbox.app_id()), ("chosen", "app"));
    // Made with `openssl pkey -pubout -outform DER` of the key whose 32 bytes are all 7.
    assert_eq!(sandbox.webhook_public_key(), "MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=");
}
