//! Conversations as the API returns them.

use serde_json::{Value, json};

use super::contact_view::{BEGINNING, full_name, milliseconds};
use super::search_index::SearchIndex;
use crate::model::{Conversation, MessageDirection, Model};
use crate::webhook::payload::event_type;

/// The number of the type of all conversations: a conversation by phone, although it may have other channels.
const TYPE_PHONE: i64 = 1;
/// The maximum length of the text of the last message, in characters.
const BODY: usize = 200;

pub(super) fn date_added(conversation: &Conversation) -> &str {
    conversation.date_added.as_deref().unwrap_or(BEGINNING)
}

fn date_updated(conversation: &Conversation) -> &str {
    conversation.date_updated.as_deref().unwrap_or_else(|| date_added(conversation))
}

/// Returns the time of the latest message in milliseconds since 1970, or that of the creation if there is none.
pub(super) fn last_date(conversation: &Conversation, index: SearchIndex<'_>) -> i64 {
    let last = index.last_message(conversation);
    milliseconds(last.map_or_else(|| date_added(conversation), |message| &message.date_added))
}

/// Returns a conversation as a search returns it: dates in milliseconds, the type as a text.
pub(super) fn found(conversation: &Conversation, index: SearchIndex<'_>) -> Value {
    let contact = index.contact(&conversation.contact_id);
    let last = index.last_message(conversation);
    let mut view = json!({
        "id": conversation.id,
        "locationId": conversation.location_id,
        "contactId": conversation.contact_id,
        "type": "TYPE_PHONE",
        "dateAdded": milliseconds(date_added(conversation)),
        "dateUpdated": milliseconds(date_updated(conversation)),
        "lastMessageDate": last_date(conversation, index),
        "unreadCount": conversation.unread_count,
        "starred": conversation.starred,
        "followers": [],
        "mentions": [],
        "scoring": [],
        "isLastMessageInternalComment": last.is_some_and(|message| message.channel == "InternalComment"),
        "tags": contact.map(|contact| contact.tags.clone()).unwrap_or_default(),
        "sort": [last_date(conversation, index)],
    });
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            view[name] = json!(value);
        }
    };
    if let Some(contact) = contact {
        set("fullName", full_name(contact));
        set("contactName", full_name(contact));
        set("email", contact.email.clone());
        set("phone", contact.phone.clone());
        let company = contact.fields.get("companyName").and_then(Value::as_str);
        set("companyName", company.map(str::to_owned));
    }
    if let Some(last) = last {
        let names = event_type(last, index.model);
        let request = last.request.to_value();
        let text = ["message", "subject"].iter().find_map(|name| request[*name].as_str());
        set("lastMessageType", names.and_then(|names| names.text).map(str::to_owned));
        set("lastMessageBody", text.map(|text| text.chars().take(BODY).collect()));
        set("lastMessageDirection", Some(last.direction.as_str().to_owned()));
        let numbers: Vec<u32> = names.and_then(|names| names.id).into_iter().collect();
        view["messageTypes"] = json!(numbers);
    }
    view
}

/// Returns a conversation as a read returns it: the type as a number, the date as seconds and nanoseconds.
pub(super) fn read(conversation: &Conversation, model: &Model) -> Value {
    let last = last_date(conversation, SearchIndex::of(model));
    let mut view = json!({
        "id": conversation.id,
        "locationId": conversation.location_id,
        "contactId": conversation.contact_id,
        "type": TYPE_PHONE,
        "unreadCount": conversation.unread_count,
        "starred": conversation.starred,
        "inbox": true,
        "deleted": false,
        "isLastMessageInternalComment": false,
        "lastMessageDate": {
            "seconds": last.div_euclid(1_000),
            "nanoseconds": last.rem_euclid(1_000) * 1_000_000,
        },
    });
    if let Some(number) = last_type(conversation, model) {
        view["lastMessageType"] = json!(number);
    }
    view
}

/// Returns a conversation as a write returns it: dates as texts, the types as numbers.
pub(super) fn written(conversation: &Conversation, model: &Model) -> Value {
    let last = SearchIndex::of(model).last_message(conversation);
    let last = last.map_or(date_added(conversation), |last| &last.date_added);
    let mut view = json!({
        "id": conversation.id,
        "locationId": conversation.location_id,
        "contactId": conversation.contact_id,
        "unreadCount": conversation.unread_count,
        "starred": conversation.starred,
        "deleted": false,
        "dateAdded": date_added(conversation),
        "dateUpdated": date_updated(conversation),
        "lastMessageDate": last,
    });
    if let Some(number) = last_type(conversation, model) {
        view["lastMessageType"] = json!(number);
    }
    view
}

fn last_type(conversation: &Conversation, model: &Model) -> Option<u32> {
    event_type(SearchIndex::of(model).last_message(conversation)?, model)?.id
}

/// Returns `true` if the latest message has a channel, by its text form, and a direction.
pub(super) fn last_matches(
    conversation: &Conversation,
    index: SearchIndex<'_>,
    channel: Option<&str>,
    direction: Option<&str>,
) -> bool {
    if channel.is_none() && direction.is_none() {
        return true;
    }
    let Some(last) = index.last_message(conversation) else { return false };
    let text = event_type(last, index.model).and_then(|names| names.text);
    channel.is_none_or(|wanted| text == Some(wanted))
        && direction.is_none_or(|wanted| MessageDirection::as_str(last.direction) == wanted)
}
