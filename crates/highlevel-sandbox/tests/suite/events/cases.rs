//! The causes of message events, with the fields of the events.

use highlevel_sandbox::{ProviderKind, SimulatedCall, SimulatedCallOutcome};
use serde_json::{Value, json};

use super::{CONTACT, PHONE, PICTURE};
use crate::caller::{INBOUND, OUTBOUND, SEND};
use crate::conformance::Sandbox;

const TEXT: &str = "body contentType";
const EMAIL: &str = "body emailMessageId threadId";
const USER: &str = "uT7yGh3JkLp9QwEr5ZxC";

/// The cause of an event.
pub(super) enum Cause {
    Request(&'static str, Value),
    Inbound(Value),
    Call(SimulatedCall),
}

/// The cause of an event, its fields in addition to [`EVERY`], and some of its values.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) cause: Cause,
    pub(super) fields: String,
    pub(super) expected: Value,
}

fn case(name: &'static str, cause: Cause, fields: impl AsRef<str>, expected: Value) -> Case {
    Case { name, cause, fields: fields.as_ref().to_owned(), expected }
}

/// Merges the fields of two objects.
pub(super) fn with(mut body: Value, fields: Value) -> Value {
    let (Some(body_fields), Value::Object(fields)) = (body.as_object_mut(), fields) else { unreachable!() };
    body_fields.extend(fields);
    body
}

fn send(fields: Value) -> Cause {
    Cause::Request(SEND, with(json!({ "contactId": CONTACT, "status": "pending" }), fields))
}

fn inbound(fields: Value) -> Cause {
    Cause::Inbound(with(json!({ "contactId": CONTACT }), fields))
}

fn added_call(path: &'static str, provider: &str, details: Value) -> Cause {
    let body = json!({
        "type": "Call", "contactId": CONTACT, "conversationProviderId": provider,
        "call": with(json!({ "from": "+15035550199", "to": PHONE }), details),
    });
    Cause::Request(path, body)
}

fn names(message_type: &str, id: impl Into<Value>, text: &str) -> Value {
    json!({ "messageType": message_type, "messageTypeId": id.into(), "messageTypeString": text })
}

/// Sent and received texts, and comments.
pub(super) fn texts(sandbox: &Sandbox) -> Vec<Case> {
    let provider = |kind| sandbox.provider_id(kind).to_owned();
    let (sms, custom) = (provider(ProviderKind::Sms), provider(ProviderKind::CustomSms));
    let through = format!("{TEXT} conversationProviderId");
    vec![
        case(
            "a WhatsApp message of a contact",
            inbound(json!({ "type": "WhatsApp", "message": "Guten Tag" })),
            TEXT,
            with(
                names("WhatsApp", 19, "TYPE_WHATSAPP"),
                json!({ "from": PHONE, "to": "+15035550100", "userId": "", "source": "app", "status": "delivered" }),
            ),
        ),
        case(
            "a file of a contact on WhatsApp",
            inbound(json!({ "type": "WhatsApp", "attachments": [PICTURE] })),
            TEXT,
            with(names("WhatsApp", 19, "TYPE_WHATSAPP"), json!({ "body": "" })),
        ),
        case(
            "an SMS sent through the API",
            send(json!({ "type": "SMS", "message": "Room 4 is free", "fromNumber": "+15035550177" })),
            TEXT,
            with(
                names("SMS", 2, "TYPE_SMS"),
                json!({ "from": "+15035550177", "to": PHONE, "source": "api", "userId": "" }),
            ),
        ),
        case(
            "an SMS with a file",
            send(json!({ "type": "SMS", "message": "The menu", "attachments": [PICTURE] })),
            format!("{TEXT} attachments"),
            json!({ "attachments": [PICTURE], "from": "+15035550100" }),
        ),
        case(
            "an SMS with an empty list of files",
            send(json!({ "type": "SMS", "message": "No file", "attachments": [] })),
            TEXT,
            json!({}),
        ),
        case(
            "an SMS added through the API",
            Cause::Request(INBOUND, json!({ "type": "SMS", "contactId": CONTACT, "message": "Yes" })),
            TEXT,
            with(names("SMS", 2, "TYPE_SMS"), json!({ "from": PHONE, "source": "api" })),
        ),
        case(
            "an SMS through a provider of SMS",
            send(json!({ "type": "SMS", "message": "a", "conversationProviderId": sms })),
            &through,
            with(names("SMS", 22, "TYPE_CUSTOM_PROVIDER_SMS"), json!({ "conversationProviderId": sms })),
        ),
        case(
            "an SMS through a custom provider",
            send(json!({ "type": "SMS", "message": "a", "conversationProviderId": custom })),
            &through,
            names("Custom", 20, "TYPE_CUSTOM_SMS"),
        ),
        case(
            "a message of a custom provider",
            Cause::Request(
                INBOUND,
                json!({
                    "type": "Custom", "contactId": CONTACT, "message": "a", "conversationProviderId": custom,
                    "attachments": [PICTURE],
                }),
            ),
            format!("{through} attachments"),
            names("Custom", 20, "TYPE_CUSTOM_SMS"),
        ),
        case(
            "an internal comment",
            send(json!({
                "type": "InternalComment", "message": format!("Ask @Grace<userId>{USER}</userId>"), "userId": "uAuthor",
                "mentions": [USER],
            })),
            format!("{TEXT} mentions"),
            with(
                names("InternalComment", 37, "TYPE_INTERNAL_COMMENT"),
                json!({ "type": "OutboundMessage", "userId": "uAuthor", "mentions": [USER], "direction": "outbound" }),
            ),
        ),
    ]
}

