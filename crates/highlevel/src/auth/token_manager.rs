//! Manages the tokens of one resource, and refreshes them once for all calls that wait.
//!
//! The tokens in memory serve nearly every call. Otherwise a task of its own reads the store, and asks HighLevel if no other
//! process has done so. Calls wait for the task that runs; it continues when they give up. A task that nothing runs any more
//! is replaced by one on the runtime of the next call that waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use secrecy::SecretString;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::app::Inner;
use super::oauth::Moment;
use super::refresh_policy::{Decision, FAILURE_COOLDOWN, Verdict, decide};
use super::refresh_task::{LeaseHolder, RefreshTask};
use super::store::{Key, Precondition, StoredTokens, Version};
use super::task::{self, Ended, TaskHandle};
use super::token_error::REPEATED_FOR;
use super::{TokenSet, oauth};
use crate::call;
use crate::token::{Bearer, Rejected};
use crate::unauthorized::Unauthorized;
use crate::{CompanyId, Error};

/// How many tasks a call waits for, if nothing runs one after the other.
const ROUNDS: usize = 5;
/// A task that has not beaten for this long, by calls that do not wait for it, is looked at by one that does.
const LONG_SILENCE: Duration = Duration::from_secs(1);
/// A refresh ahead of expiry that was not sent within this time is given up: the token does for a while.
const AHEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A call that starts a refresh ahead of expiry waits for it for this long at most, and for half of its own time.
const AHEAD_WAIT: Duration = Duration::from_secs(30);

/// The result of a refresh.
pub(super) type Outcome = Result<Arc<Bearer>, Arc<Error>>;

/// Manages the tokens of one resource. Clones manage the same.
#[derive(Clone)]
pub(crate) struct TokenManager {
    pub(super) app: Arc<Inner>,
    pub(super) slot: Arc<Slot>,
}

/// The state of one resource in this process.
pub(super) struct Slot {
    pub(super) key: Key,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) known: Option<Known>,
    /// The company that can issue tokens for this location, where the tokens do not name it.
    pub(super) company: Option<CompanyId>,
    pub(super) refused: Option<Refused>,
    /// The version of the tokens whose refresh token HighLevel does not accept.
    pub(super) invalid_grant: Option<Version>,
    pub(super) pending: Option<PendingWrite>,
    /// The task that offers them to the store again.
    pub(super) offering: Option<AbortHandle>,
    /// When a token that HighLevel rejected was last replaced by another.
    pub(super) replaced: Option<Moment>,
    pub(super) in_flight: Option<InFlight>,
    /// The holder of the lease that this process may have.
    pub(super) lease: Option<LeaseHolder>,
    pub(super) removal: Removal,
    /// When a refresh ahead of expiry was last started.
    ahead: Option<Moment>,
    running: Option<Running>,
    /// The number of the latest task.
    tasks: u64,
}

/// Tokens that are in the store, as of the last look.
pub(super) struct Known {
    pub(super) stored: StoredTokens,
    pub(super) bearer: Arc<Bearer>,
    pub(super) jitter: f64,
}

/// A rejection by HighLevel. It is not asked again for a while, unless other tokens are stored.
pub(super) struct Refused {
    pub(super) version: Option<Version>,
    pub(super) at: Moment,
    pub(super) cooldown: Duration,
    pub(super) error: Arc<Error>,
}

/// Tokens that the store has not taken yet. Only this process has them, so it retains them until the store does.
#[derive(Clone)]
pub(super) struct PendingWrite {
    pub(super) tokens: TokenSet,
    pub(super) expected: Precondition,
    /// `true` for tokens of a new installation, which replace those of an earlier one.
    pub(super) is_installation: bool,
}

/// A refresh token that may have been used, and whose new tokens have not been received. Until HighLevel stops repeating its
/// response, the same request still gets them, from any task.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) token: SecretString,
    pub(super) since: Moment,
}

/// The removals of the app, as far as a write that is under way has to know of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) count: u64,
    pub(super) happened: Option<SystemTime>,
}

struct Running {
    number: u64,
    handle: TaskHandle<Outcome>,
    deadline: Deadline,
    /// The number of its beats, and since when it is the same.
    beats: Option<(u64, Moment)>,
}

