//! The content of message events, by channel.

use std::time::Duration;

use super::call::CallOutcome;
use crate::UserId;

/// The content of a message, by the family of its channel. Borrowed from the event, which has all other fields.
///
/// Programs that relay or reply to messages match [`Text`](Self::Text): comments and records of activities are separate
/// variants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// An SMS, or a message of a chat.
    Text(TextContent<'a>),
    /// An email.
    Email(EmailContent<'a>),
    /// A call.
    Call(CallContent<'a>),
    /// A voicemail that a workflow left without a call.
    Voicemail(VoicemailContent<'a>),
    /// A comment that a user wrote for other users. The contact does not see it, so never relay it.
    InternalComment(InternalCommentContent<'a>),
    /// A public comment, such as one on a post on Facebook, Instagram or TikTok. A reply to it may be public as well.
    PublicComment(TextContent<'a>),
    /// Neither of these: the record of an activity, or a message of a channel that this version of the crate does not
    /// know.
    Other(TextContent<'a>),
}

/// An SMS, a message of a chat, or another text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextContent<'a> {
    /// The name of the channel, like `SMS`.
    pub channel: Option<&'a str>,
    /// The text, unchanged. HighLevel sends an empty one for media of WhatsApp, and stores the file seconds later.
    pub text: Option<&'a str>,
    /// The attachments.
    pub attachments: Vec<Attachment<'a>>,
}

/// A comment that a user wrote for other users.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InternalCommentContent<'a> {
    /// The text, with a tag `@name<userId>id</userId>` for each mentioned user.
    pub text: Option<&'a str>,
    /// The author.
    pub author: Option<&'a UserId>,
    /// The ids of the mentioned users.
    pub mentions: Vec<&'a str>,
    /// The attachments.
    pub attachments: Vec<Attachment<'a>>,
}

/// An email.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmailContent<'a> {
    /// The subject.
    pub subject: Option<&'a str>,
    /// The body, mostly HTML.
    pub body: Option<&'a str>,
    /// The text without HTML.
    pub plain_text: Option<&'a str>,
    /// The sender.
    pub from: Option<&'a str>,
    /// The recipients.
    pub to: Vec<&'a str>,
    /// The recipients of copies: all of `ccList`, or the first one in `cc` if there is no list.
    pub cc: Vec<&'a str>,
    /// The recipients of blind copies: all of `bccList`, or the first one in `bcc` if there is no list.
    pub bcc: Vec<&'a str>,
    /// The attachments.
    pub attachments: Vec<Attachment<'a>>,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallContent<'a> {
    /// The outcome of the call.
    pub outcome: CallOutcome,
    /// The duration of the call. `None` if the event does not specify it, as for calls that an app has added.
    pub duration: Option<Duration>,
    /// The recordings.
    pub recordings: Vec<Attachment<'a>>,
}

/// A voicemail that was left without a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VoicemailContent<'a> {
    /// The recordings.
    pub recordings: Vec<Attachment<'a>>,
}

/// An attachment or a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment<'a> {
    /// The URL, unchanged.
    pub url: &'a str,
    /// The media type, if the event specifies it.
    pub content_type: Option<&'a str>,
    /// The name of the file, if the event specifies it.
    pub name: Option<&'a str>,
}

impl<'a> From<&'a str> for Attachment<'a> {
    fn from(url: &'a str) -> Self {
        Self { url, content_type: None, name: None }
    }
}
