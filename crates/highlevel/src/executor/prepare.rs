//! Waits for everything that an attempt needs: a permit, a token, a connection.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::time::error::Elapsed;

use super::execution::{Execution, FetchedToken};
use super::operation::Operation;
use crate::limit::{AcquireError, AcquireErrorKind, Permit};
use crate::panics::catch_panic;
use crate::retry::{backoff, random};
use crate::time::now;
use crate::token::RejectedToken;
use crate::transport::Slot;
use crate::{Delivery, Error, ErrorKind, Result};

/// The token is fetched again if waiting for a permit took longer than this: it may have expired.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// The requirements of an attempt.
pub(super) struct Ready {
    pub(super) permit: Permit,
    pub(super) slot: Slot,
    pub(super) started: Instant,
    pub(super) authorization: HeaderValue,
    pub(super) timeout: Duration,
}

impl<O: Operation> Execution<'_, O> {
    /// Waits until an attempt can start.
    pub(super) async fn prepare(&mut self, token: &mut FetchedToken) -> Result<Ready> {
        loop {
            let started = now();
            self.ensure_time_at(started)?;
            let permit = self.acquire_permit(started).await?;
            self.fetch_token_after_long_wait(token).await?;
            let authorization = token.bearer.authorization.clone();
            let authorization = authorization.map_err(|text| Error::invalid_token(O::NAME, text))?;
            // After the token: refreshing it needs a connection as well.
            let slot = self.acquire_slot().await?;
            let started = now();
            self.ensure_time_at(started)?;
            // The permit may have expired while the execution waited for a token and a connection.
            if permit.expiry().is_some_and(|expiry| expiry.has_passed()) {
                self.pause_after_lapse().await?;
                continue;
            }
            let timeout = self.options.attempt.min(self.deadline.saturating_duration_since(started));
            return Ok(Ready { permit, slot, started, authorization, timeout });
        }
    }

    /// Returns the time until which an attempt is waited for: the deadline of the call, or the time before which the
    /// request has to start.
    pub(super) fn wait_deadline(&self) -> Instant {
        let begin_before = self.options.begin_before;
        begin_before.map_or(self.deadline, |begin_before| begin_before.monotonic().min(self.deadline))
    }

    pub(super) async fn fetch_token(&self, rejected: Option<RejectedToken<'_>>) -> Result<FetchedToken> {
        let bearer = self.executor.bearer(O::NAME, rejected, self.wait_deadline()).await?;
        Ok(FetchedToken { bearer, fetched_at: now() })
    }

    /// Pauses before another permit is acquired instead of one that lapsed. The pause grows, because a limiter may issue
    /// permits that have always lapsed.
    pub(super) async fn pause_after_lapse(&mut self) -> Result<()> {
        self.ensure_time()?;
        let pause = self.progress.lapses.checked_sub(1).map(|lapses| backoff(lapses, random()));
        let pause = pause.unwrap_or_default().min(self.wait_deadline().saturating_duration_since(now()));
        self.progress.lapses += 1;
        tokio::time::sleep(pause).await;
        self.ensure_time()
    }

    /// Returns an error if there is no time left for an attempt.
    fn ensure_time(&mut self) -> Result<()> {
        self.ensure_time_at(now())
    }

    fn ensure_time_at(&mut self, now: Instant) -> Result<()> {
        if now >= self.deadline {
            return Err(self.last_error_or(out_of_time(O::NAME)));
        }
        if self.options.begin_before.is_some_and(|begin_before| begin_before.has_passed()) {
            return Err(self.last_error_or(Error::start_deadline_passed(O::NAME)));
        }
        Ok(())
    }

    async fn acquire_permit(&mut self, now: Instant) -> Result<Permit> {
        let (limiter, deadline) = (&self.executor.connection.limiter, self.wait_deadline());
        let timeout = deadline.saturating_duration_since(now);
        let acquire = catch_panic(|| limiter.acquire(&self.executor.location, timeout));
        // The limiter may be the caller's: the deadline holds, whatever it does.
        let (error, wait) = match ready_by(deadline, acquire).await {
            Ok(Ok(Ok(permit))) => return Ok(permit),
            Ok(Ok(Err(error))) => {
                let wait = error.retry_after();
                (not_acquired(O::NAME, error), wait)
            }
            Ok(Err(panicked)) => {
                tracing::error!(operation = O::NAME, "the rate limiter panicked");
                (Error::limiter_failed(O::NAME, AcquireError::unavailable(panicked)), None)
            }
            Err(_) => {
                self.ensure_time()?;
                (out_of_time(O::NAME), None)
            }
        };
        Err(self.last_error_or(error).with_wait(wait))
    }

    async fn fetch_token_after_long_wait(&mut self, token: &mut FetchedToken) -> Result<()> {
        if now().saturating_duration_since(token.fetched_at) <= LONG_WAIT {
            return Ok(());
        }
        *token = self.fetch_token(None).await.map_err(|reason| match self.last_error.take() {
            Some(last) => last.without_fresh_token(reason),
            None => reason,
        })?;
        Ok(())
    }

    async fn acquire_slot(&mut self) -> Result<Slot> {
        let slot = self.executor.connection.slot();
        if let Ok(slot) = ready_by(self.wait_deadline(), slot).await {
            return slot.map_err(|error| self.last_error_or(error));
        }
        self.ensure_time()?;
        Err(self.last_error_or(out_of_time(O::NAME)))
    }

    /// Returns the error of the last attempt, or this one if there was no attempt.
    fn last_error_or(&mut self, error: Error) -> Error {
        self.last_error.take().unwrap_or(error)
    }
}

/// Waits for a future until the deadline. A future that is ready at once, as nearly all are, needs no timer.
async fn ready_by<F: Future>(deadline: Instant, future: F) -> std::result::Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Ok(output);
    }
    tokio::time::timeout_at(deadline.into(), future).await
}

fn out_of_time(operation: &'static str) -> Error {
    Error::no_response(operation, Delivery::NotSent, ErrorKind::Timeout)
}

/// Returns the error of a request for which no permit was issued.
fn not_acquired(operation: &'static str, error: AcquireError) -> Error {
    let seconds = error.retry_after().unwrap_or_default().as_secs_f64();
    match error.kind() {
        AcquireErrorKind::Daily => Error::rate_limited(
            operation,
            format!("the daily limit of the location is used up; retry in {seconds:.0} s"),
        ),
        AcquireErrorKind::Burst => Error::rate_limited(
            operation,
            format!(
                "the burst limit of the location is used up; the next permit is available in {seconds:.1} s, after the call's deadline"
            ),
        ),
        AcquireErrorKind::Unavailable => Error::limiter_failed(operation, error),
    }
}
