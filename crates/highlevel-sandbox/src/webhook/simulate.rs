//! Things that happen on the contact's side: it writes, it calls or is called, a message arrives at it.

use std::io::{self, ErrorKind};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::publish::publish_to_app;
use crate::engine::Engine;
use crate::engine::MutationError;
use crate::model::{CONTACT_ID, Message, MessageDirection, Model, StatusUpdate};

/// A call between the location and one of its contacts.
///
/// ```
/// use highlevel_sandbox::{SimulatedCallOutcome, SimulatedCall};
/// use std::time::Duration;
///
/// let answered = SimulatedCall::inbound().duration(Duration::from_secs(90));
/// let missed = SimulatedCall::outbound().outcome(SimulatedCallOutcome::NoAnswer);
/// let message = SimulatedCall::inbound().outcome(SimulatedCallOutcome::Voicemail).recording("https://example.com/a.mp3");
/// # let _ = (answered, missed, message);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedCall {
    direction: MessageDirection,
    #[serde(default)]
    outcome: SimulatedCallOutcome,
    #[serde(default)]
    contact_id: Option<String>,
    #[serde(default)]
    conversation_provider_id: Option<String>,
    #[serde(default)]
    duration_seconds: Option<u64>,
    #[serde(default)]
    recordings: Vec<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SimulatedCallOutcome {
    /// A person answered.
    #[default]
    Answered,
    /// It reached voicemail.
    Voicemail,
    /// Nobody answered.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// It could not be made.
    Failed,
    /// It was given up before anybody answered.
    Canceled,
    /// It has not ended.
    Pending,
}

impl SimulatedCall {
    /// A contact called, and a person answered.
    pub fn inbound() -> Self {
        Self::new(MessageDirection::Inbound)
    }

    /// A contact was called, and answered.
    pub fn outbound() -> Self {
        Self::new(MessageDirection::Outbound)
    }

    fn new(direction: MessageDirection) -> Self {
        Self {
            direction,
            outcome: SimulatedCallOutcome::Answered,
            contact_id: None,
            conversation_provider_id: None,
            duration_seconds: None,
            recordings: Vec::new(),
            from: None,
            to: None,
            user_id: None,
        }
    }

    /// How it went.
    pub fn outcome(mut self, outcome: SimulatedCallOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The contact; [`Sandbox::contact_id`](crate::Sandbox::contact_id) unless told.
    pub fn contact(mut self, id: impl Into<String>) -> Self {
        self.contact_id = Some(id.into());
        self
    }

    /// The conversation provider; the first of the contact's location unless told.
    pub fn provider(mut self, id: impl Into<String>) -> Self {
        self.conversation_provider_id = Some(id.into());
        self
    }

    /// How long it was, in whole seconds. Unless told, 60 s when a person answered or it reached voicemail.
    pub fn duration(mut self, duration: std::time::Duration) -> Self {
        self.duration_seconds = Some(duration.as_secs());
        self
    }

    /// Adds the URL of a recording.
    pub fn recording(mut self, url: impl Into<String>) -> Self {
        self.recordings.push(url.into());
        self
    }

    /// The user of the location who took part.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }
}

impl SimulatedCallOutcome {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Answered,
        Self::Voicemail,
        Self::NoAnswer,
        Self::Busy,
        Self::Failed,
        Self::Canceled,
        Self::Pending,
    ];

    /// What the admin API calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Voicemail => "voicemail",
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Pending => "pending",
        }
    }

    /// The `callStatus` of the events.
    pub(crate) fn call_status(self) -> &'static str {
        match self {
            Self::Answered => "completed",
            Self::Voicemail => "voicemail",
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Pending => "pending",
        }
    }
}

/// A contact writes. The fields are those of `InboundMessageRequest`; what is missing is an SMS of the contact to try
/// things with.
pub(crate) fn inbound(state: &Engine, fields: Map<String, Value>) -> io::Result<Message> {
    let mut body = fields;
    body.entry("type").or_insert_with(|| json!("SMS"));
    if !body.contains_key("conversationId") {
        body.entry("contactId").or_insert_with(|| json!(CONTACT_ID));
    }
    let location = location(&state.model(), &body)?;
    if !matches!(body["type"].as_str(), Some("SMS" | "Email")) {
        provide(&state.model(), &location, &mut body);
    }
    let body = Value::Object(body);
    state.simulate("/conversations/messages/inbound", &location, &body, |_| {}).map_err(invalid)
}