/// A task to wait for.
struct Waiting {
    number: u64,
    handle: TaskHandle<Outcome>,
}

/// The deadline of a refresh: that of the last call that waits for it.
#[derive(Clone)]
pub(super) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    pub(super) fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn left(&self) -> Duration {
        self.at().saturating_duration_since(call::now())
    }

    fn extend(&self, to: Instant) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *at = to.max(*at);
    }
}

/// The reason of a refresh.
#[derive(Clone)]
pub(super) enum Reason {
    /// The tokens expire soon, or are on their way.
    Ahead,
    /// There are none, or they have expired.
    Needed,
    /// HighLevel rejected this one.
    Rejected(SecretString, Unauthorized),
    /// The app may have been removed: only a refresh shows whether HighLevel still accepts these.
    Verify(SecretString),
}

/// The result of looking into memory.
enum Look {
    Use(Arc<Bearer>),
    /// The tokens can be used, and this call has started to refresh them.
    Started(Waiting),
    Wait(Waiting),
}

impl InFlight {
    /// Returns `true` as long as HighLevel repeats its response.
    pub(super) fn is_repeated(&self, now: Moment) -> bool {
        now.since(self.since) < REPEATED_FOR
    }
}

impl Slot {
    pub(super) fn new(key: Key) -> Self {
        Self { key, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns `true` if dropping it loses nothing.
    pub(super) fn is_blank(&self) -> bool {
        let Self { known, company, refused, pending, replaced, in_flight, running, .. } = self;
        known.is_none()
            && company.is_none()
            && refused.is_none()
            && pending.is_none()
            && replaced.is_none()
            && in_flight.is_none()
            && running.is_none()
    }

    /// Returns `true` as long as no other task has taken over from this one.
    pub(super) fn is_current(&self, number: u64) -> bool {
        self.running.as_ref().is_some_and(|running| running.number == number)
    }

    /// Returns `true` unless a task was started after this one.
    pub(super) fn is_latest(&self, number: u64) -> bool {
        self.tasks == number
    }

    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.handle.is_live())
    }

    /// Returns `true` if new tokens are on their way, and no task waits for them.
    fn is_abandoned(&self, now: Moment) -> bool {
        self.in_flight.as_ref().is_some_and(|sent| sent.is_repeated(now)) && !self.is_running()
    }

    /// Returns `true` if new tokens are on their way, and the task that waits for them seems to have stalled: calls that do
    /// not wait for it have seen no beat for a while. To wait for it shows whether it has.
    fn seems_stalled(&mut self, now: Moment) -> bool {
        let Some(running) = self.running.as_mut().filter(|_| self.in_flight.is_some()) else { return false };
        let beats = running.handle.beats();
        match running.beats {
            Some((seen, since)) if seen == beats => now.since(since) >= LONG_SILENCE,
            _ => {
                running.beats = Some((beats, now));
                false
            }
        }
    }

    /// Returns `true` if something has to be done before the process ends.
    pub(super) fn is_unsettled(&self, now: Moment) -> bool {
        self.pending.is_some() || self.is_running() || self.is_abandoned(now)
    }
}

impl TokenManager {
    /// Returns the token to use, or to use instead of a rejected one. The deadline is for the refresh; the caller sees to
    /// its own.
    pub(crate) async fn bearer(&self, rejected: Option<Rejected<'_>>, deadline: Instant) -> Outcome {
        let mut may_start = true;
        for round in 1..=ROUNDS {
            match self.look(rejected, deadline, may_start && round < ROUNDS) {
                Look::Use(bearer) => return Ok(bearer),
                // A program may end after this call: the tokens that it has asked for must not end with it. Before the
                // request rather than after it: a call that is given up here has sent nothing.
                Look::Started(waiting) => {
                    let own = deadline.saturating_duration_since(call::now()) / 2;
                    match tokio::time::timeout(own.min(AHEAD_WAIT), self.ended(waiting)).await {
                        Ok(Some(Ok(bearer))) => return Ok(bearer),
                        Ok(None) => {}
                        Ok(Some(Err(_))) | Err(_) => may_start = false,
                    }
                }
                Look::Wait(waiting) => {
                    if let Some(outcome) = self.ended(waiting).await {
                        return outcome;
                    }
                }
            }
        }
        let text = format!(
            "the tokens of the {} were not refreshed: nothing runs the tasks for it; drive the tokio runtime that makes the \
             calls",
            oauth::describe(&self.slot.key.resource)
        );
        Err(Arc::new(Error::token("token", text)))
    }

