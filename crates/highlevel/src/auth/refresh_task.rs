//! One refresh: from the store, or from HighLevel and then into the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highlevel_wire::Gate;
use secrecy::SecretString;

use super::TokenSet;
use super::app::Inner;
use super::oauth::{self, Moment, Refusal, Request, install_again};
use super::refresh_policy::{
    Decision, FAILURE_COOLDOWN, ReauthReason, RefreshStrategy, SHORT_COOLDOWN, Verdict, decide, strategy,
};
use super::store::{Key, LeaseResult, Precondition, Resource, StoredTokens, Version};
use super::token_error::{Progress, TokenFailure, again};
use super::token_manager::{Deadline, InFlight, Outcome, PendingWrite, Reason, Refused, TokenManager};
use super::token_response::Granted;
use crate::call;
use crate::limit::Expiry;
use crate::token::Rejected;
use crate::{CompanyId, Error, ErrorKind, LocationId, Result};

/// One attempt of a request for tokens has this long, whatever the attempts of messages have. Three of them fit into the
/// time in which HighLevel repeats its response.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Other processes leave the tokens alone for this long: longer than an attempt, and so short that another process still
/// gets the response repeated if this one dies.
const LEASE: Duration = Duration::from_secs(15);
/// A lease that is not older than this outlives an attempt by a second, so it is not extended before the attempt.
const MAX_LEASE_AGE: Duration = LEASE.saturating_sub(ATTEMPT).saturating_sub(Duration::from_secs(1));
/// The pause before the store is read again while another process refreshes, at first and at most.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_AT_MOST: Duration = Duration::from_millis(500);

/// The name of the operation in errors.
const NAME: &str = "token";

/// One refresh.
pub(super) struct RefreshTask {
    manager: TokenManager,
    number: u64,
    pub(super) reason: Reason,
    deadline: Deadline,
    holder: Mutex<Option<LeaseHolder>>,
}

/// The name under which a process asks for a lease: random, and of one process alone.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LeaseHolder {
    process: u32,
    name: String,
}

impl LeaseHolder {
    /// Returns another name for each lease, from the randomness of the operating system: generators in the memory of a
    /// process are the same in its fork.
    fn random() -> Result<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)
            .map_err(|error| Error::token(NAME, "the system gives no random numbers").with_source(error))?;
        let name = format!("{:032x}", u128::from_ne_bytes(bits));
        Ok(Self { process: std::process::id(), name })
    }

    /// Returns `false` in a fork of the process that had the name.
    fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }
}

/// A lease that was granted. Its time counts from before the store was asked for it.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    ends: Expiry,
    too_old_for_an_attempt: Expiry,
}

impl Lease {
    /// Returns a lease that the store is asked for now.
    fn starting_now() -> Self {
        Self { ends: Expiry::after(LEASE), too_old_for_an_attempt: Expiry::after(MAX_LEASE_AGE) }
    }
}

/// The result of asking for a lease.
enum Leased {
    Granted(Lease),
    /// Another holder has it for this long.
    Held(Duration),
    /// Another task has taken over from this one, which must not ask.
    TakenOver,
}

/// The result of one round.
enum Try {
    Done(Outcome),
    /// Something changed meanwhile: look again.
    Again,
}

impl RefreshTask {
    /// `holder` is that of the task before, if it has left a lease behind.
    pub(super) fn new(
        manager: TokenManager,
        number: u64,
        reason: Reason,
        deadline: Deadline,
        holder: Option<LeaseHolder>,
    ) -> Self {
        Self { manager, number, reason, deadline, holder: Mutex::new(holder) }
    }

    /// Refreshes. `None` for a refresh ahead of expiry that another process does already, and for a task from which another
    /// has taken over.
    pub(super) async fn run(&self) -> Option<Outcome> {
        let outcome = self.rounds().await;
        // A task that finds new tokens has asked for no lease, and may have taken over that of the task before.
        self.release().await;
        outcome
    }

