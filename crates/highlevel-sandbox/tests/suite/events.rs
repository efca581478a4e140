//! The fields of message events, compared with those that the live API sends.

mod cases;

use std::collections::BTreeSet;
use std::time::Duration;

use highlevel_sandbox::{ConversationProvider, DndChannel, Message, ProviderKind, StatusUpdate};
use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::{SEND, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;
use crate::webhooks::{TEST_TIMEOUT, payload};
use cases::{Case, Cause, calls, chats, emails, texts, with};

/// The fields of every event of a message.
const EVERY: &str = "type locationId contactId conversationId messageId messageType messageTypeId messageTypeString \
                     direction dateAdded status userId source from to timestamp webhookId appId versionId";

const CONTACT: &str = "pN4cVw8RkT2mZx6LqYb1";
const PHONE: &str = "+15035550142";
const PICTURE: &str = "https://files.example/menu.png";

impl Cause {
    async fn happen(&self, sandbox: &Sandbox) {
        let message: Message = match self {
            Self::Request(path, body) => {
                let response = post(sandbox, path, body).await;
                assert_eq!(response.status, 201, "{body}: {}", response.body);
                return;
            }
            Self::Inbound(body) => {
                let fields = body.as_object().unwrap();
                sandbox.simulate_inbound(fields.iter().map(|(name, value)| (&**name, value.clone()))).unwrap()
            }
            Self::Call(call) => sandbox.simulate_call(call.clone()).unwrap(),
        };
        assert_eq!(message.contact_id, CONTACT);
    }
}

fn keys(event: &Value) -> BTreeSet<&str> {
    event.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn sandbox(receiver: &Receiver) -> Sandbox {
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let contact = highlevel_sandbox::Contact::new(CONTACT).phone(PHONE).email("linus@example.com");
    sandbox.put_contact(contact).unwrap();
    sandbox
}

#[tokio::test]
async fn events_have_the_fields_of_live_captures() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = sandbox(&receiver).await;
    let mut cases = texts(&sandbox);
    cases.extend(chats());
    cases.extend(emails(&sandbox));
    cases.extend(calls(&sandbox));
    let mut problems = Vec::new();
    for (index, Case { name, cause, fields, expected }) in cases.iter().enumerate() {
        cause.happen(&sandbox).await;
        let deliveries = sandbox.wait_for_deliveries(index + 1, TEST_TIMEOUT).await.unwrap();
        let event = payload(&deliveries[index]);
        let wanted: BTreeSet<&str> = EVERY.split_whitespace().chain(fields.split_whitespace()).collect();
        let found = keys(&event);
        let (missing, more): (Vec<_>, Vec<_>) =
            (wanted.difference(&found).collect(), found.difference(&wanted).collect());
        if !missing.is_empty() || !more.is_empty() {
            problems.push(format!("{name}: missing {missing:?}, unexpected {more:?}"));
        }
        for (field, value) in expected.as_object().unwrap() {
            if event[field] != *value {
                problems.push(format!("{name}: {field} is {}, expected {value}", event[field]));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A later event of a message has the same fields as the first one.
#[tokio::test]
async fn events_of_a_status_keep_the_fields() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = sandbox(&receiver).await;
    let body = json!({ "type": "SMS", "contactId": CONTACT, "message": "a", "status": "pending" });
    let id = post(&sandbox, SEND, &body).await.body["messageId"].as_str().unwrap().to_owned();
    sandbox.simulate_status(&id, StatusUpdate::new("delivered")).unwrap();
    let deliveries = sandbox.wait_for_deliveries(2, TEST_TIMEOUT).await.unwrap();
    let (first, second) = (payload(&deliveries[0]), payload(&deliveries[1]));
    assert_eq!(keys(&first), keys(&second));
    assert_eq!((&first["source"], &second["source"]), (&json!("api"), &json!("api")));
}

#[tokio::test]
async fn provider_events_name_the_provider_and_the_conversation() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::start().await.unwrap();
    let contact = highlevel_sandbox::Contact::new(CONTACT).phone(PHONE).email("linus@example.com");
    sandbox.put_contact(contact).unwrap();
    let cases = [
        (ProviderKind::Sms, json!({ "type": "SMS", "message": "a" }), "SMS", "phone"),
        (ProviderKind::CustomSms, json!({ "type": "SMS", "message": "a" }), "Custom", "phone"),
        (ProviderKind::CustomSms, json!({ "type": "Custom", "message": "a" }), "Custom", "phone"),
        (
            ProviderKind::Email,
            json!({ "type": "Email", "html": "<p>a</p>", "subject": "b" }),
            "Email",
            "emailTo emailFrom html subject emailMessageId",
        ),
        (
            ProviderKind::Email,
            json!({ "type": "Custom", "html": "<p>a</p>", "subject": "b" }),
            "Custom",
            "emailTo emailFrom html subject",
        ),
    ];
    for (index, (kind, body, channel, fields)) in cases.into_iter().enumerate() {
        let provider = sandbox.provider_id(kind).to_owned();
        let record = ConversationProvider::new(&*provider).kind(kind).delivery_url(&receiver.url);
        sandbox.put_provider(record).unwrap();
        let addressed =
            json!({ "contactId": CONTACT, "conversationProviderId": provider, "status": "pending" });
        let sent = post(&sandbox, SEND, &with(body.clone(), addressed)).await.body;
        let deliveries = sandbox.wait_for_deliveries(index + 1, TEST_TIMEOUT).await.unwrap();
        let event = payload(&deliveries[index]);
        assert_eq!(event["type"], channel, "{event}");
        assert_eq!(event["conversationProviderId"], *provider, "{event}");
        assert_eq!(event["conversationId"], sent["conversationId"], "{event}");
        assert_eq!(event["customUserId"], "", "{event}");
        let every = "type contactId locationId conversationId conversationProviderId messageId attachments \
                     customUserId from timestamp webhookId";
        let text = body.get("message").map(|_| "message");
        let wanted: BTreeSet<&str> =
            every.split_whitespace().chain(fields.split_whitespace()).chain(text).collect();
        assert_eq!(keys(&event), wanted, "{body} through {kind:?}");
    }
}

/// WhatsApp media without a text are accepted, and fail when the clock of the sandbox advances.
#[tokio::test]
async fn whatsapp_attachments_without_a_text_fail_later() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = sandbox(&receiver).await;
    sandbox.set_clock_speed(0.0);
    let body =
        json!({ "type": "WhatsApp", "contactId": CONTACT, "attachments": [PICTURE], "status": "pending" });
    let response = post(&sandbox, SEND, &body).await;
    assert_eq!(response.status, 201);
    let id = response.body["messageId"].as_str().unwrap();
    let with_text = with(body.clone(), json!({ "message": "The menu" }));
    let delivered = post(&sandbox, SEND, &with_text).await.body["messageId"].as_str().unwrap().to_owned();
    sandbox.wait_for_deliveries(2, TEST_TIMEOUT).await.unwrap();

    sandbox.advance_clock(Duration::from_secs(10));
    let deliveries = sandbox.wait_for_deliveries(3, TEST_TIMEOUT).await.unwrap();
    let failed = payload(&deliveries[2]);
    assert_eq!((&failed["messageId"], &failed["status"]), (&json!(id), &json!("failed")), "{failed}");
    assert_eq!(keys(&failed), keys(&payload(&deliveries[0])));
    let message = sandbox.message(id).unwrap();
    let last = message.history.last().unwrap();
    assert_eq!(last.error.as_deref(), Some("The parameter text.body is required."));
    assert_eq!(sandbox.message(&delivered).unwrap().status, "pending");

    sandbox.advance_clock(Duration::from_secs(1_000));
    let sms = json!({ "type": "SMS", "contactId": CONTACT, "message": "a", "status": "pending" });
    post(&sandbox, SEND, &sms).await;
    let deliveries = sandbox.wait_for_deliveries(4, TEST_TIMEOUT).await.unwrap();
    assert_eq!(payload(&deliveries[3])["messageType"], "SMS", "it failed once");
}

#[tokio::test]
async fn changes_of_do_not_disturb_are_reported() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = sandbox(&receiver).await;
    let contact = || highlevel_sandbox::Contact::new(CONTACT).phone(PHONE).name("Linus");
    let setting = |status: &str| json!({ "status": status });
    let unsubscribed = json!({ "status": "active", "message": "Unsubscribed", "code": "101" });
    let cases = [
        ("another name", contact(), None),
        (
            "one channel",
            contact().do_not_disturb(DndChannel::Sms),
            Some((false, setting("active"), setting("inactive"))),
        ),
        ("no change", contact().do_not_disturb(DndChannel::Sms), None),
        (
            "all channels",
            contact().do_not_disturb(DndChannel::All),
            Some((true, setting("active"), setting("active"))),
        ),
        ("unsubscribed", contact().unsubscribed(), Some((false, setting("inactive"), unsubscribed))),
        ("none", contact(), Some((false, setting("inactive"), setting("inactive")))),
    ];
    let mut count = 0;
    for (name, contact, expected) in cases {
        sandbox.put_contact(contact).unwrap();
        let Some((dnd, sms, email)) = expected else {
            assert_eq!(sandbox.deliveries().len(), count, "{name}");
            continue;
        };
        count += 1;
        let deliveries = sandbox.wait_for_deliveries(count, TEST_TIMEOUT).await.unwrap();
        let event = payload(&deliveries[count - 1]);
        assert_eq!(
            (&event["type"], &event["id"]),
            (&json!("ContactDndUpdate"), &json!(CONTACT)),
            "{name}: {event}"
        );
        assert_eq!((&event["dnd"], &event["name"]), (&json!(dnd), &json!("Linus")), "{name}: {event}");
        let settings = &event["dndSettings"];
        assert_eq!((&settings["SMS"], &settings["Email"]), (&sms, &email), "{name}: {event}");
    }
}

#[tokio::test]
async fn the_progress_of_emails_is_reported() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = sandbox(&receiver).await;
    let provider = sandbox.provider_id(ProviderKind::Email).to_owned();
    let email = json!({ "type": "Email", "contactId": CONTACT, "html": "<p>a</p>", "subject": "b", "status": "pending" });
    let through_provider = with(email.clone(), json!({ "conversationProviderId": provider }));
    let sms = json!({ "type": "SMS", "contactId": CONTACT, "message": "a", "status": "pending" });
    let cases = [
        ("an email", &email, "delivered", Some("delivered")),
        ("an opened email", &email, "read", Some("opened")),
        ("a failed email", &email, "failed", None),
        ("an email through a provider", &through_provider, "delivered", None),
        ("an SMS", &sms, "delivered", None),
    ];
    let mut count = 0;
    for (name, body, status, expected) in cases {
        let id = post(&sandbox, SEND, body).await.body["messageId"].as_str().unwrap().to_owned();
        sandbox.simulate_status(&id, StatusUpdate::new(status)).unwrap();
        count += 2 + usize::from(expected.is_some());
        let deliveries = sandbox.wait_for_deliveries(count, TEST_TIMEOUT).await.unwrap();
        let Some(expected) = expected else {
            assert_eq!(deliveries.len(), count, "{name}");
            continue;
        };
        let event = payload(&deliveries[count - 1]);
        let report = &event["webhookPayload"];
        assert_eq!(
            (&event["type"], &report["event"]),
            (&json!("LCEmailStats"), &json!(expected)),
            "{name}: {event}"
        );
        assert_eq!(report["recipient"], "linus@example.com", "{name}: {event}");
        assert_eq!(report["recipient-domain"], "example.com", "{name}: {event}");
    }
}
