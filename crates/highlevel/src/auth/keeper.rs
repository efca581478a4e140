//! Keeps the tokens of one resource, and renews them once for all who wait.
//!
//! What is in memory answers nearly every call. When it does not do, a task of its own (a renewal) reads the store, and asks
//! HighLevel if nobody else has done so. Calls wait for the renewal that is under way; it goes on when they give up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::app::Inner;
use super::oauth::Moment;
use super::refresh::{Decision, REST, Verdict, decide};
use super::renewal::Renewal;
use super::store::{Key, Precondition, StoredTokens, Version};
use super::{TokenSet, oauth};
use crate::call;
use crate::token::{Bearer, Rejected};
use crate::{CompanyId, Error};

/// How often a call asks again whose renewal vanished with the runtime that it ran on.
const ROUNDS: usize = 3;

/// What a renewal ends with.
pub(super) type Outcome = Result<Arc<Bearer>, Arc<Error>>;

/// Keeps the tokens of one resource. Clones keep the same.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(super) app: Arc<Inner>,
    pub(super) slot: Arc<Slot>,
}

/// What is known of one resource in this process.
pub(super) struct Slot {
    pub(super) key: Key,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) known: Option<Known>,
    /// The company that can give tokens for this location, where the tokens do not say it themselves.
    pub(super) company: Option<CompanyId>,
    pub(super) refused: Option<Refused>,
    pub(super) unsaved: Option<Unsaved>,
    /// The task that offers them to the store again.
    pub(super) offering: Option<AbortHandle>,
    /// When a token that HighLevel rejected was last replaced by another.
    pub(super) replaced: Option<Moment>,
    /// When renewal ahead of expiry was last tried.
    ahead: Option<Moment>,
    running: Option<Running>,
}

/// Tokens that are in the store, as of the last look.
pub(super) struct Known {
    pub(super) stored: StoredTokens,
    pub(super) bearer: Arc<Bearer>,
    pub(super) jitter: f64,
}

/// What HighLevel refused, not to be asked again for a while, unless other tokens are stored.
pub(super) struct Refused {
    pub(super) version: Option<Version>,
    pub(super) at: Moment,
    pub(super) rest: Duration,
    pub(super) error: Arc<Error>,
}

/// Tokens that the store has not taken yet. Nobody has them but this process, so they are kept until it does.
#[derive(Clone)]
pub(super) struct Unsaved {
    pub(super) tokens: TokenSet,
    pub(super) expected: Precondition,
    /// Whether they are of a new installation, and so replace whatever is of an earlier one.
    pub(super) is_installation: bool,
}

struct Running {
    outcome: watch::Receiver<Option<Outcome>>,
    deadline: Deadline,
}

/// When a renewal stops trying: when the last one who waits for it has given up.
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

/// Why tokens are renewed.
#[derive(Clone)]
pub(super) enum Reason {
    /// They expire soon.
    Ahead,
    /// There are none, or they have expired.
    Needed,
    /// HighLevel rejected these.
    Rejected(SecretString),
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
    /// Whether forgetting it loses nothing.
    pub(super) fn is_blank(&self) -> bool {
        let Self { known, company, refused, unsaved, offering: _, replaced, ahead: _, running } = self;
        known.is_none()
            && company.is_none()
            && refused.is_none()
            && unsaved.is_none()
            && replaced.is_none()
            && running.is_none()
    }
}

impl Keeper {
    /// The token to use, or to use instead of a rejected one. The deadline is for the renewal; who calls sees to its own.
    pub(crate) async fn bearer(&self, rejected: Option<Rejected<'_>>, deadline: Instant) -> Outcome {
        for _ in 0..ROUNDS {
            let mut outcome = match self.look(rejected, deadline) {
                Ok(bearer) => return Ok(bearer),
                Err(renewal) => renewal,
            };
            if let Ok(outcome) = outcome.wait_for(Option::is_some).await
                && let Some(outcome) = &*outcome
            {
                return outcome.clone();
            }
        }
        let text = format!(
            "the renewal of the tokens of the {} ended without a result: did the tokio runtime shut down?",
            oauth::describe(&self.slot.key.resource)
        );
        Err(Arc::new(Error::token("token", text)))
    }

