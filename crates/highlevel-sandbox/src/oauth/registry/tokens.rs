//! The codes and tokens of the registry.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::entries::REPEAT_WINDOW;
use super::installs::MAX_INSTALL_BYTES;
use super::{AccessToken, Code, IssuedTokens, RefreshToken, Registry, Row, Subject, UsedCredential};
use crate::oauth::credential_store;
use crate::oauth::resource::TokenResource;

impl Registry {
    pub(crate) fn put_code(&mut self, text: String, code: Code, now: DateTime<Utc>) {
        self.changed.insert(Row::Code(text.clone()));
        self.codes.insert(text, code);
        self.evict(now);
    }

    /// Applies the change of a token request.
    pub(crate) fn apply(&mut self, change: IssuedTokens, now: DateTime<Utc>) {
        match change.used {
            UsedCredential::None => {}
            UsedCredential::Code(text) => {
                self.codes.update(&text, |code| code.used = true);
                self.changed.insert(Row::Code(text));
            }
            UsedCredential::RefreshToken(text, used) => {
                self.repeats.push_back((used.at, text.clone()));
                self.refresh_tokens.update(&text, |token| token.used = Some(used));
                self.changed.insert(Row::RefreshToken(text));
            }
        }
        let (access, access_token) = change.access_token;
        self.changed.insert(Row::AccessToken(access.clone()));
        self.access_tokens.insert(access, access_token);
        if let Some((refresh, refresh_token)) = change.refresh_token {
            self.changed.insert(Row::RefreshToken(refresh.clone()));
            self.refresh_tokens.insert(refresh, refresh_token);
        }
        self.evict(now);
    }

    /// Drops responses that are no longer repeated, and evicts credentials above the limits.
    pub(super) fn evict(&mut self, now: DateTime<Utc>) {
        while self.repeats.front().is_some_and(|(at, _)| now - *at >= REPEAT_WINDOW)
            && let Some((_, text)) = self.repeats.pop_front()
        {
            self.refresh_tokens.update(&text, |token| {
                if let Some(used) = &mut token.used {
                    used.response = Value::Null;
                }
            });
        }
        self.changed.extend(self.codes.evict(now).into_iter().map(Row::Code));
        self.changed.extend(self.access_tokens.evict(now).into_iter().map(Row::AccessToken));
        self.changed.extend(self.refresh_tokens.evict(now).into_iter().map(Row::RefreshToken));
    }

    /// Revokes an access or refresh token. Returns `true` if the token exists.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let is_access = self.access_tokens.remove(token).is_some();
        if is_access {
            self.changed.insert(Row::AccessToken(token.to_owned()));
        }
        is_access || self.update_refresh_token(token, |refresh| refresh.revoked = true)
    }

    /// Revokes all tokens for a location or company. Returns the number of revoked tokens.
    pub(crate) fn revoke_all(&mut self, resource: &TokenResource) -> usize {
        self.revoke_where(|subject| subject.choice.resource == *resource)
    }

    pub(super) fn revoke_where(&mut self, matches: impl Fn(&Subject) -> bool) -> usize {
        let access = self.access_tokens.iter().filter(|(_, token)| matches(&token.subject));
        let access = access.map(|(text, _)| text.clone());
        let refresh = self.refresh_tokens.iter();
        let refresh = refresh.filter(|(_, token)| !token.revoked && matches(&token.subject));
        let matching: Vec<String> = access.chain(refresh.map(|(text, _)| text.clone())).collect();
        matching.into_iter().filter(|text| self.revoke(text)).count()
    }

    /// Expires the access tokens for a location or company. Returns the number of newly expired tokens.
    pub(crate) fn expire(&mut self, resource: &TokenResource, now: DateTime<Utc>) -> usize {
        let is_active =
            |token: &AccessToken| token.subject.choice.resource == *resource && token.expires_at > now;
        let active = self.access_tokens.iter().filter(|(_, token)| is_active(token));
        let active: Vec<String> = active.map(|(text, _)| text.clone()).collect();
        active.into_iter().filter(|text| self.expire_token(text, now)).count()
    }

    /// Expires an access or refresh token. Returns `true` if the token exists.
    pub(crate) fn expire_token(&mut self, token: &str, now: DateTime<Utc>) -> bool {
        if self.access_tokens.update(token, |access| access.expires_at = now).is_some() {
            self.changed.insert(Row::AccessToken(token.to_owned()));
            return true;
        }
        self.update_refresh_token(token, |refresh| refresh.expires_at = now)
    }

    fn update_refresh_token(&mut self, token: &str, change: impl FnOnce(&mut RefreshToken)) -> bool {
        let exists = self.refresh_tokens.update(token, change).is_some();
        if exists {
            self.changed.insert(Row::RefreshToken(token.to_owned()));
        }
        exists
    }

    pub(crate) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    pub(crate) fn access_token(&self, token: &str) -> Option<&AccessToken> {
        self.access_tokens.get(token)
    }

    pub(crate) fn refresh_token(&self, token: &str) -> Option<&RefreshToken> {
        self.refresh_tokens.get(token)
    }

    pub(crate) fn refresh_tokens(&self) -> impl Iterator<Item = &RefreshToken> {
        self.refresh_tokens.iter().map(|(_, token)| token)
    }

    /// Returns the number of installs, codes and tokens, and their current and maximum memory in bytes.
    pub(crate) fn retained(&self) -> (usize, usize, usize) {
        let count =
            self.installs.len() + self.codes.len() + self.access_tokens.len() + self.refresh_tokens.len();
        let bytes = self.install_bytes
            + self.codes.bytes()
            + self.access_tokens.bytes()
            + self.refresh_tokens.bytes();
        (count, bytes, MAX_INSTALL_BYTES + 3 * credential_store::MAX_BYTES)
    }
}