    async fn rounds(&self) -> Option<Outcome> {
        let mut look = LOOK;
        // The version whose refresh token was rejected, and the error.
        let mut rejected: Option<(Version, Error)> = None;
        loop {
            match self.look().await {
                Ok(Some(outcome)) => return Some(outcome),
                Ok(None) => {}
                Err(error) => return Some(self.failed(error)),
            }
            let lease = match self.lease().await {
                Ok(Leased::Granted(lease)) => lease,
                Ok(Leased::TakenOver) => return None,
                Ok(Leased::Held(_)) if matches!(self.reason, Reason::Ahead) && self.in_flight().is_none() => {
                    return None;
                }
                Ok(Leased::Held(left)) => {
                    // The holder may be done at any time, or dead: then its lease ends.
                    let pause = look.mul_f64(0.5 + call::random()).min(left.max(LOOK));
                    if pause >= self.deadline.left() {
                        let text = format!(
                            "another process refreshes the tokens of the {}, and was not done in time",
                            self.name()
                        );
                        return Some(self.failed(Error::token(NAME, text)));
                    }
                    tokio::time::sleep(pause).await;
                    look = (look * 2).min(LOOK_AT_MOST);
                    continue;
                }
                Err(error) => return Some(self.failed(error)),
            };
            let tried = self.refresh(lease, &mut rejected).await;
            self.release().await;
            match tried {
                Try::Done(outcome) => return Some(outcome),
                Try::Again => {}
            }
        }
    }

    /// Reads the store: `None` if there is nothing that can be used.
    async fn look(&self) -> Result<Option<Outcome>> {
        let refreshed = self.manager.refreshed();
        let saved = self.manager.save_pending().await;
        let stored = self.manager.read().await?;
        if let Some(stored) = &stored
            && self.suffices(stored)
            // Others may be there that are valid, while the store takes nothing.
            && (saved.is_ok() || refreshed != Some(stored.version))
        {
            return Ok(Some(Ok(self.manager.adopt(stored.clone()))));
        }
        saved?;
        let (version, now) = (stored.map(|stored| stored.version), self.app().moment());
        let state = self.manager.slot.state();
        Ok(state.refused.as_ref().and_then(|refused| {
            let holds = refused.version == version && now.since(refused.at) < refused.cooldown;
            holds.then(|| Err(Arc::clone(&refused.error)))
        }))
    }

    /// Returns `true` if stored tokens are what this refresh is for.
    fn suffices(&self, stored: &StoredTokens) -> bool {
        let (tokens, now) = (&stored.tokens, self.app().moment());
        let is = |token: &SecretString| call::same(token, &tokens.access_token);
        let state = self.manager.slot.state();
        // New tokens may be on their way.
        if let Some(sent) = state.in_flight.as_ref().filter(|sent| sent.is_repeated(now))
            && tokens.refresh_token.as_ref().is_some_and(|token| call::same(token, &sent.token))
        {
            return false;
        }
        let verdict = match &self.reason {
            Reason::Verify(token) if is(token) => return false,
            Reason::Rejected(token, why) if is(token) => {
                Verdict::Rejected { why: *why, last_replaced: state.replaced.map(|at| now.since(at)) }
            }
            _ => Verdict::NotRejected,
        };
        let known = state.known.as_ref().filter(|known| known.stored.version == stored.version);
        let jitter = known.map_or(0.0, |known| known.jitter);
        match decide(tokens, now.wall, jitter, verdict) {
            Decision::Use => true,
            Decision::RefreshAhead => !matches!(self.reason, Reason::Ahead),
            Decision::RefreshNow => false,
        }
    }

    /// Acquires the lease, or extends it.
    async fn lease(&self) -> Result<Leased> {
        let holder = self.holder()?;
        {
            let mut state = self.manager.slot.state();
            if !state.is_current(self.number) {
                return Ok(Leased::TakenOver);
            }
            // First of all: this may be given up at any point, and the lease be granted nevertheless.
            state.lease = Some(holder.clone());
        }
        let lease = Lease::starting_now();
        match self.app().store.lease(self.key(), &holder.name, LEASE).await {
            Ok(LeaseResult::Granted) => Ok(Leased::Granted(lease)),
            Ok(LeaseResult::Held { remaining }) => Ok(Leased::Held(remaining)),
            Err(error) => Err(self.manager.store_failed("give the right to refresh", error)),
        }
    }

    /// Returns a lease that outlives an attempt: the same one, or else an extended one.
    async fn lease_for_attempt(&self, lease: Lease) -> Result<Leased> {
        if lease.too_old_for_an_attempt.has_passed() {
            self.lease().await
        } else if self.manager.slot.state().is_current(self.number) {
            Ok(Leased::Granted(lease))
        } else {
            Ok(Leased::TakenOver)
        }
    }

