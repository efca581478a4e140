//! The parts of an app that its clones and clients share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use super::guarded::GuardedStore;
use super::oauth::OAuth;
use super::state::Slot;
use super::store::{Key, Resource};
use super::task::Jobs;
use super::time::ClockReading;
use crate::connection::ApiConnection;
use crate::time::{MAX_DURATION, now};
use crate::{AppId, CompanyId, LocationId};

/// The resources are swept for unused ones when this many are in memory.
const SWEEP_AT_LEAST: usize = 64;

pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub(crate) struct Shared {
    pub(super) connection: ApiConnection,
    pub(super) oauth: OAuth,
    pub(super) store: GuardedStore,
    pub(super) client_id: String,
    pub(super) app_id: AppId,
    pub(super) redirect_uri: Option<String>,
    pub(super) clock: Clock,
    pub(super) slots: Slots,
    /// Work that continues when its caller gives up.
    pub(super) jobs: Jobs,
    /// Locations on which the app was installed, until the tokens of their companies arrive.
    pub(super) waiting: Mutex<WaitingLocations>,
}

/// Locations that wait for the tokens of their companies.
#[derive(Default)]
pub(super) struct WaitingLocations {
    pub(super) by_company: BTreeMap<CompanyId, BTreeSet<LocationId>>,
    /// Locations whose company is not known.
    pub(super) of_unknown_companies: BTreeSet<LocationId>,
}

impl Shared {
    pub(super) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    pub(super) fn moment(&self) -> ClockReading {
        ClockReading { wall: self.now(), steady: now() }
    }

    /// Returns the deadline of work that no call waits for.
    pub(super) fn default_deadline(&self) -> Instant {
        now() + self.connection.options.call.min(MAX_DURATION)
    }

    /// Returns the slot of a resource.
    pub(super) fn slot(&self, resource: Resource) -> Arc<Slot> {
        self.slots.get(&self.client_id, resource)
    }

    /// Stores the company that a location belongs to.
    pub(super) fn set_company(&self, location: &LocationId, company: &CompanyId) {
        let slot = self.slot(Resource::Location(location.clone()));
        slot.state().tokens.company = Some(company.clone());
    }
}

/// The state of each resource.
#[derive(Default)]
pub(super) struct Slots(Mutex<SlotMap>);

#[derive(Default)]
struct SlotMap {
    slots: HashMap<Resource, Arc<Slot>>,
    sweep_at: usize,
}

impl Slots {
    fn get(&self, client_id: &str, resource: Resource) -> Arc<Slot> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.slots.len() >= map.sweep_at.max(SWEEP_AT_LEAST) && !map.slots.contains_key(&resource) {
            // A program may ask for any id. A slot that a client has is in use.
            map.slots.retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.state().is_blank());
            map.sweep_at = map.slots.len() * 2;
        }
        let slot = map
            .slots
            .entry(resource)
            .or_insert_with_key(|resource| Arc::new(Slot::new(Key::new(client_id, resource.clone()))));
        Arc::clone(slot)
    }

    /// Returns the slots for which work is under way.
    pub(super) fn unsettled(&self, now: ClockReading) -> Vec<Arc<Slot>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.slots.values().filter(|slot| slot.state().is_unsettled(now)).cloned().collect()
    }

    /// Returns the locations of a company whose tokens the store has not saved yet.
    pub(super) fn pending_locations(&self, company: &CompanyId) -> BTreeSet<Resource> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_company = |slot: &Slot| {
            let state = slot.state();
            let pending = state.write.pending.as_ref();
            pending.is_some_and(|pending| pending.tokens.company_id.as_ref() == Some(company))
        };
        let locations = map
            .slots
            .iter()
            .filter(|(resource, slot)| matches!(resource, Resource::Location(_)) && is_of_company(slot));
        locations.map(|(resource, _)| resource.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::App;
    use crate::auth::store::MemoryStore;

    #[test]
    fn unused_slots_without_state_are_dropped() {
        let app = App::builder().client_id("a-b").client_secret("s").store(MemoryStore::new());
        let app = app.base_url("http://127.0.0.1:1").build().expect("an app");
        let slots = || app.shared.slots.0.lock().expect("no panic");
        let is_in_memory = |id: &str| slots().slots.contains_key(&Resource::Location(id.to_owned().into()));
        let client = app.location("in use");
        drop(app.company("company").location("with a company"));
        for number in 0..1_000 {
            drop(app.location(format!("{number}")));
        }
        assert!(is_in_memory("in use") && is_in_memory("with a company"));
        assert!(slots().slots.len() <= SWEEP_AT_LEAST);
        drop(client);
    }
}
