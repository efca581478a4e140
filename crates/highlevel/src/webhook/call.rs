//! The outcome and the duration of a call.

use std::time::Duration;

use highlevel_wire::types::{CallStatus, EventMessageStatus};
use serde_json::{Map, Value};

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// A person took the call.
    Answered,
    /// The call was completed. The event does not specify whether a person took it or it reached voicemail.
    Completed,
    /// The call reached voicemail.
    Voicemail,
    /// The call has not ended.
    Pending,
    /// The line was busy.
    Busy,
    /// The call was not taken.
    NoAnswer,
    /// The call could not be made.
    Failed,
    /// The caller hung up before the call was taken.
    Canceled,
    /// The two statuses of the event are missing, unknown, or contradict each other.
    Unknown,
}

impl CallOutcome {
    /// Determines the outcome from the `status` and the `callStatus` of an event.
    ///
    /// If both are present, they have to agree: [`Answered`](Self::Answered) requires the `status` `completed`, and
    /// [`Voicemail`](Self::Voicemail) the `status` `completed` (an outbound call) or `voicemail` (an inbound one). A
    /// `callStatus` with which a call was not taken decides alone. If one of the two is missing or empty, the other one
    /// decides, and `completed` is [`Completed`](Self::Completed).
    pub fn of(status: Option<&EventMessageStatus>, call_status: Option<&CallStatus>) -> Self {
        let status = status.map(EventMessageStatus::as_str).filter(|status| !status.is_empty());
        let Some(call_status) = call_status.filter(|status| !status.as_str().is_empty()) else {
            return status.map_or(Self::Unknown, Self::of_status);
        };
        match (call_status, status) {
            (CallStatus::Completed | CallStatus::Answered, Some("completed"))
            | (CallStatus::Answered, None) => Self::Answered,
            (CallStatus::Completed, None) => Self::Completed,
            (CallStatus::Voicemail, Some("completed" | "voicemail") | None) => Self::Voicemail,
            (CallStatus::Pending, _) => Self::Pending,
            (CallStatus::Busy, _) => Self::Busy,
            (CallStatus::NoAnswer, _) => Self::NoAnswer,
            (CallStatus::Failed, _) => Self::Failed,
            (CallStatus::Canceled, _) => Self::Canceled,
            _ => Self::Unknown,
        }
    }

    /// Determines the outcome of an event without a `callStatus`, such as one for a voicemail or for a call that an
    /// app has added.
    fn of_status(status: &str) -> Self {
        match CallStatus::from(status) {
            CallStatus::Completed => Self::Completed,
            CallStatus::Answered => Self::Answered,
            CallStatus::Voicemail => Self::Voicemail,
            CallStatus::Pending => Self::Pending,
            CallStatus::Busy => Self::Busy,
            CallStatus::NoAnswer => Self::NoAnswer,
            CallStatus::Failed => Self::Failed,
            CallStatus::Canceled => Self::Canceled,
            _ => Self::Unknown,
        }
    }
}

/// Returns the `callDuration`. If it arrived as text, it is among the unknown fields.
pub(super) fn duration(seconds: Option<f64>, extra: &Map<String, Value>) -> Option<Duration> {
    let seconds = seconds.or_else(|| extra.get("callDuration")?.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}
