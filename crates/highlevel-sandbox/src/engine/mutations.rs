//! Changing what exists: the one place where it happens, is written to the state file, and is told to those who watch.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use chrono::{DateTime, SecondsFormat, Utc};

use super::mutation_error::MutationError;
use super::state::Engine;
use crate::credentials::{Credentials, Grant, KeptCredentials};
use crate::ledger::Happened;
use crate::model::{Conflict, Kind, Model, Record, StatusUpdate, Stored};
use crate::persistence::{Memory, RowChange, StoredRow};
use crate::rate_limit::RateLimiter;
use crate::snapshot::{Snapshot, StoredSnapshot};
use crate::sync::lock;
use crate::webhook::{Event, TamperConfig};

/// What the ledger calls a change of credentials.
const CREDENTIALS: &str = "credentials";

/// The credentials while they are changed. When this is dropped, the rows that are different are written to the state file.
pub(crate) struct CredentialsMut<'a> {
    state: &'a Engine,
    credentials: MutexGuard<'a, Credentials>,
}

impl Deref for CredentialsMut<'_> {
    type Target = Credentials;

    fn deref(&self) -> &Credentials {
        &self.credentials
    }
}

impl DerefMut for CredentialsMut<'_> {
    fn deref_mut(&mut self) -> &mut Credentials {
        &mut self.credentials
    }
}

impl Drop for CredentialsMut<'_> {
    fn drop(&mut self) {
        let changed = self.credentials.take_changed();
        if !changed.is_empty() {
            self.state.keep(changed);
            self.state.announce(Happened::Changed(CREDENTIALS));
        }
        // While the credentials are locked, all of them are of this change.
        for effect in std::mem::take(&mut *lock(&self.state.after_credentials)) {
            self.state.when_written(effect);
        }
    }
}

impl Memory for Engine {
    fn roll_back(&self, read: &mut dyn FnMut() -> io::Result<Vec<StoredRow>>) -> io::Result<()> {
        let mut model = self.model();
        let mut credentials = lock(&self.credentials);
        let (there, kept) = super::recall::recalled(read()?)?;
        let mut restored = credentials.clone();
        restored.restore(kept)?;
        restored.take_changed();
        *model.0 = Arc::new(there);
        *credentials = restored;
        lock(&self.after_credentials).clear();
        self.ledger.record(Happened::Changed("state"));
        Ok(())
    }
}

impl Engine {
    /// Puts records in place of those with the same ids, or adds them. All of them, or none.
    pub(crate) fn put(
        &self,
        model: &mut Model,
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
        model.put(records.iter().cloned())?;
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        for record in records {
            entries.push(match &record {
                Record::Message(message) => Happened::Message(Arc::clone(message)),
                other => Happened::Changed(other.kind().as_str()),
            });
            if self.store.is_some() {
                changes.push(RowChange::record(record));
            }
        }
        changes.extend(self.evict_messages(model));
        self.keep(changes);
        for entry in entries {
            self.announce(entry);
        }
        Ok(())
    }

    /// Removes the messages that are too many or too large.
    fn evict_messages(&self, model: &mut Model) -> Vec<RowChange> {
        let gone = model.evict_messages(self.bounds);
        self.evicted(gone)
    }

    /// Counts messages that were removed, and has them removed from the state file.
    fn evicted(&self, gone: Vec<String>) -> Vec<RowChange> {
        self.evicted_messages.fetch_add(gone.len() as u64, Ordering::Relaxed);
        gone.into_iter().map(|id| RowChange::gone(Kind::Message.as_str(), id)).collect()
    }

    /// Removes something with all that cannot be without it. Whether it was there.
    pub(crate) fn delete(&self, kind: Kind, id: &str) -> bool {
        let mut model = self.model();
        let gone = model.delete(kind, id);
        let found = !gone.is_empty();
        self.keep(gone.into_iter().map(|(kind, id)| RowChange::gone(kind.as_str(), id)).collect());
        if found {
            self.announce(Happened::Changed(kind.as_str()));
        }
        found
    }

    /// Gives a message another status.
    pub(crate) fn set_status(&self, id: &str, update: StatusUpdate) -> Result<Arc<Stored>, MutationError> {
        self.set_status_in(&mut self.model(), id, update)
    }

