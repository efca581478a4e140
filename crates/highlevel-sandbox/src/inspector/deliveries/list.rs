//! The list of deliveries and its search.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::countdown::Next;
use crate::inspector::filter::Filter;
use crate::inspector::format::{self, Time};
use crate::model::{Contact, EventType, event_types};
use crate::search_term::SearchTerm;
use crate::webhook::{AttemptCause, DeliveryAttempt, DeliveryOutcome, DeliveryState, Summary, time_text};

/// The maximum length of a message preview in characters.
const MOST_SAID: usize = 80;
/// The maximum length of the first line of a response in characters, and of the part that is searched for it in bytes.
const MOST_RESPONSE: usize = 160;
const MOST_READ: usize = 1024;

/// A delivery in the list.
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) link: String,
    pub(super) event: String,
    pub(super) badge: Badge,
    /// The tamper mode of the last attempt, and its result if it was a test.
    pub(super) tampered: Option<(&'static str, Option<String>)>,
    /// Host and path of the URL.
    pub(super) target: String,
    /// The beginning of the message text.
    pub(super) preview: String,
    /// The number of completed attempts.
    pub(super) attempts: u32,
    /// The number of attempts in progress or queued.
    pub(super) in_progress: u32,
    /// The status of the last response to a genuine attempt, or the reason why there was none.
    pub(super) status: Option<u16>,
    pub(super) reason: Option<String>,
    /// The beginning of the last response, if it is not 2xx.
    pub(super) response: Option<String>,
    pub(super) at: Time,
    pub(super) next: Option<Next>,
    pub(super) is_open: bool,
}

/// The label of a delivery state.
pub(super) struct Badge {
    pub(super) label: &'static str,
    /// The CSS class.
    pub(super) class: &'static str,
}

impl Badge {
    pub(super) fn of(state: DeliveryState) -> Self {
        let (label, class) = match state {
            DeliveryState::Pending => ("pending", "is-warn"),
            DeliveryState::Delivered => ("delivered", "is-good"),
            DeliveryState::GivenUp => ("failed", "is-bad"),
        };
        Self { label, class }
    }
}

impl Row {
    pub(super) fn new(summary: &Summary, link: String, is_open: bool, now: DateTime<Utc>) -> Self {
        let last = summary.last.as_deref();
        let tampered = last.and_then(|attempt| {
            let result =
                attempt.status().map_or_else(|| "no response".to_owned(), |status| status.to_string());
            Some((attempt.tamper_mode?.as_str(), is_test(attempt).then_some(result)))
        });
        let last = last.filter(|attempt| !is_test(attempt));
        let reason = last.and_then(|attempt| match &attempt.outcome {
            DeliveryOutcome::Failed { reason } => Some(reason.clone()),
            DeliveryOutcome::Responded { .. } => None,
        });
        Self {
            id: summary.id,
            link,
            event: summary.event.name.clone(),
            badge: Badge::of(summary.state),
            tampered,
            target: target(&summary.event.url).to_owned(),
            preview: preview(&summary.event.body),
            attempts: summary.ended,
            in_progress: summary.open,
            status: last.and_then(DeliveryAttempt::status),
            reason,
            response: last.and_then(first_line),
            at: time_text(summary.created_at).into(),
            next: summary.next.map(|at| Next::new(time_text(at), at - now)),
            is_open,
        }
    }
}

/// Returns `true` for a tampered attempt that a person requested. Its response says nothing about the delivery.
pub(super) fn is_test(attempt: &DeliveryAttempt) -> bool {
    attempt.tamper_mode.is_some() && attempt.cause != AttemptCause::Scheduled
}

/// Returns the first line of a response that is not 2xx.
fn first_line(attempt: &DeliveryAttempt) -> Option<String> {
    let DeliveryOutcome::Responded { status, body, .. } = &attempt.outcome else { return None };
    if (200..300).contains(status) {
        return None;
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST_READ)]);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(format::start(line, MOST_RESPONSE))
}

/// Returns host and path of a URL.
fn target(url: &str) -> &str {
    let url = url.strip_prefix("http://").unwrap_or(url);
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Returns the beginning of the text in a payload.
fn preview(payload: &[u8]) -> String {
    let words: Words = serde_json::from_slice(payload).unwrap_or_default();
    let words = [&words.subject, &words.body, &words.message].into_iter().find_map(Value::as_str);
    format::start(words.unwrap_or_default(), MOST_SAID)
}

/// A filter, prepared for matching many deliveries.
pub(super) struct Wanted<'a> {
    filter: &'a Filter,
    text: SearchTerm,
    /// The search text with JSON escapes, if that differs.
    escaped: Option<SearchTerm>,
    contact: SearchTerm,
    /// The IDs of the contacts whose name matches.
    contacts: HashSet<String>,
}