    fn holder(&self) -> Result<LeaseHolder> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        match holder.as_ref().filter(|holder| holder.is_of_this_process()) {
            Some(holder) => Ok(holder.clone()),
            None => Ok(holder.insert(LeaseHolder::random()?).clone()),
        }
    }

    /// Gives the lease back. One that is not given back ends by itself.
    async fn release(&self) {
        let holder = {
            let mut state = self.manager.slot.state();
            // A later task has taken over the lease, and gives it back.
            if !state.is_latest(self.number) {
                return;
            }
            *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = None;
            state.lease.take()
        };
        if let Some(holder) = holder {
            let _ended = self.app().store.release(self.key(), &holder.name).await;
        }
    }

    /// Notes that the refresh token may be used from now on, so that another task can continue if this one does not.
    fn will_send(&self, request: &Request<'_>, since: Moment) {
        if let Request::Refresh(token, _) = request {
            let token = (*token).clone();
            self.manager.slot.state().in_flight = Some(InFlight { token, since });
        }
    }

    /// Notes that no new tokens are on their way.
    fn has_ended(&self) {
        let mut state = self.manager.slot.state();
        if state.is_current(self.number) {
            state.in_flight = None;
        }
    }

    /// The refresh token that may have been used, as long as HighLevel repeats its response.
    fn in_flight(&self) -> Option<InFlight> {
        let now = self.app().moment();
        self.manager.slot.state().in_flight.clone().filter(|sent| sent.is_repeated(now))
    }

    /// Refreshes, with the lease in hand.
    async fn refresh(&self, lease: Lease, rejected: &mut Option<(Version, Error)>) -> Try {
        match self.try_to_refresh(lease, rejected).await {
            Ok(done) => done,
            Err(error) => Try::Done(self.failed(error)),
        }
    }

    async fn try_to_refresh(&self, lease: Lease, rejected: &mut Option<(Version, Error)>) -> Result<Try> {
        // Between the look and the lease another process may have refreshed.
        let stored = self.manager.read().await?;
        if stored.as_ref().is_some_and(|stored| self.suffices(stored)) {
            return Ok(Try::Again);
        }
        let version = stored.as_ref().map(|stored| stored.version);
        if rejected.as_ref().is_some_and(|(of, _)| Some(*of) != version) {
            *rejected = None;
        }
        let tokens = stored.as_ref().map(|stored| &stored.tokens);
        let refresh_token = tokens.and_then(|tokens| tokens.refresh_token.as_ref());
        let company = match refresh_token {
            Some(_) if rejected.is_none() => None,
            _ => self.manager.company(tokens).await?,
        };
        let mut new = match strategy(tokens, rejected.is_some(), company.is_some()) {
            RefreshStrategy::Refresh => {
                let Some(token) = refresh_token else { return Ok(Try::Again) };
                let request = Request::Refresh(token, &self.key().resource);
                let asked = self.app().now();
                match self.app().ask(&request, &self.deadline, Some((self, lease))).await {
                    Asked::Granted(granted) => {
                        granted.into_tokens(&self.key().resource, tokens, asked, self.app().now())
                    }
                    Asked::LeaseLost => return Ok(Try::Again),
                    Asked::Refused(Refusal { failure: TokenFailure::InvalidGrant, error }) => {
                        // Read first: another process may have put other tokens there.
                        let now = self.manager.read().await?.map(|stored| stored.version);
                        match version {
                            Some(version) if now == Some(version) => {
                                self.manager.slot.state().invalid_grant = Some(version);
                                if self.manager.company(tokens).await?.is_none() {
                                    return Ok(self.refused(Some(version), FAILURE_COOLDOWN, error));
                                }
                                *rejected = Some((version, error));
                            }
                            _ => {}
                        }
                        return Ok(Try::Again);
                    }
                    Asked::Refused(Refusal { failure, error }) => {
                        return Ok(self.stopped(failure, version, error));
                    }
                }
            }
            RefreshStrategy::FromCompany => {
                let (Some(company), Resource::Location(location)) = (&company, &self.key().resource) else {
                    return Ok(Try::Again);
                };
                match self.app().mint(company, location, &self.deadline).await {
                    Ok(new) => TokenSet {
                        rejections: tokens.map(|tokens| tokens.rejections.clone()).unwrap_or_default(),
                        ..new
                    },
                    Err(Unminted::Company(error)) => return Ok(Try::Done(Err(error))),
                    Err(Unminted::Refused(Refusal { failure, error })) => {
                        return Ok(self.stopped(failure, version, error));
                    }
                }
            }
            RefreshStrategy::Authorize(reason) => {
                let why = match reason {
                    ReauthReason::NoTokens => return Ok(Try::Done(Err(Arc::new(self.not_installed())))),
                    ReauthReason::NoRefreshToken => {
                        "its access token no longer works, and it has no refresh token"
                    }
                    ReauthReason::RefreshTokenRejected => "HighLevel no longer takes its refresh token",
                };
                let error = Error::needs_authorization(NAME, install_again(&self.key().resource, why));
                let error = match rejected.take() {
                    Some((_, source)) => error.with_source(source),
                    None => error,
                };
                return Ok(self.refused(version, FAILURE_COOLDOWN, error));
            }
        };
        if let Reason::Rejected(token, why) = &self.reason {
            let now = self.app().moment();
            // Not of tokens that another process has put there since.
            if tokens.is_some_and(|tokens| call::same(token, &tokens.access_token)) {
                new.rejections.refreshed(*why, now.wall);
            }
            // Also if the store does not take them: there are others now.
            self.manager.slot.state().replaced = Some(now);
        }
        let expected = version.map_or(Precondition::Nothing, Precondition::Version);
        match self.manager.save(PendingWrite { tokens: new, expected, is_installation: false }).await? {
            Some(stored) => {
                tracing::debug!("refreshed");
                Ok(Try::Done(Ok(self.manager.adopt(stored))))
            }
            // Another process put something there, or removed it: that is newer than these.
            None => Ok(Try::Again),
        }
    }

    /// The refresh failed, for now or for good.
    fn stopped(&self, failure: TokenFailure, version: Option<Version>, error: Error) -> Try {
        match failure {
            TokenFailure::InvalidGrant => self.refused(version, FAILURE_COOLDOWN, error),
            TokenFailure::LocationInactive
            | TokenFailure::Unauthorized
            | TokenFailure::WrongClient
            | TokenFailure::Final => {
                // What the owner has to fix takes longer.
                let is_for_owner = error.kind() == ErrorKind::NeedsAuthorization;
                self.refused(version, if is_for_owner { FAILURE_COOLDOWN } else { SHORT_COOLDOWN }, error)
            }
            TokenFailure::NotSent | TokenFailure::Lost(_) | TokenFailure::Busy(_) => {
                Try::Done(self.failed(error))
            }
        }
    }

    /// HighLevel rejected it, and would again: it is not asked for a while.
    fn refused(&self, version: Option<Version>, cooldown: Duration, error: Error) -> Try {
        let outcome = self.failed(error);
        if let Err(error) = &outcome {
            let (at, error) = (self.app().moment(), Arc::clone(error));
            self.manager.slot.state().refused = Some(Refused { version, at, cooldown, error });
        }
        Try::Done(outcome)
    }

    /// The failure is logged here, once for all calls that wait: no call reports that of a refresh ahead of expiry.
    fn failed(&self, error: Error) -> Outcome {
        tracing::warn!(kind = ?error.kind(), "no tokens of the {}: {error}", self.name());
        Err(Arc::new(error))
    }

    fn not_installed(&self) -> Error {
        let name = self.name();
        let company = self.manager.slot.state().company.clone();
        let what = match (&self.key().resource, company) {
            (Resource::Location(_), Some(company)) => {
                let company = oauth::describe(&Resource::Company(company));
                format!("there are no tokens of the {name}, nor of the {company}")
            }
            (Resource::Location(_), None) => format!(
                "there are no tokens of the {name}; if the app is installed on its company, ask for it with \
                 `app.company(…).location(…)`"
            ),
            _ => format!("there are no tokens of the {name}"),
        };
        let text = format!(
            "{what}: the app has to be installed, beginning at the address that `authorize_url` gives"
        );
        Error::needs_authorization(NAME, text)
    }

    fn name(&self) -> String {
        oauth::describe(&self.key().resource)
    }

    fn app(&self) -> &Arc<Inner> {
        &self.manager.app
    }

    fn key(&self) -> &Key {
        &self.manager.slot.key
    }
}

