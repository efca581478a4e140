//! The lease of a refresh task, and the notes that a task leaves for the one that takes over from it.

use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;

use super::TokenManager;
use crate::Result;
use crate::auth::lease::{LEASE, Lease, LeaseHolder, Leased};
use crate::auth::state::InFlight;
use crate::auth::store::LeaseResult;
use crate::auth::time::ClockReading;

/// Acquires and releases the lease of one refresh task.
pub(in crate::auth) struct TaskLease {
    manager: TokenManager,
    /// The number of the task.
    number: u64,
    holder: Mutex<Option<LeaseHolder>>,
}

impl TaskLease {
    /// `holder` is that of the previous task, if it has left a lease behind.
    pub(super) fn new(manager: TokenManager, number: u64, holder: Option<LeaseHolder>) -> Self {
        Self { manager, number, holder: Mutex::new(holder) }
    }

    /// Acquires the lease, or extends it.
    pub(super) async fn acquire(&self) -> Result<Leased> {
        let holder = self.holder()?;
        {
            let mut state = self.manager.state();
            if !state.task.is_current(self.number) {
                return Ok(Leased::TakenOver);
            }
            // Before the request: the store may grant the lease even if this future is dropped.
            state.task.lease = Some(holder.clone());
        }
        let lease = Lease::starting_now();
        match self.manager.app.store.lease(&self.manager.slot.key, &holder.name, LEASE).await {
            Ok(LeaseResult::Granted) => Ok(Leased::Granted(lease)),
            Ok(LeaseResult::Held { remaining }) => Ok(Leased::Held(remaining)),
            Err(error) => Err(self.manager.store_failed("grant the lease to refresh the tokens", error)),
        }
    }

    /// Returns a lease that outlives an attempt: the same one, or an extended one.
    pub(super) async fn for_attempt(&self, lease: Lease) -> Result<Leased> {
        if !lease.outlives_an_attempt() {
            self.acquire().await
        } else if self.manager.state().task.is_current(self.number) {
            Ok(Leased::Granted(lease))
        } else {
            Ok(Leased::TakenOver)
        }
    }

    /// Releases the lease. If that fails, the lease ends by itself.
    pub(super) async fn release(&self) {
        let holder = {
            let mut state = self.manager.state();
            // A later task has taken over the lease, and releases it.
            if !state.task.is_latest(self.number) {
                return;
            }
            *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = None;
            state.task.lease.take()
        };
        if let Some(holder) = holder {
            let _released = self.manager.app.store.release(&self.manager.slot.key, &holder.name).await;
        }
    }

    /// Notes that the refresh token may be used from now on, so that another task can continue if this one does not.
    pub(super) fn will_send(&self, refresh_token: &SecretString, since: ClockReading) {
        self.manager.state().tokens.in_flight = Some(InFlight { token: refresh_token.clone(), since });
    }

    /// Notes that no new tokens can be expected.
    pub(super) fn nothing_in_flight(&self) {
        let mut state = self.manager.state();
        if state.task.is_current(self.number) {
            state.tokens.in_flight = None;
        }
    }

    /// Returns the refresh token that may have been used, as long as HighLevel repeats its response.
    pub(super) fn in_flight(&self) -> Option<InFlight> {
        let now = self.manager.app.moment();
        self.manager.state().tokens.in_flight.clone().filter(|sent| sent.is_repeated(now))
    }

    fn holder(&self) -> Result<LeaseHolder> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        match holder.as_ref().filter(|holder| holder.is_of_this_process()) {
            Some(holder) => Ok(holder.clone()),
            None => Ok(holder.insert(LeaseHolder::random()?).clone()),
        }
    }
}
