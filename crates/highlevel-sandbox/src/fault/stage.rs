//! How far a request gets before a fault.

use serde::{Deserialize, Serialize};

/// How far a request comes before the fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FaultStage {
    /// The connection was opened and nothing was read. Such a rule cannot choose among requests, and has to spare some, for
    /// the admin API is reached the same way.
    Connect,
    /// The head of the request was read, and nothing of its body.
    Head,
    /// The request was read. It is not done: nothing is stored, and unless the fault says otherwise it is answered 503.
    Before,
    /// The request was done: what was accepted is stored, and its webhook is on the way.
    After,
}

impl FaultStage {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Head => "head",
            Self::Before => "before",
            Self::After => "after",
        }
    }
}
