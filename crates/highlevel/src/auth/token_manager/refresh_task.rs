//! One refresh: from the store, or from HighLevel and then into the store.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::TokenManager;
use super::company::{CompanyTokenError, location_tokens};
use super::request::TokenRequestError;
use super::task_lease::TaskLease;
use crate::auth::TokenSet;
use crate::auth::lease::{Lease, LeaseHolder, Leased};
use crate::auth::messages;
use crate::auth::oauth::{Request, RequestFailure};
use crate::auth::refresh_policy::{
    FAILURE_COOLDOWN, ReauthReason, RefreshStrategy, SHORT_COOLDOWN, TokenDecision, TokenStatus, decide,
    strategy,
};
use crate::auth::state::{Cooldown, PendingWrite, RefreshOutcome};
use crate::auth::store::{Key, Precondition, Resource, StoredTokens, Version};
use crate::auth::time::Deadline;
use crate::auth::token_error::TokenFailure;
use crate::retry::random;
use crate::token::Bearer;
use crate::token::is_same;
use crate::unauthorized::Unauthorized;
use crate::{CompanyId, Error, ErrorKind};

/// The pause before the store is read again while another process refreshes, at first and at most.
const POLL: Duration = Duration::from_millis(20);
const MAX_POLL: Duration = Duration::from_millis(500);

/// The name of the operation in errors.
const NAME: &str = "token";

/// The reason of a refresh.
#[derive(Clone)]
pub(super) enum Reason {
    /// The tokens expire soon, or new ones may be in flight.
    Ahead,
    /// There are none, or they have expired.
    Needed,
    /// HighLevel rejected this token.
    Rejected(SecretString, Unauthorized),
    /// The app may have been removed: only a refresh shows whether HighLevel still accepts these tokens.
    Verify(SecretString),
}

/// One refresh.
pub(super) struct RefreshTask {
    manager: TokenManager,
    pub(super) reason: Reason,
    deadline: Deadline,
    lease: TaskLease,
}

/// The reason why a round ended without a token.
enum Stop {
    /// The tokens or the lease have changed: the next round reads them again.
    Changed,
    /// Another holder has the lease for this long.
    Held(Duration),
    /// Another task has taken over from this one.
    TakenOver,
    /// The refresh failed. The error was logged.
    Failed(Arc<Error>),
}

/// A refresh token that HighLevel did not accept in an earlier round.
struct InvalidGrant {
    version: Version,
    error: Error,
}

impl RefreshTask {
    /// `holder` is that of the previous task, if it has left a lease behind.
    pub(super) fn new(
        manager: TokenManager,
        number: u64,
        reason: Reason,
        deadline: Deadline,
        holder: Option<LeaseHolder>,
    ) -> Self {
        let lease = TaskLease::new(manager.clone(), number, holder);
        Self { manager, reason, deadline, lease }
    }

    /// Refreshes. Returns `None` for a refresh ahead of expiry that another process does already, and for a task from which
    /// another has taken over.
    pub(super) async fn run(&self) -> Option<RefreshOutcome> {
        let outcome = self.rounds().await;
        // A task that finds new tokens has not requested a lease, but may have taken one over from the previous task.
        self.lease.release().await;
        outcome
    }

    async fn rounds(&self) -> Option<RefreshOutcome> {
        let mut poll = POLL;
        let mut invalid_grant = None;
        loop {
            match self.round(&mut invalid_grant).await {
                Ok(bearer) => return Some(Ok(bearer)),
                Err(Stop::Changed) => {}
                Err(Stop::TakenOver) => return None,
                Err(Stop::Failed(error)) => return Some(Err(error)),
                Err(Stop::Held(_))
                    if matches!(self.reason, Reason::Ahead) && self.lease.in_flight().is_none() =>
                {
                    return None;
                }
                Err(Stop::Held(remaining)) => {
                    // The holder may finish at any time. If its process has died, the lease ends.
                    let pause = poll.mul_f64(0.5 + random()).min(remaining.max(POLL));
                    if pause >= self.deadline.left() {
                        let text = format!(
                            "another process refreshes the tokens of the {}, and did not finish in time",
                            self.manager.name()
                        );
                        return Some(Err(self.log(Error::token(NAME, text))));
                    }
                    tokio::time::sleep(pause).await;
                    poll = (poll * 2).min(MAX_POLL);
                }
            }
        }
    }

    async fn round(&self, invalid_grant: &mut Option<InvalidGrant>) -> Result<Arc<Bearer>, Stop> {
        if let Some(bearer) = self.stored().await? {
            return Ok(bearer);
        }
        let lease = match self.lease.acquire().await.map_err(|error| self.failed(error))? {
            Leased::Granted(lease) => lease,
            Leased::Held(remaining) => return Err(Stop::Held(remaining)),
            Leased::TakenOver => return Err(Stop::TakenOver),
        };
        let refreshed = self.refresh(lease, invalid_grant).await;
        self.lease.release().await;
        refreshed
    }

