//! Contacts of a location.

mod builder;

pub use self::builder::{Contact, ContactKey, ContactUpdate};

use highlevel_wire::types::{
    ContactDetails, ContactNote, ContactNoteRequest, ContactNoteResponse, ContactRequest, ContactResponse,
    ContactTagsRequest, ContactTagsResponse, DuplicateContactResponse, SearchContactsRequest,
    UpdateContactRequest, UpsertContactResponse,
};

use crate::executor::Operation;
use crate::listing::{Fetch, ListPage, Listing};
use crate::operations::{
    AddContactNote, AddContactTags, CreateContact, FindDuplicateContact, GetContact, RemoveContactTags,
    SearchContacts, UpdateContact, UpsertContact,
};
use crate::{Client, ContactId, Error, LocationId, Receipt, Result, validate};

/// Finds, creates and updates contacts. From [`Client::contacts`].
#[derive(Debug, Clone)]
pub struct Contacts {
    client: Client,
}

impl Client {
    /// Returns the operations on contacts: find or create them before a message is sent or added.
    ///
    /// They require the location of the client, see [`ClientBuilder::location`](crate::ClientBuilder::location).
    pub fn contacts(&self) -> Contacts {
        Contacts { client: self.clone() }
    }
}

impl Contacts {
    /// Updates the contact with the phone number or the email, or creates one.
    ///
    /// The first step of a bridge, for messages need the id of a contact. The request can be repeated, and is retried after
    /// transient failures.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::{Contact, Inbound};
    ///
    /// let contact = client.contacts().upsert(Contact::phone("+15037081210").name("Grace")).await?;
    /// let message = Inbound::sms("61d6d1f9cdac7612faf80753").from_contact(contact.contact_id());
    /// client.messages().add_inbound(message.text("See you at eight")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]. A contact without phone number and email is rejected before anything is sent, and so is a phone
    /// number without a country code.
    pub async fn upsert(&self, contact: impl Into<ContactRequest>) -> Result<Receipt<UpsertContactResponse>> {
        let mut request = contact.into();
        validate::upsert(&mut request).map_err(|text| Error::invalid(UpsertContact::NAME, text))?;
        self.locate(&mut request.location_id, UpsertContact::NAME)?;
        self.client.execute(&UpsertContact { request }).await
    }

    /// Creates a contact. It is not repeated if its outcome is unknown; prefer [`upsert`](Self::upsert).
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; HighLevel rejects a duplicate with 400, unless the location allows them.
    pub async fn create(&self, contact: impl Into<ContactRequest>) -> Result<Receipt<ContactResponse>> {
        let mut request = contact.into();
        validate::contact(&mut request).map_err(|text| Error::invalid(CreateContact::NAME, text))?;
        self.locate(&mut request.location_id, CreateContact::NAME)?;
        self.client.execute(&CreateContact { request }).await
    }

    /// Returns a contact.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; see [`Error::is_contact_not_found`].
    pub async fn get(&self, contact: &ContactId) -> Result<Receipt<ContactResponse>> {
        let contact = checked(contact, GetContact::NAME)?;
        self.client.execute(&GetContact { contact }).await
    }

