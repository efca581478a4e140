//! The sandbox seen from outside: over HTTP, through its typed access, and on the command line.

mod acceptance;
mod caller;
mod contract;
mod ledger;
mod lifecycle;
mod program;
mod rate_limit;
mod receiver;
mod refusals;
mod webhooks;
