//! Stores and removes tokens when the app is installed and uninstalled.

use std::collections::BTreeSet;
use std::time::SystemTime;

use highlevel_wire::Timestamp;
use highlevel_wire::types::{Install, InstallType, Uninstall};

use super::TokenSet;
use super::app::App;
use super::exchange::list_failed;
use super::store::Resource;
use super::token_manager::{RemovalResult, TokenManager};
use crate::error::ErrorSource;
use crate::webhook::{Event, Verified};
use crate::{AppId, CompanyId, Error, LocationId, Result};

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
    /// The app was installed on a location that was created after the installation on its company, whose id the event does
    /// not contain. No stored token of a company can issue the tokens of the location. They will be stored once
    /// [`App::exchange`] has stored those of the company.
    WaitingForCompany(LocationId),
    /// The app was installed on several locations of a company.
    Several {
        /// The locations whose tokens are stored.
        stored: Vec<LocationId>,
        /// The locations whose tokens will be stored once [`App::exchange`] has stored those of the company.
        waiting: Vec<LocationId>,
    },
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
        let company = install.company_id.as_ref().filter(|id| !id.as_str().is_empty());
        let location = install.location_id.as_ref().filter(|id| !is_company && !id.as_str().is_empty());
        let installed_at = time(install.timestamp.as_ref());
        let listed = install.location_ids.iter().flatten().filter(|id| !id.as_str().is_empty());
        let listed: BTreeSet<LocationId> = listed.chain(location).cloned().collect();
        match (location, company) {
            _ if listed.len() > 1 || location.is_none() && !listed.is_empty() => {
                self.installed_on_several(listed, company, installed_at).await
            }
            (Some(location), _) => self.installed_on(location, company, install, installed_at).await,
            (None, Some(company)) => self.installed_on_company(company, installed_at).await,
            (None, None) => Ok(Handled::NoResource),
        }
    }

    async fn installed_on_company(
        &self,
        company: &CompanyId,
        installed_at: Option<SystemTime>,
    ) -> Result<Handled> {
        let resource = Resource::Company(company.clone());
        let stored = self.manager(resource.clone()).read().await?;
        Ok(match stored {
            Some(stored) if is_current(&stored.tokens, installed_at) => Handled::AlreadyStored(resource),
            _ => Handled::WaitingForExchange(resource),
        })
    }

    async fn installed_on(
        &self,
        location: &LocationId,
        company: Option<&CompanyId>,
        install: &Install,
        installed_at: Option<SystemTime>,
    ) -> Result<Handled> {
        let resource = Resource::Location(location.clone());
        Ok(match self.obtain(location, company, installed_at).await? {
            Obtained::Before => Handled::AlreadyStored(resource),
            Obtained::Now => Handled::Stored(resource),
            // The owner of a company installs the app on locations that do not exist yet, so no user is named and no
            // code follows.
            Obtained::Not if company.is_none() && install.user_id.is_none() => {
                Handled::WaitingForCompany(location.clone())
            }
            Obtained::Not => Handled::WaitingForExchange(resource),
        })
    }

    /// Obtains the tokens of each location, even if that fails for others. A redelivery obtains only those that are missing.
    async fn installed_on_several(
        &self,
        locations: BTreeSet<LocationId>,
        company: Option<&CompanyId>,
        installed_at: Option<SystemTime>,
    ) -> Result<Handled> {
        let (mut stored, mut waiting, mut failure) = (Vec::new(), Vec::new(), None);
        for location in locations {
            match self.obtain(&location, company, installed_at).await {
                Ok(Obtained::Before | Obtained::Now) => stored.push(location),
                Ok(Obtained::Not) => waiting.push(location),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(Handled::Several { stored, waiting }),
        }
    }

    /// Obtains the tokens of a location with those of its company, unless they are stored already.
    async fn obtain(
        &self,
        location: &LocationId,
        company: Option<&CompanyId>,
        installed_at: Option<SystemTime>,
    ) -> Result<Obtained> {
        let resource = Resource::Location(location.clone());
        let manager = self.manager(resource.clone());
        if let Some(company) = company {
            self.shared.set_company(location, company);
        }
        let stored = manager.read().await?;
        if let Some(stored) = &stored
            && is_current(&stored.tokens, installed_at)
        {
            if let Some(company) = company {
                manager.add_company(stored, company).await?;
            }
            return Ok(Obtained::Before);
        }
        // Before the look for tokens of the company: an exchange that ends in between finds the location waiting.
        self.wait_for_company(location, company);
        let obtained = match company {
            None => self.obtain_from_any_company(location).await?,
            Some(company) if !self.manager(Resource::Company(company.clone())).has_tokens().await? => false,
            Some(company) if stored.is_some() => {
                self.location_token(company.clone(), location.clone()).await?;
                true
            }
            Some(_) => {
                let bearer = manager.bearer(None, self.deadline().at()).await;
                bearer.map_err(|error| Error::no_token("location_token", ErrorSource::Shared(error)))?;
                true
            }
        };
        if !obtained {
            return Ok(Obtained::Not);
        }
        self.stop_waiting(&resource);
        Ok(Obtained::Now)
    }

    async fn uninstalled(&self, uninstall: &Uninstall) -> Result<Handled> {
        let removed_at = time(uninstall.timestamp.as_ref());
        let location = uninstall.location_id.clone().filter(|id| !id.as_str().is_empty());
        let company = uninstall.company_id.clone().filter(|id| !id.as_str().is_empty());
        let resource = match (location, company) {
            (Some(location), _) => Resource::Location(location),
            (None, Some(company)) => Resource::Company(company),
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
        let resources = resources.map_err(list_failed)?;
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

/// The result of obtaining the tokens of a location.
enum Obtained {
    /// They were stored before.
    Before,
    Now,
    /// There are no tokens of its company.
    Not,
}

/// Returns `true` if tokens are of this installation or a later one.
fn is_current(tokens: &TokenSet, installed_at: Option<SystemTime>) -> bool {
    installed_at.is_none_or(|at| tokens.installed_at >= at)
}

fn time(timestamp: Option<&Timestamp>) -> Option<SystemTime> {
    timestamp?.to_system_time()
}
