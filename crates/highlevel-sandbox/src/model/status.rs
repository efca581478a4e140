//! The statuses of a message, and the allowed transitions.
//!
//! The values are those of the spec: `SendStatus` for messages; for calls and voicemail `pending`, `completed`, `failed`
//! and `voicemail`, as in the rules of the `OutboundMessage` and `InboundMessage` events. The documentation of
//! `PUT /conversations/messages/{messageId}/status` lists the values without transitions. The transitions are those of the
//! sandbox: a status only moves forward, and a delivered message can still fail, because a carrier or mail server may
//! report a failure later. The sandbox also has `scheduled`, for a message that is sent later.

use std::fmt::Display;
use std::ops::Deref;

use serde::Deserialize;

use super::{Message, MessageDirection, SCHEDULED, StatusChange, is_call, is_phone, is_voicemail};

/// Pairs of a status and the statuses that may follow it.
type Transitions = &'static [(&'static str, &'static [&'static str])];

const OF_MESSAGES: Transitions = &[
    // The clock of the sandbox ends it.
    (SCHEDULED, &[]),
    ("pending", &["delivered", "read", "failed"]),
    ("delivered", &["read", "failed"]),
    ("read", &[]),
    ("failed", &[]),
];

const OF_CALLS: Transitions = &[
    ("pending", &["completed", "voicemail", "failed"]),
    ("completed", &[]),
    ("voicemail", &[]),
    ("failed", &[]),
];

/// A status update of a message.
///
/// ```
/// use highlevel_sandbox::StatusUpdate;
///
/// let failed = StatusUpdate::new("failed").error("the number is not in service");
/// let answered = StatusUpdate::call("completed");
/// # let _ = (failed, answered);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct StatusUpdate {
    /// The new status. Optional for calls, where it is derived from `call_status`.
    #[serde(default)]
    pub status: Option<String>,
    /// The result of a call: `completed`, `busy`, `no-answer`, …
    #[serde(default)]
    pub call_status: Option<String>,
    /// The reason of a failure.
    #[serde(default)]
    pub error: Option<String>,
}

impl StatusUpdate {
    /// Creates an update to a status: `delivered`, `read`, `failed`, …
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: Some(status.into()), ..Self::default() }
    }

    /// Creates an update to the result of a call: `completed`, `answered`, `busy`, `no-answer`, `failed`, `canceled` or
    /// `voicemail`.
    pub fn call(call_status: impl Into<String>) -> Self {
        Self { call_status: Some(call_status.into()), ..Self::default() }
    }

    /// Sets the reason of a failure.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}

impl<R, S: Clone + From<String> + Deref<Target = str> + Display> Message<R, S> {
    /// Returns the message with an updated status, or unchanged if it already has the status.
    ///
    /// # Errors
    ///
    /// Returns the reason if the status or the transition is invalid.
    pub(crate) fn with_status(mut self, update: StatusUpdate, at: String) -> Result<Self, String> {
        let StatusUpdate { status, call_status, error } = update;
        if call_status.is_some() && !is_phone(&self.channel) {
            return Err(format!(
                "the message {} is not a call, so it has no callStatus; set status instead",
                self.id
            ));
        }
        if let Some(unknown) = call_status.as_deref().filter(|status| !CALL_STATUSES.contains(status)) {
            return Err(format!(
                "callStatus: unknown value {unknown:?}; expected one of {}",
                CALL_STATUSES.join(", ")
            ));
        }
        let status = match (status, &call_status) {
            (Some(status), _) => status,
            (None, Some(call)) => status_of_call(self.direction, &self.channel, Some(call)).to_owned(),
            (None, None) => return Err("status is missing; for a call, callStatus is sufficient".to_owned()),
        };
        if *status == *self.status {
            return Ok(self);
        }
        let transitions = transitions(&self.channel);
        let next = transitions.iter().find(|(from, _)| **from == *self.status).map_or(&[][..], |(_, to)| to);
        if !next.contains(&status.as_str()) {
            let Self { id, status: current, .. } = &self;
            let allowed = if &**current == SCHEDULED {
                "advance the clock to send it, or cancel it".to_owned()
            } else if next.is_empty() {
                format!("{current} is final")
            } else {
                format!("expected one of {}", next.join(", "))
            };
            return Err(format!("the message {id} cannot change from {current} to {status:?}; {allowed}"));
        }
        let status = S::from(status);
        self.history.push(StatusChange { status: status.clone(), at: at.into(), error: error.map(S::from) });
        self.status = status;
        if let Some(call_status) = call_status {
            self.call_status = Some(call_status.into());
        }
        Ok(self)
    }
}

/// The values of `callStatus` in the spec.
const CALL_STATUSES: &[&str] =
    &["pending", "completed", "answered", "busy", "no-answer", "failed", "canceled", "voicemail"];

impl Message {
    /// Returns a scheduled message as it is sent: with the status that its request asked for, and the time it was due.
    pub(crate) fn sent(mut self, status: String, due: String, now: String) -> Self {
        self.history.push(StatusChange { status: status.clone(), at: now, error: None });
        self.status = status;
        self.date_added = due;
        self
    }
}

