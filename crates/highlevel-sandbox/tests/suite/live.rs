//! Refusals of the live API: for each row of the table, requests that are refused and similar ones that are not.

mod accepted;
mod disabled;
mod rows;
mod status;

use std::collections::BTreeSet;
use std::time::Duration;

use highlevel_sandbox::{
    Contact, Conversation, ConversationProvider, DndChannel, ProviderKind, Quirk, Refusal, SandboxApp,
    Strictness, TokenResource,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, Response, SEND, bare, execute};
use crate::conformance::{Sandbox, StartChecked};
use rows::{
    CONTACT, EMAIL, OTHER_EMAIL, OTHER_PHONE, PHONE, Row, call, contact_rows, content_rows, from,
    number_rows, provider, provider_rows, sms, to,
};

async fn start(strictness: Strictness) -> Sandbox {
    let builder = Sandbox::builder().strictness(strictness).app(SandboxApp::new("their-app", "secret"));
    let sandbox = builder.start_checked().await.unwrap();
    let reachable = |id: &str| {
        let contact = Contact::new(id).phone(PHONE).additional_phone(OTHER_PHONE);
        contact.email(EMAIL).additional_email(OTHER_EMAIL)
    };
    let contacts = [
        reachable(CONTACT),
        Contact::new("no-phone").email(EMAIL),
        Contact::new("no-email").phone(PHONE),
        Contact::new("malformed").email("rosa@example"),
        Contact::new("undeliverable").email("rosa@mail.invalid"),
        Contact::new("upper-case").email("Rosa@Example.org"),
        reachable("dnd-sms").do_not_disturb(DndChannel::Sms),
        reachable("dnd-email").do_not_disturb(DndChannel::Email),
        reachable("dnd-whatsapp").do_not_disturb(DndChannel::WhatsApp),
        reachable("dnd-all").do_not_disturb(DndChannel::All),
        reachable("unsubscribed").unsubscribed(),
    ];
    for contact in contacts {
        sandbox.put_contact(contact).unwrap();
    }
    sandbox.put_conversation(Conversation::new("with-rosa", CONTACT)).unwrap();
    let foreign = ConversationProvider::new("foreign").app("another-app");
    sandbox.put_provider(foreign).unwrap();
    sandbox
}

async fn send(sandbox: &Sandbox, method: Method, path: &str, body: &Value) -> Response {
    let request = bare(sandbox, method, path).bearer_auth(sandbox.token()).header("Version", "2021-04-15");
    execute(request.json(body)).await
}

/// Asserts that a response is that of a refusal, which stored nothing.
fn check(name: &str, sandbox: &Sandbox, response: &Response, refusal: Refusal, message: Option<&str>) {
    let body = &response.body;
    assert_eq!(response.status, refusal.status(), "{name}: {body}");
    assert_eq!(body["statusCode"], refusal.status(), "{name}");
    assert_eq!(body["canonicalCode"].as_str(), refusal.code(), "{name}: {body}");
    let text = message.unwrap_or(refusal.message());
    let expected =
        refusal.more_messages().map_or_else(|| json!(text), |more| json!([&[text], more].concat()));
    assert_eq!(body["message"], expected, "{name}");
    let has_error = response.status != 400 || refusal.code().is_some();
    assert_eq!(body["error"].is_string(), has_error, "{name}: {body}");
    let request = sandbox.requests().pop().unwrap();
    assert_eq!(request.refusal, Some(refusal.name()), "{name}: {body}");
    assert!(!request.accepted && request.message_id.is_none() && request.quirk.is_none(), "{name}");
}

/// The reference requires the provider of an inbound message, and the conversation of a call.
fn documented(body: &Value, path: &str, sandbox: &Sandbox) -> Value {
    let mut body = body.clone();
    if path == INBOUND && !matches!(body["type"].as_str(), Some("Custom" | "Call")) {
        let fields = body.as_object_mut().unwrap();
        let is_email = fields["type"] == "Email";
        let kind = if is_email { ProviderKind::Email } else { ProviderKind::Sms };
        fields.entry("conversationProviderId").or_insert_with(|| json!(sandbox.provider_id(kind)));
    }
    if path == OUTBOUND {
        body["conversationId"] = json!("with-rosa");
    }
    body
}

