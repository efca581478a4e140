//! The engine as seen by the webhook dispatcher.

use std::sync::Arc;

use super::state::Engine;
use crate::clock::Clock;
use crate::ledger::LedgerEvent;
use crate::webhook::dispatcher::Host;
use crate::webhook::{DeliveryAttempt, Outbox, Targets};

impl Host for Engine {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn targets(&self) -> &Targets {
        &self.targets
    }

    fn deliveries_changed(&self) {
        self.changed("deliveries");
    }

    fn attempt_completed(&self, attempt: Arc<DeliveryAttempt>) {
        self.ledger.record(LedgerEvent::Delivery(attempt));
    }
}
