//! The records as searches see them.

use crate::model::{Contact, Conversation, Model, StoredMessage, Unindexed};

/// The records of the model, without the changes that a search index with a delay does not have yet.
#[derive(Clone, Copy)]
pub(super) struct SearchIndex<'a> {
    pub(super) model: &'a Model,
    unindexed: &'a Unindexed,
}

impl<'a> SearchIndex<'a> {
    pub(super) fn new(model: &'a Model, unindexed: &'a Unindexed) -> Self {
        Self { model, unindexed }
    }

    /// Returns an index that has all changes.
    pub(super) fn of(model: &'a Model) -> Self {
        static NONE: Unindexed = Unindexed::NONE;
        Self { model, unindexed: &NONE }
    }

    pub(super) fn contacts(self) -> impl Iterator<Item = &'a Contact> {
        self.model.contacts().filter_map(move |contact| self.indexed_contact(contact))
    }

    pub(super) fn contact(self, id: &str) -> Option<&'a Contact> {
        self.indexed_contact(self.model.contact(id)?)
    }

    fn indexed_contact(self, contact: &'a Contact) -> Option<&'a Contact> {
        self.unindexed.contacts.get(&contact.id).map_or(Some(contact), Option::as_ref)
    }

    pub(super) fn conversations(self) -> impl Iterator<Item = &'a Conversation> {
        self.model.conversations().filter_map(move |conversation| self.indexed_conversation(conversation))
    }

    pub(super) fn conversation(self, id: &str) -> Option<&'a Conversation> {
        self.indexed_conversation(self.model.conversation(id)?)
    }

    fn indexed_conversation(self, conversation: &'a Conversation) -> Option<&'a Conversation> {
        self.unindexed.conversations.get(&conversation.id).map_or(Some(conversation), Option::as_ref)
    }

    /// Returns the latest message of a conversation.
    pub(super) fn last_message(self, conversation: &Conversation) -> Option<&'a StoredMessage> {
        let mut messages = self.model.latest_with(&conversation.contact_id, None)?.map(AsRef::as_ref);
        messages.find(|message: &&StoredMessage| !self.unindexed.messages.contains(&*message.id))
    }
}
