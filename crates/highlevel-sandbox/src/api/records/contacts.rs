//! Contacts: create, update and find them, with their tags and notes.

use serde_json::{Value, json};

use super::contact_fields::{add_tags, set, texts};
use super::contact_rejection::{ContactRejection, MAX_NOTES, Matching};
use super::contact_view::{details, full_name};
use super::{ErrorResponse, RecordRequest, Reply};
use crate::model::{Contact, Model, Note, address};
use crate::spec::Violation;

impl RecordRequest<'_> {
    pub(super) fn get_contact(&self) -> Result<Reply, ErrorResponse> {
        Ok(Reply::ok(json!({ "contact": details(self.contact()?) })))
    }

    pub(super) fn create_contact(&self) -> Result<Reply, ErrorResponse> {
        let contact = changed(self.model, self.new_contact(), &self.body, &self.generated.now)?;
        let body = json!({ "contact": details(&contact) });
        Ok(Reply::ok(body).created(self.settings).put(contact.into()))
    }

    /// Updates the contact with the email address, or else that with the phone number. If two contacts have one of them
    /// each, the phone number of the other contact is ignored.
    pub(super) fn upsert_contact(&self) -> Result<Reply, ErrorResponse> {
        let mut requested = self.new_contact();
        requested.date_updated.clone_from(&requested.date_added);
        set(&mut requested, &self.body)?;
        let found = duplicates(self.model, &requested).next().map(|(found, _)| found.clone());
        let is_new = found.is_none();
        let mut contact = found.clone().unwrap_or(requested);
        if let Some(found) = found {
            set(&mut contact, &self.body)?;
            let of_others: Vec<Matching> =
                duplicates(self.model, &contact).map(|(_, matching)| matching).collect();
            for matching in of_others {
                match matching {
                    Matching::Email => contact.email.clone_from(&found.email),
                    Matching::Phone => contact.phone.clone_from(&found.phone),
                }
            }
            contact.date_updated = Some(self.generated.now.clone());
        }
        // The live API has both spellings.
        let body =
            json!({ "new": is_new, "succeded": true, "succeeded": true, "contact": details(&contact) });
        let reply = Reply::ok(body);
        let reply = if is_new { reply.created(self.settings) } else { reply };
        Ok(reply.put(contact.into()))
    }

    pub(super) fn update_contact(&self) -> Result<Reply, ErrorResponse> {
        let contact = changed(self.model, self.contact()?.clone(), &self.body, &self.generated.now)?;
        let body = json!({ "succeded": true, "contact": details(&contact) });
        Ok(Reply::ok(body).put(contact.into()))
    }

    pub(super) fn find_duplicate_contact(&self) -> Result<Reply, ErrorResponse> {
        let (email, phone) = (self.query.get("email"), self.query.get("number"));
        if email.is_none() && phone.is_none() {
            let missing = Violation::new("/number", "required", "or email is required, but both are missing");
            return Err(ErrorResponse::invalid(&[missing], 0));
        }
        let addresses = [email.and_then(address::email), phone.and_then(address::phone)];
        let mut matching = addresses.iter().flatten();
        let found = matching.find_map(|address| self.model.contacts_with(self.location, address).next());
        Ok(Reply::ok(match found {
            Some(contact) => json!({ "contact": details(contact), "matchingField": "contactId" }),
            None => json!({}),
        }))
    }

    pub(super) fn add_contact_tags(&self) -> Result<Reply, ErrorResponse> {
        let mut contact = self.contact()?.clone();
        let added = add_tags(&mut contact, &self.body["tags"]);
        contact.date_updated = Some(self.generated.now.clone());
        let body = json!({ "tags": contact.tags, "tagsAdded": added });
        Ok(Reply::ok(body).created(self.settings).put(contact.into()))
    }

    pub(super) fn remove_contact_tags(&self) -> Result<Reply, ErrorResponse> {
        let mut contact = self.contact()?.clone();
        let removed: std::collections::BTreeSet<String> = texts(&self.body["tags"]).collect();
        let (gone, left): (Vec<String>, Vec<String>) =
            contact.tags.into_iter().partition(|tag| removed.contains(tag));
        contact.tags = left;
        contact.date_updated = Some(self.generated.now.clone());
        let body = json!({ "tags": contact.tags, "tagsRemoved": gone });
        Ok(Reply::ok(body).put(contact.into()))
    }

    pub(super) fn add_contact_note(&self) -> Result<Reply, ErrorResponse> {
        let note = Note {
            id: self.generated.message_id.clone(),
            body: self.text("body").unwrap_or_default().to_owned(),
            user_id: self.text("userId").map(str::to_owned),
            date_added: self.generated.now.clone(),
        };
        let mut view = json!(note);
        let contact = with_note(self.contact()?.clone(), note)?;
        view["contactId"] = json!(contact.id);
        Ok(Reply::ok(json!({ "note": view })).created(self.settings).put(contact.into()))
    }

    /// Returns a contact without fields.
    fn new_contact(&self) -> Contact {
        new_contact(&self.generated.message_id, self.location, &self.generated.now)
    }
}

/// Returns a contact without fields that was created at a time.
pub(crate) fn new_contact(id: &str, location: &str, now: &str) -> Contact {
    let mut contact = Contact::new(id).location(location);
    contact.date_added = Some(now.to_owned());
    contact
}

/// Writes the fields of a valid body into a contact that was changed at a time.
///
/// # Errors
///
/// Returns an error if an address is malformed, or if another contact of the location has it.
pub(crate) fn changed(
    model: &Model,
    mut contact: Contact,
    fields: &Value,
    now: &str,
) -> Result<Contact, ContactRejection> {
    set(&mut contact, fields)?;
    if let Some((found, matching)) = duplicates(model, &contact).next() {
        return Err(ContactRejection::Duplicate { id: found.id.clone(), name: full_name(found), matching });
    }
    contact.date_updated = Some(now.to_owned());
    Ok(contact)
}

/// Adds a note to a contact.
///
/// # Errors
///
/// Returns an error if the contact has the maximum number of notes.
pub(crate) fn with_note(mut contact: Contact, note: Note) -> Result<Contact, ContactRejection> {
    if contact.notes.len() >= MAX_NOTES {
        return Err(ContactRejection::TooManyNotes);
    }
    contact.date_updated = Some(note.date_added.clone());
    contact.notes.push(note);
    Ok(contact)
}

/// Returns the other contacts with the email address or the phone number of a contact, those with the email first.
fn duplicates<'a>(model: &'a Model, contact: &'a Contact) -> impl Iterator<Item = (&'a Contact, Matching)> {
    let of = move |address: &'a Option<String>, matching| {
        let found = address.iter().flat_map(|address| model.contacts_with(&contact.location_id, address));
        found.map(move |found| (found, matching))
    };
    let all = of(&contact.email, Matching::Email).chain(of(&contact.phone, Matching::Phone));
    all.filter(|(found, _)| found.id != contact.id)
}
