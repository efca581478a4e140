//! One contact: its fields, its conversation and its notes.

use super::form::do_not_disturb;
use crate::inspector::conversations::{Avatar, NAME, line, name, path, segment};
use crate::inspector::format::{self, Time};
use crate::model::{Contact, Model};

/// The maximum number of notes, tags, addresses and further fields.
const MOST: usize = 50;
/// The maximum length of a value in characters.
const VALUE: usize = 300;
/// The maximum length of a note in bytes.
const NOTE: usize = 2_000;

/// A contact.
pub(super) struct OpenContact {
    pub(super) id: String,
    /// The ID as a path segment.
    pub(super) segment: String,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    pub(super) location: String,
    pub(super) phones: Shown<String>,
    pub(super) emails: Shown<String>,
    pub(super) tags: Shown<String>,
    pub(super) do_not_disturb: Vec<&'static str>,
    pub(super) unsubscribed: bool,
    pub(super) created: Option<Time>,
    pub(super) updated: Option<Time>,
    /// Further fields and custom fields.
    pub(super) fields: Shown<(String, String)>,
    /// The notes, newest first.
    pub(super) notes: Shown<NoteView>,
    pub(super) conversation: Option<ConversationView>,
    /// The path of the conversation page, relative to the inspector.
    pub(super) path: String,
}

/// The first entries of a list, and the number of all others.
pub(super) struct Shown<T> {
    pub(super) all: Vec<T>,
    pub(super) more: usize,
}

/// A note of a contact.
pub(super) struct NoteView {
    pub(super) id: String,
    pub(super) at: Time,
    pub(super) text: String,
    pub(super) is_cut: bool,
    pub(super) user: Option<String>,
}

/// The conversation of a contact.
pub(super) struct ConversationView {
    pub(super) id: String,
    pub(super) messages: usize,
    pub(super) unread: u64,
    pub(super) starred: bool,
    /// The newest message on one line, and its time.
    pub(super) last: Option<(String, Time)>,
}

impl<T> Shown<T> {
    fn of(entries: impl ExactSizeIterator<Item = T>) -> Self {
        let count = entries.len();
        Self { all: entries.take(MOST).collect(), more: count.saturating_sub(MOST) }
    }
}

impl OpenContact {
    pub(super) fn new(model: &Model, contact: &Contact) -> Self {
        let shown = |text: &str| format::start(text, VALUE);
        let values = |values: Vec<&str>| Shown::of(values.into_iter().map(shown));
        let fields = contact.fields.iter().map(|(name, value)| (name.clone(), value));
        let custom = contact.custom_fields.iter().map(|field| {
            let id =
                ["id", "key"].iter().find_map(|name| field.get(*name)?.as_str()).unwrap_or("custom field");
            let value = ["field_value", "fieldValue", "value"].iter().find_map(|name| field.get(*name));
            (id.to_owned(), value.unwrap_or(field))
        });
        let fields: Vec<_> = fields.chain(custom).collect();
        let text =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let conversation = model.conversation_with(&contact.id).and_then(|id| model.conversation(id));
        let last = model.messages_with(&contact.id).next_back();
        Self {
            id: contact.id.clone(),
            segment: segment(&contact.id),
            name: format::start(name(contact), NAME),
            avatar: Avatar::of(contact),
            location: contact.location_id.clone(),
            phones: values(contact.phones().collect()),
            emails: values(contact.emails().collect()),
            tags: values(contact.tags.iter().map(String::as_str).collect()),
            do_not_disturb: do_not_disturb(contact),
            unsubscribed: contact.unsubscribed,
            created: contact.date_added.clone().map(Time::from),
            updated: contact.date_updated.clone().map(Time::from),
            fields: Shown::of(
                fields.into_iter().map(|(name, value)| (format::start(&name, NAME), shown(&text(value)))),
            ),
            notes: Shown::of(contact.notes.iter().rev().map(|note| NoteView {
                id: note.id.clone(),
                at: note.date_added.clone().into(),
                text: format::beginning(&note.body, NOTE).to_owned(),
                is_cut: note.body.len() > NOTE,
                user: note.user_id.as_deref().map(shown),
            })),
            conversation: conversation.map(|conversation| ConversationView {
                id: conversation.id.clone(),
                messages: model.count_with(&contact.id),
                unread: conversation.unread_count,
                starred: conversation.starred,
                last: last.map(|message| (line(&message.parsed()), message.date_added.to_string().into())),
            }),
            path: path(&contact.id),
        }
    }
}
