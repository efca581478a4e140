//! Apps on many locations: installation, refreshes and failures against the sandbox.

mod faults;
mod lifecycle;
mod setup;
mod storms;
