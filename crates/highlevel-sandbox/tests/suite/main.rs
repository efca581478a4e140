//! The sandbox seen from outside: over HTTP, through its typed access, and on the command line.

mod acceptance;
mod admin;
mod caller;
mod contract;
mod deliveries;
mod docs;
mod exposure;
mod faults;
mod fidelity;
mod inspector;
mod ledger;
mod lifecycle;
mod oauth;
mod persistence;
mod process;
mod program;
mod rate_limit;
mod receiver;
mod refusals;
mod robustness;
mod state;
mod state_file;
mod stream;
mod switches;
mod target;
mod webhooks;
