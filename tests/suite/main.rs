//! What only the whole workspace can show, and no crate alone: snapshots of what is generated and of what goes over
//! the wire, conformance of the description with the published documentation, the SDK against the sandbox, and the
//! rules of the workspace.
//!
//! The files in `../snapshots` change only through `cargo xtask codegen`.

mod auth;
mod crate_dependencies;
mod dependencies;
mod documentation;
mod end_to_end;
mod faults;
mod guides;
mod hostile_webhooks;
mod language;
mod layers;
mod load;
mod metadata;
mod readme;
mod reconciliation;
mod recorder;
mod requests;
mod sandbox_faults;
mod schemas;
mod snapshot_files;
mod snapshots;
mod webhook_events;
