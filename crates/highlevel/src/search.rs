//! Criteria of searches: contacts, conversations, and messages to export.

use highlevel_wire::Timestamp;
use highlevel_wire::types::{
    ContactSort, ConversationFilter, ConversationSortKey, EventMessageTypeString, ExportChannel,
    ExportSortKey, SearchContactsRequest, SortOrder,
};
use serde_json::{Value, json};

use crate::{ContactId, ConversationId, Direction, LocationId, UserId};

/// A search for contacts. Each filter narrows it.
///
/// ```
/// use highlevel::ContactSearch;
///
/// let customers = ContactSearch::all().filter("tags", "contains", ["customer"]).page_size(100);
/// let named = ContactSearch::text("Ada");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a search is made by `client.contacts().search(…)`"]
pub struct ContactSearch(SearchContactsRequest);

impl ContactSearch {
    /// Creates a search that finds all contacts.
    pub fn all() -> Self {
        // The client sets its location.
        Self(SearchContactsRequest::new(LocationId(String::new()), DEFAULT_PAGE))
    }

    /// Creates a search for a text in names, emails and phone numbers.
    pub fn text(text: impl Into<String>) -> Self {
        let mut search = Self::all();
        search.0.query = Some(text.into());
        search
    }

    /// Adds a filter: a field, an operator like `eq` or `contains`, and a value. HighLevel's documentation lists both.
    pub fn filter(
        mut self,
        field: impl Into<String>,
        operator: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.0.filters.push(json!({
            "field": field.into(), "operator": operator.into(), "value": value.into(),
        }));
        self
    }

    /// Sorts by a field. Can be called several times.
    pub fn sort(mut self, field: impl Into<String>, order: SortOrder) -> Self {
        self.0.sort.push(ContactSort::new(order, field));
        self
    }

    /// Sets the number of contacts per request, at most 500. Defaults to 20.
    pub fn page_size(mut self, contacts: u16) -> Self {
        self.0.page_limit = i64::from(contacts);
        self
    }

    /// Sets the location. Defaults to that of the client.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.0.location_id = location.into();
        self
    }
}

impl From<ContactSearch> for SearchContactsRequest {
    fn from(search: ContactSearch) -> Self {
        search.0
    }
}

/// The number of entries of a page if none is set, as HighLevel's.
const DEFAULT_PAGE: i64 = 20;

/// A search for conversations. Each setting narrows it.
///
/// ```
/// use highlevel::ConversationSearch;
/// use highlevel::wire::types::ConversationFilter;
///
/// let with_contact = ConversationSearch::with_contact("abc123def456");
/// let unread = ConversationSearch::all().status(ConversationFilter::Unread).page_size(100);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a search is made by `client.conversations().search(…)`"]
pub struct ConversationSearch {
    pub(crate) location: Option<LocationId>,
    pub(crate) contact: Option<ContactId>,
    pub(crate) query: Option<String>,
    pub(crate) status: Option<ConversationFilter>,
    pub(crate) assigned_to: Option<String>,
    pub(crate) last_message_type: Option<EventMessageTypeString>,
    pub(crate) last_message_direction: Option<Direction>,
    pub(crate) order: Option<SortOrder>,
    pub(crate) sort_by: Option<ConversationSortKey>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<i64>,
}

impl ConversationSearch {
    /// Creates a search that finds all conversations, the latest first.
    pub fn all() -> Self {
        Self::default()
    }

    /// Creates a search for the conversations with a contact. A new conversation is found some seconds after it was created.
    pub fn with_contact(contact: impl Into<ContactId>) -> Self {
        Self { contact: Some(contact.into()), ..Self::default() }
    }

    /// Creates a search for a text, for example a name, an email or a phone number.
    pub fn text(text: impl Into<String>) -> Self {
        Self { query: Some(text.into()), ..Self::default() }
    }

    /// Finds conversations in this state.
    pub fn status(mut self, status: ConversationFilter) -> Self {
        self.status = Some(status);
        self
    }

    /// Finds conversations that are assigned to a user.
    pub fn assigned_to(mut self, user: impl Into<UserId>) -> Self {
        self.assigned_to = Some(user.into().to_string());
        self
    }

    /// Finds conversations that are assigned to no user.
    pub fn unassigned(mut self) -> Self {
        self.assigned_to = Some("unassigned".to_owned());
        self
    }

    /// Finds conversations whose last message is of this channel.
    pub fn last_message_type(mut self, channel: EventMessageTypeString) -> Self {
        self.last_message_type = Some(channel);
        self
    }

    /// Finds conversations whose last message has this direction.
    pub fn last_message_direction(mut self, direction: Direction) -> Self {
        self.last_message_direction = Some(direction);
        self
    }

    /// Sorts by a field.
    pub fn sort(mut self, field: ConversationSortKey, order: SortOrder) -> Self {
        self.sort_by = Some(field);
        self.order = Some(order);
        self
    }

    /// Sets the number of conversations per request, at most 100. Defaults to 20.
    pub fn page_size(mut self, conversations: u8) -> Self {
        self.limit = Some(i64::from(conversations));
        self
    }

    /// Sets the location. Defaults to that of the client.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.location = Some(location.into());
        self
    }
}

/// The messages of a location to export. Each setting narrows it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use highlevel::MessageExport;
///
/// let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
/// let export = MessageExport::all().since(yesterday).page_size(500);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "an export is made by `client.messages().export(…)`"]
pub struct MessageExport {
    pub(crate) location: Option<LocationId>,
    pub(crate) contact: Option<ContactId>,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) channel: Option<ExportChannel>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) order: Option<SortOrder>,
    pub(crate) sort_by: Option<ExportSortKey>,
    pub(crate) limit: Option<i64>,
}

impl MessageExport {
    /// Exports the messages of all channels but email.
    pub fn all() -> Self {
        Self::default()
    }

    /// Exports the messages of one channel. Emails are exported only this way.
    pub fn channel(mut self, channel: ExportChannel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Exports the messages with a contact.
    pub fn with_contact(mut self, contact: impl Into<ContactId>) -> Self {
        self.contact = Some(contact.into());
        self
    }

    /// Exports the messages of a conversation.
    pub fn in_conversation(mut self, conversation: impl Into<ConversationId>) -> Self {
        self.conversation = Some(conversation.into());
        self
    }

    /// Exports messages from this time on.
    pub fn since(mut self, time: impl Into<Timestamp>) -> Self {
        self.since = Some(time.into());
        self
    }

    /// Exports messages up to this time.
    pub fn until(mut self, time: impl Into<Timestamp>) -> Self {
        self.until = Some(time.into());
        self
    }

    /// Sorts by a field.
    pub fn sort(mut self, field: ExportSortKey, order: SortOrder) -> Self {
        self.sort_by = Some(field);
        self.order = Some(order);
        self
    }

    /// Sets the number of messages per request, from 10 to 500.
    pub fn page_size(mut self, messages: u16) -> Self {
        self.limit = Some(i64::from(messages));
        self
    }

    /// Sets the location. Defaults to that of the client.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.location = Some(location.into());
        self
    }
}
