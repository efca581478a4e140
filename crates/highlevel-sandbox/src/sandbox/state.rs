//! What exists, for tests.

use std::io;

use crate::engine::MutationError;
use crate::model::{
    Conflict, Contact, Conversation, ConversationProvider, Kind, Location, Message, Record, StatusUpdate,
};
use crate::sandbox::Sandbox;
use crate::snapshot::Snapshot;

/// What exists: each `put` adds something, or puts it in place of what has the same id.
impl Sandbox {
    /// Adds a location, or changes it.
    ///
    /// # Errors
    ///
    /// It contradicts what exists.
    pub fn put_location(&self, location: Location) -> Result<(), Conflict> {
        self.put(Record::Location(location))
    }

    /// Adds a contact, or changes it. A new one has no conversation; a first message to it makes one.
    ///
    /// # Errors
    ///
    /// It contradicts what exists: for example, its location is not there.
    pub fn put_contact(&self, contact: Contact) -> Result<(), Conflict> {
        self.put(Record::Contact(contact))
    }

    /// Adds a conversation, or changes it.
    ///
    /// # Errors
    ///
    /// It contradicts what exists: for example, the contact has another one already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Contact, Conversation, Sandbox};
    ///
    /// let sandbox = Sandbox::start().await?;
    /// sandbox.put_contact(Contact::new("grace"))?;
    /// sandbox.put_conversation(Conversation::new("with-grace", "grace"))?;
    /// let another = sandbox.put_conversation(Conversation::new("another", "grace"));
    /// assert!(another.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_conversation(&self, conversation: Conversation) -> Result<(), Conflict> {
        self.put(Record::Conversation(conversation))
    }

    /// Adds a conversation provider, or changes it.
    ///
    /// # Errors
    ///
    /// It contradicts what exists, or its delivery URL is no `http` URL.
    pub fn put_provider(&self, provider: ConversationProvider) -> Result<(), Conflict> {
        self.put(Record::Provider(provider))
    }

    /// Adds a message, or puts it in place of what it was. No event is sent: it is as if it had always been there.
    ///
    /// # Errors
    ///
    /// It contradicts what exists: for example, its conversation is not with its contact.
    #[allow(clippy::needless_pass_by_value, reason = "it is like its siblings")]
    pub fn put_message(&self, message: Message) -> Result<(), Conflict> {
        self.put(Record::from(message.to_stored()))
    }

    /// Gives a message another status.
    ///
    /// # Errors
    ///
    /// There is no such message, or the status cannot follow the one it has.
    ///
    /// ```
    /// # use highlevel_sandbox::{Sandbox, StatusUpdate};
    /// # fn check(sandbox: &Sandbox, message_id: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let message = sandbox.set_status(message_id, StatusUpdate::new("failed").error("no such number"))?;
    /// assert_eq!(message.status, "failed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_status(&self, message_id: &str, update: StatusUpdate) -> io::Result<Message> {
        let message = self.state.set_status(message_id, update).map_err(MutationError::into_io)?;
        Ok(message.parsed())
    }

    /// A contact, by its id.
    pub fn contact(&self, id: &str) -> Option<Contact> {
        self.state.model().contact(id).cloned()
    }

    /// A conversation, by its id.
    pub fn conversation(&self, id: &str) -> Option<Conversation> {
        self.state.model().conversation(id).cloned()
    }

    /// The conversation with a contact, if there is one.
    pub fn conversation_with(&self, contact_id: &str) -> Option<Conversation> {
        let model = self.state.model();
        model.conversation_with(contact_id).and_then(|id| model.conversation(id)).cloned()
    }

    /// A message or call, by its id.
    pub fn message(&self, id: &str) -> Option<Message> {
        self.state.model().message(id).map(|message| message.parsed())
    }

    /// The messages and calls that were accepted and stored, oldest first, as far as they are kept: see
    /// [`SandboxBuilder::keep_messages`](crate::SandboxBuilder::keep_messages).
    pub fn messages(&self) -> Vec<Message> {
        self.state.shared_model().messages().map(|message| message.parsed()).collect()
    }

    /// Removes a contact, its conversation and its messages. Whether it was there.
    pub fn delete_contact(&self, id: &str) -> bool {
        self.state.delete(Kind::Contact, id)
    }

    /// Makes a private integration token for a location.
    ///
    /// # Errors
    ///
    /// There is no such location.
    pub fn issue_token(&self, location_id: &str) -> io::Result<String> {
        self.state.issue_token(location_id, None).map_err(MutationError::into_io)
    }

    /// Everything that exists, and the credentials.
    pub fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    /// Puts what a snapshot has in place of everything that exists, credentials included.
    ///
    /// # Errors
    ///
    /// It contradicts itself. Nothing has changed then.
    pub fn restore(&self, snapshot: Snapshot) -> io::Result<()> {
        self.state.restore(snapshot.into_stored()).map_err(MutationError::into_io)
    }

    /// Adds to what exists, in place of what has the same ids.
    ///
    /// # Errors
    ///
    /// It contradicts what exists. Nothing has changed then.
    pub fn seed(&self, seed: Snapshot) -> io::Result<()> {
        self.state.seed(seed.into_stored()).map_err(MutationError::into_io)
    }

    /// Puts everything back as it was when the sandbox started for the first time, and forgets what happened. The clock
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// What it began with contradicts itself, which the start rules out.
    pub fn reset(&self) -> io::Result<()> {
        self.state.reset().map_err(MutationError::into_io)
    }

    fn put(&self, record: Record) -> Result<(), Conflict> {
        self.state.put(&mut self.state.model(), [record])
    }
}
