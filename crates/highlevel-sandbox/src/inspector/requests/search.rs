//! The search in the list of requests.

use std::collections::HashSet;

use crate::engine::Engine;
use crate::inspector::filter::Filter;
use crate::json_fields;
use crate::ledger::RecordedRequest;
use crate::operation::Operation;
use crate::search_term::SearchTerm;

/// A filter, prepared for matching many requests. Bodies are parsed only if the filter requires it.
pub(super) struct Search<'f> {
    filter: &'f Filter,
    text: SearchTerm,
    contact: SearchTerm,
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
        Self { filter, text: SearchTerm::new(&filter.text), contact, contacts }
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
            && self.has_text(request)
            && self.is_about(request, contact_of)
    }

    fn has_text(&self, request: &RecordedRequest) -> bool {
        let words = [
            Some(request.path.as_str()),
            Some(request.id.as_str()),
            Some(request.method.as_str()),
            request.operation.map(Operation::id),
            request.message_id.as_deref(),
            request.fault.as_deref(),
            request.quirk,
        ];
        words.into_iter().flatten().any(|word| self.text.is_in(word))
            || self.text.is_in_bytes(&request.body)
            || self.text.is_in_bytes(&request.response)
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
            ..RecordedRequest::default()
        }
    }

    fn search(filter: &Filter, contacts: HashSet<String>) -> Search<'_> {
        let (text, contact) = (SearchTerm::new(&filter.text), SearchTerm::new(&filter.contact));
        Search { filter, text, contact, contacts }
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