    /// Reads the store. Returns `None` if there is nothing that can be used, and a refresh may help.
    async fn stored(&self) -> Result<Option<Arc<Bearer>>, Stop> {
        let refreshed = self.manager.version_before_pending();
        let saved = self.manager.save_pending().await;
        let stored = self.read().await?;
        if let Some(stored) = &stored
            && self.suffices(stored)
            // While the store saves nothing, it may have valid tokens that another process has stored.
            && (saved.is_ok() || refreshed != Some(stored.version))
        {
            return Ok(Some(self.manager.adopt(stored.clone())));
        }
        saved.map_err(|error| self.failed(error))?;
        let (version, now) = (stored.map(|stored| stored.version), self.manager.app.moment());
        match &self.manager.state().tokens.cooldown {
            Some(cooldown) if cooldown.version == version && now.since(cooldown.since) < cooldown.length => {
                Err(Stop::Failed(Arc::clone(&cooldown.error)))
            }
            _ => Ok(None),
        }
    }

    /// Returns `true` if stored tokens fulfil the purpose of this refresh.
    fn suffices(&self, stored: &StoredTokens) -> bool {
        let (tokens, now) = (&stored.tokens, self.manager.app.moment());
        let is_stored = |token: &SecretString| is_same(token, &tokens.access_token);
        let state = &self.manager.state().tokens;
        // HighLevel may have issued new tokens already.
        if let Some(sent) = state.in_flight.as_ref().filter(|sent| sent.is_repeated(now))
            && tokens.refresh_token.as_ref().is_some_and(|token| is_same(token, &sent.token))
        {
            return false;
        }
        let verdict = match &self.reason {
            Reason::Verify(token) if is_stored(token) => return false,
            Reason::Rejected(token, why) if is_stored(token) => {
                TokenStatus::Rejected { why: *why, last_replaced: state.replaced_at.map(|at| now.since(at)) }
            }
            _ => TokenStatus::NotRejected,
        };
        let known = state.known.as_ref().filter(|known| known.stored.version == stored.version);
        let jitter = known.map_or(0.0, |known| known.jitter);
        match decide(tokens, now.wall, jitter, verdict) {
            TokenDecision::Use => true,
            TokenDecision::RefreshAhead => !matches!(self.reason, Reason::Ahead),
            TokenDecision::RefreshNow => false,
        }
    }

    /// Obtains new tokens while holding the lease, and stores them.
    async fn refresh(
        &self,
        lease: Lease,
        invalid_grant: &mut Option<InvalidGrant>,
    ) -> Result<Arc<Bearer>, Stop> {
        // Another process may have refreshed between the first read and the lease.
        let stored = self.read().await?;
        if stored.as_ref().is_some_and(|stored| self.suffices(stored)) {
            return Err(Stop::Changed);
        }
        let version = stored.as_ref().map(|stored| stored.version);
        invalid_grant.take_if(|invalid| Some(invalid.version) != version);
        let tokens = stored.as_ref().map(|stored| &stored.tokens);
        let has_valid_refresh_token =
            invalid_grant.is_none() && tokens.is_some_and(|tokens| tokens.refresh_token.is_some());
        let company = if has_valid_refresh_token { None } else { self.company(tokens).await? };
        let new =
            match (strategy(tokens, invalid_grant.is_some(), company.is_some()), stored.as_ref(), company) {
                (RefreshStrategy::Refresh, Some(stored), _) => {
                    self.with_refresh_token(stored, lease, invalid_grant).await?
                }
                (RefreshStrategy::FromCompany, _, Some(company)) => {
                    self.with_company_token(&company, tokens, version).await?
                }
                (RefreshStrategy::Authorize(reason), ..) => {
                    return Err(self.needs_authorization(reason, version, invalid_grant.take()));
                }
                _ => return Err(Stop::Changed),
            };
        self.store(new, stored.as_ref()).await
    }

    /// Requests new tokens with the refresh token. If HighLevel does not accept it, the next round tries the company.
    async fn with_refresh_token(
        &self,
        stored: &StoredTokens,
        lease: Lease,
        invalid_grant: &mut Option<InvalidGrant>,
    ) -> Result<TokenSet, Stop> {
        let StoredTokens { tokens, version, .. } = stored;
        let Some(refresh_token) = &tokens.refresh_token else { return Err(Stop::Changed) };
        let (app, resource) = (&self.manager.app, &self.key().resource);
        let request = Request::Refresh(refresh_token, resource);
        let requested_at = app.now();
        match app.request_tokens(&request, &self.deadline, Some((&self.lease, lease))).await {
            Ok(response) => Ok(response.into_tokens(resource, Some(tokens), requested_at, app.now())),
            Err(TokenRequestError::LeaseLost) => Err(Stop::Changed),
            Err(TokenRequestError::Failed(RequestFailure { failure: TokenFailure::InvalidGrant, error })) => {
                // Another process may have stored other tokens meanwhile.
                let current = self.read().await?.map(|stored| stored.version);
                if current == Some(*version) {
                    self.manager.state().tokens.invalid_grant = Some(*version);
                    if self.company(Some(tokens)).await?.is_none() {
                        return Err(self.rejected(Some(*version), FAILURE_COOLDOWN, error));
                    }
                    *invalid_grant = Some(InvalidGrant { version: *version, error });
                }
                Err(Stop::Changed)
            }
            Err(TokenRequestError::Failed(failed)) => Err(self.request_failed(failed, Some(*version))),
        }
    }

