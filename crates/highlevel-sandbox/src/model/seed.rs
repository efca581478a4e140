//! What exists from the start: everything that the examples of the specification name.

use super::record::StoredSnapshot;
use super::{Contact, Conversation, ConversationProvider, Location};

/// The location that the token belongs to.
pub(crate) const LOCATION_ID: &str = "l1C08ntBrFjLS0elLIYU";
/// The company that [`LOCATION_ID`] belongs to.
pub(crate) const COMPANY_ID: &str = "GNb7aIv4rQFVb9iwNl5K";
/// The app that webhook events name, and its version.
pub(crate) const APP_ID: &str = "665c6bb13d4e5364bdec0e2f";
/// The contact to try things with; [`CONVERSATION_ID`] is the conversation with it.
pub(crate) const CONTACT_ID: &str = "abc123def456";
/// The conversation to try things with.
pub(crate) const CONVERSATION_ID: &str = "ABC12h2F6uBrIkfXYazb";
/// The conversation provider to try things with.
pub(crate) const CONVERSATION_PROVIDER_ID: &str = "61d6d1f9cdac7612faf80753";

/// What makes the documentation's examples work as they are.
pub(crate) fn seed() -> StoredSnapshot {
    let contacts = [
        // (contact, conversation, name, email, phone)
        (CONTACT_ID, CONVERSATION_ID, "Ada", "ada@example.com", "+15037081210"),
        // The examples use one id for a contact and for its conversation.
        ("ve9EPM428h8vShlRW1KT", "ve9EPM428h8vShlRW1KT", "Grace", "grace@example.com", "+15037081211"),
        ("cI08i1Bls3iTB9bKgFJh", "fcanlLgpbQgQhderivVs", "Alan", "alan@example.com", "+15037081212"),
    ];
    let mut seed =
        StoredSnapshot { locations: vec![Location::new(LOCATION_ID)], ..StoredSnapshot::default() };
    for (contact, conversation, name, email, phone) in contacts {
        seed.contacts.push(Contact::new(contact).name(name).email(email).phone(phone));
        seed.conversations.push(Conversation::new(conversation, contact));
    }
    for provider in [CONVERSATION_PROVIDER_ID, "provider123", "cI08i1Bls3iTB9bKgF01"] {
        seed.providers.push(ConversationProvider::new(provider));
    }
    seed
}
