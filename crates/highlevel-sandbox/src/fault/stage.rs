//! The stages of a request at which a fault can occur.

use serde::{Deserialize, Serialize};

/// The point in the processing of a request at which the fault occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FaultStage {
    /// The connection was accepted and nothing was read. Such a rule cannot select requests, and its schedule must leave
    /// some connections alone, because the admin API uses the same port.
    Connect,
    /// The request line and headers were read, but no body.
    Head,
    /// The request was read but is not executed: nothing is stored. The status is 503 unless the fault sets another.
    Before,
    /// The request was executed: its message is stored and its webhook is scheduled.
    After,
}

impl FaultStage {
    /// Returns the name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Head => "head",
            Self::Before => "before",
            Self::After => "after",
        }
    }
}
