//! The state of a sandbox.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

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
use crate::model::{Bounds, Model};
use crate::persistence::Store;
use crate::rate_limit::{Account, RateLimiter};
use crate::spec::Spec;
use crate::sync::lock;
use crate::traffic::Traffic;
use crate::webhook::{Outbox, Targets};

/// How many KiB of long events may be on their way in all event streams.
pub(crate) const LONG_EVENTS: usize = 16 * 1024;

/// One sandbox: its state, and the operations on it.
///
/// Acquire locks in field order.
pub(crate) struct Engine {
    pub(crate) spec: &'static Spec,
    pub(crate) clock: Clock,
    /// The private integration token that is printed, and what it belongs to.
    pub(crate) token: String,
    pub(crate) account: Arc<Account>,
    pub(crate) settings: Mutex<Settings>,
    /// How long the head of a request may take to come, and the body.
    pub(crate) read_timeout: Duration,
    /// How long a client may read nothing of a response.
    pub(crate) write_timeout: Duration,
    pub(crate) traffic: Arc<Traffic>,
    /// One piece of work that takes long at a time, in a thread of its own.
    pub(crate) long_work: Arc<Semaphore>,
    /// How many event streams there may be, and how many KiB of long events may be on their way in all of them.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) long_events: Semaphore,
    /// How many events may wait for their time.
    pub(crate) delayed_events: Arc<Semaphore>,
    /// A permit to read a snapshot.
    pub(crate) snapshots: Semaphore,
    pub(crate) faults: FaultRegistry,
    /// Who may use the sandbox, and from where.
    pub(crate) access: Access,
    /// Where webhooks may be delivered.
    pub(crate) targets: Targets,
    /// The wrong admin tokens of late.
    pub(crate) guesses: Mutex<Guesses>,
    /// How many requests were refused for their `Host` or their site.
    pub(crate) refused: AtomicU64,
    /// When this run started.
    pub(crate) started: Instant,
    /// Generates ids, tokens and keys.
    pub(crate) identifiers: Identifiers,
    /// For effects that happen later.
    pub(crate) myself: Weak<Self>,
    /// Tells this run from another one with the same state.
    pub(crate) run: String,
    /// Whether it is to end.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) initial: InitialState,
    /// Where what exists is kept, if it is.
    pub(crate) store: Option<Store>,
    /// How many messages are kept, and how many were dropped for those that came later.
    pub(crate) bounds: Bounds,
    pub(crate) evicted_messages: AtomicU64,
    /// How much there was of everything when it was last asked for.
    pub(crate) retained: Mutex<Retained>,
    pub(crate) model: Mutex<Arc<Model>>,
    pub(crate) credentials: Mutex<Credentials>,
    /// The effects of a change of the credentials that is not submitted yet.
    pub(crate) after_credentials: Mutex<Vec<Effect>>,
    pub(crate) limiter: Mutex<RateLimiter>,
    /// What it keeps has a lock of its own.
    pub(crate) outbox: Outbox,
    pub(crate) ledger: Arc<Ledger>,
}

/// What happens when a change is on the disk.
pub(crate) type Effect = Box<dyn FnOnce(&Engine) + Send>;

impl Engine {
    /// Resolves when the sandbox is to end.
    pub(crate) async fn stopped(&self) {
        // The sender is in `self`: it cannot be gone.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// What exists, to be read for a moment or changed.
    pub(crate) fn model(&self) -> ModelMut<'_> {
        ModelMut(lock(&self.model))
    }

    /// What exists now, to be read for as long as it takes: nothing waits for the reader.
    pub(crate) fn shared_model(&self) -> Arc<Model> {
        Arc::clone(&lock(&self.model))
    }
}
