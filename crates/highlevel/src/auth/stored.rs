//! What a keeper does with the store, and what it says when the store fails.

use super::TokenSet;
use super::keeper::{Keeper, Unsaved};
use super::oauth;
use super::store::{Expected, Put, Resource, StoreError, Stored};
use crate::call;
use crate::{CompanyId, Error, Result};

/// How often tokens are offered to a store that fails.
const OFFERS: u32 = 4;

impl Keeper {
    /// What is in the store.
    pub(super) async fn read(&self) -> Result<Option<Stored>> {
        let read = self.app.store.get(&self.slot.key).await;
        let stored = read.map_err(|error| self.store_failed("be read for", error))?;
        if stored.is_none() {
            self.slot.state().known = None;
        }
        Ok(stored)
    }

    /// Stores tokens: `None` if something else is there than what was expected. A store that fails is asked a few times;
    /// then the tokens are kept in memory until it works.
    pub(super) async fn save(&self, tokens: TokenSet, expected: Expected) -> Result<Option<Stored>> {
        for offer in 0.. {
            match self.app.store.put(&self.slot.key, &tokens, expected).await {
                Ok(Put::Stored(version)) => return Ok(Some(Stored::new(tokens, version))),
                Ok(Put::Conflict(there)) => {
                    tracing::debug!(removed = there.is_none(), "the tokens were changed meanwhile");
                    return Ok(None);
                }
                Err(_) if offer + 1 < OFFERS => {
                    tokio::time::sleep(crate::retry::pause(offer, call::random())).await;
                }
                Err(error) => {
                    self.slot.state().unsaved = Some(Unsaved { tokens, expected });
                    return Err(self.store_failed(
                        "take the new tokens, which are kept in memory until it does, of",
                        error,
                    ));
                }
            }
        }
        Ok(None)
    }

    /// Stores what the store did not take before.
    pub(super) async fn save_what_is_unsaved(&self) -> Result<()> {
        let unsaved = self.slot.state().unsaved.take();
        if let Some(Unsaved { tokens, expected }) = unsaved
            && let Some(stored) = self.save(tokens, expected).await?
        {
            self.adopt(stored, None);
        }
        Ok(())
    }

    /// The company whose token can give those of this location: one that has tokens itself. What the caller said of the
    /// location goes before what its tokens say: it may have moved.
    pub(super) async fn company(&self, tokens: Option<&TokenSet>) -> Result<Option<CompanyId>> {
        if let Resource::Company(_) = self.slot.key.resource {
            return Ok(None);
        }
        let said = self.slot.state().company.clone();
        let told = tokens.and_then(|tokens| tokens.company_id.clone());
        for company in said.into_iter().chain(told) {
            let keeper = self.app.keeper(Resource::Company(company.clone()));
            if keeper.read().await?.is_some() {
                return Ok(Some(company));
            }
        }
        Ok(None)
    }

    pub(super) fn store_failed(&self, what: &str, source: StoreError) -> Error {
        let text = format!(
            "the token store could not {what} the {}: see the source of this error",
            oauth::describe(&self.slot.key.resource)
        );
        Error::token("token", text).with_source(source)
    }
}
