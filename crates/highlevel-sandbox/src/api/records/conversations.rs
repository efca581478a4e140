//! Conversations: search, create, read and update them.

use std::cmp::Reverse;

use http::StatusCode;
use serde_json::{Value, json};

use super::contact_view::full_name;
use super::conversation_view::{found, last_date, last_matches, read, written};
use super::search_index::SearchIndex;
use super::{ErrorResponse, RecordRequest, Reply};
use crate::model::{Conversation, Record};

impl RecordRequest<'_> {
    pub(super) fn search_conversations(&self) -> Reply {
        let query = &self.query;
        let index = SearchIndex::new(self.model, self.unindexed);
        let term = query.get("query").map(str::to_lowercase);
        let ascending = query.get("sort") == Some("asc");
        let (start, end) = (query.number("startDate"), query.number("endDate"));
        let after = query.number("startAfterDate");
        let one = match (query.get("id"), query.get("contactId")) {
            (Some(id), _) => Some(index.conversation(id)),
            (None, Some(contact)) => {
                let id = self.model.conversation_with(contact);
                Some(id.and_then(|id| index.conversation(id)))
            }
            (None, None) => None,
        };
        // The conversation of a contact is found without looking at all others.
        let all: Box<dyn Iterator<Item = &Conversation>> = match one {
            Some(one) => Box::new(one.into_iter()),
            None => Box::new(index.conversations()),
        };
        let matching = all.filter(|conversation| {
            conversation.location_id == self.location
                && query.get("contactId").is_none_or(|contact| contact == conversation.contact_id)
                && has_status(conversation, query.get("status"))
                && term.as_deref().is_none_or(|term| mentions(index, conversation, term))
                && last_matches(
                    conversation,
                    index,
                    query.get("lastMessageType"),
                    query.get("lastMessageDirection"),
                )
        });
        let mut dated: Vec<(i64, &Conversation)> = matching
            .map(|conversation| (last_date(conversation, index), conversation))
            .filter(|(date, _)| {
                start.is_none_or(|start| *date >= start) && end.is_none_or(|end| *date <= end)
            })
            .collect();
        let total = dated.len();
        if ascending {
            dated.sort_by_key(|(date, conversation)| (*date, &conversation.id));
            dated.retain(|(date, _)| after.is_none_or(|after| *date > after));
        } else {
            dated.sort_by_key(|(date, conversation)| Reverse((*date, &conversation.id)));
            dated.retain(|(date, _)| after.is_none_or(|after| *date < after));
        }
        let page = dated.into_iter().take(query.limit(20, 100));
        let page: Value = page.map(|(_, conversation)| found(conversation, index)).collect();
        Reply::ok(json!({ "conversations": page, "total": total }))
    }

    pub(super) fn create_conversation(&self) -> Result<Reply, ErrorResponse> {
        let id = self.text("contactId").unwrap_or_default();
        let contact = self.model.contact(id).filter(|contact| contact.location_id == self.location);
        if contact.is_none() {
            return Err(ErrorResponse::coded(
                StatusCode::BAD_REQUEST,
                "CONVERSATIONS_CONTACT_NOT_FOUND",
                &format!("Contact not found for id:{id}"),
            ));
        }
        if let Some(existing) = self.model.conversation_with(id) {
            let error = ErrorResponse::bad_request("Conversation already exists");
            return Err(error.with("conversationId", json!(existing)));
        }
        let now = &self.generated.now;
        let mut conversation = Conversation::new(&self.generated.conversation_id, id).location(self.location);
        (conversation.date_added, conversation.date_updated) = (Some(now.clone()), Some(now.clone()));
        let body = json!({ "success": true, "conversation": written(&conversation, self.model) });
        Ok(Reply::ok(body).created(self.settings).put(Record::Conversation(conversation)))
    }

    pub(super) fn get_conversation(&self) -> Result<Reply, ErrorResponse> {
        Ok(Reply::ok(read(self.conversation(self.parameter(0))?, self.model)))
    }

    pub(super) fn update_conversation(&self) -> Result<Reply, ErrorResponse> {
        let mut conversation = self.conversation(self.parameter(0))?.clone();
        if let Some(count) = self.body.get("unreadCount").and_then(Value::as_u64) {
            conversation.unread_count = count;
        }
        if let Some(starred) = self.body.get("starred").and_then(Value::as_bool) {
            conversation.starred = starred;
        }
        conversation.date_updated = Some(self.generated.now.clone());
        let body = json!({ "success": true, "conversation": written(&conversation, self.model) });
        Ok(Reply::ok(body).put(Record::Conversation(conversation)))
    }

    /// A live chat has no visitor in the sandbox, so nothing else happens.
    pub(super) fn set_typing(&self) -> Result<Reply, ErrorResponse> {
        self.conversation(self.text("conversationId").unwrap_or_default())?;
        Ok(Reply::ok(json!({ "success": true })).created(self.settings))
    }

    /// Returns a conversation of the location.
    pub(super) fn conversation(&self, id: &str) -> Result<&Conversation, ErrorResponse> {
        let conversation = self.model.conversation(id);
        let conversation = conversation
            .ok_or_else(|| ErrorResponse::bad_request(&format!("Conversation with id {id} not found")))?;
        self.check_owner(&conversation.location_id)?;
        Ok(conversation)
    }
}

/// Returns `true` if the name or an address of the contact contains a term in lower case.
fn mentions(index: SearchIndex<'_>, conversation: &Conversation, term: &str) -> bool {
    let Some(contact) = index.contact(&conversation.contact_id) else { return false };
    full_name(contact).is_some_and(|name| name.to_lowercase().contains(term))
        || contact.emails().chain(contact.phones()).any(|each| each.to_lowercase().contains(term))
}

fn has_status(conversation: &Conversation, status: Option<&str>) -> bool {
    match status {
        Some("read") => conversation.unread_count == 0,
        Some("unread") => conversation.unread_count > 0,
        Some("starred") => conversation.starred,
        _ => true,
    }
}