/// Returns the values that a message can be updated to: call statuses for a call, otherwise statuses.
pub(crate) fn next_statuses<R, S: Deref<Target = str>>(message: &Message<R, S>) -> Vec<&'static str> {
    let transitions = transitions(&message.channel);
    let next = transitions.iter().find(|(from, _)| **from == *message.status).map_or(&[][..], |(_, to)| to);
    if is_call(&message.channel) && !next.is_empty() {
        return CALL_STATUSES.iter().copied().filter(|status| *status != "pending").collect();
    }
    next.to_vec()
}

/// Returns the message status of a call. Voicemail is `completed` for an outbound call and `voicemail` for an inbound one.
pub(crate) fn status_of_call(
    direction: MessageDirection,
    channel: &str,
    call_status: Option<&str>,
) -> &'static str {
    match (call_status, direction) {
        _ if is_voicemail(channel) => "completed",
        (Some("voicemail"), MessageDirection::Inbound) => "voicemail",
        (Some("completed" | "answered" | "voicemail"), _) => "completed",
        (Some("busy" | "no-answer" | "failed" | "canceled"), _) => "failed",
        // The result of the call is unknown.
        _ => "pending",
    }
}

/// Returns all statuses of a channel.
pub(super) fn statuses(channel: &str) -> Vec<&'static str> {
    transitions(channel).iter().map(|(status, _)| *status).collect()
}

fn transitions(channel: &str) -> Transitions {
    if is_phone(channel) { OF_CALLS } else { OF_MESSAGES }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(channel: &str, direction: &str, status: &str) -> Message {
        serde_json::from_value(json!({
            "id": "m", "contactId": "c", "conversationId": "v", "direction": direction, "channel": channel,
            "dateAdded": "2026-01-31T09:30:00Z", "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_status_only_moves_forward() {
        let allowed = [
            ("SMS", "pending", "delivered"),
            ("SMS", "pending", "read"),
            ("SMS", "pending", "failed"),
            ("Email", "delivered", "read"),
            ("Email", "delivered", "failed"),
            ("Call", "pending", "completed"),
            ("Call", "pending", "voicemail"),
            ("IVR_Call", "pending", "failed"),
        ];
        let targets = ["pending", "delivered", "read", "failed", "completed", "voicemail", "sent", ""];
        for channel in ["SMS", "Email", "Call", "IVR_Call"] {
            for from in statuses(channel) {
                for to in targets {
                    let phone = |channel: &str| channel.ends_with("Call");
                    let expected = from == to
                        || allowed
                            .iter()
                            .any(|(each, f, t)| phone(each) == phone(channel) && (*f, *t) == (from, to));
                    let changed = message(channel, "outbound", from)
                        .with_status(StatusUpdate::new(to), "now".to_owned());
                    assert_eq!(changed.is_ok(), expected, "{channel}: {from} -> {to}: {changed:?}");
                    let Ok(changed) = changed else { continue };
                    assert_eq!(changed.status, to);
                    assert_eq!(changed.history.len(), usize::from(from != to));
                }
            }
        }
    }

    #[test]
    fn all_offered_statuses_are_accepted() {
        for (channel, from, count) in [
            ("SMS", "pending", 3),
            ("Email", "delivered", 2),
            ("SMS", "failed", 0),
            ("Call", "pending", 7),
            ("IVR_Call", "completed", 0),
            ("Campaign_VoiceMail", "pending", 3),
        ] {
            let message = message(channel, "outbound", from);
            let next = next_statuses(&message);
            assert_eq!(next.len(), count, "{channel} {from}: {next:?}");
            for value in next {
                let is_call = channel.ends_with("_Call") || channel == "Call";
                let update = if is_call { StatusUpdate::call(value) } else { StatusUpdate::new(value) };
                let changed = message.clone().with_status(update, String::new()).unwrap();
                assert_ne!(changed.status, from, "{channel}: {value}");
            }
        }
    }

    #[test]
    fn the_call_status_determines_the_status() {
        let cases = [
            ("outbound", "voicemail", "completed"),
            ("inbound", "voicemail", "voicemail"),
            ("inbound", "answered", "completed"),
            ("outbound", "busy", "failed"),
        ];
        for (direction, call, status) in cases {
            let changed =
                message("Call", direction, "pending").with_status(StatusUpdate::call(call), "now".to_owned());
            let changed = changed.unwrap();
            assert_eq!((&*changed.status, changed.call_status.as_deref()), (status, Some(call)));
        }
        let cases = [
            (
                StatusUpdate::call("rang"),
                "callStatus: unknown value \"rang\"; expected one of pending, completed",
            ),
            (StatusUpdate::default(), "status is missing"),
            (
                StatusUpdate::new("read"),
                "the message m cannot change from pending to \"read\"; expected one of completed, voicemail, failed",
            ),
        ];
        for (update, message_start) in cases {
            let error = message("Call", "inbound", "pending").with_status(update, String::new()).unwrap_err();
            assert!(error.starts_with(message_start), "{error}");
        }
        let error =
            message("SMS", "inbound", "pending").with_status(StatusUpdate::call("busy"), String::new());
        assert_eq!(
            error.unwrap_err(),
            "the message m is not a call, so it has no callStatus; set status instead"
        );
    }
}
