//! The list of conversations: one row per contact, the most recent activity first.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels;
use crate::inspector::filter::Filter;
use crate::inspector::format::{self, Time};
use crate::json_fields;
use crate::model::{Contact, MessageDirection, Model, StoredMessage, is_email};
use crate::search_term::SearchTerm;

/// The number of avatar colours.
const TONES: u32 = 6;

/// A conversation in the list.
pub(super) struct Row {
    pub(super) id: String,
    /// The path relative to the inspector.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// The newest matching message, on one line.
    pub(super) last: String,
    pub(super) channel: String,
    pub(super) was_sent: bool,
    pub(super) at: Time,
    /// `true` if the message shown has failed.
    pub(super) has_failed: bool,
    pub(super) is_open: bool,
}

/// The initials of a contact and their colour.
pub(in crate::inspector) struct Avatar {
    pub(in crate::inspector) letters: String,
    pub(in crate::inspector) tone: u32,
}

/// Returns the matching rows, and `true` if there are more.
pub(super) fn rows(model: &Model, filter: &Filter, open: &str) -> (Vec<Row>, bool) {
    let search = Search::new(filter);
    let silent = model.contacts().filter(|contact| {
        !search.is_for_messages()
            && model.count_with(&contact.id) == 0
            && search.is_about(contact)
            && search.is_with(contact)
    });
    let silent = silent.map(|contact| (contact, None));
    let talking: Box<dyn Iterator<Item = _>> = if search.is_for_messages() || !filter.text.is_empty() {
        Box::new(found(model, &search))
    } else {
        Box::new(model.newest_by_contact().filter(|(contact, _)| search.is_with(contact)))
    };
    let mut all = talking.map(|(contact, last)| (contact, Some(last))).chain(silent);
    let rows = all.by_ref().take(filter.rows);
    let rows = rows.map(|(contact, last)| row(contact, last, open)).collect();
    (rows, all.next().is_some())
}

/// Returns the conversations with a matching message, each with the newest one. Scans all messages.
fn found<'w>(
    model: &'w Model,
    search: &Search<'_>,
) -> impl Iterator<Item = (&'w Contact, &'w Arc<StoredMessage>)> {
    // Per contact: the contact and `true` if the search matches the contact itself. `None` once a row was returned.
    let mut contacts: HashMap<&str, Option<(&Contact, bool)>> = HashMap::new();
    model.messages().rev().filter_map(move |message| {
        let known = contacts.entry(&*message.contact_id).or_insert_with(|| {
            let contact = model.contact(&message.contact_id).filter(|contact| search.is_with(contact))?;
            Some((contact, search.is_about(contact)))
        });
        let found = known.take_if(|(_, is_wanted)| search.fits(*is_wanted, message));
        found.map(|(contact, _)| (contact, message))
    })
}

fn row(contact: &Contact, last: Option<&Arc<StoredMessage>>, open: &str) -> Row {
    Row {
        id: contact.id.clone(),
        path: labels::path(&contact.id),
        name: format::start(labels::name(contact), labels::NAME),
        avatar: Avatar::of(contact),
        last: last.map(|message| labels::line(&message.parsed())).unwrap_or_default(),
        channel: last.map(|message| message.channel.to_string()).unwrap_or_default(),
        was_sent: last.is_some_and(|message| message.direction == MessageDirection::Outbound),
        at: last.map(|message| Time::from(message.date_added.to_string())).unwrap_or_default(),
        has_failed: last.is_some_and(|message| message.has_failed()),
        is_open: contact.id == open,
    }
}

impl Avatar {
    pub(in crate::inspector) fn of(contact: &Contact) -> Self {
        let tone = contact.id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Self { letters: labels::initials(labels::name(contact)), tone: tone % TONES }
    }
}

/// A filter, prepared for matching many messages.
pub(super) struct Search<'f> {
    filter: &'f Filter,
    text: SearchTerm,
    contact: SearchTerm,
}

impl<'f> Search<'f> {
    pub(super) fn new(filter: &'f Filter) -> Self {
        Self { filter, text: SearchTerm::new(&filter.text), contact: SearchTerm::new(&filter.contact) }
    }

    /// Returns `true` if the filter has criteria that only messages can match.
    fn is_for_messages(&self) -> bool {
        !self.filter.channel.is_empty() || !self.filter.status.is_empty() || self.filter.failures
    }

    /// Returns `true` if all messages of a contact match.
    pub(super) fn is_for_all(&self, is_wanted: bool) -> bool {
        is_wanted && !self.is_for_messages()
    }

