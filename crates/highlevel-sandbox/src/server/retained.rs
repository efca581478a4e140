//! How much is retained, against what may be.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::traffic::Usage;
use super::{IN_FLIGHT_BYTES, State, lock};
use crate::ledger;
use crate::model::RECORD_BYTES;
use crate::webhook;

/// What is bounded in memory, each part with its bytes and the most that there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retained {
    pub(crate) messages: Part,
    /// Everything else that exists: locations, contacts, conversations, providers.
    pub(crate) records: Part,
    /// Codes and tokens.
    pub(crate) credentials: Part,
    /// Requests and everything else that happened.
    pub(crate) ledger: Part,
    /// Requests without valid credentials, which the ledger counts separately.
    pub(crate) unauthenticated: Part,
    pub(crate) deliveries: Part,
    pub(crate) traffic: Usage,
}

/// One part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    pub(crate) max_bytes: usize,
    /// How many were dropped for those that came later.
    pub(crate) dropped: u64,
}

impl Retained {
    /// Of all parts, with what is on its way.
    pub(crate) fn max_bytes(&self) -> usize {
        self.parts().iter().map(|(_, part)| part.max_bytes).sum::<usize>() + IN_FLIGHT_BYTES
    }

    pub(crate) fn parts(&self) -> [(&'static str, Part); 6] {
        [
            ("messages", self.messages),
            ("records", self.records),
            ("credentials", self.credentials),
            ("ledger", self.ledger),
            ("unauthenticatedRequests", self.unauthenticated),
            ("deliveries", self.deliveries),
        ]
    }

    /// As `health` has it.
    pub(crate) fn to_json(self) -> Value {
        let mut memory = json!({
            "maxBytes": self.max_bytes(),
            "inFlight": { "bytes": self.traffic.bytes, "maxBytes": IN_FLIGHT_BYTES },
        });
        for (name, part) in self.parts() {
            memory[name] = json!({
                "count": part.count,
                "bytes": part.bytes,
                "maxBytes": part.max_bytes,
                "dropped": part.dropped,
            });
        }
        memory
    }
}

impl State {
    /// How much is retained. What is being changed at length is as it was before: nothing is waited for.
    pub(crate) fn retained(&self) -> Retained {
        let mut retained = *lock(&self.retained);
        if let Ok(model) = self.model.try_lock() {
            let (count, bytes, record_bytes) = model.weights();
            let dropped = self.evicted_messages.load(Ordering::Relaxed);
            retained.messages = Part { count, bytes, max_bytes: self.bounds.message_bytes, dropped };
            let count = model.record_count();
            retained.records = Part { count, bytes: record_bytes, max_bytes: RECORD_BYTES, dropped: 0 };
        }
        if let Ok(credentials) = self.credentials.try_lock() {
            let (count, bytes, max_bytes) = credentials.oauth.retained();
            retained.credentials = Part { count, bytes, max_bytes, dropped: 0 };
        }
        let (_, in_ledger) = self.ledger.totals();
        let part = |share: ledger::Share, max_bytes| Part {
            count: share.count,
            bytes: share.bytes,
            max_bytes,
            dropped: share.dropped,
        };
        retained.ledger = part(in_ledger.own, ledger::MAX_BYTES);
        retained.unauthenticated = part(in_ledger.unauthenticated, ledger::MAX_UNAUTHENTICATED_BYTES);
        let (count, bytes, dropped) = self.outbox.retained();
        retained.deliveries = Part { count, bytes, max_bytes: webhook::MAX_DELIVERY_BYTES, dropped };
        retained.traffic = self.traffic.usage();
        *lock(&self.retained) = retained;
        retained
    }
}