    /// The token in memory, or else the renewal to wait for.
    fn look(
        &self,
        rejected: Option<Rejected<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>, watch::Receiver<Option<Outcome>>> {
        let mut state = self.slot.state();
        let now = self.app.moment();
        let mut reason =
            rejected.map_or(Reason::Needed, |rejected| Reason::Rejected(rejected.bearer.token.clone()));
        if let Some(known) = &state.known {
            let last_replaced = state.replaced.map(|at| now.since(at));
            let verdict = known.verdict(rejected, last_replaced);
            let bearer = Arc::clone(&known.bearer);
            match decide(&known.stored.tokens, now.wall, known.jitter, verdict) {
                Decision::Use if verdict == Verdict::NotRejected => return Ok(bearer),
                // Newer ones from HighLevel do not help, but there may be others in the store.
                Decision::Use => reason = Reason::Needed,
                Decision::RefreshAhead => {
                    if state.ahead.is_none_or(|at| now.since(at) >= REST) {
                        state.ahead = Some(now);
                        let deadline = call::now() + self.app.connection.options.call.min(call::LONGEST_CALL);
                        let _runs_on = self.join(&mut state, Reason::Ahead, deadline);
                    }
                    return Ok(bearer);
                }
                Decision::RefreshNow => {}
            }
        }
        Err(self.join(&mut state, reason, deadline))
    }

    /// Joins the renewal that runs, or starts one.
    fn join(&self, state: &mut State, reason: Reason, deadline: Instant) -> watch::Receiver<Option<Outcome>> {
        // A renewal whose runtime was shut down has vanished without an outcome.
        if let Some(running) = &state.running
            && running.outcome.has_changed().is_ok()
        {
            running.deadline.extend(deadline);
            return running.outcome.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let deadline = Deadline::new(deadline);
        state.running = Some(Running { outcome: receiver.clone(), deadline: deadline.clone() });
        let renewal = Renewal::new(self.clone(), reason, deadline);
        let span = tracing::debug_span!(
            "highlevel tokens",
            kind = self.slot.key.resource.kind(),
            id = self.slot.key.resource.id()
        );
        let keeper = self.clone();
        self.app.background.spawn(
            async move {
                let outcome = renewal.run().await;
                let now = keeper.app.moment();
                let mut state = keeper.slot.state();
                state.running = None;
                if let (Reason::Rejected(_), Some(Ok(_))) = (&renewal.reason, &outcome) {
                    state.replaced = Some(now);
                }
                if let Some(outcome) = outcome {
                    // Under the lock: who looks now sees either the renewal or what it left behind.
                    sender.send_replace(Some(outcome));
                }
            }
            .instrument(span),
        );
        receiver
    }

    /// Remembers what is stored now, and gives its bearer.
    pub(super) fn adopt(&self, stored: StoredTokens) -> Arc<Bearer> {
        let mut state = self.slot.state();
        if let Some(known) = &state.known
            && known.stored.version == stored.version
        {
            return Arc::clone(&known.bearer);
        }
        let bearer = Arc::new(Bearer::new(stored.tokens.access_token.clone()));
        let jitter = call::random();
        state.known = Some(Known { stored, bearer: Arc::clone(&bearer), jitter });
        state.refused = None;
        state.ahead = None;
        bearer
    }

    /// Forgets what was known: it is no longer there. What is on its way to the store is not of what was removed.
    pub(super) fn forget(&self) {
        let mut state = self.slot.state();
        let State { unsaved, offering, running, .. } = std::mem::take(&mut *state);
        *state = State { unsaved, offering, running, ..State::default() };
    }
}

impl Known {
    /// What was said about these tokens, if `rejected` is the last one that was not good.
    fn verdict(&self, rejected: Option<Rejected<'_>>, last_replaced: Option<Duration>) -> Verdict {
        match rejected {
            Some(rejected) if call::same(&rejected.bearer.token, &self.bearer.token) => {
                Verdict::Rejected { is_good: rejected.lacks_scope, last_replaced }
            }
            _ => Verdict::NotRejected,
        }
    }
}
