//! A store with one defect at a time. Without a defect, it is a third implementation, which shares no code with those of
//! the crate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    Key, LeaseResult, MAX_LEASE, Precondition, PutResult, Resource, StoreFuture, StoredTokens, TokenStore,
    Version,
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    // round trips
    LosesRefreshToken,
    LosesScopes,
    LosesUnknownFields,
    KeepsOldRefreshToken,
    KeepsOldUnknownFields,
    TimesInSeconds,
    TimesRoundedUp,
    CutsTokens,
    ScopesJoinedBySpaces,
    // writes
    NoCompareAndSwap,
    OverwritesSomething,
    InsertsForVersion,
    ConflictWrites,
    ConflictHidesEntry,
    RemoveIgnoresPrecondition,
    RemoveAlwaysReturnsTrue,
    RemoveDoesNothing,
    // versions
    VersionsRestart,
    VersionKeptForSameTokens,
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
    LeasesNeverHeld,
    LeasesOfFixedLength,
    LeasesOfAnyLength,
    LongLeasesFail,
    LeasesIgnoreClock,
    LeasesNotExtended,
    LeasesRefusedToHolder,
    LeasesEndEarly,
    LeasesEndLate,
    LeasesSurviveClockPutBack,
    LeasesTakenByRefused,
    OneLeaseForAllKeys,
    RemainingIsLength,
    RemainingIsZero,
    AnyoneReleases,
    ReleaseDoesNothing,
    LeaseChangesVersion,
    RemoveEndsLease,
    PutEndsLease,
    LeaseNeedsTokens,
    PutNeedsLease,
    // concurrency
    SeparateHandles,
    RacyPut,
    RacyRemove,
    RacyLease,
    LocksUntilCompleted,
}

#[derive(Clone)]
pub(super) struct Broken {
    defect: Defect,
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    calls: Arc<tokio::sync::Semaphore>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, (TokenSet, u64)>,
    removed: Vec<Key>,
    leases: HashMap<Key, Lease>,
    writes: u64,
}

struct Lease {
    holder: String,
    until: SystemTime,
    length: Duration,
}

impl Broken {
    pub(super) fn new(defect: Defect, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let calls = Arc::new(tokio::sync::Semaphore::new(1));
        Self { defect, state: Arc::default(), clock: Arc::new(clock), calls }
    }

    /// Waits while a call is in progress. With the defect, a call that was dropped remains in progress.
    async fn begin(&self) {
        if self.is(Defect::LocksUntilCompleted) {
            self.calls.acquire().await.expect("an open semaphore").forget();
            tokio::task::yield_now().await;
            self.calls.add_permits(1);
        }
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
        if self.is(Defect::OneLeaseForAllKeys) {
            return Key::new("", Resource::Location(String::new().into()));
        }
        self.key(key)
    }

