//! One call: attempts until there is a receipt, or a reason to stop.
//!
//! Pure functions make the decisions: [`classify`](crate::classify) what is known, [`RetryPolicy`](crate::RetryPolicy)
//! what to do about it. Here they meet the clock, the limiter and the network.

mod answer;
mod operations;
mod panics;
mod retry_after;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use highlevel_wire::{Gate, RequestContext, RequestTrace, ResponseValue};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span, field};

use self::answer::{Failed, evaluate};
pub(crate) use self::panics::catch_panic;
pub(crate) use self::retry_after::retry_after;
use crate::classify::Replay;
use crate::client::Client;
use crate::connection::Moment;
use crate::error::Cause;
use crate::limit::{AcquireError, AcquireErrorKind, Permit, RateLimitHeaders, RateLimited};
use crate::retry::{Next, Progress, RetryBudget, backoff};
use crate::token::{Bearer, Rejected};
use crate::transport::Slot;
use crate::unauthorized::Unauthorized;
use crate::{Delivery, Error, ErrorKind, Fingerprint, Receipt, Result};

/// The largest response that is read, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Re-fetch the token if waiting for a permit took longer than this; it may have expired.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Longer times are cut to this one: a time that far away can be added to every clock.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A request that the generated client can send.
pub(crate) trait Operation: Sync {
    /// The response.
    type Answer: DeserializeOwned + Send;

    /// The name, as the generated client has it.
    const NAME: &'static str;

    /// Returns whether it may be repeated when it may have been done.
    fn replay(&self) -> Replay {
        Replay::Unsafe
    }

    /// Returns the fingerprint of an attempt that starts at this time.
    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint>;

    /// Sends it once.
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

impl Client {
    /// Runs an operation: one attempt, and more where that is safe.
    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<Receipt<O::Answer>> {
        let mut call = Call::new(self, operation);
        let result = call.run().await;
        call.log.finished = true;
        match result {
            Ok(receipt) => Ok(receipt.after(call.log.attempts)),
            Err(error) => {
                let fingerprint = call.attempted.and_then(|attempted| operation.fingerprint(attempted));
                Err(error.after(call.log.attempts, call.log.may_have_been_done, fingerprint))
            }
        }
    }

    /// Returns the token to use, or to use instead of a rejected one.
    pub(crate) async fn bearer(
        &self,
        operation: &'static str,
        rejected: Option<Rejected<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>> {
        let bearer = catch_panic(|| self.tokens().bearer(rejected, deadline));
        match tokio::time::timeout_at(deadline.into(), bearer).await {
            Ok(Ok(Ok(bearer))) => Ok(bearer),
            Ok(Ok(Err(cause))) => Err(Error::no_token(operation, cause)),
            Ok(Err(panicked)) => {
                tracing::error!(operation, "the token source panicked");
                Err(Error::no_token(operation, Cause::Own(panicked.into())))
            }
            Err(_) => Err(Error::slow_token(operation)),
        }
    }
}

/// One call: its limits, and what its attempts leave behind.
struct Call<'a, O> {
    client: &'a Client,
    operation: &'a O,
    deadline: Instant,
    progress: Progress,
    /// The start of the attempt that may have been done, or else of the last one.
    attempted: Option<SystemTime>,
    /// The error of the last attempt, which is reported if there is no time for another one.
    last: Option<Error>,
    /// The 401 to the token before, as long as it is not known whether another one is accepted.
    rejected: Option<Unauthorized>,
    log: DropLog,
}

/// A token, and when it was fetched.
struct FetchedToken {
    bearer: Arc<Bearer>,
    fetched_at: Instant,
}

/// What an attempt needs.
struct Ready {
    permit: Arc<Permit>,
    slot: Slot,
    acquired: Instant,
    authorization: HeaderValue,
    timeout: Duration,
}

/// What follows from an attempt.
enum Step<T> {
    Finish(Result<Receipt<T>>),
    /// Start another attempt after a pause.
    Again(Duration),
}

impl<'a, O: Operation> Call<'a, O> {
    fn new(client: &'a Client, operation: &'a O) -> Self {
        Self {
            client,
            operation,
            deadline: now() + client.options().call.min(LONGEST_CALL),
            progress: Progress::default(),
            attempted: None,
            last: None,
            rejected: None,
            log: DropLog::new(O::NAME),
        }
    }

