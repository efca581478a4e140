//! Disabled refusals: for each one, a request that is refused only while the refusal is enabled.

use std::collections::BTreeSet;

use highlevel_sandbox::{
    Contact, Conversation, ConversationProvider, Location, ProviderKind, Refusal, Strictness, TokenResource,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::rows::{
    CONTACT, PHONE, Row, call, contact_rows, content_rows, from, number_rows, provider, provider_rows, sms,
    to,
};
use super::{send, start};
use crate::caller::{INBOUND, OUTBOUND, SEND, bare, execute};
use crate::conformance::Sandbox;

/// A request that a disabled refusal does not apply to.
struct Case {
    refusal: Refusal,
    method: Method,
    path: String,
    body: Value,
    version: Option<&'static str>,
    /// Defaults to the token of the sandbox.
    token: Option<String>,
    /// The status of the response while the refusal is disabled.
    status: u16,
}

impl Case {
    fn post(refusal: Refusal, path: &str, body: Value) -> Self {
        let version = Some("2021-04-15");
        Self { refusal, method: Method::POST, path: path.to_owned(), body, version, token: None, status: 201 }
    }

    fn version(self, version: Option<&'static str>) -> Self {
        Self { version, ..self }
    }

    /// A token of a company names no location, so another check rejects it.
    fn of_company(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), status: 401, ..self }
    }

    /// A record of another location.
    fn read(path: &str) -> Self {
        let case = Self::post(Refusal::OtherLocation, path, Value::Null);
        Self { method: Method::GET, status: 200, ..case }
    }

    fn update(refusal: Refusal, id: &str, status: &str, expected: u16) -> Self {
        let path = format!("/conversations/messages/{id}/status");
        let case = Self::post(refusal, &path, json!({ "status": status }));
        Self { method: Method::PUT, status: expected, ..case }
    }
}

async fn stored(sandbox: &Sandbox, body: &Value) -> String {
    let response = send(sandbox, Method::POST, SEND, body).await;
    response.body["messageId"].as_str().unwrap().to_owned()
}

async fn cases(sandbox: &Sandbox) -> Vec<Case> {
    let company = TokenResource::company(sandbox.company_id());
    let company = sandbox.issue_tokens(&company, ["conversations/message.write"]).unwrap();
    let company = company["access_token"].as_str().unwrap();
    let private = sandbox.issue_company_token(sandbox.company_id()).unwrap();
    let through = |id: &str| to("SMS", json!({ "message": "Hello", "conversationProviderId": id }));
    let (without, own) =
        (stored(sandbox, &sms()).await, stored(sandbox, &through(provider(ProviderKind::Sms))).await);
    let email = stored(
        sandbox,
        &to(
            "Email",
            json!({ "html": "<p>Hello</p>", "conversationProviderId": provider(ProviderKind::Email) }),
        ),
    )
    .await;
    let moved = stored(sandbox, &through("moved")).await;
    sandbox.put_provider(ConversationProvider::new("moved").app("another-app")).unwrap();
    let mut recorded = call(CONTACT, json!({ "to": PHONE }));
    recorded["attachments"] = json!(["https://cdn.example.org/a.mp3"]);
    let transcription =
        format!("/conversations/locations/{}/messages/{without}/transcription", sandbox.location_id());
    vec![
        Case::post(Refusal::MissingVersion, SEND, sms()).version(None),
        Case::post(Refusal::UnknownVersion, SEND, sms()).version(Some("2019-01-01")),
        Case {
            status: 400,
            ..Case::post(Refusal::UnknownVersion401, SEND, sms()).version(Some("2019-01-01"))
        },
        Case::post(Refusal::CompanyToken, SEND, sms()).of_company(company),
        Case::post(Refusal::CompanyPrivateIntegration, SEND, sms()).of_company(&private),
        Case::post(Refusal::ChatNoLongerActive, SEND, to("IG", json!({ "message": "Hello" }))),
        Case::post(
            Refusal::EmptyAttachments,
            INBOUND,
            from("SMS", json!({ "message": "Hello", "attachments": [] })),
        ),
        Case::post(Refusal::RecordingUrl, OUTBOUND, recorded),
        Case::post(Refusal::PrivateIntegrationProvider, SEND, through(provider(ProviderKind::Sms))),
        Case::update(Refusal::MessageWithoutProvider, &without, "delivered", 200),
        Case::update(Refusal::ForeignProvider, &moved, "delivered", 200),
        Case::update(Refusal::UnknownMessage, &email, "delivered", 200),
        Case::update(Refusal::UnknownMessage, "none", "delivered", 404),
        Case::update(Refusal::FailedWithoutError, &own, "failed", 200),
        Case::read("/contacts/their-contact"),
        Case::read("/conversations/their-conversation"),
        Case::read("/conversations/their-conversation/messages"),
        Case::read("/conversations/search?locationId=two"),
        Case {
            method: Method::PUT,
            status: 200,
            ..Case::post(Refusal::OtherLocation, "/contacts/their-contact", json!({ "firstName": "Ada" }))
        },
        Case {
            status: 200,
            ..Case::post(
                Refusal::OtherLocation,
                "/contacts/search",
                json!({ "locationId": "two", "pageLimit": 1 }),
            )
        },
        Case {
            method: Method::GET,
            status: 200,
            ..Case::post(Refusal::RecordingNotFound, &transcription, Value::Null)
        },
    ]
}

