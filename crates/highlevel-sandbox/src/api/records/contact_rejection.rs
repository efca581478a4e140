//! The reasons to reject a change of a contact.

use serde_json::json;

use super::ErrorResponse;
use crate::spec::Violation;

/// The maximum number of notes of a contact, which are stored with it.
pub(super) const MAX_NOTES: usize = 500;

/// The field in which two contacts are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    Email,
    Phone,
}

/// A rejected change of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContactRejection {
    /// Fields are malformed.
    Invalid(Vec<Violation>),
    /// Another contact of the location has the same address.
    Duplicate {
        /// The ID of the other contact.
        id: String,
        /// The display name of the other contact.
        name: Option<String>,
        matching: Matching,
    },
    /// The contact has the maximum number of notes.
    TooManyNotes,
}

impl From<ContactRejection> for ErrorResponse {
    fn from(rejection: ContactRejection) -> Self {
        match rejection {
            ContactRejection::Invalid(violations) => Self::invalid(&violations, 0),
            ContactRejection::Duplicate { id, name, matching } => {
                let meta = json!({
                    "contactId": id, "contactName": name, "matchingField": matching.as_str(),
                });
                Self::bad_request("This location does not allow duplicated contacts.").with("meta", meta)
            }
            ContactRejection::TooManyNotes => Self::bad_request(&too_many_notes()),
        }
    }
}

impl Matching {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    /// Returns the term for a field of this kind.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Email => "email address",
            Self::Phone => "phone number",
        }
    }
}

/// Returns the message for a contact with the maximum number of notes.
pub(crate) fn too_many_notes() -> String {
    format!(
        "the sandbox stores at most {MAX_NOTES} notes of a contact; delete the contact or reset the sandbox"
    )
}
