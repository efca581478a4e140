//! Things that happen on the contact's side: it writes, it calls or is called, a message arrives at it.

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
/// let message = SimulatedCall::inbound().outcome(SimulatedCallOutcome::Voicemail).recording("https://example.com/a.mp3");
/// # let _ = (answered, missed, message);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_outcomes_are_those_that_are_read() {
        let refused = serde_json::from_value::<SimulatedCallOutcome>(json!("?")).unwrap_err().to_string();
        let names = SimulatedCallOutcome::ALL.map(|outcome| format!("`{}`", outcome.as_str())).join(", ");
        assert_eq!(refused, format!("unknown variant `?`, expected one of {names}"));
    }
}
