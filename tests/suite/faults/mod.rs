//! Network and server faults over real connections, against a server that counts the requests that it reads.
//!
//! A request that is read twice is a message that the contact receives twice, so the tests compare with the counts of
//! the server, not with those of the client.

mod evidence;
mod fault;
mod http2;
mod matrix;
mod race;
mod roots;
mod server;
mod tls;

use std::time::Duration;

/// Ends a test that would otherwise wait forever. It is never reached in a run that succeeds.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
