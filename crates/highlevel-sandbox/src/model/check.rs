//! Validation of records.

use chrono::DateTime;

use super::status::statuses;
use super::{Conflict, Kind, MAX_FILE_NAME, Model, RECORD_BYTES, Record, file_extensions, file_type};

impl Model {
    /// Validates a record against the existing ones:
    ///
    /// - The records that it references exist and belong to the same location.
    /// - Its location and, for a conversation, its contact do not change.
    /// - A contact has at most one conversation.
    ///
    /// A message may reference a deleted provider, and a file a deleted conversation, because they describe the past.
    pub(super) fn validate(&self, record: &Record) -> Result<(), Conflict> {
        let (kind, id) = (record.kind(), record.id());
        if id.is_empty() || id.len() > 200 {
            return Err(Conflict::new(format!(
                "the ID {id:?} of a {kind} has {} bytes; use 1 to 200 bytes",
                id.len()
            )));
        }
        if id == "." || id == ".." {
            return Err(Conflict::new(format!(
                "the ID of a {kind} cannot be {id:?}, which has a special meaning in URLs; choose another ID"
            )));
        }
        let before = || self.get(kind, id).map_or(0, |before| before.weight());
        if !matches!(kind, Kind::Message | Kind::File)
            && self.record_bytes + record.weight() > RECORD_BYTES + before()
        {
            return Err(Conflict::new(format!(
                "the {kind} {id} exceeds the limit of {RECORD_BYTES} bytes for all records except messages and files; delete \
                 other records first"
            )));
        }
        if let Some(before) = self.location_of(kind, id)
            && before != record.location_id()
        {
            return Err(Conflict::new(format!(
                "the {kind} {id} belongs to the location {} and cannot move to {}; delete it first",
                before,
                record.location_id()
            )));
        }
        self.validate_reference(record, Kind::Location, record.location_id())?;
        match record {
            Record::File(file) if file_type(&file.name).is_none() => Err(Conflict::new(format!(
                "the name of the file {id} is {:?}; expected an extension of {}",
                file.name,
                file_extensions().collect::<Vec<_>>().join(", ")
            ))),
            Record::File(file) if file.name.len() > MAX_FILE_NAME => Err(Conflict::new(format!(
                "the name of the file {id} has {} bytes; use at most {MAX_FILE_NAME}",
                file.name.len()
            ))),
            Record::Location(_) | Record::Contact(_) | Record::File(_) => Ok(()),
            Record::Provider(provider) => match &provider.delivery_url {
                Some(url) => crate::webhook_url::parse_webhook_url(url)
                    .map(drop)
                    .map_err(|error| Conflict::new(format!("deliveryUrl of the {kind} {id}: {error}"))),
                None => Ok(()),
            },
            Record::Conversation(conversation) => {
                self.validate_reference(record, Kind::Contact, &conversation.contact_id)?;
                if let Some(before) = self.conversation(id)
                    && before.contact_id != conversation.contact_id
                {
                    return Err(Conflict::new(format!(
                        "the conversation {id} belongs to the contact {} and cannot move to {}; delete it first",
                        before.contact_id, conversation.contact_id
                    )));
                }
                match self.conversation_with(&conversation.contact_id) {
                    Some(other) if other != id => Err(Conflict::new(format!(
                        "the contact {} already has the conversation {other}; delete it before adding {id}",
                        conversation.contact_id
                    ))),
                    _ => Ok(()),
                }
            }
            Record::Message(message) => {
                self.validate_reference(record, Kind::Contact, &message.contact_id)?;
                self.validate_reference(record, Kind::Conversation, &message.conversation_id)?;
                let owner = self.conversation(&message.conversation_id).map(|each| &*each.contact_id);
                if owner != Some(&*message.contact_id) {
                    return Err(Conflict::new(format!(
                        "the message {id} belongs to the contact {}, but its conversation {} belongs to {}",
                        message.contact_id,
                        message.conversation_id,
                        owner.unwrap_or_default()
                    )));
                }
                let allowed = statuses(&message.channel);
                if !allowed.contains(&&*message.status) {
                    return Err(Conflict::new(format!(
                        "the message {id} has the unknown status {:?}; expected one of {}",
                        message.status,
                        allowed.join(", ")
                    )));
                }
                if DateTime::parse_from_rfc3339(&message.date_added).is_err() {
                    return Err(Conflict::new(format!(
                        "dateAdded of the message {id} is {:?}; expected RFC 3339, like 2024-07-29T15:51:28.071Z",
                        message.date_added
                    )));
                }
                Ok(())
            }
        }
    }

    /// Returns the location of an existing record.
    fn location_of(&self, kind: Kind, id: &str) -> Option<&str> {
        Some(match kind {
            Kind::Location => &self.location(id)?.id,
            Kind::Contact => &self.contact(id)?.location_id,
            Kind::Conversation => &self.conversation(id)?.location_id,
            Kind::Provider => &self.provider(id)?.location_id,
            Kind::Message => &self.message(id)?.location_id,
            Kind::File => &self.file(id)?.location_id,
        })
    }

    /// Validates that a referenced record exists and belongs to the same location.
    fn validate_reference(&self, record: &Record, kind: Kind, id: &str) -> Result<(), Conflict> {
        if record.kind() == kind {
            return Ok(());
        }
        let referrer = || format!("the {} {}", record.kind(), record.id());
        match self.location_of(kind, id) {
            None => Err(Conflict::new(format!(
                "{} references the {kind} {id:?}, which does not exist; add it first",
                referrer()
            ))),
            Some(found) if kind != Kind::Location && found != record.location_id() => {
                Err(Conflict::new(format!(
                    "{} belongs to the location {}, but the {kind} {id} belongs to {}",
                    referrer(),
                    record.location_id(),
                    found
                )))
            }
            Some(_) => Ok(()),
        }
    }
}
