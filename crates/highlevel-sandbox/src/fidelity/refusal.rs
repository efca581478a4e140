//! The requests that the live API rejects although their bodies match the spec.

use serde::{Deserialize, Serialize};

/// A rejection by the live API that depends on more than the schema of the body: on the contact, the provider, the content
/// or the headers.
///
/// All refusals apply at both levels of [`Strictness`](crate::Strictness), unless
/// [`Settings::without_refusal`](crate::Settings::without_refusal) disables them. A refusal that only one report supports, or
/// that reports disagree about, applies only with its [`Quirk`](crate::Quirk). A refused request stores nothing.
///
#[doc = include_str!("refusals.md")]
///
/// The source **\[live n\]** is a number of independent reports by users of the live API, **\[one\]** a single report, and
/// **\[conflict\]** reports that disagree. Where no report contains the text (*text unknown*), it is the sandbox's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[non_exhaustive]
pub enum Refusal {
    /// The `Version` header is missing.
    MissingVersion,
    /// The `Version` header has an unknown value.
    UnknownVersion,
    /// The `Version` header has an unknown value, in the older form of the response.
    UnknownVersion401,
    /// The token belongs to a company.
    CompanyToken,
    /// The token belongs to a private integration of a company.
    CompanyPrivateIntegration,
    /// The request names another location than that of the token, or a record of another location.
    OtherLocation,
    /// A list of attachments is empty.
    EmptyAttachments,
    /// The request to send a message has no `contactId`.
    MissingContact,
    /// The contact does not exist.
    UnknownContact,
    /// A call has no provider.
    CallWithoutProvider,
    /// An inbound `Custom` message has no provider.
    CustomWithoutProvider,
    /// The provider belongs to another app.
    ForeignProvider,
    /// A private integration token names a provider.
    PrivateIntegrationProvider,
    /// The type does not fit the kind of the provider.
    ProviderMismatch,
    /// The message has no content.
    NoContent,
    /// The contact has no phone number.
    NoPhone,
    /// The contact has no email address.
    NoEmail,
    /// The email address is malformed or undeliverable.
    InvalidEmail,
    /// `emailTo` is not an address of the contact.
    InvalidEmailTo,
    /// Do-not-disturb is active for SMS.
    DndSms,
    /// Do-not-disturb is active for emails.
    DndEmail,
    /// Do-not-disturb is active for another channel.
    DndOther,
    /// The contact has unsubscribed from emails.
    Unsubscribed,
    /// The last message of the contact is too old.
    ChatNoLongerActive,
    /// The number of a call is not one of the contact.
    InvalidPhone,
    /// The recording of a call is not stored at HighLevel.
    RecordingUrl,
    /// The message of a status update is an email or does not exist.
    UnknownMessage,
    /// The message of a status update has no provider.
    MessageWithoutProvider,
    /// The status `failed` has no `error`.
    FailedWithoutError,
    /// The message has no recording.
    RecordingNotFound,
}
