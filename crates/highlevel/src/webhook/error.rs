//! Why an event is not accepted.

use std::fmt;

/// Why an event is not accepted, what to do about it, and what to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookError {
    kind: WebhookErrorKind,
    text: String,
}

/// What kind of thing is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookErrorKind {
    /// The body is longer than the limit.
    TooLarge,
    /// There is no signature.
    SignatureMissing,
    /// The signature is not one, or not of this body, or not by a known key.
    SignatureInvalid,
    /// The body is not an event.
    Malformed,
    /// The event is for another app.
    OtherApp,
    /// The event is of a location that the receiver does not take.
    OtherLocation,
    /// The event is too old.
    Stale,
    /// The event is from the future.
    Future,
    /// The event has been handled already. Not a failure: the answer is 200.
    Duplicate,
    /// The event is being handled, by an earlier delivery of it.
    InProgress,
    /// The event cannot be taken right now.
    Unavailable,
}

impl WebhookErrorKind {
    /// A few words to answer with. Anybody can send a request, so what [`WebhookError`] says is for your log alone.
    ///
    /// ```
    /// use highlevel::webhook::WebhookErrorKind;
    ///
    /// assert_eq!(WebhookErrorKind::Duplicate.phrase(), "handled before");
    /// ```
    pub fn phrase(self) -> &'static str {
        match self {
            Self::TooLarge => "too large",
            Self::SignatureMissing => "signature missing",
            Self::SignatureInvalid => "signature invalid",
            Self::Malformed => "malformed",
            Self::OtherApp => "for another app",
            Self::OtherLocation => "of another location",
            Self::Stale => "too old",
            Self::Future => "not yet",
            Self::Duplicate => "handled before",
            Self::InProgress => "being handled",
            Self::Unavailable => "not now",
        }
    }
}

impl WebhookError {
    pub(super) fn new(kind: WebhookErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What kind of thing is wrong.
    pub fn kind(&self) -> WebhookErrorKind {
        self.kind
    }

    /// The HTTP status to answer with, never a 5xx.
    ///
    /// 200 for a duplicate, which is a success: nothing is left to do. 429 for what could not be taken right now, so
    /// that HighLevel delivers it again; that is also an event from the future, because the clock may be slow. 400, 401,
    /// 403 and 413 for the rest.
    pub fn status(&self) -> u16 {
        match self.kind {
            WebhookErrorKind::Duplicate => 200,
            WebhookErrorKind::Future | WebhookErrorKind::InProgress | WebhookErrorKind::Unavailable => 429,
            WebhookErrorKind::TooLarge => 413,
            WebhookErrorKind::SignatureMissing | WebhookErrorKind::SignatureInvalid => 401,
            WebhookErrorKind::OtherApp | WebhookErrorKind::OtherLocation => 403,
            WebhookErrorKind::Malformed | WebhookErrorKind::Stale => 400,
        }
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for WebhookError {}
