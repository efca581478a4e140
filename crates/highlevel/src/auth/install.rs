//! Tokens come when an app is installed, and go when it is removed.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Instant, SystemTime};

use highlevel_wire::Timestamp;
use highlevel_wire::types::{Install, InstallType, Uninstall};
use secrecy::SecretString;
use tokio::sync::oneshot;

use super::TokenSet;
use super::app::App;
use super::oauth::{self, Request};
use super::refresh_task::{Asked, Unminted};
use super::store::{Precondition, Resource, StoredTokens};
use super::token_manager::{Deadline, PendingWrite, Removal, TokenManager};
use crate::call;
use crate::client::authorization;
use crate::error::Cause;
use crate::webhook::{Event, Verified};
use crate::{AppId, CompanyId, Delivery, Error, ErrorKind, LocationId, Result};

/// What was done about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// The app was installed on a location, whose tokens were had by the token of its company, and are stored.
    Stored(Resource),
    /// The app was installed, and the tokens are there: the exchange was first, or the event came again.
    AlreadyStored(Resource),
    /// The app was installed, and its tokens will come by [`App::exchange`].
    WaitingForExchange(Resource),
    /// The app was removed, and the tokens of these were there and are gone. None, if it came again.
    Removed(Vec<Resource>),
    /// The app was removed, but the stored tokens are of a later installation: it has been installed again. For an event
    /// without a timestamp, HighLevel has just accepted the refresh token.
    InstalledAgain(Resource),
    /// The event has no timestamp, and the stored tokens have no refresh token that HighLevel could be asked with. They were
    /// left there.
    Unverified(Resource),
    /// The event names neither a location nor a company.
    Nothing,
    /// The event is for another app. Nothing was done.
    OtherApp(AppId),
    /// The event is not about an installation.
    NotAboutInstallation,
}

impl App {
    /// Exchanges the code that came with the redirect for tokens, and stores them.
    ///
    /// It goes on when the caller gives up, a browser that hangs up for example: the code works once.
    ///
    /// # Errors
    ///
    /// [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) if HighLevel does not take the code. Tokens that came
    /// and could not be stored are kept in memory, and offered to the store until it takes them.
    pub async fn exchange(&self, code: impl Into<SecretString>) -> Result<TokenSet> {
        let (app, code) = (self.clone(), code.into());
        self.apart(async move { app.exchange_now(&code).await }).await
    }

    /// Gets the tokens of a location by the token of its company, and stores them.
    ///
    /// Clients from [`Company::location`](super::Company::location) do this by themselves; this is for locations whose clients
    /// come from [`App::location`], and needs to be called once.
    ///
    /// # Errors
    ///
    /// [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) if there are no tokens of the company, and whatever
    /// HighLevel refuses.
    pub async fn location_token(
        &self,
        company: impl Into<CompanyId>,
        location: impl Into<LocationId>,
    ) -> Result<TokenSet> {
        let (app, company, location) = (self.clone(), company.into(), location.into());
        self.apart(async move { app.mint(&company, &location).await }).await
    }

    /// Stores tokens that another program has obtained, another SDK for example, and returns those that are stored then.
    ///
    /// They count as an installation at their [`installed_at`](TokenSet::installed_at). Tokens of a later installation stay,
    /// and so do those that were refreshed since: to import the same tokens at each start of a program does no harm, if they
    /// have the time of their expiry ([`TokenSet::with_expiry`]). The other program must not use the refresh token any more:
    /// it works once.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use highlevel::auth::store::{MemoryStore, Resource};
    /// use highlevel::auth::{App, TokenSet};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let app = App::builder().client_id("a-b").client_secret("c").store(MemoryStore::new()).build()?;
    /// let tokens = TokenSet::new("eyJhbGciOi.access")
    ///     .with_refresh_token("eyJhbGciOi.refresh")
    ///     .with_expiry(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    /// app.import(Resource::Location("ve9EPM428h8vShlRW1KT".into()), tokens).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the tokens name another location or company than the resource,
    /// or the access token cannot be one. [`Token`](crate::ErrorKind::Token) if the store fails; the tokens stay in memory
    /// then, and are offered to it until it takes them.
    pub async fn import(&self, resource: Resource, tokens: TokenSet) -> Result<TokenSet> {
        let tokens = imported(&resource, tokens)?;
        let app = self.clone();
        self.apart(async move { app.inner.manager(resource).install(tokens).await }).await
    }