#[tokio::test]
async fn requests_are_refused_only_while_the_refusal_is_enabled() {
    let sandbox = start(Strictness::Lenient).await;
    sandbox.put_provider(ConversationProvider::new("moved")).unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    sandbox.put_contact(Contact::new("their-contact").location("two")).unwrap();
    let conversation = Conversation::new("their-conversation", "their-contact").location("two");
    sandbox.put_conversation(conversation).unwrap();
    let settings = sandbox.settings();
    let mut covered: BTreeSet<Refusal> = [content_rows(), contact_rows(), provider_rows(), number_rows()]
        .concat()
        .iter()
        .filter_map(|row| row.refusal)
        .collect();
    for Case { refusal, method, path, body, version, token, status } in cases(&sandbox).await {
        let enabled = refusal.quirk().map_or_else(|| settings.clone(), |quirk| settings.clone().quirk(quirk));
        let disabled = enabled.clone().without_refusal(refusal);
        for (settings, is_refused, expected) in [(enabled, true, refusal.status()), (disabled, false, status)]
        {
            sandbox.set_settings(settings);
            let token = token.as_deref().unwrap_or(sandbox.token());
            let mut request = bare(&sandbox, method.clone(), &path).bearer_auth(token);
            if let Some(version) = version {
                request = request.header("Version", version);
            }
            if !body.is_null() {
                request = request.json(&body);
            }
            let response = execute(request).await;
            assert_eq!(response.status, expected, "{refusal}: {path}: {}", response.body);
            let named = sandbox.requests().pop().unwrap().refusal == Some(refusal.name());
            assert_eq!(named, is_refused, "{refusal}");
        }
        covered.insert(refusal);
    }
    assert_eq!(covered, Refusal::all().collect());
}

#[tokio::test]
async fn a_request_is_accepted_if_its_refusal_is_disabled() {
    for Row { name, path, body, refusal, .. } in
        [content_rows(), contact_rows(), provider_rows(), number_rows()].concat()
    {
        let Some(refusal) = refusal else { continue };
        let sandbox = start(Strictness::Lenient).await;
        sandbox.set_settings(sandbox.settings().without_refusal(refusal));
        let response = send(&sandbox, Method::POST, path, &body).await;
        // Without its contact or provider a message cannot be stored, so another check rejects these.
        let is_incomplete = matches!(refusal, Refusal::MissingContact | Refusal::UnknownContact)
            || (refusal == Refusal::CallWithoutProvider && path == OUTBOUND)
            || body["conversationProviderId"] == "none";
        assert_eq!(response.status == 201, !is_incomplete, "{name}: {}", response.body);
        assert_eq!(sandbox.messages().len(), usize::from(!is_incomplete), "{name}");
        assert_ne!(sandbox.requests().pop().unwrap().refusal, Some(refusal.name()), "{name}");
    }
}
