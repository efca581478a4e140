//! Requests, with the refusal of each one.

use highlevel_sandbox::{ProviderKind, Refusal};
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND};

/// The contact of most rows. It has two numbers and two addresses.
pub(super) const CONTACT: &str = "k7TqWzVbN2xYp0Lm4RsE";
pub(super) const PHONE: &str = "+14155550173";
pub(super) const OTHER_PHONE: &str = "+14155550174";
pub(super) const EMAIL: &str = "rosa@example.org";
pub(super) const OTHER_EMAIL: &str = "rosa@work.example.org";

/// A request, and the refusal of it.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Value,
    /// `None` if it is accepted.
    pub(super) refusal: Option<Refusal>,
    /// The text of the response, if it has a value in place of a placeholder.
    pub(super) message: Option<&'static str>,
}

impl Row {
    fn accepted(name: &'static str, path: &'static str, body: Value) -> Self {
        Self { name, path, body, refusal: None, message: None }
    }

    fn refused(name: &'static str, path: &'static str, body: Value, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::accepted(name, path, body) }
    }

    fn message(mut self, message: &'static str) -> Self {
        self.message = Some(message);
        self
    }
}

/// Returns the fields of a message to [`CONTACT`], with other fields in addition or instead.
pub(super) fn to(channel: &str, fields: Value) -> Value {
    let mut body = json!({ "type": channel, "contactId": CONTACT, "status": "pending" });
    if let Value::Object(fields) = fields {
        body.as_object_mut().unwrap().extend(fields);
    }
    body
}

/// Returns the fields of an inbound message or call of [`CONTACT`].
pub(super) fn from(channel: &str, fields: Value) -> Value {
    let mut body = to(channel, fields);
    body.as_object_mut().unwrap().remove("status");
    body
}

pub(super) fn sms() -> Value {
    to("SMS", json!({ "message": "Hello" }))
}

pub(super) fn content_rows() -> Vec<Row> {
    let refused = |name, path, body| Row::refused(name, path, body, Refusal::NoContent);
    let file = json!({ "attachments": ["https://files.example.org/a.png"] });
    let media =
        json!({"whatsapp": {"type": "media", "media": {"type": "image", "url": "https://a.example/b.png"}}});
    vec![
        refused("no text", SEND, to("SMS", json!({}))),
        refused("empty text", SEND, to("SMS", json!({ "message": "" }))),
        refused("white space", SEND, to("WhatsApp", json!({ "message": " \n\t" }))),
        refused("empty attachments", SEND, to("SMS", json!({ "attachments": [] }))),
        refused("a text in another field", SEND, to("SMS", json!({ "text": "Hello" }))),
        refused("an email without HTML", SEND, to("Email", json!({ "message": "Hello", "subject": "a" }))),
        refused("an email with empty HTML", SEND, to("Email", json!({ "message": "Hello", "html": " " }))),
        refused("a comment without text", SEND, to("InternalComment", json!({}))),
        refused("inbound without text", INBOUND, from("Live_Chat", json!({ "text": "Hello" }))),
        Row::accepted("a text", SEND, sms()),
        Row::accepted("an attachment", SEND, to("SMS", file.clone())),
        Row::accepted("an email with HTML", SEND, to("Email", json!({ "html": "<p>Hello</p>" }))),
        Row::accepted("a template", SEND, to("Email", json!({ "templateId": "t" }))),
        Row::accepted("media", SEND, to("WhatsApp", media)),
        Row::accepted("an inbound file", INBOUND, from("WhatsApp", file)),
        Row::accepted("an inbound email as text", INBOUND, from("Email", json!({ "message": "Hello" }))),
    ]
}