    /// Stores and removes tokens as the app is installed and removed. Takes every event of a webhook; most are not about
    /// that.
    ///
    /// Commit the event when this is done, and answer 429 when it fails: it comes again. Events that come again, late or
    /// before the exchange has finished do no harm.
    ///
    /// # Errors
    ///
    /// The store, or the tokens of a location that come by those of its company.
    pub async fn handle(&self, event: &Verified<Event>) -> Result<Handled> {
        let app_id = match event.event() {
            Event::Install(install) => &install.app_id,
            Event::Uninstall(uninstall) => &uninstall.app_id,
            _ => return Ok(Handled::NotAboutInstallation),
        };
        if *app_id != self.inner.app_id {
            return Ok(Handled::OtherApp(app_id.clone()));
        }
        match event.event() {
            Event::Install(install) => self.installed(install).await,
            Event::Uninstall(uninstall) => self.removed(uninstall).await,
            _ => Ok(Handled::NotAboutInstallation),
        }
    }

    /// Runs in a task of its own, which goes on when the caller is dropped.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.inner.jobs.spawn(async move {
            // If the caller has given up, the result is in the store.
            let _result = sender.send(work.await);
        });
        let lost = |error| Error::token("token", "the tokio runtime ended meanwhile").with_source(error);
        receiver.await.unwrap_or_else(|error| Err(lost(error)))
    }

    fn deadline(&self) -> Deadline {
        Deadline::new(call::now() + self.inner.connection.options.call.min(call::LONGEST_CALL))
    }

    async fn exchange_now(&self, code: &SecretString) -> Result<TokenSet> {
        let asked = self.inner.now();
        let request = Request::Code(code);
        let granted = match self.inner.ask(&request, &self.deadline(), None).await {
            Asked::Granted(granted) => *granted,
            Asked::Refused(refusal) => return Err(refusal.error),
            Asked::LeaseLost => return Err(Error::token(request.name(), "there was no time to ask")),
        };
        let Some(resource) = granted.resource() else {
            let text = "HighLevel's answer names neither a location nor a company that the tokens are for";
            return Err(
                Error::no_answer(request.name(), Delivery::Accepted, ErrorKind::Receipt).with_text(text)
            );
        };
        let approved = granted.approved_locations.clone();
        let tokens = granted.into_tokens(&resource, None, asked, self.inner.now());
        let installed = self.inner.manager(resource.clone()).install(tokens).await;
        // Also if the store has failed: the tokens are kept, and nobody says again which locations were approved.
        self.stop_waiting(&resource, approved);
        installed
    }

    /// What waited for these tokens need not any more: the locations of a company get theirs, in the background.
    fn stop_waiting(&self, resource: &Resource, approved: Vec<LocationId>) {
        let mut locations = self.forget_waiting(resource);
        let Resource::Company(company) = resource else { return };
        locations.extend(approved);
        for location in &locations {
            self.inner.belongs(location, company);
        }
        if !locations.is_empty() {
            self.inner.jobs.spawn(self.clone().get_all(locations));
        }
    }

    /// Gets the tokens of locations, one after the other. One that fails gets them with its first call.
    async fn get_all(self, locations: BTreeSet<LocationId>) {
        for location in locations {
            let manager = self.inner.manager(Resource::Location(location));
            let deadline = self.deadline().at();
            if let Err(error) = manager.bearer(None, deadline).await {
                tracing::warn!(location = manager.slot.key.resource.id(), "no tokens yet: {error}");
            }
        }
    }

    async fn mint(&self, company: &CompanyId, location: &LocationId) -> Result<TokenSet> {
        let tokens = match self.inner.mint(company, location, &self.deadline()).await {
            Ok(tokens) => tokens,
            Err(Unminted::Company(error)) => {
                return Err(Error::no_token("location_token", Cause::Shared(error)));
            }
            Err(Unminted::Refused(refusal)) => return Err(refusal.error),
        };
        self.inner.manager(Resource::Location(location.clone())).install(tokens).await
    }

    async fn installed(&self, install: &Install) -> Result<Handled> {
        let company_alone = install.install_type == Some(InstallType::Company);
        let location = install.location_id.clone().filter(|_| !company_alone);
        let resource = match (location, &install.company_id) {
            (Some(location), _) => Resource::Location(location),
            (None, Some(company)) => Resource::Company(company.clone()),
            (None, None) => return Ok(Handled::Nothing),
        };
        let manager = self.inner.manager(resource.clone());
        let happened = time(install.timestamp.as_ref());
        let there = manager.read().await?;
        let is_newer = |tokens: &TokenSet| happened.is_none_or(|happened| tokens.installed_at >= happened);
        if there.as_ref().is_some_and(|there| is_newer(&there.tokens)) {
            return Ok(Handled::AlreadyStored(resource));
        }
        if let (Resource::Location(location), Some(company)) = (&resource, &install.company_id) {
            // First this, then the look: an exchange that ends in between finds the location waiting.
            self.inner.belongs(location, company);
            self.wait_for(location, company);
            if self.inner.manager(Resource::Company(company.clone())).has_tokens().await? {
                if there.is_some() {
                    self.location_token(company.clone(), location.clone()).await?;
                } else {
                    let bearer = manager.bearer(None, self.deadline().at()).await;
                    bearer.map_err(|error| Error::no_token("location_token", Cause::Shared(error)))?;
                }
                self.forget_waiting(&resource);
                return Ok(Handled::Stored(resource));
            }
        }
        Ok(Handled::WaitingForExchange(resource))
    }

    fn wait_for(&self, location: &LocationId, company: &CompanyId) {
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(company.clone()).or_default().insert(location.clone());
    }

    async fn removed(&self, uninstall: &Uninstall) -> Result<Handled> {
        let happened = time(uninstall.timestamp.as_ref());
        let resource = match (&uninstall.location_id, &uninstall.company_id) {
            (Some(location), _) => Resource::Location(location.clone()),
            (None, Some(company)) => Resource::Company(company.clone()),
            (None, None) => return Ok(Handled::Nothing),
        };
        let mut removed = Vec::new();
        match self.inner.manager(resource.clone()).remove(happened, self.deadline().at()).await? {
            Removed::Newer => return Ok(Handled::InstalledAgain(resource)),
            Removed::Unverified => return Ok(Handled::Unverified(resource)),
            Removed::Gone => removed.push(resource.clone()),
            Removed::Nothing => {}
        }
        self.forget_waiting(&resource);
        if let Resource::Company(company) = &resource {
            for location in self.locations_of(company).await? {
                let manager = self.inner.manager(location.clone());
                if let Removed::Gone = manager.remove(happened, self.deadline().at()).await? {
                    removed.push(location);
                }
            }
        }
        Ok(Handled::Removed(removed))
    }

    /// Forgets that a location waits, or all of a company, which are the answer.
    fn forget_waiting(&self, resource: &Resource) -> BTreeSet<LocationId> {
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match resource {
            Resource::Company(company) => waiting.remove(company).unwrap_or_default(),
            Resource::Location(location) => {
                waiting.values_mut().for_each(|locations| locations.retain(|other| other != location));
                waiting.retain(|_, locations| !locations.is_empty());
                BTreeSet::new()
            }
        }
    }

    /// The locations whose tokens, stored or on their way to the store, say that they belong to a company.
    async fn locations_of(&self, company: &CompanyId) -> Result<BTreeSet<Resource>> {
        let resources = self.inner.store.resources(&self.inner.client_id).await;
        let resources = resources.map_err(|error| {
            Error::token("token", "the token store could not be searched: see the source of this error")
                .with_source(error)
        })?;
        let mut locations = self.inner.pending_of(company);
        for resource in resources {
            if let Resource::Location(_) = resource
                && let Some(stored) = self.inner.manager(resource.clone()).read().await?
                && stored.tokens.company_id.as_ref() == Some(company)
            {
                locations.insert(resource);
            }
        }
        Ok(locations)
    }
}

