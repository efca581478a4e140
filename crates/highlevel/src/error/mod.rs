//! The error of this crate.

mod code;
mod create;
mod effect;
mod format;
mod kind;
mod response;
mod retryable;
mod text;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use self::effect::RepeatEffect;
pub use self::kind::ErrorKind;
use self::response::ErrorResponse;
use crate::headers::{RateLimitHeaders, retry_after};
use crate::{Delivery, Fingerprint};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error returned by the client.
///
/// Start with [`Error::delivery`]: what is known about the request, and so whether it may be sent again.
///
/// ```
/// # fn example(error: highlevel::Error) {
/// use highlevel::Delivery;
///
/// match error.delivery() {
///     Delivery::NotSent => println!("send it again when the network is back: {error}"),
///     Delivery::Rejected if error.is_contact_not_found() => println!("forget the contact"),
///     Delivery::Rejected => println!("fix it, then send it again: {:?}", error.messages()),
///     Delivery::Unknown => println!("look into the conversation before sending it again: {error}"),
///     Delivery::Accepted => println!("it is on its way: {error}"),
/// }
/// # }
/// ```
///
/// `Display` is one line: what happened, the beginning of the server's message, and what is known about the request.
/// [`source`](StdError::source) returns the cause. Neither contains a token.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    delivery: Delivery,
    /// The name of the operation, or the method and path of a raw request.
    operation: Cow<'static, str>,
    /// The effect of the request if it is sent again.
    effect: RepeatEffect,
    /// The same request fails again, whenever it is sent.
    is_permanent: bool,
    attempts: u32,
    /// What happened.
    text: String,
    response: Option<ErrorResponse>,
    source: Option<ErrorSource>,
    /// The wait that the limiter reports.
    wait: Option<Duration>,
    fingerprint: Option<Fingerprint>,
}

/// The source of an error.
#[derive(Debug)]
pub(crate) enum ErrorSource {
    Owned(Box<dyn StdError + Send + Sync>),
    /// The error of a token request that several calls waited for.
    Shared(Arc<Error>),
}

impl Error {
    /// Returns what is known about the request, and so whether it may be sent again.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation, as the generated client names it (`send_message`), or `build`. For a [raw
    /// request](crate::Client::request), these are its method and path: `DELETE /contacts/c1`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// Returns the number of times that the request was started; 0 if it was never started.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the HTTP status of the response, if one arrived.
    pub fn status(&self) -> Option<u16> {
        self.0.response.as_ref().map(|response| response.status)
    }

    /// Returns the body of the response as far as it was read; empty if no response arrived. A token that it repeats is
    /// replaced by `…`.
    pub fn body(&self) -> &[u8] {
        self.0.response.as_ref().map_or(&[], |response| &response.body)
    }

    /// Returns a header of the response. A token that it repeats is replaced by `...`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.response.as_ref()?.headers.get(name)?.to_str().ok()
    }

    /// Returns the code of the error (`canonicalCode`), for example `CONVERSATIONS_CONTACT_NOT_FOUND`, if the response has one.
    /// For the meaning of codes see [`is_contact_not_found`](Self::is_contact_not_found),
    /// [`is_without_consent`](Self::is_without_consent), [`is_window_closed`](Self::is_window_closed),
    /// [`is_provider_inaccessible`](Self::is_provider_inaccessible) and [`is_recipient_invalid`](Self::is_recipient_invalid).
    pub fn code(&self) -> Option<&str> {
        self.0.response.as_ref()?.details.code.as_deref()
    }

    /// Returns the values that belong to the [`code`](Self::code), if the response has any: `{"channel": "Facebook"}`.
    pub fn arguments(&self) -> Option<&Map<String, Value>> {
        self.0.response.as_ref()?.details.arguments.as_ref()
    }

    /// Returns the server's messages, whatever the status: one, or one for each violation. Messages in lists and nested objects
    /// are separate entries.
    pub fn messages(&self) -> &[String] {
        self.0.response.as_ref().map_or(&[], |response| &response.details.messages)
    }

    /// Returns the id by which HighLevel's support finds the request.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.response.as_ref()?.details.trace_id.as_deref()
    }

    /// Returns the limits of the location that the response reports, if one arrived.
    pub fn rate_limit(&self) -> Option<RateLimitHeaders> {
        self.0.response.as_ref().map(|response| RateLimitHeaders::read(&response.headers))
    }

    /// Returns the time to wait before the request is sent again: the wait that the limiter reports, or the `Retry-After`
    /// header of the response. HighLevel does not document that header.
    pub fn retry_after(&self) -> Option<Duration> {
        let response = self.0.response.as_ref();
        self.0.wait.or_else(|| retry_after(&response?.headers))
    }

    /// Returns the fingerprint of the message or call that was sent, to look for it; see [`Fingerprint::reconcile`]. `None`
    /// for other requests, and for those that were never started.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.0.fingerprint.as_ref()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            ErrorSource::Owned(source) => Some(&**source),
            ErrorSource::Shared(source) => Some(&**source),
        }
    }
}
