//! Reads tokens from the store and saves them to it.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::TokenManager;
use crate::auth::TokenSet;
use crate::auth::refresh_policy::is_later;
use crate::auth::state::PendingWrite;
use crate::auth::store::{Precondition, PutResult, StoreError, StoredTokens, Version};
use crate::retry::random;
use crate::token::is_same;
use crate::{Error, Result, retry};

/// The number of times that tokens are offered to a store that fails, before the calls that wait get an error.
const OFFERS: u32 = 4;

impl TokenManager {
    /// Reads the store.
    pub(in crate::auth) async fn read(&self) -> Result<Option<StoredTokens>> {
        let read = self.app.store.get(&self.slot.key).await;
        let stored = read.map_err(|error| self.store_failed("read the tokens", error))?;
        if stored.is_none() {
            self.state().tokens.known = None;
        }
        Ok(stored)
    }

    /// Returns `true` if there are tokens, in the store or on their way to it.
    pub(in crate::auth) async fn has_tokens(&self) -> Result<bool> {
        let is_pending = self.state().write.pending.is_some();
        Ok(is_pending || self.read().await?.is_some())
    }

    /// Stores tokens that were just issued, unless those of a later installation are there. Returns the stored ones.
    pub(in crate::auth) async fn install(&self, tokens: TokenSet) -> Result<TokenSet> {
        let expected = Precondition::Nothing;
        if let Some(stored) = self.save(PendingWrite { tokens, expected, is_installation: true }).await? {
            let tokens = stored.tokens.clone();
            self.adopt(stored);
            return Ok(tokens);
        }
        if let Some(stored) = self.read().await? {
            return Ok(stored.tokens);
        }
        let text = format!(
            "the new tokens of the {} were not stored, because the app was removed or reinstalled meanwhile",
            self.name()
        );
        Err(Error::token("token", text))
    }

    /// Stores tokens. Returns `None` if the store has other tokens than those that they may replace. A store that fails is
    /// retried a few times; after that the tokens stay in memory, and are offered to it until it saves them.
    pub(super) async fn save(&self, new: PendingWrite) -> Result<Option<StoredTokens>> {
        // Before the first await: this future may be dropped, and only this process has the tokens.
        let pending = self.retain(new);
        self.offer_repeatedly(&pending).await
    }

    /// Retains tokens in memory, unless later ones are there. Returns those that are retained.
    fn retain(&self, new: PendingWrite) -> PendingWrite {
        let now = self.app.now();
        let mut state = self.state();
        state.tokens.in_flight = None;
        let pending = &mut state.write.pending;
        let later = pending.take().filter(|pending| is_later(&pending.tokens, &new.tokens, now));
        pending.insert(later.unwrap_or(new)).clone()
    }

    async fn offer_repeatedly(&self, pending: &PendingWrite) -> Result<Option<StoredTokens>> {
        for offer in 0..OFFERS {
            match self.offer(pending).await {
                Ok(stored) => return Ok(stored),
                Err(_) if offer + 1 < OFFERS => pause(offer).await,
                Err(error) => {
                    self.keep_offering();
                    let action = "save the new tokens, which are retained in memory until it does,";
                    return Err(self.store_failed(action, error));
                }
            }
        }
        Ok(None)
    }

    /// Stores the tokens that the store did not save before.
    pub(super) async fn save_pending(&self) -> Result<()> {
        let pending = self.state().write.pending.clone();
        if let Some(pending) = pending
            && let Some(stored) = self.offer_repeatedly(&pending).await?
        {
            self.adopt(stored);
        }
        Ok(())
    }

    /// Offers the pending tokens to the store once. Returns `true` if there are some afterwards.
    pub(super) async fn offer_pending(&self) -> bool {
        let pending = self.state().write.pending.clone();
        if let Some(pending) = pending {
            match self.offer(&pending).await {
                Ok(Some(stored)) => drop(self.adopt(stored)),
                Ok(None) => {}
                Err(error) => tracing::debug!("the token store does not save the tokens yet: {error}"),
            }
        }
        self.state().write.pending.is_some()
    }

