//! The decision after a look at an unknown message: a pure function of what the look has found.
//!
//! No look leads back to pending. A message that was not found may still be accepted: the request may be on its way, and
//! HighLevel may be processing it.

use std::time::{Duration, SystemTime};

use highlevel::{Examined, MessageId, Timestamp};
use serde_json::{Value, json};

/// A look whose message may belong to an attempt in progress is repeated after this time at the latest: the receipt of the
/// attempt decides.
const IN_PROGRESS: Duration = Duration::from_secs(15);

/// The result of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookResult {
    /// The message is proven to be that of the attempt, and belongs to no other message of the outbox.
    Sent(MessageId),
    /// A message was found that may belong to an attempt in progress.
    InProgress,
    NotFound,
    /// Messages were found, but none is proven to be that of the attempt.
    Ambiguous(Vec<MessageId>),
}

/// The result of reading back the messages of the contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    Read {
        examined: Examined,
        /// `false` if there were more messages than are examined.
        is_complete: bool,
    },
    /// The messages could not be read.
    Failed(String),
}

impl Reading {
    /// Returns `false` if messages exist that were not read.
    pub(crate) fn is_complete(&self) -> bool {
        // One that failed adds nothing to the events.
        !matches!(self, Self::Read { is_complete: false, .. })
    }

    fn to_json(&self) -> Value {
        let time = |time: SystemTime| Timestamp::from(time).to_string();
        match self {
            Self::Read { examined, .. } => json!({
                "conversations": examined.conversations.len(),
                "messages": examined.messages,
                "since": time(examined.since),
                "until": time(examined.until),
            }),
            Self::Failed(text) => json!({ "failed": text }),
        }
    }
}

/// The next step for an unknown message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookDecision {
    /// It was sent.
    Sent,
    /// It is still unknown, and the look is repeated.
    Repeat,
    /// It is still unknown.
    Unknown {
        /// The time until the next look, or `None` after the last one.
        next: Option<Duration>,
        /// A person has to decide.
        is_for_desk: bool,
    },
}

/// The times between looks, and whether they read back from the API.
#[derive(Debug, Clone)]
pub(crate) struct LookSchedule {
    pub(crate) pauses: Vec<Duration>,
    pub(crate) reads_back: bool,
}

impl LookSchedule {
    /// Returns the number of looks after which a look reads back: the second one, because events are usually faster, and
    /// always the last one.
    pub(crate) fn reads_from(&self) -> Option<i32> {
        self.reads_back.then_some(i32::from(!self.pauses.is_empty()))
    }

    pub(crate) fn decide(&self, result: &LookResult, reading: Option<&Reading>, look: usize) -> LookDecision {
        let next = self.pauses.get(look).copied();
        match result {
            LookResult::Sent(_) => LookDecision::Sent,
            // The messages that were read are stored as evidence: the next look compares them without another read.
            LookResult::InProgress if reading.is_some() => LookDecision::Unknown {
                next: Some(next.unwrap_or(IN_PROGRESS).min(IN_PROGRESS)),
                is_for_desk: false,
            },
            LookResult::InProgress => LookDecision::Repeat,
            LookResult::NotFound => LookDecision::Unknown { next, is_for_desk: next.is_none() },
            // Later looks may still decide: the other message may get its receipt.
            LookResult::Ambiguous(_) => {
                LookDecision::Unknown { next, is_for_desk: next.is_none() || reading.is_some() }
            }
        }
    }
}

impl LookResult {
    /// Returns what was looked at and found, for the desk and the history.
    pub(crate) fn to_json(&self, reading: Option<&Reading>) -> Value {
        let mut json = match self {
            Self::Sent(message) => json!({ "result": "sent", "message": message.as_str() }),
            Self::InProgress => json!({ "result": "may be that of an attempt in progress" }),
            Self::NotFound => json!({ "result": "not found" }),
            Self::Ambiguous(ids) => {
                json!({ "result": "ambiguous", "messages": ids.iter().map(MessageId::as_str).collect::<Vec<_>>() })
            }
        };
        if let Some(reading) = reading {
            json["read"] = reading.to_json();
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(pauses: &[Duration]) -> LookSchedule {
        LookSchedule { pauses: pauses.to_vec(), reads_back: true }
    }

    #[test]
    fn the_second_and_the_last_look_read_back() {
        assert_eq!(schedule(&[]).reads_from(), Some(0));
        assert_eq!(schedule(&[SECOND]).reads_from(), Some(1));
        assert_eq!(LookSchedule { pauses: Vec::new(), reads_back: false }.reads_from(), None);
    }

    #[test]
    fn only_proof_ends_the_doubt_and_the_last_look_leads_to_the_desk() {
        let id = || MessageId::from("m1");
        let failed = Reading::Failed("no connection".to_owned());
        let results = [
            LookResult::Sent(id()),
            LookResult::InProgress,
            LookResult::NotFound,
            LookResult::Ambiguous(vec![id()]),
            LookResult::Ambiguous(Vec::new()),
        ];
        let schedule = schedule(&[SECOND, 60 * SECOND]);
        for result in results {
            for reading in [None, Some(&failed)] {
                for look in 0..4 {
                    let decision = schedule.decide(&result, reading, look);
                    let context = format!("{result:?}, {reading:?}, look {look}: {decision:?}");
                    let is_proven = matches!(result, LookResult::Sent(_));
                    assert_eq!(decision == LookDecision::Sent, is_proven, "{context}");
                    let LookDecision::Unknown { next, is_for_desk } = decision else { continue };
                    // Without another look, a person decides.
                    assert!(next.is_some() || is_for_desk, "{context}");
                    if result == LookResult::InProgress {
                        assert!(!is_for_desk && next.is_some_and(|next| next <= IN_PROGRESS), "{context}");
                    } else {
                        assert_eq!(next, schedule.pauses.get(look).copied(), "{context}");
                    }
                    if result == LookResult::NotFound {
                        assert_eq!(is_for_desk, look >= 2, "{context}");
                    }
                }
            }
        }
    }

    #[test]
    fn messages_that_were_read_and_are_ambiguous_get_to_the_desk_at_once() {
        let (result, failed) = (LookResult::Ambiguous(Vec::new()), Reading::Failed(String::new()));
        let decide = |reading| schedule(&[SECOND, SECOND]).decide(&result, reading, 1);
        assert_eq!(decide(None), LookDecision::Unknown { next: Some(SECOND), is_for_desk: false });
        assert_eq!(decide(Some(&failed)), LookDecision::Unknown { next: Some(SECOND), is_for_desk: true });
    }
}
