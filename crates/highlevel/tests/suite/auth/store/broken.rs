//! A store that is broken in one way at a time. Without a defect, it is a store of its own, which shares nothing with
//! those of the crate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    Expected, Key, LONGEST_LEASE, Lease, Put, Resource, StoreFuture, Stored, TokenStore, Version,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    // what comes back
    LosesRefreshToken,
    LosesScopes,
    KeepsOldRefreshToken,
    TimesInSeconds,
    TimesRoundedUp,
    CutsTokens,
    ScopesJoinedBySpaces,
    // writing
    NoCompareAndSwap,
    OverwritesSomething,
    InsertsForVersion,
    ConflictWrites,
    ConflictHidesWhatIsThere,
    RemoveIgnoresExpected,
    RemoveAlwaysSaysYes,
    RemoveDoesNothing,
    // versions
    VersionsStartAgain,
    VersionStaysForSameTokens,
    VersionsByContent,
    // keys
    IgnoresCase,
    TrimsIds,
    CutsIds,
    IgnoresKind,
    IgnoresApp,
    FailsOnSlashes,
    ListsRemoved,
    ListsAllApps,
    ListsLeases,
    // leases
    LeasesNeverEnd,
    LeasesForEverybody,
    LeasesByOwnClock,
    LeasesNotAgain,
    LeasesKeepFirstEnd,
    LeasesEndLate,
    LeasesOutliveTheirClock,
    OneLeaseForAll,
    AnybodyReleases,
    ReleaseDoesNothing,
    LeaseChangesVersion,
    RemoveEndsLease,
    LeaseNeedsTokens,
    WritingNeedsLease,
    // several callers
    HandlesApart,
    RacyWriting,
    RacyLeases,
}

#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) defect: Defect,
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    entries: HashMap<Key, (TokenSet, u64)>,
    removed: Vec<Key>,
    leases: HashMap<Key, (String, SystemTime)>,
    writings: u64,
}

impl Broken {
    pub(super) fn new(defect: Defect) -> Self {
        Self { defect, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn key(&self, key: &Key) -> Key {
        let id = key.resource.id();
        let id = match self.defect {
            Defect::IgnoresCase => id.to_lowercase(),
            Defect::TrimsIds => id.trim_end().to_owned(),
            Defect::CutsIds => id.chars().take(255).collect(),
            _ => id.to_owned(),
        };
        let kind = if self.is(Defect::IgnoresKind) { "location" } else { key.resource.kind() };
        let ignored = if self.is(Defect::IgnoresApp) { "2" } else { "" };
        let client_id = key.client_id.strip_suffix(ignored).unwrap_or(&key.client_id);
        Key::new(client_id, Resource::from_kind_and_id(kind, id).expect("a kind"))
    }

    fn lease_key(&self, key: &Key) -> Key {
        if self.is(Defect::OneLeaseForAll) {
            return Key::new("", Resource::Location(String::new().into()));
        }
        self.key(key)
    }

    fn kept(&self, tokens: &TokenSet, before: Option<&TokenSet>) -> TokenSet {
        let mut tokens = tokens.clone();
        let in_seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
        };
        match self.defect {
            Defect::LosesRefreshToken => tokens.refresh_token = None,
            Defect::LosesScopes => tokens.scopes.clear(),
            Defect::KeepsOldRefreshToken => {
                let old = before.and_then(|before| before.refresh_token.clone());
                tokens.refresh_token = tokens.refresh_token.or(old);
            }
            Defect::TimesInSeconds => tokens.expires_at = in_seconds(tokens.expires_at),
            Defect::TimesRoundedUp => tokens.expires_at += Duration::from_micros(500),
            Defect::CutsTokens => {
                let access = secrecy::ExposeSecret::expose_secret(&tokens.access_token);
                tokens.access_token = access.chars().take(4_096).collect::<String>().into();
            }
            Defect::ScopesJoinedBySpaces => {
                tokens.scopes = tokens.scopes.join(" ").split_whitespace().map(str::to_owned).collect();
            }
            _ => {}
        }
        tokens
    }

    fn allows(&self, state: &State, key: &Key, expected: Expected) -> bool {
        let found = state.entries.get(key).map(|(_, version)| *version);
        match expected {
            Expected::Anything => true,
            Expected::Nothing => found.is_none() || self.is(Defect::OverwritesSomething),
            Expected::Version(_) if self.is(Defect::NoCompareAndSwap) => true,
            Expected::Version(_) if found.is_none() && self.is(Defect::InsertsForVersion) => true,
            Expected::Version(Version(version)) => found == Some(version),
        }
    }

    fn write(&self, state: &mut State, key: &Key, tokens: &TokenSet) -> Version {
        let before = state.entries.get(key);
        let text = |tokens: &TokenSet| {
            secrecy::ExposeSecret::expose_secret(&tokens.access_token).bytes().map(u64::from).sum::<u64>()
        };
        let same = before.filter(|(before, _)| text(before) == text(tokens)).map(|(_, version)| *version);
        state.writings += 1;
        let version = match self.defect {
            Defect::VersionsStartAgain => before.map_or(1, |(_, version)| version + 1),
            Defect::VersionStaysForSameTokens => same.unwrap_or(state.writings),
            Defect::VersionsByContent => text(tokens),
            _ => state.writings,
        };
        let kept = self.kept(tokens, before.map(|(tokens, _)| tokens));
        state.entries.insert(key.clone(), (kept, version));
        Version(version)
    }

    fn held(&self, state: &State, key: &Key, holder: &str, now: SystemTime) -> Option<SystemTime> {
        let now = match self.defect {
            Defect::LeasesByOwnClock => SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            Defect::LeasesNeverEnd => SystemTime::UNIX_EPOCH,
            Defect::LeasesEndLate => now - Duration::from_millis(1),
            _ => now,
        };
        let (has, until) = state.leases.get(key)?;
        let is_other = has != holder || self.is(Defect::LeasesNotAgain);
        let can_be = *until <= now + LONGEST_LEASE
            || self.is(Defect::LeasesOutliveTheirClock)
            || self.is(Defect::LeasesNeverEnd);
        (is_other && can_be && *until > now && !self.is(Defect::LeasesForEverybody)).then_some(*until)
    }
}

fn stored(state: &State, key: &Key) -> Option<Stored> {
    state.entries.get(key).map(|(tokens, version)| Stored::new(tokens.clone(), Version(*version)))
}

impl TokenStore for Broken {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<Stored>> {
        Box::pin(async move { Ok(stored(&self.state(), &self.key(key))) })
    }