    fn persisted(&self, tokens: &TokenSet, before: Option<&TokenSet>) -> TokenSet {
        let mut tokens = tokens.clone();
        let in_seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
        };
        match self.defect {
            Defect::LosesRefreshToken => tokens.refresh_token = None,
            Defect::LosesScopes => tokens.scopes.clear(),
            Defect::LosesUnknownFields => tokens = with_unknown_field(&tokens, None),
            Defect::KeepsOldUnknownFields => {
                let field = before.and_then(unknown_field);
                tokens = with_unknown_field(&tokens, unknown_field(&tokens).or(field));
            }
            Defect::KeepsOldRefreshToken => {
                let old = before.and_then(|before| before.refresh_token.clone());
                tokens.refresh_token = tokens.refresh_token.or(old);
            }
            Defect::TimesInSeconds => tokens.expires_at = in_seconds(tokens.expires_at),
            Defect::TimesRoundedUp => tokens.expires_at += Duration::from_micros(500),
            Defect::CutsTokens => {
                let access = tokens.access_token.expose_secret();
                tokens.access_token = access.chars().take(4_096).collect::<String>().into();
            }
            Defect::ScopesJoinedBySpaces => {
                tokens.scopes = tokens.scopes.join(" ").split_whitespace().map(str::to_owned).collect();
            }
            _ => {}
        }
        tokens
    }

    fn allows(&self, state: &State, key: &Key, precondition: Precondition) -> bool {
        let found = state.entries.get(key).map(|(_, version)| *version);
        match precondition {
            Precondition::Anything => true,
            Precondition::Nothing => found.is_none() || self.is(Defect::OverwritesSomething),
            Precondition::Version(_) if self.is(Defect::NoCompareAndSwap) => true,
            Precondition::Version(_) if found.is_none() && self.is(Defect::InsertsForVersion) => true,
            Precondition::Version(Version(version)) => found == Some(version),
        }
    }

    fn write(&self, state: &mut State, key: &Key, tokens: &TokenSet) -> Version {
        let before = state.entries.get(key);
        let text =
            |tokens: &TokenSet| tokens.access_token.expose_secret().bytes().map(u64::from).sum::<u64>();
        let same = before.filter(|(before, _)| text(before) == text(tokens)).map(|(_, version)| *version);
        state.writes += 1;
        let version = match self.defect {
            Defect::VersionsRestart => before.map_or(1, |(_, version)| version + 1),
            Defect::VersionKeptForSameTokens => same.unwrap_or(state.writes),
            Defect::VersionsByContent => text(tokens),
            _ => state.writes,
        };
        let persisted = self.persisted(tokens, before.map(|(tokens, _)| tokens));
        state.entries.insert(key.clone(), (persisted, version));
        Version(version)
    }

    /// Returns the remaining time of the lease of another holder.
    fn held(&self, state: &State, key: &Key, holder: &str) -> Option<Duration> {
        let now = match self.defect {
            Defect::LeasesNeverHeld => return None,
            Defect::LeasesIgnoreClock => SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            Defect::LeasesEndLate => (self.clock)() - Duration::from_millis(1),
            Defect::LeasesEndEarly => (self.clock)() + Duration::from_secs(1),
            _ => (self.clock)(),
        };
        let lease = state.leases.get(key)?;
        if lease.holder == holder && !self.is(Defect::LeasesRefusedToHolder) {
            return None;
        }
        if self.is(Defect::LeasesNeverEnd) {
            return Some(lease.length);
        }
        let remaining = lease.until.duration_since(now).ok().filter(|remaining| !remaining.is_zero())?;
        let can_be = remaining <= MAX_LEASE
            || self.is(Defect::LeasesSurviveClockPutBack)
            || self.is(Defect::LeasesOfAnyLength);
        can_be.then_some(match self.defect {
            Defect::RemainingIsLength => lease.length,
            Defect::RemainingIsZero => Duration::ZERO,
            _ => remaining,
        })
    }
}

const UNKNOWN_FIELD: &str = "field_of_a_later_version";

fn fields(tokens: &TokenSet) -> Map<String, Value> {
    serde_json::from_str(tokens.to_json().expose_secret()).expect("JSON")
}

fn unknown_field(tokens: &TokenSet) -> Option<Value> {
    fields(tokens).remove(UNKNOWN_FIELD)
}

fn with_unknown_field(tokens: &TokenSet, value: Option<Value>) -> TokenSet {
    let mut json = fields(tokens);
    json.remove(UNKNOWN_FIELD);
    json.extend(value.map(|value| (UNKNOWN_FIELD.to_owned(), value)));
    TokenSet::from_json(&Value::from(json).to_string().into()).expect("tokens")
}

fn stored(state: &State, key: &Key) -> Option<StoredTokens> {
    state.entries.get(key).map(|(tokens, version)| StoredTokens::new(tokens.clone(), Version(*version)))
}

