//! The engine, which owns the state of a sandbox.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, watch};

use super::initial_state::InitialState;
use super::model_guard::ModelMut;
use super::retained::Retained;
use crate::access::{Access, Guesses};
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::fault::FaultRegistry;
use crate::fidelity::Settings;
use crate::identifiers::Identifiers;
use crate::ledger::Ledger;
use crate::model::{Bounds, Model, SearchLag};
use crate::persistence::Store;
use crate::rate_limit::{Account, RateLimitEnforcer};
use crate::sync::lock;
use crate::traffic::Traffic;
use crate::webhook::{Outbox, Targets};

/// The total size of long events in flight in all event streams, in KiB.
pub(crate) const LONG_EVENTS: usize = 16 * 1024;

/// One sandbox: its state, and the operations on it.
///
/// Acquire locks in field order.
pub(crate) struct Engine {
    pub(crate) clock: Clock,
    /// The private integration token printed at the start, and its account.
    pub(crate) token: String,
    pub(crate) account: Arc<Account>,
    /// The configured URL under which clients reach the sandbox.
    pub(crate) base_url: Option<String>,
    pub(crate) settings: Mutex<Settings>,
    /// The time limit for receiving the head of a request, and for its body.
    pub(crate) read_timeout: Duration,
    /// The maximum time a client may stop reading a response.
    pub(crate) write_timeout: Duration,
    pub(crate) traffic: Arc<Traffic>,
    /// A permit to run a long operation on a blocking thread.
    pub(crate) long_work: Arc<Semaphore>,
    /// A permit to open an event stream.
    pub(crate) streams: Arc<Semaphore>,
    /// Permits to send long events, one per KiB.
    pub(crate) long_events: Arc<Semaphore>,
    /// A permit to delay an event.
    pub(crate) delayed_events: Arc<Semaphore>,
    /// A permit to read a snapshot.
    pub(crate) snapshots: Semaphore,
    pub(crate) faults: FaultRegistry,
    /// Access control.
    pub(crate) access: Access,
    /// The allowed webhook targets.
    pub(crate) targets: Targets,
    /// Recent invalid admin tokens.
    pub(crate) guesses: Mutex<Guesses>,
    /// The number of requests rejected because of their `Host` or their site.
    pub(crate) refused: AtomicU64,
    /// The number of requests to the API that are not served.
    pub(crate) unserved: AtomicU64,
    /// The start of this run.
    pub(crate) started: Instant,
    /// Generates ids, tokens and keys.
    pub(crate) identifiers: Identifiers,
    /// A reference to this engine, for deferred effects.
    pub(crate) this: Weak<Self>,
    /// Distinguishes this run from others with the same state.
    pub(crate) run: String,
    /// `true` once the sandbox is shutting down.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) initial: InitialState,
    /// The state file, if there is one.
    pub(crate) store: Option<Store>,
    /// The limits of stored messages.
    pub(crate) bounds: Bounds,
    /// The number of messages evicted in favor of newer ones.
    pub(crate) evicted_messages: AtomicU64,
    /// The number of files evicted in favor of newer ones.
    pub(crate) evicted_files: AtomicU64,
    /// The result of the previous memory usage query.
    pub(crate) retained: Mutex<Retained>,
    /// Notified when messages may have been scheduled.
    pub(crate) schedule_changed: Notify,
    pub(crate) model: Mutex<Arc<Model>>,
    pub(crate) credentials: Mutex<Credentials>,
    /// Effects to run once the pending change of the credentials is written.
    pub(crate) after_credentials: Mutex<Vec<Effect>>,
    pub(crate) limiter: Mutex<RateLimitEnforcer>,
    /// The changes that searches do not return yet.
    pub(crate) search_lag: Mutex<SearchLag>,
    /// Has its own lock.
    pub(crate) outbox: Outbox,
    pub(crate) ledger: Arc<Ledger>,
}

/// An action to run once a change is on disk.
pub(crate) type Effect = Box<dyn FnOnce(&Engine) + Send>;

impl Engine {
    /// Resolves when the sandbox shuts down.
    pub(crate) async fn stopped(&self) {
        // The sender is in `self`, so it cannot be dropped meanwhile.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Locks the model for a short read or a change.
    pub(crate) fn model(&self) -> ModelMut<'_> {
        ModelMut(lock(&self.model))
    }

    /// Returns a snapshot of the model, for long reads without a lock.
    pub(crate) fn shared_model(&self) -> Arc<Model> {
        Arc::clone(&lock(&self.model))
    }
}
