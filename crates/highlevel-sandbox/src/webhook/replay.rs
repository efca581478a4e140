//! Replays of attempts.

/// A replay of an attempt: the same request, or an edited one.
///
/// ```
/// use highlevel_sandbox::Replay;
///
/// let unchanged = Replay::new();
/// let forged = Replay::new().body(r#"{"type":"INSTALL"}"#);
/// let other_event = Replay::new().attempt(1).body(r#"{"type":"INSTALL"}"#).signed();
/// # let _ = (unchanged, forged, other_event);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    pub(super) attempt: Option<u32>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) signed: bool,
}

impl Replay {
    /// Replays the last attempt byte for byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replays the attempt with this number instead of the last one.
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = Some(number);
        self
    }

    /// Replaces the body and retains the old signature.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Signs the body with the current key, which makes an edited body a genuine event.
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }
}
