//! Changes to the model and the credentials.
//!
//! All changes are made here, so that each one is also written to the state file and recorded in the ledger.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use chrono::{DateTime, SecondsFormat, Utc};

use super::mutation_error::MutationError;
use super::state::Engine;
use crate::credentials::{Credentials, Grant, StoredCredentials};
use crate::ledger::LedgerEvent;
use crate::model::{Bounds, Conflict, Contact, Kind, Model, Record, StatusUpdate, StoredMessage};
use crate::oauth::TokenResource;
use crate::persistence::{Memory, RowChange, StoredRow};
use crate::rate_limit::RateLimitEnforcer;
use crate::snapshot::{Snapshot, StoredSnapshot};
use crate::sync::lock;
use crate::webhook::account_payload::has_other_dnd;
use crate::webhook::{OutgoingEvent, TamperConfig};

/// The name of a change of credentials in the ledger.
const CREDENTIALS: &str = "credentials";

/// A guard of the credentials, for changing them. Dropping it writes the changed rows to the state file.
pub(crate) struct CredentialsMut<'a> {
    engine: &'a Engine,
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
            self.engine.write(changed);
            self.engine.record_when_written(LedgerEvent::Changed(CREDENTIALS));
        }
        // The credentials are still locked, so all of these effects belong to this change.
        for effect in std::mem::take(&mut *lock(&self.engine.after_credentials)) {
            self.engine.when_written(effect);
        }
    }
}

/// The IDs of evicted records.
struct Evicted {
    messages: Vec<String>,
    files: Vec<String>,
}

impl Evicted {
    /// Evicts the oldest messages and files beyond their bounds.
    fn of(model: &mut Model, bounds: Bounds) -> Self {
        Self { messages: model.evict_messages(bounds), files: model.evict_files() }
    }
}

/// Returns the contact of a record if it replaces one with other do-not-disturb settings.
fn with_other_dnd<'a>(model: &Model, record: &'a Record) -> Option<&'a Contact> {
    let Record::Contact(contact) = record else { return None };
    let is_changed = model.contact(&contact.id).is_some_and(|before| has_other_dnd(before, contact));
    is_changed.then_some(contact)
}

impl Memory for Engine {
    fn roll_back(&self, read: &mut dyn FnMut() -> io::Result<Vec<StoredRow>>) -> io::Result<()> {
        let mut model = self.model();
        let mut credentials = lock(&self.credentials);
        let (stored_model, stored_credentials) = super::loaded_state::load_rows(read()?)?;
        let mut restored = credentials.clone();
        restored.restore(stored_credentials)?;
        restored.take_changed();
        *model.0 = Arc::new(stored_model);
        lock(&self.search_lag).clear();
        *credentials = restored;
        lock(&self.after_credentials).clear();
        self.schedule_changed.notify_one();
        self.ledger.record(LedgerEvent::Changed("state"));
        Ok(())
    }
}

