//! Stores and removes tokens when the app is installed and uninstalled.

use std::collections::BTreeSet;
use std::time::SystemTime;

use highlevel_wire::Timestamp;
use highlevel_wire::types::{Install, InstallType, Uninstall};

use super::TokenSet;
use super::app::App;
use super::store::Resource;
use super::token_manager::{RemovalResult, TokenManager};
use crate::error::ErrorSource;
use crate::webhook::{Event, Verified};
use crate::{AppId, CompanyId, Error, Result};

/// The result of handling an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// The app was installed on a location. Its tokens were obtained with the token of its company, and are stored.
    Stored(Resource),
    /// The app was installed, and the tokens are stored already: the exchange was first, or this is a redelivery.
    AlreadyStored(Resource),
    /// The app was installed. Its tokens will be stored by [`App::exchange`].
    WaitingForExchange(Resource),
    /// The app was uninstalled, and the tokens of these resources were removed. Empty for a redelivery.
    Removed(Vec<Resource>),
    /// The app was uninstalled, but the stored tokens are of a later installation. Nothing was removed. For an event without
    /// a timestamp: HighLevel has just accepted the refresh token.
    Reinstalled(Resource),
    /// The event has no timestamp, and the stored tokens have no refresh token with which HighLevel could be asked. Nothing
    /// was removed.
    Unverified(Resource),
    /// The event names neither a location nor a company. Nothing was done.
    NoResource,
    /// The event is for another app. Nothing was done.
    OtherApp(AppId),
    /// The event is not about an installation. Nothing was done.
    NotAboutInstallation,
}

impl App {
    /// Stores and removes tokens when the app is installed and uninstalled. Accepts any event; most are not about that.
    ///
    /// Commit the event when this succeeds, and respond with status 429 when it fails, so that HighLevel redelivers it. Events
    /// may arrive repeatedly, late, or before the exchange has finished.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails, or if the tokens of a location cannot be obtained from its company.
    pub async fn handle(&self, event: &Verified<Event>) -> Result<Handled> {
        let app_id = match event.event() {
            Event::Install(install) => &install.app_id,
            Event::Uninstall(uninstall) => &uninstall.app_id,
            _ => return Ok(Handled::NotAboutInstallation),
        };
        if *app_id != self.shared.app_id {
            return Ok(Handled::OtherApp(app_id.clone()));
        }
        match event.event() {
            Event::Install(install) => self.installed(install).await,
            Event::Uninstall(uninstall) => self.uninstalled(uninstall).await,
            _ => Ok(Handled::NotAboutInstallation),
        }
    }

    async fn installed(&self, install: &Install) -> Result<Handled> {
        let is_company = install.install_type == Some(InstallType::Company);
        let location = install.location_id.clone().filter(|_| !is_company);
        let resource = match (location, &install.company_id) {
            (Some(location), _) => Resource::Location(location),
            (None, Some(company)) => Resource::Company(company.clone()),
            (None, None) => return Ok(Handled::NoResource),
        };
        let manager = self.manager(resource.clone());
        let installed_at = time(install.timestamp.as_ref());
        let stored = manager.read().await?;
        let is_current = |tokens: &TokenSet| installed_at.is_none_or(|at| tokens.installed_at >= at);
        if stored.as_ref().is_some_and(|stored| is_current(&stored.tokens)) {
            return Ok(Handled::AlreadyStored(resource));
        }
        if let (Resource::Location(location), Some(company)) = (&resource, &install.company_id) {
            // Before the look for tokens of the company: an exchange that ends in between finds the location waiting.
            self.shared.set_company(location, company);
            self.wait_for_company(location, company);
            if self.manager(Resource::Company(company.clone())).has_tokens().await? {
                if stored.is_some() {
                    self.location_token(company.clone(), location.clone()).await?;
                } else {
                    let bearer = manager.bearer(None, self.deadline().at()).await;
                    bearer.map_err(|error| Error::no_token("location_token", ErrorSource::Shared(error)))?;
                }
                self.stop_waiting(&resource);
                return Ok(Handled::Stored(resource));
            }
        }
        Ok(Handled::WaitingForExchange(resource))
    }

    async fn uninstalled(&self, uninstall: &Uninstall) -> Result<Handled> {
        let removed_at = time(uninstall.timestamp.as_ref());
        let resource = match (&uninstall.location_id, &uninstall.company_id) {
            (Some(location), _) => Resource::Location(location.clone()),
            (None, Some(company)) => Resource::Company(company.clone()),
            (None, None) => return Ok(Handled::NoResource),
        };
        let mut removed = Vec::new();
        match self.remove(&resource, removed_at).await? {
            RemovalResult::Newer => return Ok(Handled::Reinstalled(resource)),
            RemovalResult::Unverified => return Ok(Handled::Unverified(resource)),
            RemovalResult::Removed => removed.push(resource.clone()),
            RemovalResult::NotFound => {}
        }
        self.stop_waiting(&resource);
        if let Resource::Company(company) = &resource {
            for location in self.locations_of(company).await? {
                if let RemovalResult::Removed = self.remove(&location, removed_at).await? {
                    removed.push(location);
                }
            }
        }
        Ok(Handled::Removed(removed))
    }

    async fn remove(&self, resource: &Resource, removed_at: Option<SystemTime>) -> Result<RemovalResult> {
        self.manager(resource.clone()).remove(removed_at, self.deadline().at()).await
    }

    /// Returns the locations whose tokens, stored or on their way to the store, name a company.
    async fn locations_of(&self, company: &CompanyId) -> Result<BTreeSet<Resource>> {
        let resources = self.shared.store.resources(&self.shared.client_id).await;
        let resources = resources.map_err(|error| {
            Error::token(
                "token",
                "the token store failed to list its resources; see the source of this error",
            )
            .with_source(error)
        })?;
        let mut locations = self.shared.slots.pending_locations(company);
        for resource in resources {
            if let Resource::Location(_) = resource
                && let Some(stored) = self.manager(resource.clone()).read().await?
                && stored.tokens.company_id.as_ref() == Some(company)
            {
                locations.insert(resource);
            }
        }
        Ok(locations)
    }

    fn manager(&self, resource: Resource) -> TokenManager {
        TokenManager::new(&self.shared, resource)
    }
}

fn time(timestamp: Option<&Timestamp>) -> Option<SystemTime> {
    timestamp?.to_system_time()
}
