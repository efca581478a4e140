//! The statuses of a message, and which may follow which.
//!
//! The words are those of the specification: `SendStatus` for messages; for calls and voicemail `pending`, `completed`,
//! `failed` and `voicemail`, as the rules of the `OutboundMessage` and `InboundMessage` events have them. The
//! documentation of `PUT /conversations/messages/{messageId}/status` lists the words too, and says nothing about their
//! order. So the order is the sandbox's own: a message goes forward only, and a carrier or a bounced email may still
//! report a failure of what was delivered.

use serde::Deserialize;

use super::{Message, MessageDirection, StatusChange, is_call, is_phone, is_voicemail};

/// A status, and those that may come after it.
type Transitions = &'static [(&'static str, &'static [&'static str])];

const OF_MESSAGES: Transitions = &[
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

/// How far a message has come now.
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
    /// The new status. Of a call it may be left out, and follows from `call_status`.
    #[serde(default)]
    pub status: Option<String>,
    /// How a call went: `completed`, `busy`, `no-answer`, …
    #[serde(default)]
    pub call_status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
}

impl StatusUpdate {
    /// A new status: `delivered`, `read`, `failed`, …
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: Some(status.into()), ..Self::default() }
    }

    /// How a call went: `completed`, `answered`, `busy`, `no-answer`, `failed`, `canceled` or `voicemail`.
    pub fn call(call_status: impl Into<String>) -> Self {
        Self { call_status: Some(call_status.into()), ..Self::default() }
    }

    /// Says why it failed.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}

impl<R> Message<R> {
    /// The message with another status. The same one again changes nothing.
    pub(crate) fn with_status(mut self, update: StatusUpdate, at: String) -> Result<Self, String> {
        let StatusUpdate { status, call_status, error } = update;
        if call_status.is_some() && !is_phone(&self.channel) {
            return Err(format!("the message {} is no call, and has no callStatus", self.id));
        }
        if let Some(unknown) = call_status.as_deref().filter(|status| !CALL_STATUSES.contains(status)) {
            return Err(format!(
                "callStatus: there is no {unknown:?}; there are {}",
                CALL_STATUSES.join(", ")
            ));
        }
        let status = match (status, &call_status) {
            (Some(status), _) => status,
            (None, Some(call)) => of_call(self.direction, &self.channel, Some(call)).to_owned(),
            (None, None) => return Err("status is missing; of a call, callStatus will do".to_owned()),
        };
        if status == self.status {
            return Ok(self);
        }
        let transitions = transitions(&self.channel);
        let next = transitions.iter().find(|(from, _)| *from == self.status).map_or(&[][..], |(_, to)| to);
        if !next.contains(&status.as_str()) {
            let next = if next.is_empty() { "nothing".to_owned() } else { next.join(", ") };
            let Self { id, status: now, .. } = &self;
            return Err(format!("the message {id} is {now}, after which comes {next}, not {status:?}"));
        }
        self.history.push(StatusChange { status: status.clone(), at, error });
        self.status = status;
        if call_status.is_some() {
            self.call_status = call_status;
        }
        Ok(self)
    }
}

/// As the specification has them.
const CALL_STATUSES: &[&str] =
    &["pending", "completed", "answered", "busy", "no-answer", "failed", "canceled", "voicemail"];

/// What may come after the status of a message: statuses, or of a call, how it may have gone.
pub(crate) fn next_statuses<R>(message: &Message<R>) -> Vec<&'static str> {
    let transitions = transitions(&message.channel);
    let next = transitions.iter().find(|(from, _)| *from == message.status).map_or(&[][..], |(_, to)| to);
    if is_call(&message.channel) && !next.is_empty() {
        return CALL_STATUSES.iter().copied().filter(|status| *status != "pending").collect();
    }
    next.to_vec()
}

/// The status of a call as a message. Voicemail is `completed` when the call went out and `voicemail` when it came in.
pub(crate) fn of_call(direction: MessageDirection, channel: &str, call_status: Option<&str>) -> &'static str {
    match (call_status, direction) {
        _ if is_voicemail(channel) => "completed",
        (Some("voicemail"), MessageDirection::Inbound) => "voicemail",
        (Some("completed" | "answered" | "voicemail"), _) => "completed",
        (Some("busy" | "no-answer" | "failed" | "canceled"), _) => "failed",
        // The outcome is unknown.
        _ => "pending",
    }
}

/// All that a message of a channel can have.
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
    fn a_message_only_goes_forward() {
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
        let words = ["pending", "delivered", "read", "failed", "completed", "voicemail", "sent", ""];
        for channel in ["SMS", "Email", "Call", "IVR_Call"] {
            for from in statuses(channel) {
                for to in words {
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
    fn what_may_follow_is_accepted() {
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
            for word in next {
                let is_call = channel.ends_with("_Call") || channel == "Call";
                let update = if is_call { StatusUpdate::call(word) } else { StatusUpdate::new(word) };
                let changed = message.clone().with_status(update, String::new()).unwrap();
                assert_ne!(changed.status, from, "{channel}: {word}");
            }
        }
    }

    #[test]
    fn how_a_call_went_decides_about_its_status() {
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
            (StatusUpdate::call("rang"), "callStatus: there is no \"rang\"; there are pending, completed"),
            (StatusUpdate::default(), "status is missing"),
            (
                StatusUpdate::new("read"),
                "the message m is pending, after which comes completed, voicemail, failed",
            ),
        ];
        for (update, words) in cases {
            let error = message("Call", "inbound", "pending").with_status(update, String::new()).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        let error =
            message("SMS", "inbound", "pending").with_status(StatusUpdate::call("busy"), String::new());
        assert_eq!(error.unwrap_err(), "the message m is no call, and has no callStatus");
    }
}
