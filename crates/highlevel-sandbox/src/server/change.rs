//! Changing what exists: the one place where it happens, is written to the state file, and is told to those who watch.

use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use chrono::SecondsFormat;
use serde_json::Value;

use super::{State, lock};
use crate::credentials::{Credentials, Grant};
use crate::fidelity::Settings;
use crate::ledger::Entry;
use crate::rate_limit::{RateLimit, RateLimiter};
use crate::store::Change;
use crate::webhook::{Hostilities, RetrySchedule};
use crate::world::{Conflict, Kind, Message, Record, Snapshot, StatusUpdate, World};

/// Under which the state file has all credentials, as one.
const CREDENTIALS: &str = "credentials";

/// How it was at the start, which [`State::reset`] goes back to.
pub(crate) struct Beginning {
    /// What existed, and the credentials.
    pub(crate) snapshot: Snapshot,
    /// What the state file has of the sandbox itself: its token, the key that signs webhooks, and what seeds have added.
    pub(crate) identity: Vec<(&'static str, Value)>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) retry_schedule: RetrySchedule,
    pub(crate) settings: Settings,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Unchanged {
    /// There is no such thing.
    Missing(String),
    /// It contradicts what there is.
    Conflict(String),
    /// It cannot be read.
    Invalid(String),
}

/// The credentials while they are changed. When this is dropped, the change is written to the state file.
pub(crate) struct CredentialsMut<'a> {
    state: &'a State,
    credentials: MutexGuard<'a, Credentials>,
    changed: bool,
}

impl Deref for CredentialsMut<'_> {
    type Target = Credentials;

    fn deref(&self) -> &Credentials {
        &self.credentials
    }
}

impl DerefMut for CredentialsMut<'_> {
    fn deref_mut(&mut self) -> &mut Credentials {
        self.changed = true;
        &mut self.credentials
    }
}

impl Drop for CredentialsMut<'_> {
    fn drop(&mut self) {
        if self.changed {
            if self.state.store.is_some() {
                self.state.keep(vec![kept_credentials(&self.credentials)]);
            }
            self.state.ledger.record(Entry::Changed(CREDENTIALS));
        }
    }
}

impl Unchanged {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Missing(words) => io::Error::new(ErrorKind::NotFound, words),
            Self::Conflict(words) | Self::Invalid(words) => io::Error::new(ErrorKind::InvalidInput, words),
        }
    }
}

impl State {
    /// Puts records in place of those with the same ids, or adds them. All of them, or none.
    pub(crate) fn put(
        &self,
        world: &mut World,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), Conflict> {
        let records: Vec<Record> = records.into_iter().collect();
        for record in &records {
            if let Record::Provider(provider) = record
                && let Some(url) = provider.delivery_url.as_deref().and_then(|url| url.parse().ok())
            {
                self.targets.check(&url).map_err(Conflict::new)?;
            }
        }
        world.put(records.iter().cloned())?;
        let mut changes = Vec::new();
        for record in records {
            if self.store.is_some() {
                changes.push(kept(&record));
            }
            let entry = match record {
                Record::Message(message) => Entry::Message(*message),
                other => Entry::Changed(other.kind().as_str()),
            };
            self.ledger.record(entry);
        }
        let forgotten = world.forget_messages(self.kept_messages);
        changes.extend(forgotten.into_iter().map(|id| forgotten_change(Kind::Message, id)));
        self.keep(changes);
        Ok(())
    }

    /// Removes something with all that cannot be without it. Whether it was there.
    pub(crate) fn delete(&self, kind: Kind, id: &str) -> bool {
        let mut world = self.world();
        let gone = world.delete(kind, id);
        let found = !gone.is_empty();
        self.keep(gone.into_iter().map(|(kind, id)| forgotten_change(kind, id)).collect());
        if found {
            self.ledger.record(Entry::Changed(kind.as_str()));
        }
        found
    }

    /// Gives a message another status.
    pub(crate) fn set_status(&self, id: &str, update: StatusUpdate) -> Result<Message, Unchanged> {
        self.set_status_in(&mut self.world(), id, update)
    }

    /// The same, for who has more to do before anybody else changes something.
    pub(crate) fn set_status_in(
        &self,
        world: &mut World,
        id: &str,
        update: StatusUpdate,
    ) -> Result<Message, Unchanged> {
        let message = world
            .message(id)
            .cloned()
            .ok_or_else(|| Unchanged::Missing(format!("there is no message {id}")))?;
        let now = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let changed = message.clone().with_status(update, now).map_err(Unchanged::Conflict)?;
        if changed != message {
            self.put(world, [Record::from(changed.clone())])
                .map_err(|conflict| Unchanged::Conflict(conflict.to_string()))?;
        }
        Ok(changed)
    }

    /// Adds what a seed has, in place of what has the same ids. All of it, or nothing.
    pub(crate) fn seed(&self, seed: Snapshot) -> Result<(), Unchanged> {
        let mut world = self.world();
        let mut credentials = lock(&self.credentials);
        let additional = seed.credentials.clone();
        let records: Vec<Record> = seed.into_records().collect();
        world.put(records.iter().cloned()).map_err(|conflict| Unchanged::Conflict(conflict.to_string()))?;
        credentials.add(additional);
        let mut changes: Vec<Change> = records.iter().map(kept).collect();
        changes.push(kept_credentials(&credentials));
        let forgotten = world.forget_messages(self.kept_messages);
        changes.extend(forgotten.into_iter().map(|id| forgotten_change(Kind::Message, id)));
        self.keep(changes);
        self.ledger.record(Entry::Changed("state"));
        Ok(())
    }