impl TokenStore for Broken {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        Box::pin(async move { Ok(stored(&self.state(), &self.key(key))) })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        Box::pin(async move {
            self.begin().await;
            if self.is(Defect::FailsOnSlashes) && key.resource.id().contains('/') {
                return Err("no such file or directory".into());
            }
            let key = self.key(key);
            let allowed = self.allows(&self.state(), &key, precondition);
            if self.is(Defect::RacyPut) {
                tokio::task::yield_now().await;
            }
            let mut state = self.state();
            let allowed =
                if self.is(Defect::RacyPut) { allowed } else { self.allows(&state, &key, precondition) };
            let needs_lease = self.is(Defect::PutNeedsLease) && state.leases.contains_key(&key);
            if allowed && !needs_lease {
                if self.is(Defect::PutEndsLease) {
                    state.leases.remove(&key);
                }
                return Ok(PutResult::Stored(self.write(&mut state, &key, tokens)));
            }
            let found = stored(&state, &key);
            if self.is(Defect::ConflictWrites) {
                self.write(&mut state, &key, tokens);
            }
            Ok(PutResult::Conflict(found.filter(|_| !self.is(Defect::ConflictHidesEntry))))
        })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let key = self.key(key);
            let allowed =
                self.allows(&self.state(), &key, precondition) || self.is(Defect::RemoveIgnoresPrecondition);
            let was_there = self.state().entries.contains_key(&key);
            if self.is(Defect::RacyRemove) {
                tokio::task::yield_now().await;
            }
            let mut state = self.state();
            if !allowed || self.is(Defect::RemoveDoesNothing) {
                let is_there = state.entries.contains_key(&key);
                return Ok(self.is(Defect::RemoveAlwaysReturnsTrue) || allowed && is_there);
            }
            if self.is(Defect::RemoveEndsLease) {
                state.leases.remove(&key);
            }
            state.removed.push(key.clone());
            let removed = state.entries.remove(&key).is_some();
            Ok(removed
                || self.is(Defect::RemoveAlwaysReturnsTrue)
                || self.is(Defect::RacyRemove) && was_there)
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

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        Box::pin(async move {
            let entry = self.key(key);
            let key = self.lease_key(key);
            let held = self.held(&self.state(), &key, holder);
            if self.is(Defect::RacyLease) {
                tokio::task::yield_now().await;
            }
            let mut state = self.state();
            let held = if self.is(Defect::RacyLease) { held } else { self.held(&state, &key, holder) };
            if let Some(remaining) = held {
                if self.is(Defect::LeasesTakenByRefused)
                    && let Some(lease) = state.leases.get_mut(&key)
                {
                    lease.until = (self.clock)() + length;
                }
                return Ok(LeaseResult::Held { remaining });
            }
            if self.is(Defect::LeaseNeedsTokens) && !state.entries.contains_key(&key) {
                return Ok(LeaseResult::Granted);
            }
            if self.is(Defect::LeaseChangesVersion)
                && let Some((_, version)) = state.entries.get_mut(&entry)
            {
                *version += 1;
                state.writes += 1;
            }
            let now = (self.clock)();
            let length = match self.defect {
                Defect::LeasesOfFixedLength => Duration::from_secs(45),
                Defect::LeasesOfAnyLength => length.min(Duration::from_secs(86_400)),
                Defect::LongLeasesFail if length > Duration::from_secs(86_400) => {
                    return Err("the interval is out of range".into());
                }
                _ => length.min(MAX_LEASE),
            };
            let first = state.leases.get(&key).filter(|lease| lease.holder == holder && lease.until > now);
            let until = match first {
                Some(lease) if self.is(Defect::LeasesNotExtended) => lease.until,
                _ => now + length,
            };
            state.leases.insert(key, Lease { holder: holder.to_owned(), until, length });
            Ok(LeaseResult::Granted)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let (key, mut state) = (self.lease_key(key), self.state());
            let is_holder = state.leases.get(&key).is_some_and(|lease| lease.holder == holder);
            if (is_holder || self.is(Defect::AnyoneReleases)) && !self.is(Defect::ReleaseDoesNothing) {
                state.leases.remove(&key);
            }
            Ok(())
        })
    }
}