/// What came of a request for tokens.
pub(super) enum Asked {
    Granted(Box<Granted>),
    Refused(Refusal),
    /// The lease ended and another holder has it, or another task has taken over: nothing may be sent any more.
    LeaseLost,
}

/// Why a location got no token from its company.
pub(super) enum Unminted {
    /// The company has none itself.
    Company(Arc<Error>),
    Refused(Refusal),
}

impl Inner {
    /// Asks for tokens until there is a response, there is no time left, or asking is no use. A lease that would not
    /// outlive an attempt is extended before it.
    ///
    /// A request that works once is not given up for the deadline of those who wait, once it may have been done: its
    /// response can be obtained for a short time only, and without it the app has to be installed again.
    pub(super) async fn ask(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
        task: Option<(&RefreshTask, Lease)>,
    ) -> Asked {
        let (task, mut lease) = task.unzip();
        let mut progress = Progress::default();
        // A task before this one may have sent it.
        let in_flight = task.and_then(RefreshTask::in_flight).filter(|sent| request.is_with(&sent.token));
        let mut sent: Option<Moment> = in_flight.map(|sent| sent.since);
        loop {
            let mut gate = None;
            if let (Some(task), Some(lease)) = (task, &mut lease) {
                match task.lease_for_attempt(*lease).await {
                    Ok(Leased::Granted(granted)) => {
                        *lease = granted;
                        // A process that is stopped here may continue when another has refreshed: it must not send.
                        gate = Some(Gate::new(move || !granted.ends.has_passed()));
                    }
                    Ok(Leased::Held(_) | Leased::TakenOver) => return Asked::LeaseLost,
                    // A retry gets the same response, and the store may work when it arrives.
                    Err(_) if sent.is_some() => {}
                    Err(error) => return Asked::Refused(Refusal { failure: TokenFailure::NotSent, error }),
                }
            }
            let began = self.moment();
            let left = deadline.left();
            if left.is_zero() && sent.is_none() {
                return Asked::Refused(oauth::out_of_time(request));
            }
            let timeout = if request.works_once() { ATTEMPT } else { ATTEMPT.min(left) };
            if let Some(task) = task {
                task.will_send(request, sent.unwrap_or(began));
            }
            let result = self.oauth.ask(request, timeout, gate).await;
            let failure = result.as_ref().err().map(|refusal| refusal.failure);
            tracing::debug!(
                operation = request.name(),
                attempt = progress.retries + 1,
                ?failure,
                "asked for tokens"
            );
            let refusal = match result {
                Ok(granted) => return Asked::Granted(Box::new(granted)),
                Err(refusal) => refusal,
            };
            if let TokenFailure::Lost(_) = refusal.failure {
                sent.get_or_insert(began);
            }
            progress.sent = sent.map(|sent| self.moment().since(sent));
            let left = (!request.works_once() || sent.is_none()).then(|| deadline.left());
            let pause = again(refusal.failure, progress, request.works_once(), left, call::random());
            progress.retries += 1;
            if let Some(task) = task
                && (sent.is_none() || pause.is_none())
            {
                task.has_ended();
            }
            let Some(pause) = pause else {
                let Refusal { failure, error } = refusal;
                let error = error.after(progress.retries, sent.is_some(), None);
                return Asked::Refused(Refusal { failure, error });
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Tokens for a location, by that of its company. They show that the app is installed there now.
    pub(super) async fn mint(
        self: &Arc<Self>,
        company: &CompanyId,
        location: &LocationId,
        deadline: &Deadline,
    ) -> Result<TokenSet, Unminted> {
        let manager = self.manager(Resource::Company(company.clone()));
        let mut bearer = manager.bearer(None, deadline.at()).await.map_err(Unminted::Company)?;
        let mut fresh = false;
        loop {
            let request = Request::Location { company, location, bearer: &bearer, is_other: fresh };
            let asked = self.now();
            let refusal = match self.ask(&request, deadline, None).await {
                Asked::Granted(granted) => {
                    let resource = Resource::Location(location.clone());
                    let mut tokens = granted.into_tokens(&resource, None, asked, self.now());
                    tokens.company_id.get_or_insert_with(|| company.clone());
                    return Ok(tokens);
                }
                Asked::Refused(refusal) => refusal,
                Asked::LeaseLost => return Err(Unminted::Refused(oauth::out_of_time(&request))),
            };
            if refusal.failure != TokenFailure::Unauthorized || fresh {
                return Err(Unminted::Refused(refusal));
            }
            let rejected = Rejected::new(&bearer, refusal.error.body());
            let other = manager.bearer(Some(rejected), deadline.at()).await.map_err(Unminted::Company)?;
            if call::same(&other.token, &bearer.token) {
                return Err(Unminted::Refused(refusal));
            }
            (bearer, fresh) = (other, true);
        }
    }
}
