//! Contacts to create and changes of contacts.

use highlevel_wire::types::{
    ContactCustomField, ContactDndSetting, ContactDndSettings, ContactRequest, DndStatus,
    UpdateContactRequest,
};
use serde_json::Value;

use crate::{CustomFieldId, LocationId, PhoneNumber, UserId};

/// A contact to create, or to update if it exists.
///
/// ```
/// use highlevel::Contact;
///
/// let contact = Contact::phone("+15037081210").name("Grace Hopper").with_email("grace@example.com").tag("vip");
/// ```
///
/// Phone numbers are sent in E.164 format, see [`PhoneNumber`]. A number without a country code is an error of the request.
#[derive(Debug, Clone)]
#[must_use = "a contact is stored by `client.contacts().upsert(…)`"]
pub struct Contact(ContactRequest);

/// Changes of a contact. A field that is not set stays as it is.
///
/// ```
/// use highlevel::ContactUpdate;
///
/// let changes = ContactUpdate::new().last_name("Hopper").city("Arlington");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a contact is changed by `client.contacts().update(…)`"]
pub struct ContactUpdate(UpdateContactRequest);

impl Contact {
    /// Creates a contact with a phone number, like `+15037081210`.
    pub fn phone(number: impl Into<String>) -> Self {
        Self::empty().with_phone(number)
    }

    /// Creates a contact with an email address, like `grace@example.com`.
    pub fn email(address: impl Into<String>) -> Self {
        Self::empty().with_email(address)
    }

    /// Creates a contact with neither of both, which only [`Contacts::create`](crate::Contacts::create) accepts.
    pub fn named(name: impl Into<String>) -> Self {
        Self::empty().name(name)
    }

    fn empty() -> Self {
        // The client sets its location.
        Self(ContactRequest::new(LocationId(String::new())))
    }

    /// Sets the location. Defaults to that of the client.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.0.location_id = location.into();
        self
    }

    /// Sets the company that the contact works for.
    pub fn company(mut self, name: impl Into<String>) -> Self {
        self.0.company_name = Some(name.into());
        self
    }
}

impl ContactUpdate {
    /// Creates changes without any.
    pub fn new() -> Self {
        Self(UpdateContactRequest::new())
    }
}

impl Default for ContactUpdate {
    fn default() -> Self {
        Self::new()
    }
}

/// Methods for the text fields that both requests have.
macro_rules! texts {
    ($builder:ident: $( $(#[$doc:meta])* $method:ident => $field:ident; )+) => {
        impl $builder {
            $(
                $(#[$doc])*
                pub fn $method(mut self, value: impl Into<String>) -> Self {
                    self.0.$field = Some(value.into());
                    self
                }
            )+
        }
    };
}

/// Methods for the fields that both requests have.
macro_rules! fields {
    ($($builder:ident),+) => {
        $(
            texts! {
                $builder:
                /// Sets the phone number, like `+15037081210`.
                with_phone => phone;
                /// Sets the email address. HighLevel stores it in lower case.
                with_email => email;
                /// Sets the full name.
                name => name;
                /// Sets the first name.
                first_name => first_name;
                /// Sets the last name.
                last_name => last_name;
                /// Sets street and number.
                street => address1;
                /// Sets the city.
                city => city;
                /// Sets the state.
                state => state;
                /// Sets the postal code.
                postal_code => postal_code;
                /// Sets the country, an ISO 3166 code like `US`.
                country => country;
                /// Sets the website.
                website => website;
                /// Sets the time zone, like `America/Los_Angeles`.
                timezone => timezone;
                /// Sets the origin of the contact, a free text.
                source => source;
                /// Sets the date of birth, like `1906-12-09`.
                date_of_birth => date_of_birth;
            }

            impl $builder {
                /// Sets the user that the contact is assigned to.
                pub fn assigned_to(mut self, user: impl Into<UserId>) -> Self {
                    self.0.assigned_to = Some(user.into());
                    self
                }

                /// Adds a tag. The tags of the request replace all tags that an existing contact has; see
                /// [`Contacts::add_tags`](crate::Contacts::add_tags).
                pub fn tag(mut self, tag: impl Into<String>) -> Self {
                    self.0.tags.push(tag.into());
                    self
                }

                /// Sets a custom field, by its id.
                pub fn custom_field(mut self, id: impl Into<CustomFieldId>, value: impl Into<Value>) -> Self {
                    let mut field = ContactCustomField::new();
                    field.id = Some(id.into());
                    field.field_value = Some(value.into());
                    self.0.custom_fields.push(field);
                    self
                }

                /// Sets do-not-disturb for all channels.
                pub fn dnd(mut self, is_active: bool) -> Self {
                    self.0.dnd = Some(is_active);
                    self
                }

                /// Sets do-not-disturb for text messages.
                pub fn dnd_sms(mut self, status: DndStatus) -> Self {
                    let settings = self.0.dnd_settings.get_or_insert_with(ContactDndSettings::new);
                    settings.sms = Some(ContactDndSetting::new(status));
                    self
                }

                /// Sets do-not-disturb for emails.
                pub fn dnd_email(mut self, status: DndStatus) -> Self {
                    let settings = self.0.dnd_settings.get_or_insert_with(ContactDndSettings::new);
                    settings.email = Some(ContactDndSetting::new(status));
                    self
                }

                /// Sets do-not-disturb for calls.
                pub fn dnd_call(mut self, status: DndStatus) -> Self {
                    let settings = self.0.dnd_settings.get_or_insert_with(ContactDndSettings::new);
                    settings.call = Some(ContactDndSetting::new(status));
                    self
                }
            }
        )+
    };
}

fields!(Contact, ContactUpdate);

impl From<Contact> for ContactRequest {
    fn from(contact: Contact) -> Self {
        contact.0
    }
}

impl From<ContactUpdate> for UpdateContactRequest {
    fn from(changes: ContactUpdate) -> Self {
        changes.0
    }
}

/// The phone number or email that identifies a contact in a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactKey(Key);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Phone(String),
    Email(String),
}

impl ContactKey {
    /// A phone number, like `+15037081210`.
    pub fn phone(number: impl Into<String>) -> Self {
        Self(Key::Phone(number.into()))
    }

    /// An email address.
    pub fn email(email: impl Into<String>) -> Self {
        Self(Key::Email(email.into()))
    }

    /// Returns the phone number in E.164 format, or the email.
    pub(super) fn into_parts(self) -> Result<(Option<String>, Option<String>), String> {
        match self.0 {
            Key::Phone(number) => match number.parse::<PhoneNumber>() {
                Ok(number) => Ok((Some(number.to_string()), None)),
                Err(error) => Err(error.to_string()),
            },
            Key::Email(email) if !email.contains('@') => {
                Err(format!("the email address `{}` has no `@`: check it", email.escape_debug()))
            }
            Key::Email(email) => Ok((None, Some(email.trim().to_owned()))),
        }
    }
}