    async fn run(&mut self) -> Result<Receipt<O::Answer>> {
        // A call without a token needs no permit.
        let mut token = self.fetch_token(None).await?;
        self.client.connection().budget.request();
        loop {
            let ready = self.prepare(&mut token).await?;
            let pause = match self.attempt(&mut token, ready).await {
                Step::Finish(result) => return result,
                Step::Again(pause) => pause,
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The time at which waiting for an attempt ends: that of the call, or the one before which the request has to begin.
    fn begin_deadline(&self) -> Instant {
        let begin_before = self.client.options().begin_before;
        begin_before.map_or(self.deadline, |begin_before| begin_before.monotonic().min(self.deadline))
    }

    /// Waits for everything that an attempt needs.
    async fn prepare(&mut self, token: &mut FetchedToken) -> Result<Ready> {
        loop {
            self.check_time()?;
            let permit = self.permit().await?;
            if now().saturating_duration_since(token.fetched_at) > LONG_WAIT {
                *token = match self.fetch_token(None).await {
                    Ok(token) => token,
                    Err(why) => {
                        return Err(match self.last.take() {
                            Some(last) => last.without_fresh_token(why),
                            None => why,
                        });
                    }
                };
            }
            let authorization =
                token.bearer.authorization.clone().map_err(|what| Error::odd_token(O::NAME, what))?;
            // After the token: a refresh of it needs a connection as well.
            let slot = self.slot().await?;
            let acquired = now();
            self.check_time()?;
            // The waits for a connection and a token may have taken longer than the permit is valid.
            if permit.expiry().is_some_and(|expiry| expiry.has_passed()) {
                self.pause_after_lapse().await?;
                continue;
            }
            let timeout = self.client.options().attempt.min(self.deadline.saturating_duration_since(now()));
            return Ok(Ready { permit: Arc::new(permit), slot, acquired, authorization, timeout });
        }
    }

    /// Fails if there is no time for an attempt.
    fn check_time(&mut self) -> Result<()> {
        if now() >= self.deadline {
            return Err(self.last.take().unwrap_or_else(|| out_of_time(O::NAME)));
        }
        if self.client.options().begin_before.is_some_and(|begin_before| begin_before.has_passed()) {
            return Err(self.last.take().unwrap_or_else(|| Error::too_late(O::NAME)));
        }
        Ok(())
    }

    /// Waits for a permit.
    async fn permit(&mut self) -> Result<Permit> {
        let (limiter, deadline) = (&self.client.connection().limiter, self.begin_deadline());
        let timeout = deadline.saturating_duration_since(now());
        let acquire = catch_panic(|| limiter.acquire(self.client.location(), timeout));
        // The limiter may be a caller's: the deadline holds whatever it does.
        let (error, wait) = match tokio::time::timeout_at(deadline.into(), acquire).await {
            Ok(Ok(Ok(permit))) => return Ok(permit),
            Ok(Ok(Err(denied))) => {
                let wait = denied.retry_after();
                (limited(O::NAME, denied), wait)
            }
            Ok(Err(panicked)) => {
                tracing::error!(operation = O::NAME, "the rate limiter panicked");
                (Error::limiter(O::NAME, AcquireError::unavailable(panicked)), None)
            }
            Err(_) => {
                self.check_time()?;
                (out_of_time(O::NAME), None)
            }
        };
        Err(self.last.take().unwrap_or(error).with_wait(wait))
    }

    /// Waits for a connection.
    async fn slot(&mut self) -> Result<Slot> {
        match tokio::time::timeout_at(self.begin_deadline().into(), self.client.connection().slot()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(why)) => Err(self.last.take().unwrap_or(why)),
            Err(_) => {
                self.check_time()?;
                Err(self.last.take().unwrap_or_else(|| out_of_time(O::NAME)))
            }
        }
    }

    async fn fetch_token(&self, rejected: Option<Rejected<'_>>) -> Result<FetchedToken> {
        let bearer = self.client.bearer(O::NAME, rejected, self.begin_deadline()).await?;
        Ok(FetchedToken { bearer, fetched_at: now() })
    }

    /// Makes one attempt, and decides what follows from it.
    async fn attempt(&mut self, token: &mut FetchedToken, ready: Ready) -> Step<O::Answer> {
        let Ready { permit, slot, acquired, authorization, timeout } = ready;
        self.log.attempts += 1;
        if !self.log.may_have_been_done {
            self.attempted = Some(SystemTime::now());
        }
        let span = tracing::debug_span!(
            "highlevel",
            operation = O::NAME,
            attempt = self.log.attempts,
            status = field::Empty,
            ms = field::Empty
        );
        let gate = self.gate(&permit);
        let sent = self.send(&slot.http, gate, authorization, timeout).instrument(span.clone()).await;
        // A refresh of the token, or the next attempt, waits for a slot as well.
        drop(slot);
        if sent.trace.refused {
            // The request did not begin, so it was no attempt.
            self.log.attempts -= 1;
            return match self.pause_after_lapse().await {
                Ok(()) => Step::Again(Duration::ZERO),
                Err(error) => Step::Finish(Err(error)),
            };
        }
        let (result, headers) = self.evaluate(sent, &token.bearer);
        report(&permit, &result, &headers);
        drop(permit);
        trace(&span, &result, now().saturating_duration_since(acquired));
        self.note_acceptance(&result, &token.bearer);
        match result {
            Ok(receipt) => Step::Finish(Ok(receipt)),
            Err(failed) => self.follow_up(token, failed).await,
        }
    }

    /// The decision right before the first byte: neither the permit nor the caller's deadline may have lapsed.
    fn gate(&self, permit: &Arc<Permit>) -> Gate {
        let (permit, begin_before) = (Arc::clone(permit), self.client.options().begin_before);
        Gate::new(move || {
            !begin_before.is_some_and(|begin_before| begin_before.has_passed()) && permit.begin()
        })
    }

    /// Sends the request once.
    async fn send(
        &mut self,
        http: &reqwest::Client,
        gate: Gate,
        authorization: HeaderValue,
        timeout: Duration,
    ) -> Sent<O::Answer> {
        let connection = self.client.connection();
        connection.settled.settle().await;
        let sent_at = Moment::now();
        let context = connection.context(Some(authorization), timeout, Some(gate)).moving_headers();
        let wire = connection.below(http.clone(), &context);
        self.log.current = Some(context.clone());
        let result = self.operation.run(&wire).await;
        self.log.current = None;
        let trace = context.take();
        if trace.response.is_some() {
            connection.settled.had_turn_since(sent_at);
        }
        Sent { result, trace }
    }

    fn evaluate(
        &self,
        Sent { result, trace }: Sent<O::Answer>,
        bearer: &Bearer,
    ) -> (Result<Receipt<O::Answer>, Failed>, RateLimitHeaders) {
        let headers = trace.response.as_ref().map(|response| RateLimitHeaders::read(&response.headers));
        let headers = headers.unwrap_or_default();
        (evaluate::<O>(self.operation.replay(), result, trace, &headers, &bearer.token), headers)
    }

    /// Reports that a fresh token was accepted, if the one before was not.
    fn note_acceptance<T>(&mut self, result: &Result<T, Failed>, bearer: &Bearer) {
        let is_accepted = match result {
            Ok(_) => true,
            Err(failed) => failed.error.status().is_some_and(|status| status != 401),
        };
        if let Some(why) = self.rejected.take_if(|_| is_accepted) {
            self.client.tokens().helped(why, bearer);
        }
    }

    /// Decides what follows from a failed attempt.
    async fn follow_up(&mut self, token: &mut FetchedToken, failed: Failed) -> Step<O::Answer> {
        let next = self.client.options().retry.next(failed.verdict.remedy, self.progress, random());
        let pause = match next {
            Next::Stop => return Step::Finish(Err(failed.error)),
            Next::Queue(pause) => {
                self.progress.rate_limited += 1;
                // Whatever the limiter does with it, the server is not asked before.
                failed.retry_after.map_or(pause, |wait| wait.max(pause))
            }
            Next::Retry(pause) => {
                self.progress.retries += 1;
                if !self.client.connection().budget.try_retry() {
                    return Step::Finish(Err(failed.error));
                }
                failed.retry_after.map_or(pause, |wait| wait.max(pause))
            }
            Next::Unavailable(wait) => {
                self.progress.unavailable = true;
                wait
            }
            Next::FreshToken => {
                self.progress.fresh_token = true;
                let rejected = Rejected::new(&token.bearer, failed.error.body());
                self.rejected = Some(rejected.why);
                match self.fetch_token(Some(rejected)).await {
                    Ok(fresh) if !same(&fresh.bearer.token, &token.bearer.token) => *token = fresh,
                    Ok(_) => return Step::Finish(Err(failed.error)),
                    Err(why) => return Step::Finish(Err(failed.error.without_fresh_token(why))),
                }
                Duration::ZERO
            }
        };
        if pause >= self.begin_deadline().saturating_duration_since(now()) {
            return Step::Finish(Err(failed.error));
        }
        tracing::debug!(operation = O::NAME, attempt = self.log.attempts, ?next, "retrying");
        self.log.may_have_been_done |= !failed.verdict.delivery.is_safe_to_resend();
        self.last = Some(failed.error);
        Step::Again(pause)
    }

    /// Waits before another permit is acquired instead of one that lapsed, longer each time: a limiter may issue permits that
    /// have always lapsed.
    async fn pause_after_lapse(&mut self) -> Result<()> {
        self.check_time()?;
        let pause = self.progress.lapses.checked_sub(1).map(|lapses| backoff(lapses, random()));
        let pause = pause.unwrap_or_default().min(self.begin_deadline().saturating_duration_since(now()));
        self.progress.lapses += 1;
        tokio::time::sleep(pause).await;
        self.check_time()
    }
}

/// What is left of one attempt.
struct Sent<T> {
    result: Result<ResponseValue<T>, highlevel_wire::Error<()>>,
    trace: RequestTrace,
}

/// Logs a call whose future is dropped before it has finished: otherwise nothing tells what became of its request.
struct DropLog {
    operation: &'static str,
    /// Attempts that were started.
    attempts: u32,
    /// An earlier attempt may have been done: a later rejection does not undo it.
    may_have_been_done: bool,
    /// The attempt in progress.
    current: Option<RequestContext>,
    finished: bool,
}

impl DropLog {
    fn new(operation: &'static str) -> Self {
        Self { operation, attempts: 0, may_have_been_done: false, current: None, finished: false }
    }
}

impl Drop for DropLog {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // Sealed, the request cannot be written after this line.
        let written = self.current.as_ref().is_some_and(RequestContext::seal);
        tracing::warn!(
            operation = self.operation,
            attempt = self.attempts,
            may_have_been_sent = written || self.may_have_been_done,
            "the future of a call was dropped before it finished"
        );
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
