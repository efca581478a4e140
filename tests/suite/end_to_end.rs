//! The SDK against the sandbox: real HTTP, real signatures. The sandbox's ledger is the witness.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{
    CallOutcome, Content, Event, MessageEvent, PublicKey, Receiver, Verified, WebhookErrorKind,
};
use highlevel::wire::types::{InboundMessageRequest, OutboundCallRequest, SendMessageRequest};
use highlevel::{
    ApiVersion, CallStatus, Client, Delivery, Direction, Email, ErrorKind, Inbound, OutboundCall, Sms,
};
use highlevel_sandbox::{Contact, ProviderKind, Sandbox, SuccessStatus};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Ends a test that would otherwise wait forever. It is never reached in a run that succeeds.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

fn client(sandbox: &Sandbox) -> Client {
    Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build().expect("a client")
}

fn receiver(sandbox: &Sandbox) -> Receiver {
    let key = PublicKey::from_base64("sandbox", sandbox.webhook_public_key()).expect("a key");
    Receiver::builder().app_id(sandbox.app_id()).key(key).build()
}

/// Starts a server that forwards the headers and bodies of webhooks to the test.
async fn webhook_server() -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    type Sender = mpsc::UnboundedSender<(HeaderMap, Bytes)>;
    async fn forward(State(sender): State<Sender>, headers: HeaderMap, body: Bytes) -> StatusCode {
        sender.send((headers, body)).map_or(StatusCode::TOO_MANY_REQUESTS, |()| StatusCode::OK)
    }
    let (sender, received) = mpsc::unbounded_channel();
    let app = axum::Router::new().route("/", post(forward)).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, received)
}

async fn next(received: &mut mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) -> (HeaderMap, Bytes) {
    tokio::time::timeout(TEST_TIMEOUT, received.recv())
        .await
        .expect("a webhook arrives")
        .expect("the server runs")
}

fn verify(sandbox: &Sandbox, (headers, body): (HeaderMap, Bytes)) -> Verified<Event> {
    receiver(sandbox).verify(&headers, body, SystemTime::now()).expect("a genuine event")
}

#[tokio::test]
async fn each_endpoint_returns_a_receipt_and_causes_a_verified_event() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let (url, mut received) = webhook_server().await;
    sandbox.set_webhook_url(url).expect("a URL");
    let client = client(&sandbox);

    let sent = client.messages().send(Sms::to(sandbox.contact_id()).text("Hello")).await.expect("a receipt");
    assert_eq!((sent.http_status(), sent.attempts()), (201, 1));
    assert_eq!(sent.message_id().as_str(), sandbox.messages()[0].id);
    assert_eq!(sent.conversation_id().as_str(), sandbox.messages()[0].conversation_id);
    let event = verify(&sandbox, next(&mut received).await);
    let Event::OutboundMessage(message) = event.event() else { panic!("{event:?}") };
    assert_eq!(message.message_id.as_ref(), Some(sent.message_id()));
    assert_eq!(message.body.as_deref(), Some("Hello"));
    assert_eq!(event.key_id(), "sandbox");

    let email = Email::to(sandbox.contact_id()).subject("Order confirmed").html("<p>Thank you!</p>");
    let sent = client.messages().send(email).await.expect("a receipt");
    assert!(sent.response().email_message_id.is_some());
    let event = verify(&sandbox, next(&mut received).await);
    let Event::OutboundMessage(message) = event.event() else { panic!("{event:?}") };
    assert_eq!(message.subject.as_deref(), Some("Order confirmed"));

    let provider = sandbox.conversation_provider_id();
    let inbound = Inbound::sms(provider).in_conversation(sandbox.conversation_id()).text("Hi");
    let added = client.messages().add_inbound(inbound).await.expect("a receipt");
    let event = verify(&sandbox, next(&mut received).await);
    let Event::InboundMessage(message) = event.event() else { panic!("{event:?}") };
    assert_eq!(message.message_id.as_ref(), Some(added.message_id()));

    let calls = sandbox.provider_id(ProviderKind::Call);
    let call = OutboundCall::in_conversation(sandbox.conversation_id(), calls)
        .to("+15037081210")
        .status(CallStatus::Voicemail);
    let added = client.calls().add_outbound(call).await.expect("a receipt");
    let event = verify(&sandbox, next(&mut received).await);
    let Event::OutboundMessage(message) = event.event() else { panic!("{event:?}") };
    assert_eq!(message.message_id.as_ref(), Some(added.message_id()));
    // The events of calls that an app has added have no `callStatus`.
    assert_eq!(message.call_status, None);
    assert!(matches!(message.content(), Content::Call(call) if call.outcome == CallOutcome::Completed));

    assert_eq!(sandbox.messages().len(), 4);
    assert_eq!(sandbox.requests().len(), 4);
}