/// The fields of a payload that identify contact and channel. Each may have any type.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Facts {
    contact_id: Value,
    message_type: Value,
    message_type_string: Value,
    r#type: Value,
}

/// The text fields of a payload. Each may have any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    subject: Value,
    body: Value,
    message: Value,
}

impl<'a> Wanted<'a> {
    pub(super) fn new<'c>(filter: &'a Filter, contacts: impl Iterator<Item = &'c Contact>) -> Self {
        let escaped = Value::from(filter.text.as_str()).to_string();
        let escaped = escaped.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
        let contact = SearchTerm::new(&filter.contact);
        let named = |name: &Option<String>| name.as_ref().is_some_and(|name| contact.is_in(name));
        let contacts = contacts.filter(|each| !contact.is_empty() && named(&each.name));
        Self {
            text: SearchTerm::new(&filter.text),
            escaped: (escaped != filter.text).then(|| SearchTerm::new(escaped)),
            contacts: contacts.map(|each| each.id.clone()).collect(),
            contact,
            filter,
        }
    }

    pub(super) fn fits(&self, summary: &Summary) -> bool {
        (!self.filter.failures || is_failure(summary))
            && self.has_status(summary)
            && self.has_text(summary)
            && self.is_about(summary)
    }

    fn has_status(&self, summary: &Summary) -> bool {
        if self.filter.status.is_empty() {
            return true;
        }
        let answer = summary
            .last
            .as_ref()
            .map(|last| last.status().map_or_else(|| "no response".to_owned(), |status| status.to_string()));
        [summary.state.as_str(), Badge::of(summary.state).label]
            .into_iter()
            .chain(answer.as_deref())
            .any(|status| self.filter.has_status(status))
    }

    fn has_text(&self, summary: &Summary) -> bool {
        if self.text.is_empty() {
            return true;
        }
        let event = &summary.event;
        summary.id.to_string() == self.filter.text
            || [&event.name, &event.url, &event.webhook_id].into_iter().any(|text| self.text.is_in(text))
            || event.message_id.as_ref().is_some_and(|id| self.text.is_in(id))
            || self.text.is_in_bytes(&event.body)
            || self.escaped.as_ref().is_some_and(|escaped| escaped.is_in_bytes(&event.body))
    }

    /// Returns `true` if contact and channel match.
    fn is_about(&self, summary: &Summary) -> bool {
        if self.filter.contact.is_empty() && self.filter.channel.is_empty() {
            return true;
        }
        let facts: Facts = serde_json::from_slice(&summary.event.body).unwrap_or_default();
        let contact = facts.contact_id.as_str().unwrap_or_default();
        (self.contact.is_in(contact) || self.contacts.contains(contact))
            && (self.filter.channel.is_empty() || facts.is_on(&self.filter.channel))
    }
}

