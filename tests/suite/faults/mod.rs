//! Faults of the network and of the server, over real connections, against a server that counts what it was sent.
//!
//! A request that was delivered twice is a message that somebody gets twice. So the server, not the client, is the
//! witness here.

mod evidence;
mod fault;
mod http2;
mod matrix;
mod race;
mod roots;
mod server;
mod tls;

use std::time::Duration;

/// Far longer than anything takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
