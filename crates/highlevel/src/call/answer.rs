//! What came of one attempt.

use std::time::Duration;

use highlevel_wire::{End, RequestTrace, ResponseValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::retry_after::retry_after;
use super::{BODY_LIMIT, Operation};
use crate::classify::{self, Fault, Replay, Seen, Verdict, classify};
use crate::limit::RateLimitHeaders;
use crate::redact::redact;
use crate::unauthorized::Unauthorized;
use crate::{Error, Receipt, lenient, transport};

/// An attempt that did not end with a receipt: what is known, and the error to report if nothing is done about it.
pub(super) struct Failed {
    pub(super) verdict: Verdict,
    pub(super) error: Error,
    /// When to ask the server again, by its own words.
    pub(super) retry_after: Option<Duration>,
}

/// Evaluates an attempt by its result and what was observed of it. No error contains the token, even if the response
/// repeats it.
pub(super) fn evaluate<O: Operation>(
    replay: Replay,
    result: Result<ResponseValue<O::Answer>, highlevel_wire::Error<()>>,
    trace: RequestTrace,
    limits: &RateLimitHeaders,
    token: &SecretString,
) -> Result<Receipt<O::Answer>, Failed> {
    let Some(answer) = trace.response else {
        let source = match result {
            Err(highlevel_wire::Error::CommunicationError(error)) => Some(error),
            _ => None,
        };
        let fault = source.as_ref().map_or(Fault::Broken, transport::fault);
        let verdict = classify(Seen::NoAnswer { written: trace.written, fault }, replay);
        let error = Error::no_answer(O::NAME, verdict.delivery, verdict.kind);
        let error = match source {
            Some(source) => error.with_source(source),
            None => error,
        };
        return Err(Failed { verdict, error, retry_after: None });
    };
    let status = answer.status.as_u16();
    let retry_after = retry_after(&answer.headers);
    let seen = classify::Answer {
        status,
        redirected: answer.redirected,
        retry_after,
        day_is_spent: limits.daily_remaining == Some(0),
        not_about_token: status == 401 && !Unauthorized::read(&answer.body).is_about_the_token(),
    };
    let verdict = classify(Seen::Answer(seen), replay);
    let fault = |text: String, mut answer: highlevel_wire::RawResponse| {
        redact(&mut answer, &[token.expose_secret()]);
        let error = Error::answered(O::NAME, verdict.delivery, verdict.kind, text, answer);
        Failed { verdict, error, retry_after }
    };
    if answer.redirected {
        return Err(fault("HighLevel answered with a redirect, which was followed".to_owned(), answer));
    }
    if !answer.status.is_success() {
        let name = answer.status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
        return Err(fault(format!("HighLevel answered {status}{name}"), answer));
    }
    let mut answer = answer;
    match std::mem::replace(&mut answer.end, End::Complete) {
        End::Complete => {}
        End::TooLarge => {
            return Err(fault(
                format!("HighLevel answered {status} with more than {BODY_LIMIT} bytes"),
                answer,
            ));
        }
        End::Cut(source) => {
            let mut failed = fault(format!("HighLevel answered {status}, and the answer broke off"), answer);
            failed.error = failed.error.with_source(source);
            return Err(failed);
        }
        _ => {
            return Err(fault(format!("HighLevel answered {status}, and the answer cannot be read"), answer));
        }
    }
    if let Ok(value) = result {
        return Ok(Receipt::new(value.into_inner(), answer));
    }
    match read_receipt(&answer.body) {
        Ok(value) => Ok(Receipt::new(value, answer)),
        Err(_) if answer.body.is_empty() => {
            Err(fault(format!("HighLevel answered {status} without a body"), answer))
        }
        Err(_) => {
            let mut failed =
                fault(format!("HighLevel answered {status} with a body that is not a receipt"), answer);
            // What serde says quotes what it read, so it has to read what may be shown.
            if let Err(source) = read_receipt::<O::Answer>(failed.error.body()) {
                failed.error = failed.error.with_source(source);
            }
            Err(failed)
        }
    }
}

/// Reads a receipt that the generated code could not read. Some channels answer `messageIds` instead of a `messageId`,
/// and then the first of them stands for the message. A field of an odd type is left out: it must not cost the
/// caller the id of a message that was sent, and the body is there as it came.
fn read_receipt<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body)?;
    if let Some(first) = fields.get("messageIds").and_then(|ids| ids.get(0)).cloned() {
        let id = fields.entry("messageId").or_insert(Value::Null);
        if id.is_null() {
            *id = first;
        }
    }
    lenient::read(fields).map(|read| read.value).map_err(|unreadable| unreadable.error)
}
