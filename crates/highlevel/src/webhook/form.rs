//! Determines the form of a message from the channels that its event names.

use crate::channel::{Channel, Family};

/// The form of a message, which determines its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageForm {
    Text,
    Email,
    Call,
    Voicemail,
    InternalComment,
    PublicComment,
    /// The record of an activity, or a channel that this version of the crate does not know.
    Other,
}

/// The names and the number that an event has for its channel, and the forms to which its other fields belong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NamedFields<'a> {
    /// `messageType`: `SMS`, `CALL`.
    pub(super) message_type: Option<&'a str>,
    /// `messageTypeString`: `TYPE_SMS`, `TYPE_CUSTOM_CALL`.
    pub(super) type_string: Option<&'a str>,
    /// `messageTypeId`.
    pub(super) type_id: Option<f64>,
    /// `true` if the event has fields of calls only.
    pub(super) has_call_fields: bool,
    /// `true` if the event has fields of emails only.
    pub(super) has_email_fields: bool,
}

impl<'a> NamedFields<'a> {
    /// Determines the form.
    ///
    /// `messageType` decides. A custom channel or an unknown name leaves the decision to `messageTypeString`, and this
    /// to `messageTypeId`; a custom channel that nothing else specifies is decided by the fields of the event. Any of
    /// the three marks a comment: HighLevel names the channel on which it was written as well, and a comment that is
    /// mistaken for a message may be relayed.
    pub(super) fn form(&self) -> MessageForm {
        let channels = [
            self.message_type.and_then(Channel::named),
            self.type_string.and_then(Channel::named),
            self.type_id.and_then(Channel::numbered),
        ];
        let mut known = channels.into_iter().flatten();
        for comment in [Channel::InternalComment, Channel::PublicComment] {
            if known.clone().any(|channel| channel == comment) {
                return of(comment);
            }
        }
        match known.find(|channel| *channel != Channel::Custom) {
            Some(channel) => of(channel),
            None if channels.contains(&Some(Channel::Custom)) || self.channel().is_none() => {
                self.form_of_fields()
            }
            None => MessageForm::Other,
        }
    }

    /// Returns `true` if one of the names is that of a voicemail.
    pub(super) fn is_voicemail(&self) -> bool {
        [self.type_string.and_then(Channel::named), self.type_id.and_then(Channel::numbered)]
            .contains(&Some(Channel::VoiceMail))
    }

    /// Returns the name of the channel.
    pub(super) fn channel(&self) -> Option<&'a str> {
        [self.message_type, self.type_string].into_iter().flatten().find(|name| !name.is_empty())
    }

    fn form_of_fields(&self) -> MessageForm {
        if self.has_call_fields {
            MessageForm::Call
        } else if self.has_email_fields {
            MessageForm::Email
        } else {
            MessageForm::Text
        }
    }
}

fn of(channel: Channel) -> MessageForm {
    match channel.families() {
        [Family::Email] => MessageForm::Email,
        [Family::Call] => MessageForm::Call,
        [Family::VoiceMail] => MessageForm::Voicemail,
        [Family::InternalComment] => MessageForm::InternalComment,
        [Family::PublicComment] => MessageForm::PublicComment,
        [Family::Activity] => MessageForm::Other,
        _ => MessageForm::Text,
    }
}
