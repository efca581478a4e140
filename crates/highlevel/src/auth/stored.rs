//! What a keeper does with the store, and what it says when the store fails.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::TokenSet;
use super::keeper::{Keeper, Unsaved};
use super::oauth;
use super::refresh::is_later;
use super::store::{Precondition, PutResult, Resource, StoreError, StoredTokens, Version};
use crate::call;
use crate::{CompanyId, Error, Result};

/// How often tokens are offered to a store that fails.
const OFFERS: u32 = 4;

impl Keeper {
    /// What is in the store.
    pub(super) async fn read(&self) -> Result<Option<StoredTokens>> {
        let read = self.app.store.get(&self.slot.key).await;
        let stored = read.map_err(|error| self.store_failed("be read for", error))?;
        if stored.is_none() {
            self.slot.state().known = None;
        }
        Ok(stored)
    }

    /// Stores tokens: `None` if something else is there than what they may replace. A store that fails is asked a few
    /// times; then the tokens are kept in memory, and offered to it again until it works.
    pub(super) async fn save(&self, new: Unsaved) -> Result<Option<StoredTokens>> {
        // First of all: this may be given up at any point, and nobody else has these tokens.
        let unsaved = self.keep(new);
        self.offer_a_few_times(&unsaved).await
    }

    /// Keeps tokens in memory, unless later ones are kept there. Gives those that are kept.
    fn keep(&self, new: Unsaved) -> Unsaved {
        let now = self.app.now();
        let mut state = self.slot.state();
        let later = state.unsaved.take().filter(|kept| is_later(&kept.tokens, &new.tokens, now));
        state.unsaved.insert(later.unwrap_or(new)).clone()
    }

    async fn offer_a_few_times(&self, unsaved: &Unsaved) -> Result<Option<StoredTokens>> {
        for offer in 0..OFFERS {
            match self.offer(unsaved).await {
                Ok(stored) => return Ok(stored),
                Err(_) if offer + 1 < OFFERS => pause(offer).await,
                Err(error) => {
                    self.keep_offering();
                    let what = "take the new tokens, which are kept in memory until it does, of";
                    return Err(self.store_failed(what, error));
                }
            }
        }
        Ok(None)
    }

    /// Stores what the store did not take before.
    pub(super) async fn save_what_is_unsaved(&self) -> Result<()> {
        let unsaved = self.slot.state().unsaved.clone();
        if let Some(unsaved) = unsaved
            && let Some(stored) = self.offer_a_few_times(&unsaved).await?
        {
            self.adopt(stored);
        }
        Ok(())
    }

    /// The version of the tokens that were renewed, if the store has not taken the new ones yet.
    pub(super) fn renewed(&self) -> Option<Version> {
        match self.slot.state().unsaved.as_ref()?.expected {
            Precondition::Version(version) => Some(version),
            _ => None,
        }
    }

    /// Offers tokens to the store once. When it has taken them, or will not, they are no longer kept here. Those that are no
    /// longer kept, because the app was removed meanwhile, are not offered.
    async fn offer(&self, unsaved: &Unsaved) -> Result<Option<StoredTokens>, StoreError> {
        let Unsaved { tokens, mut expected, is_installation } = unsaved.clone();
        let are_these = |kept: &Unsaved| are_the_same(&kept.tokens, &tokens);
        let stored = loop {
            if !self.slot.state().unsaved.as_ref().is_some_and(are_these) {
                break None;
            }
            match self.app.store.put(&self.slot.key, &tokens, expected).await? {
                PutResult::Stored(version) => break Some(StoredTokens::new(tokens.clone(), version)),
                // An offer that failed, or was given up, may have been taken.
                PutResult::Conflict(Some(there)) if are_the_same(&there.tokens, &tokens) => {
                    break Some(there);
                }
                PutResult::Conflict(Some(there))
                    if is_installation
                        && expected != Precondition::Version(there.version)
                        && !is_later(&there.tokens, &tokens, self.app.now()) =>
                {
                    expected = Precondition::Version(there.version);
                }
                // What was to be replaced is gone.
                PutResult::Conflict(None) if is_installation && expected != Precondition::Nothing => {
                    expected = Precondition::Nothing;
                }
                PutResult::Conflict(there) => {
                    tracing::debug!(removed = there.is_none(), "the tokens were changed meanwhile");
                    break None;
                }
            }
        };
        self.slot.state().unsaved.take_if(|kept| are_these(kept));
        Ok(stored)
    }

    /// Offers the tokens again until the store has taken them, or the app is no more.
    fn keep_offering(&self) {
        let mut state = self.slot.state();
        if state.offering.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (app, slot) = (Arc::downgrade(&self.app), Arc::clone(&self.slot));
        let task = self.app.background.spawn(async move {
            for offer in OFFERS.. {
                pause(offer).await;
                let Some(app) = app.upgrade() else { return };
                let keeper = Self { app, slot: Arc::clone(&slot) };
                let unsaved = {
                    let mut state = slot.state();
                    if state.unsaved.is_none() {
                        // Under the lock: who keeps tokens now starts another task.
                        state.offering = None;
                    }
                    state.unsaved.clone()
                };
                let Some(unsaved) = unsaved else { return };
                if let Ok(Some(stored)) = keeper.offer(&unsaved).await {
                    keeper.adopt(stored);
                }
            }
        });
        state.offering = Some(task.abort_handle());
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
            if keeper.has_tokens().await? {
                return Ok(Some(company));
            }
        }
        Ok(None)
    }

    /// Whether there are tokens, in the store or on their way to it.
    pub(super) async fn has_tokens(&self) -> Result<bool> {
        let is_unsaved = self.slot.state().unsaved.is_some();
        Ok(is_unsaved || self.read().await?.is_some())
    }

    pub(super) fn store_failed(&self, what: &str, source: StoreError) -> Error {
        let text = format!(
            "the token store could not {what} the {}: see the source of this error",
            oauth::describe(&self.slot.key.resource)
        );
        Error::token("token", text).with_source(source)
    }
}

async fn pause(offer: u32) {
    tokio::time::sleep(crate::retry::pause(offer, call::random())).await;
}

/// Whether they are of one answer of HighLevel, which may have been repeated.
fn are_the_same(one: &TokenSet, other: &TokenSet) -> bool {
    let refresh =
        |tokens: &TokenSet| tokens.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
    call::same(&one.access_token, &other.access_token) && refresh(one) == refresh(other)
}
