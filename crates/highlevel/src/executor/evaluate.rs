//! From the result of an attempt to a receipt or an error.

use std::error::Error as StdError;
use std::time::Duration;

use highlevel_wire::{End, RawResponse, RequestTrace, ResponseValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de;

use super::operation::Operation;
use crate::classify::{
    AttemptResult, Classification, RepeatSafety, ResponseSummary, TransportError, classify,
};
use crate::connection::BODY_LIMIT;
use crate::headers::{RateLimitHeaders, retry_after};
use crate::redact::redact;
use crate::unauthorized::Unauthorized;
use crate::{Error, Receipt, transport};

/// An attempt that did not end with a receipt, and the error to return if it is not retried.
pub(super) struct FailedAttempt {
    pub(super) verdict: Classification,
    pub(super) error: Error,
    /// The wait that the server asks for.
    pub(super) retry_after: Option<Duration>,
}

/// Evaluates an attempt by its result and its trace. No error contains the token, even if the response repeats it.
pub(super) fn evaluate<O: Operation>(
    replay: RepeatSafety,
    result: Result<ResponseValue<O::Response>, highlevel_wire::Error<()>>,
    trace: RequestTrace,
    limits: &RateLimitHeaders,
    token: &SecretString,
) -> Result<Receipt<O::Response>, FailedAttempt> {
    let Some(response) = trace.response else {
        let source = match result {
            Err(highlevel_wire::Error::CommunicationError(error)) => Some(error),
            _ => None,
        };
        return Err(without_response(O::NAME, replay, trace.written, source));
    };
    let status = response.status.as_u16();
    let retry_after = retry_after(&response.headers);
    let summary = ResponseSummary {
        status,
        redirected: response.redirected,
        retry_after,
        day_is_spent: limits.daily_remaining == Some(0),
        not_about_token: status == 401 && !Unauthorized::read(&response.body).is_about_the_token(),
    };
    let verdict = classify(AttemptResult::Response(summary), replay);
    read::<O>(result.ok().map(ResponseValue::into_inner), response).map_err(|unread| {
        let Unread { text, mut response, source, is_malformed } = *unread;
        redact(&mut response, &[token.expose_secret()]);
        let mut error = Error::from_response(O::NAME, verdict.delivery, verdict.kind, text, response);
        if let Some(source) = source {
            error = error.with_source(source);
        }
        // The message of serde quotes its input, so it has to read the redacted body.
        if is_malformed && let Err(source) = read_receipt::<O>(error.body()) {
            error = error.with_source(source);
        }
        FailedAttempt { verdict, error, retry_after }
    })
}

/// Returns the failure of an attempt without a response.
fn without_response(
    operation: &'static str,
    replay: RepeatSafety,
    written: bool,
    source: Option<reqwest::Error>,
) -> FailedAttempt {
    let error = source.as_ref().map_or(TransportError::Broken, transport::classify_error);
    let verdict = classify(AttemptResult::NoResponse { written, error }, replay);
    let failed = Error::no_response(operation, verdict.delivery, verdict.kind);
    let failed = if error == TransportError::Certificate { failed.permanent() } else { failed };
    let error = match source {
        Some(source) => failed.with_source(source),
        None => failed,
    };
    FailedAttempt { verdict, error, retry_after: None }
}

/// A response that is not a receipt.
struct Unread {
    text: String,
    response: RawResponse,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// The body is complete, but not a receipt.
    is_malformed: bool,
}

impl Unread {
    fn new(text: String, response: RawResponse) -> Box<Self> {
        Box::new(Self { text, response, source: None, is_malformed: false })
    }
}

/// Reads the receipt of a response. `value` is the body as the generated code has read it, if it could.
fn read<O: Operation>(
    value: Option<O::Response>,
    mut response: RawResponse,
) -> Result<Receipt<O::Response>, Box<Unread>> {
    let status = response.status.as_u16();
    if response.redirected {
        return Err(Unread::new(
            "HighLevel responded with a redirect, which was followed".to_owned(),
            response,
        ));
    }
    if !response.status.is_success() {
        let reason =
            response.status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        return Err(Unread::new(format!("HighLevel responded with {status}{reason}"), response));
    }
    match std::mem::replace(&mut response.end, End::Complete) {
        End::Complete => {}
        End::TooLarge => {
            let text = format!("HighLevel responded with {status} and more than {BODY_LIMIT} bytes");
            return Err(Unread::new(text, response));
        }
        End::Cut(source) => {
            let text = format!("HighLevel responded with {status}, but the response was cut off");
            return Err(Box::new(Unread { source: Some(source), ..*Unread::new(text, response) }));
        }
        _ => {
            let text = format!("HighLevel responded with {status}, but the response cannot be read");
            return Err(Unread::new(text, response));
        }
    }
    match value.filter(O::is_receipt).map_or_else(|| read_receipt::<O>(&response.body), Ok) {
        Ok(value) => Ok(Receipt::new(value, response)),
        Err(_) if response.body.is_empty() => {
            Err(Unread::new(format!("HighLevel responded with {status} and no body"), response))
        }
        Err(_) => {
            let text = format!("HighLevel responded with {status} and a body that is not a receipt");
            Err(Box::new(Unread { is_malformed: true, ..*Unread::new(text, response) }))
        }
    }
}

/// Reads a receipt that the generated code could not read. A field of an unexpected type is left out: the caller must not
/// lose the id of a message that was sent, and the body is available unchanged.
fn read_receipt<O: Operation>(body: &[u8]) -> serde_json::Result<O::Response> {
    let response = O::read(body)?;
    if O::is_receipt(&response) {
        Ok(response)
    } else {
        Err(de::Error::custom("neither the id nor the list that was requested"))
    }
}
