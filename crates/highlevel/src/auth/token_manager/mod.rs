//! Manages the tokens of one resource, and refreshes them once for all calls that wait.
//!
//! The tokens in memory serve nearly every call. Otherwise a separate task reads the store, and requests new tokens from
//! HighLevel if no other process has done so. Calls wait for the task that runs; it continues when they give up. A task
//! that nothing runs any more is replaced by one on the runtime of the next call that waits.
//!
//! The modules of this folder use each other in a circle, because refreshes do: a location without a working refresh token
//! gets its tokens with the token of its company, and that token comes from a token manager.

mod company;
mod persistence;
mod refresh_task;
mod removal;
mod request;
mod task_lease;

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tracing::Instrument;

pub(super) use self::company::{CompanyTokenError, location_tokens};
use self::refresh_task::{Reason, RefreshTask};
#[cfg(feature = "webhook")]
pub(super) use self::removal::RemovalResult;
pub(super) use self::request::TokenRequestError;
use super::messages::describe;
use super::refresh_policy::{FAILURE_COOLDOWN, TokenDecision, TokenStatus, decide};
use super::shared::Shared;
use super::state::{ManagerState, RefreshOutcome, RunningTask, Slot};
use super::store::{Precondition, PutResult, Resource, StoredTokens};
use super::task::{self, Ended};
use super::time::Deadline;
use crate::retry::random;
use crate::time::now;
use crate::token::{Bearer, ManagedBearer, ManagedTokens, RejectedToken, is_same};
use crate::unauthorized::Unauthorized;
use crate::{Error, retry};

/// The number of tasks that a call waits for, if nothing runs one after the other.
const ROUNDS: usize = 5;
/// A refresh ahead of expiry that was not sent within this time is given up: the token is valid for a while.
const AHEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The longest wait of the call that starts a refresh ahead of expiry. It also waits for at most half of its own time.
const AHEAD_WAIT: Duration = Duration::from_secs(30);

/// Manages the tokens of one resource. Clones share the state.
#[derive(Clone)]
pub(crate) struct TokenManager {
    pub(super) app: Arc<Shared>,
    pub(super) slot: Arc<Slot>,
}

/// The result of a look at the tokens in memory.
enum Look {
    Use(Arc<Bearer>),
    /// The tokens are valid, and this call has started to refresh them.
    Started(RunningTask),
    Wait(RunningTask),
}

impl TokenManager {
    /// Returns the manager of the tokens of a resource.
    pub(super) fn new(app: &Arc<Shared>, resource: Resource) -> Self {
        Self { app: Arc::clone(app), slot: app.slot(resource) }
    }

    /// Returns the token to use, or to use instead of a rejected one. The deadline is for the refresh; the caller enforces its
    /// own.
    pub(crate) async fn bearer(
        &self,
        rejected: Option<RejectedToken<'_>>,
        deadline: Instant,
    ) -> RefreshOutcome {
        let mut may_start = true;
        for round in 1..=ROUNDS {
            match self.look(rejected, deadline, may_start && round < ROUNDS) {
                Look::Use(bearer) => return Ok(bearer),
                // A program may end after this call, and must not lose the tokens that it has requested. The wait is before
                // the request of the call, so that a call which is given up here has sent nothing.
                Look::Started(task) => {
                    let half = deadline.saturating_duration_since(now()) / 2;
                    match tokio::time::timeout(half.min(AHEAD_WAIT), self.ended(task)).await {
                        Ok(Some(Ok(bearer))) => return Ok(bearer),
                        Ok(None) => {}
                        Ok(Some(Err(_))) | Err(_) => may_start = false,
                    }
                }
                Look::Wait(task) => {
                    if let Some(outcome) = self.ended(task).await {
                        return outcome;
                    }
                }
            }
        }
        let text = format!(
            "the tokens of the {} were not refreshed, because the tokio runtime is not driven; drive the runtime that the \
             calls use",
            self.name()
        );
        Err(Arc::new(Error::token("token", text)))
    }

    /// Returns the token in memory, or the task to wait for. `may_start` permits a refresh that is not necessary yet.
    fn look(&self, rejected: Option<RejectedToken<'_>>, deadline: Instant, may_start: bool) -> Look {
        let mut state = self.state();
        let now = self.app.moment();
        let mut reason = rejected
            .map_or(Reason::Needed, |rejected| Reason::Rejected(rejected.bearer.token.clone(), rejected.why));
        if let Some(known) = &state.tokens.known {
            let last_replaced = state.tokens.replaced_at.map(|at| now.since(at));
            let verdict = known.verdict(rejected, last_replaced);
            let bearer = Arc::clone(&known.bearer);
            match decide(&known.stored.tokens, now.wall, known.jitter, verdict) {
                TokenDecision::Use if verdict == TokenStatus::NotRejected => {
                    if !may_start || !state.needs_takeover(now) {
                        return Look::Use(bearer);
                    }
                    let deadline = self.app.default_deadline();
                    return Look::Started(self.join(&mut state, &Reason::Ahead, deadline));
                }
                // A refresh does not help, but another process may have stored other tokens.
                TokenDecision::Use => reason = Reason::Needed,
                TokenDecision::RefreshAhead => {
                    let last = state.tokens.refreshed_ahead_at;
                    let is_due = last.is_none_or(|at| now.since(at) >= FAILURE_COOLDOWN);
                    let starts = state.needs_takeover(now) || is_due && state.task.live().is_none();
                    if !may_start || !starts {
                        return Look::Use(bearer);
                    }
                    state.tokens.refreshed_ahead_at = Some(now);
                    let deadline = self.app.default_deadline().min(crate::time::now() + AHEAD_DEADLINE);
                    return Look::Started(self.join(&mut state, &Reason::Ahead, deadline));
                }
                TokenDecision::RefreshNow => {}
            }
        }
        Look::Wait(self.join(&mut state, &reason, deadline))
    }