    /// Returns the token in memory, or else the task to wait for. `may_start`: a refresh that is not needed yet may be
    /// started.
    fn look(&self, rejected: Option<Rejected<'_>>, deadline: Instant, may_start: bool) -> Look {
        let mut state = self.slot.state();
        let now = self.app.moment();
        let mut reason = rejected
            .map_or(Reason::Needed, |rejected| Reason::Rejected(rejected.bearer.token.clone(), rejected.why));
        if let Some(known) = &state.known {
            let last_replaced = state.replaced.map(|at| now.since(at));
            let verdict = known.verdict(rejected, last_replaced);
            let bearer = Arc::clone(&known.bearer);
            match decide(&known.stored.tokens, now.wall, known.jitter, verdict) {
                Decision::Use if verdict == Verdict::NotRejected => {
                    if !may_start || !(state.is_abandoned(now) || state.seems_stalled(now)) {
                        return Look::Use(bearer);
                    }
                    return Look::Started(self.join(&mut state, &Reason::Ahead, self.own_deadline()));
                }
                // Newer ones from HighLevel do not help, but there may be others in the store.
                Decision::Use => reason = Reason::Needed,
                Decision::RefreshAhead => {
                    let is_due = state.ahead.is_none_or(|at| now.since(at) >= FAILURE_COOLDOWN);
                    let is_left = state.is_abandoned(now) || state.seems_stalled(now);
                    let starts = is_left || is_due && !state.is_running();
                    if !may_start || !starts {
                        return Look::Use(bearer);
                    }
                    state.ahead = Some(now);
                    let soon = self.own_deadline().min(call::now() + AHEAD_DEADLINE);
                    return Look::Started(self.join(&mut state, &Reason::Ahead, soon));
                }
                Decision::RefreshNow => {}
            }
        }
        Look::Wait(self.join(&mut state, &reason, deadline))
    }

    /// The deadline of what no call waits for.
    pub(super) fn own_deadline(&self) -> Instant {
        call::now() + self.app.connection.options.call.min(call::LONGEST_CALL)
    }

    /// Joins the task that runs, or starts one.
    fn join(&self, state: &mut State, reason: &Reason, deadline: Instant) -> Waiting {
        if let Some(running) = &state.running
            && running.handle.is_live()
        {
            running.deadline.extend(deadline);
            return Waiting { number: running.number, handle: running.handle.clone() };
        }
        let (reporter, handle) = task::channel();
        let deadline = Deadline::new(deadline);
        state.tasks += 1;
        let number = state.tasks;
        // A task whose runtime was shut down has left its lease behind.
        let holder = state.lease.clone();
        state.running =
            Some(Running { number, handle: handle.clone(), deadline: deadline.clone(), beats: None });
        let refresh = RefreshTask::new(self.clone(), number, reason.clone(), deadline, holder);
        let span = tracing::debug_span!(
            "highlevel tokens",
            kind = self.slot.key.resource.kind(),
            id = self.slot.key.resource.id()
        );
        let manager = self.clone();
        tokio::spawn(
            async move {
                let outcome = reporter.run(refresh.run()).await;
                let now = manager.app.moment();
                let mut state = manager.slot.state();
                state.running.take_if(|running| running.number == number);
                if let (Reason::Rejected(rejected, _), Some(Ok(bearer))) = (&refresh.reason, &outcome)
                    && !call::same(rejected, &bearer.token)
                {
                    state.replaced = Some(now);
                }
                if let Some(outcome) = outcome {
                    // Under the lock: a call that looks now sees either the task or what it left behind.
                    reporter.finish(outcome);
                }
            }
            .instrument(span),
        );
        Waiting { number, handle }
    }

