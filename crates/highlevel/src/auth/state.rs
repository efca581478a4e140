//! The state of the tokens of one resource in this process.
//!
//! Its parts change independently of each other: the access token may be usable while a refresh is under way, while the
//! store fails to save newer tokens, and while HighLevel rejects the refresh token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use tokio::task::AbortHandle;

use super::TokenSet;
use super::lease::LeaseHolder;
use super::refresh_policy::TokenStatus;
use super::store::{Key, Precondition, StoredTokens, Version};
use super::task::TaskHandle;
use super::time::{ClockReading, Deadline};
use super::token_error::REPEATED_FOR;
use crate::retry::random;
use crate::token::{Bearer, RejectedToken, is_same};
use crate::{CompanyId, Error};

/// A task that has not beaten for this long, as seen by calls that do not wait for it, may have stalled.
const LONG_SILENCE: Duration = Duration::from_secs(1);

/// The result of a refresh.
pub(super) type RefreshOutcome = Result<Arc<Bearer>, Arc<Error>>;

/// A resource and its state.
pub(super) struct Slot {
    pub(super) key: Key,
    state: Mutex<ManagerState>,
}

impl Slot {
    pub(super) fn new(key: Key) -> Self {
        Self { key, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ManagerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(super) struct ManagerState {
    pub(super) tokens: TokenState,
    pub(super) write: WriteState,
    pub(super) task: TaskState,
}

/// The facts about the tokens. They are dropped with the tokens.
#[derive(Default)]
pub(super) struct TokenState {
    pub(super) known: Option<KnownTokens>,
    /// The company that the caller named for this location. It can issue tokens where the stored ones name none.
    pub(super) company: Option<CompanyId>,
    pub(super) cooldown: Option<Cooldown>,
    /// The version of the tokens whose refresh token HighLevel does not accept.
    pub(super) invalid_grant: Option<Version>,
    pub(super) in_flight: Option<InFlight>,
    /// The last time a token that HighLevel rejected was replaced by another.
    pub(super) replaced_at: Option<ClockReading>,
    /// The last time a refresh ahead of expiry was started.
    pub(super) refreshed_ahead_at: Option<ClockReading>,
}

/// The tokens on their way to the store. They may be of a later installation than the tokens that are dropped.
#[derive(Default)]
pub(super) struct WriteState {
    pub(super) pending: Option<PendingWrite>,
    /// The task that offers the pending tokens to the store until it saves them.
    pub(super) offering: Option<AbortHandle>,
    pub(super) removals: Removals,
}

/// The refresh task.
#[derive(Default)]
pub(super) struct TaskState {
    running: Option<Running>,
    last_number: u64,
    /// The holder of the lease that this process may have.
    pub(super) lease: Option<LeaseHolder>,
}

/// Tokens in the store, as of the last read.
pub(super) struct KnownTokens {
    pub(super) stored: StoredTokens,
    pub(super) bearer: Arc<Bearer>,
    pub(super) jitter: f64,
}

/// A rejection by HighLevel. No further request is sent during the cooldown, unless other tokens are stored.
pub(super) struct Cooldown {
    pub(super) version: Option<Version>,
    pub(super) since: ClockReading,
    pub(super) length: Duration,
    pub(super) error: Arc<Error>,
}

/// Tokens that the store has not saved yet. Only this process has them, so it retains them until the store does.
#[derive(Clone)]
pub(super) struct PendingWrite {
    pub(super) tokens: TokenSet,
    pub(super) expected: Precondition,
    /// `true` for tokens of a new installation, which replace those of an earlier one.
    pub(super) is_installation: bool,
}

/// A refresh token that may have been used, and whose new tokens have not been received. Until HighLevel stops repeating its
/// response, any task can obtain them with the same request.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) token: SecretString,
    pub(super) since: ClockReading,
}

impl InFlight {
    /// Returns `true` as long as HighLevel repeats its response.
    pub(super) fn is_repeated(&self, now: ClockReading) -> bool {
        now.since(self.since) < REPEATED_FOR
    }
}

/// The removals of the app. A write that is under way compares them before and after.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Removals {
    pub(super) count: u64,
    pub(super) last: Option<SystemTime>,
}

struct Running {
    task: RunningTask,
    deadline: Deadline,
    /// The number of its beats at the last look, and since when the number is the same.
    beats: Option<(u64, ClockReading)>,
}

/// A refresh task that calls wait for.
#[derive(Clone)]
pub(super) struct RunningTask {
    pub(super) number: u64,
    pub(super) handle: TaskHandle<RefreshOutcome>,
}

impl KnownTokens {
    /// Returns the verdict about these tokens. `rejected` is the last token that HighLevel did not accept.
    pub(super) fn verdict(
        &self,
        rejected: Option<RejectedToken<'_>>,
        last_replaced: Option<Duration>,
    ) -> TokenStatus {
        match rejected {
            Some(rejected) if is_same(&rejected.bearer.token, &self.bearer.token) => {
                TokenStatus::Rejected { why: rejected.why, last_replaced }
            }
            _ => TokenStatus::NotRejected,
        }
    }
}

impl TaskState {
    /// Registers a new task, which replaces the one before.
    pub(super) fn start(&mut self, handle: TaskHandle<RefreshOutcome>, deadline: Deadline) -> RunningTask {
        self.last_number += 1;
        let task = RunningTask { number: self.last_number, handle };
        self.running = Some(Running { task: task.clone(), deadline, beats: None });
        task
    }

