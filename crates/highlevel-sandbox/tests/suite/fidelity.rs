//! Strictness and quirks.

use std::time::Duration;

use highlevel_sandbox::{
    Deviation, MessageDirection, Operation, ProviderKind, Quirk, Rule, Settings, Strictness, SuccessStatus,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND, authorised, bare, client, execute, post};
use crate::conformance::{Sandbox, StartChecked};

async fn sandbox(settings: Settings) -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_settings(settings);
    sandbox
}

/// Returns the status and the body of a response that may have no body.
async fn raw(request: RequestBuilder) -> (u16, String, bool) {
    let response = request.send().await.unwrap();
    let typed = response.headers().contains_key("content-type");
    (response.status().as_u16(), response.text().await.unwrap(), typed)
}

/// For each rule, a request that violates it alone, with the method and the path.
async fn violating(sandbox: &Sandbox, rule: &Rule) -> (Method, String, Value) {
    let contact = sandbox.contact_id();
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), body);
    let text = |body: Value| merged(&body, &json!({"type": "SMS", "contactId": contact, "message": "Hello"}));
    let inbound = |body: Value| {
        let provider = sandbox.conversation_provider_id();
        post(INBOUND, merged(&text(body), &json!({ "conversationProviderId": provider })))
    };
    match rule.name {
        "send-without-status" => post(SEND, text(json!({}))),
        "inbound-without-provider" => post(INBOUND, text(json!({}))),
        "call-without-conversation" => {
            let provider = sandbox.provider_id(ProviderKind::Call);
            let call = json!({"status": "completed", "to": sandbox.contact(contact).unwrap().phone});
            post(
                OUTBOUND,
                json!({
                    "type": "Call", "contactId": contact, "conversationProviderId": provider, "call": call,
                }),
            )
        }
        "error-without-code" | "error-without-type" => {
            let provider = sandbox.provider_id(ProviderKind::Sms);
            let sent = text(json!({"status": "pending", "conversationProviderId": provider}));
            let id = execute(authorised(sandbox, SEND).json(&sent)).await.body["messageId"].clone();
            let mut error = json!({"code": "1", "type": "saas", "message": "it bounced"});
            error.as_object_mut().unwrap().remove(rule.field.split('.').nth(1).unwrap());
            let path = format!("/conversations/messages/{}/status", id.as_str().unwrap());
            (Method::PUT, path, json!({"status": "failed", "error": error}))
        }
        "null-fields" => post(SEND, text(json!({"status": "pending", "html": null}))),
        "sub-type-object" => post(SEND, text(json!({"status": "pending", "subType": {}}))),
        "direction-object" => inbound(json!({"direction": {}})),
        "fractional-timestamp" => {
            post(SEND, text(json!({"status": "pending", "scheduledTimestamp": 1_700_000_000.25})))
        }
        "send-gmb" => post(SEND, text(json!({"status": "pending", "type": "GMB"}))),
        "completed-call" => {
            let call = json!({
                "type": "Call", "conversationId": sandbox.conversation_id(), "message": "Hello",
                "conversationProviderId": sandbox.provider_id(ProviderKind::Call),
                "call": {"status": "pending", "to": sandbox.contact(contact).unwrap().phone},
            });
            let added = execute(authorised(sandbox, OUTBOUND).json(&call)).await.body;
            let path = format!("/conversations/messages/{}/status", added["messageId"].as_str().unwrap());
            (Method::PUT, path, json!({"status": "completed"}))
        }
        "body-for-message" => inbound(json!({"message": "", "body": "Hello"})),
        other => panic!("there is no request for {other}"),
    }
}

/// Returns an SMS that is sent through a provider, whose app can update its status.
fn through_provider(sandbox: &Sandbox) -> Value {
    json!({
        "type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello",
        "conversationProviderId": sandbox.provider_id(ProviderKind::Sms),
    })
}