    /// Requests new tokens with the token of the company.
    async fn with_company_token(
        &self,
        company: &CompanyId,
        tokens: Option<&TokenSet>,
        version: Option<Version>,
    ) -> Result<TokenSet, Stop> {
        let Resource::Location(location) = &self.key().resource else { return Err(Stop::Changed) };
        match location_tokens(&self.manager.app, company, location, &self.deadline).await {
            Ok(new) => {
                let rejections = tokens.map(|tokens| tokens.rejections.clone()).unwrap_or_default();
                Ok(TokenSet { rejections, ..new })
            }
            // The refresh of the company has logged it.
            Err(CompanyTokenError::Company(error)) => Err(Stop::Failed(error)),
            Err(CompanyTokenError::Request(failed)) => Err(self.request_failed(failed, version)),
        }
    }

    /// Stores new tokens in place of those that were read.
    async fn store(&self, mut new: TokenSet, old: Option<&StoredTokens>) -> Result<Arc<Bearer>, Stop> {
        if let Reason::Rejected(token, why) = &self.reason {
            let now = self.manager.app.moment();
            // Not if another process has replaced the rejected token since.
            if old.is_some_and(|old| is_same(token, &old.tokens.access_token)) {
                new.rejections.refreshed(*why, now.wall);
            }
            // Even if the store does not save the new tokens.
            self.manager.state().tokens.replaced_at = Some(now);
        }
        let expected = old.map_or(Precondition::Nothing, |old| Precondition::Version(old.version));
        let write = PendingWrite { tokens: new, expected, is_installation: false };
        match self.manager.save(write).await.map_err(|error| self.failed(error))? {
            Some(stored) => {
                tracing::debug!("refreshed");
                Ok(self.manager.adopt(stored))
            }
            // Another process has stored newer tokens, or removed those that were read.
            None => Err(Stop::Changed),
        }
    }

    async fn read(&self) -> Result<Option<StoredTokens>, Stop> {
        self.manager.read().await.map_err(|error| self.failed(error))
    }

    async fn company(&self, tokens: Option<&TokenSet>) -> Result<Option<CompanyId>, Stop> {
        self.manager.company(tokens).await.map_err(|error| self.failed(error))
    }

    fn needs_authorization(
        &self,
        reason: ReauthReason,
        version: Option<Version>,
        invalid_grant: Option<InvalidGrant>,
    ) -> Stop {
        let resource = &self.key().resource;
        let why = match reason {
            ReauthReason::NoTokens => {
                let company = self.manager.state().tokens.company.clone();
                let text = messages::not_installed(resource, company);
                return Stop::Failed(Arc::new(Error::needs_authorization(NAME, text)));
            }
            ReauthReason::NoRefreshToken => {
                "its access token is not valid any more, and it has no refresh token"
            }
            ReauthReason::RefreshTokenRejected => "HighLevel rejected its refresh token",
        };
        let error = Error::needs_authorization(NAME, messages::reinstall(resource, why));
        let error = match invalid_grant {
            Some(invalid) => error.with_source(invalid.error),
            None => error,
        };
        self.rejected(version, FAILURE_COOLDOWN, error)
    }

    fn request_failed(&self, failed: RequestFailure, version: Option<Version>) -> Stop {
        let RequestFailure { failure, error } = failed;
        match failure {
            TokenFailure::InvalidGrant => self.rejected(version, FAILURE_COOLDOWN, error),
            TokenFailure::LocationInactive
            | TokenFailure::OtherCompany
            | TokenFailure::Unauthorized
            | TokenFailure::WrongClient
            | TokenFailure::Final => {
                // The owner takes longer to fix it.
                let needs_owner = error.kind() == ErrorKind::NeedsAuthorization;
                self.rejected(version, if needs_owner { FAILURE_COOLDOWN } else { SHORT_COOLDOWN }, error)
            }
            TokenFailure::NotSent | TokenFailure::Lost(_) | TokenFailure::Busy(_) => self.failed(error),
        }
    }

    /// HighLevel rejected the request, and would reject it again: none is sent during the cooldown.
    fn rejected(&self, version: Option<Version>, length: Duration, error: Error) -> Stop {
        let error = self.log(error);
        let cooldown =
            Cooldown { version, since: self.manager.app.moment(), length, error: Arc::clone(&error) };
        self.manager.state().tokens.cooldown = Some(cooldown);
        Stop::Failed(error)
    }

    fn failed(&self, error: Error) -> Stop {
        Stop::Failed(self.log(error))
    }

    /// Logs a failure, once for all calls that wait: no call reports that of a refresh ahead of expiry.
    fn log(&self, error: Error) -> Arc<Error> {
        tracing::warn!(kind = ?error.kind(), "no tokens of the {}: {error}", self.manager.name());
        Arc::new(error)
    }

    fn key(&self) -> &Key {
        &self.manager.slot.key
    }
}