#[tokio::test]
async fn requests_are_refused_as_by_the_live_api() {
    let mut seen = BTreeSet::new();
    for strictness in [Strictness::Lenient, Strictness::Documented] {
        let sandbox = start(strictness).await;
        for Row { name, path, body, refusal, message } in
            [content_rows(), contact_rows(), provider_rows(), number_rows()].concat()
        {
            let is_documented = strictness == Strictness::Documented;
            let body = if is_documented { documented(&body, path, &sandbox) } else { body };
            let name = format!("{strictness}: {name}: {body}");
            let before = sandbox.messages().len();
            let response = send(&sandbox, Method::POST, path, &body).await;
            let stored = sandbox.messages().len() - before;
            let Some(refusal) = refusal else {
                assert_eq!(response.status, 201, "{name}: {}", response.body);
                assert_eq!(stored, 1, "{name}");
                continue;
            };
            check(&name, &sandbox, &response, refusal, message);
            assert_eq!(stored, 0, "{name}");
            seen.insert(refusal);
        }
    }
    // The others have tests of their own below.
    let elsewhere = [
        Refusal::MissingVersion,
        Refusal::UnknownVersion,
        Refusal::UnknownVersion401,
        Refusal::CompanyPrivateIntegration,
        Refusal::CompanyToken,
        Refusal::EmptyAttachments,
        Refusal::PrivateIntegrationProvider,
        Refusal::ChatNoLongerActive,
        Refusal::RecordingUrl,
        Refusal::UnknownMessage,
        Refusal::MessageWithoutProvider,
        Refusal::FailedWithoutError,
        Refusal::RecordingNotFound,
    ];
    let missing: Vec<_> =
        Refusal::all().filter(|each| !seen.contains(each) && !elsewhere.contains(each)).collect();
    assert_eq!(missing, []);
}

#[tokio::test]
async fn refusals_of_quirks_apply_only_with_the_quirk() {
    let recorded = |url: &str| {
        let mut body = call(CONTACT, json!({ "to": PHONE }));
        body["attachments"] = json!([url]);
        body
    };
    let through = json!({ "message": "Hello", "conversationProviderId": provider(ProviderKind::Sms) });
    let cases = [
        (Quirk::RecordingUrl422, Refusal::RecordingUrl, OUTBOUND, recorded("https://cdn.example.org/a.mp3")),
        (
            Quirk::EmptyAttachments422,
            Refusal::EmptyAttachments,
            INBOUND,
            from("SMS", json!({ "message": "Hello", "attachments": [] })),
        ),
        (Quirk::PrivateIntegration401, Refusal::PrivateIntegrationProvider, SEND, to("SMS", through)),
    ];
    for (quirk, refusal, path, body) in cases {
        let sandbox = start(Strictness::Lenient).await;
        assert_eq!(refusal.quirk(), Some(quirk));
        assert_eq!(send(&sandbox, Method::POST, path, &body).await.status, 201, "{quirk}");
        sandbox.set_settings(sandbox.settings().quirk(quirk));
        let response = send(&sandbox, Method::POST, path, &body).await;
        let id = provider(ProviderKind::Sms);
        let message = refusal.message().replace("{id}", id);
        check(quirk.name(), &sandbox, &response, refusal, Some(&message));
    }
    let sandbox = start(Strictness::Lenient).await;
    sandbox.set_settings(sandbox.settings().quirk(Quirk::RecordingUrl422));
    let stored = recorded("https://storage.googleapis.com/bucket/a.mp3");
    assert_eq!(send(&sandbox, Method::POST, OUTBOUND, &stored).await.status, 201);
}

#[tokio::test]
async fn versions_are_checked_as_by_the_live_api() {
    let sandbox = start(Strictness::Lenient).await;
    let post = |version: Option<&'static str>| {
        let request = bare(&sandbox, Method::POST, SEND).bearer_auth(sandbox.token()).json(&sms());
        execute(match version {
            Some(version) => request.header("Version", version),
            None => request,
        })
    };
    check("none", &sandbox, &post(None).await, Refusal::MissingVersion, None);
    let text = "Invalid API version segment 'v9' at position 0";
    check("unknown", &sandbox, &post(Some("v9")).await, Refusal::UnknownVersion, Some(text));
    sandbox.set_settings(sandbox.settings().quirk(Quirk::UnknownVersion401));
    check("quirk", &sandbox, &post(Some("v9")).await, Refusal::UnknownVersion401, None);
    assert_eq!(post(Some("2021-07-28")).await.status, 201);
    assert_eq!(sandbox.messages().len(), 1);
}

