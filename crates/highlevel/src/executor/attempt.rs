//! One attempt: send the request, evaluate the response, and report it to the limiter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use highlevel_wire::{Gate, MayBegin, RequestTrace, ResponseValue};
use http::HeaderValue;
use tracing::{Instrument, Span};

use super::evaluate::{FailedAttempt, evaluate};
use super::execution::{AttemptStep, Execution};
use super::operation::Operation;
use super::prepare::Ready;
use crate::Receipt;
use crate::headers::RateLimitHeaders;
use crate::limit::{Expiry, Permit, RateLimited};
use crate::middleware::RequestInfo;
use crate::telemetry;
use crate::time::now;
use crate::token::Bearer;
use crate::transport::HttpClient;

type AttemptOutcome<T> = Result<Receipt<T>, FailedAttempt>;

/// The result of sending a request once.
struct Sent<T> {
    result: Result<ResponseValue<T>, highlevel_wire::Error<()>>,
    trace: RequestTrace,
}

/// The last checks before the first byte: neither the permit nor the caller's deadline may have lapsed.
struct BeginChecks {
    permit: Permit,
    begin_before: Option<Expiry>,
}

impl MayBegin for BeginChecks {
    fn may_begin(&self) -> bool {
        !self.begin_before.is_some_and(|begin_before| begin_before.has_passed()) && self.permit.begin()
    }
}

impl<O: Operation> Execution<'_, O> {
    pub(super) async fn attempt(&mut self, bearer: &Bearer, ready: Ready) -> AttemptStep<O::Response> {
        let Ready { permit, slot, started, authorization, timeout } = ready;
        self.log.attempts += 1;
        if !self.log.may_have_been_done {
            let attempted = SystemTime::now();
            self.attempted = Some(attempted);
            self.tracked.attempt(attempted);
        }
        let route = || self.operation.route();
        let server = &self.executor.connection.origin;
        let span = telemetry::attempt_span(O::NAME, route, server, self.log.attempts - 1);
        let checks = Arc::new(BeginChecks { permit, begin_before: self.options.begin_before });
        let gate = Gate::from(Arc::clone(&checks));
        let sent = self.send(&slot.http, gate, authorization, timeout).instrument(span.clone()).await;
        // Released before the token is refreshed or the next attempt starts, which wait for a slot as well.
        drop(slot);
        if sent.trace.refused {
            self.log.attempts -= 1;
            return AttemptStep::Lapsed;
        }
        let headers = sent.trace.response.as_ref().map(|response| RateLimitHeaders::read(&response.headers));
        let headers = headers.unwrap_or_default();
        let outcome =
            evaluate::<O>(self.operation.replay(), sent.result, sent.trace, &headers, &bearer.token);
        report(&checks.permit, &outcome, &headers);
        drop(checks);
        self.note_end(&span, &outcome, now().saturating_duration_since(started));
        self.note_acceptance(&outcome, bearer);
        match outcome {
            Ok(receipt) => AttemptStep::Accepted(receipt),
            Err(failed) => AttemptStep::Failed(failed),
        }
    }

    async fn send(
        &mut self,
        http: &HttpClient,
        gate: Gate,
        authorization: HeaderValue,
        timeout: Duration,
    ) -> Sent<O::Response> {
        let connection = &self.executor.connection;
        let sent_at = connection.settled.settle().await;
        let context = connection.context(Some(authorization), timeout, Some(gate)).moving_headers();
        let info = RequestInfo::new(O::NAME, self.log.attempts, self.call);
        let wire = connection.wire(http, &context, info);
        self.log.current = Some(context.clone());
        let result = self.operation.send(&wire).await;
        self.log.current = None;
        let trace = context.take();
        if trace.response.is_some() {
            connection.settled.had_turn_since(sent_at);
        }
        Sent { result, trace }
    }

    /// Records the end of the attempt in its span and in the metrics.
    fn note_end(&self, span: &Span, outcome: &AttemptOutcome<O::Response>, elapsed: Duration) {
        let (status, error) = match outcome {
            Ok(receipt) => (Some(receipt.http_status()), None),
            Err(failed) => (failed.error.status(), Some(&failed.error)),
        };
        let server = &self.executor.connection.origin;
        telemetry::end_attempt(span, || self.operation.route(), server, status, error, elapsed);
        let _entered = span.enter();
        match error {
            None => tracing::debug!("accepted"),
            Some(error) => tracing::debug!(kind = ?error.kind(), delivery = ?error.delivery(), "failed"),
        }
    }

    /// Notifies the token source if the server accepts a fresh token after it rejected the previous one.
    fn note_acceptance(&mut self, outcome: &AttemptOutcome<O::Response>, bearer: &Bearer) {
        let is_accepted = match outcome {
            Ok(_) => true,
            Err(failed) => failed.error.status().is_some_and(|status| status != 401),
        };
        if let Some(rejection) = self.rejection.take_if(|_| is_accepted) {
            self.executor.tokens.note_accepted(rejection, bearer);
        }
    }
}

/// Reports the response, if there is one, to the limiter.
fn report<T>(permit: &Permit, outcome: &AttemptOutcome<T>, headers: &RateLimitHeaders) {
    let (status, retry_after) = match outcome {
        Ok(receipt) => (Some(receipt.http_status()), None),
        Err(failed) => (failed.error.status(), failed.retry_after),
    };
    if let Some(status) = status {
        permit.observe(headers, (status == 429).then(|| RateLimited::new(retry_after)));
    }
}
