//! Obtains tokens for an app: with an authorization code, from a company, or from another program.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use secrecy::SecretString;
use tokio::sync::oneshot;

use super::TokenSet;
use super::app::App;
use super::messages::describe;
use super::oauth::{Request, RequestFailure};
use super::store::{Resource, StoreError};
use super::time::Deadline;
use super::token_error::TokenFailure;
use super::token_manager::{CompanyTokenError, TokenManager, TokenRequestError, location_tokens};
use crate::error::ErrorSource;
use crate::token::authorization;
use crate::{CompanyId, Delivery, Error, ErrorKind, LocationId, Result};

impl App {
    /// Exchanges the authorization code of a redirect for tokens, and stores them.
    ///
    /// The exchange continues if the future is dropped, for example because the browser hangs up: the code works once.
    ///
    /// # Errors
    ///
    /// Returns [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) if HighLevel does not accept the code, and
    /// [`Token`](crate::ErrorKind::Token) if the store fails. In that case the tokens stay in memory, and are offered to the
    /// store until it saves them.
    pub async fn exchange(&self, code: impl Into<SecretString>) -> Result<TokenSet> {
        let (app, code) = (self.clone(), code.into());
        self.spawn(async move { app.exchange_now(&code).await }).await
    }

    /// Obtains the tokens of a location with the token of its company, and stores them.
    ///
    /// Clients from [`Company::location`](super::Company::location) do this when necessary. For a location whose clients come
    /// from [`App::location`], call this once.
    ///
    /// # Errors
    ///
    /// Returns [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) if there are no tokens of the company, and the
    /// error of HighLevel if it rejects the request.
    pub async fn location_token(
        &self,
        company: impl Into<CompanyId>,
        location: impl Into<LocationId>,
    ) -> Result<TokenSet> {
        let (app, company, location) = (self.clone(), company.into(), location.into());
        self.spawn(async move { app.location_token_now(&company, &location).await }).await
    }

    /// Stores tokens that another program has obtained, such as another SDK. Returns the tokens that are stored afterwards.
    ///
    /// They count as an installation at their [`installed_at`](TokenSet::installed_at). They do not replace tokens of a later
    /// installation, nor tokens that were refreshed since. A program can therefore import the same tokens at each start, if
    /// they have the time of their expiry ([`TokenSet::with_expiry`]). The other program must not use the refresh token any
    /// more: it works once.
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
    /// Returns [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the tokens name another location or company than the
    /// resource, or the access token contains characters that no token has. Returns [`Token`](crate::ErrorKind::Token) if the
    /// store fails; the tokens then stay in memory, and are offered to the store until it saves them.
    pub async fn import(&self, resource: Resource, tokens: TokenSet) -> Result<TokenSet> {
        let tokens = imported(&resource, tokens)?;
        let manager = TokenManager::new(&self.shared, resource);
        self.spawn(async move { manager.install(tokens).await }).await
    }

