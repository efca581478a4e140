//! The list: a row for each contact, the newest activity first.

use std::collections::HashMap;

use super::words;
use crate::inspector::Filter;
use crate::inspector::filter::contains;
use crate::inspector::format::Time;
use crate::world::{Contact, Direction, Message, World, is_email};

/// How many colours there are for contacts.
const TONES: u32 = 6;

/// A conversation in the list.
pub(super) struct Row {
    pub(super) id: String,
    /// Its address below that of the inspector.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// The newest message that fits, in one line.
    pub(super) last: String,
    pub(super) channel: String,
    pub(super) was_sent: bool,
    pub(super) at: Time,
    /// Whether something in the conversation failed.
    pub(super) has_failed: bool,
    pub(super) is_open: bool,
}

/// The letters that stand for a contact, and their colour.
pub(super) struct Avatar {
    pub(super) letters: String,
    pub(super) tone: u32,
}

/// What is known of a conversation after its messages were looked through, the newest first.
struct Seen<'a> {
    contact: &'a Contact,
    /// Whether the search is for the contact, whatever was written.
    is_wanted: bool,
    last: Option<&'a Message>,
    has_failed: bool,
}

/// The rows that fit, and whether there are more.
pub(super) fn rows(world: &World, filter: &Filter, open: &str) -> (Vec<Row>, bool) {
    let mut seen: HashMap<&str, Seen<'_>> = HashMap::new();
    let mut order: Vec<&str> = Vec::new();
    for message in world.messages().rev() {
        let Some(contact) = world.contact(&message.contact_id) else { continue };
        let conversation = seen.entry(&contact.id).or_insert_with(|| Seen {
            contact,
            is_wanted: is_about(filter, contact),
            last: None,
            has_failed: false,
        });
        conversation.has_failed |= has_failed(message);
        let fits = conversation.last.is_none() && is_with(filter, contact);
        if fits && fits_message(filter, conversation.is_wanted, message) {
            conversation.last = Some(message);
            order.push(&contact.id);
        }
    }
    let talking = order.iter().filter_map(|id| seen.get(id));
    let talking =
        talking.map(|conversation| (conversation.contact, conversation.last, conversation.has_failed));
    let silent = world.contacts().filter(|contact| {
        let any = filter.channel.is_empty() && filter.status.is_empty() && !filter.failures;
        any && !seen.contains_key(&*contact.id) && is_about(filter, contact) && is_with(filter, contact)
    });
    let mut all = talking.chain(silent.map(|contact| (contact, None, false)));
    let rows = all.by_ref().take(filter.rows);
    let rows = rows.map(|(contact, last, has_failed)| row(contact, last, has_failed, open)).collect();
    (rows, all.next().is_some())
}

fn row(contact: &Contact, last: Option<&Message>, has_failed: bool, open: &str) -> Row {
    Row {
        id: contact.id.clone(),
        path: words::path(&contact.id),
        name: words::name(contact).to_owned(),
        avatar: Avatar::of(contact),
        last: last.map(words::line).unwrap_or_default(),
        channel: last.map(|message| message.channel.clone()).unwrap_or_default(),
        was_sent: last.is_some_and(|message| message.direction == Direction::Outbound),
        at: last.map(|message| Time::from(message.date_added.clone())).unwrap_or_default(),
        has_failed,
        is_open: contact.id == open,
    }
}

impl Avatar {
    pub(super) fn of(contact: &Contact) -> Self {
        let tone = contact.id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Self { letters: words::initials(words::name(contact)), tone: tone % TONES }
    }
}

/// Whether the text that is searched for is in what is known of a contact.
pub(super) fn is_about(filter: &Filter, contact: &Contact) -> bool {
    facts(contact).any(|fact| filter.finds(fact))
}

/// Whether it is the contact that is searched for.
fn is_with(filter: &Filter, contact: &Contact) -> bool {
    facts(contact).any(|fact| contains(fact, &filter.contact))
}

fn facts(contact: &Contact) -> impl Iterator<Item = &str> {
    let Contact { id, name, email, phone, .. } = contact;
    [name, phone, email].into_iter().flatten().map(String::as_str).chain([id.as_str()])
}

/// Whether a message is searched for. If its contact is, its text does not matter.
pub(super) fn fits_message(filter: &Filter, is_wanted: bool, message: &Message) -> bool {
    let status = || {
        filter.has_status(&message.status)
            || message.call_status.as_deref().is_some_and(|status| filter.has_status(status))
    };
    (filter.channel.is_empty() || filter.channel == message.channel)
        && status()
        && (!filter.failures || has_failed(message))
        && (is_wanted || is_in(filter, message))
}

/// Whether the text that is searched for is in a message.
fn is_in(filter: &Filter, message: &Message) -> bool {
    let fields = ["message", "subject", "html"].into_iter().filter_map(|name| message.field(name));
    if fields.chain([&*message.id]).any(|text| filter.finds(text)) {
        return true;
    }
    let addresses = ["emailFrom", "emailTo"].into_iter().filter_map(|name| message.field(name));
    let email = message.email_message_id.as_deref().filter(|_| is_email(&message.channel));
    addresses.chain(email).any(|text| filter.finds(text))
        || words::attachments(message)
            .iter()
            .any(|each| filter.finds(each.link.as_deref().unwrap_or(&each.name)))
}

pub(super) fn has_failed(message: &Message) -> bool {
    message.status == "failed"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::{Snapshot, seed};

    fn world() -> World {
        let mut snapshot: Snapshot = seed();
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
        World::try_from(snapshot).unwrap()
    }

    #[test]
    fn the_newest_activity_is_first_and_the_search_finds() {
        let world = world();
        let cases = [
            ("", "Ada: Call, completed, 1:00 !|Grace: Lunch|Alan: "),
            ("text=grace", "Grace: Lunch"),
            ("text=GRACE@example", "Grace: Lunch"),
            ("text=1212", "Alan: "),
            ("text=abc123", "Ada: Call, completed, 1:00 !"),
            ("text=first", "Ada: First !"),
            ("text=soup", "Grace: Lunch"),
            ("text=m3", "Ada: Call, completed, 1:00 !"),
            ("text=nowhere", ""),
            ("contact=Ala", "Alan: "),
            ("contact=Ada&text=lunch", ""),
            ("channel=SMS", "Ada: First !"),
            ("channel=SMS&text=Ada", "Ada: First !"),
            ("channel=Email&text=Ada", ""),
            ("status=delivered", "Grace: Lunch"),
            ("failures=1", "Ada: First !"),
        ];
        for (query, expected) in cases {
            let (rows, more) = rows(&world, &Filter::of(query), "");
            let mark = |row: &Row| if row.has_failed { " !" } else { "" };
            let shown: Vec<_> =
                rows.iter().map(|row| format!("{}: {}{}", row.name, row.last, mark(row))).collect();
            assert_eq!(shown.join("|"), expected, "{query}");
            assert!(!more, "{query}");
        }
    }

    #[test]
    fn there_is_more_than_is_shown() {
        let (rows, more) = rows(&world(), &Filter { rows: 2, ..Filter::default() }, "abc123def456");
        assert_eq!((rows.len(), more), (2, true));
        assert!(rows[0].is_open && !rows[1].is_open);
    }
}
