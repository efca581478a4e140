//! Lists of what exists, a page at a time.

use std::sync::Arc;

use super::{MessageDirection, Model, StoredMessage};
use crate::search_term::SearchTerm;

/// The part of a list that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    /// The id of the last one that was seen.
    pub(crate) after: Option<String>,
}

/// Which messages are asked for; what is not named does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageFilter {
    pub(crate) location_id: Option<String>,
    pub(crate) contact_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) direction: Option<MessageDirection>,
    pub(crate) status: Option<String>,
    /// What the request has to contain somewhere, whatever the case of its letters.
    pub(crate) text: Option<SearchTerm>,
}

/// Which end of the messages comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Page {
    /// The page of what is sorted by id, and whether there is more.
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
    fn fits(&self, message: &StoredMessage) -> bool {
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
    /// The page of the messages that fit, and whether there is more. `None` if the message to go on after is gone.
    pub(crate) fn list_messages(
        &self,
        filter: &MessageFilter,
        order: Order,
        page: &Page,
    ) -> Option<(Vec<&Arc<StoredMessage>>, bool)> {
        let after = match &page.after {
            Some(id) => Some(*self.message_numbers.get(id)?),
            None => None,
        };
        let fits = |message: &&Arc<StoredMessage>| filter.fits(message);
        let mut found: Vec<&Arc<StoredMessage>> = match order {
            Order::OldestFirst => {
                let from = after.map_or(0, |number| number + 1);
                let rest = self.messages.range(from..).map(|(_, message)| message);
                rest.filter(fits).take(page.limit + 1).collect()
            }
            Order::NewestFirst => {
                let to = after.unwrap_or(u64::MAX);
                let rest = self.messages.range(..to).rev().map(|(_, message)| message);
                rest.filter(fits).take(page.limit + 1).collect()
            }
        };
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        Some((found, more))
    }
}
