//! The one error of this crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::limit::AcquireError;
use crate::{Delivery, Fingerprint, RateLimitHeaders};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not end with a receipt.
///
/// The question to ask first is [`Error::delivery`]: what is known about the request, and so whether it may be sent
/// again.
///
/// ```
/// # fn example(error: highlevel::Error) {
/// use highlevel::Delivery;
///
/// match error.delivery() {
///     Delivery::NotSent => println!("send it again when the network is back: {error}"),
///     Delivery::Rejected => println!("fix it, then send it again: {:?}", error.messages()),
///     Delivery::Unknown => println!("look into the conversation before sending it again: {error}"),
///     Delivery::Accepted => println!("it is on its way: {error}"),
/// }
/// # }
/// ```
///
/// `Display` says what happened in one line, with the beginning of what the server wrote;
/// [`source`](StdError::source) has the cause. Neither contains a token.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    delivery: Delivery,
    operation: &'static str,
    /// The method and path of a raw request.
    target: Option<Box<str>>,
    attempts: u32,
    /// What happened, in words, for what is not an answer.
    text: String,
    answer: Option<Answer>,
    source: Option<Cause>,
    /// When there is room for the request, if the limiter says so.
    wait: Option<Duration>,
    fingerprint: Option<Fingerprint>,
}

/// What another error is caused by.
#[derive(Debug)]
pub(crate) enum Cause {
    Own(Box<dyn StdError + Send + Sync>),
    /// One that all calls have in common which waited for the same.
    Shared(Arc<Error>),
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    messages: Vec<String>,
    trace_id: Option<String>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built as configured.
    Configuration,
    /// The request is not valid; this library did not send it.
    InvalidRequest,
    /// There is no token to send it with, for now: the store, HighLevel or the token source did not give one.
    Token,
    /// HighLevel takes none of the tokens that there are for the location or company, or there are none: a person has
    /// to install the app there, or to allow it again. See [`auth`](crate::auth).
    NeedsAuthorization,
    /// HighLevel gives no tokens for the location as long as it is not active there, for example because it was not
    /// paid for. What is stored is kept, and works again afterwards.
    LocationInactive,
    /// The location's limits leave no room for it before the deadline of its call.
    RateLimited,
    /// The rate limiter does not work, for example because the store that it shares with other processes cannot be
    /// reached; [`source`](StdError::source) has the cause.
    Limiter,
    /// No connection: the name, the network, the port, TLS, or it took too long.
    Connect,
    /// It took too long.
    Timeout,
    /// The request could not be written, or the connection broke before there was an answer.
    Connection,
    /// HighLevel answered with a status that is not a success.
    Status,
    /// HighLevel answered with a success, but the receipt cannot be read.
    Receipt,
}

impl Error {
    /// What is known about the request, and so whether it may be sent again.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation, as the generated client names it (`send_message`), or `build`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the method and the path of a [raw request](crate::Client::request), for example `DELETE /contacts/c1`.
    pub fn target(&self) -> Option<&str> {
        self.0.target.as_deref()
    }

    /// How often the request was begun: 0 if it did not get that far.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.answer.as_ref().map(|answer| answer.status)
    }

    /// The body of the answer as it came, as far as it was read, but `…` in place of a token that it repeats; empty without
    /// an answer.
    pub fn body(&self) -> &[u8] {
        self.0.answer.as_ref().map_or(&[], |answer| &answer.body)
    }

    /// A header of the answer, but `...` in place of a token that it repeats.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.answer.as_ref()?.headers.get(name)?.to_str().ok()
    }

    /// What the server says is wrong, in its own words: one entry for a 400, one for each fault for a 422.
    pub fn messages(&self) -> &[String] {
        self.0.answer.as_ref().map_or(&[], |answer| &answer.messages)
    }

    /// The id under which HighLevel's support finds the request.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.answer.as_ref()?.trace_id.as_deref()
    }

    /// What the answer says about the limits of the location, if there was one.
    pub fn rate_limit(&self) -> Option<RateLimitHeaders> {
        self.0.answer.as_ref().map(|answer| RateLimitHeaders::read(&answer.headers))
    }

    /// How long to wait before there is room for the request: what the limiter says, or the `Retry-After` header of the
    /// answer in seconds. HighLevel does not document that header.
    pub fn retry_after(&self) -> Option<Duration> {
        let answer = self.0.answer.as_ref();
        self.0.wait.or_else(|| crate::call::retry_after(&answer?.headers))
    }

    /// What was sent, to look for it: see [`Fingerprint::reconcile`]. `None` for a request that is not a message or
    /// call, or was not even begun.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.0.fingerprint.as_ref()
    }
}

