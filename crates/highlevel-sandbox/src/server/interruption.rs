//! Responses that a fault does not leave to HTTP.

use std::error::Error;
use std::sync::{Arc, Mutex};

use crate::fault::{Script, TriggeredFault};
use crate::traffic::{Connection, FREE_BYTES, Reservation};

/// Where the answer to a request is left that a fault does not leave to HTTP.
pub(super) type Interruption = Arc<Mutex<Option<(Script, TriggeredFault, Option<Reservation>)>>>;

/// Why hyper is told to stop.
#[derive(Debug)]
pub(super) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a fault ends the connection")
    }
}

impl Error for Interrupted {}

/// Waits until the bytes that a fault makes up may be on their way.
pub(super) async fn reserve(connection: &Connection, triggered: &TriggeredFault) -> Option<Reservation> {
    let bytes = triggered.fault.generated_bytes();
    if bytes > FREE_BYTES { Some(connection.reserve(bytes).await) } else { None }
}