    /// Joins the task that runs, or starts one.
    fn join(&self, state: &mut ManagerState, reason: &Reason, deadline: Instant) -> RunningTask {
        match state.task.live() {
            Some((task, running_until)) => {
                running_until.extend(deadline);
                task.clone()
            }
            None => self.start(state, reason.clone(), Deadline::new(deadline)),
        }
    }

    /// Starts a task on the current runtime.
    fn start(&self, state: &mut ManagerState, reason: Reason, deadline: Deadline) -> RunningTask {
        let (reporter, handle) = task::channel();
        let started = state.task.start(handle, deadline.clone());
        // A task whose runtime was shut down has left its lease behind.
        let holder = state.task.lease.clone();
        let refresh = RefreshTask::new(self.clone(), started.number, reason, deadline, holder);
        let (manager, number) = (self.clone(), started.number);
        let span = tracing::debug_span!(
            "highlevel tokens",
            kind = self.slot.key.resource.kind(),
            id = self.slot.key.resource.id()
        );
        let work = async move {
            let outcome = reporter.run(refresh.run()).await;
            let now = manager.app.moment();
            let mut state = manager.state();
            state.task.end(number);
            if let (Reason::Rejected(rejected, _), Some(Ok(bearer))) = (&refresh.reason, &outcome)
                && !is_same(rejected, &bearer.token)
            {
                state.tokens.replaced_at = Some(now);
            }
            if let Some(outcome) = outcome {
                // Under the lock: a call that looks now sees either the task or its result.
                reporter.finish(outcome);
            }
        };
        tokio::spawn(work.instrument(span));
        started
    }

    /// Waits until a task has ended. Returns `None` if it has no outcome. A task that nothing runs is removed, so that the
    /// next look starts another, which continues where it stopped.
    async fn ended(&self, task: RunningTask) -> Option<RefreshOutcome> {
        match task.handle.ended().await {
            Ended::Done(outcome) => return Some(outcome),
            Ended::Vanished => {}
            Ended::Stalled => {
                tracing::warn!(
                    "taking over the refresh of the tokens of the {}: its tokio runtime is not driven",
                    self.name()
                );
            }
        }
        let mut state = self.state();
        if state.task.end(task.number) {
            state.tokens.refreshed_ahead_at = None;
        }
        None
    }

    /// Refreshes tokens now, even if they have not expired. Returns `None` if nothing runs the tasks.
    async fn verify(&self, token: &SecretString, deadline: Instant) -> Option<RefreshOutcome> {
        for _ in 0..ROUNDS {
            let (task, is_new) = {
                let mut state = self.state();
                let is_new = state.task.live().is_none();
                (self.join(&mut state, &Reason::Verify(token.clone()), deadline), is_new)
            };
            let outcome = self.ended(task).await;
            // A task that was started before, for another reason, may have found the tokens valid without a refresh.
            if is_new && outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// Waits until no work is under way and the store has all tokens. The work of a runtime that is not driven is done here.
    pub(super) async fn settle(&self) {
        for pause in 0_u32.. {
            let task = {
                let mut state = self.state();
                let is_refreshing = state.is_refreshing(self.app.moment());
                is_refreshing.then(|| self.join(&mut state, &Reason::Ahead, self.app.default_deadline()))
            };
            if let Some(task) = task {
                self.ended(task).await;
            } else if !self.offer_pending().await {
                return;
            }
            if self.state().is_unsettled(self.app.moment()) {
                tokio::time::sleep(retry::pause(pause, random())).await;
            }
        }
    }

    /// Sets the stored tokens, and returns their bearer.
    fn adopt(&self, stored: StoredTokens) -> Arc<Bearer> {
        self.state().adopt(stored)
    }

    fn state(&self) -> MutexGuard<'_, ManagerState> {
        self.slot.state()
    }

    /// Describes the resource in errors and logs.
    fn name(&self) -> String {
        describe(&self.slot.key.resource)
    }
}

impl ManagedTokens for TokenManager {
    fn bearer<'a>(&'a self, rejected: Option<RejectedToken<'a>>, deadline: Instant) -> ManagedBearer<'a> {
        Box::pin(Self::bearer(self, rejected, deadline))
    }

    fn note_accepted(&self, rejection: Unauthorized, bearer: &Bearer) {
        let mut state = self.state();
        let Some(known) = &mut state.tokens.known else { return };
        if !is_same(&known.bearer.token, &bearer.token)
            || !known.stored.tokens.rejections.helped(rejection.text)
        {
            return;
        }
        let StoredTokens { tokens, version, .. } = known.stored.clone();
        drop(state);
        let manager = self.clone();
        self.app.jobs.spawn(async move {
            // For other processes. If it cannot be stored, they refresh less often than they could.
            let put = manager.app.store.put(&manager.slot.key, &tokens, Precondition::Version(version)).await;
            if let Ok(PutResult::Stored(version)) = put {
                manager.adopt(StoredTokens::new(tokens, version));
            }
        });
    }
}
