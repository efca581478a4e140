//! Paginated lists of records.

use std::sync::Arc;

use super::{MessageDirection, Model, StoredMessage};
use crate::search_term::SearchTerm;

/// A requested page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    /// The ID of the last record of the previous page.
    pub(crate) after: Option<String>,
}

/// A filter for messages. Absent fields match all messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageFilter {
    pub(crate) location_id: Option<String>,
    pub(crate) contact_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) direction: Option<MessageDirection>,
    pub(crate) status: Option<String>,
    /// A term that the request contains, ignoring case.
    pub(crate) text: Option<SearchTerm>,
}

/// The sort order of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Page {
    /// Returns this page of items sorted by ID, and `true` if there are more.
    pub(crate) fn of<'a, T: 'a>(
        &self,
        all: impl Iterator<Item = &'a T>,
        id: impl Fn(&T) -> &str,
    ) -> (Vec<&'a T>, bool) {
        let after = self.after.as_deref().unwrap_or_default();
        let mut rest = all.filter(|each| after.is_empty() || id(each) > after);
        (rest.by_ref().take(self.limit).collect(), rest.next().is_some())
    }
}

impl MessageFilter {
    fn matches(&self, message: &StoredMessage) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|id| id == found);
        same(&self.location_id, &message.location_id)
            && same(&self.contact_id, &message.contact_id)
            && same(&self.conversation_id, &message.conversation_id)
            && same(&self.channel, &message.channel)
            && same(&self.status, &message.status)
            && self.direction.is_none_or(|direction| direction == message.direction)
            && self.text.as_ref().is_none_or(|text| text.is_in(message.request.as_str()))
    }
}

impl Model {
    /// Returns a page of the messages that match a filter, and `true` if there are more. Returns `None` if the last message
    /// of the previous page no longer exists.
    pub(crate) fn list_messages(
        &self,
        filter: &MessageFilter,
        order: Order,
        page: &Page,
    ) -> Option<(Vec<&Arc<StoredMessage>>, bool)> {
        let after = match &page.after {
            Some(id) => Some(self.messages.number(id)?),
            None => None,
        };
        let matches = |message: &&Arc<StoredMessage>| filter.matches(message);
        let mut found: Vec<&Arc<StoredMessage>> = match order {
            Order::OldestFirst => {
                let from = after.map_or(0, |number| number + 1);
                self.messages.from(from).filter(matches).take(page.limit + 1).collect()
            }
            Order::NewestFirst => {
                let to = after.unwrap_or(u64::MAX);
                self.messages.before(to).filter(matches).take(page.limit + 1).collect()
            }
        };
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        Some((found, more))
    }
}
