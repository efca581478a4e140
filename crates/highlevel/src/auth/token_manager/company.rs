//! Tokens of a location, obtained with the token of its company.

use std::sync::Arc;

use super::TokenManager;
use super::request::TokenRequestError;
use crate::auth::TokenSet;
use crate::auth::oauth::{self, Request, RequestFailure};
use crate::auth::shared::Shared;
use crate::auth::store::{Precondition, PutResult, Resource, StoredTokens};
use crate::auth::time::Deadline;
use crate::auth::token_error::TokenFailure;
use crate::token::RejectedToken;
use crate::token::is_same;
use crate::{CompanyId, Error, LocationId, Result};

/// The reason why a location got no token from its company.
pub(in crate::auth) enum CompanyTokenError {
    /// The company has no token.
    Company(Arc<Error>),
    Request(RequestFailure),
}

/// Requests tokens of a location. They prove that the app is installed there now.
pub(in crate::auth) async fn location_tokens(
    app: &Arc<Shared>,
    company: &CompanyId,
    location: &LocationId,
    deadline: &Deadline,
) -> Result<TokenSet, CompanyTokenError> {
    let manager = TokenManager::new(app, Resource::Company(company.clone()));
    let mut bearer = manager.bearer(None, deadline.at()).await.map_err(CompanyTokenError::Company)?;
    let mut is_replacement = false;
    loop {
        let request = Request::Location { company, location, bearer: &bearer, is_replacement };
        let requested_at = app.now();
        let failed = match app.request_tokens(&request, deadline, None).await {
            Ok(response) => {
                let resource = Resource::Location(location.clone());
                let mut tokens = response.into_tokens(&resource, None, requested_at, app.now());
                tokens.company_id.get_or_insert_with(|| company.clone());
                return Ok(tokens);
            }
            Err(TokenRequestError::Failed(failed)) => failed,
            Err(TokenRequestError::LeaseLost) => oauth::out_of_time(&request),
        };
        if failed.failure != TokenFailure::Unauthorized || is_replacement {
            return Err(CompanyTokenError::Request(failed));
        }
        let rejected = RejectedToken::new(&bearer, failed.error.body());
        let other =
            manager.bearer(Some(rejected), deadline.at()).await.map_err(CompanyTokenError::Company)?;
        if is_same(&other.token, &bearer.token) {
            return Err(CompanyTokenError::Request(failed));
        }
        (bearer, is_replacement) = (other, true);
    }
}

impl TokenManager {
    /// Returns the company that can issue tokens of this location, because there are tokens of it. The company that the
    /// caller named has priority over that of the tokens: the location may have moved.
    pub(super) async fn company(&self, tokens: Option<&TokenSet>) -> Result<Option<CompanyId>> {
        if let Resource::Company(_) = self.slot.key.resource {
            return Ok(None);
        }
        let named = self.state().tokens.company.clone();
        let of_tokens = tokens.and_then(|tokens| tokens.company_id.clone());
        for company in named.into_iter().chain(of_tokens) {
            if Self::new(&self.app, Resource::Company(company.clone())).has_tokens().await? {
                return Ok(Some(company));
            }
        }
        Ok(None)
    }

    /// Returns the company that the caller named for this location.
    pub(in crate::auth) fn named_company(&self) -> Option<CompanyId> {
        self.state().tokens.company.clone()
    }

    /// Stores the company that tokens belong to, if they name none, for a refresh after their refresh token has failed.
    pub(in crate::auth) async fn add_company(
        &self,
        stored: &StoredTokens,
        company: &CompanyId,
    ) -> Result<()> {
        if stored.tokens.company_id.is_some() {
            return Ok(());
        }
        let tokens = TokenSet { company_id: Some(company.clone()), ..stored.tokens.clone() };
        let put = self.app.store.put(&self.slot.key, &tokens, Precondition::Version(stored.version)).await;
        match put.map_err(|error| self.store_failed("save the company", error))? {
            PutResult::Stored(version) => drop(self.adopt(StoredTokens::new(tokens, version))),
            // Another process has refreshed or removed the tokens. A redelivery of the event finds the new ones.
            PutResult::Conflict(_) => {}
        }
        Ok(())
    }
}