impl Engine {
    /// Adds records, replacing those with the same IDs. If one of them conflicts, none is stored.
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
        let with_other_dnd: Vec<Contact> =
            records.iter().filter_map(|record| with_other_dnd(model, record)).cloned().collect();
        let has_message = records.iter().any(|record| record.kind() == Kind::Message);
        let is_known: Vec<bool> =
            records.iter().map(|record| model.conversation(record.id()).is_some()).collect();
        let unindexed = lock(&self.search_lag).changes(model, &records, self.clock.now());
        model.put(records.iter().cloned())?;
        lock(&self.search_lag).add(unindexed);
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        for (record, is_known) in records.into_iter().zip(is_known) {
            // The entry of its new message implies that of a conversation.
            let is_implied = has_message && is_known && record.kind() == Kind::Conversation;
            let entry = match &record {
                Record::Message(message) => {
                    if message.due().is_some() {
                        self.schedule_changed.notify_one();
                    }
                    LedgerEvent::Message(Arc::clone(message))
                }
                other => LedgerEvent::Changed(other.kind().as_str()),
            };
            if !is_implied {
                entries.push(entry);
            }
            if self.store.is_some() {
                changes.push(RowChange::record(record));
            }
        }
        changes.extend(self.evict(model));
        self.write(changes);
        for entry in entries {
            self.record_when_written(entry);
        }
        for contact in with_other_dnd {
            self.publish_dnd(&contact, self.clock.now());
        }
        Ok(())
    }

    /// Evicts the oldest messages and files beyond their bounds, and returns the changes to write to the state file.
    fn evict(&self, model: &mut Model) -> Vec<RowChange> {
        let evicted = Evicted::of(model, self.bounds);
        self.count_evicted(evicted)
    }

    /// Counts evicted records, and returns the changes that delete them from the state file.
    fn count_evicted(&self, evicted: Evicted) -> Vec<RowChange> {
        let Evicted { messages, files } = evicted;
        self.evicted_messages.fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.evicted_files.fetch_add(files.len() as u64, Ordering::Relaxed);
        let of = |ids: Vec<String>, kind: Kind| {
            ids.into_iter().map(move |id| RowChange::delete(kind.as_str(), id))
        };
        of(messages, Kind::Message).chain(of(files, Kind::File)).collect()
    }

    /// Deletes a record and all records that depend on it. Returns `false` if there is no such record.
    pub(crate) fn delete(&self, kind: Kind, id: &str) -> bool {
        self.delete_in(&mut self.model(), kind, id)
    }

    /// Deletes a record in a model that the caller has locked, like [`delete`](Self::delete).
    pub(super) fn delete_in(&self, model: &mut Model, kind: Kind, id: &str) -> bool {
        let deleted = model.delete(kind, id);
        let found = !deleted.is_empty();
        self.write(deleted.into_iter().map(|(kind, id)| RowChange::delete(kind.as_str(), id)).collect());
        if found {
            self.record_when_written(LedgerEvent::Changed(kind.as_str()));
        }
        found
    }

    /// Changes the status of a message.
    pub(crate) fn set_status(
        &self,
        id: &str,
        update: StatusUpdate,
    ) -> Result<Arc<StoredMessage>, MutationError> {
        self.set_status_in(&mut self.model(), id, update)
    }

    /// Changes the status of a message in a model that the caller has locked.
    pub(crate) fn set_status_in(
        &self,
        model: &mut Model,
        id: &str,
        update: StatusUpdate,
    ) -> Result<Arc<StoredMessage>, MutationError> {
        let message = model
            .message(id)
            .cloned()
            .ok_or_else(|| MutationError::Missing(format!("there is no message {id}")))?;
        let now = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let changed =
            StoredMessage::clone(&message).with_status(update, now).map_err(MutationError::Conflict)?;
        if changed == *message {
            return Ok(message);
        }
        let changed = Arc::new(changed);
        self.put(model, [Record::Message(Arc::clone(&changed))])
            .map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
        Ok(changed)
    }

    /// Adds the records and credentials of a seed, replacing those with the same IDs. If one of them conflicts, none is
    /// stored.
    pub(crate) fn seed(&self, seed: StoredSnapshot) -> Result<(), MutationError> {
        let additional = seed.credentials.clone();
        let records: Vec<Record> = seed.into_records().collect();
        let put = |model: &mut Model| -> Result<Evicted, MutationError> {
            let put = model.put(records.iter().cloned());
            put.map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
            Ok(Evicted::of(model, self.bounds))
        };
        // On a copy first, without the lock: a large seed does not delay other requests.
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
        changes.extend(self.count_evicted(evicted));
        self.write(changes);
        self.record_when_written(LedgerEvent::Changed("state"));
        self.schedule_changed.notify_one();
        drop((credentials, model));
        Ok(())
    }

    /// Returns all records and credentials.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (model, credentials) = self.everything();
        Snapshot { credentials, ..Snapshot::of(&model) }
    }

    /// Returns the model and the credentials, consistent with each other.
    pub(crate) fn everything(&self) -> (Arc<Model>, StoredCredentials) {
        let model = self.model();
        let credentials = lock(&self.credentials).to_stored();
        (Arc::clone(&model.0), credentials)
    }

    /// Replaces all records and credentials with those of a snapshot.
    pub(crate) fn restore(&self, snapshot: StoredSnapshot) -> Result<(), MutationError> {
        let restored = snapshot.credentials.clone();
        let new =
            Model::try_from(snapshot).map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
        self.replace(Arc::new(new), restored)
    }

    fn replace(&self, model: Arc<Model>, restored: StoredCredentials) -> Result<(), MutationError> {
        let mut guard = self.model();
        let mut credentials = lock(&self.credentials);
        let mut new = credentials.clone();
        new.restore(restored)?;
        let before = std::mem::replace(&mut *guard.0, model);
        lock(&self.search_lag).clear();
        self.evict(&mut guard);
        new.take_changed();
        *credentials = new;
        if let Some(store) = &self.store {
            store.replace(self.rows(&guard, &credentials));
        }
        self.record_when_written(LedgerEvent::Changed("state"));
        self.schedule_changed.notify_one();
        drop((credentials, guard));
        // Dropping a large model takes long, so it happens without the locks.
        drop(before);
        Ok(())
    }

    /// Restores the initial state: records, credentials, settings, rate limits and webhook configuration with the signing
    /// key. Removes all fault rules, deliveries and ledger entries.
    pub(crate) fn reset(&self) -> Result<(), MutationError> {
        self.replace(Arc::clone(&self.initial.model), self.initial.credentials.clone())?;
        let mut limiter = lock(&self.limiter);
        *limiter = RateLimitEnforcer::new(self.initial.rate_limit);
        drop(limiter);
        self.set_settings(|settings| settings.clone_from(&self.initial.settings));
        self.outbox.clear();
        self.outbox.reset_keys();
        self.outbox.set_url(self.initial.webhook_url.clone());
        self.outbox.set_retries(self.initial.retry_schedule.clone());
        self.outbox.change_tamper_config(|tamper_config| *tamper_config = TamperConfig::default());
        self.faults.clear();
        self.ledger.clear();
        self.ledger.record(LedgerEvent::Changed("state"));
        Ok(())
    }

    /// Adds a private integration token. Generates one if `token` is `None`.
    pub(crate) fn issue_token(
        &self,
        resource: &TokenResource,
        token: Option<String>,
    ) -> Result<String, MutationError> {
        let token = match token {
            Some(token) => crate::credentials::checked_token(token)
                .map_err(|error| MutationError::Invalid(error.to_string()))?,
            None => self.identifiers.private_integration_token(),
        };
        let model = self.model();
        let missing = match resource {
            TokenResource::Location(id) => model.location(id).is_none().then_some("location"),
            TokenResource::Company(id) => (!model.locations().any(|location| location.company_id == *id))
                .then_some("location of the company"),
        };
        if let Some(missing) = missing {
            let message = format!("there is no {missing} {}; add it first", resource.id());
            return Err(MutationError::Missing(message));
        }
        let grant = Grant::private_integration(&self.account.app_id, resource);
        self.credentials_mut().grant(&token, grant)?;
        Ok(token)
    }

    /// Runs an effect when all changes made so far are on disk. Without a state file it runs immediately; if a change
    /// cannot be written, it never runs.
    pub(crate) fn when_written(&self, effect: impl FnOnce(&Self) + Send + 'static) {
        match (&self.store, self.this.upgrade()) {
            (Some(store), Some(engine)) => {
                let engine = Arc::downgrade(&engine);
                store.when_written(move || {
                    if let Some(engine) = engine.upgrade() {
                        effect(&engine);
                    }
                });
            }
            _ => effect(self),
        }
    }

    /// Runs an effect when the change to the currently locked credentials is on disk.
    pub(crate) fn after_credentials(&self, effect: impl FnOnce(&Self) + Send + 'static) {
        lock(&self.after_credentials).push(Box::new(effect));
    }

    /// Records a ledger entry when the changes made so far are on disk.
    fn record_when_written(&self, entry: LedgerEvent) {
        self.when_written(move |engine| engine.ledger.record(entry));
    }

    /// Sends a webhook when the changes made so far are on disk.
    pub(crate) fn send_webhook(&self, event: OutgoingEvent, now: DateTime<Utc>) {
        self.when_written(move |engine| {
            engine.outbox.send(event, now);
        });
    }

    /// Returns an error if changes are rejected because the state file cannot be written.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        match self.store.as_ref().and_then(crate::persistence::Store::failure) {
            Some(failure) => Err(io::Error::other(failure.to_string())),
            None => Ok(()),
        }
    }

    /// Notifies the followers of the ledger of a change that is not stored in it.
    pub(crate) fn changed(&self, area: &'static str) {
        self.ledger.record(LedgerEvent::Changed(area));
    }

    /// Locks the credentials for changes.
    pub(crate) fn credentials_mut(&self) -> CredentialsMut<'_> {
        CredentialsMut { engine: self, credentials: lock(&self.credentials) }
    }

    /// The number of changes submitted to the state file so far; 0 without a state file.
    pub(crate) fn submitted(&self) -> u64 {
        self.store.as_ref().map_or(0, crate::persistence::Store::submitted)
    }

    /// Resolves when all changes submitted after the first `submitted` are on disk.
    ///
    /// # Errors
    ///
    /// Returns an error if one of them could not be written.
    pub(crate) async fn written_since(&self, submitted: u64) -> io::Result<()> {
        match &self.store {
            Some(store) if store.submitted() != submitted => store.committed().await,
            _ => Ok(()),
        }
    }

    /// Writes the initial state to the state file: all rows, or only `added` and changed credentials if the file already
    /// has the rest.
    pub(crate) fn store_initial_state(&self, all: bool, added: Vec<Record>) {
        let Some(store) = &self.store else { return };
        let (model, mut credentials) = (self.model(), lock(&self.credentials));
        let changed = credentials.take_changed();
        if all {
            store.replace(self.rows(&model, &credentials));
        } else {
            let added = added.into_iter().map(RowChange::record);
            store.write(added.chain(self.identity()).chain(changed).collect());
        }
    }

    /// Returns all rows of the state file.
    fn rows(&self, model: &Model, credentials: &Credentials) -> Vec<RowChange> {
        model.records().map(RowChange::record).chain(self.identity()).chain(credentials.rows()).collect()
    }

    /// Returns the `setting` rows of the state file.
    fn identity(&self) -> impl Iterator<Item = RowChange> {
        let identity = self.initial.identity.iter();
        identity.map(|(id, value)| RowChange::json(("setting", (*id).to_owned()), Some(value.clone())))
    }

    fn write(&self, changes: Vec<RowChange>) {
        if let Some(store) = &self.store
            && !changes.is_empty()
        {
            store.write(changes);
        }
    }
}
