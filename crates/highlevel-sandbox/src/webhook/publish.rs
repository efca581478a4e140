//! Selects the events about a message and their targets.

use chrono::{DateTime, Utc};

use super::delivery_store::{Event, text};
use super::payload::{Envelope, PROVIDER_EVENT, event_name, event_payload, provider_payload};
use crate::engine::Engine;
use crate::model::{Message, Model};

/// Sends the events of an accepted message: to the app, and to the provider that delivers it.
pub(crate) fn publish(state: &Engine, model: &Model, message: &Message, now: DateTime<Utc>) {
    publish_to_app(state, model, message, now);
    let provider = message.conversation_provider_id.as_deref().and_then(|id| model.provider(id));
    let Some(url) = provider.and_then(|provider| provider.delivery_url.clone()) else { return };
    let envelope = envelope(state, now);
    let Some(payload) = provider_payload(state.spec, message, model, &envelope) else { return };
    state.send_webhook(
        Event {
            name: PROVIDER_EVENT.to_owned(),
            webhook_id: envelope.webhook_id,
            message_id: Some(message.id.clone()),
            url,
            body: payload.to_string().into_bytes().into(),
        },
        now,
    );
}

/// Sends the app the event with the present state of a message.
pub(crate) fn publish_to_app(state: &Engine, model: &Model, message: &Message, now: DateTime<Utc>) {
    let Some(url) = state.outbox.url() else { return };
    let envelope = envelope(state, now);
    let contact = model.contact(&message.contact_id);
    let payload = event_payload(state.spec, message, contact, &envelope);
    state.send_webhook(
        Event {
            name: event_name(message).to_owned(),
            webhook_id: envelope.webhook_id,
            message_id: Some(message.id.clone()),
            url,
            body: payload.to_string().into_bytes().into(),
        },
        now,
    );
}

/// Returns the envelope of an event.
pub(super) fn envelope(state: &Engine, now: DateTime<Utc>) -> Envelope {
    Envelope {
        timestamp: text(now),
        webhook_id: state.identifiers.uuid(),
        app_id: state.account.app_id.clone(),
        version_id: state.account.app_id.clone(),
    }
}
