//! The webhook events of messages.

use chrono::{DateTime, Utc};

use super::state::Engine;
use crate::model::{Message, Model};
use crate::webhook::payload::{Envelope, PROVIDER_EVENT, event_name, event_payload, provider_payload};
use crate::webhook::{OutgoingEvent, json_text, time_text as text};

impl Engine {
    /// Sends the events of a new message: to the app, and to the conversation provider that delivers it.
    pub(crate) fn publish(&self, model: &Model, message: &Message, now: DateTime<Utc>) {
        self.publish_to_app(model, message, now);
        let provider = message.conversation_provider_id.as_deref().and_then(|id| model.provider(id));
        let Some(url) = provider.and_then(|provider| provider.delivery_url.clone()) else { return };
        let envelope = self.envelope(now);
        let Some(payload) = provider_payload(self.spec, message, model, &envelope) else { return };
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
        let Some(url) = self.outbox.url() else { return };
        let envelope = self.envelope(now);
        let payload = event_payload(message, model, &envelope);
        self.send_webhook(
            OutgoingEvent {
                name: event_name(message).to_owned(),
                webhook_id: envelope.webhook_id,
                message_id: Some(message.id.clone()),
                url,
                body: json_text(&payload).into(),
            },
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