/// The SDK decodes and sends the examples of the reference. The ledger of the sandbox has them unchanged.
#[tokio::test]
async fn examples_of_the_reference_are_sent_unchanged() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let client = client(&sandbox);
    let mut sent = Vec::new();
    for (name, schema, example) in crate::documentation::examples() {
        let result = match schema {
            "SendMessageRequest" => {
                client.messages().send(read::<SendMessageRequest>(&example)).await.map(drop)
            }
            "InboundMessageRequest" => {
                client.messages().add_inbound(read::<InboundMessageRequest>(&example)).await.map(drop)
            }
            "OutboundCallRequest" => {
                client.calls().add_outbound(read::<OutboundCallRequest>(&example)).await.map(drop)
            }
            _ => continue,
        };
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        sent.push(example);
    }
    assert_eq!(sent.len(), 4);
    let stored: Vec<Value> = sandbox.messages().into_iter().map(|message| message.request).collect();
    assert_eq!(stored, sent);
}

fn read<T: serde::de::DeserializeOwned>(example: &Value) -> T {
    serde_json::from_value(example.clone()).expect("an example")
}

#[tokio::test]
async fn status_200_and_201_are_both_receipts() {
    for (status, expected) in [(SuccessStatus::Ok200, 200), (SuccessStatus::Created201, 201)] {
        let sandbox = Sandbox::builder().success_status(status).start().await.expect("a sandbox");
        let sent = client(&sandbox).messages().send(Sms::to(sandbox.contact_id()).text("Hello")).await;
        assert_eq!(sent.expect("a receipt").http_status(), expected);
    }
}

#[tokio::test]
async fn rejected_requests_report_the_reason_and_store_nothing() {
    struct Row {
        name: &'static str,
        result: highlevel::Result<()>,
        status: u16,
        text: &'static str,
    }

    let sandbox = Sandbox::start().await.expect("a sandbox");
    let valid = client(&sandbox);
    let wrong_token =
        Client::builder().base_url(sandbox.base_url()).token("pit-wrong").build().expect("a client");
    let wrong_version = Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .version(ApiVersion::from("2030-01-01"))
        .build()
        .expect("a client");
    let sms = || SendMessageRequest::from(Sms::to(sandbox.contact_id()).text("Hello"));
    let mut invalid_date =
        InboundMessageRequest::from(Inbound::default_sms().from_contact(sandbox.contact_id()).text("Hi"));
    invalid_date.date = serde_json::from_value(json!("yesterday")).expect("any text is a date");

    let cases = [
        Row {
            name: "token",
            result: wrong_token.messages().send(sms()).await.map(drop),
            status: 401,
            text: "access token is invalid",
        },
        Row {
            name: "version",
            result: wrong_version.messages().send(sms()).await.map(drop),
            status: 400,
            text: "Invalid API version segment '2030-01-01'",
        },
        Row {
            name: "contact",
            result: valid.messages().send(Sms::to("missing").text("Hello")).await.map(drop),
            status: 400,
            text: "missing",
        },
        Row {
            name: "field",
            result: valid.messages().add_inbound(invalid_date).await.map(drop),
            status: 422,
            text: "date",
        },
    ];
    for Row { name, result, status, text } in cases {
        let error = result.expect_err(name);
        assert_eq!(error.status(), Some(status), "{name}: {error}");
        assert_eq!(
            (error.delivery(), error.kind()),
            (Delivery::Rejected, ErrorKind::Status),
            "{name}: {error}"
        );
        assert!(error.messages().iter().any(|message| message.contains(text)), "{name}: {error}");
        assert!(error.trace_id().is_some(), "{name}: {error}");
    }
    assert_eq!(sandbox.messages(), Vec::new());
}