pub(super) fn contact_rows() -> Vec<Row> {
    let unknown = |name, path, body| Row::refused(name, path, body, Refusal::UnknownContact);
    let person = |id: &str, channel: &str| {
        let content = if channel == "Email" { "html" } else { "message" };
        json!({ "type": channel, "contactId": id, "status": "pending", content: "Hello" })
    };
    let email = |fields: Value| {
        let mut body = to("Email", json!({ "html": "<p>Hello</p>" }));
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let refused = Row::refused;
    vec![
        refused(
            "no contact",
            SEND,
            json!({ "type": "SMS", "conversationId": "c", "toNumber": PHONE, "message": "Hello", "status": "pending" }),
            Refusal::MissingContact,
        ),
        refused("an empty contact", SEND, person(" ", "SMS"), Refusal::MissingContact),
        unknown("a deleted contact", SEND, person("gone", "SMS")).message("Contact not found for id:gone"),
        unknown("a call to a deleted contact", OUTBOUND, call("gone", json!({ "to": PHONE })))
            .message("Contact not found for id:gone"),
        unknown("a message of a deleted contact", INBOUND, {
            json!({ "type": "SMS", "contactId": "gone", "message": "Hello" })
        })
        .message("Contact not found for id:gone"),
        refused("an SMS without a number", SEND, person("no-phone", "SMS"), Refusal::NoPhone),
        refused("WhatsApp without a number", SEND, person("no-phone", "WhatsApp"), Refusal::NoPhone),
        Row::accepted("an email without a number", SEND, person("no-phone", "Email")),
        refused("no address", SEND, person("no-email", "Email"), Refusal::NoEmail),
        Row::accepted("an SMS without an address", SEND, person("no-email", "SMS")),
        refused("a malformed address", SEND, person("malformed", "Email"), Refusal::InvalidEmail),
        refused("an undeliverable address", SEND, person("undeliverable", "Email"), Refusal::InvalidEmail),
        refused(
            "another address",
            SEND,
            email(json!({ "emailTo": "li@example.org" })),
            Refusal::InvalidEmailTo,
        ),
        refused(
            "other letters",
            SEND,
            email(json!({ "emailTo": "Rosa@example.org" })),
            Refusal::InvalidEmailTo,
        ),
        Row::accepted("the address", SEND, email(json!({ "emailTo": EMAIL }))),
        Row::accepted("an additional address", SEND, email(json!({ "emailTo": OTHER_EMAIL }))),
        Row::accepted("an address that was stored in upper case", SEND, person("upper-case", "Email")),
        refused("do-not-disturb for SMS", SEND, person("dnd-sms", "SMS"), Refusal::DndSms),
        Row::accepted("do-not-disturb for another channel", SEND, person("dnd-sms", "Email")),
        refused("do-not-disturb for email", SEND, person("dnd-email", "Email"), Refusal::DndEmail),
        refused("do-not-disturb for WhatsApp", SEND, person("dnd-whatsapp", "WhatsApp"), Refusal::DndOther)
            .message("Cannot send message as DND is active for WhatsApp."),
        refused("do-not-disturb for all: SMS", SEND, person("dnd-all", "SMS"), Refusal::DndSms),
        refused("do-not-disturb for all: email", SEND, person("dnd-all", "Email"), Refusal::DndEmail),
        Row::accepted("a comment about the contact", SEND, person("dnd-all", "InternalComment")),
        refused("unsubscribed", SEND, person("unsubscribed", "Email"), Refusal::Unsubscribed),
        Row::accepted("an SMS to an unsubscribed contact", SEND, person("unsubscribed", "SMS")),
    ]
}

/// Returns an outbound call through the provider of calls.
pub(super) fn call(contact: &str, details: Value) -> Value {
    let mut details = details;
    details["status"] = json!("completed");
    json!({
        "type": "Call", "contactId": contact, "conversationProviderId": provider(ProviderKind::Call), "call": details,
    })
}

/// Returns the ID of a seeded provider, which is the same in all sandboxes.
pub(super) fn provider(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Sms => "6717b2c09d3f4e5a8b6c1d01",
        ProviderKind::CustomSms => "6717b2c09d3f4e5a8b6c1d02",
        ProviderKind::Email => "6717b2c09d3f4e5a8b6c1d03",
        _ => "6717b2c09d3f4e5a8b6c1d04",
    }
}

