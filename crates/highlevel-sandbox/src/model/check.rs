//! What has to be true of everything that exists.

use chrono::DateTime;

use super::status::statuses;
use super::{Conflict, Kind, Model, RECORD_BYTES, Record};

impl Model {
    /// Whether a record can be put beside what exists:
    ///
    /// - what it names exists, and is of the same location;
    /// - it stays with the location and the contact that it began with;
    /// - a contact has one conversation at most.
    ///
    /// A message may name a provider that is gone: it says what was, not what is.
    pub(super) fn check(&self, record: &Record) -> Result<(), Conflict> {
        let (kind, id) = (record.kind(), record.id());
        if id.is_empty() || id.len() > 200 {
            return Err(Conflict::new(format!("the id of a {kind} has 1 to 200 bytes, and {id:?} has not")));
        }
        if id == "." || id == ".." {
            return Err(Conflict::new(format!(
                "the id of a {kind} cannot be {id:?}: it is a part of addresses, where that means a place; choose another"
            )));
        }
        let before = || self.get(kind, id).map_or(0, |before| before.weight());
        if kind != Kind::Message && self.record_bytes + record.weight() > RECORD_BYTES + before() {
            return Err(Conflict::new(format!(
                "the {kind} {id} does not fit: everything but messages takes at most {RECORD_BYTES} bytes of memory; \
                 delete something first"
            )));
        }
        if let Some(before) = self.location_of(kind, id)
            && before != record.location_id()
        {
            return Err(Conflict::new(format!(
                "the {kind} {id} is of the location {}, and cannot move to {}; delete it first",
                before,
                record.location_id()
            )));
        }
        self.expect(record, Kind::Location, record.location_id())?;
        match record {
            Record::Location(_) | Record::Contact(_) => Ok(()),
            Record::Provider(provider) => match &provider.delivery_url {
                Some(url) => crate::webhook_url::parse_webhook_url(url).map(drop).map_err(|error| {
                    Conflict::new(format!("the delivery URL of the {kind} {id} is wrong: {error}"))
                }),
                None => Ok(()),
            },
            Record::Conversation(conversation) => {
                self.expect(record, Kind::Contact, &conversation.contact_id)?;
                if let Some(before) = self.conversation(id)
                    && before.contact_id != conversation.contact_id
                {
                    return Err(Conflict::new(format!(
                        "the conversation {id} is with the contact {}, and cannot be with {} instead",
                        before.contact_id, conversation.contact_id
                    )));
                }
                match self.conversation_with(&conversation.contact_id) {
                    Some(other) if other != id => Err(Conflict::new(format!(
                        "the contact {} has the conversation {other} already, and a contact has one: the conversation \
                         {id} cannot be added",
                        conversation.contact_id
                    ))),
                    _ => Ok(()),
                }
            }
            Record::Message(message) => {
                self.expect(record, Kind::Contact, &message.contact_id)?;
                self.expect(record, Kind::Conversation, &message.conversation_id)?;
                let owner = self.conversation(&message.conversation_id).map(|each| &*each.contact_id);
                if owner != Some(&*message.contact_id) {
                    return Err(Conflict::new(format!(
                        "the message {id} is with the contact {}, and its conversation {} is with {}",
                        message.contact_id,
                        message.conversation_id,
                        owner.unwrap_or_default()
                    )));
                }
                let allowed = statuses(&message.channel);
                if !allowed.contains(&&*message.status) {
                    return Err(Conflict::new(format!(
                        "the message {id} cannot have the status {:?}; there are {}",
                        message.status,
                        allowed.join(", ")
                    )));
                }
                if DateTime::parse_from_rfc3339(&message.date_added).is_err() {
                    return Err(Conflict::new(format!(
                        "dateAdded of the message {id} is {:?}, and has to be like 2024-07-29T15:51:28.071Z",
                        message.date_added
                    )));
                }
                Ok(())
            }
        }
    }

    /// The location that something is of, if it is there.
    fn location_of(&self, kind: Kind, id: &str) -> Option<&str> {
        Some(match kind {
            Kind::Location => &self.location(id)?.id,
            Kind::Contact => &self.contact(id)?.location_id,
            Kind::Conversation => &self.conversation(id)?.location_id,
            Kind::Provider => &self.provider(id)?.location_id,
            Kind::Message => &self.message(id)?.location_id,
        })
    }

    /// Whether what a record names exists, and is of the same location.
    fn expect(&self, record: &Record, kind: Kind, id: &str) -> Result<(), Conflict> {
        if record.kind() == kind {
            return Ok(());
        }
        let whose = format!("the {} {}", record.kind(), record.id());
        match self.location_of(kind, id) {
            None => Err(Conflict::new(format!(
                "{whose} names the {kind} {id:?}, which is not there; put it first"
            ))),
            Some(found) if kind != Kind::Location && found != record.location_id() => {
                Err(Conflict::new(format!(
                    "{whose} is of the location {}, and the {kind} {id} is of {}",
                    record.location_id(),
                    found
                )))
            }
            Some(_) => Ok(()),
        }
    }
}
