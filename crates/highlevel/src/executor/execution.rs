//! The execution of one operation: prepare, attempt, decide, until it finishes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::{Instrument, Span};

use super::drop_log::DropLog;
use super::evaluate::FailedAttempt;
use super::operation::Operation;
use super::state::Executor;
use super::track::TrackedRequest;
use crate::classify::RepeatSafety;
use crate::connection::Options;
use crate::retry::{RetryCounts, RetryDecision, random};
use crate::telemetry;
use crate::time::{MAX_DURATION, now};
use crate::token::{Bearer, RejectedToken, is_same};
use crate::unauthorized::Unauthorized;
use crate::{Error, Receipt, Result};

impl Executor {
    /// Executes an operation: one attempt, and retries where they are safe.
    pub(crate) async fn execute<O: Operation>(
        &self,
        options: &Options,
        operation: &O,
    ) -> Result<Receipt<O::Response>> {
        let span = telemetry::operation_span(O::NAME);
        Execution::new(self, options, operation).run(span.clone()).instrument(span).await
    }
}

/// The execution of one operation, with the state that its attempts leave.
pub(super) struct Execution<'a, O: Operation> {
    pub(super) executor: &'a Executor,
    pub(super) options: &'a Options,
    pub(super) operation: &'a O,
    /// The number of this call.
    pub(super) call: u64,
    pub(super) deadline: Instant,
    pub(super) progress: RetryCounts,
    /// The start of the attempt that may have been done, otherwise of the last one.
    pub(super) attempted: Option<SystemTime>,
    /// The error of the last attempt, which is returned if there is no time for another one.
    pub(super) last_error: Option<Error>,
    /// The 401 to the previous token, until the server accepts another one.
    pub(super) rejection: Option<Unauthorized>,
    pub(super) log: DropLog,
    pub(super) tracked: TrackedRequest<'a, O>,
}

/// A token, and when it was fetched.
pub(super) struct FetchedToken {
    pub(super) bearer: Arc<Bearer>,
    pub(super) fetched_at: Instant,
}

/// The result of an attempt.
pub(super) enum AttemptStep<T> {
    /// HighLevel accepted the request.
    Accepted(Receipt<T>),
    /// The request failed.
    Failed(FailedAttempt),
    /// The permit or the caller's deadline had lapsed before the first byte, so nothing was attempted.
    Lapsed,
}

impl<'a, O: Operation> Execution<'a, O> {
    pub(super) fn new(executor: &'a Executor, options: &'a Options, operation: &'a O) -> Self {
        Self {
            executor,
            options,
            operation,
            call: executor.connection.number_call(),
            deadline: now() + options.call.min(MAX_DURATION),
            progress: RetryCounts::default(),
            attempted: None,
            last_error: None,
            rejection: None,
            log: DropLog::new(O::NAME),
            tracked: TrackedRequest::new(&executor.connection.recent, operation),
        }
    }

    /// Runs to the end. The receipt or the error reports the number of attempts; the error also what may have been done
    /// by an earlier attempt.
    pub(super) async fn run(mut self, span: Span) -> Result<Receipt<O::Response>> {
        let started = now();
        let result = self.attempt_until_done().await;
        self.log.is_finished = true;
        let result = match result {
            Ok(receipt) => Ok(receipt.after(self.log.attempts)),
            Err(error) => {
                let fingerprint = self.attempted.and_then(|attempted| self.operation.fingerprint(attempted));
                let replay = self.operation.replay();
                let error =
                    error.with_effect(replay == RepeatSafety::ReadOnly, replay == RepeatSafety::Idempotent);
                Err(error.after(self.log.attempts, self.log.may_have_been_done, fingerprint))
            }
        };
        telemetry::end_operation(
            &span,
            O::NAME,
            self.log.attempts,
            &result,
            now().saturating_duration_since(started),
        );
        self.tracked.end(&result);
        result
    }

    async fn attempt_until_done(&mut self) -> Result<Receipt<O::Response>> {
        // An operation without a token needs no permit.
        let mut token = self.fetch_token(None).await?;
        self.executor.connection.budget.request();
        loop {
            let ready = self.prepare(&mut token).await?;
            match self.attempt(&token.bearer, ready).await {
                AttemptStep::Accepted(receipt) => return Ok(receipt),
                AttemptStep::Lapsed => self.pause_after_lapse().await?,
                AttemptStep::Failed(failed) => {
                    let pause = self.plan_retry(&mut token, failed).await?;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
    }

    /// Returns the pause before the next attempt, or the error if there is none.
    async fn plan_retry(&mut self, token: &mut FetchedToken, failed: FailedAttempt) -> Result<Duration> {
        let FailedAttempt { verdict, error, retry_after } = failed;
        let next = self.options.retry.next(verdict.action, self.progress, random());
        let pause = match next {
            RetryDecision::Stop => return Err(error),
            RetryDecision::Retry(_) if !self.executor.connection.budget.try_retry() => return Err(error),
            // The server's wait holds, whatever the limiter allows.
            RetryDecision::Retry(pause) | RetryDecision::Requeue(pause) => {
                retry_after.map_or(pause, |wait| wait.max(pause))
            }
            RetryDecision::RetryUnavailable(wait) => wait,
            RetryDecision::RefreshToken => {
                *token = match self.refresh_token(token, &error).await {
                    Ok(Some(fresh)) => fresh,
                    Ok(None) => return Err(error),
                    Err(reason) => return Err(error.without_fresh_token(reason)),
                };
                Duration::ZERO
            }
        };
        self.progress.record(next);
        if pause >= self.wait_deadline().saturating_duration_since(now()) {
            return Err(error);
        }
        tracing::debug!(operation = O::NAME, attempt = self.log.attempts, ?next, "retrying");
        telemetry::retry_operation(O::NAME);
        self.log.may_have_been_done |= !verdict.delivery.is_safe_to_resend();
        self.last_error = Some(error);
        Ok(pause)
    }

    /// Fetches another token than the one that was rejected with a 401. Returns `None` if there is no other one.
    async fn refresh_token(&mut self, token: &FetchedToken, error: &Error) -> Result<Option<FetchedToken>> {
        let rejected = RejectedToken::new(&token.bearer, error.body());
        self.rejection = Some(rejected.why);
        let fresh = self.fetch_token(Some(rejected)).await?;
        Ok((!is_same(&fresh.bearer.token, &token.bearer.token)).then_some(fresh))
    }
}