    /// Returns `true` if the search text matches the contact.
    pub(super) fn is_about(&self, contact: &Contact) -> bool {
        facts(contact).any(|fact| self.text.is_in(fact))
    }

    /// Returns `true` if the contact filter matches the contact.
    fn is_with(&self, contact: &Contact) -> bool {
        facts(contact).any(|fact| self.contact.is_in(fact))
    }

    /// Returns `true` if a message matches. If its contact matches the text, the text of the message is irrelevant.
    pub(super) fn fits(&self, is_wanted: bool, message: &StoredMessage) -> bool {
        let filter = self.filter;
        let status = || {
            filter.has_status(&message.status)
                || message.call_status.as_deref().is_some_and(|status| filter.has_status(status))
        };
        (filter.channel.is_empty() || filter.channel.eq_ignore_ascii_case(&message.channel))
            && status()
            && (!filter.failures || message.has_failed())
            && (is_wanted || self.has_text(message))
    }

    fn has_text(&self, message: &StoredMessage) -> bool {
        const FIELDS: [&str; 6] = ["message", "subject", "html", "emailFrom", "emailTo", "attachments"];
        let request = message.request.as_str();
        let email = message.email_message_id.as_deref().filter(|_| is_email(&message.channel));
        self.text.is_in(&message.id)
            || email.is_some_and(|id| self.text.is_in(id))
            // If the JSON has no escapes, the text appears in it unchanged, so most messages need not be parsed.
            || ((request.contains('\\') || self.text.is_in(request))
                && json_fields::texts(request.as_bytes(), &FIELDS).iter().any(|(_, text)| self.text.is_in(text)))
    }
}

fn facts(contact: &Contact) -> impl Iterator<Item = &str> {
    contact
        .name
        .as_deref()
        .into_iter()
        .chain(contact.phones())
        .chain(contact.emails())
        .chain([contact.id.as_str()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::{StoredSnapshot, seed};

    fn model() -> Model {
        let mut snapshot: StoredSnapshot = seed();
        let ada = "abc123def456";
        let grace = "ve9EPM428h8vShlRW1KT";
        let messages = [
            ("m1", ada, "ABC12h2F6uBrIkfXYazb", "SMS", "failed", json!({ "message": "First" })),
            ("m2", grace, grace, "Email", "delivered", json!({ "subject": "Lunch", "html": "<b>Soup</b>" })),
            ("m3", ada, "ABC12h2F6uBrIkfXYazb", "Call", "completed", json!({ "call": { "duration": 60 } })),
        ];
        for (id, contact, conversation, channel, status, request) in messages {
            let message = json!({
                "id": id, "contactId": contact, "conversationId": conversation, "direction": "outbound",
                "channel": channel, "dateAdded": "2026-01-31T09:30:00Z", "status": status, "request": request,
            });
            snapshot.messages.push(serde_json::from_value(message).unwrap());
        }
        Model::try_from(snapshot).unwrap()
    }

    #[test]
    fn the_newest_activity_is_first_and_the_search_finds() {
        let model = model();
        let cases = [
            ("", "Ada: Call, completed, 1:00|Grace: Lunch|Alan: "),
            ("text=grace", "Grace: Lunch"),
            ("text=GRACE@example", "Grace: Lunch"),
            ("text=1212", "Alan: "),
            ("text=abc123", "Ada: Call, completed, 1:00"),
            ("text=first", "Ada: First !"),
            ("text=soup", "Grace: Lunch"),
            ("text=m3", "Ada: Call, completed, 1:00"),
            ("text=nowhere", ""),
            ("contact=Ala", "Alan: "),
            ("contact=Ada&text=lunch", ""),
            ("channel=SMS", "Ada: First !"),
            ("channel=sms", "Ada: First !"),
            ("channel=SMS&text=Ada", "Ada: First !"),
            ("channel=Email&text=Ada", ""),
            ("status=delivered", "Grace: Lunch"),
            ("failures=1", "Ada: First !"),
        ];
        for (query, expected) in cases {
            let (rows, more) = rows(&model, &Filter::parse(query), "");
            let mark = |row: &Row| if row.has_failed { " !" } else { "" };
            let shown: Vec<_> =
                rows.iter().map(|row| format!("{}: {}{}", row.name, row.last, mark(row))).collect();
            assert_eq!(shown.join("|"), expected, "{query}");
            assert!(!more, "{query}");
        }
    }

    #[test]
    fn there_is_more_than_is_shown() {
        let (rows, more) = rows(&model(), &Filter { rows: 2, ..Filter::default() }, "abc123def456");
        assert_eq!((rows.len(), more), (2, true));
        assert!(rows[0].is_open && !rows[1].is_open);
    }
}
