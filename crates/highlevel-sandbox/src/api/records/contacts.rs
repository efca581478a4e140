//! Contacts: create, update and find them, with their tags and notes.

use serde_json::json;

use super::contact_fields::{add_tags, set, texts};
use super::contact_view::details;
use super::{ErrorResponse, RecordRequest, Reply};
use crate::model::{Contact, Note, address};
use crate::spec::Violation;

/// The maximum number of notes of a contact, which are stored with it.
const MAX_NOTES: usize = 500;

/// The field in which two contacts are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matching {
    Email,
    Phone,
}

impl Matching {
    fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

impl RecordRequest<'_> {
    pub(super) fn get_contact(&self) -> Result<Reply, ErrorResponse> {
        Ok(Reply::ok(json!({ "contact": details(self.contact()?) })))
    }

    pub(super) fn create_contact(&self) -> Result<Reply, ErrorResponse> {
        let mut contact = self.new_contact();
        set(&mut contact, &self.body)?;
        self.check_duplicate(&contact)?;
        let body = json!({ "contact": details(&contact) });
        Ok(Reply::ok(body).created(self.settings).put(contact.into()))
    }

    /// Updates the contact with the email address, or else that with the phone number. If two contacts have one of them
    /// each, the phone number of the other contact is ignored.
    pub(super) fn upsert_contact(&self) -> Result<Reply, ErrorResponse> {
        let mut requested = self.new_contact();
        set(&mut requested, &self.body)?;
        let found = self.duplicate(&requested).map(|(found, _)| found.clone());
        let is_new = found.is_none();
        let mut contact = found.clone().unwrap_or(requested);
        if let Some(found) = found {
            set(&mut contact, &self.body)?;
            let of_others: Vec<Matching> = self.duplicates(&contact).map(|(_, matching)| matching).collect();
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
        let mut contact = self.contact()?.clone();
        set(&mut contact, &self.body)?;
        self.check_duplicate(&contact)?;
        contact.date_updated = Some(self.generated.now.clone());
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
        let mut contact = self.contact()?.clone();
        if contact.notes.len() >= MAX_NOTES {
            return Err(ErrorResponse::bad_request(&format!(
                "the sandbox stores at most {MAX_NOTES} notes of a contact; delete the contact or reset the sandbox"
            )));
        }
        let note = Note {
            id: self.generated.message_id.clone(),
            body: self.text("body").unwrap_or_default().to_owned(),
            user_id: self.text("userId").map(str::to_owned),
            date_added: self.generated.now.clone(),
        };
        let mut view = json!(note);
        view["contactId"] = json!(contact.id);
        contact.notes.push(note);
        contact.date_updated = Some(self.generated.now.clone());
        Ok(Reply::ok(json!({ "note": view })).created(self.settings).put(contact.into()))
    }

    /// Returns a contact without fields.
    fn new_contact(&self) -> Contact {
        let now = &self.generated.now;
        let mut contact = Contact::new(&self.generated.message_id).location(self.location);
        (contact.date_added, contact.date_updated) = (Some(now.clone()), Some(now.clone()));
        contact
    }

    /// Returns the other contacts with the email address or the phone number of a contact, those with the email first.
    fn duplicates<'a>(&'a self, contact: &'a Contact) -> impl Iterator<Item = (&'a Contact, Matching)> {
        let of = move |address: &'a Option<String>, matching| {
            let found = address.iter().flat_map(|address| self.model.contacts_with(self.location, address));
            found.map(move |found| (found, matching))
        };
        let all = of(&contact.email, Matching::Email).chain(of(&contact.phone, Matching::Phone));
        all.filter(|(found, _)| found.id != contact.id)
    }

    fn duplicate<'a>(&'a self, contact: &'a Contact) -> Option<(&'a Contact, Matching)> {
        self.duplicates(contact).next()
    }

    /// Rejects a contact with an address of another one.
    fn check_duplicate(&self, contact: &Contact) -> Result<(), ErrorResponse> {
        let Some((found, matching)) = self.duplicate(contact) else { return Ok(()) };
        let meta = json!({
            "contactId": found.id,
            "contactName": super::contact_view::full_name(found),
            "matchingField": matching.as_str(),
        });
        let error = ErrorResponse::bad_request("This location does not allow duplicated contacts.");
        Err(error.with("meta", meta))
    }
}
