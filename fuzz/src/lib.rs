//! What holds for every body. The tests of the SDK run the same functions with generated bodies.

#[path = "../../crates/highlevel/tests/suite/webhook/bodies.rs"]
mod bodies;

/// Header and body of a stranger's choice: never an event.
pub fn receive(data: &[u8]) {
    bodies::receive(data);
}

/// A body that was signed: read with nothing of it lost, or refused.
pub fn decode(data: &[u8]) {
    bodies::decode(data);
}
