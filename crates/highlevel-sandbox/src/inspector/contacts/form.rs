//! The form of a contact.

use serde_json::{Map, Value, json};

use crate::api::ContactRejection;
use crate::engine::ContactInput;
use crate::inspector::conversations::segment;
use crate::inspector::route::PageRequest;
use crate::model::{Contact, DndChannel, Model};

/// The form of a new or an existing contact, with the values to show in it.
pub(super) struct ContactForm {
    /// The ID of an existing contact as a path segment.
    pub(super) segment: Option<String>,
    /// The ID of a new contact, if it is not generated.
    pub(super) id: Option<String>,
    pub(super) location: String,
    /// The locations available for a new contact.
    pub(super) locations: Vec<String>,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) email: String,
    /// Further addresses, one per line.
    pub(super) more_phones: String,
    pub(super) more_emails: String,
    /// Tags, one per line.
    pub(super) tags: String,
    /// The channels, and `true` for those with do-not-disturb.
    pub(super) channels: Vec<(&'static str, bool)>,
    pub(super) unsubscribed: bool,
    /// The errors by field name.
    pub(super) errors: Vec<(&'static str, String)>,
    /// An error that belongs to no field.
    pub(super) problem: Option<String>,
    /// The contact that already has an address, with its name and its ID as a path segment.
    pub(super) duplicate: Option<(String, String)>,
}

impl ContactForm {
    /// Creates the form for a new contact.
    pub(super) fn empty(model: &Model, location: &str) -> Self {
        Self {
            segment: None,
            id: None,
            location: location.to_owned(),
            locations: model.locations().map(|location| location.id.clone()).collect(),
            name: String::new(),
            phone: String::new(),
            email: String::new(),
            more_phones: String::new(),
            more_emails: String::new(),
            tags: String::new(),
            channels: DndChannel::ALL.map(|channel| (channel.as_str(), false)).into(),
            unsubscribed: false,
            errors: Vec::new(),
            problem: None,
            duplicate: None,
        }
    }

    /// Creates the form of an existing contact.
    pub(super) fn of(contact: &Contact) -> Self {
        let active = |channel: DndChannel| contact.do_not_disturb.contains(&channel);
        Self {
            segment: Some(segment(&contact.id)),
            id: None,
            location: contact.location_id.clone(),
            locations: Vec::new(),
            name: shown_name(contact).to_owned(),
            phone: contact.phone.clone().unwrap_or_default(),
            email: contact.email.clone().unwrap_or_default(),
            more_phones: contact.additional_phones.join("\n"),
            more_emails: contact.additional_emails.join("\n"),
            tags: contact.tags.join("\n"),
            channels: DndChannel::ALL.map(|channel| (channel.as_str(), active(channel))).into(),
            unsubscribed: contact.unsubscribed,
            errors: Vec::new(),
            problem: None,
            duplicate: None,
        }
    }

    /// Creates the form with the values that were sent.
    pub(super) fn sent(
        model: &Model,
        contact: Option<&Contact>,
        location: &str,
        page_request: &PageRequest,
    ) -> Self {
        let text = |name: &str| page_request.text_area(name).unwrap_or_default().trim().to_owned();
        let empty = match contact {
            Some(contact) => Self::of(contact),
            None => Self::empty(model, location),
        };
        let is_checked = |channel: &str| page_request.has("dnd", channel);
        Self {
            id: contact.is_none().then(|| text("contact")),
            location: page_request
                .field("location")
                .filter(|_| contact.is_none())
                .unwrap_or_else(|| location.to_owned()),
            name: text("name"),
            phone: text("phone"),
            email: text("email"),
            more_phones: text("morePhones"),
            more_emails: text("moreEmails"),
            tags: text("tags"),
            channels: DndChannel::ALL.map(|channel| (channel.as_str(), is_checked(channel.as_str()))).into(),
            unsubscribed: page_request.field("unsubscribed").is_some(),
            ..empty
        }
    }

    /// Returns `true` unless the ID of a new contact is already used, or browsers remove it from URLs even if it is encoded.
    pub(super) fn has_valid_id(&mut self, model: &Model) -> bool {
        let id = self.id.as_deref().unwrap_or_default();
        let error = if id == "." || id == ".." {
            format!(
                "contact ID {id:?} is invalid because browsers remove it from URLs; choose another one or leave the \
                 field empty"
            )
        } else if model.contact(id).is_some() {
            format!("contact ID {id} already exists")
        } else {
            return true;
        };
        self.errors.push(("contact", error));
        false
    }

    /// Returns the values as the engine takes them. The name of an existing contact is set only if it was changed, because it
    /// would replace the first and the last name.
    pub(super) fn input(&self, contact: Option<&Contact>) -> ContactInput {
        let mut fields = Map::new();
        if contact.is_none_or(|contact| shown_name(contact).trim() != self.name) {
            fields.insert("name".to_owned(), json!(self.name));
        }
        // An unchanged address is not normalised: the admin API stores any text.
        for (field, value, before) in [
            ("phone", &self.phone, contact.and_then(|contact| contact.phone.as_deref())),
            ("email", &self.email, contact.and_then(|contact| contact.email.as_deref())),
        ] {
            if before.unwrap_or_default().trim() != value {
                fields.insert(field.to_owned(), json!(value));
            }
        }
        fields.insert("tags".to_owned(), json!(lines(&self.tags)));
        let is_active = |(channel, active): &(&str, bool)| {
            let status = if *active { "active" } else { "inactive" };
            ((*channel).to_owned(), json!({ "status": status }))
        };
        fields.insert("dndSettings".to_owned(), self.channels.iter().map(is_active).collect());
        ContactInput {
            fields: Value::Object(fields),
            additional_emails: lines(&self.more_emails),
            additional_phones: lines(&self.more_phones),
            unsubscribed: self.unsubscribed,
        }
    }

    /// Assigns the errors to their fields.
    pub(super) fn reject(&mut self, rejection: ContactRejection) {
        match rejection {
            ContactRejection::Invalid(violations) => {
                for violation in violations {
                    let mut parts = violation.pointer.trim_start_matches('/').split('/');
                    let (field, line) = (parts.next().unwrap_or_default(), parts.next());
                    let line = line.and_then(|line| line.parse::<usize>().ok()).map(|line| line + 1);
                    let error = match (field, line) {
                        ("phone", _) => (
                            "phone",
                            format!("{:?} is not a phone number; enter one like +15037081210", self.phone),
                        ),
                        ("email", _) => ("email", format!("{:?} is not an email address", self.email)),
                        ("additionalPhones", Some(line)) => {
                            ("morePhones", format!("line {line} is not a phone number"))
                        }
                        ("additionalEmails", Some(line)) => {
                            ("moreEmails", format!("line {line} is not an email address"))
                        }
                        _ => {
                            self.problem = Some(violation.message);
                            continue;
                        }
                    };
                    self.errors.push(error);
                }
            }
            ContactRejection::Duplicate { id, name, matching } => {
                let error = format!("another contact of this location has this {}", matching.label());
                self.errors.push((matching.as_str(), error));
                self.duplicate = Some((name.unwrap_or_else(|| id.clone()), segment(&id)));
            }
            ContactRejection::TooManyNotes => self.problem = Some(crate::api::too_many_notes()),
        }
    }

    pub(super) fn is_new(&self) -> bool {
        self.segment.is_none()
    }

    /// Returns the error of a field.
    pub(super) fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| *name == field).map(|(_, error)| error.as_str())
    }
}

/// Returns the display name, or an empty text if the contact has none.
fn shown_name(contact: &Contact) -> &str {
    contact.name.as_deref().unwrap_or_default()
}

/// Returns the lines of a text that are not blank.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Returns the names of the channels with do-not-disturb; `All` stands for all of them.
pub(super) fn do_not_disturb(contact: &Contact) -> Vec<&'static str> {
    contact.do_not_disturb.iter().map(|channel| channel.as_str()).collect()
}