    /// Returns the task that runs, if any, and its deadline.
    pub(super) fn live(&self) -> Option<(&RunningTask, &Deadline)> {
        let running = self.running.as_ref().filter(|running| running.task.handle.is_live())?;
        Some((&running.task, &running.deadline))
    }

    /// Removes the task with this number. Returns `false` if another has replaced it.
    pub(super) fn end(&mut self, number: u64) -> bool {
        self.running.take_if(|running| running.task.number == number).is_some()
    }

    /// Returns `true` as long as no other task has taken over from this one.
    pub(super) fn is_current(&self, number: u64) -> bool {
        self.running.as_ref().is_some_and(|running| running.task.number == number)
    }

    /// Returns `true` unless a task was started after this one.
    pub(super) fn is_latest(&self, number: u64) -> bool {
        self.last_number == number
    }

    /// Returns `true` if the task has not beaten since an earlier look, at least [`LONG_SILENCE`] ago.
    fn is_silent(&mut self, now: ClockReading) -> bool {
        let Some(running) = &mut self.running else { return false };
        let beats = running.task.handle.beats();
        match running.beats {
            Some((seen, since)) if seen == beats => now.since(since) >= LONG_SILENCE,
            _ => {
                running.beats = Some((beats, now));
                false
            }
        }
    }
}

impl ManagerState {
    /// Returns `true` if dropping the state loses nothing.
    pub(super) fn is_blank(&self) -> bool {
        let TokenState { known, company, cooldown, in_flight, replaced_at, .. } = &self.tokens;
        known.is_none()
            && company.is_none()
            && cooldown.is_none()
            && in_flight.is_none()
            && replaced_at.is_none()
            && self.write.pending.is_none()
            && self.task.running.is_none()
    }

    /// Returns `true` if something has to be done before the process ends.
    pub(super) fn is_unsettled(&self, now: ClockReading) -> bool {
        self.write.pending.is_some() || self.is_refreshing(now)
    }

    /// Returns `true` if a task runs, or new tokens can still be obtained for one that does not run any more.
    pub(super) fn is_refreshing(&self, now: ClockReading) -> bool {
        self.task.live().is_some() || self.is_abandoned(now)
    }

    /// Returns `true` if new tokens were requested, and the task that waits for them has ended or seems to have stalled.
    pub(super) fn needs_takeover(&mut self, now: ClockReading) -> bool {
        self.is_abandoned(now) || self.seems_stalled(now)
    }

    /// Returns `true` if new tokens can still be obtained, and no task waits for them.
    fn is_abandoned(&self, now: ClockReading) -> bool {
        self.tokens.in_flight.as_ref().is_some_and(|sent| sent.is_repeated(now)) && self.task.live().is_none()
    }

    /// Returns `true` if new tokens were requested, and calls that do not wait for the task have seen no beat of it for a
    /// while. A call that waits for it finds out.
    fn seems_stalled(&mut self, now: ClockReading) -> bool {
        self.tokens.in_flight.is_some() && self.task.is_silent(now)
    }

    /// Sets the stored tokens, and returns their bearer.
    pub(super) fn adopt(&mut self, stored: StoredTokens) -> Arc<Bearer> {
        let tokens = &mut self.tokens;
        let same_token = match &tokens.known {
            Some(known) if known.stored.version == stored.version => return Arc::clone(&known.bearer),
            Some(known) if is_same(&known.bearer.token, &stored.tokens.access_token) => {
                Some(Arc::clone(&known.bearer))
            }
            _ => None,
        };
        let bearer = same_token.unwrap_or_else(|| Arc::new(Bearer::new(stored.tokens.access_token.clone())));
        tokens.known = Some(KnownTokens { stored, bearer: Arc::clone(&bearer), jitter: random() });
        tokens.cooldown = None;
        tokens.refreshed_ahead_at = None;
        bearer
    }

    /// Drops the facts about tokens that were removed. Tokens on their way to the store are of another installation.
    pub(super) fn drop_tokens(&mut self) {
        self.tokens = TokenState::default();
    }
}
