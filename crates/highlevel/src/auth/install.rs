//! Tokens come when an app is installed, and go when it is removed.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::SystemTime;

use highlevel_wire::Timestamp;
use highlevel_wire::types::{Install, InstallType, Uninstall};
use secrecy::SecretString;

use super::TokenSet;
use super::app::App;
use super::keeper::{Deadline, Keeper, Unsaved};
use super::oauth::{self, Request};
use super::renewal::{Asked, Unminted};
use super::store::{Precondition, Resource};
use crate::call;
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
    /// The app was removed, but what is stored is of a later installation: it has been installed again.
    InstalledAgain(Resource),
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
        let lost = |error| Error::token("token", "the tokio runtime ended meanwhile").with_source(error);
        self.inner.background.spawn(work).await.unwrap_or_else(|error| Err(lost(error)))
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
        let installed = self.inner.keeper(resource.clone()).install(tokens).await;
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
            self.inner.background.spawn(self.clone().get_all(locations));
        }
    }

    /// Gets the tokens of locations, one after the other. One that fails gets them with its first call.
    async fn get_all(self, locations: BTreeSet<LocationId>) {
        for location in locations {
            let keeper = self.inner.keeper(Resource::Location(location));
            let deadline = self.deadline().at();
            if let Err(error) = keeper.bearer(None, deadline).await {
                tracing::warn!(location = keeper.slot.key.resource.id(), "no tokens yet: {error}");
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
        self.inner.keeper(Resource::Location(location.clone())).install(tokens).await
    }

    async fn installed(&self, install: &Install) -> Result<Handled> {
        let company_alone = install.install_type == Some(InstallType::Company);
        let location = install.location_id.clone().filter(|_| !company_alone);
        let resource = match (location, &install.company_id) {
            (Some(location), _) => Resource::Location(location),
            (None, Some(company)) => Resource::Company(company.clone()),
            (None, None) => return Ok(Handled::Nothing),
        };
        let keeper = self.inner.keeper(resource.clone());
        let happened = time(install.timestamp.as_ref());
        let there = keeper.read().await?;
        let is_newer = |tokens: &TokenSet| happened.is_none_or(|happened| tokens.installed_at >= happened);
        if there.as_ref().is_some_and(|there| is_newer(&there.tokens)) {
            return Ok(Handled::AlreadyStored(resource));
        }
        if let (Resource::Location(location), Some(company)) = (&resource, &install.company_id) {
            // First this, then the look: an exchange that ends in between finds the location waiting.
            self.inner.belongs(location, company);
            self.wait_for(location, company);
            if self.inner.keeper(Resource::Company(company.clone())).has_tokens().await? {
                if there.is_some() {
                    self.location_token(company.clone(), location.clone()).await?;
                } else {
                    let bearer = keeper.bearer(None, self.deadline().at()).await;
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
        match self.inner.keeper(resource.clone()).remove(happened).await? {
            Removed::Newer => return Ok(Handled::InstalledAgain(resource)),
            Removed::Gone => removed.push(resource.clone()),
            Removed::Nothing => {}
        }
        self.forget_waiting(&resource);
        if let Resource::Company(company) = &resource {
            for location in self.locations_of(company).await? {
                if let Removed::Gone = self.inner.keeper(location.clone()).remove(happened).await? {
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
        let mut locations = self.inner.unsaved_of(company);
        for resource in resources {
            if let Resource::Location(_) = resource
                && let Some(stored) = self.inner.keeper(resource.clone()).read().await?
                && stored.tokens.company_id.as_ref() == Some(company)
            {
                locations.insert(resource);
            }
        }
        Ok(locations)
    }
}

/// What became of removing tokens.
enum Removed {
    Gone,
    /// There were none.
    Nothing,
    /// They are of an installation after the removal of the app.
    Newer,
}

impl Keeper {
    /// Stores tokens that were just given, unless those of a later installation are there.
    async fn install(&self, tokens: TokenSet) -> Result<TokenSet> {
        let expected = Precondition::Nothing;
        if let Some(stored) = self.save(Unsaved { tokens, expected, is_installation: true }).await? {
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
    async fn remove(&self, happened: Option<SystemTime>) -> Result<Removed> {
        let is_later = |tokens: &TokenSet| happened.is_some_and(|happened| tokens.installed_at > happened);
        self.slot.state().unsaved.take_if(|unsaved| !is_later(&unsaved.tokens));
        loop {
            let Some(there) = self.read().await? else {
                self.forget();
                return Ok(Removed::Nothing);
            };
            if is_later(&there.tokens) {
                return Ok(Removed::Newer);
            }
            let expected = Precondition::Version(there.version);
            let removed = self.app.store.remove(&self.slot.key, expected).await;
            if removed.map_err(|error| self.store_failed("remove", error))? {
                self.forget();
                return Ok(Removed::Gone);
            }
        }
    }
}

fn time(timestamp: Option<&Timestamp>) -> Option<SystemTime> {
    timestamp?.to_system_time()
}
