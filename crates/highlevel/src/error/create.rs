//! The errors that this crate creates.

use std::error::Error as StdError;
use std::time::Duration;

use http::Method;

use super::effect::RepeatEffect;
use super::response::ErrorResponse;
use super::{Error, ErrorKind, ErrorSource, Inner};
use crate::{Delivery, Fingerprint};

impl Error {
    /// The client cannot be built.
    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::Configuration, "build", text)
    }

    /// A blocking client is used in a context in which it cannot work.
    #[cfg(feature = "blocking")]
    pub(crate) fn wrong_context(text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::Configuration, "blocking", text)
    }

    /// The request is invalid.
    pub(crate) fn invalid(operation: &'static str, text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::InvalidRequest, operation, text)
    }

    /// The token could not be fetched. If the source is an [`Error`], its text and kind are used.
    pub(crate) fn no_token(operation: &'static str, source: ErrorSource) -> Self {
        let own = match &source {
            ErrorSource::Owned(source) => source.downcast_ref::<Self>(),
            ErrorSource::Shared(source) => Some(&**source),
        };
        let mut error = match own {
            Some(own) => Self::not_sent(own.kind_as_token_error(), operation, own.facts()),
            None => Self::not_sent(
                ErrorKind::Token,
                operation,
                "the token source returned no token; see the source of this error",
            ),
        };
        error.0.wait = own.and_then(Self::retry_after);
        error.0.source = Some(source);
        error
    }

    /// Returns the kind for a call that needed the token. Status and receipt are those of the request for the token.
    fn kind_as_token_error(&self) -> ErrorKind {
        match self.0.kind {
            ErrorKind::Status | ErrorKind::Receipt | ErrorKind::InvalidRequest => ErrorKind::Token,
            kind => kind,
        }
    }

    /// The token was rejected, and no other one is available. The kind becomes that of `reason` if a person has to act;
    /// otherwise the response reports more.
    pub(crate) fn without_fresh_token(mut self, reason: Self) -> Self {
        if let ErrorKind::NeedsAuthorization | ErrorKind::LocationInactive = reason.0.kind {
            self.0.kind = reason.0.kind;
            self.0.text = format!("{}, and {}", self.0.text, reason.facts());
        }
        self.0.source.get_or_insert(ErrorSource::Owned(Box::new(reason)));
        self
    }

    /// No token is accepted until a person authorizes the app.
    pub(crate) fn needs_authorization(operation: &'static str, text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::NeedsAuthorization, operation, text)
    }

    /// No token is available at the moment.
    pub(crate) fn token(operation: &'static str, text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::Token, operation, text)
    }

    /// The token was not returned in time.
    pub(crate) fn token_timeout(operation: &'static str) -> Self {
        let text = "the token source did not return a token within the call timeout; make it faster or raise `call_timeout`";
        Self::not_sent(ErrorKind::Token, operation, text)
    }

    /// The token cannot be sent in a header.
    pub(crate) fn invalid_token(operation: &'static str, text: &str) -> Self {
        Self::not_sent(ErrorKind::Token, operation, text).permanent()
    }

    /// The rate limits allow no request in time.
    pub(crate) fn rate_limited(operation: &'static str, text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::RateLimited, operation, text)
    }

    /// The request did not start before the caller's deadline.
    pub(crate) fn start_deadline_passed(operation: &'static str) -> Self {
        let text = "the deadline for the start of the request has passed";
        Self::not_sent(ErrorKind::Timeout, operation, text).permanent()
    }

    /// The rate limiter failed.
    pub(crate) fn limiter_failed(
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::not_sent(ErrorKind::Limiter, operation, "the rate limiter failed").with_source(source)
    }

    /// No response arrived.
    pub(crate) fn no_response(operation: &'static str, delivery: Delivery, kind: ErrorKind) -> Self {
        let text = match (kind, delivery) {
            (ErrorKind::Connect, _) => "no connection to HighLevel",
            (ErrorKind::Timeout, Delivery::NotSent) => "no connection to HighLevel in time",
            (ErrorKind::Timeout, _) => "HighLevel did not respond in time",
            (_, Delivery::NotSent) => "the request could not be written",
            (_, Delivery::Rejected) => "HighLevel refused the HTTP/2 stream of the request",
            _ => "the connection broke before HighLevel responded",
        };
        Self::new(kind, delivery, operation, text)
    }

    /// The response is not a receipt.
    pub(crate) fn from_response(
        operation: &'static str,
        delivery: Delivery,
        kind: ErrorKind,
        text: impl Into<String>,
        response: highlevel_wire::RawResponse,
    ) -> Self {
        let mut error = Self::new(kind, delivery, operation, text);
        error.0.response = Some(ErrorResponse::new(response));
        error
    }

    fn not_sent(kind: ErrorKind, operation: &'static str, text: impl Into<String>) -> Self {
        Self::new(kind, Delivery::NotSent, operation, text)
    }

    fn new(kind: ErrorKind, delivery: Delivery, operation: &'static str, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            delivery,
            operation: operation.into(),
            effect: RepeatEffect::Repeated,
            is_permanent: false,
            attempts: 0,
            text: text.into(),
            response: None,
            source: None,
            wait: None,
            fingerprint: None,
        }))
    }
}

impl Error {
    /// Adds the number of attempts, whether an earlier attempt may have been done, and the fingerprint.
    pub(crate) fn after(
        mut self,
        attempts: u32,
        may_have_been_done: bool,
        fingerprint: Option<Fingerprint>,
    ) -> Self {
        self.0.attempts = attempts;
        if may_have_been_done && self.0.delivery.is_safe_to_resend() {
            self.0.delivery = Delivery::Unknown;
        }
        self.0.fingerprint = fingerprint.filter(|_| attempts > 0);
        self
    }

    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.0.text = text.into();
        self
    }

    /// Names the method and the path of a raw request as the operation.
    pub(crate) fn of_request(mut self, method: &Method, path: &str) -> Self {
        self.0.operation = format!("{method} {path}").into();
        self.with_effect(method.is_safe(), method.is_idempotent())
    }

    /// Notes the effect of the request if it is sent again.
    pub(crate) fn with_effect(mut self, is_read_only: bool, is_idempotent: bool) -> Self {
        self.0.effect = match (is_read_only, is_idempotent) {
            (true, _) => RepeatEffect::ReadOnly,
            (false, true) => RepeatEffect::Idempotent,
            (false, false) => RepeatEffect::Repeated,
        };
        self
    }

    /// Notes that the same request fails again, whenever it is sent.
    pub(crate) fn permanent(mut self) -> Self {
        self.0.is_permanent = true;
        self
    }

    pub(crate) fn with_wait(mut self, wait: Option<Duration>) -> Self {
        self.0.wait = wait.or(self.0.wait);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(ErrorSource::Owned(source.into()));
        self
    }
}