impl Error {
    /// The client cannot be built.
    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::Configuration, "build", text)
    }

    /// A blocking client is used where it cannot work.
    #[cfg(feature = "blocking")]
    pub(crate) fn wrong_context(text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::Configuration, "blocking", text)
    }

    /// The request is not valid.
    pub(crate) fn invalid(operation: &'static str, text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::InvalidRequest, operation, text)
    }

    /// The token cannot be had. An error of this crate says itself why, and what kind it is.
    pub(crate) fn no_token(operation: &'static str, cause: Cause) -> Self {
        let own = match &cause {
            Cause::Own(cause) => cause.downcast_ref::<Self>(),
            Cause::Shared(cause) => Some(&**cause),
        };
        let text = "the token source gave no token: the source of this error says why";
        let mut error = match own {
            Some(own) => Self::unsent(own.kind_for_a_call(), operation, own.facts()),
            None => Self::unsent(ErrorKind::Token, operation, text),
        };
        error.0.wait = own.and_then(Self::retry_after);
        error.0.source = Some(cause);
        error
    }

    /// What kind of error it is for a call that did not get its token. Status and receipt are those of another
    /// request.
    fn kind_for_a_call(&self) -> ErrorKind {
        match self.0.kind {
            ErrorKind::Status | ErrorKind::Receipt | ErrorKind::InvalidRequest => ErrorKind::Token,
            kind => kind,
        }
    }

    /// The answer was that the token is not good, and there is no other one. Where a person has to do something about
    /// it, that is what matters; else the answer says more.
    pub(crate) fn without_fresh_token(mut self, why: Self) -> Self {
        if let ErrorKind::NeedsAuthorization | ErrorKind::LocationInactive = why.0.kind {
            self.0.kind = why.0.kind;
            self.0.text = format!("{}, and {}", self.0.text, why.facts());
        }
        self.0.source.get_or_insert(Cause::Own(Box::new(why)));
        self
    }

    /// The tokens that there are do not do.
    pub(crate) fn needs_authorization(operation: &'static str, text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::NeedsAuthorization, operation, text)
    }

    /// The same error in other words.
    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.0.text = text.into();
        self
    }

    /// There is no token for now.
    pub(crate) fn token(operation: &'static str, text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::Token, operation, text)
    }

    /// The token did not come in time.
    pub(crate) fn slow_token(operation: &'static str) -> Self {
        let text = "the token source did not answer within the time of the call: see why it is slow, or raise `call_timeout`";
        Self::unsent(ErrorKind::Token, operation, text)
    }

    /// The token that was had cannot be sent.
    pub(crate) fn odd_token(operation: &'static str, what: &str) -> Self {
        Self::unsent(ErrorKind::Token, operation, what)
    }

    /// The limits leave no room in time.
    pub(crate) fn limited(operation: &'static str, text: impl Into<String>) -> Self {
        Self::unsent(ErrorKind::RateLimited, operation, text)
    }

    /// The request did not begin before the caller's deadline.
    pub(crate) fn too_late(operation: &'static str) -> Self {
        Self::unsent(
            ErrorKind::Timeout,
            operation,
            "the time before which the request had to begin has passed",
        )
    }

    /// The rate limiter failed.
    pub(crate) fn limiter(operation: &'static str, cause: AcquireError) -> Self {
        Self::unsent(ErrorKind::Limiter, operation, "the rate limiter does not work").with_source(cause)
    }

    fn unsent(kind: ErrorKind, operation: &'static str, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            delivery: Delivery::NotSent,
            operation,
            target: None,
            attempts: 0,
            text: text.into(),
            answer: None,
            source: None,
            wait: None,
            fingerprint: None,
        }))
    }

    /// There was no answer.
    pub(crate) fn no_answer(operation: &'static str, delivery: Delivery, kind: ErrorKind) -> Self {
        let text = match (kind, delivery) {
            (ErrorKind::Connect, _) => "no connection to HighLevel",
            (ErrorKind::Timeout, Delivery::NotSent) => "no connection to HighLevel in time",
            (ErrorKind::Timeout, _) => "HighLevel did not answer in time",
            (_, Delivery::NotSent) => "the request could not be written",
            (_, Delivery::Rejected) => "HighLevel refused the HTTP/2 stream of the request",
            _ => "the connection broke before HighLevel answered",
        };
        Self(Box::new(Inner {
            kind,
            delivery,
            operation,
            target: None,
            attempts: 0,
            text: text.to_owned(),
            answer: None,
            source: None,
            wait: None,
            fingerprint: None,
        }))
    }

    /// There was an answer, but not a receipt.
    pub(crate) fn answered(
        operation: &'static str,
        delivery: Delivery,
        kind: ErrorKind,
        text: impl Into<String>,
        answer: highlevel_wire::RawResponse,
    ) -> Self {
        let (messages, trace_id) = words(&answer.body);
        Self(Box::new(Inner {
            kind,
            delivery,
            operation,
            target: None,
            attempts: 0,
            text: text.into(),
            answer: Some(Answer {
                status: answer.status.as_u16(),
                headers: answer.headers,
                body: answer.body,
                messages,
                trace_id,
            }),
            source: None,
            wait: None,
            fingerprint: None,
        }))
    }

    /// How often the request was begun, whether an earlier attempt may have done it, and what it was.
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

    pub(crate) fn with_target(mut self, target: String) -> Self {
        self.0.target = Some(target.into());
        self
    }

    pub(crate) fn with_wait(mut self, wait: Option<Duration>) -> Self {
        self.0.wait = wait.or(self.0.wait);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Cause::Own(source.into()));
        self
    }

    /// What happened, with the server's words, but without the operation and what is known about it.
    fn facts(&self) -> String {
        let Some(answer) = &self.0.answer else { return self.0.text.clone() };
        let words = match &*answer.messages {
            [] => String::new(),
            messages => format!(": {}", printable(&excerpt(&messages.join("; ")))),
        };
        let trace = answer.trace_id.as_deref().map(excerpt);
        let trace = trace.map(|trace| format!(" (trace {})", printable(&trace))).unwrap_or_default();
        [&self.0.text, &words, &trace].map(String::as_str).concat()
    }
}