/// Checks tokens of another program, and gives them the ids of their resource.
fn imported(resource: &Resource, tokens: TokenSet) -> Result<TokenSet> {
    let invalid = |text: String| Err(Error::invalid("import", text));
    if let Err(what) = authorization(&tokens.access_token) {
        return invalid(what.to_owned());
    }
    let name = oauth::describe(resource);
    match resource {
        Resource::Location(location) => match &tokens.location_id {
            Some(other) if other != location => invalid(format!(
                "the tokens are of the {}, not of the {name}: import them for the location that they name",
                oauth::describe(&Resource::Location(other.clone()))
            )),
            _ => Ok(TokenSet { location_id: Some(location.clone()), ..tokens }),
        },
        Resource::Company(company) => match (&tokens.location_id, &tokens.company_id) {
            (Some(location), _) => invalid(format!(
                "the tokens are of the {}, not of the {name}: import them for the location that they name",
                oauth::describe(&Resource::Location(location.clone()))
            )),
            (None, Some(other)) if other != company => invalid(format!(
                "the tokens are of the {}, not of the {name}: import them for the company that they name",
                oauth::describe(&Resource::Company(other.clone()))
            )),
            _ => Ok(TokenSet { company_id: Some(company.clone()), ..tokens }),
        },
    }
}