#[tokio::test]
async fn tokens_of_companies_and_of_other_apps_are_refused() {
    let sandbox = start(Strictness::Lenient).await;
    let location = TokenResource::location(sandbox.location_id());
    let token = |resource: &TokenResource| {
        let tokens = sandbox.issue_tokens(resource, ["conversations/message.write"]).unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    let post = |token: String, body: Value| {
        let request = bare(&sandbox, Method::POST, SEND).bearer_auth(token).header("Version", "v3");
        async move { execute(request.json(&body)).await }
    };
    let company = TokenResource::company(sandbox.company_id());
    let response = post(token(&company), sms()).await;
    check("company", &sandbox, &response, Refusal::CompanyToken, None);

    // A snapshot retains whether the token is one of a company.
    let private = sandbox.issue_company_token(sandbox.company_id()).unwrap();
    sandbox.restore(sandbox.snapshot()).unwrap();
    let paths = [
        (Method::POST, SEND.to_owned()),
        (Method::PUT, "/conversations/messages/none/status".to_owned()),
        (Method::GET, format!("/contacts/{CONTACT}")),
    ];
    for (method, path) in paths {
        let request = bare(&sandbox, method, &path).bearer_auth(&private).header("Version", "2021-07-28");
        let response = execute(request.json(&sms())).await;
        check(&path, &sandbox, &response, Refusal::CompanyPrivateIntegration, None);
    }
    assert!(sandbox.issue_company_token("unknown").is_err());

    // The app that owns the provider has access, with a private integration token or not, and no other app.
    let own = provider(ProviderKind::Sms);
    let through = to("SMS", json!({ "message": "Hello", "conversationProviderId": own }));
    assert_eq!(post(token(&location), through.clone()).await.status, 201);
    sandbox.set_settings(sandbox.settings().quirk(Quirk::PrivateIntegration401));
    assert_eq!(post(token(&location), through.clone()).await.status, 201);
    let theirs = json!({
        "clientId": "their-app", "locationId": sandbox.location_id(), "scopes": ["conversations/message.write"],
    });
    let theirs = execute(bare(&sandbox, Method::POST, "/_sandbox/oauth/tokens").json(&theirs)).await.body;
    let response = post(theirs["access_token"].as_str().unwrap().to_owned(), through).await;
    let text = format!("You don't have access to the conversationProvider with id: {own}");
    check("another app", &sandbox, &response, Refusal::ForeignProvider, Some(&text));
}

#[tokio::test]
async fn chats_are_open_for_24_hours_after_a_message_of_the_contact() {
    let day = Duration::from_secs(24 * 60 * 60);
    for (channel, other, name) in [("FB", "IG", "Facebook"), ("IG", "FB", "Instagram")] {
        let sandbox = start(Strictness::Lenient).await;
        sandbox.set_clock_speed(0.0);
        let text = format!(
            "Can't send {name} message as the last inbound message was earlier than 24 hours ago and there is no {name} \
             comment."
        );
        let body = to(channel, json!({ "message": "Hello" }));
        let closed = async |step: &str| {
            let response = send(&sandbox, Method::POST, SEND, &body).await;
            check(step, &sandbox, &response, Refusal::ChatNoLongerActive, Some(&text));
            assert_eq!(response.body["arguments"], json!({ "channel": name }));
        };
        let receive = |channel: &str| {
            let fields = [("contactId", CONTACT.into()), ("type", channel.into()), ("message", "Hi".into())];
            sandbox.simulate_inbound(fields).unwrap();
        };
        closed("no message of the contact").await;
        receive(other);
        closed("a message on another channel").await;
        receive(channel);
        assert_eq!(send(&sandbox, Method::POST, SEND, &body).await.status, 201);
        sandbox.advance_clock(day);
        assert_eq!(send(&sandbox, Method::POST, SEND, &body).await.status, 201);
        sandbox.advance_clock(Duration::from_millis(1));
        closed("after a day").await;
        receive(channel);
        assert_eq!(send(&sandbox, Method::POST, SEND, &body).await.status, 201);
    }
}

#[tokio::test]
async fn the_default_provider_of_a_location_sends_its_messages() {
    let sandbox = start(Strictness::Lenient).await;
    let default = ConversationProvider::new(provider(ProviderKind::Sms)).kind(ProviderKind::Sms);
    sandbox.put_provider(default.default_of_location()).unwrap();
    let cases = [
        (SEND, sms(), Some(provider(ProviderKind::Sms))),
        (INBOUND, from("SMS", json!({ "message": "Hi" })), Some(provider(ProviderKind::Sms))),
        (SEND, to("Email", json!({ "html": "<p>Hello</p>" })), None),
        (INBOUND, from("WhatsApp", json!({ "message": "Hi" })), None),
    ];
    for (path, body, expected) in cases {
        let response = send(&sandbox, Method::POST, path, &body).await;
        assert_eq!(response.status, 201, "{body}: {}", response.body);
        let message = sandbox.messages().pop().unwrap();
        assert_eq!(message.conversation_provider_id.as_deref(), expected, "{body}");
    }
}
