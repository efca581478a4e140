//! Tests against a real PostgreSQL server and the sandbox.
//!
//! They are skipped with a printed reason if PostgreSQL is not installed, except in continuous integration (`CI=true`).

mod conformance;
mod connections;
mod crash;
mod doubt;
mod fence;
mod first;
mod guide;
mod hostile_text;
mod inbox;
mod limits;
mod lost_claims;
mod maintenance;
mod order;
mod outbox;
mod plans;
mod pooler;
mod reading;
mod schema;
mod shared;
mod support;
