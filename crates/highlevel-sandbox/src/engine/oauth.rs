//! The requests of OAuth. Rate limits do not count them.

mod endpoints;
mod installs;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::moment::Moment;
use super::requests::beginning;
use super::state::Engine;
use crate::api::{self, Call};
use crate::fault::{self, Base, FaultStage, TriggeredFault};
use crate::headers::redacted;
use crate::ledger::RecordedRequest;
use crate::oauth;
use crate::sync::lock;
use crate::traffic::{MAX_BODY, Received};
use endpoints::{Reply, answer, is_authenticated, plain};

impl Engine {
    /// The fault that happens to a request of OAuth, if one does. A request without valid credentials triggers none and
    /// counts for no rule, for any client can send it.
    pub(crate) fn trigger_oauth_fault(&self, call: Call<'_>, moment: &Moment) -> Option<TriggeredFault> {
        self.faults.on_request(|check| {
            if !is_authenticated(self, call, moment.now) {
                return;
            }
            let grant = api::authenticate(call.headers, &lock(&self.credentials), moment.now).ok();
            check(&fault::Request {
                operation: None,
                method: call.method,
                path: call.path(),
                location: grant.as_ref().map(|grant| grant.account.location_id.as_str()),
            });
        })
    }

    /// Answers a request, and says what the ledger is to have of it: not its secrets.
    pub(crate) fn answer_oauth(
        self: &Arc<Self>,
        call: Call<'_>,
        received: &Received,
        moment: &Moment,
        triggered: Option<&TriggeredFault>,
    ) -> (Base, RecordedRequest) {
        let began = Instant::now();
        let authenticated = triggered.is_some() || is_authenticated(self, call, moment.now);
        let trace_id = &moment.fresh.trace_id;
        let reply = match received {
            _ if triggered.is_some_and(|triggered| triggered.stage != FaultStage::After) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "service unavailable")
            }
            Received::TooLarge(_) => plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("request entity too large: a body has at most {MAX_BODY} bytes"),
            ),
            Received::TooSlow(_) | Received::Unread => {
                plain(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
            }
            Received::Whole(_) => match self.check_writable() {
                Ok(()) => answer(self, call, moment.now, trace_id),
                Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            },
        };
        let Reply { status, headers, body, recorded } = reply;
        let is_replaced = triggered.is_some_and(|triggered| triggered.fault.made_up_bytes() > 0);
        let base = |body: String| {
            let mut base = Base { status, headers: headers.clone(), body: Bytes::from(body) };
            if let Some(triggered) = triggered {
                fault::edit(&triggered.fault, &mut base, trace_id);
            }
            base
        };
        let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let base_of_answer = base(body);
        // What a fault makes up has no secrets, and may be long.
        let recorded = if is_replaced { base_of_answer.body.clone() } else { base(recorded).body };
        let record = RecordedRequest {
            id: trace_id.clone(),
            received_at: moment.fresh.now.clone(),
            method: call.method.to_owned(),
            path: call.target.to_owned(),
            headers: redacted(call.headers),
            body: oauth::redacted_form(content_type, call.body),
            broken: triggered.is_some_and(|triggered| triggered.fault.breaks()),
            status: base_of_answer.status.as_u16(),
            answer_headers: oauth::redacted_headers(redacted(&base_of_answer.headers)),
            answer: beginning(&recorded),
            authenticated,
            fault: triggered.map(|triggered| triggered.fault.name().to_owned()),
            duration: began.elapsed(),
            ..RecordedRequest::default()
        };
        (base_of_answer, record)
    }
}
