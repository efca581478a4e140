//! The effect of a repeated request.

/// The effect of a request if it is sent again after it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepeatEffect {
    /// It is done twice.
    Repeated,
    /// No further effect (PUT, DELETE).
    Idempotent,
    /// No effect at all (GET, HEAD, OPTIONS).
    ReadOnly,
}
