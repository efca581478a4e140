//! Simulated messages, calls and status changes.

use std::io::{self, ErrorKind};

use serde_json::{Map, Value, json};

use super::mutation_error::MutationError;
use super::state::Engine;
use crate::model::{CONTACT_ID, ConversationProvider, Message, MessageDirection, Model, StatusUpdate};
use crate::operation::Operation;
use crate::webhook::{SimulatedCall, SimulatedCallOutcome};

impl Engine {
    /// Simulates a message from a contact. The fields are those of `InboundMessageRequest`. Defaults to the SMS `Hello` of the
    /// seeded contact.
    pub(crate) fn simulate_inbound(&self, fields: Map<String, Value>) -> io::Result<Message> {
        let mut body = fields;
        body.entry("type").or_insert_with(|| json!("SMS"));
        if !body.contains_key("conversationId") {
            body.entry("contactId").or_insert_with(|| json!(CONTACT_ID));
        }
        if !["message", "html", "attachments", "call"].iter().any(|field| body.contains_key(*field)) {
            body.insert("message".to_owned(), json!("Hello"));
        }
        let location = location(&self.model(), &body)?;
        let names_provider = body.contains_key("conversationProviderId");
        if !matches!(body["type"].as_str(), Some("SMS" | "Email")) {
            set_default_provider(&self.model(), &location, &mut body);
        }
        // Only a custom channel belongs to a provider.
        let is_own = !names_provider && body["type"] != "Custom";
        let body = Value::Object(body);
        let adjust = |message: &mut Message| {
            if is_own {
                remove_provider(message);
            }
        };
        self.simulate(Operation::AddInboundMessage, &location, &body, adjust).map_err(invalid)
    }

    /// Simulates a message sent with the token of the location. The fields are those of `SendMessageRequest`. The status
    /// defaults to `pending`.
    pub(crate) fn simulate_outbound(&self, mut fields: Map<String, Value>) -> io::Result<Message> {
        fields.entry("status").or_insert_with(|| json!("pending"));
        let location = location(&self.model(), &fields)?;
        self.simulate(Operation::SendMessage, &location, &Value::Object(fields), |_| {}).map_err(invalid)
    }

    /// Simulates a call. Without a provider it is a call on the phone of the location.
    pub(crate) fn simulate_call(&self, call: &SimulatedCall) -> io::Result<Message> {
        let mut body = Map::new();
        body.insert("type".to_owned(), json!("Call"));
        let contact = call.contact_id.as_deref().unwrap_or(CONTACT_ID);
        body.insert("contactId".to_owned(), json!(contact));
        let location = location(&self.model(), &body)?;
        // With `documented` strictness the conversation id is required.
        if let Some(conversation) = self.model().conversation_with(contact) {
            body.insert("conversationId".to_owned(), json!(conversation));
        }
        match &call.conversation_provider_id {
            Some(id) => drop(body.insert("conversationProviderId".to_owned(), json!(id))),
            None => set_default_provider(&self.model(), &location, &mut body),
        }
        if !call.recordings.is_empty() {
            body.insert("attachments".to_owned(), json!(call.recordings));
        }
        let mut details = Map::from_iter([("status".to_owned(), json!(call.outcome.call_status()))]);
        let phone = self.model().contact(contact).and_then(|contact| contact.phone.clone());
        let (from, to) = match call.direction {
            MessageDirection::Inbound => (call.from.clone().or(phone), call.to.clone()),
            MessageDirection::Outbound => (call.from.clone(), call.to.clone().or(phone)),
        };
        for (name, number) in [("from", from), ("to", to)] {
            if let Some(number) = number {
                details.insert(name.to_owned(), json!(number));
            }
        }
        body.insert("call".to_owned(), Value::Object(details));

        let operation = match call.direction {
            MessageDirection::Inbound => Operation::AddInboundMessage,
            MessageDirection::Outbound => Operation::AddOutboundCall,
        };
        let is_connected =
            matches!(call.outcome, SimulatedCallOutcome::Answered | SimulatedCallOutcome::Voicemail);
        let duration = call.duration_seconds.or(is_connected.then_some(60));
        // API requests reject these fields, and require a provider.
        let adjust = |message: &mut Message| {
            if call.conversation_provider_id.is_none() {
                remove_provider(message);
            }
            if let Some(duration) = duration {
                message.request["call"]["duration"] = json!(duration);
            }
            if let Some(user) = &call.user_id {
                message.request["userId"] = json!(user);
            }
        };
        self.simulate(operation, &location, &Value::Object(body), adjust).map_err(invalid)
    }

    /// Changes the status of a message and sends its events.
    pub(crate) fn simulate_status(&self, id: &str, update: StatusUpdate) -> io::Result<Message> {
        // Under one lock, so that events are sent in the order of the changes.
        let mut model = self.model();
        let message = self.set_status_in(&mut model, id, update).map_err(MutationError::into_io)?.parsed();
        let now = self.clock.now();
        self.publish_to_app(&model, &message, now);
        self.publish_email_report(&model, &message, now);
        drop(model);
        self.changed("deliveries");
        Ok(message)
    }
}

/// Returns the location of the contact or conversation in the body.
fn location(model: &Model, body: &Map<String, Value>) -> io::Result<String> {
    let named = |field: &str| body.get(field).and_then(Value::as_str);
    let found = match (named("contactId"), named("conversationId")) {
        (Some(id), _) => model.contact(id).map(|contact| contact.location_id.clone()),
        (None, Some(id)) => model.conversation(id).map(|conversation| conversation.location_id.clone()),
        (None, None) => None,
    };
    let name = named("contactId").or(named("conversationId")).unwrap_or_default();
    found.ok_or_else(|| {
        io::Error::new(
            ErrorKind::NotFound,
            format!("contact or conversation {name:?} does not exist; add the contact first"),
        )
    })
}

/// Sets the first provider of the location that adds messages of this type if the body has none.
fn set_default_provider(model: &Model, location: &str, body: &mut Map<String, Value>) {
    let channel = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let adds = |provider: &ConversationProvider| provider.kind.is_none_or(|kind| kind.adds(channel));
    let first = model.providers().find(|provider| provider.location_id == location && adds(provider));
    if let Some(provider) = first {
        body.entry("conversationProviderId").or_insert_with(|| json!(provider.id));
    }
}

/// Removes the provider that the API required.
fn remove_provider(message: &mut Message) {
    message.conversation_provider_id = None;
    if let Some(request) = message.request.as_object_mut() {
        request.remove("conversationProviderId");
    }
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message.into())
}
