//! What exists from the start: everything that the examples of the specification name.

use super::{Contact, World};

/// The location that the token belongs to.
pub(crate) const LOCATION_ID: &str = "l1C08ntBrFjLS0elLIYU";
/// The app that webhook events name, and its version.
pub(crate) const APP_ID: &str = "665c6bb13d4e5364bdec0e2f";
/// The contact to try things with; [`CONVERSATION_ID`] is the conversation with it.
pub(crate) const CONTACT_ID: &str = "abc123def456";
/// The conversation to try things with.
pub(crate) const CONVERSATION_ID: &str = "ABC12h2F6uBrIkfXYazb";
/// The conversation provider to try things with.
pub(crate) const CONVERSATION_PROVIDER_ID: &str = "61d6d1f9cdac7612faf80753";

/// A world in which the documentation's examples work as they are.
pub(crate) fn seeded() -> World {
    let contacts = [
        // (contact, conversation, email, phone)
        (CONTACT_ID, CONVERSATION_ID, "ada@example.com", "+15037081210"),
        // The examples use one id for a contact and for its conversation.
        ("ve9EPM428h8vShlRW1KT", "ve9EPM428h8vShlRW1KT", "grace@example.com", "+15037081211"),
        ("cI08i1Bls3iTB9bKgFJh", "fcanlLgpbQgQhderivVs", "alan@example.com", "+15037081212"),
    ];
    let mut world = World::new(LOCATION_ID);
    for (contact, conversation, email, phone) in contacts {
        world.add_contact(Contact::new(contact).email(email).phone(phone));
        world.add_conversation(conversation, contact);
    }
    for provider in [CONVERSATION_PROVIDER_ID, "provider123", "cI08i1Bls3iTB9bKgF01"] {
        world.add_provider(provider);
    }
    world
}
