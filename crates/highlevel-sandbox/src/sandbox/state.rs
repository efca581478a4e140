//! The stored objects, for tests.

use std::io;

use crate::engine::MutationError;
use crate::model::{
    Conflict, Contact, Conversation, ConversationProvider, Kind, Location, Message, Record, StatusUpdate,
    StoredFile,
};
use crate::oauth::TokenResource;
use crate::sandbox::Sandbox;
use crate::snapshot::Snapshot;

/// Stored objects. Each `put` method creates an object or replaces the one with the same ID.
impl Sandbox {
    /// Creates or replaces a location. Apps that are installed on its company and on the locations that are created later
    /// are installed on a new location, and receive `INSTALL`.
    ///
    /// # Errors
    ///
    /// Returns an error if it conflicts with other objects.
    pub fn put_location(&self, location: Location) -> Result<(), Conflict> {
        self.put(Record::Location(location))
    }

    /// Creates or replaces a contact. A new contact has no conversation; its first message creates one.
    ///
    /// # Errors
    ///
    /// Returns an error if it conflicts with other objects, for example if its location does not exist.
    pub fn put_contact(&self, contact: Contact) -> Result<(), Conflict> {
        self.put(contact.into())
    }

    /// Creates or replaces a conversation.
    ///
    /// # Errors
    ///
    /// Returns an error if it conflicts with other objects, for example if the contact already has another one.
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

    /// Creates or replaces a conversation provider.
    ///
    /// # Errors
    ///
    /// Returns an error if it conflicts with other objects, or its delivery URL is not an `http` URL.
    pub fn put_provider(&self, provider: ConversationProvider) -> Result<(), Conflict> {
        self.put(Record::Provider(provider))
    }

    /// Creates or replaces a message, without sending an event.
    ///
    /// # Errors
    ///
    /// Returns an error if it conflicts with other objects, for example if its conversation belongs to another contact.
    #[allow(clippy::needless_pass_by_value, reason = "it is like its siblings")]
    pub fn put_message(&self, message: Message) -> Result<(), Conflict> {
        self.put(Record::from(message.to_stored()))
    }

    /// Changes the status of a message, without sending an event to the app.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such message, or the status cannot follow the current one.
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

    /// Returns a contact by its ID.
    pub fn contact(&self, id: &str) -> Option<Contact> {
        self.state.model().contact(id).cloned()
    }

    /// Returns a conversation by its ID.
    pub fn conversation(&self, id: &str) -> Option<Conversation> {
        self.state.model().conversation(id).cloned()
    }

    /// Returns the conversation with a contact, if there is one.
    pub fn conversation_with(&self, contact_id: &str) -> Option<Conversation> {
        let model = self.state.model();
        model.conversation_with(contact_id).and_then(|id| model.conversation(id)).cloned()
    }

    /// Returns a message or call by its ID.
    pub fn message(&self, id: &str) -> Option<Message> {
        self.state.model().message(id).map(|message| message.parsed())
    }

    /// Returns the retained messages and calls, oldest first. See
    /// [`SandboxBuilder::keep_messages`](crate::SandboxBuilder::keep_messages).
    pub fn messages(&self) -> Vec<Message> {
        self.state.shared_model().messages().map(|message| message.parsed()).collect()
    }

    /// Returns the uploaded files, oldest first. Beyond 1,000 files or 64 MiB, the oldest are evicted.
    pub fn files(&self) -> Vec<StoredFile> {
        self.state.shared_model().files().map(|file| StoredFile::clone(file)).collect()
    }

    /// Deletes a contact with its conversation and messages. Returns `true` if it existed.
    pub fn delete_contact(&self, id: &str) -> bool {
        self.state.delete(Kind::Contact, id)
    }

    /// Creates a private integration token for a location.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such location.
    pub fn issue_token(&self, location_id: &str) -> io::Result<String> {
        let location = TokenResource::location(location_id);
        self.state.issue_token(&location, None).map_err(MutationError::into_io)
    }

    /// Creates a private integration token for a company (agency). Operations about a location reject it with
    /// [`Refusal::CompanyPrivateIntegration`](crate::Refusal::CompanyPrivateIntegration).
    ///
    /// # Errors
    ///
    /// Returns an error if the company has no location.
    pub fn issue_company_token(&self, company_id: &str) -> io::Result<String> {
        let company = TokenResource::company(company_id);
        self.state.issue_token(&company, None).map_err(MutationError::into_io)
    }

    /// Returns all objects and the credentials.
    pub fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    /// Replaces all objects and credentials by a snapshot.
    ///
    /// # Errors
    ///
    /// Returns an error if the snapshot is inconsistent. Nothing is changed then.
    pub fn restore(&self, snapshot: Snapshot) -> io::Result<()> {
        self.state.restore(snapshot.into_stored()).map_err(MutationError::into_io)
    }

    /// Adds the objects of a seed. Objects with existing IDs are replaced.
    ///
    /// # Errors
    ///
    /// Returns an error if the seed conflicts with existing objects. Nothing is changed then.
    pub fn seed(&self, seed: Snapshot) -> io::Result<()> {
        self.state.seed(seed.into_stored()).map_err(MutationError::into_io)
    }

    /// Restores the state of the first start and deletes requests and deliveries. The clock stays unchanged.
    ///
    /// # Errors
    ///
    /// Returns an error if the initial objects are inconsistent, which the start rules out.
    pub fn reset(&self) -> io::Result<()> {
        self.state.reset().map_err(MutationError::into_io)
    }

    fn put(&self, record: Record) -> Result<(), Conflict> {
        let _runtime = self.runtime.handle().enter();
        self.state.put_record(record)
    }
}
