//! Contacts that are created and changed in the inspector, by the rules of the API.

use chrono::SecondsFormat;
use serde_json::Value;

use super::mutation_error::MutationError;
use super::state::Engine;
use crate::api::{self, ContactRejection};
use crate::model::{Contact, Kind, Model, Note, Record, address};
use crate::spec::Violation;

/// The values of a contact.
#[derive(Debug, Default)]
pub(crate) struct ContactInput {
    /// The fields of a request to the API.
    pub(crate) fields: Value,
    pub(crate) additional_emails: Vec<String>,
    pub(crate) additional_phones: Vec<String>,
    /// `true` if the contact has unsubscribed from emails.
    pub(crate) unsubscribed: bool,
}

/// An error of a change of a contact, which was not made.
#[derive(Debug)]
pub(crate) enum ContactError {
    /// The input violates a rule of the API.
    Rejected(ContactRejection),
    Mutation(MutationError),
}

impl From<ContactRejection> for ContactError {
    fn from(rejection: ContactRejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Engine {
    /// Creates a contact. Generates an ID if `id` is `None`.
    pub(crate) fn create_contact(
        &self,
        id: Option<String>,
        location: &str,
        input: &ContactInput,
    ) -> Result<Contact, ContactError> {
        let id = id.unwrap_or_else(|| self.identifiers.object_id());
        let mut model = self.model();
        if model.contact(&id).is_some() {
            let conflict = MutationError::Conflict(format!("contact ID {id} already exists"));
            return Err(ContactError::Mutation(conflict));
        }
        let contact = api::new_contact(&id, location, &self.contact_time());
        self.store_contact(&mut model, contact, input)
    }

    /// Changes a contact.
    pub(crate) fn update_contact(&self, id: &str, input: &ContactInput) -> Result<Contact, ContactError> {
        let mut model = self.model();
        let contact = existing(&model, id)?;
        self.store_contact(&mut model, contact, input)
    }

    /// Adds a note to a contact.
    pub(crate) fn add_contact_note(&self, id: &str, text: &str) -> Result<(), ContactError> {
        let mut model = self.model();
        let note = Note {
            id: self.identifiers.object_id(),
            body: text.to_owned(),
            user_id: None,
            date_added: self.contact_time(),
        };
        let contact = api::with_note(existing(&model, id)?, note)?;
        self.put_contact_record(&mut model, contact).map(drop)
    }

    fn store_contact(
        &self,
        model: &mut Model,
        mut contact: Contact,
        input: &ContactInput,
    ) -> Result<Contact, ContactError> {
        let ContactInput { fields, additional_emails, additional_phones, unsubscribed } = input;
        // All violations are reported together.
        let mut violations = Vec::new();
        let mut normalized = |list: &[String],
                              before: &[String],
                              field: &str,
                              of: fn(&str) -> Option<String>,
                              problem: &str| {
            let mut valid: Vec<String> = Vec::new();
            for (index, text) in list.iter().enumerate() {
                // The admin API stores any text.
                match of(text).or_else(|| before.contains(text).then(|| text.clone())) {
                    Some(address) if valid.contains(&address) => {}
                    Some(address) => valid.push(address),
                    None => violations.push(Violation::new(&format!("/{field}/{index}"), "format", problem)),
                }
            }
            valid
        };
        contact.additional_emails = normalized(
            additional_emails,
            &contact.additional_emails,
            "additionalEmails",
            address::email,
            "must be an email",
        );
        contact.additional_phones = normalized(
            additional_phones,
            &contact.additional_phones,
            "additionalPhones",
            address::phone,
            "must be a valid phone number",
        );
        contact.unsubscribed = *unsubscribed;
        let contact = match api::changed_contact(model, contact, fields, &self.contact_time()) {
            Err(ContactRejection::Invalid(mut of_fields)) => {
                of_fields.append(&mut violations);
                return Err(ContactRejection::Invalid(of_fields).into());
            }
            _ if !violations.is_empty() => return Err(ContactRejection::Invalid(violations).into()),
            changed => changed?,
        };
        self.put_contact_record(model, contact)
    }

    fn put_contact_record(&self, model: &mut Model, contact: Contact) -> Result<Contact, ContactError> {
        let put = self.put(model, [Record::from(contact.clone())]);
        put.map_err(|conflict| ContactError::Mutation(MutationError::Conflict(conflict.to_string())))?;
        Ok(contact)
    }

    fn contact_time(&self) -> String {
        self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// Returns a copy of an existing contact.
fn existing(model: &Model, id: &str) -> Result<Contact, ContactError> {
    let missing = || MutationError::Missing(format!("there is no {} {id}", Kind::Contact));
    model.contact(id).cloned().ok_or_else(|| ContactError::Mutation(missing()))
}
