//! One renewal: from the store, or from HighLevel and then into the store.

use std::sync::Arc;
use std::time::Duration;

use super::TokenSet;
use super::answer::Granted;
use super::app::Inner;
use super::fault::{Progress, Trouble, again};
use super::keeper::{Deadline, Keeper, Outcome, Reason, Refused, Unsaved};
use super::oauth::{self, Moment, Refusal, Request, install_again};
use super::refresh::{Decision, Lack, REST, SHORT_REST, Verdict, Way, decide, way};
use super::store::{Key, LeaseResult, Precondition, Resource, StoredTokens, Version};
use crate::call;
use crate::token::Rejected;
use crate::{CompanyId, Error, ErrorKind, LocationId, Result};

/// How long one request for tokens may take. Three of them fit into the time in which HighLevel repeats an answer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// For how long others leave the tokens alone: longer than an attempt, and so short that another process can still have the
/// answer repeated if this one dies.
const LEASE: Duration = Duration::from_secs(15);
/// How often it is looked whether another process is done, at the beginning and later.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_AT_MOST: Duration = Duration::from_millis(500);

/// The name of what is done, in errors.
const NAME: &str = "token";

/// One renewal.
pub(super) struct Renewal {
    keeper: Keeper,
    pub(super) reason: Reason,
    deadline: Deadline,
    /// Who asks for the lease: nobody else has this name, in no process.
    holder: String,
}

/// What became of one try.
enum Try {
    Done(Outcome),
    /// Something changed meanwhile: look again.
    Again,
}

impl Renewal {
    pub(super) fn new(keeper: Keeper, reason: Reason, deadline: Deadline) -> Self {
        let holder = format!("{:032x}", fastrand::u128(..));
        Self { keeper, reason, deadline, holder }
    }

    /// Renews. `None` for a renewal ahead of time that another process is doing already.
    pub(super) async fn run(&self) -> Option<Outcome> {
        let mut look = LOOK;
        // The version whose refresh token was refused, and what HighLevel said.
        let mut refused: Option<(Version, Error)> = None;
        loop {
            match self.look().await {
                Ok(Some(outcome)) => return Some(outcome),
                Ok(None) => {}
                Err(error) => return Some(self.failed(error)),
            }
            match self.lease().await {
                Ok(None) => {}
                Ok(Some(_)) if matches!(self.reason, Reason::Ahead) => return None,
                Ok(Some(left)) => {
                    // The holder may be done at any time, or dead: then its lease ends.
                    let pause = look.mul_f64(0.5 + call::random()).min(left.max(LOOK));
                    if pause >= self.deadline.left() {
                        let text = format!(
                            "another process is renewing the tokens of the {}, and was not done in time",
                            self.name()
                        );
                        return Some(self.failed(Error::token(NAME, text)));
                    }
                    tokio::time::sleep(pause).await;
                    look = (look * 2).min(LOOK_AT_MOST);
                    continue;
                }
                Err(error) => return Some(self.failed(error)),
            }
            let tried = self.renew(&mut refused).await;
            // A lease that is not given back ends by itself.
            let _ended = self.app().store.release(self.key(), &self.holder).await;
            match tried {
                Try::Done(outcome) => return Some(outcome),
                Try::Again => {}
            }
        }
    }

    /// Looks into the store: `None` if there is nothing that can be used.
    async fn look(&self) -> Result<Option<Outcome>> {
        let renewed = self.keeper.renewed();
        let saved = self.keeper.save_what_is_unsaved().await;
        let stored = self.keeper.read().await?;
        if let Some(stored) = &stored
            && self.does(stored)
            // Others may be there that are good, while the store takes nothing.
            && (saved.is_ok() || renewed != Some(stored.version))
        {
            return Ok(Some(Ok(self.keeper.adopt(stored.clone()))));
        }
        saved?;
        let (version, now) = (stored.map(|stored| stored.version), self.app().moment());
        let state = self.keeper.slot.state();
        Ok(state.refused.as_ref().and_then(|refused| {
            let holds = refused.version == version && now.since(refused.at) < refused.rest;
            holds.then(|| Err(Arc::clone(&refused.error)))
        }))
    }

    /// Whether stored tokens do for the reason of this renewal.
    fn does(&self, stored: &StoredTokens) -> bool {
        if let Reason::Rejected(token) = &self.reason
            && call::same(token, &stored.tokens.access_token)
        {
            return false;
        }
        let state = self.keeper.slot.state();
        let known = state.known.as_ref().filter(|known| known.stored.version == stored.version);
        let jitter = known.map_or(0.0, |known| known.jitter);
        match decide(&stored.tokens, self.app().now(), jitter, Verdict::NotRejected) {
            Decision::Use => true,
            Decision::RefreshAhead => !matches!(self.reason, Reason::Ahead),
            Decision::RefreshNow => false,
        }
    }

