//! Simulated activity of contacts: messages, calls, and status changes.

use serde::Deserialize;

use crate::model::MessageDirection;

/// A call between the location and one of its contacts.
///
/// ```
/// use highlevel_sandbox::{SimulatedCallOutcome, SimulatedCall};
/// use std::time::Duration;
///
/// let answered = SimulatedCall::inbound().duration(Duration::from_secs(90));
/// let missed = SimulatedCall::outbound().outcome(SimulatedCallOutcome::NoAnswer);
/// let voicemail = SimulatedCall::inbound().outcome(SimulatedCallOutcome::Voicemail).recording("https://example.com/a.mp3");
/// # let _ = (answered, missed, voicemail);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedCall {
    pub(crate) direction: MessageDirection,
    #[serde(default)]
    pub(crate) outcome: SimulatedCallOutcome,
    #[serde(default)]
    pub(crate) contact_id: Option<String>,
    #[serde(default)]
    pub(crate) conversation_provider_id: Option<String>,
    #[serde(default)]
    pub(crate) duration_seconds: Option<u64>,
    #[serde(default)]
    pub(crate) recordings: Vec<String>,
    #[serde(default)]
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

/// The outcome of a simulated call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SimulatedCallOutcome {
    /// Answered by a person.
    #[default]
    Answered,
    /// Reached voicemail.
    Voicemail,
    /// Not answered.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// Could not be placed.
    Failed,
    /// Canceled by the caller before it was answered.
    Canceled,
    /// Still in progress.
    Pending,
}

impl SimulatedCall {
    /// Creates a call from a contact, answered by a person.
    pub fn inbound() -> Self {
        Self::new(MessageDirection::Inbound)
    }

    /// Creates a call to a contact, answered by a person.
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

    /// Sets the outcome.
    pub fn outcome(mut self, outcome: SimulatedCallOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Sets the contact. Defaults to [`Sandbox::contact_id`](crate::Sandbox::contact_id).
    pub fn contact(mut self, id: impl Into<String>) -> Self {
        self.contact_id = Some(id.into());
        self
    }

    /// Makes it a call through a conversation provider. Defaults to a call on the phone of the location. Events of calls through
    /// a provider have neither a duration nor a `callStatus`.
    pub fn provider(mut self, id: impl Into<String>) -> Self {
        self.conversation_provider_id = Some(id.into());
        self
    }

    /// Sets the duration in whole seconds. Defaults to 60 s for answered calls and voicemail. The event of an inbound voicemail has none.
    pub fn duration(mut self, duration: std::time::Duration) -> Self {
        self.duration_seconds = Some(duration.as_secs());
        self
    }

    /// Adds the URL of a recording.
    pub fn recording(mut self, url: impl Into<String>) -> Self {
        self.recordings.push(url.into());
        self
    }

    /// Sets the user of the location who took part.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }
}

impl SimulatedCallOutcome {
    /// All outcomes.
    pub(crate) const ALL: [Self; 7] = [
        Self::Answered,
        Self::Voicemail,
        Self::NoAnswer,
        Self::Busy,
        Self::Failed,
        Self::Canceled,
        Self::Pending,
    ];

    /// Returns the name in the admin API.
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

    /// Returns the `callStatus` of the events.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_outcomes_can_be_parsed() {
        let refused = serde_json::from_value::<SimulatedCallOutcome>(json!("?")).unwrap_err().to_string();
        let names = SimulatedCallOutcome::ALL.map(|outcome| format!("`{}`", outcome.as_str())).join(", ");
        assert_eq!(refused, format!("unknown variant `?`, expected one of {names}"));
    }
}