    /// The same, for who has more to do before anybody else changes something.
    pub(crate) fn set_status_in(
        &self,
        model: &mut Model,
        id: &str,
        update: StatusUpdate,
    ) -> Result<Arc<Stored>, MutationError> {
        let message = model
            .message(id)
            .cloned()
            .ok_or_else(|| MutationError::Missing(format!("there is no message {id}")))?;
        let now = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let changed = Stored::clone(&message).with_status(update, now).map_err(MutationError::Conflict)?;
        if changed == *message {
            return Ok(message);
        }
        let changed = Arc::new(changed);
        self.put(model, [Record::Message(Arc::clone(&changed))])
            .map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
        Ok(changed)
    }

    /// Adds what a seed has, in place of what has the same ids. All of it, or nothing.
    pub(crate) fn seed(&self, seed: StoredSnapshot) -> Result<(), MutationError> {
        let additional = seed.credentials.clone();
        let records: Vec<Record> = seed.into_records().collect();
        let put = |model: &mut Model| -> Result<Vec<String>, MutationError> {
            let put = model.put(records.iter().cloned());
            put.map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
            Ok(model.evict_messages(self.bounds))
        };
        // On a copy first, while others go on.
        let before = self.shared_model();
        let mut with_seed = Model::clone(&before);
        let evicted = put(&mut with_seed);

        let mut model = self.model();
        let mut credentials = lock(&self.credentials);
        let mut with_additional = credentials.clone();
        with_additional.add(additional)?;
        let evicted = if Arc::ptr_eq(&model.0, &before) {
            let evicted = evicted?;
            *model.0 = Arc::new(with_seed);
            evicted
        } else {
            put(&mut model)?
        };
        *credentials = with_additional;
        let mut changes = credentials.take_changed();
        changes.extend(records.iter().cloned().map(RowChange::record));
        changes.extend(self.evicted(evicted));
        self.keep(changes);
        self.announce(Happened::Changed("state"));
        drop((credentials, model));
        Ok(())
    }