    /// Everything that exists, and the credentials.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let world = self.world();
        let credentials = lock(&self.credentials);
        Snapshot { credentials: credentials.keep(), ..world.snapshot() }
    }

    /// Puts what a snapshot has in place of everything that exists, credentials included.
    pub(crate) fn restore(&self, snapshot: Snapshot) -> Result<(), Unchanged> {
        let restored = snapshot.credentials.clone();
        let new = World::try_from(snapshot).map_err(|conflict| Unchanged::Conflict(conflict.to_string()))?;
        let mut world = self.world();
        let mut credentials = lock(&self.credentials);
        *world = new;
        credentials.restore(restored);
        world.forget_messages(self.kept_messages);
        if let Some(store) = &self.store {
            store.replace(self.everything(&world, &credentials));
        }
        self.ledger.record(Entry::Changed("state"));
        Ok(())
    }

    /// Puts everything back as it was at the start: what exists, credentials, the counts of the rate limits, where
    /// webhooks go and which key signs them, faults. Forgets what happened.
    pub(crate) fn reset(&self) -> Result<(), Unchanged> {
        self.restore(self.beginning.snapshot.clone())?;
        let mut limiter = lock(&self.limiter);
        *limiter = RateLimiter::new(self.beginning.rate_limit);
        drop(limiter);
        lock(&self.settings).clone_from(&self.beginning.settings);
        self.outbox.clear();
        self.outbox.reset_keys();
        self.outbox.set_url(self.beginning.webhook_url.clone());
        self.outbox.set_retries(self.beginning.retry_schedule.clone());
        self.outbox.change_hostilities(|hostilities| *hostilities = Hostilities::default());
        self.faults.clear();
        self.ledger.clear();
        self.ledger.record(Entry::Changed("state"));
        Ok(())
    }

    /// A new private integration token for a location, or the one that is given.
    pub(crate) fn issue_token(&self, location_id: &str, token: Option<String>) -> Result<String, Unchanged> {
        let token = match token {
            Some(token) => {
                crate::builder::checked_token(token).map_err(|error| Unchanged::Invalid(error.to_string()))?
            }
            None => self.identifiers.private_integration_token(),
        };
        let world = self.world();
        if world.location(location_id).is_none() {
            return Err(Unchanged::Missing(format!("there is no location {location_id}; put it first")));
        }
        let grant = Grant::private_integration(&self.account.app_id, location_id);
        self.credentials_mut().grant(&token, grant);
        Ok(token)
    }

    /// Tells those who follow that something changed of which the ledger keeps nothing.
    pub(crate) fn changed(&self, what: &'static str) {
        self.ledger.record(Entry::Changed(what));
    }

    /// The credentials, to change them.
    pub(crate) fn credentials_mut(&self) -> CredentialsMut<'_> {
        CredentialsMut { state: self, credentials: lock(&self.credentials), changed: false }
    }

    /// How much was to be written to the state file until now.
    pub(super) fn submitted(&self) -> u64 {
        self.store.as_ref().map_or(0, crate::store::Store::submitted)
    }

    /// Resolves when what was changed since then is on the disk.
    pub(super) async fn written_since(&self, submitted: u64) -> io::Result<()> {
        match &self.store {
            Some(store) if store.submitted() != submitted => store.settled().await,
            _ => Ok(()),
        }
    }

    /// Has what this sandbox begins with written: all of it, or what is new to a file that has the rest.
    pub(crate) fn keep_beginning(&self, all: bool, added: &[Record]) {
        let Some(store) = &self.store else { return };
        let (world, credentials) = (self.world(), lock(&self.credentials));
        if all {
            store.replace(self.everything(&world, &credentials));
        } else {
            let mut changes: Vec<Change> = added.iter().map(kept).collect();
            changes.extend(self.identity(&credentials));
            store.keep(changes);
        }
    }

    fn everything(&self, world: &World, credentials: &Credentials) -> Vec<Change> {
        let mut changes: Vec<Change> = world.snapshot().into_records().map(|record| kept(&record)).collect();
        changes.extend(self.identity(credentials));
        changes
    }

    /// What there is of the sandbox itself, and what others prove themselves with.
    fn identity(&self, credentials: &Credentials) -> Vec<Change> {
        let setting = |(id, value): &(&str, Value)| Change {
            kind: "setting",
            id: (*id).to_owned(),
            value: Some(value.clone()),
        };
        let settings = self.beginning.identity.iter().map(setting);
        settings.chain([kept_credentials(credentials)]).collect()
    }

    fn keep(&self, changes: Vec<Change>) {
        if let Some(store) = &self.store
            && !changes.is_empty()
        {
            store.keep(changes);
        }
    }
}

fn kept(record: &Record) -> Change {
    Change { kind: record.kind().as_str(), id: record.id().to_owned(), value: Some(record.to_value()) }
}

fn kept_credentials(credentials: &Credentials) -> Change {
    // What serialises to text always becomes JSON.
    let value = serde_json::to_value(credentials.keep()).unwrap_or_default();
    Change { kind: CREDENTIALS, id: String::new(), value: Some(value) }
}

fn forgotten_change(kind: Kind, id: String) -> Change {
    Change { kind: kind.as_str(), id, value: None }
}
