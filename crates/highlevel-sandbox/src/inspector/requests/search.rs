//! The search in the list of requests.

use std::collections::HashSet;

use crate::engine::Engine;
use crate::inspector::filter::{Filter, Period};
use crate::json_fields;
use crate::ledger::RecordedRequest;
use crate::operation::Operation;
use crate::search_term::SearchTerm;

/// A filter, prepared for matching many requests. Bodies are parsed only if the filter requires it.
pub(super) struct Search<'f> {
    filter: &'f Filter,
    period: Period,
    pub(super) text: SearchTerm,
    pub(super) contact: SearchTerm,
    /// The IDs of the contacts whose name matches.
    contacts: HashSet<String>,
}

impl<'f> Search<'f> {
    pub(super) fn new(state: &Engine, filter: &'f Filter) -> Self {
        let contact = SearchTerm::new(&filter.contact);
        let contacts = if contact.is_empty() {
            HashSet::new()
        } else {
            let model = state.model();
            let named =
                model.contacts().filter(|each| each.name.as_ref().is_some_and(|name| contact.is_in(name)));
            named.map(|each| each.id.clone()).collect()
        };
        let period = filter.period(state.clock.now());
        Self { filter, period, text: SearchTerm::new(&filter.text), contact, contacts }
    }

    /// Returns `true` if a request matches. `contact_of` returns the contact of a stored message.
    pub(super) fn fits(
        &self,
        request: &RecordedRequest,
        contact_of: impl FnOnce(&str) -> Option<String>,
    ) -> bool {
        let filter = self.filter;
        (!filter.failures || is_failure(request))
            && filter.has_status(&request.status.to_string())
            && self.period.contains(&request.received_at)
            && (filter.method.is_empty() || filter.method.eq_ignore_ascii_case(&request.method))
            && (filter.operation.is_empty()
                || request.operation.is_some_and(|operation| operation.id() == filter.operation))
            && filter.slower.is_none_or(|milliseconds| request.duration.as_millis() >= milliseconds.into())
            && self.has_text(request)
            && self.is_about(request, contact_of)
    }

    fn has_text(&self, request: &RecordedRequest) -> bool {
        self.text.is_empty() || self.place(request).is_some()
    }

    /// Returns the place of the text in a request, in words.
    pub(super) fn place(&self, request: &RecordedRequest) -> Option<&'static str> {
        let words = [
            ("in the path", Some(request.path.as_str())),
            ("in the request ID", Some(request.id.as_str())),
            ("in the method", Some(request.method.as_str())),
            ("in the operation", request.operation.map(Operation::id)),
            ("in the message ID", request.message_id.as_deref()),
            ("in the name of the fault", request.fault.as_deref()),
            ("in the name of the quirk", request.quirk),
        ];
        let word = words.into_iter().find(|(_, word)| word.is_some_and(|word| self.text.is_in(word)));
        word.map(|(place, _)| place)
            .or_else(|| self.text.is_in_bytes(&request.body).then_some("in the request body"))
            .or_else(|| self.text.is_in_bytes(&request.response).then_some("in the response body"))
    }

    /// Returns `true` if channel and contact match.
    fn is_about(&self, request: &RecordedRequest, contact_of: impl FnOnce(&str) -> Option<String>) -> bool {
        let Filter { channel, contact, .. } = self.filter;
        if channel.is_empty() && contact.is_empty() {
            return true;
        }
        let has_channel = channel.is_empty()
            || json_fields::text(&request.body, "type")
                .is_some_and(|found| found.eq_ignore_ascii_case(channel));
        has_channel
            && (contact.is_empty() || {
                let stored = || request.message_id.as_deref().and_then(contact_of);
                let found = json_fields::text(&request.body, "contactId").or_else(stored);
                found.is_some_and(|id| self.contact.is_in(&id) || self.contacts.contains(&id))
            })
    }
}

