//! Tests against a real PostgreSQL server and the sandbox.
//!
//! They are skipped with a printed reason if PostgreSQL is not installed, except in continuous integration (`CI=true`).

mod conformance;
mod doubt;
mod first;
mod outbox;
mod schema;
mod support;
