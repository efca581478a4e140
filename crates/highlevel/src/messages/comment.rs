//! Internal comments, and the mentions in them.

use std::time::SystemTime;

use highlevel_wire::types::{SendMessageRequest, SendMessageType};

use crate::mention;
use crate::reconcile::sealed::Sealed;
use crate::{ContactId, Fingerprint, Fingerprintable, SendStatus, UserId};

/// A comment that users of the location see, and the contact does not.
///
/// HighLevel notifies a mentioned user if the text contains a tag with the id of the user. [`mention`](Self::mention) adds the
/// tag:
///
/// ```
/// use highlevel::InternalComment;
/// use highlevel::wire::types::SendMessageRequest;
///
/// let comment = InternalComment::about("abc123def456").text("please call back").mention("user-1", "Ada");
/// let request = SendMessageRequest::from(comment);
/// assert_eq!(request.message.as_deref(), Some("@Ada<userId>user-1</userId> please call back"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a comment is sent by `client.messages().send(…)`"]
pub struct InternalComment {
    request: SendMessageRequest,
    /// The tag of each mentioned user.
    tags: Vec<(UserId, String)>,
}

impl InternalComment {
    /// Creates a comment in the conversation with a contact.
    pub fn about(contact: impl Into<ContactId>) -> Self {
        let request = SendMessageRequest::new(contact, SendStatus::Pending, SendMessageType::InternalComment);
        Self { request, tags: Vec::new() }
    }

    /// Sets the text of the comment. It may contain tags from [`tag`](Self::tag).
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }

    /// Mentions a user, who is notified of the comment. `name` is shown. The tag of the user is put in front of the text, unless
    /// the text contains it.
    pub fn mention(mut self, user: impl Into<UserId>, name: impl AsRef<str>) -> Self {
        let user = user.into();
        let tag = Self::tag(&user, name);
        self.tags.push((user, tag));
        self
    }

    /// Returns the tag that mentions a user, for a text that has it at another place: `@Ada<userId>user-1</userId>`.
    pub fn tag(user: impl AsRef<str>, name: impl AsRef<str>) -> String {
        mention::tag(user.as_ref(), name.as_ref())
    }

    /// Adds the URL of a file to attach.
    pub fn attachment(mut self, url: impl Into<String>) -> Self {
        self.request.attachments.push(url.into());
        self
    }

    /// Sets the author of the comment.
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.request.user_id = Some(user.into());
        self
    }

    /// Sets the status to record the comment with. HighLevel requires one. Defaults to `pending`.
    pub fn status(mut self, status: SendStatus) -> Self {
        self.request.status = status;
        self
    }
}

impl From<InternalComment> for SendMessageRequest {
    fn from(comment: InternalComment) -> Self {
        let InternalComment { mut request, tags } = comment;
        let text = request.message.take().unwrap_or_default();
        let in_text = mention::tagged(&text);
        let mut parts: Vec<String> = Vec::new();
        for (user, tag) in tags {
            if !in_text.contains(&user.as_str()) && !request.mentions.contains(&user) {
                parts.push(tag);
            }
            if !request.mentions.contains(&user) {
                request.mentions.push(user);
            }
        }
        for user in in_text {
            if !request.mentions.iter().any(|mentioned| mentioned.as_str() == user) {
                request.mentions.push(user.into());
            }
        }
        if !text.is_empty() {
            parts.push(text);
        }
        request.message = (!parts.is_empty()).then(|| parts.join(" "));
        request
    }
}

impl Fingerprintable for InternalComment {}

impl Sealed for InternalComment {
    fn fingerprint_at(&self, attempted: SystemTime) -> Fingerprint {
        SendMessageRequest::from(self.clone()).fingerprint_at(attempted)
    }
}