    /// Changes the fields of a contact that are set.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, id: highlevel::ContactId) -> highlevel::Result<()> {
    /// use highlevel::ContactUpdate;
    ///
    /// client.contacts().update(&id, ContactUpdate::new().last_name("Hopper").dnd(false)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn update(
        &self,
        contact: &ContactId,
        changes: impl Into<UpdateContactRequest>,
    ) -> Result<Receipt<ContactResponse>> {
        let contact = checked(contact, UpdateContact::NAME)?;
        let mut request = changes.into();
        validate::contact_update(&mut request).map_err(|text| Error::invalid(UpdateContact::NAME, text))?;
        self.client.execute(&UpdateContact { contact, request }).await
    }

    /// Returns the contact with a phone number or an email, if there is one.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::ContactKey;
    ///
    /// let found = client.contacts().find_duplicate(ContactKey::phone("+15037081210")).await?;
    /// match found.contact() {
    ///     Some(contact) => println!("{} is {:?}", contact.id, contact.first_name),
    ///     None => println!("unknown number"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]. A phone number without a country code is rejected before anything is sent.
    pub async fn find_duplicate(&self, key: ContactKey) -> Result<Receipt<DuplicateContactResponse>> {
        let invalid = |text| Error::invalid(FindDuplicateContact::NAME, text);
        let (number, email) = key.into_parts().map_err(invalid)?;
        let location = self.client.required_location(FindDuplicateContact::NAME)?;
        self.client.execute(&FindDuplicateContact { location, number, email }).await
    }

    /// Returns the contacts that a [`ContactSearch`](crate::ContactSearch) finds, page by page.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::ContactSearch;
    ///
    /// let mut found = client.contacts().search(ContactSearch::text("Grace"));
    /// while let Some(contact) = found.next().await {
    ///     println!("{}", contact?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn search(&self, search: impl Into<SearchContactsRequest>) -> Listing<ContactDetails> {
        let (contacts, request) = (self.clone(), search.into());
        Listing::new(move || contacts.search_page(request))
    }

    fn search_page(self, mut request: SearchContactsRequest) -> Fetch<ContactDetails> {
        Box::pin(async move {
            self.locate(&mut request.location_id, SearchContacts::NAME)?;
            let receipt = self.client.execute(&SearchContacts { request: request.clone() }).await?;
            let items = receipt.into_response().contacts.unwrap_or_default();
            let position = items.last().and_then(|last| last.search_after.clone());
            let is_full = i64::try_from(items.len()).is_ok_and(|count| count >= request.page_limit);
            let position = position.filter(|position| is_full && *position != request.search_after);
            let next = position.map(|position| {
                request.search_after = position;
                request.page = None;
                Box::new(move || self.search_page(request)) as _
            });
            Ok(ListPage { items, next })
        })
    }

    /// Adds tags to a contact, and returns all of its tags.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn add_tags(
        &self,
        contact: &ContactId,
        tags: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Receipt<ContactTagsResponse>> {
        let contact = checked(contact, AddContactTags::NAME)?;
        let request = tagged(tags, AddContactTags::NAME)?;
        self.client.execute(&AddContactTags { contact, request }).await
    }

    /// Removes tags from a contact, and returns the others.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn remove_tags(
        &self,
        contact: &ContactId,
        tags: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Receipt<ContactTagsResponse>> {
        let contact = checked(contact, RemoveContactTags::NAME)?;
        let request = tagged(tags, RemoveContactTags::NAME)?;
        self.client.execute(&RemoveContactTags { contact, request }).await
    }

    /// Adds a note to a contact. Accepts a text, and a [`ContactNoteRequest`] with any fields.
    ///
    /// It is not repeated if its outcome is unknown.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; its [`delivery`](Error::delivery) reports whether the note was added.
    pub async fn add_note(
        &self,
        contact: &ContactId,
        note: impl Into<Note>,
    ) -> Result<Receipt<ContactNoteResponse>> {
        let contact = checked(contact, AddContactNote::NAME)?;
        let Note(request) = note.into();
        if request.body.trim().is_empty() {
            return Err(Error::invalid(AddContactNote::NAME, "the note is empty: add a text"));
        }
        self.client.execute(&AddContactNote { contact, request }).await
    }

    /// Sets the location of a request that does not name it.
    fn locate(&self, location: &mut LocationId, operation: &'static str) -> Result<()> {
        if location.as_str().is_empty() {
            *location = self.client.required_location(operation)?;
        }
        Ok(())
    }
}

/// A note about a contact.
#[derive(Debug, Clone)]
pub struct Note(ContactNoteRequest);

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        Self(ContactNoteRequest::new(text))
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self(ContactNoteRequest::new(text))
    }
}

impl From<ContactNoteRequest> for Note {
    fn from(request: ContactNoteRequest) -> Self {
        Self(request)
    }
}

fn checked(contact: &ContactId, operation: &'static str) -> Result<ContactId> {
    validate::in_path("contact", contact).map_err(|text| Error::invalid(operation, text))?;
    Ok(contact.clone())
}

fn tagged(
    tags: impl IntoIterator<Item = impl Into<String>>,
    operation: &'static str,
) -> Result<ContactTagsRequest> {
    let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
    if tags.is_empty() || tags.iter().any(|tag| tag.trim().is_empty()) {
        return Err(Error::invalid(operation, "a tag is empty, or there is none: name each tag"));
    }
    Ok(ContactTagsRequest::new(tags))
}

impl Receipt<UpsertContactResponse> {
    /// Returns the contact.
    pub fn contact(&self) -> &ContactDetails {
        &self.response().contact
    }

    /// Returns the id of the contact.
    pub fn contact_id(&self) -> &ContactId {
        &self.contact().id
    }

    /// Returns `true` if the contact was created, and `false` if it was updated or if the response does not specify it.
    pub fn is_new(&self) -> bool {
        self.response().new == Some(true)
    }
}

impl Receipt<ContactResponse> {
    /// Returns the contact.
    pub fn contact(&self) -> &ContactDetails {
        &self.response().contact
    }

    /// Returns the id of the contact.
    pub fn contact_id(&self) -> &ContactId {
        &self.contact().id
    }
}

impl Receipt<DuplicateContactResponse> {
    /// Returns the contact, or `None` if there is none with the phone number or email.
    pub fn contact(&self) -> Option<&ContactDetails> {
        self.response().contact.as_ref()
    }
}

impl Receipt<ContactTagsResponse> {
    /// Returns the tags of the contact.
    pub fn tags(&self) -> &[String] {
        self.response().tags.as_deref().unwrap_or_default()
    }
}

impl Receipt<ContactNoteResponse> {
    /// Returns the note.
    pub fn note(&self) -> &ContactNote {
        &self.response().note
    }
}