/// Returns `true` if the request was rejected or the client did not receive the full response.
pub(super) fn is_failure(request: &RecordedRequest) -> bool {
    request.status >= 400 || request.broken
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request() -> RecordedRequest {
        RecordedRequest {
            id: "7f3a-trace".to_owned(),
            method: "POST".to_owned(),
            path: "/conversations/messages?a=b".to_owned(),
            operation: Some(Operation::SendMessage),
            body: br#"{"type":"SMS","contactId":"abcDEF","message":"Guten Tag, Zo\u00eb"}"#.to_vec(),
            response: br#"{"messageId":"m1"}"#.to_vec(),
            message_id: Some("m1".to_owned()),
            status: 201,
            received_at: "2026-03-14T09:00:00.000Z".to_owned(),
            duration: Duration::from_millis(250),
            ..RecordedRequest::default()
        }
    }

    fn search(filter: &Filter, contacts: HashSet<String>) -> Search<'_> {
        let (text, contact) = (SearchTerm::new(&filter.text), SearchTerm::new(&filter.contact));
        let period = filter.period("2026-03-14T09:30:00Z".parse().unwrap());
        Search { filter, period, text, contact, contacts }
    }

    #[test]
    fn the_place_of_a_match_is_named() {
        let faulty = RecordedRequest { fault: Some("reset".to_owned()), ..request() };
        let cases = [
            ("MESSAGES?A", Some("in the path")),
            ("7f3a", Some("in the request ID")),
            ("post", Some("in the method")),
            ("sendmessage", Some("in the operation")),
            ("M1", Some("in the message ID")),
            ("reset", Some("in the name of the fault")),
            ("Guten", Some("in the request body")),
            ("messageid", Some("in the response body")),
            ("nowhere", None),
        ];
        for (text, expected) in cases {
            let filter = Filter { text: text.to_owned(), ..Filter::default() };
            assert_eq!(search(&filter, HashSet::new()).place(&faulty), expected, "{text}");
        }
    }

    #[test]
    fn requests_are_found_by_what_is_in_them() {
        let sent = request();
        let refused = RecordedRequest { status: 422, ..request() };
        let reset = RecordedRequest { broken: true, ..request() };
        let foreign = RecordedRequest { body: "{\"message\":\"Grüße\"}".as_bytes().to_vec(), ..request() };
        let no_json = RecordedRequest { body: b"\xffSMS".to_vec(), message_id: None, ..request() };
        let cases = [
            (&sent, "", true),
            (&sent, "text=guten+tag", true),
            (&sent, "text=TAG%2C", true),
            (&sent, "text=gute+nacht", false),
            (&sent, "text=7F3A", true),
            (&sent, "text=sendmessage", true),
            (&sent, "text=M1", true),
            (&sent, "text=messages?a", true),
            (&foreign, "text=GR%C3%9CSSE", false),
            (&foreign, "text=GR%C3%BC%C3%9Fe", true),
            (&sent, "contact=abcdef", true),
            (&sent, "contact=bcd", true),
            (&sent, "contact=other", false),
            (&foreign, "contact=stored", true),
            (&no_json, "contact=stored", false),
            (&sent, "channel=SMS", true),
            (&sent, "channel=Email", false),
            (&no_json, "channel=SMS", false),
            (&sent, "status=2xx", true),
            (&sent, "status=4xx", false),
            (&refused, "status=422", true),
            (&sent, "failures=1", false),
            (&refused, "failures=1", true),
            (&reset, "failures=1", true),
            (&refused, "failures=1&channel=Email", false),
            (&sent, "method=post", true),
            (&sent, "method=PUT", false),
            (&sent, "operation=sendMessage", true),
            (&sent, "operation=getMessage", false),
            (&sent, "slower=250", true),
            (&sent, "slower=251", false),
            (&sent, "last=1h", true),
            (&sent, "last=15m", false),
            (&sent, "from=2026-03-14T09:00&to=2026-03-14T09:00", true),
            (&sent, "to=2026-03-14T08:59", false),
        ];
        for (request, query, expected) in cases {
            let filter = Filter::parse(query);
            let search = search(&filter, HashSet::new());
            let found = search.fits(request, |id| (id == "m1").then(|| "Stored".to_owned()));
            assert_eq!(found, expected, "{query} {request:?}");
        }
        let filter = Filter::parse("contact=Ada");
        let search = search(&filter, HashSet::from(["abcDEF".to_owned()]));
        assert!(search.fits(&sent, |_| None));
    }
}
