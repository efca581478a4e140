//! How much is retained, against what may be.

use serde_json::{Value, json};

use crate::traffic::{MAX_BYTES as IN_FLIGHT_BYTES, Usage};

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
