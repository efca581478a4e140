//! Tests against a real PostgreSQL server and the sandbox.
//!
//! They are skipped with a printed reason if PostgreSQL is not installed, except in continuous integration (`CI=true`).

mod conformance;
mod crash;
mod doubt;
mod fence;
mod first;
mod inbox;
mod outbox;
mod schema;
mod shared;
mod support;