    /// Runs work on a separate task, which continues when the caller is dropped.
    async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.shared.jobs.spawn(async move {
            // If the caller has given up, the result is in the store.
            let _result = sender.send(work.await);
        });
        let lost = |error| Error::token("token", "the tokio runtime was shut down").with_source(error);
        receiver.await.unwrap_or_else(|error| Err(lost(error)))
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.shared.default_deadline())
    }

    async fn exchange_now(&self, code: &SecretString) -> Result<TokenSet> {
        let requested_at = self.shared.now();
        let request = Request::Code(code);
        let response = match self.shared.request_tokens(&request, &self.deadline(), None).await {
            Ok(response) => response,
            Err(TokenRequestError::Failed(failed)) => return Err(failed.error),
            Err(TokenRequestError::LeaseLost) => {
                return Err(Error::token(request.name(), "there was no time to send the request"));
            }
        };
        let Some(resource) = response.resource() else {
            let text = "HighLevel's response names neither the location nor the company of the tokens";
            return Err(
                Error::no_response(request.name(), Delivery::Accepted, ErrorKind::Receipt).with_text(text)
            );
        };
        let approved = response.approved_locations.clone();
        let mut tokens = response.into_tokens(&resource, None, requested_at, self.shared.now());
        let manager = TokenManager::new(&self.shared, resource.clone());
        if tokens.company_id.is_none() {
            // The event of the installation may have named it.
            tokens.company_id = manager.named_company();
        }
        let installed = manager.install(tokens).await;
        // Also if the store has failed: the tokens are retained, and no other response names the approved locations.
        self.obtain_waiting(&resource, approved);
        installed
    }

    /// Obtains the tokens of the locations that waited for those of their company, in the background.
    fn obtain_waiting(&self, resource: &Resource, approved: Vec<LocationId>) {
        let mut locations = self.stop_waiting(resource);
        let Resource::Company(company) = resource else { return };
        locations.extend(approved);
        for location in &locations {
            self.shared.set_company(location, company);
        }
        let waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of_unknown_companies = waiting.of_unknown_companies.clone();
        drop(waiting);
        if !locations.is_empty() || !of_unknown_companies.is_empty() {
            self.shared.jobs.spawn(self.clone().obtain_each(
                locations,
                of_unknown_companies,
                company.clone(),
            ));
        }
    }

    /// Obtains the tokens of locations, one after the other. If that fails for a location, its first call retries it.
    /// Locations of unknown companies may belong to this one.
    async fn obtain_each(
        self,
        locations: BTreeSet<LocationId>,
        of_unknown_companies: BTreeSet<LocationId>,
        company: CompanyId,
    ) {
        for location in locations {
            let manager = TokenManager::new(&self.shared, Resource::Location(location));
            if let Err(error) = manager.bearer(None, self.deadline().at()).await {
                tracing::warn!(location = manager.slot.key.resource.id(), "no tokens yet: {error}");
            }
        }
        for location in of_unknown_companies {
            match self.obtain_from(&company, &location).await {
                Ok(true) => drop(self.stop_waiting(&Resource::Location(location))),
                Ok(false) => {}
                Err(error) => tracing::warn!(location = location.as_str(), "no tokens yet: {error}"),
            }
        }
    }

    /// Obtains the tokens of a location whose company is not known. Returns `false` if no company that has tokens can issue
    /// them.
    pub(super) async fn obtain_from_any_company(&self, location: &LocationId) -> Result<bool> {
        let resources = self.shared.store.resources(&self.shared.client_id).await;
        let resources = resources.map_err(list_failed)?;
        let mut failure = None;
        for resource in resources {
            let Resource::Company(company) = resource else { continue };
            match self.obtain_from(&company, location).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    /// Obtains the tokens of a location that may belong to a company, with the token of the company. Returns `false` if it
    /// belongs to another one, or if the company has no valid token.
    async fn obtain_from(&self, company: &CompanyId, location: &LocationId) -> Result<bool> {
        match location_tokens(&self.shared, company, location, &self.deadline()).await {
            Ok(tokens) => {
                self.shared.set_company(location, company);
                TokenManager::new(&self.shared, Resource::Location(location.clone())).install(tokens).await?;
                Ok(true)
            }
            Err(CompanyTokenError::Company(error)) if error.kind() == ErrorKind::NeedsAuthorization => {
                Ok(false)
            }
            Err(CompanyTokenError::Company(error)) => {
                Err(Error::no_token("location_token", ErrorSource::Shared(error)))
            }
            Err(CompanyTokenError::Request(RequestFailure {
                failure: TokenFailure::OtherCompany, ..
            })) => Ok(false),
            Err(CompanyTokenError::Request(failed)) => Err(failed.error),
        }
    }

    async fn location_token_now(&self, company: &CompanyId, location: &LocationId) -> Result<TokenSet> {
        let tokens = match location_tokens(&self.shared, company, location, &self.deadline()).await {
            Ok(tokens) => tokens,
            Err(CompanyTokenError::Company(error)) => {
                return Err(Error::no_token("location_token", ErrorSource::Shared(error)));
            }
            Err(CompanyTokenError::Request(failed)) => return Err(failed.error),
        };
        TokenManager::new(&self.shared, Resource::Location(location.clone())).install(tokens).await
    }

    /// Notes that a location waits for the tokens of its company, which may be unknown.
    pub(super) fn wait_for_company(&self, location: &LocationId, company: Option<&CompanyId>) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let locations = match company {
            Some(company) => waiting.by_company.entry(company.clone()).or_default(),
            None => &mut waiting.of_unknown_companies,
        };
        locations.insert(location.clone());
    }

    /// Notes that a location no longer waits, or that no location of a company does. Returns the locations of the company.
    pub(super) fn stop_waiting(&self, resource: &Resource) -> BTreeSet<LocationId> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match resource {
            Resource::Company(company) => waiting.by_company.remove(company).unwrap_or_default(),
            Resource::Location(location) => {
                waiting.of_unknown_companies.remove(location);
                waiting.by_company.retain(|_, locations| {
                    locations.remove(location);
                    !locations.is_empty()
                });
                BTreeSet::new()
            }
        }
    }
}

/// Returns the error of a store that could not list its resources.
pub(super) fn list_failed(error: StoreError) -> Error {
    Error::token("token", "the token store failed to list its resources; see the source of this error")
        .with_source(error)
}

/// Validates tokens of another program, and sets the id of their resource.
fn imported(resource: &Resource, tokens: TokenSet) -> Result<TokenSet> {
    let invalid = |text: String| Err(Error::invalid("import", text));
    if let Err(text) = authorization(&tokens.access_token) {
        return invalid(text.to_owned());
    }
    let of_another = |named: Resource| {
        invalid(format!(
            "the tokens are of the {}, not of the {}; import them for the {} that they name",
            describe(&named),
            describe(resource),
            named.kind()
        ))
    };
    match resource {
        Resource::Location(location) => match &tokens.location_id {
            Some(named) if named != location => of_another(Resource::Location(named.clone())),
            _ => Ok(TokenSet { location_id: Some(location.clone()), ..tokens }),
        },
        Resource::Company(company) => match (&tokens.location_id, &tokens.company_id) {
            (Some(named), _) => of_another(Resource::Location(named.clone())),
            (None, Some(named)) if named != company => of_another(Resource::Company(named.clone())),
            _ => Ok(TokenSet { company_id: Some(company.clone()), ..tokens }),
        },
    }
}
