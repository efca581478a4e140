//! The events that an app receives: what they say, how they are signed, how they are delivered.

mod delivery;
mod payload;
mod signature;

pub(crate) use delivery::{Courier, Parcel};
pub(crate) use payload::{Envelope, event_name, event_payload};
pub(crate) use signature::{Signer, random_seed};
