//! Removes the tokens of an app that was uninstalled.

use std::time::{Instant, SystemTime};

use super::TokenManager;
use crate::auth::TokenSet;
use crate::auth::state::Removals;
use crate::auth::store::{Precondition, StoredTokens};
use crate::error::ErrorSource;
use crate::{Error, ErrorKind, Result};

/// The result of removing tokens.
pub(in crate::auth) enum RemovalResult {
    Removed,
    /// There were no tokens.
    NotFound,
    /// They are of an installation after the removal of the app.
    Newer,
    /// Nothing shows which installation they are of.
    Unverified,
}

impl TokenManager {
    /// Removes tokens, unless they are of an installation after `removed_at`, the time at which the app was removed.
    pub(in crate::auth) async fn remove(
        &self,
        removed_at: Option<SystemTime>,
        deadline: Instant,
    ) -> Result<RemovalResult> {
        match removed_at {
            Some(removed_at) => self.remove_older(removed_at).await,
            None => self.remove_rejected(deadline).await,
        }
    }

    async fn remove_older(&self, removed_at: SystemTime) -> Result<RemovalResult> {
        let is_later = |tokens: &TokenSet| tokens.installed_at > removed_at;
        {
            let write = &mut self.state().write;
            write.pending.take_if(|pending| !is_later(&pending.tokens));
            // A write that is under way may end after this.
            write.removals = Removals { count: write.removals.count + 1, last: Some(removed_at) };
        }
        loop {
            let Some(stored) = self.read().await? else {
                self.state().drop_tokens();
                return Ok(RemovalResult::NotFound);
            };
            if is_later(&stored.tokens) {
                return Ok(RemovalResult::Newer);
            }
            if self.remove_version(&stored).await? {
                return Ok(RemovalResult::Removed);
            }
        }
    }

    /// Removes tokens if HighLevel rejects their refresh token. Without the time of the removal, only a refresh shows whether
    /// the app was reinstalled since.
    async fn remove_rejected(&self, deadline: Instant) -> Result<RemovalResult> {
        self.save_pending().await?;
        loop {
            let Some(stored) = self.read().await? else {
                self.state().drop_tokens();
                return Ok(RemovalResult::NotFound);
            };
            let outcome = self.verify(&stored.tokens.access_token, deadline).await;
            let (is_rejected, cools_down) = {
                let tokens = &self.state().tokens;
                let version = Some(stored.version);
                let cooldown = tokens.cooldown.as_ref();
                (
                    tokens.invalid_grant == version,
                    cooldown.is_some_and(|cooldown| cooldown.version == version),
                )
            };
            // A company, if there is one, was asked for tokens as well.
            let needs_owner = |error: &Error| error.kind() == ErrorKind::NeedsAuthorization;
            match outcome {
                Some(Ok(_)) => return Ok(RemovalResult::Newer),
                Some(Err(error)) if is_rejected && (cools_down || needs_owner(&error)) => {
                    if self.remove_version(&stored).await? {
                        return Ok(RemovalResult::Removed);
                    }
                }
                Some(Err(_)) if stored.tokens.refresh_token.is_none() => {
                    return Ok(RemovalResult::Unverified);
                }
                Some(Err(error)) => return Err(Error::no_token("refresh_token", ErrorSource::Shared(error))),
                None => {
                    let text = "the tokens were not verified, because the tokio runtime is not driven";
                    return Err(Error::token("refresh_token", text));
                }
            }
        }
    }

    /// Removes the tokens of one version. Returns `false` if other tokens are stored.
    async fn remove_version(&self, stored: &StoredTokens) -> Result<bool> {
        let precondition = Precondition::Version(stored.version);
        let removed = self.app.store.remove(&self.slot.key, precondition).await;
        let removed = removed.map_err(|error| self.store_failed("remove the tokens", error))?;
        if removed {
            self.state().drop_tokens();
        }
        Ok(removed)
    }
}