    /// Waits until a task has ended: `None` if it has no outcome. One that nothing runs is given up, so that the next look
    /// starts another, which continues where it stopped.
    async fn ended(&self, waiting: Waiting) -> Option<Outcome> {
        match waiting.handle.ended().await {
            Ended::Done(outcome) => return Some(outcome),
            Ended::Vanished => {}
            Ended::Stalled => {
                tracing::warn!(
                    "the refresh of the tokens of the {} is not run any more, and is taken over: is its tokio runtime \
                     driven?",
                    oauth::describe(&self.slot.key.resource)
                );
            }
        }
        let mut state = self.slot.state();
        if state.running.take_if(|running| running.number == waiting.number).is_some() {
            state.ahead = None;
        }
        None
    }

    /// Refreshes tokens now, even if they have not expired.
    pub(super) async fn verify(&self, token: &SecretString, deadline: Instant) -> Option<Outcome> {
        for _ in 0..ROUNDS {
            let (waiting, is_own) = {
                let mut state = self.slot.state();
                let is_own = !state.is_running();
                (self.join(&mut state, &Reason::Verify(token.clone()), deadline), is_own)
            };
            let outcome = self.ended(waiting).await;
            // One that had begun before may have found the tokens good enough.
            if is_own && outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// Waits until nothing is under way and the store has everything. A runtime that is not driven is not waited for: its
    /// work is done here.
    pub(super) async fn settle(&self) {
        for pause in 0_u32.. {
            let waiting = {
                let mut state = self.slot.state();
                let is_under_way = state.is_running() || state.is_abandoned(self.app.moment());
                is_under_way.then(|| self.join(&mut state, &Reason::Ahead, self.own_deadline()))
            };
            if let Some(waiting) = waiting {
                self.ended(waiting).await;
            } else if !self.offer_pending().await {
                return;
            }
            if self.slot.state().is_unsettled(self.app.moment()) {
                tokio::time::sleep(crate::retry::pause(pause, call::random())).await;
            }
        }
    }

    /// Stores what is known now, and returns its bearer.
    pub(super) fn adopt(&self, stored: StoredTokens) -> Arc<Bearer> {
        let mut state = self.slot.state();
        if let Some(known) = &state.known
            && known.stored.version == stored.version
        {
            return Arc::clone(&known.bearer);
        }
        let bearer = match &state.known {
            Some(known) if call::same(&known.bearer.token, &stored.tokens.access_token) => {
                Arc::clone(&known.bearer)
            }
            _ => Arc::new(Bearer::new(stored.tokens.access_token.clone())),
        };
        let jitter = call::random();
        state.known = Some(Known { stored, bearer: Arc::clone(&bearer), jitter });
        state.refused = None;
        state.ahead = None;
        bearer
    }

    /// Drops what was known: it is no longer there. What is on its way to the store is not of what was removed.
    pub(super) fn forget(&self) {
        let mut state = self.slot.state();
        let State { pending, offering, lease, removal, running, tasks, .. } = std::mem::take(&mut *state);
        *state = State { pending, offering, lease, removal, running, tasks, ..State::default() };
    }

    /// Notes that a request was accepted with the token that followed a rejected one.
    pub(crate) fn helped(&self, why: Unauthorized, bearer: &Bearer) {
        let mut state = self.slot.state();
        let Some(known) = &mut state.known else { return };
        if !call::same(&known.bearer.token, &bearer.token)
            || !known.stored.tokens.rejections.helped(why.words)
        {
            return;
        }
        let StoredTokens { tokens, version, .. } = known.stored.clone();
        drop(state);
        let manager = self.clone();
        self.app.jobs.spawn(async move {
            // For other processes. If it cannot be stored, they refresh less often than they might.
            let put = manager.app.store.put(&manager.slot.key, &tokens, Precondition::Version(version)).await;
            if let Ok(super::store::PutResult::Stored(version)) = put {
                manager.adopt(StoredTokens::new(tokens, version));
            }
        });
    }
}

impl Known {
    /// Returns the verdict about these tokens, if `rejected` is the last one that HighLevel did not accept.
    fn verdict(&self, rejected: Option<Rejected<'_>>, last_replaced: Option<Duration>) -> Verdict {
        match rejected {
            Some(rejected) if call::same(&rejected.bearer.token, &self.bearer.token) => {
                Verdict::Rejected { why: rejected.why, last_replaced }
            }
            _ => Verdict::NotRejected,
        }
    }
}
