//! Snapshots of all records and credentials, in the format of seed files.

use std::io;

use serde::{Deserialize, Serialize};

use crate::credentials::StoredCredentials;
use crate::model::{
    CALL_PROVIDER_ID, CONTACT_ID, CONVERSATION_ID, CUSTOM_PROVIDER_ID, Conflict, Contact, Conversation,
    ConversationProvider, EMAIL_PROVIDER_ID, LOCATION_ID, Location, Message, Model, ProviderKind,
    REFERENCE_PROVIDER_IDS, Record, SMS_PROVIDER_ID, StoredFile, StoredMessage,
};

/// A snapshot of all records, in the format of a seed file. Absent fields are empty.
///
/// `M` is the type of the messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    bound(serialize = "M: Serialize", deserialize = "M: Deserialize<'de>")
)]
#[non_exhaustive]
pub struct Snapshot<M = Message> {
    /// The locations.
    pub locations: Vec<Location>,
    /// Their contacts.
    pub contacts: Vec<Contact>,
    /// The conversations with the contacts.
    pub conversations: Vec<Conversation>,
    /// The conversation providers.
    pub providers: Vec<ConversationProvider>,
    /// Messages and calls, oldest first.
    pub messages: Vec<M>,
    /// Uploaded files, oldest first.
    pub files: Vec<StoredFile>,
    /// The tokens and apps.
    pub(crate) credentials: StoredCredentials,
}

impl Snapshot {
    /// Parses a seed file or a snapshot: JSON or YAML.
    ///
    /// # Errors
    ///
    /// Returns `InvalidData` with the position of the error if the text is malformed.
    pub fn parse(text: &str) -> io::Result<Self> {
        let unreadable = |error: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the seed cannot be read: {error}"))
        };
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| unreadable(&error));
        }
        serde_saphyr::from_str(text).map_err(|error| unreadable(&error))
    }

    /// Returns a snapshot of a model, without credentials.
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            locations: model.locations().cloned().collect(),
            contacts: model.contacts().cloned().collect(),
            conversations: model.conversations().cloned().collect(),
            providers: model.providers().cloned().collect(),
            messages: model.messages().map(|message| message.parsed()).collect(),
            files: model.files().map(|file| StoredFile::clone(file)).collect(),
            ..Self::default()
        }
    }

    /// Returns the snapshot with its messages as they are stored.
    pub(crate) fn into_stored(self) -> StoredSnapshot {
        let Self { locations, contacts, conversations, providers, messages, files, credentials } = self;
        let messages = messages.into_iter().map(|message| message.to_stored()).collect();
        StoredSnapshot { locations, contacts, conversations, providers, messages, files, credentials }
    }
}

/// A snapshot with messages as they are stored.
pub(crate) type StoredSnapshot = Snapshot<StoredMessage>;

impl StoredSnapshot {
    /// Returns the records. Each one comes after the records that it references.
    pub(crate) fn into_records(self) -> impl Iterator<Item = Record> {
        let Self { locations, contacts, conversations, providers, messages, files, .. } = self;
        (locations.into_iter().map(Record::Location))
            .chain(contacts.into_iter().map(Record::from))
            .chain(conversations.into_iter().map(Record::Conversation))
            .chain(providers.into_iter().map(Record::Provider))
            .chain(messages.into_iter().map(Record::from))
            .chain(files.into_iter().map(Record::from))
    }
}

impl<M> Default for Snapshot<M> {
    fn default() -> Self {
        Self {
            locations: Vec::new(),
            contacts: Vec::new(),
            conversations: Vec::new(),
            providers: Vec::new(),
            messages: Vec::new(),
            files: Vec::new(),
            credentials: StoredCredentials::default(),
        }
    }
}

impl TryFrom<StoredSnapshot> for Model {
    type Error = Conflict;

    fn try_from(snapshot: StoredSnapshot) -> Result<Self, Conflict> {
        let mut model = Self::default();
        model.put(snapshot.into_records())?;
        Ok(model)
    }
}

/// The number in the examples of the reference.
const EXAMPLE_PHONE: &str = "+15037081210";

/// Returns the default seed, which contains all records used by the examples of HighLevel's documentation.
pub(crate) fn seed() -> StoredSnapshot {
    let contacts = [
        // (contact, conversation, name, email, phone)
        (CONTACT_ID, CONVERSATION_ID, "Ada", "ada@example.com", EXAMPLE_PHONE),
        // The examples use the same ID for a contact and its conversation.
        ("ve9EPM428h8vShlRW1KT", "ve9EPM428h8vShlRW1KT", "Grace", "grace@example.com", "+15037081211"),
        ("cI08i1Bls3iTB9bKgFJh", "fcanlLgpbQgQhderivVs", "Alan", "alan@example.com", "+15037081212"),
    ];
    let mut seed =
        StoredSnapshot { locations: vec![Location::new(LOCATION_ID)], ..StoredSnapshot::default() };
    for (contact, conversation, name, email, phone) in contacts {
        let mut contact_record = Contact::new(contact).name(name).email(email).phone(phone);
        // The address and the number of the examples of the reference.
        contact_record = contact_record.additional_email("recipient@company.com");
        if phone != EXAMPLE_PHONE {
            contact_record = contact_record.additional_phone(EXAMPLE_PHONE);
        }
        seed.contacts.push(contact_record);
        seed.conversations.push(Conversation::new(conversation, contact));
    }
    seed.providers.extend(REFERENCE_PROVIDER_IDS.map(ConversationProvider::new));
    let kinds = [
        (SMS_PROVIDER_ID, ProviderKind::Sms),
        (CUSTOM_PROVIDER_ID, ProviderKind::CustomSms),
        (EMAIL_PROVIDER_ID, ProviderKind::Email),
        (CALL_PROVIDER_ID, ProviderKind::Call),
    ];
    seed.providers.extend(kinds.map(|(id, kind)| ConversationProvider::new(id).kind(kind)));
    seed
}
