//! Properties of all bodies. The tests of the SDK run the same functions with generated bodies.

#[path = "../../crates/highlevel/tests/suite/webhook/bodies.rs"]
mod bodies;

/// A header and a body without a genuine signature are never an event.
pub fn receive(data: &[u8]) {
    bodies::receive(data);
}

/// A signed body is either decoded with all its fields or rejected.
pub fn decode(data: &[u8]) {
    bodies::decode(data);
}

/// The receiver accepts a signature if and only if `verify_strict` of ed25519-dalek does.
pub fn signature(data: &[u8]) {
    bodies::signature(data);
}