/// Messages of channels without phone numbers.
pub(super) fn chats() -> Vec<Case> {
    let rows = [
        ("IG", names("IG", 18, "TYPE_INSTAGRAM")),
        ("FB", names("FB", 11, "TYPE_FACEBOOK")),
        ("GMB", names("GMB", 15, "TYPE_GMB")),
        ("WebChat", names("WebChat", 5, "TYPE_WEBCHAT")),
        ("Live_Chat", names("Live_Chat", 29, "TYPE_LIVE_CHAT")),
        ("TIKTOK", names("TIKTOK", 41, "TYPE_TIKTOK")),
    ];
    let case = |(channel, names): (&'static str, Value)| {
        let cause = inbound(json!({ "type": channel, "message": "Hello" }));
        case(channel, cause, TEXT, with(names, json!({ "from": "", "to": "", "direction": "inbound" })))
    };
    rows.map(case).into()
}

pub(super) fn emails(sandbox: &Sandbox) -> Vec<Case> {
    let provider = sandbox.provider_id(ProviderKind::Email);
    vec![
        case(
            "an email with copies",
            send(json!({
                "type": "Email", "html": "<p>a</p>", "subject": "b", "emailFrom": "Desk <desk@hotel.example>",
                "emailCc": ["c1@x.example", "c2@x.example"], "emailBcc": ["b1@x.example", "b2@x.example"],
            })),
            format!("{EMAIL} subject cc ccList bcc bccList"),
            with(
                names("Email", 3, "TYPE_EMAIL"),
                json!({
                    "cc": "c1@x.example", "ccList": ["c1@x.example", "c2@x.example"], "bcc": "b1@x.example",
                    "bccList": ["b1@x.example", "b2@x.example"], "from": "Desk <desk@hotel.example>",
                    "to": ["linus@example.com"],
                }),
            ),
        ),
        case(
            "an email without copies",
            send(json!({ "type": "Email", "html": "<p>a</p>", "emailCc": [] })),
            EMAIL,
            json!({ "to": ["linus@example.com"] }),
        ),
        case(
            "an email of a contact",
            inbound(json!({ "type": "Email", "html": "<p>a</p>" })),
            EMAIL,
            json!({ "from": "linus@example.com", "source": "app" }),
        ),
        case(
            "an email through a custom provider",
            send(json!({
                "type": "Custom", "conversationProviderId": provider, "html": "<p>a</p>", "subject": "b",
            })),
            "body subject conversationProviderId",
            with(names("Custom", 21, "TYPE_CUSTOM_EMAIL"), json!({ "to": ["linus@example.com"] })),
        ),
    ]
}

pub(super) fn calls(sandbox: &Sandbox) -> Vec<Case> {
    let provider = sandbox.provider_id(ProviderKind::Call);
    let call = |call: SimulatedCall| Cause::Call(call.contact(CONTACT));
    let lc = || names("CALL", 1, "TYPE_CALL");
    let custom = || names("Custom", 34, "TYPE_CUSTOM_CALL");
    vec![
        case(
            "a call that an app added",
            added_call(OUTBOUND, provider, json!({ "status": "completed" })),
            "conversationProviderId",
            with(
                custom(),
                json!({ "status": "completed", "source": "api", "from": "+15035550199", "to": PHONE, "userId": "" }),
            ),
        ),
        case(
            "a call that an app added with a duration",
            added_call(OUTBOUND, provider, json!({ "status": "completed", "callDuration": 95 })),
            "conversationProviderId",
            custom(),
        ),
        case(
            "a voicemail that an app added",
            added_call(INBOUND, provider, json!({ "status": "voicemail" })),
            "conversationProviderId",
            with(custom(), json!({ "status": "voicemail", "direction": "inbound" })),
        ),
        case(
            "a call that a person took",
            call(SimulatedCall::inbound().user(USER)),
            "callStatus callDuration",
            with(
                lc(),
                json!({
                    "status": "completed", "callStatus": "completed", "callDuration": 60, "from": PHONE,
                    "to": "+15035550100", "userId": USER, "source": "app",
                }),
            ),
        ),
        case(
            "a call to a contact that was not taken",
            call(SimulatedCall::outbound().outcome(SimulatedCallOutcome::NoAnswer)),
            "callStatus",
            with(
                lc(),
                json!({ "status": "failed", "callStatus": "no-answer", "from": "+15035550100", "to": PHONE }),
            ),
        ),
        case(
            "an inbound call that reached voicemail",
            call(SimulatedCall::inbound().outcome(SimulatedCallOutcome::Voicemail).recording(PICTURE)),
            "attachments",
            with(
                names("CALL", 10, "TYPE_VOICEMAIL"),
                json!({ "status": "voicemail", "attachments": [PICTURE], "from": PHONE }),
            ),
        ),
        case(
            "an outbound call that reached voicemail",
            call(SimulatedCall::outbound().outcome(SimulatedCallOutcome::Voicemail)),
            "callStatus callDuration",
            with(lc(), json!({ "status": "completed", "callStatus": "voicemail" })),
        ),
    ]
}
