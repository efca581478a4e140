//! One call: attempts until there is a receipt, or a reason to stop.
//!
//! The decisions are made elsewhere, by pure functions: what is known by [`classify`](crate::classify), what to do about
//! it by [`RetryPolicy`]. Here they meet the clock, the limiter and the network.

mod answer;
mod operations;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use highlevel_wire::ResponseValue;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span, field};

use self::answer::{Failed, judge};
pub(crate) use self::answer::{is_about_a_scope, is_about_version, retry_after};
use crate::classify::Replay;
use crate::client::Client;
use crate::connection::Moment;
use crate::limit::{AcquireError, AcquireErrorKind, Permit, RateLimitHeaders, RateLimited};
use crate::retry::{Next, Progress, RetryBudget};
use crate::token::{Bearer, Rejected};
use crate::transport::Slot;
use crate::{Delivery, Error, ErrorKind, Fingerprint, Receipt, Result};

/// The largest answer that is read, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// A token that was had longer ago is had anew when a request gets its turn: it may have expired meanwhile.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Longer than any program waits; the time at which a longer call ends might not exist.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A request that can be made with the client below.
pub(crate) trait Operation: Sync {
    /// What is answered.
    type Answer: DeserializeOwned + Send;

    /// Its name, as the generated client names it.
    const NAME: &'static str;

    /// Whether it may be made again when it may have been done.
    fn replay(&self) -> Replay {
        Replay::Unsafe
    }

    /// Returns the fingerprint of an attempt that starts at this time.
    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint>;

    /// Makes it once.
    fn run(
        &self,
        wire: &highlevel_wire::Client,
    ) -> impl Future<Output = Result<ResponseValue<Self::Answer>, highlevel_wire::Error<()>>> + Send;
}

/// The retries of all calls of a client, on its clock.
#[derive(Debug)]
pub(crate) struct SharedBudget {
    began: Instant,
    budget: Mutex<RetryBudget>,
}

impl Default for SharedBudget {
    fn default() -> Self {
        Self { began: now(), budget: Mutex::default() }
    }
}