#[tokio::test]
async fn tampered_bodies_are_rejected() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let (url, mut received) = webhook_server().await;
    sandbox.set_webhook_url(url).expect("a URL");
    client(&sandbox).messages().send(Sms::to(sandbox.contact_id()).text("Hello")).await.expect("a receipt");
    let (headers, body) = next(&mut received).await;
    let receiver = receiver(&sandbox);
    let now = SystemTime::now();

    let pretty = format!("{:#}", serde_json::from_slice::<Value>(&body).expect("JSON"));
    let published = Receiver::builder().app_id(sandbox.app_id()).build();
    let other_app = Receiver::builder()
        .app_id("another-app")
        .key(PublicKey::from_base64("sandbox", sandbox.webhook_public_key()).expect("a key"))
        .build();
    let kind = |result: Result<Verified<Event>, highlevel::webhook::WebhookError>| {
        result.map(drop).map_err(|error| error.kind())
    };
    assert_eq!(kind(receiver.verify(&headers, pretty, now)), Err(WebhookErrorKind::SignatureInvalid));
    assert_eq!(kind(published.verify(&headers, body.clone(), now)), Err(WebhookErrorKind::SignatureInvalid));
    assert_eq!(kind(other_app.verify(&headers, body.clone(), now)), Err(WebhookErrorKind::OtherApp));
    assert_eq!(
        kind(receiver.verify(&HeaderMap::new(), body.clone(), now)),
        Err(WebhookErrorKind::SignatureMissing)
    );
    let later = now + Duration::from_secs(3 * 60 * 60);
    assert_eq!(kind(receiver.verify(&headers, body.clone(), later)), Err(WebhookErrorKind::Stale));
    assert_eq!(kind(receiver.verify(&headers, body, now)), Ok(()));
}

#[tokio::test]
async fn a_contact_without_a_conversation_gets_one() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    sandbox.put_contact(Contact::new("newcomer").phone("+15035550123")).unwrap();
    let client = client(&sandbox);
    let first = client.messages().send(Sms::to("newcomer").text("Welcome")).await.expect("a receipt");
    let second = client.messages().send(Sms::to("newcomer").text("Again")).await.expect("a receipt");
    assert_eq!(first.conversation_id(), second.conversation_id());
    assert_ne!(first.conversation_id().as_str(), sandbox.conversation_id());
}

#[tokio::test]
async fn added_messages_are_inbound_by_default_and_their_direction_can_be_set() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let (url, mut received) = webhook_server().await;
    sandbox.set_webhook_url(url).expect("a URL");
    let client = client(&sandbox);
    let message = || Inbound::default_sms().from_contact(sandbox.contact_id()).text("Hi");
    for (message, name, direction) in [
        (message(), "InboundMessage", Direction::Inbound),
        (message().direction(Direction::Inbound), "InboundMessage", Direction::Inbound),
        (message().direction(Direction::Outbound), "OutboundMessage", Direction::Outbound),
    ] {
        client.messages().add_inbound(message).await.expect("a receipt");
        let event = verify(&sandbox, next(&mut received).await);
        assert_eq!(event.name(), name);
        let found = match event.event() {
            Event::OutboundMessage(message) => &message.direction,
            Event::InboundMessage(message) => &message.direction,
            other => panic!("{other:?}"),
        };
        assert_eq!(found.as_ref(), Some(&direction));
    }
}
