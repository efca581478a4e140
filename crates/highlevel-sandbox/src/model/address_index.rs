//! The contacts by phone number and email address.

use std::collections::{BTreeSet, HashMap};

use super::{Contact, address};

/// The IDs of the contacts with an address, by location and normalized address.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressIndex(HashMap<(String, String), BTreeSet<String>>);

impl AddressIndex {
    pub(super) fn insert(&mut self, contact: &Contact) {
        for address in addresses(contact) {
            let key = (contact.location_id.clone(), address);
            self.0.entry(key).or_default().insert(contact.id.clone());
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact) {
        for address in addresses(contact) {
            let key = (contact.location_id.clone(), address);
            if let Some(ids) = self.0.get_mut(&key) {
                ids.remove(&contact.id);
                if ids.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// Returns the contacts of a location with a normalized address.
    pub(super) fn with(&self, location: &str, address: &str) -> impl Iterator<Item = &str> {
        let ids = self.0.get(&(location.to_owned(), address.to_owned()));
        ids.into_iter().flatten().map(String::as_str)
    }
}

/// Returns the normalized addresses of a contact. The records of the admin API may have others.
fn addresses(contact: &Contact) -> impl Iterator<Item = String> {
    contact.emails().filter_map(address::email).chain(contact.phones().filter_map(address::phone))
}