    fn put<'a>(&'a self, key: &'a Key, tokens: &'a TokenSet, expected: Expected) -> StoreFuture<'a, Put> {
        Box::pin(async move {
            if self.is(Defect::FailsOnSlashes) && key.resource.id().contains('/') {
                return Err("no such file or directory".into());
            }
            let key = self.key(key);
            let allowed = self.allows(&self.state(), &key, expected);
            if self.is(Defect::RacyWriting) {
                tokio::task::yield_now().await;
            }
            let mut state = self.state();
            let allowed =
                if self.is(Defect::RacyWriting) { allowed } else { self.allows(&state, &key, expected) };
            let needs_lease = self.is(Defect::WritingNeedsLease) && state.leases.contains_key(&key);
            if allowed && !needs_lease {
                return Ok(Put::Stored(self.write(&mut state, &key, tokens)));
            }
            let found = stored(&state, &key);
            if self.is(Defect::ConflictWrites) {
                self.write(&mut state, &key, tokens);
            }
            Ok(Put::Conflict(found.filter(|_| !self.is(Defect::ConflictHidesWhatIsThere))))
        })
    }

    fn remove<'a>(&'a self, key: &'a Key, expected: Expected) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let (key, mut state) = (self.key(key), self.state());
            let allowed = self.allows(&state, &key, expected) || self.is(Defect::RemoveIgnoresExpected);
            if !allowed || self.is(Defect::RemoveDoesNothing) {
                return Ok(
                    self.is(Defect::RemoveAlwaysSaysYes) || allowed && state.entries.contains_key(&key)
                );
            }
            if self.is(Defect::RemoveEndsLease) {
                state.leases.remove(&key);
            }
            state.removed.push(key.clone());
            Ok(state.entries.remove(&key).is_some() || self.is(Defect::RemoveAlwaysSaysYes))
        })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            let state = self.state();
            let mut keys: Vec<_> = state.entries.keys().collect();
            if self.is(Defect::ListsRemoved) {
                keys.extend(&state.removed);
            }
            if self.is(Defect::ListsLeases) {
                keys.extend(state.leases.keys());
            }
            keys.retain(|key| key.client_id == client_id || self.is(Defect::ListsAllApps));
            Ok(keys.into_iter().map(|key| key.resource.clone()).collect())
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        holder: &'a str,
        now: SystemTime,
        until: SystemTime,
    ) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            let entry = self.key(key);
            let key = self.lease_key(key);
            let held = self.held(&self.state(), &key, holder, now);
            if self.is(Defect::RacyLeases) {
                tokio::task::yield_now().await;
            }
            let mut state = self.state();
            let held = if self.is(Defect::RacyLeases) { held } else { self.held(&state, &key, holder, now) };
            if let Some(until) = held {
                return Ok(Lease::HeldUntil(until));
            }
            if self.is(Defect::LeaseNeedsTokens) && !state.entries.contains_key(&key) {
                return Ok(Lease::Granted);
            }
            if self.is(Defect::LeaseChangesVersion)
                && let Some((_, version)) = state.entries.get_mut(&entry)
            {
                *version += 1;
                state.writings += 1;
            }
            let first =
                state.leases.get(&key).filter(|(has, end)| has == holder && *end > now).map(|(_, end)| *end);
            let until = first.filter(|_| self.is(Defect::LeasesKeepFirstEnd)).unwrap_or(until);
            state.leases.insert(key, (holder.to_owned(), until));
            Ok(Lease::Granted)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let (key, mut state) = (self.lease_key(key), self.state());
            let is_holder = state.leases.get(&key).is_some_and(|(has, _)| has == holder);
            if (is_holder || self.is(Defect::AnybodyReleases)) && !self.is(Defect::ReleaseDoesNothing) {
                state.leases.remove(&key);
            }
            Ok(())
        })
    }
}
