//! How it judges, answers and limits.

use std::io;

use super::Sandbox;
use crate::fidelity::Settings;
use crate::rate_limit::RateLimit;
use crate::sync::lock;

impl Sandbox {
    /// How it judges and answers now.
    pub fn settings(&self) -> Settings {
        lock(&self.state.settings).clone()
    }

    /// Judges and answers differently from the next request on.
    pub fn set_settings(&self, settings: Settings) {
        self.state.change_settings(|current| *current = settings);
    }

    /// The limits that are enforced, or `None`.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        lock(&self.state.limiter).limits()
    }

    /// Enforces other limits from now on, or none. Counting begins anew.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the limits allow nothing or cannot be told in the headers.
    pub fn set_rate_limit(&self, limit: impl Into<Option<RateLimit>>) -> io::Result<()> {
        self.state
            .set_rate_limit(limit.into())
            .map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))
    }
}