    /// Acquires the lease. Returns `None` if it was granted, or the time until the lease of another holder ends.
    async fn lease(&self) -> Result<Option<Duration>> {
        match self.app().store.lease(self.key(), &self.holder, LEASE).await {
            Ok(LeaseResult::Granted) => Ok(None),
            Ok(LeaseResult::Held { remaining }) => Ok(Some(remaining)),
            Err(error) => Err(self.keeper.store_failed("give the right to renew", error)),
        }
    }

    /// Renews, with the lease in hand.
    async fn renew(&self, refused: &mut Option<(Version, Error)>) -> Try {
        match self.try_to_renew(refused).await {
            Ok(done) => done,
            Err(error) => Try::Done(self.failed(error)),
        }
    }

    async fn try_to_renew(&self, refused: &mut Option<(Version, Error)>) -> Result<Try> {
        // Between the look and the lease somebody else may have renewed.
        let stored = self.keeper.read().await?;
        if stored.as_ref().is_some_and(|stored| self.does(stored)) {
            return Ok(Try::Again);
        }
        let version = stored.as_ref().map(|stored| stored.version);
        if refused.as_ref().is_some_and(|(of, _)| Some(*of) != version) {
            *refused = None;
        }
        let tokens = stored.as_ref().map(|stored| &stored.tokens);
        let refresh_token = tokens.and_then(|tokens| tokens.refresh_token.as_ref());
        let company = match refresh_token {
            Some(_) if refused.is_none() => None,
            _ => self.keeper.company(tokens).await?,
        };
        let new = match way(tokens, refused.is_some(), company.is_some()) {
            Way::Refresh => {
                let Some(token) = refresh_token else { return Ok(Try::Again) };
                let request = Request::Refresh(token, &self.key().resource);
                let asked = self.app().now();
                match self.app().ask(&request, &self.deadline, Some(self)).await {
                    Asked::Granted(granted) => {
                        granted.into_tokens(&self.key().resource, tokens, asked, self.app().now())
                    }
                    Asked::LeaseLost => return Ok(Try::Again),
                    Asked::Refused(Refusal { trouble: Trouble::InvalidGrant, error }) => {
                        // Read first: somebody else may have put other tokens there.
                        let now = self.keeper.read().await?.map(|stored| stored.version);
                        match version {
                            Some(version) if now == Some(version) => {
                                if self.keeper.company(tokens).await?.is_none() {
                                    return Ok(self.refused(Some(version), REST, error));
                                }
                                *refused = Some((version, error));
                            }
                            _ => {}
                        }
                        return Ok(Try::Again);
                    }
                    Asked::Refused(Refusal { trouble, error }) => {
                        return Ok(self.stopped(trouble, version, error));
                    }
                }
            }
            Way::FromCompany => {
                let (Some(company), Resource::Location(location)) = (&company, &self.key().resource) else {
                    return Ok(Try::Again);
                };
                match self.app().mint(company, location, &self.deadline).await {
                    Ok(tokens) => tokens,
                    Err(Unminted::Company(error)) => return Ok(Try::Done(Err(error))),
                    Err(Unminted::Refused(Refusal { trouble, error })) => {
                        return Ok(self.stopped(trouble, version, error));
                    }
                }
            }
            Way::Authorize(lack) => {
                let why = match lack {
                    Lack::Tokens => return Ok(Try::Done(Err(Arc::new(self.not_installed())))),
                    Lack::RefreshToken => "its access token no longer works, and it has no refresh token",
                    Lack::GoodRefreshToken => "HighLevel no longer takes its refresh token",
                };
                let error = Error::needs_authorization(NAME, install_again(&self.key().resource, why));
                let error = match refused.take() {
                    Some((_, said)) => error.with_source(said),
                    None => error,
                };
                return Ok(self.refused(version, REST, error));
            }
        };
        if let Reason::Rejected(_) = self.reason {
            // Also if the store does not take them: there are others now.
            self.keeper.slot.state().replaced = Some(self.app().moment());
        }
        let expected = version.map_or(Precondition::Nothing, Precondition::Version);
        match self.keeper.save(Unsaved { tokens: new, expected, is_installation: false }).await? {
            Some(stored) => {
                tracing::debug!("renewed");
                Ok(Try::Done(Ok(self.keeper.adopt(stored))))
            }
            // Somebody else put something there, or removed it: that is newer than what was just renewed.
            None => Ok(Try::Again),
        }
    }

