//! Memory usage of the retained data, and its limits.

use serde_json::{Value, json};

use crate::traffic::{MAX_BYTES as IN_FLIGHT_BYTES, Usage};

/// Memory usage of all bounded data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retained {
    pub(crate) messages: Part,
    /// Locations, contacts, conversations and providers.
    pub(crate) records: Part,
    /// Uploaded files.
    pub(crate) files: Part,
    /// OAuth codes and tokens.
    pub(crate) credentials: Part,
    /// Ledger entries, except those of unauthenticated requests.
    pub(crate) ledger: Part,
    /// Ledger entries of requests without valid credentials, which have a separate limit.
    pub(crate) unauthenticated: Part,
    pub(crate) deliveries: Part,
    pub(crate) traffic: Usage,
}

/// Memory usage of one kind of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    pub(crate) max_bytes: usize,
    /// The number of items evicted in favor of newer ones.
    pub(crate) dropped: u64,
}

impl Retained {
    /// The limit of all parts and of the bodies in flight together, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        self.parts().iter().map(|(_, part)| part.max_bytes).sum::<usize>() + IN_FLIGHT_BYTES
    }

    pub(crate) fn parts(&self) -> [(&'static str, Part); 7] {
        [
            ("messages", self.messages),
            ("records", self.records),
            ("files", self.files),
            ("credentials", self.credentials),
            ("ledger", self.ledger),
            ("unauthenticatedRequests", self.unauthenticated),
            ("deliveries", self.deliveries),
        ]
    }

    /// The `memory` object of the health endpoint.
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
