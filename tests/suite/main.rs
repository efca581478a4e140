//! Tests that need more than one crate of the workspace: snapshots of the generated code and of HTTP requests,
//! conformance of the spec with the published documentation, the SDK against the sandbox, and the rules of the
//! workspace.
//!
//! The files in `../snapshots` change only through `cargo xtask codegen`.

mod auth;
mod consumer;
mod crate_dependencies;
mod dependencies;
mod documentation;
mod end_to_end;
mod faults;
mod find;
mod glossary;
mod guides;
mod hostile_webhooks;
mod language;
mod layers;
mod load;
mod metadata;
mod phone_bridge;
mod readme;
mod reconciliation;
mod recorder;
mod requests;
mod sandbox_faults;
mod schemas;
mod search_lag;
mod snapshot_files;
mod snapshots;
mod type_names;
mod uploads;
mod webhook_events;
mod webhook_guide;