    /// It failed, for now or for good.
    fn stopped(&self, trouble: Trouble, version: Option<Version>, error: Error) -> Try {
        match trouble {
            Trouble::InvalidGrant => self.refused(version, REST, error),
            Trouble::LocationInactive | Trouble::Unauthorized | Trouble::Final => {
                // What the owner has to mend takes longer.
                let is_for_owner = error.kind() == ErrorKind::NeedsAuthorization;
                self.refused(version, if is_for_owner { REST } else { SHORT_REST }, error)
            }
            Trouble::NotSent | Trouble::Lost(_) | Trouble::Busy(_) => Try::Done(self.failed(error)),
        }
    }

    /// It was refused, and would be again: nobody asks for a while.
    fn refused(&self, version: Option<Version>, rest: Duration, error: Error) -> Try {
        let outcome = self.failed(error);
        if let Err(error) = &outcome {
            let (at, error) = (self.app().moment(), Arc::clone(error));
            self.keeper.slot.state().refused = Some(Refused { version, at, rest, error });
        }
        Try::Done(outcome)
    }

    /// The failure is logged here, once for all who wait: of a renewal ahead of time nobody else hears.
    fn failed(&self, error: Error) -> Outcome {
        tracing::warn!(kind = ?error.kind(), "no tokens of the {}: {error}", self.name());
        Err(Arc::new(error))
    }

    fn not_installed(&self) -> Error {
        let name = self.name();
        let company = self.keeper.slot.state().company.clone();
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
        &self.keeper.app
    }

    fn key(&self) -> &Key {
        &self.keeper.slot.key
    }
}

/// What came of a request for tokens.
pub(super) enum Asked {
    Granted(Box<Granted>),
    Refused(Refusal),
    /// Somebody else got the lease, because it ran out: nothing may be asked any more.
    LeaseLost,
}

/// Why a location got no token from its company.
pub(super) enum Unminted {
    /// The company has none itself.
    Company(Arc<Error>),
    Refused(Refusal),
}

impl Inner {
    /// Asks for tokens until there is an answer, there is no time left, or asking is no use. Before each attempt the
    /// lease is renewed, so that it outlives the attempt.
    ///
    /// What works once is not given up for the deadline of those who wait, once it may have been done: its answer can be
    /// had for a short time only, and without it the app has to be installed again.
    pub(super) async fn ask(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
        lease: Option<&Renewal>,
    ) -> Asked {
        let mut progress = Progress::default();
        let mut sent: Option<Moment> = None;
        loop {
            if let Some(lease) = lease {
                match lease.lease().await {
                    Ok(None) => {}
                    Ok(Some(_)) => return Asked::LeaseLost,
                    // To ask for the same answer again does no harm, and there may be a store when it is there.
                    Err(_) if sent.is_some() => {}
                    Err(error) => return Asked::Refused(Refusal { trouble: Trouble::NotSent, error }),
                }
            }
            let began = self.moment();
            let left = deadline.left();
            if left.is_zero() && sent.is_none() {
                return Asked::Refused(oauth::out_of_time(request));
            }
            let timeout = ATTEMPT.min(self.connection.options.attempt);
            let timeout = if request.works_once() { timeout } else { timeout.min(left) };
            let result = self.oauth.ask(request, timeout).await;
            let trouble = result.as_ref().err().map(|refusal| refusal.trouble);
            tracing::debug!(
                operation = request.name(),
                attempt = progress.retries + 1,
                ?trouble,
                "asked for tokens"
            );
            let refusal = match result {
                Ok(granted) => return Asked::Granted(Box::new(granted)),
                Err(refusal) => refusal,
            };
            if let Trouble::Lost(_) = refusal.trouble {
                sent.get_or_insert(began);
            }
            progress.sent = sent.map(|sent| self.moment().since(sent));
            let left = (!request.works_once() || sent.is_none()).then(|| deadline.left());
            let pause = again(refusal.trouble, progress, request.works_once(), left, call::random());
            progress.retries += 1;
            let Some(pause) = pause else {
                let Refusal { trouble, error } = refusal;
                let error = error.after(progress.retries, sent.is_some(), None);
                return Asked::Refused(Refusal { trouble, error });
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
        let keeper = self.keeper(Resource::Company(company.clone()));
        let mut bearer = keeper.bearer(None, deadline.at()).await.map_err(Unminted::Company)?;
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
            if refusal.trouble != Trouble::Unauthorized || fresh {
                return Err(Unminted::Refused(refusal));
            }
            let rejected = Rejected::new(&bearer, refusal.error.body());
            let other = keeper.bearer(Some(rejected), deadline.at()).await.map_err(Unminted::Company)?;
            if call::same(&other.token, &bearer.token) {
                return Err(Unminted::Refused(refusal));
            }
            (bearer, fresh) = (other, true);
        }
    }
}
