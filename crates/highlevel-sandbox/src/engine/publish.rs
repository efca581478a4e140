//! The webhook events of messages and contacts.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::state::Engine;
use crate::model::{Contact, Message, Model};
use crate::spec::Spec;
use crate::webhook::account_payload::{DND_EVENT, EMAIL_EVENT, dnd_payload, email_payload};
use crate::webhook::payload::{Envelope, PROVIDER_EVENT, event_name, event_payload, provider_payload};
use crate::webhook::{OutgoingEvent, json_text, time_text as text};

impl Engine {
    /// Sends the events of a new message: to the app, and to the conversation provider that delivers it.
    pub(crate) fn publish(&self, model: &Model, message: &Message, now: DateTime<Utc>) {
        self.publish_to_app(model, message, now);
        let provider = message.conversation_provider_id.as_deref().and_then(|id| model.provider(id));
        let Some(url) = provider.and_then(|provider| provider.delivery_url.clone()) else { return };
        let envelope = self.envelope(now);
        let Some(payload) = provider_payload(Spec::embedded(), message, model, &envelope) else { return };
        self.send_webhook(
            OutgoingEvent {
                name: PROVIDER_EVENT.to_owned(),
                webhook_id: envelope.webhook_id,
                message_id: Some(message.id.clone()),
                url,
                body: json_text(&payload).into(),
            },
            now,
        );
    }

    /// Sends the app an event with the current state of a message.
    pub(crate) fn publish_to_app(&self, model: &Model, message: &Message, now: DateTime<Utc>) {
        // Before the payload, which costs more than the rest of a request.
        let Some(url) = self.outbox.url() else { return };
        let envelope = self.envelope(now);
        let payload = event_payload(message, model, &envelope);
        self.send_to_app(url, event_name(message), envelope, Some(message.id.clone()), &payload, now);
    }

    /// Sends the report of the email service about an email with a new status.
    pub(crate) fn publish_email_report(&self, model: &Model, message: &Message, now: DateTime<Utc>) {
        let Some(url) = self.outbox.url() else { return };
        let (envelope, id) = (self.envelope(now), self.identifiers.object_id());
        if let Some(payload) = email_payload(message, model, &id, now.timestamp(), &envelope) {
            self.send_to_app(url, EMAIL_EVENT, envelope, Some(message.id.clone()), &payload, now);
        }
    }

    /// Sends an event with the do-not-disturb settings of a contact.
    pub(super) fn publish_dnd(&self, contact: &Contact, now: DateTime<Utc>) {
        let Some(url) = self.outbox.url() else { return };
        let envelope = self.envelope(now);
        let payload = dnd_payload(contact, &envelope);
        self.send_to_app(url, DND_EVENT, envelope, None, &payload, now);
    }

    /// Sends an event to the webhook URL of the app.
    fn send_to_app(
        &self,
        url: String,
        name: &str,
        envelope: Envelope,
        message_id: Option<String>,
        payload: &Value,
        now: DateTime<Utc>,
    ) {
        let (name, webhook_id) = (name.to_owned(), envelope.webhook_id);
        self.send_webhook(
            OutgoingEvent { name, webhook_id, message_id, url, body: json_text(payload).into() },
            now,
        );
    }

    /// Returns the metadata of a new event.
    pub(super) fn envelope(&self, now: DateTime<Utc>) -> Envelope {
        Envelope {
            timestamp: text(now),
            webhook_id: self.identifiers.uuid(),
            app_id: self.account.app_id.clone(),
            version_id: self.account.app_id.clone(),
        }
    }
}