/// The messages and the trace id in a body, whatever its shape is.
fn words(body: &[u8]) -> (Vec<String>, Option<String>) {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return (Vec::new(), None) };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // The endpoints of OAuth say it in these other fields.
    let message = ["message", "error_description", "error"]
        .into_iter()
        .find_map(|name| body.get(name).filter(|value| !value.is_null()));
    let messages = match message {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.iter().map(text).collect(),
        Some(message) => vec![text(message)],
    };
    (messages, body.get("traceId").and_then(Value::as_str).map(str::to_owned))
}

/// The beginning of what a server wrote: a log has no room for a megabyte of it.
fn excerpt(text: &str) -> Cow<'_, str> {
    const CHARACTERS: usize = 1000;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// What a server wrote, on one line: a line break of its could pretend to be a line of a log.
fn printable(text: &str) -> String {
    let escape = |letter: char| match letter {
        '"' | '\'' => letter.to_string(),
        other => other.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, target, .. } = &*self.0;
        match target {
            Some(target) => write!(f, "{operation} {}: {}", printable(target), self.facts())?,
            None => write!(f, "{operation}: {}", self.facts())?,
        }
        if matches!(kind, ErrorKind::Configuration | ErrorKind::InvalidRequest) {
            return Ok(());
        }
        write!(f, "; {delivery}")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, target, attempts, text, answer, source, .. } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("operation", operation);
        if let Some(target) = target {
            debug.field("target", target);
        }
        debug.field("kind", kind).field("delivery", delivery);
        debug.field("text", text).field("attempts", attempts);
        if let Some(answer) = answer {
            debug.field("status", &answer.status).field("messages", &answer.messages);
            let body = String::from_utf8_lossy(&answer.body);
            debug.field("trace_id", &answer.trace_id).field("body", &excerpt(&body));
        }
        match source {
            Some(Cause::Own(source)) => drop(debug.field("source", source)),
            Some(Cause::Shared(source)) => drop(debug.field("source", source)),
            None => {}
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            Cause::Own(source) => Some(&**source),
            Cause::Shared(source) => Some(&**source),
        }
    }
}
