//! The command line, end to end against the sandbox, whose ledger is the oracle.

mod arguments;
mod doctor;
mod find;
mod guide;
mod interrupts;
mod oauth;
mod outcomes;
mod program;
mod recipients;
mod records;
mod send;
mod webhooks;