    /// Returns the version of the tokens that were refreshed, if the store has not saved the new ones yet.
    pub(super) fn version_before_pending(&self) -> Option<Version> {
        match self.state().write.pending.as_ref()?.expected {
            Precondition::Version(version) => Some(version),
            _ => None,
        }
    }

    /// Offers tokens to the store once. When it has saved or rejected them, they are no longer pending. Tokens that are no
    /// longer pending because the app was removed meanwhile are not offered, and not left in the store either.
    async fn offer(&self, pending: &PendingWrite) -> Result<Option<StoredTokens>, StoreError> {
        let removals = self.state().write.removals;
        let mut stored = self.put(pending).await?;
        let removals_now = self.state().write.removals;
        if let Some(StoredTokens { version, .. }) = stored
            && removals_now != removals
            && removals_now.last.is_none_or(|removed| pending.tokens.installed_at <= removed)
        {
            // The removal found nothing, because these were being written.
            self.app.store.remove(&self.slot.key, Precondition::Version(version)).await?;
            stored = None;
        }
        self.state().write.pending.take_if(|current| are_the_same(&current.tokens, &pending.tokens));
        Ok(stored)
    }

    /// Puts pending tokens into the store. Those of an installation replace the stored ones, unless those are later.
    async fn put(&self, pending: &PendingWrite) -> Result<Option<StoredTokens>, StoreError> {
        let PendingWrite { tokens, mut expected, is_installation } = pending.clone();
        loop {
            let is_these = |pending: &PendingWrite| are_the_same(&pending.tokens, &tokens);
            if !self.state().write.pending.as_ref().is_some_and(is_these) {
                return Ok(None);
            }
            match self.app.store.put(&self.slot.key, &tokens, expected).await? {
                PutResult::Stored(version) => return Ok(Some(StoredTokens::new(tokens, version))),
                // An offer that failed or was dropped may have been saved.
                PutResult::Conflict(Some(found)) if are_the_same(&found.tokens, &tokens) => {
                    return Ok(Some(found));
                }
                PutResult::Conflict(Some(found))
                    if is_installation
                        && expected != Precondition::Version(found.version)
                        && !is_later(&found.tokens, &tokens, self.app.now()) =>
                {
                    expected = Precondition::Version(found.version);
                }
                // The tokens that were to be replaced have been removed.
                PutResult::Conflict(None) if is_installation && expected != Precondition::Nothing => {
                    expected = Precondition::Nothing;
                }
                PutResult::Conflict(found) => {
                    tracing::debug!(removed = found.is_none(), "the tokens were changed meanwhile");
                    return Ok(None);
                }
            }
        }
    }

    /// Offers the pending tokens in the background until the store has saved them, or the app is dropped.
    fn keep_offering(&self) {
        let mut state = self.state();
        if state.write.offering.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (app, slot) = (Arc::downgrade(&self.app), Arc::clone(&self.slot));
        let task = tokio::spawn(async move {
            for offer in OFFERS.. {
                pause(offer).await;
                let Some(app) = app.upgrade() else { return };
                let manager = Self { app, slot: Arc::clone(&slot) };
                let pending = {
                    let write = &mut slot.state().write;
                    if write.pending.is_none() {
                        // Under the lock: tokens that become pending now start another task.
                        write.offering = None;
                    }
                    write.pending.clone()
                };
                let Some(pending) = pending else { return };
                if let Ok(Some(stored)) = manager.offer(&pending).await {
                    manager.adopt(stored);
                }
            }
        });
        state.write.offering = Some(task.abort_handle());
    }

    /// Returns the error of a store that could not do something for this resource.
    pub(super) fn store_failed(&self, action: &str, source: StoreError) -> Error {
        let text = format!(
            "the token store failed to {action} of the {}; see the source of this error",
            self.name()
        );
        Error::token("token", text).with_source(source)
    }
}

async fn pause(offer: u32) {
    tokio::time::sleep(retry::pause(offer, random())).await;
}

/// Returns `true` if both are of one response of HighLevel, which may have been repeated.
fn are_the_same(one: &TokenSet, other: &TokenSet) -> bool {
    let refresh_token =
        |tokens: &TokenSet| tokens.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
    is_same(&one.access_token, &other.access_token) && refresh_token(one) == refresh_token(other)
}
