//! An app, and the companies on which it is installed.

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::authorize::AuthorizeUrl;
use super::shared::Shared;
use super::store::Resource;
use super::token_manager::TokenManager;
use crate::token::Tokens;
use crate::{AppId, Client, CompanyId, LocationId};

/// An app of HighLevel's marketplace, with the tokens of all locations and companies on which it is installed.
///
/// Cheap to clone: clones share the connections, the limits, the store and the tokens in memory. Built by
/// [`App::builder`].
#[derive(Clone)]
pub struct App {
    pub(super) shared: Arc<Shared>,
}

impl App {
    /// Returns a client of a location. Cheap: it sends no request before its first call.
    ///
    /// The client obtains its tokens from the store and refreshes them. It has the limits of its location, and shares
    /// everything else with the app.
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        let location = location.into();
        let name = location.to_string();
        let manager = TokenManager::new(&self.shared, Resource::Location(location.clone()));
        Client::new(self.shared.connection.clone(), Tokens::Managed(Box::new(manager)), name, Some(location))
    }

    /// Returns a company (agency) on which the app is installed.
    pub fn company(&self, company: impl Into<CompanyId>) -> Company {
        Company { app: self.clone(), id: company.into() }
    }

    /// Starts building the URL at which an owner installs the app.
    pub fn authorize_url(&self) -> AuthorizeUrl {
        let app = &self.shared;
        AuthorizeUrl::new(app.connection.base_url.as_str(), &app.client_id, app.redirect_uri.as_deref())
    }

    /// Returns the id of the app, which identifies it in webhooks.
    pub fn app_id(&self) -> &AppId {
        &self.shared.app_id
    }

    /// Waits until all tokens are in the store, and no work is under way in the background.
    ///
    /// A refresh continues when its call has given up. A program that ends meanwhile, or is suspended as cloud functions are,
    /// loses the tokens that HighLevel has just issued, and with them the installation. Call this before the program ends.
    ///
    /// Work that was started on a runtime that has been shut down, or is not driven any more, is done on the runtime that
    /// calls this: tokens in memory are stored, and a refresh whose response was lost is repeated for the 30 seconds during
    /// which HighLevel repeats its response.
    ///
    /// Refreshes end half a minute after the call timeout at the latest. If the store fails, this waits until it has saved
    /// all tokens: add a [timeout](tokio::time::timeout) if that is too long. The app can be used meanwhile and afterwards.
    pub async fn flush(&self) {
        loop {
            let slots = self.shared.slots.unsettled(self.shared.moment());
            if slots.is_empty() && self.shared.jobs.are_done() {
                return;
            }
            let mut settling = JoinSet::new();
            for slot in slots {
                let manager = TokenManager { app: Arc::clone(&self.shared), slot };
                settling.spawn(async move { manager.settle().await });
            }
            while settling.join_next().await.is_some() {}
            self.shared.jobs.end().await;
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.shared.client_id)
            .field("base_url", &self.shared.connection.base_url)
            .finish_non_exhaustive()
    }
}

/// A company (agency) on which an app is installed. Returned by [`App::company`].
#[derive(Debug, Clone)]
pub struct Company {
    app: App,
    id: CompanyId,
}

impl Company {
    /// Returns a client with the token of the company itself, for [requests](Client::request) about the company. Messages and
    /// calls belong to locations.
    pub fn client(&self) -> Client {
        let manager = TokenManager::new(&self.app.shared, Resource::Company(self.id.clone()));
        Client::new(
            self.app.shared.connection.clone(),
            Tokens::Managed(Box::new(manager)),
            self.id.to_string(),
            None,
        )
    }

    /// Returns a client of a location of this company, as [`App::location`] does. If the location has no valid tokens, they
    /// are obtained with the token of the company, which needs the scope `oauth.write`.
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        let location = location.into();
        self.app.shared.set_company(&location, &self.id);
        self.app.location(location)
    }
}
