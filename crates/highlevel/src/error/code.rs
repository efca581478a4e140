//! The meaning of HighLevel's error codes.

use super::Error;

/// The meaning of an error code for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    ContactNotFound,
    WithoutConsent,
    WindowClosed,
    ProviderInaccessible,
    RecipientInvalid,
}

/// The ends of codes, and their meaning. Codes begin with a domain, such as `CONVERSATIONS_` or `CONVERSATIONS_MSG_`. The codes
/// are not documented as a whole, so others are possible; they have no meaning here.
const MEANINGS: [(&str, Meaning); 18] = [
    ("CONTACT_NOT_FOUND", Meaning::ContactNotFound),
    ("UNSUBSCRIBED", Meaning::WithoutConsent),
    ("CHAT_NO_LONGER_ACTIVE", Meaning::WindowClosed),
    ("PROVIDER_NO_ACCESS", Meaning::ProviderInaccessible),
    ("PROVIDER_NOT_FOUND", Meaning::ProviderInaccessible),
    ("PROVIDER_MISMATCH", Meaning::ProviderInaccessible),
    ("NO_PHONE", Meaning::RecipientInvalid),
    ("NO_PHONE_NUMBER", Meaning::RecipientInvalid),
    ("NO_EMAIL", Meaning::RecipientInvalid),
    ("NO_EMAIL_ADDRESS", Meaning::RecipientInvalid),
    ("INVALID_PHONE", Meaning::RecipientInvalid),
    ("INVALID_PHONE_NUMBER", Meaning::RecipientInvalid),
    ("INVALID_NUMBER", Meaning::RecipientInvalid),
    ("INVALID_EMAIL", Meaning::RecipientInvalid),
    ("INVALID_EMAIL_ADDRESS", Meaning::RecipientInvalid),
    ("INVALID_EMAILTO", Meaning::RecipientInvalid),
    ("INVALID_TONUMBER", Meaning::RecipientInvalid),
    ("INVALID_RECIPIENT", Meaning::RecipientInvalid),
];

/// The part of the codes of do-not-disturb that precedes the channel: `CONVERSATIONS_MSG_DND_ACTIVE_SMS`.
const DO_NOT_DISTURB: &str = "_DND_ACTIVE_";

fn meaning(code: &str) -> Option<Meaning> {
    let code = format!("_{}", code.trim().to_ascii_uppercase());
    if format!("{code}_").contains(DO_NOT_DISTURB) {
        return Some(Meaning::WithoutConsent);
    }
    let ends_with = |end: &str| code.strip_suffix(end).is_some_and(|domain| domain.ends_with('_'));
    MEANINGS.iter().find(|(end, _)| ends_with(end)).map(|(_, meaning)| *meaning)
}

impl Error {
    /// Returns `true` if the contact does not exist: it was deleted, or merged with another one. Its id is no longer valid.
    pub fn is_contact_not_found(&self) -> bool {
        self.means(Meaning::ContactNotFound)
    }

    /// Returns `true` if the contact does not consent to messages: do-not-disturb is active for the channel, or the contact has
    /// unsubscribed.
    pub fn is_without_consent(&self) -> bool {
        self.means(Meaning::WithoutConsent)
    }

    /// Returns `true` if the chat is closed because the last message of the contact is too old, on Facebook and Instagram 24
    /// hours. [`arguments`](Self::arguments) can name the channel.
    pub fn is_window_closed(&self) -> bool {
        self.means(Meaning::WindowClosed)
    }

    /// Returns `true` if the conversation provider cannot be used: it belongs to another app than the token, it does not exist,
    /// or it is not for this type of message. A fresh token does not change that.
    pub fn is_provider_inaccessible(&self) -> bool {
        self.means(Meaning::ProviderInaccessible)
    }

    /// Returns `true` if the contact cannot be reached over the channel: it has no phone number or email address, or the one to
    /// send to is invalid or not one of the contact.
    pub fn is_recipient_invalid(&self) -> bool {
        self.means(Meaning::RecipientInvalid)
    }

    fn means(&self, expected: Meaning) -> bool {
        self.code().and_then(meaning) == Some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_meaning() {
        for (code, expected) in [
            ("CONVERSATIONS_CONTACT_NOT_FOUND", Some(Meaning::ContactNotFound)),
            ("CONTACT_NOT_FOUND", Some(Meaning::ContactNotFound)),
            ("CONVERSATIONS_MSG_DND_ACTIVE_SMS", Some(Meaning::WithoutConsent)),
            ("CONVERSATIONS_MSG_DND_ACTIVE_EMAIL", Some(Meaning::WithoutConsent)),
            ("CONVERSATIONS_MSG_DND_ACTIVE_A_NEW_CHANNEL", Some(Meaning::WithoutConsent)),
            ("CONVERSATIONS_MSG_DND_ACTIVE", Some(Meaning::WithoutConsent)),
            ("CONVERSATIONS_MSG_UNSUBSCRIBED", Some(Meaning::WithoutConsent)),
            ("CONVERSATIONS_MSG_CHAT_NO_LONGER_ACTIVE", Some(Meaning::WindowClosed)),
            ("conversations_msg_chat_no_longer_active", Some(Meaning::WindowClosed)),
            ("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS", Some(Meaning::ProviderInaccessible)),
            ("CONVERSATIONS_MSG_PROVIDER_NOT_FOUND", Some(Meaning::ProviderInaccessible)),
            ("CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH", Some(Meaning::ProviderInaccessible)),
            ("CONVERSATIONS_MSG_NO_PHONE", Some(Meaning::RecipientInvalid)),
            ("CONVERSATIONS_MSG_NO_EMAIL", Some(Meaning::RecipientInvalid)),
            ("CONVERSATIONS_MSG_INVALID_EMAIL", Some(Meaning::RecipientInvalid)),
            ("CONVERSATIONS_MSG_INVALID_EMAILTO", Some(Meaning::RecipientInvalid)),
            ("CONVERSATIONS_MSG_INVALID_PHONE", Some(Meaning::RecipientInvalid)),
            // Other codes have no meaning for a program, whatever they contain.
            ("CONVERSATIONS_MSG_NO_CONTENT", None),
            ("CONVERSATIONS_MSG_RECORDING_NOT_FOUND", None),
            ("CONVERSATIONS_MSG_INVALID_EMAILFROM", None),
            ("CONVERSATIONS_MSG_INVALID_TEMPLATE", None),
            ("CONVERSATIONS_MSG_NO_EMAIL_TEMPLATE", None),
            ("CONVERSATIONS_MSG_SUBCONTACT_NOT_FOUND", None),
            ("SOMETHING_NEW", None),
            ("", None),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
