//! The error that rejects an event.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An error that rejects an event: its reason, and the HTTP status to respond with.
///
/// `Display` is for the log, and includes a fix. Any client can send a request, so respond with
/// [`status`](Self::status) and [`WebhookErrorKind::public_message`].
#[derive(Debug, Clone)]
pub struct WebhookError {
    kind: WebhookErrorKind,
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kind of a [`WebhookError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookErrorKind {
    /// The body is longer than the limit.
    TooLarge,
    /// There is no signature.
    SignatureMissing,
    /// The signature is malformed, not of this body, or not by a known key.
    SignatureInvalid,
    /// The body is not an event.
    Malformed,
    /// The event is for another app.
    OtherApp,
    /// The event is of a location that the receiver does not accept.
    OtherLocation,
    /// The event is too old.
    Stale,
    /// The event is from the future.
    Future,
    /// The event was handled before. Not a failure: respond with 200.
    Duplicate,
    /// Another delivery of the event is in progress.
    InProgress,
    /// The event cannot be accepted now: the deduplicator is full or failed, or code of the caller panicked.
    /// [`source`](Error::source) is the cause.
    Unavailable,
    /// The claim ended before the commit: the handler took longer than the deduplicator's timeout.
    ClaimLost,
}

impl WebhookErrorKind {
    /// Returns a short message for the body of the response. It reveals nothing about the receiver.
    ///
    /// ```
    /// use highlevel::webhook::WebhookErrorKind;
    ///
    /// assert_eq!(WebhookErrorKind::Duplicate.public_message(), "already handled");
    /// ```
    pub fn public_message(self) -> &'static str {
        match self {
            Self::TooLarge => "too large",
            Self::SignatureMissing => "signature missing; the workflow action \"Webhook\" does not sign",
            Self::SignatureInvalid => "signature invalid",
            Self::Malformed => "malformed",
            Self::OtherApp => "for another app",
            Self::OtherLocation => "of another location",
            Self::Stale => "too old",
            Self::Future => "timestamp in the future",
            Self::Duplicate => "already handled",
            Self::InProgress => "in progress",
            Self::Unavailable | Self::ClaimLost => "temporarily unavailable",
        }
    }
}

impl WebhookError {
    pub(super) fn new(kind: WebhookErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    pub(super) fn with_source(mut self, source: Box<dyn Error + Send + Sync>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> WebhookErrorKind {
        self.kind
    }

    /// Returns the HTTP status to respond with, never a 5xx.
    ///
    /// 200 for a duplicate, which is a success. 429 for an event that cannot be accepted now, so that HighLevel
    /// redelivers it; that includes an event from the future, because the clock may be slow. 400, 401, 403 and 413 for
    /// the rest.
    pub fn status(&self) -> u16 {
        match self.kind {
            WebhookErrorKind::Duplicate => 200,
            WebhookErrorKind::Future
            | WebhookErrorKind::InProgress
            | WebhookErrorKind::Unavailable
            | WebhookErrorKind::ClaimLost => 429,
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

impl Error for WebhookError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
