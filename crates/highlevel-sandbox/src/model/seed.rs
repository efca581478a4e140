//! The IDs of the seeded records.

/// The location of the private integration token.
pub(crate) const LOCATION_ID: &str = "l1C08ntBrFjLS0elLIYU";
/// The company of [`LOCATION_ID`].
pub(crate) const COMPANY_ID: &str = "GNb7aIv4rQFVb9iwNl5K";
/// The app in webhook events, and its version.
pub(crate) const APP_ID: &str = "665c6bb13d4e5364bdec0e2f";
/// The default contact, whose conversation is [`CONVERSATION_ID`].
pub(crate) const CONTACT_ID: &str = "abc123def456";
/// The conversation of the default contact.
pub(crate) const CONVERSATION_ID: &str = "ABC12h2F6uBrIkfXYazb";
/// The providers of the examples of the reference, which use one for several types. They have no kind.
pub(crate) const REFERENCE_PROVIDER_IDS: [&str; 3] =
    ["61d6d1f9cdac7612faf80753", "provider123", "cI08i1Bls3iTB9bKgF01"];
/// The provider that replaces the location's SMS service.
pub(crate) const SMS_PROVIDER_ID: &str = "6717b2c09d3f4e5a8b6c1d01";
/// The provider with a channel of its own.
pub(crate) const CUSTOM_PROVIDER_ID: &str = "6717b2c09d3f4e5a8b6c1d02";
/// The provider of emails.
pub(crate) const EMAIL_PROVIDER_ID: &str = "6717b2c09d3f4e5a8b6c1d03";
/// The provider of calls.
pub(crate) const CALL_PROVIDER_ID: &str = "6717b2c09d3f4e5a8b6c1d04";

/// Returns the default location of records.
pub(super) fn location() -> String {
    LOCATION_ID.to_owned()
}

/// Returns the default location of messages.
pub(super) fn location_text<S: From<String>>() -> S {
    location().into()
}