pub(super) fn provider_rows() -> Vec<Row> {
    let refused = Row::refused;
    let through = |kind, channel: &str| {
        from(channel, json!({ "message": "Hello", "conversationProviderId": provider(kind) }))
    };
    let mismatch =
        |name, kind, channel: &str| refused(name, INBOUND, through(kind, channel), Refusal::ProviderMismatch);
    let without = |mut body: Value| {
        body.as_object_mut().unwrap().remove("conversationProviderId");
        body
    };
    let other_kind = |kind| {
        let mut body = call(CONTACT, json!({ "to": PHONE }));
        body["conversationProviderId"] = json!(provider(kind));
        body
    };
    let no_access = "You don't have access to the conversationProvider with id: foreign";
    let foreign = json!({ "message": "Hello", "conversationProviderId": "foreign" });
    vec![
        refused(
            "a call without a provider",
            OUTBOUND,
            without(call(CONTACT, json!({ "to": PHONE }))),
            Refusal::CallWithoutProvider,
        ),
        refused(
            "an inbound call without a provider",
            INBOUND,
            without(call(CONTACT, json!({ "from": PHONE }))),
            Refusal::CallWithoutProvider,
        ),
        refused(
            "Custom without a provider",
            INBOUND,
            from("Custom", json!({ "message": "Hello" })),
            Refusal::CustomWithoutProvider,
        ),
        refused(
            "Custom with an empty provider",
            INBOUND,
            from("Custom", json!({ "message": "Hello", "conversationProviderId": "" })),
            Refusal::CustomWithoutProvider,
        ),
        mismatch("SMS through a custom provider", ProviderKind::CustomSms, "SMS"),
        mismatch("Custom through the SMS provider", ProviderKind::Sms, "Custom"),
        mismatch("SMS through the email provider", ProviderKind::Email, "SMS"),
        mismatch("Custom through the provider of calls", ProviderKind::Call, "Custom"),
        refused("a call through SMS", OUTBOUND, other_kind(ProviderKind::Sms), Refusal::ProviderMismatch),
        refused(
            "an inbound call through SMS",
            INBOUND,
            other_kind(ProviderKind::Sms),
            Refusal::ProviderMismatch,
        ),
        Row::accepted(
            "Custom through a custom provider",
            INBOUND,
            through(ProviderKind::CustomSms, "Custom"),
        ),
        Row::accepted("Custom through the email provider", INBOUND, through(ProviderKind::Email, "Custom")),
        Row::accepted("SMS through the SMS provider", INBOUND, through(ProviderKind::Sms, "SMS")),
        Row::accepted(
            "SMS sent through a custom provider",
            SEND,
            to(
                "SMS",
                json!({ "message": "Hello", "conversationProviderId": provider(ProviderKind::CustomSms) }),
            ),
        ),
        refused(
            "Custom through a foreign provider",
            INBOUND,
            from("Custom", foreign.clone()),
            Refusal::ForeignProvider,
        )
        .message(no_access),
        refused("SMS sent through a foreign provider", SEND, to("SMS", foreign), Refusal::ForeignProvider)
            .message(no_access),
        refused(
            "SMS sent through an unknown provider",
            SEND,
            to("SMS", json!({ "message": "Hello", "conversationProviderId": "none" })),
            Refusal::ForeignProvider,
        )
        .message("You don't have access to the conversationProvider with id: none"),
        refused(
            "another location",
            INBOUND,
            from("SMS", json!({ "message": "a", "locationId": "x" })),
            Refusal::OtherLocation,
        ),
    ]
}

pub(super) fn number_rows() -> Vec<Row> {
    let refused = Row::refused;
    vec![
        refused("no number", OUTBOUND, call(CONTACT, json!({})), Refusal::InvalidPhone),
        refused(
            "another number",
            OUTBOUND,
            call(CONTACT, json!({ "to": "+14155550999" })),
            Refusal::InvalidPhone,
        ),
        refused(
            "of another number",
            INBOUND,
            call(CONTACT, json!({ "from": "+14155550999" })),
            Refusal::InvalidPhone,
        ),
        Row::accepted("an additional number", OUTBOUND, call(CONTACT, json!({ "to": OTHER_PHONE }))),
        Row::accepted("a formatted number", OUTBOUND, call(CONTACT, json!({ "to": "+1 (415) 555-0173" }))),
        Row::accepted(
            "an inbound call",
            INBOUND,
            call(CONTACT, json!({ "from": PHONE, "to": "+14155550100" })),
        ),
    ]
}
