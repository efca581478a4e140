//! Payloads of events that are not about a new message: do-not-disturb settings, and the progress of an email.

use serde_json::{Map, Value, json};

use super::payload::{Ends, Envelope};
use crate::model::{Contact, DndChannel, Family, Message, Model};

/// The name of the event about the do-not-disturb settings of a contact.
pub(crate) const DND_EVENT: &str = "ContactDndUpdate";
/// The name of the event about the progress of an email.
pub(crate) const EMAIL_EVENT: &str = "LCEmailStats";

/// Returns the payload of the event about changed do-not-disturb settings of a contact.
pub(crate) fn dnd_payload(contact: &Contact, envelope: &Envelope) -> Value {
    let status = |is_active: bool| if is_active { "active" } else { "inactive" };
    let mut settings = Map::new();
    for channel in DndChannel::ALL.into_iter().filter(|channel| *channel != DndChannel::All) {
        let mut setting = json!({ "status": status(contact.has_do_not_disturb(channel)) });
        if channel == DndChannel::Email && contact.unsubscribed {
            setting = json!({ "status": "active", "message": "Unsubscribed", "code": "101" });
        }
        settings.insert(channel.as_str().to_owned(), setting);
    }
    let mut payload = json!({
        "type": DND_EVENT,
        "locationId": contact.location_id,
        "id": contact.id,
        "dnd": contact.do_not_disturb.contains(&DndChannel::All),
        "dndSettings": settings,
        "inboundDndSettings": { "all": { "status": "inactive" } },
    });
    let texts = [
        ("name", &contact.name),
        ("firstName", &contact.first_name),
        ("lastName", &contact.last_name),
        ("email", &contact.email),
        ("phone", &contact.phone),
        ("dateAdded", &contact.date_added),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            payload[field] = json!(value);
        }
    }
    payload["tags"] = json!(contact.tags);
    payload["customFields"] = json!(contact.custom_fields);
    envelop(&mut payload, envelope);
    payload
}

/// Returns `true` if the do-not-disturb settings of two versions of a contact differ.
pub(crate) fn has_other_dnd(before: &Contact, after: &Contact) -> bool {
    before.do_not_disturb != after.do_not_disturb || before.unsubscribed != after.unsubscribed
}

/// Returns the payload of the report about an email with a new status. `None` if the email service reports no such status, or
/// if a conversation provider delivers the email.
pub(crate) fn email_payload(
    message: &Message,
    model: &Model,
    report_id: &str,
    seconds: i64,
    envelope: &Envelope,
) -> Option<Value> {
    let event = match &*message.status {
        "delivered" => "delivered",
        "read" => "opened",
        _ => return None,
    };
    let id = message.email_message_id.as_deref()?;
    if message.conversation_provider_id.is_some() {
        return None;
    }
    let ends = Ends::of(message, Family::Email, model.contact(&message.contact_id));
    let (recipient, domain) = (ends.to, ends.to.rsplit_once('@').map_or("", |(_, domain)| domain));
    let mut report = json!({
        "event": event,
        "id": report_id,
        "timestamp": seconds,
        "recipient": recipient,
        "recipient-domain": domain,
        "recipient-provider": "Other",
        "log-level": "info",
        "tags": [format!("loc_{}", message.location_id)],
        "campaigns": [],
        "flags": { "is-authenticated": true, "is-test-mode": false },
        "message": {
            "headers": {
                "message-id": format!("{id}@sandbox.example"), "from": ends.from, "to": recipient,
                "subject": message.field("subject").unwrap_or_default(),
            },
            "attachments": [],
            "size": message.field("html").or(message.text()).unwrap_or_default().len(),
        },
    });
    if event == "delivered" {
        report["delivery-status"] =
            json!({ "attempt-no": 1, "code": 250, "message": "OK", "mx-host": "mail.sandbox.example" });
    }
    let company = model.location(&message.location_id).map_or("", |location| &location.company_id);
    let mut payload = json!({
        "type": EMAIL_EVENT, "locationId": message.location_id, "companyId": company, "webhookPayload": report,
    });
    envelop(&mut payload, envelope);
    Some(payload)
}

fn envelop(payload: &mut Value, envelope: &Envelope) {
    payload["timestamp"] = json!(envelope.timestamp);
    payload["webhookId"] = json!(envelope.webhook_id);
    payload["appId"] = json!(envelope.app_id);
    payload["versionId"] = json!(envelope.version_id);
}
