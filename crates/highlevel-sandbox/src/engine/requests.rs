//! Requests to the API.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::moment::Moment;
use super::recording;
use super::state::Engine;
use crate::api::{self, Annotations, Binary, Call, ErrorResponse, MAX_FORM};
use crate::credentials::Grant;
use crate::fault::{self, FaultStage, ResponseParts, TriggeredFault};
use crate::headers::redacted;
use crate::ledger::{LedgerEvent, RecordedRequest};
use crate::operation::Operation;
use crate::rate_limit::Verdict;
use crate::sync::lock;
use crate::traffic::{MAX_BODY, Received};
use crate::unserved;

/// The maximum size of a response body in the ledger, in bytes. Only faults generate longer ones.
const MAX_RECORDED_RESPONSE: usize = 64 * 1024;

impl Engine {
    /// Handles a request to the API, including its webhooks, and returns the response and the ledger entry.
    pub(crate) fn respond(
        &self,
        call: Call<'_>,
        received: &Received,
        moment: &Moment,
        triggered: Option<&TriggeredFault>,
    ) -> (ResponseParts, RecordedRequest) {
        let started = Instant::now();
        let caller = api::authenticate(call.headers, &lock(&self.credentials), moment.now);
        let verdict = self.count(&caller, moment);
        let trace_id = &moment.generated.trace_id;
        let response = match (&verdict.spent, received) {
            (Some(spent), _) => ErrorResponse::too_many_requests(spent).into_response(trace_id),
            _ if triggered.is_some_and(|triggered| triggered.stage != FaultStage::After) => {
                ErrorResponse::unavailable().into_response(trace_id)
            }
            (None, Received::TooLarge(_)) => {
                ErrorResponse::too_large(self.max_body(call, moment)).into_response(trace_id)
            }
            (None, Received::TooSlow(_) | Received::Unread) => {
                ErrorResponse::too_slow().into_response(trace_id)
            }
            (None, Received::Whole(_)) => self.handle(&caller, call, moment, |_| {}),
        };
        let mut parts = ResponseParts {
            status: response.status,
            headers: headers(&verdict),
            body: match response.binary {
                Some(Binary::Recording(seconds)) => recording::silence(seconds),
                None if response.body.is_null() => Bytes::new(),
                None => Bytes::from(response.body.to_string()),
            },
        };
        if response.binary.is_some() {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("audio/x-wav"));
        }
        if parts.body.is_empty() {
            parts.headers.remove(CONTENT_TYPE);
        }
        if let Some(note) = &response.annotations.note {
            if call.operation.is_none() {
                self.report_unserved(call.method, call.path(), note);
            } else if response.status.is_success() {
                tracing::warn!(method = call.method, path = ?call.path(), "{note}");
            }
            add_note(&mut parts.headers, note);
        }
        if let Some(triggered) = triggered {
            fault::edit(&triggered.fault, &mut parts, trace_id);
        }
        let authenticated = caller.is_ok();
        let location = caller.ok().map(|grant| grant.account.location_id.clone());
        let Annotations {
            operation,
            fingerprint,
            violations,
            more_violations,
            tolerated,
            unknown_fields,
            more_unknown_fields,
            suggestions,
            message_id,
            quirk,
            refusal,
            note,
        } = response.annotations;
        let record = RecordedRequest {
            id: moment.generated.trace_id.clone(),
            received_at: moment.generated.now.clone(),
            method: call.method.to_owned(),
            path: call.target.to_owned(),
            headers: redacted(call.headers),
            body: call.body.to_vec(),
            operation,
            fingerprint,
            violations,
            more_violations,
            tolerated,
            unknown_fields,
            more_unknown_fields,
            suggestions,
            accepted: response.status.is_success(),
            message_id,
            quirk,
            refusal,
            note,
            location_id: location,
            authenticated,
            fault: triggered.map(|triggered| triggered.fault.name().to_owned()),
            broken: triggered.is_some_and(|triggered| triggered.fault.breaks()),
            status: parts.status.as_u16(),
            response_headers: redacted(&parts.headers),
            response: truncated(&parts.body),
            duration: started.elapsed(),
            ..RecordedRequest::default()
        };
        (parts, record)
    }

    /// Waits until the changes of a request are on disk, and then records its ledger entry. If they could not be written,
    /// the response becomes an error.
    pub(crate) async fn await_commit(
        &self,
        submitted: u64,
        mut parts: ResponseParts,
        mut record: RecordedRequest,
    ) -> ResponseParts {
        if let Err(error) = self.written_since(submitted).await {
            let error = ErrorResponse::not_stored(&error).into_response(&record.id);
            parts.status = error.status;
            parts.body = Bytes::from(error.body.to_string());
            record = RecordedRequest {
                accepted: false,
                message_id: None,
                status: parts.status.as_u16(),
                response: parts.body.to_vec(),
                ..record
            };
        }
        tracing::debug!(
            method = record.method,
            target = record.path,
            status = record.status,
            "handled a request"
        );
        self.ledger.record(LedgerEvent::Request(Arc::new(record)));
        parts
    }

    /// Returns the maximum body size of a request in bytes. Only a request with a valid token can send a large form.
    pub(crate) fn max_body(&self, call: Call<'_>, moment: &Moment) -> usize {
        let uploads = call.operation == Some(Operation::UploadFiles);
        if uploads && api::authenticate(call.headers, &lock(&self.credentials), moment.now).is_ok() {
            MAX_FORM
        } else {
            MAX_BODY
        }
    }

    /// Returns the fault triggered by a request to the API, if any. A request without a valid token neither triggers a fault
    /// nor counts as a match of a rule, because any client can send it.
    pub(crate) fn trigger_fault(&self, call: Call<'_>, moment: &Moment) -> Option<TriggeredFault> {
        self.faults.on_request(|check| {
            let credentials = lock(&self.credentials);
            let Ok(grant) = api::authenticate(call.headers, &credentials, moment.now) else { return };
            drop(credentials);
            check(&fault::RequestProperties {
                operation: call.operation.map(Operation::id),
                method: call.method,
                path: call.path(),
                location: Some(&grant.account.location_id),
            });
        })
    }

    fn count(&self, caller: &Result<Grant, ErrorResponse>, moment: &Moment) -> Verdict {
        let mut limiter = lock(&self.limiter);
        match caller {
            Ok(grant) => limiter.admit(&grant.account, moment.now),
            Err(_) => limiter.peek(&self.account, moment.now),
        }
    }
}

/// Adds the sandbox's explanation of a response. `HighLevel` sends no such header.
pub(in crate::engine) fn add_note(headers: &mut HeaderMap, note: &str) {
    if let Ok(note) = HeaderValue::from_str(note) {
        headers.insert(unserved::NOTE_HEADER, note);
    }
}

/// Returns a response body, truncated to the maximum size in the ledger.
pub(super) fn truncated(body: &[u8]) -> Vec<u8> {
    body[..body.len().min(MAX_RECORDED_RESPONSE)].to_vec()
}

/// Returns the headers of a response, rate limit headers included.
fn headers(verdict: &Verdict) -> HeaderMap {
    // Those of a response and those that hyper adds.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in verdict.headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
