//! The ids of what exists from the start.

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

/// Returns the location of records that name none.
pub(super) fn location() -> String {
    LOCATION_ID.to_owned()
}