/// The result of removing tokens.
enum Removed {
    Gone,
    /// There were none.
    Nothing,
    /// They are of an installation after the removal of the app.
    Newer,
    /// Nothing shows which installation they are of.
    Unverified,
}

impl TokenManager {
    /// Stores tokens that were just issued, unless those of a later installation are there.
    async fn install(&self, tokens: TokenSet) -> Result<TokenSet> {
        let expected = Precondition::Nothing;
        if let Some(stored) = self.save(PendingWrite { tokens, expected, is_installation: true }).await? {
            let tokens = stored.tokens.clone();
            self.adopt(stored);
            return Ok(tokens);
        }
        if let Some(there) = self.read().await? {
            return Ok(there.tokens);
        }
        let name = oauth::describe(&self.slot.key.resource);
        let text = format!(
            "the new tokens of the {name} were not stored: meanwhile the app was removed, or installed once more"
        );
        Err(Error::token("token", text))
    }

    /// Removes tokens, unless they are of an installation after the removal of the app.
    async fn remove(&self, happened: Option<SystemTime>, deadline: Instant) -> Result<Removed> {
        match happened {
            Some(happened) => self.remove_older(happened).await,
            None => self.remove_dead(deadline).await,
        }
    }

    async fn remove_older(&self, happened: SystemTime) -> Result<Removed> {
        let is_later = |tokens: &TokenSet| tokens.installed_at > happened;
        {
            let mut state = self.slot.state();
            state.pending.take_if(|pending| !is_later(&pending.tokens));
            // A write that is under way may end after this.
            state.removal = Removal { count: state.removal.count + 1, happened: Some(happened) };
        }
        loop {
            let Some(there) = self.read().await? else {
                self.forget();
                return Ok(Removed::Nothing);
            };
            if is_later(&there.tokens) {
                return Ok(Removed::Newer);
            }
            if self.remove_version(&there).await? {
                return Ok(Removed::Gone);
            }
        }
    }

    /// Nothing says when the app was removed: it may have been installed again since. HighLevel knows.
    async fn remove_dead(&self, deadline: Instant) -> Result<Removed> {
        self.save_pending().await?;
        loop {
            let Some(there) = self.read().await? else {
                self.forget();
                return Ok(Removed::Nothing);
            };
            let outcome = self.verify(&there.tokens.access_token, deadline).await;
            let (is_dead, is_final) = {
                let state = self.slot.state();
                let is_final = state.refused.as_ref().is_some_and(|it| it.version == Some(there.version));
                (state.invalid_grant == Some(there.version), is_final)
            };
            // If there is a company, it was asked as well.
            let is_for_owner = |error: &Error| error.kind() == ErrorKind::NeedsAuthorization;
            match outcome {
                Some(Ok(_)) => return Ok(Removed::Newer),
                Some(Err(error)) if is_dead && (is_final || is_for_owner(&error)) => {
                    if self.remove_version(&there).await? {
                        return Ok(Removed::Gone);
                    }
                }
                Some(Err(_)) if there.tokens.refresh_token.is_none() => return Ok(Removed::Unverified),
                Some(Err(error)) => return Err(Error::no_token("refresh_token", Cause::Shared(error))),
                None => {
                    let text = "nothing runs the tasks that ask HighLevel: is the tokio runtime driven?";
                    return Err(Error::token("refresh_token", text));
                }
            }
        }
    }

    async fn remove_version(&self, there: &StoredTokens) -> Result<bool> {
        let removed = self.app.store.remove(&self.slot.key, Precondition::Version(there.version)).await;
        let removed = removed.map_err(|error| self.store_failed("remove", error))?;
        if removed {
            self.forget();
        }
        Ok(removed)
    }
}

fn time(timestamp: Option<&Timestamp>) -> Option<SystemTime> {
    timestamp?.to_system_time()
}