impl Facts {
    /// Returns `true` if an event belongs to a channel. Provider events contain it as `type`. Messages that go through a
    /// provider have a different `messageType`.
    fn is_on(&self, channel: &str) -> bool {
        let text = self.message_type_string.as_str();
        let is_named = |event_type: EventType| event_type.text.is_some() && event_type.text == text;
        let longer = text.and_then(|text| text.strip_prefix("TYPE_"));
        event_types(channel).any(is_named)
            || [self.message_type.as_str(), self.r#type.as_str(), longer]
                .into_iter()
                .flatten()
                .any(|name| name.eq_ignore_ascii_case(channel))
    }
}

/// Returns `true` if all attempts failed or the last one was rejected.
fn is_failure(summary: &Summary) -> bool {
    let refused = |status: u16| !(200..300).contains(&status);
    summary.state == DeliveryState::GivenUp
        || summary
            .last
            .as_ref()
            .filter(|last| !is_test(last))
            .is_some_and(|last| last.status().is_none_or(refused))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::webhook::{AttemptCause, OutgoingEvent};

    fn summary(state: DeliveryState, outcome: Option<DeliveryOutcome>, payload: &str) -> Summary {
        let body: Arc<[u8]> = payload.as_bytes().into();
        let event = OutgoingEvent {
            name: "OutboundMessage".to_owned(),
            webhook_id: "b1d8f4b4-0c5e".to_owned(),
            message_id: Some("Message1".to_owned()),
            url: "http://127.0.0.1:3000/hooks?a=1".to_owned(),
            body: Arc::clone(&body),
        };
        let last = outcome.map(|outcome| {
            Arc::new(DeliveryAttempt {
                delivery_id: 7,
                number: 1,
                cause: AttemptCause::Scheduled,
                tamper_mode: None,
                webhook_id: String::new(),
                event: String::new(),
                message_id: None,
                url: String::new(),
                started_at: String::new(),
                latency: Duration::ZERO,
                key_id: None,
                headers: vec![],
                body,
                outcome,
                next_attempt_at: None,
            })
        });
        Summary {
            id: 7,
            event: Arc::new(event),
            created_at: DateTime::UNIX_EPOCH,
            state,
            next: None,
            ended: 0,
            open: 0,
            last,
        }
    }

    fn answered(status: u16) -> DeliveryOutcome {
        DeliveryOutcome::Responded { status, headers: vec![], body: vec![] }
    }

    fn fits(query: &str, summary: &Summary) -> bool {
        let contacts = [Contact::new("contact1").name("Grace Hopper"), Contact::new("contact2")];
        Wanted::new(&Filter::parse(query), contacts.iter()).fits(summary)
    }

    #[test]
    fn a_search_finds_what_a_payload_says() {
        let payload = r#"{"type":"OutboundMessage","contactId":"contact1","messageType":"SMS","messageTypeString":"TYPE_SMS","body":"Say \"hi\",\nü"}"#;
        let sms = summary(DeliveryState::Delivered, Some(answered(200)), payload);
        let provider = summary(DeliveryState::Pending, None, r#"{"type":"Email","contactId":"contact2"}"#);
        let call = summary(
            DeliveryState::Pending,
            None,
            r#"{"messageType":5,"messageTypeString":"TYPE_INSTAGRAM"}"#,
        );
        let odd = summary(DeliveryState::Pending, None, "no JSON");
        let cases = [
            ("", [true, true, true, true]),
            ("text=outbound", [true, true, true, true]),
            ("text=127.0.0.1:3000", [true, true, true, true]),
            ("text=B1D8", [true, true, true, true]),
            ("text=message1", [true, true, true, true]),
            ("text=7", [true, true, true, true]),
            ("text=say+%22hi%22", [true, false, false, false]),
            ("text=%C3%9C", [true, false, false, false]),
            ("text=no+json", [false, false, false, true]),
            ("text=nowhere", [false, false, false, false]),
            ("contact=contact", [true, true, false, false]),
            ("contact=Hopper", [true, false, false, false]),
            ("channel=sms", [true, false, false, false]),
            ("channel=Email", [false, true, false, false]),
            ("channel=Instagram", [false, false, true, false]),
            ("channel=Email&contact=Hopper", [false, false, false, false]),
        ];
        for (query, expected) in cases {
            assert_eq!([&sms, &provider, &call, &odd].map(|each| fits(query, each)), expected, "{query}");
        }
    }

    #[test]
    fn a_search_includes_the_state_and_the_last_response() {
        use DeliveryState::{Delivered, GivenUp, Pending};
        let failed = DeliveryOutcome::Failed { reason: "refused".to_owned() };
        let cases = [
            (Pending, None, "pending", false),
            (Pending, Some(answered(500)), "pending 500 5xx 5", true),
            (Pending, Some(failed), "pending no+response", true),
            (Delivered, Some(answered(204)), "delivered 2xx 204", false),
            (Delivered, Some(answered(401)), "delivered 4xx 401", true),
            (GivenUp, Some(answered(302)), "givenUp failed 3xx 302", true),
            // The attempts are no longer stored.
            (GivenUp, None, "givenUp failed", true),
        ];
        let all = "pending delivered givenUp failed no+response 2xx 3xx 4xx 5xx 5 204 302 401 500";
        for (state, outcome, statuses, failure) in cases {
            let summary = summary(state, outcome, "{}");
            let found: Vec<&str> =
                all.split(' ').filter(|status| fits(&format!("status={status}"), &summary)).collect();
            let mut expected: Vec<&str> = statuses.split(' ').collect();
            expected.sort_by_key(|status| all.split(' ').position(|each| each == *status));
            assert_eq!(found, expected);
            assert_eq!(fits("failures=1", &summary), failure, "{statuses}");
        }
    }

    #[test]
    fn a_row_says_what_it_is_about() {
        let cases = [
            (r#"{"body":"Hello\nthere"}"#, "Hello there"),
            (r#"{"subject":"Order","body":"<p>Yes</p>"}"#, "Order"),
            (r#"{"message":"To a provider"}"#, "To a provider"),
            (r#"{"body":["odd"],"message":"then"}"#, "then"),
            (r#"{"type":"INSTALL"}"#, ""),
            ("no JSON", ""),
        ];
        for (payload, expected) in cases {
            assert_eq!(preview(payload.as_bytes()), expected);
        }
        assert_eq!(target("http://127.0.0.1:3000/hooks?a=1"), "127.0.0.1:3000/hooks");
    }
}
