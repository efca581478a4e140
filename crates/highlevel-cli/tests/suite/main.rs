//! The command line, end to end against the sandbox, whose ledger is the oracle.

mod arguments;
mod find;
mod guide;
mod interrupts;
mod outcomes;
mod program;
mod recipients;
mod send;
