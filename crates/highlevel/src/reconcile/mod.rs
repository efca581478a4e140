//! Finds the message of a request whose outcome is unknown.

mod address;
mod channel;
mod content;
mod date;
mod fingerprint;
mod fit;
mod hash;
mod matching;
mod observed;
mod reconciliation;
mod stored;
mod text;

pub(crate) use self::fingerprint::sealed;
pub use self::fingerprint::{Fingerprint, Fingerprintable};
pub use self::observed::ObservedMessage;
pub use self::reconciliation::Reconciliation;

#[cfg(test)]
mod tests;