/// The location writes, as with its own token. The fields are those of `SendMessageRequest`; the status is pending unless
/// it is said otherwise.
pub(crate) fn outbound(state: &Engine, mut fields: Map<String, Value>) -> io::Result<Message> {
    fields.entry("status").or_insert_with(|| json!("pending"));
    let location = location(&state.model(), &fields)?;
    state.simulate("/conversations/messages", &location, &Value::Object(fields), |_| {}).map_err(invalid)
}

/// A call happens.
pub(crate) fn call(state: &Engine, call: &SimulatedCall) -> io::Result<Message> {
    let mut body = Map::new();
    body.insert("type".to_owned(), json!("Call"));
    let contact = call.contact_id.as_deref().unwrap_or(CONTACT_ID);
    body.insert("contactId".to_owned(), json!(contact));
    let location = location(&state.model(), &body)?;
    // Who follows the reference to the letter demands the conversation.
    if let Some(conversation) = state.model().conversation_with(contact) {
        body.insert("conversationId".to_owned(), json!(conversation));
    }
    match &call.conversation_provider_id {
        Some(id) => drop(body.insert("conversationProviderId".to_owned(), json!(id))),
        None => provide(&state.model(), &location, &mut body),
    }
    if !call.recordings.is_empty() {
        body.insert("attachments".to_owned(), json!(call.recordings));
    }
    let mut details = Map::from_iter([("status".to_owned(), json!(call.outcome.call_status()))]);
    for (name, number) in [("from", &call.from), ("to", &call.to)] {
        if let Some(number) = number {
            details.insert(name.to_owned(), json!(number));
        }
    }
    body.insert("call".to_owned(), Value::Object(details));

    let path = match call.direction {
        MessageDirection::Inbound => "/conversations/messages/inbound",
        MessageDirection::Outbound => "/conversations/messages/outbound",
    };
    let talked = matches!(call.outcome, SimulatedCallOutcome::Answered | SimulatedCallOutcome::Voicemail);
    let duration = call.duration_seconds.unwrap_or(if talked { 60 } else { 0 });
    // No request to the API can say these.
    let adjust = |message: &mut Message| {
        message.request["call"]["duration"] = json!(duration);
        if let Some(user) = &call.user_id {
            message.request["userId"] = json!(user);
        }
    };
    state.simulate(path, &location, &Value::Object(body), adjust).map_err(invalid)
}

/// A message gets another status, and the app is told.
pub(crate) fn status(state: &Engine, id: &str, update: StatusUpdate) -> io::Result<Message> {
    // Under one lock, so that events leave in the order in which the changes were made.
    let mut model = state.model();
    let message = state.set_status_in(&mut model, id, update).map_err(MutationError::into_io)?.parsed();
    publish_to_app(state, &model, &message, state.clock.now());
    drop(model);
    state.changed("deliveries");
    Ok(message)
}

/// The location of the contact or conversation that is named.
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
            format!("there is no contact or conversation {name:?}: add the contact first"),
        )
    })
}

/// Names the first provider of the location, if none is named.
fn provide(model: &Model, location: &str, body: &mut Map<String, Value>) {
    let first = model.providers().find(|provider| provider.location_id == location);
    if let Some(provider) = first {
        body.entry("conversationProviderId").or_insert_with(|| json!(provider.id));
    }
}

fn invalid(words: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_outcomes_are_those_that_are_read() {
        let refused = serde_json::from_value::<SimulatedCallOutcome>(json!("?")).unwrap_err().to_string();
        let names = SimulatedCallOutcome::ALL.map(|outcome| format!("`{}`", outcome.as_str())).join(", ");
        assert_eq!(refused, format!("unknown variant `?`, expected one of {names}"));
    }
}