    /// Everything that exists, and the credentials.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (model, credentials) = self.everything();
        Snapshot { credentials, ..Snapshot::of(&model) }
    }

    /// Everything that exists as it is now, and the credentials.
    pub(crate) fn everything(&self) -> (Arc<Model>, KeptCredentials) {
        let model = self.model();
        let credentials = lock(&self.credentials).keep();
        (Arc::clone(&model.0), credentials)
    }

    /// Replaces everything that exists by what a snapshot has, credentials included.
    pub(crate) fn restore(&self, snapshot: StoredSnapshot) -> Result<(), MutationError> {
        let restored = snapshot.credentials.clone();
        let new =
            Model::try_from(snapshot).map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
        self.replace(Arc::new(new), restored)
    }

    fn replace(&self, model: Arc<Model>, restored: KeptCredentials) -> Result<(), MutationError> {
        let mut guard = self.model();
        let mut credentials = lock(&self.credentials);
        let mut new = credentials.clone();
        new.restore(restored)?;
        let before = std::mem::replace(&mut *guard.0, model);
        self.evict_messages(&mut guard);
        new.take_changed();
        *credentials = new;
        if let Some(store) = &self.store {
            store.replace(self.rows(&guard, &credentials));
        }
        self.announce(Happened::Changed("state"));
        drop((credentials, guard));
        // This may take long, and nothing has to wait for it.
        drop(before);
        Ok(())
    }

    /// Puts everything back as it was at the start: what exists, credentials, the counts of the rate limits, where
    /// webhooks go and which key signs them, faults. Forgets what happened.
    pub(crate) fn reset(&self) -> Result<(), MutationError> {
        self.replace(Arc::clone(&self.initial.model), self.initial.credentials.clone())?;
        let mut limiter = lock(&self.limiter);
        *limiter = RateLimiter::new(self.initial.rate_limit);
        drop(limiter);
        lock(&self.settings).clone_from(&self.initial.settings);
        self.outbox.clear();
        self.outbox.reset_keys();
        self.outbox.set_url(self.initial.webhook_url.clone());
        self.outbox.set_retries(self.initial.retry_schedule.clone());
        self.outbox.change_tamper_config(|tamper_config| *tamper_config = TamperConfig::default());
        self.faults.clear();
        self.ledger.clear();
        self.ledger.record(Happened::Changed("state"));
        Ok(())
    }

    /// A new private integration token for a location, or the one that is given.
    pub(crate) fn issue_token(
        &self,
        location_id: &str,
        token: Option<String>,
    ) -> Result<String, MutationError> {
        let token = match token {
            Some(token) => crate::credentials::checked_token(token)
                .map_err(|error| MutationError::Invalid(error.to_string()))?,
            None => self.identifiers.private_integration_token(),
        };
        let model = self.model();
        if model.location(location_id).is_none() {
            return Err(MutationError::Missing(format!("there is no location {location_id}; put it first")));
        }
        let grant = Grant::private_integration(&self.account.app_id, location_id);
        self.credentials_mut().grant(&token, grant)?;
        Ok(token)
    }

    /// Runs an effect when all that was changed until now is on the disk: at once without a state file, and never if it
    /// cannot be written.
    pub(crate) fn when_written(&self, effect: impl FnOnce(&Self) + Send + 'static) {
        match (&self.store, self.myself.upgrade()) {
            (Some(store), Some(myself)) => {
                let myself = Arc::downgrade(&myself);
                store.when_written(move || {
                    if let Some(state) = myself.upgrade() {
                        effect(&state);
                    }
                });
            }
            _ => effect(self),
        }
    }

    /// Runs an effect when the credentials that are locked at the moment are unlocked, and their change is on the disk.
    pub(crate) fn after_credentials(&self, effect: impl FnOnce(&Self) + Send + 'static) {
        lock(&self.after_credentials).push(Box::new(effect));
    }

    /// Has the ledger know of a change when it is on the disk.
    fn announce(&self, entry: Happened) {
        self.when_written(move |state| state.ledger.record(entry));
    }

    /// Sends a webhook of a change when it is on the disk.
    pub(crate) fn send_webhook(&self, event: Event, now: DateTime<Utc>) {
        self.when_written(move |state| {
            state.outbox.send(event, now);
        });
    }

    /// Returns an error if nothing can be changed at the moment, because the state file cannot be written.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        match self.store.as_ref().and_then(crate::persistence::Store::failure) {
            Some(failure) => Err(io::Error::other(failure.to_string())),
            None => Ok(()),
        }
    }

    /// Tells those who follow that something changed of which the ledger keeps nothing.
    pub(crate) fn changed(&self, what: &'static str) {
        self.ledger.record(Happened::Changed(what));
    }

    /// The credentials, to change them.
    pub(crate) fn credentials_mut(&self) -> CredentialsMut<'_> {
        CredentialsMut { state: self, credentials: lock(&self.credentials) }
    }

    /// How much was to be written to the state file until now.
    pub(crate) fn submitted(&self) -> u64 {
        self.store.as_ref().map_or(0, crate::persistence::Store::submitted)
    }

    /// Resolves when what was changed since then is on the disk.
    pub(crate) async fn written_since(&self, submitted: u64) -> io::Result<()> {
        match &self.store {
            Some(store) if store.submitted() != submitted => store.committed().await,
            _ => Ok(()),
        }
    }

    /// Has what this sandbox begins with written: all of it, or what is new to a file that has the rest.
    pub(crate) fn store_initial_state(&self, all: bool, added: Vec<Record>) {
        let Some(store) = &self.store else { return };
        let (model, mut credentials) = (self.model(), lock(&self.credentials));
        let changed = credentials.take_changed();
        if all {
            store.replace(self.rows(&model, &credentials));
        } else {
            let added = added.into_iter().map(RowChange::record);
            store.keep(added.chain(self.identity()).chain(changed).collect());
        }
    }

    /// All rows of the state file.
    fn rows(&self, model: &Model, credentials: &Credentials) -> Vec<RowChange> {
        model.records().map(RowChange::record).chain(self.identity()).chain(credentials.rows()).collect()
    }

    /// What there is of the sandbox itself.
    fn identity(&self) -> impl Iterator<Item = RowChange> {
        let identity = self.initial.identity.iter();
        identity.map(|(id, value)| RowChange::json(("setting", (*id).to_owned()), Some(value.clone())))
    }

    fn keep(&self, changes: Vec<RowChange>) {
        if let Some(store) = &self.store
            && !changes.is_empty()
        {
            store.keep(changes);
        }
    }
}