impl SharedBudget {
    fn request(&self) {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).request(self.millis());
    }

    fn try_retry(&self) -> bool {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).try_retry(self.millis())
    }

    fn millis(&self) -> u64 {
        u64::try_from(now().saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the attempts of a call leave behind, however it ends.
#[derive(Debug, Default)]
struct Track {
    attempts: u32,
    /// The start of the attempt that may have been done, or else of the last one.
    attempted: Option<SystemTime>,
    /// An earlier attempt may have been done: a later refusal does not undo it.
    may_have_been_done: bool,
}

impl Client {
    /// Makes a call: one attempt, and more where that is safe.
    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<Receipt<O::Answer>> {
        let mut track = Track::default();
        match self.attempts(operation, &mut track).await {
            Ok(receipt) => Ok(receipt.after(track.attempts)),
            Err(error) => {
                let fingerprint = track.attempted.and_then(|attempted| operation.fingerprint(attempted));
                Err(error.after(track.attempts, track.may_have_been_done, fingerprint))
            }
        }
    }

    async fn attempts<O: Operation>(&self, operation: &O, track: &mut Track) -> Result<Receipt<O::Answer>> {
        let deadline = now() + self.options().call.min(LONGEST_CALL);
        let shared = self.connection();
        let mut progress = Progress::default();
        // Before waiting for a turn, which a call without a token does not need.
        let mut bearer = self.bearer(O::NAME, None, deadline).await?;
        let mut had = now();
        // What the last attempt ended with: reported if there is no time for another one.
        let mut last: Option<Error> = None;
        shared.budget.request();
        loop {
            // A call without time takes nobody's turn, and is not told that it waited for one.
            if now() >= deadline {
                return Err(last.unwrap_or_else(|| out_of_time(O::NAME)));
            }
            let permit = match self.permit(O::NAME, deadline).await {
                Ok(permit) => permit,
                Err((why, wait)) => return Err(last.unwrap_or(why).with_wait(wait)),
            };
            let slot = self.slot(O::NAME, deadline).await.map_err(|why| last.take().unwrap_or(why))?;
            let acquired = now();
            if acquired.saturating_duration_since(had) > LONG_WAIT {
                bearer = match self.bearer(O::NAME, None, deadline).await {
                    Ok(bearer) => bearer,
                    Err(why) => {
                        return Err(match last {
                            Some(last) => last.without_fresh_token(why),
                            None => why,
                        });
                    }
                };
                had = now();
            }
            let remaining = deadline.saturating_duration_since(now());
            if remaining.is_zero() {
                return Err(last.unwrap_or_else(|| out_of_time(O::NAME)));
            }
            let timeout = self.options().attempt.min(remaining);
            let authorization =
                bearer.authorization.clone().map_err(|what| Error::odd_token(O::NAME, what))?;
            // The waits for a connection and a token may have taken longer than the permit is valid.
            if !permit.begin() {
                continue;
            }
            track.attempts += 1;
            if !track.may_have_been_done {
                track.attempted = Some(SystemTime::now());
            }
            let span = tracing::debug_span!(
                "highlevel",
                operation = O::NAME,
                attempt = track.attempts,
                status = field::Empty,
                ms = field::Empty
            );
            let (result, headers) = self
                .attempt(operation, &bearer, authorization, timeout, &slot)
                .instrument(span.clone())
                .await;
            // A refresh of the token, or the next attempt, waits for a slot as well.
            drop(slot);
            report(&permit, &result, &headers);
            drop(permit);
            trace(&span, &result, now().saturating_duration_since(acquired));
            let failed = match result {
                Ok(receipt) => return Ok(receipt),
                Err(failed) => failed,
            };
            let next = self.options().retry.next(failed.verdict.remedy, progress, random());
            let pause = match next {
                Next::Stop => return Err(failed.error),
                Next::Queue => Duration::ZERO,
                Next::Retry(pause) => {
                    progress.retries += 1;
                    if !shared.budget.try_retry() {
                        return Err(failed.error);
                    }
                    pause
                }
                Next::Unavailable(wait) => {
                    progress.unavailable = true;
                    wait
                }
                Next::FreshToken => {
                    progress.fresh_token = true;
                    let rejected = Rejected::new(&bearer, failed.error.body());
                    match self.bearer(O::NAME, Some(rejected), deadline).await {
                        Ok(fresh) if !same(&fresh.token, &bearer.token) => (bearer, had) = (fresh, now()),
                        Ok(_) => return Err(failed.error),
                        Err(why) => return Err(failed.error.without_fresh_token(why)),
                    }
                    Duration::ZERO
                }
            };
            if pause >= deadline.saturating_duration_since(now()) {
                return Err(failed.error);
            }
            tracing::debug!(operation = O::NAME, attempt = track.attempts, ?next, "trying again");
            track.may_have_been_done |= !failed.verdict.delivery.is_safe_to_resend();
            last = Some(failed.error);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Waits for a permit. Returns the error to report without one, and when to retry if that is known.
    async fn permit(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Permit, (Error, Option<Duration>)> {
        let timeout = deadline.saturating_duration_since(now());
        let acquire = self.connection().limiter.acquire(self.location(), timeout);
        // The limiter may be a caller's: the deadline holds whatever it does.
        match tokio::time::timeout_at(deadline.into(), acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(denied)) => {
                let wait = denied.retry_after();
                Err((limited(operation, denied), wait))
            }
            Err(_) => Err((out_of_time(operation), None)),
        }
    }

    /// Waits for a connection.
    async fn slot(&self, operation: &'static str, deadline: Instant) -> Result<Slot> {
        let slot = tokio::time::timeout_at(deadline.into(), self.connection().slot()).await;
        slot.unwrap_or_else(|_| Err(out_of_time(operation)))
    }

    async fn attempt<O: Operation>(
        &self,
        operation: &O,
        bearer: &Bearer,
        authorization: HeaderValue,
        timeout: Duration,
        slot: &Slot,
    ) -> (Result<Receipt<O::Answer>, Failed>, RateLimitHeaders) {
        let settled = &self.connection().settled;
        settled.settle().await;
        let sent_at = Moment::now();
        let exchange = self.connection().exchange(Some(authorization), timeout).moving_headers();
        let client = self.connection().below(slot.http.clone(), &exchange);
        let result = operation.run(&client).await;
        let observation = exchange.take();
        if observation.response.is_some() {
            settled.had_turn_since(sent_at);
        }
        let headers = observation.response.as_ref().map(|answer| RateLimitHeaders::read(&answer.headers));
        let headers = headers.unwrap_or_default();
        (judge::<O>(operation.replay(), result, observation, &headers, &bearer.token), headers)
    }

    /// The token to use, or to use instead of a rejected one.
    pub(crate) async fn bearer(
        &self,
        operation: &'static str,
        rejected: Option<Rejected<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>> {
        match tokio::time::timeout_at(deadline.into(), self.tokens().bearer(rejected, deadline)).await {
            Ok(Ok(bearer)) => Ok(bearer),
            Ok(Err(cause)) => Err(Error::no_token(operation, cause)),
            Err(_) => Err(Error::slow_token(operation)),
        }
    }
}

fn limited(operation: &'static str, denied: AcquireError) -> Error {
    let seconds = denied.retry_after().unwrap_or_default().as_secs_f64();
    match denied.kind() {
        AcquireErrorKind::Daily => Error::limited(
            operation,
            format!("the daily limit of the location is spent; retry in {seconds:.0} s"),
        ),
        AcquireErrorKind::Burst => Error::limited(
            operation,
            format!(
                "the location has used up its requests; a permit is available in {seconds:.1} s, after the call's deadline"
            ),
        ),
        AcquireErrorKind::Unavailable => Error::limiter(operation, denied),
    }
}

/// Reports the response, if there is one, to the limiter.
fn report<T>(permit: &Permit, result: &Result<Receipt<T>, Failed>, headers: &RateLimitHeaders) {
    let (status, retry_after) = match result {
        Ok(receipt) => (Some(receipt.http_status()), None),
        Err(failed) => (failed.error.status(), failed.retry_after),
    };
    if let Some(status) = status {
        permit.observe(headers, (status == 429).then(|| RateLimited::new(retry_after)));
    }
}

fn out_of_time(operation: &'static str) -> Error {
    Error::no_answer(operation, Delivery::NotSent, ErrorKind::Timeout)
}

pub(crate) fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

/// A number between 0 and 1.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// The time of the runtime, which tests can stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn trace<T>(span: &Span, result: &Result<Receipt<T>, Failed>, elapsed: Duration) {
    let _entered = span.enter();
    span.record("ms", u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    match result {
        Ok(receipt) => {
            span.record("status", receipt.http_status());
            tracing::debug!("accepted");
        }
        Err(Failed { error, .. }) => {
            if let Some(status) = error.status() {
                span.record("status", status);
            }
            tracing::debug!(kind = ?error.kind(), delivery = ?error.delivery(), "failed");
        }
    }
}
