//! Contacts: their addresses, and the channels on which they accept messages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::seed::location;
use crate::weight;

/// A contact of a location.
///
/// ```
/// use highlevel_sandbox::{Contact, DndChannel};
///
/// let contact = Contact::new("contact-1")
///     .phone("+15037081299")
///     .email("linus@example.com")
///     .additional_email("linus@work.example")
///     .do_not_disturb(DndChannel::Sms);
/// # let _ = contact;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Contact {
    /// The id used in requests.
    pub id: String,
    /// The location of the contact.
    #[serde(default = "location")]
    pub location_id: String,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The primary email address, which emails are sent to by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The primary phone number, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Further email addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_emails: Vec<String>,
    /// Further phone numbers, E.164.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_phones: Vec<String>,
    /// The channels with do-not-disturb.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub do_not_disturb: BTreeSet<DndChannel>,
    /// Set if the contact has unsubscribed from emails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsubscribed: bool,
    /// The first name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The notes, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The custom fields, as in the request that set them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_fields: Vec<Value>,
    /// Further fields of the API, by name: `companyName`, `city`, `timezone`, …
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// The time at which the contact was created, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_added: Option<String>,
    /// The time of the last change, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_updated: Option<String>,
}

/// A note about a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Note {
    /// The ID of the note.
    pub id: String,
    /// The text.
    pub body: String,
    /// The user who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The time at which it was added, RFC 3339.
    pub date_added: String,
}

/// A channel for which a contact can have do-not-disturb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DndChannel {
    /// All channels.
    All,
    /// `SMS`.
    #[serde(rename = "SMS")]
    Sms,
    /// `Email`.
    Email,
    /// `Call`, with voicemail.
    Call,
    /// `WhatsApp`.
    WhatsApp,
    /// `FB`, Facebook Messenger.
    #[serde(rename = "FB")]
    Facebook,
    /// `GMB`, Google business messages.
    #[serde(rename = "GMB")]
    Gmb,
}

impl DndChannel {
    /// All values.
    pub const ALL: [Self; 7] =
        [Self::All, Self::Sms, Self::Email, Self::Call, Self::WhatsApp, Self::Facebook, Self::Gmb];

    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Sms => "SMS",
            Self::Email => "Email",
            Self::Call => "Call",
            Self::WhatsApp => "WhatsApp",
            Self::Facebook => "FB",
            Self::Gmb => "GMB",
        }
    }
}

impl Contact {
    /// Creates a contact of the default location with nothing but an id.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            location_id: location(),
            name: None,
            email: None,
            phone: None,
            additional_emails: Vec::new(),
            additional_phones: Vec::new(),
            do_not_disturb: BTreeSet::new(),
            unsubscribed: false,
            first_name: None,
            last_name: None,
            tags: Vec::new(),
            notes: Vec::new(),
            custom_fields: Vec::new(),
            fields: Map::new(),
            date_added: None,
            date_updated: None,
        }
    }

    /// Sets the location.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }

    /// Sets the display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the primary email address.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the primary phone number, E.164.
    pub fn phone(mut self, phone: impl Into<String>) -> Self {
        self.phone = Some(phone.into());
        self
    }

    /// Adds a further email address.
    pub fn additional_email(mut self, email: impl Into<String>) -> Self {
        self.additional_emails.push(email.into());
        self
    }

    /// Adds a further phone number, E.164.
    pub fn additional_phone(mut self, phone: impl Into<String>) -> Self {
        self.additional_phones.push(phone.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Activates do-not-disturb for a channel, or for all of them.
    pub fn do_not_disturb(mut self, channel: DndChannel) -> Self {
        self.do_not_disturb.insert(channel);
        self
    }

    /// Unsubscribes the contact from emails.
    pub fn unsubscribed(mut self) -> Self {
        self.unsubscribed = true;
        self
    }

    /// Returns the email addresses, the primary one first.
    pub(crate) fn emails(&self) -> impl Iterator<Item = &str> {
        self.email.iter().chain(&self.additional_emails).map(String::as_str)
    }

    /// Returns the phone numbers, the primary one first.
    pub(crate) fn phones(&self) -> impl Iterator<Item = &str> {
        self.phone.iter().chain(&self.additional_phones).map(String::as_str)
    }

    /// Returns `true` if do-not-disturb is active for a channel, or for all of them.
    pub fn has_do_not_disturb(&self, channel: DndChannel) -> bool {
        self.do_not_disturb.contains(&DndChannel::All) || self.do_not_disturb.contains(&channel)
    }

    /// Returns the bytes of all fields but the id.
    pub(super) fn field_weight(&self) -> usize {
        let Self {
            id: _,
            location_id,
            name,
            email,
            phone,
            additional_emails,
            additional_phones,
            do_not_disturb,
            unsubscribed: _,
            first_name,
            last_name,
            tags,
            notes,
            custom_fields,
            fields,
            date_added,
            date_updated,
        } = self;
        let texts = [name, email, phone, first_name, last_name, date_added, date_updated];
        let list = |list: &Vec<String>| {
            weight::block(list.capacity() * size_of::<String>())
                + list.iter().map(|text| weight::text(text)).sum::<usize>()
        };
        let note = |Note { id, body, user_id, date_added }: &Note| {
            weight::text(id)
                + weight::text(body)
                + weight::option(user_id.as_ref())
                + weight::text(date_added)
        };
        let field = |(name, value): (&String, &Value)| weight::text(name) + weight::json(value);
        weight::text(location_id)
            + texts.into_iter().map(|text| weight::option(text.as_ref())).sum::<usize>()
            + [additional_emails, additional_phones, tags].into_iter().map(list).sum::<usize>()
            + if do_not_disturb.is_empty() { 0 } else { weight::block(64) }
            + weight::block(notes.capacity() * size_of::<Note>())
            + notes.iter().map(note).sum::<usize>()
            + weight::block(custom_fields.capacity() * size_of::<Value>())
            + custom_fields.iter().map(weight::json).sum::<usize>()
            + weight::fields(fields.len())
            + fields.iter().map(field).sum::<usize>()
            // The index of addresses.
            + self.emails().chain(self.phones()).map(|address| 200 + weight::text(address)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn channels_have_one_name_in_code_and_json() {
        for channel in DndChannel::ALL {
            assert_eq!(json!(channel), json!(channel.as_str()));
        }
    }

    #[test]
    fn do_not_disturb_applies_to_its_channel_or_to_all() {
        let sms = Contact::new("a").do_not_disturb(DndChannel::Sms);
        assert!(sms.has_do_not_disturb(DndChannel::Sms) && !sms.has_do_not_disturb(DndChannel::Email));
        let all = Contact::new("a").do_not_disturb(DndChannel::All);
        assert!(DndChannel::ALL.into_iter().all(|channel| all.has_do_not_disturb(channel)));
    }

    #[test]
    fn contacts_without_new_fields_are_read() {
        let contact: Contact = serde_json::from_value(json!({ "id": "a", "phone": "+15037081299" })).unwrap();
        assert_eq!(contact, Contact::new("a").phone("+15037081299"));
        assert_eq!(serde_json::to_value(&contact).unwrap().as_object().unwrap().len(), 3);
    }
}
