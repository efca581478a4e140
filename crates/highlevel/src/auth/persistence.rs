//! What a token manager does with the store, and the errors of it.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::TokenSet;
use super::oauth;
use super::refresh_policy::is_later;
use super::store::{Precondition, PutResult, Resource, StoreError, StoredTokens, Version};
use super::token_manager::{PendingWrite, TokenManager};
use crate::call;
use crate::{CompanyId, Error, Result};

/// How often tokens are offered to a store that fails, before the calls that wait get an error.
const OFFERS: u32 = 4;

impl TokenManager {
    /// Reads the store.
    pub(super) async fn read(&self) -> Result<Option<StoredTokens>> {
        let read = self.app.store.get(&self.slot.key).await;
        let stored = read.map_err(|error| self.store_failed("be read for", error))?;
        if stored.is_none() {
            self.slot.state().known = None;
        }
        Ok(stored)
    }

    /// Stores tokens: `None` if the store has other tokens than they may replace. A store that fails is asked a few times;
    /// then the tokens stay in memory, and are offered to it until it works.
    pub(super) async fn save(&self, new: PendingWrite) -> Result<Option<StoredTokens>> {
        // First of all: this may be given up at any point, and only this process has these tokens.
        let pending = self.retain(new);
        self.offer_a_few_times(&pending).await
    }

    /// Retains tokens in memory, unless later ones are there. Returns those that are retained.
    fn retain(&self, new: PendingWrite) -> PendingWrite {
        let now = self.app.now();
        let mut state = self.slot.state();
        state.in_flight = None;
        let later = state.pending.take().filter(|pending| is_later(&pending.tokens, &new.tokens, now));
        state.pending.insert(later.unwrap_or(new)).clone()
    }

    async fn offer_a_few_times(&self, pending: &PendingWrite) -> Result<Option<StoredTokens>> {
        for offer in 0..OFFERS {
            match self.offer(pending).await {
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

    /// Stores the tokens that the store did not take before.
    pub(super) async fn save_pending(&self) -> Result<()> {
        let pending = self.slot.state().pending.clone();
        if let Some(pending) = pending
            && let Some(stored) = self.offer_a_few_times(&pending).await?
        {
            self.adopt(stored);
        }
        Ok(())
    }

    /// Offers the pending tokens to the store once. Returns `true` if there are some afterwards.
    pub(super) async fn offer_pending(&self) -> bool {
        let pending = self.slot.state().pending.clone();
        if let Some(pending) = pending {
            match self.offer(&pending).await {
                Ok(Some(stored)) => drop(self.adopt(stored)),
                Ok(None) => {}
                Err(error) => tracing::debug!("the token store takes nothing yet: {error}"),
            }
        }
        self.slot.state().pending.is_some()
    }

    /// The version of the tokens that were refreshed, if the store has not taken the new ones yet.
    pub(super) fn refreshed(&self) -> Option<Version> {
        match self.slot.state().pending.as_ref()?.expected {
            Precondition::Version(version) => Some(version),
            _ => None,
        }
    }

    /// Offers tokens to the store once. When it has taken them, or will not, they are no longer pending. Those that are no
    /// longer pending, because the app was removed meanwhile, are not offered, and not left there either.
    async fn offer(&self, pending: &PendingWrite) -> Result<Option<StoredTokens>, StoreError> {
        let PendingWrite { tokens, mut expected, is_installation } = pending.clone();
        let are_these = |pending: &PendingWrite| are_the_same(&pending.tokens, &tokens);
        let before = self.slot.state().removal;
        let mut stored = loop {
            if !self.slot.state().pending.as_ref().is_some_and(are_these) {
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
        let removal = self.slot.state().removal;
        if let Some(StoredTokens { version, .. }) = stored
            && removal != before
            && removal.happened.is_none_or(|happened| tokens.installed_at <= happened)
        {
            // The removal found nothing, because these were on their way.
            self.app.store.remove(&self.slot.key, Precondition::Version(version)).await?;
            stored = None;
        }
        self.slot.state().pending.take_if(|pending| are_these(pending));
        Ok(stored)
    }

    /// Offers the tokens again until the store has taken them, or the app is no more.
    fn keep_offering(&self) {
        let mut state = self.slot.state();
        if state.offering.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (app, slot) = (Arc::downgrade(&self.app), Arc::clone(&self.slot));
        let task = tokio::spawn(async move {
            for offer in OFFERS.. {
                pause(offer).await;
                let Some(app) = app.upgrade() else { return };
                let manager = Self { app, slot: Arc::clone(&slot) };
                let pending = {
                    let mut state = slot.state();
                    if state.pending.is_none() {
                        // Under the lock: tokens that become pending now start another task.
                        state.offering = None;
                    }
                    state.pending.clone()
                };
                let Some(pending) = pending else { return };
                if let Ok(Some(stored)) = manager.offer(&pending).await {
                    manager.adopt(stored);
                }
            }
        });
        state.offering = Some(task.abort_handle());
    }

    /// The company whose token can give those of this location: one that has tokens itself. The company that the caller
    /// named goes before that of the tokens: the location may have moved.
    pub(super) async fn company(&self, tokens: Option<&TokenSet>) -> Result<Option<CompanyId>> {
        if let Resource::Company(_) = self.slot.key.resource {
            return Ok(None);
        }
        let named = self.slot.state().company.clone();
        let of_tokens = tokens.and_then(|tokens| tokens.company_id.clone());
        for company in named.into_iter().chain(of_tokens) {
            let manager = self.app.manager(Resource::Company(company.clone()));
            if manager.has_tokens().await? {
                return Ok(Some(company));
            }
        }
        Ok(None)
    }

    /// Returns `true` if there are tokens, in the store or on their way to it.
    pub(super) async fn has_tokens(&self) -> Result<bool> {
        let is_pending = self.slot.state().pending.is_some();
        Ok(is_pending || self.read().await?.is_some())
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

/// Returns `true` if they are of one response of HighLevel, which may have been repeated.
fn are_the_same(one: &TokenSet, other: &TokenSet) -> bool {
    let refresh =
        |tokens: &TokenSet| tokens.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
    call::same(&one.access_token, &other.access_token) && refresh(one) == refresh(other)
}