/// Returns the fields of both objects. Those of the first one take precedence.
fn merged(first: &Value, second: &Value) -> Value {
    let mut merged = second.clone();
    merged.as_object_mut().unwrap().extend(first.as_object().unwrap().clone());
    merged
}

#[tokio::test]
async fn every_rule_is_enforced_when_documented_and_tolerated_when_lenient() {
    for rule in Rule::all() {
        for strictness in [Strictness::Lenient, Strictness::Documented] {
            let sandbox = sandbox(Settings::default().strictness(strictness)).await;
            let (method, path, body) = violating(&sandbox, rule).await;
            let request = bare(&sandbox, method, &path).bearer_auth(sandbox.token());
            let response = execute(request.header("Version", "2021-04-15").json(&body)).await;
            let request = sandbox.requests().pop().unwrap();
            let name = format!("{} {strictness}: {}", rule.name, response.body);
            assert!(
                request.operation.is_some_and(|operation| rule.operations.contains(&operation)),
                "{name}"
            );
            assert_eq!(
                sandbox.messages().iter().filter(|message| message.text() == Some("Hello")).count(),
                usize::from(path != OUTBOUND && (request.accepted || path.ends_with("status"))),
                "{name}"
            );
            if strictness == Strictness::Lenient {
                assert!(request.accepted, "{name}");
                assert_eq!(request.tolerated, [rule.name], "{name}");
            } else {
                assert_eq!((response.status.as_u16(), request.tolerated.len()), (422, 0), "{name}");
                assert_eq!(sandbox.messages().len(), usize::from(path.ends_with("status")), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn missing_fields_of_the_reference_are_reported_when_documented() {
    for rule in Rule::all().iter().filter(|rule| rule.documented.ends_with("is required")) {
        let sandbox = sandbox(Settings::default().strictness(Strictness::Documented)).await;
        let (method, path, body) = violating(&sandbox, rule).await;
        let request = bare(&sandbox, method, &path).bearer_auth(sandbox.token());
        let response = execute(request.header("Version", "2021-04-15").json(&body)).await;
        let pointer = format!("/{}", rule.field.replace('.', "/"));
        let message = format!("{} is required, but it is missing (at {pointer})", rule.field);
        assert_eq!(response.body["message"], json!([message]), "{}", rule.name);
        assert_eq!(sandbox.requests().pop().unwrap().violations[0].pointer, pointer);
    }
}

/// The reference has a default for `direction` that the sandbox does not apply.
#[tokio::test]
async fn messages_without_a_direction_are_inbound_at_both_levels() {
    assert_eq!(
        Deviation::all().iter().map(|deviation| deviation.name).collect::<Vec<_>>(),
        ["inbound-direction", "typing-boolean"]
    );
    for strictness in [Strictness::Documented, Strictness::Lenient] {
        let sandbox = sandbox(Settings::default().strictness(strictness)).await;
        let mut body = json!({
            "type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello",
            "conversationProviderId": sandbox.conversation_provider_id(),
        });
        assert_eq!(post(&sandbox, INBOUND, &body).await.status, 201);
        body["direction"] = json!("outbound");
        assert_eq!(post(&sandbox, INBOUND, &body).await.status, 201);
        let directions: Vec<_> = sandbox.messages().iter().map(|message| message.direction).collect();
        assert_eq!(directions, [MessageDirection::Inbound, MessageDirection::Outbound], "{strictness}");
    }
}

/// The reference has a string as the type of `isTyping`, and a boolean as its example.
#[tokio::test]
async fn typing_is_a_boolean_or_a_string_at_both_levels() {
    for strictness in [Strictness::Documented, Strictness::Lenient] {
        let sandbox = sandbox(Settings::default().strictness(strictness)).await;
        for typing in [json!(true), json!("true")] {
            let body = json!({
                "locationId": sandbox.location_id(), "conversationId": sandbox.conversation_id(),
                "visitorId": "visitor", "isTyping": typing,
            });
            let response = post(&sandbox, "/conversations/providers/live-chat/typing", &body).await;
            assert_eq!(response.status, 201, "{strictness}: {}", response.body);
        }
    }
}

#[tokio::test]
async fn null_removes_a_field_of_a_contact_unless_documented() {
    for (strictness, status) in [(Strictness::Documented, 422), (Strictness::Lenient, 200)] {
        let sandbox = sandbox(Settings::default().strictness(strictness)).await;
        let path = format!("/contacts/{}", sandbox.contact_id());
        let request = bare(&sandbox, Method::PUT, &path).bearer_auth(sandbox.token());
        let body = json!({ "city": "Portland", "phone": null });
        let response = execute(request.header("Version", "2021-04-15").json(&body)).await;
        assert_eq!(response.status, status, "{strictness}: {}", response.body);
        let is_lenient = strictness == Strictness::Lenient;
        assert_eq!(sandbox.contact(sandbox.contact_id()).unwrap().phone.is_none(), is_lenient);
        let tolerated = sandbox.requests().pop().unwrap().tolerated;
        assert_eq!(tolerated, ["null-fields"].into_iter().filter(|_| is_lenient).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn fields_required_by_all_documents_are_reported_once_in_both_modes() {
    for strictness in [Strictness::Documented, Strictness::Lenient] {
        let sandbox = sandbox(Settings::default().strictness(strictness)).await;
        let cases = [
            (
                INBOUND,
                json!({
                    "type": "SMS", "message": "Hello",
                    "conversationProviderId": sandbox.conversation_provider_id(),
                }),
                "conversationId or contactId is required, but both are missing (at /conversationId)",
            ),
            (
                OUTBOUND,
                json!({"type": "Call", "conversationProviderId": sandbox.conversation_provider_id()}),
                "conversationId or contactId is required, but both are missing (at /conversationId)",
            ),
            (
                SEND,
                json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": 5}),
                "status must be a string, found the number 5 (at /status)",
            ),
        ];
        for (path, body, message) in cases {
            let response = post(&sandbox, path, &body).await;
            assert_eq!(response.body["message"], json!([message]), "{strictness} {path}");
        }
        assert!(sandbox.requests().iter().all(|request| request.tolerated.is_empty()));
    }
}

#[tokio::test]
async fn a_message_without_a_status_starts_as_pending() {
    let sandbox = sandbox(Settings::default()).await;
    let body = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    post(&sandbox, SEND, &body).await;
    assert_eq!(sandbox.messages()[0].status, "pending");
}

#[tokio::test]
async fn unknown_fields_are_recorded() {
    let sandbox = sandbox(Settings::default().strictness(Strictness::Documented)).await;
    let body = json!({
        "type": "Email", "contactId": sandbox.contact_id(), "status": "pending", "mesage": "Hello", "a/b": [],
        "html": "<p>Hello</p>",
        "forward": {"isForwarded": false, "to": "x"},
    });
    assert_eq!(post(&sandbox, SEND, &body).await.status, 201);
    assert_eq!(sandbox.requests()[0].unknown_fields, ["/a~1b", "/forward/to", "/mesage"]);
    assert_eq!(sandbox.messages()[0].request, body);
}

#[tokio::test]
async fn settings_apply_from_the_next_request() {
    let sandbox = Sandbox::builder()
        .strictness(Strictness::Documented)
        .success_status(SuccessStatus::Ok200)
        .quirk(Quirk::WrongProvider500)
        .start_checked()
        .await
        .unwrap();
    let expected = Settings::default()
        .strictness(Strictness::Documented)
        .success_status(SuccessStatus::Ok200)
        .quirk(Quirk::WrongProvider500);
    assert_eq!(sandbox.settings(), expected);
    let body = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    assert_eq!(post(&sandbox, SEND, &body).await.status, 422);
    let change =
        |body: Value| client().patch(format!("{}/_sandbox/settings", sandbox.base_url())).json(&body);
    execute(change(json!({"strictness": "lenient"}))).await;
    assert_eq!(post(&sandbox, SEND, &body).await.status, 200);
    execute(change(json!({"successStatus": 201, "quirks": []}))).await;
    assert_eq!(post(&sandbox, SEND, &body).await.status, 201);
    assert_eq!(sandbox.settings(), Settings::default());
}

#[tokio::test]
async fn the_wrong_provider_quirk_responds_with_500() {
    let sandbox = sandbox(Settings::default()).await;
    let body = json!({"type": "SMS", "contactId": sandbox.contact_id(), "conversationProviderId": "none", "message": "Hello"});
    assert_eq!(post(&sandbox, SEND, &body).await.status, 401);
    sandbox.set_settings(sandbox.settings().quirk(Quirk::WrongProvider500));
    for path in [SEND, INBOUND] {
        let response = post(&sandbox, path, &body).await;
        assert_eq!(response.status, 500);
        assert_eq!(response.body["message"], "Internal server error");
        assert_eq!(sandbox.requests().last().unwrap().quirk, Some("wrong-provider-500"));
    }
    // Earlier checks respond as documented.
    assert_eq!(
        post(&sandbox, SEND, &json!({"type": "SMS", "contactId": "unknown", "message": "Hello"}))
            .await
            .status,
        400
    );
    assert!(sandbox.messages().is_empty());
}

#[tokio::test]
async fn the_bad_token_quirk_responds_with_500() {
    let sandbox = sandbox(Settings::default().quirk(Quirk::BadToken500)).await;
    let request = || bare(&sandbox, Method::POST, SEND).header("Version", "v3").json(&json!({}));
    assert_eq!(execute(request().bearer_auth("pit-wrong")).await.status, 500);
    assert_eq!(execute(request()).await.status, 401);
    assert_eq!(execute(request().bearer_auth(sandbox.token())).await.status, 422);
    let quirks: Vec<_> = sandbox.requests().iter().map(|request| request.quirk).collect();
    assert_eq!(quirks, [Some("bad-token-500"), None, None]);
}

#[tokio::test]
async fn the_custom_inbound_quirk_discards_the_message() {
    let sandbox = sandbox(Settings::default().quirk(Quirk::CustomInboundVanishes)).await;
    let body = json!({"type": "Custom", "contactId": sandbox.contact_id(), "message": "Hello"});
    assert_eq!(raw(authorised(&sandbox, INBOUND).json(&body)).await, (201, String::new(), false));
    let request = &sandbox.requests()[0];
    assert_eq!(request.quirk, Some("custom-inbound-vanishes"));
    assert_eq!((request.accepted, request.message_id.as_deref()), (true, None));
    let accepted = sandbox.accepted(request.fingerprint.unwrap());
    assert_eq!((accepted.times, accepted.stored), (1, 0));
    assert!(sandbox.messages().is_empty());

    // The quirk does not apply to another type, with a provider, or with another violation.
    let provider = sandbox.provider_id(ProviderKind::CustomSms);
    let others = [
        (json!({"type": "WhatsApp", "contactId": sandbox.contact_id(), "message": "Hello"}), 201),
        (
            json!({"type": "Custom", "contactId": sandbox.contact_id(), "conversationProviderId": provider, "message": "Hello"}),
            201,
        ),
        (json!({"type": "Custom", "contactId": 5}), 422),
    ];
    for (body, status) in others {
        assert_eq!(post(&sandbox, INBOUND, &body).await.status, status, "{body}");
    }
    assert_eq!(sandbox.messages().len(), 2);
}

#[tokio::test]
async fn the_empty_success_quirk_returns_no_body() {
    let sandbox = sandbox(Settings::default().quirk(Quirk::EmptySuccess)).await;
    let body = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    for path in [SEND, INBOUND] {
        assert_eq!(raw(authorised(&sandbox, path).json(&body)).await, (201, String::new(), false));
    }
    let messages = sandbox.messages();
    let requests = sandbox.requests();
    for (message, request) in messages.iter().zip(&requests) {
        assert_eq!(request.message_id.as_deref(), Some(&*message.id));
        assert_eq!((request.quirk, request.response.len()), (Some("empty-success"), 0));
    }
    assert_eq!((messages.len(), requests.len()), (2, 2));
}

#[tokio::test]
async fn a_provider_can_update_the_status_of_its_messages() {
    struct Row<'r> {
        id: &'r str,
        body: Value,
        status: u16,
        message: Value,
    }

    let sandbox = sandbox(Settings::default()).await;
    let sent = post(&sandbox, SEND, &through_provider(&sandbox)).await.body;
    let id = sent["messageId"].as_str().unwrap();
    let update = |id: &str, body: &Value| {
        let path = format!("/conversations/messages/{id}/status");
        let request = bare(&sandbox, Method::PUT, &path).bearer_auth(sandbox.token());
        execute(request.header("Version", "2021-04-15").json(body))
    };
    let response = update(id, &json!({"status": "delivered"})).await;
    assert_eq!(response.status, 200);
    let expected = json!({
        "conversationId": sent["conversationId"], "messageId": id, "status": "delivered",
        "traceId": sandbox.requests()[1].id,
    });
    assert_eq!(response.body, expected);
    assert_eq!(response.headers["x-ratelimit-remaining"], "98");
    assert_eq!(sandbox.messages()[0].status, "delivered");

    let error = json!({"code": "1", "type": "saas", "message": "it bounced"});
    update(id, &json!({"status": "failed", "error": error})).await;
    let message = &sandbox.messages()[0];
    assert_eq!(message.status, "failed");
    assert_eq!(message.history.last().unwrap().error.as_deref(), Some("it bounced"));

    let rejected = [
        Row {
            id: "none",
            body: json!({"status": "read"}),
            status: 401,
            message: json!("No message found for the id: none passed in params"),
        },
        Row { id, body: json!({"status": "delivered"}), status: 400, message: json!("the message ") },
        Row {
            id,
            body: json!({"status": "sent"}),
            status: 422,
            message: json!(["status must be one of delivered, failed, "]),
        },
        Row {
            id,
            body: json!({"status": "failed", "error": {"code": 1}}),
            status: 422,
            message: json!(["error.code must be a string"]),
        },
    ];
    for Row { id, body, status, message } in rejected {
        let response = update(id, &body).await;
        let found = response.body["message"].get(0).unwrap_or(&response.body["message"]);
        let expected = message.get(0).unwrap_or(&message).as_str().unwrap();
        assert_eq!(response.status, status, "{body}: {}", response.body);
        assert!(found.as_str().unwrap().starts_with(expected), "{body}: {found}");
    }
    let request = &sandbox.requests()[1];
    assert_eq!(request.operation.map(Operation::id), Some("updateMessageStatus"));
    assert_eq!((request.message_id.as_deref(), request.fingerprint), (Some(id), None));
}

#[tokio::test]
async fn the_early_status_quirk_responds_with_403() {
    let sandbox = sandbox(Settings::default().quirk(Quirk::EarlyStatus403)).await;
    sandbox.set_clock_speed(0.0);
    let sent = post(&sandbox, SEND, &through_provider(&sandbox)).await.body;
    let path = format!("/conversations/messages/{}/status", sent["messageId"].as_str().unwrap());
    let update = || {
        let request = bare(&sandbox, Method::PUT, &path).bearer_auth(sandbox.token());
        execute(request.header("Version", "v3").json(&json!({"status": "delivered"})))
    };
    for (seconds, status) in [(0, 403), (9, 403), (1, 200)] {
        sandbox.advance_clock(Duration::from_secs(seconds));
        assert_eq!(update().await.status, status, "{seconds}");
    }
    assert_eq!(sandbox.requests()[1].quirk, Some("early-status-403"));
}
